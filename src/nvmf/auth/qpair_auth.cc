#include "nvmf/auth/qpair_auth.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "env/environment.h"
#include "keyring/keyring.h"
#include "nvme/fabrics.h"
#include "nvmf/controller/controller.h"
#include "nvmf/log_flags.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::auth::ControllerSide;
using nvme::auth::Reason;
namespace status = nvme::status;

// Until the Failure1 has reached the host.
constexpr env::TimeNs farewell = 100 * env::ns_per_ms;

Result<nvme::auth::Key> read_key(env::Files& files, const keyring::Key& key) {
    const auto text = keyring::read(files, key);
    if (!text) return std::unexpected(text.error());
    auto parsed = nvme::auth::parse_key(text->text());
    if (!parsed) return fail(parsed.error().code, "key " + key.name() + ": " + parsed.error().message);
    return parsed;
}

bool is_same(const keyring::KeyRef& left, const keyring::KeyRef& right) { return left && right && &*left == &*right; }

// What came of it, and what the operator should hear of it.
struct Checked {
    ControllerSide::Verdict verdict{.reason = Reason::authentication_failed};
    std::string problem;
};

// In an offload job: reads files and raises large numbers to powers.
Checked check_with_keys(env::Files& files, const HostKeys& keys, const ControllerSide::Reply& reply) {
    Checked checked;
    if (!keys.host) {
        checked.problem = "it has no key here";
        return checked;
    }
    const auto host_key = read_key(files, *keys.host);
    if (!host_key) {
        checked.problem = host_key.error().message;
        return checked;
    }
    std::optional<nvme::auth::Key> controller_key;
    if (keys.controller && reply.wants_response) {
        auto read = read_key(files, *keys.controller);
        if (!read) {
            checked.problem = read.error().message;
            return checked;
        }
        controller_key = std::move(*read);
    }
    checked.verdict = ControllerSide::check(reply, *host_key, controller_key ? &*controller_key : nullptr);
    if (checked.verdict.reason != Reason::none) {
        checked.problem = reply.wants_response && !controller_key
                              ? "it wants us to authenticate, and no dhchap_ctrlr_key is set; or its key is another one"
                              : "its key is another one";
    }
    return checked;
}

}  // namespace

QpairAuth::QpairAuth(Qpair& qpair, env::TimeNs limit)
    : qpair_(qpair),
      limit_(limit),
      side_({.hostnqn = qpair.hostnqn, .subnqn = qpair.subsystem->identity.nqn}, qpair.group().target().auth_allowed(),
            qpair.secure_channel),
      timer_(qpair.group().thread(), [](void* self) { static_cast<QpairAuth*>(self)->on_timer(); }, this) {
    timer_.start_after(limit_);
}

nvme::Status QpairAuth::check(const nvme::Command& command) {
    const auto auth = nvme::as_fabrics<nvme::AuthenticationCommand>(command);
    if (auth.secp != nvme::security_protocol_nvme || auth.spsp0 != 1 || auth.spsp1 != 1) {
        return status::invalid_field.with_dnr();
    }
    const bool is_send = command.fabrics_type() == nvme::FabricsType::authentication_send;
    if (auth.length == 0 || (is_send && auth.length > auth_data_max)) return status::invalid_field.with_dnr();
    return status::success;
}

AuthReport QpairAuth::report() const {
    return {.state = nvme::auth::name_of(side_.state()),
            .digest = side_.hash() ? nvme::auth::name_of(*side_.hash()) : "unknown",
            .dhgroup = side_.group() ? nvme::auth::name_of(*side_.group()) : "unknown"};
}

void QpairAuth::execute(Request& request) {
    // One message at a time: the next one answers this one.
    if (is_busy_ || is_over_) return finish(request, status::command_sequence_error);
    if (request.command.fabrics_type() == nvme::FabricsType::authentication_send) return receive(request);
    transmit(request);
}

void QpairAuth::receive(Request& request) {
    const ControllerSide::State before = side_.state();
    const ControllerSide::Work work = side_.receive(request.control_data());
    note_progress(before);
    switch (work) {
        case ControllerSide::Work::make_challenge: is_busy_ = true; return spawn(make_challenge(request));
        case ControllerSide::Work::check_reply: is_busy_ = true; return spawn(check_reply(request));
        case ControllerSide::Work::none: break;
    }
    settle(request, status::success);
}

void QpairAuth::transmit(Request& request) {
    const ControllerSide::State before = side_.state();
    const size_t size = side_.transmit(request.control_data());
    note_progress(before);
    settle(request, size > 0 ? status::success : status::invalid_field.with_dnr());
}

// The command may have been the last of the exchange. The host hears of its end when the key for TLS that came of it
// can be used.
void QpairAuth::settle(Request& request, nvme::Status outcome) {
    if (side_.is_completed()) {
        if (auto generated = side_.take_generated()) {
            is_busy_ = true;
            return spawn(keep_psk(request, *generated));
        }
    }
    look();
    finish(request, outcome);
}

Task<void> QpairAuth::keep_psk(Request& request, nvme::tls::Psk generated) {
    PollGroup& group = qpair_.group();
    Target& target = group.target();
    const std::string subnqn = qpair_.subsystem->identity.nqn;
    const std::string hostnqn = qpair_.hostnqn;
    const uint64_t controller = qpair_.controller_uid;
    nvme::tls::TlsPsk psk =
        nvme::tls::make_generated_tls_psk(static_cast<nvme::tls::PskHash>(*side_.hash()), generated, hostnqn, subnqn);
    const keyring::KeyRef proved_with = std::exchange(proved_with_, {});
    co_await resume_on(target.thread());
    // Not with a key that was taken back meanwhile.
    const Subsystem* subsystem = target.find_subsystem(subnqn);
    if (subsystem != nullptr && is_same(subsystem->keys_of(hostnqn).host, proved_with)) {
        target.keep_generated_psk(controller, std::move(psk));
    }
    co_await resume_on(group.thread());
    is_busy_ = false;
    look();
    finish(request, status::success);
}

// The queue cannot go while the command is out, even when its connection is lost.
Task<void> QpairAuth::make_challenge(Request& request) {
    env::Environment& environment = qpair_.group().target().environment();
    const nvme::auth::Group group = *side_.group();
    Secret exponent(nvme::auth::exponent_size_of(group));
    environment.random().fill(exponent.mutable_bytes());
    std::array<std::byte, nvme::auth::hash_size_max> random{};
    const MutableBytes challenge = MutableBytes(random).first(nvme::auth::size_of(*side_.hash()));
    environment.random().fill(challenge);
    if (sequence_ == 0) environment.random().fill(bytes_of(sequence_));
    if (++sequence_ == 0) sequence_ = 1;
    nvme::auth::KeyPair own;
    if (group != nvme::auth::Group::null) {
        own = co_await offload([group, &exponent] { return nvme::auth::make_key_pair(group, std::move(exponent)); });
    }
    side_.challenge_made(std::move(own), challenge, sequence_);
    is_busy_ = false;
    finish(request, status::success);
}

Task<void> QpairAuth::check_reply(Request& request) {
    PollGroup& group = qpair_.group();
    Target& target = group.target();
    const ControllerSide::Reply reply = side_.take_reply();
    HostKeys keys;
    // Those of now, not those of when it connected.
    co_await resume_on(target.thread());
    if (const Subsystem* subsystem = target.find_subsystem(reply.parties.subnqn)) {
        keys = subsystem->keys_of(reply.parties.hostnqn);
    }
    co_await resume_on(group.thread());
    env::Files& files = target.environment().files();
    const Checked checked = co_await offload([&files, &keys, &reply] { return check_with_keys(files, keys, reply); });
    if (!checked.problem.empty()) {
        WEFT_WARNLOG("host \"{}\" could not authenticate with {}: {}", log::quoted(reply.parties.hostnqn),
                     reply.parties.subnqn, checked.problem);
    }
    if (checked.verdict.generated) proved_with_ = keys.host;
    side_.reply_checked(checked.verdict);
    is_busy_ = false;
    note_progress(ControllerSide::State::reply);
    finish(request, status::success);
}

// A step of the exchange was made: its time begins anew, and the host is alive, which may take its time for the
// arithmetic and may not send a Keep Alive yet. What is refused is no step.
void QpairAuth::note_progress(ControllerSide::State before) {
    const ControllerSide::State now = side_.state();
    if (now == before || now == ControllerSide::State::failure1 || now == ControllerSide::State::failed) return;
    timer_.start_after(limit_);
    if (qpair_.controller != nullptr) qpair_.controller->note_traffic();
}

void QpairAuth::finish(Request& request, nvme::Status outcome) {
    request.set_status(outcome);
    qpair_.send(request);
}

void QpairAuth::look() {
    if (side_.is_completed()) {
        timer_.stop();
        if (qpair_.state == Qpair::State::authenticating) qpair_.state = Qpair::State::enabled;
        WEFT_INFOLOG(log_nvmf, "host \"{}\" is authenticated on queue {}: {}, {}", log::quoted(qpair_.hostnqn),
                     qpair_.qid, report().digest, report().dhgroup);
        return;
    }
    if (!side_.has_failed()) return;
    WEFT_INFOLOG(log_nvmf, "host \"{}\" is not authenticated on queue {}: {}", log::quoted(qpair_.hostnqn), qpair_.qid,
                 nvme::auth::describe(side_.reason()));
    is_over_ = true;
    // Nothing else is executed from here on, also on a queue that was enabled.
    if (qpair_.state == Qpair::State::enabled) qpair_.state = Qpair::State::authenticating;
    timer_.start_after(farewell);
}

void QpairAuth::on_timer() {
    // Our own work takes long: that is not the host's fault.
    if (is_busy_) return timer_.start_after(limit_);
    qpair_.close(is_over_ ? "authentication failed" : "time-out: authentication did not come to its end");
}

}  // namespace weft::nvmf
