// The I/O queues of a controller, its keep-alive and events, and its end.
#include <fmt/format.h>

#include <algorithm>

#include "nvme_host/controller.h"
#include "reactor/reactor.h"

namespace weft::nvme_host {

Task<Result<Qpair*>> Controller::create_io_qpair(tcp::ConnectionGroup& group) {
    WEFT_ASSERT(home_.is_current());
    uint16_t qid = 1;
    while (std::ranges::any_of(io_queues_, [qid](const IoQueue& queue) { return queue.qid == qid; })) ++qid;
    if (qid > io_queue_limit_) {
        co_return fail(Errc::too_many, fmt::format("I/O queue {}: the controller granted {}", qid, io_queue_limit_));
    }
    io_queues_.push_back({.qid = qid});  // taken, while the connection is made
    co_await resume_on(group.thread());
    auto connection = co_await open_io_queue(group, qid);
    co_await resume_on(home_);

    const auto queue = std::ranges::find(io_queues_, qid, &IoQueue::qid);
    WEFT_ASSERT(queue != io_queues_.end());
    if (!connection) {
        io_queues_.erase(queue);
        co_return std::unexpected(std::move(connection).error());
    }
    queue->connection = std::move(*connection);
    co_return queue->connection.get();
}

// On the group's thread.
Task<Result<std::unique_ptr<tcp::Connection>>> Controller::open_io_queue(tcp::ConnectionGroup& group, uint16_t qid) {
    auto connection = co_await tcp::Connection::open(group, connection_options(false));
    if (!connection) {
        Error error = std::move(connection).error();
        co_return fail(error.code, fmt::format("I/O queue {}: {}", qid, error.message));
    }
    auto answer = co_await fabrics_connect(**connection, qid, (*connection)->depth());
    if (!answer) {
        co_await (*connection)->close();
        co_return std::unexpected(std::move(answer).error());
    }
    if (auto proved = co_await authenticate_queue(**connection, qid, *answer); !proved) {
        co_await (*connection)->close();
        co_return std::unexpected(std::move(proved).error());
    }
    co_return std::move(*connection);
}

// On the queue's thread, when the controller demands it, or when it must prove itself to us. Through TLS with a key
// that came of an authentication both sides have done so.
Task<Result<void>> Controller::authenticate_queue(Qpair& qpair, uint16_t qid, uint32_t connect_cdw0) {
    const std::string step = qid == 0 ? "admin queue" : fmt::format("I/O queue {}", qid);
    const bool wants_key = options_.concatenate && qid == 0 && !options_.tls_key;
    if ((connect_cdw0 & nvme::connect_authreq_ascr) != 0 && !wants_key) {
        co_return fail(Errc::not_supported,
                       fmt::format("{}: the controller demands a secure channel made by authentication: concatenation "
                                   "(--concat)",
                                   step));
    }
    const bool is_demanded = (connect_cdw0 & nvme::connect_authreq_atr) != 0;
    if (!options_.dhchap) {
        if (!is_demanded) co_return Result<void>{};
        co_return fail(Errc::permission_denied,
                       fmt::format("{}: the controller demands in-band authentication, and no key was given", step));
    }
    if (!is_demanded && (is_concatenated() || (!wants_key && !options_.dhchap->controller))) co_return Result<void>{};
    co_return co_await run_authentication(
        qpair, step, wants_key ? nvme::auth::SecureChannel::new_psk : nvme::auth::SecureChannel::none);
}

Task<Result<void>> Controller::run_authentication(Qpair& qpair, std::string step, nvme::auth::SecureChannel channel) {
    auto done = co_await authenticate(qpair, {.hostnqn = options_.hostnqn, .subnqn = options_.subnqn}, *options_.dhchap,
                                      ++auth_transaction_, channel);
    if (!done) co_return fail(done.error().code, fmt::format("{}: {}", step, done.error().message));
    if (*done) options_.tls_key = std::move(*done);
    co_return Result<void>{};
}

Task<Result<void>> Controller::authenticate_again() {
    WEFT_ASSERT(home_.is_current());
    if (!options_.dhchap) co_return fail(Errc::invalid_argument, "no key was given");
    using nvme::auth::SecureChannel;
    if (is_concatenated()) co_return co_await run_authentication(*admin_, "admin queue", SecureChannel::replace_psk);
    WEFT_CO_TRY(co_await run_authentication(*admin_, "admin queue", SecureChannel::none));
    for (const IoQueue& queue : io_queues_) {
        if (queue.connection == nullptr) continue;
        co_await resume_on(queue.connection->thread());
        const auto done =
            co_await run_authentication(*queue.connection, fmt::format("I/O queue {}", queue.qid), SecureChannel::none);
        co_await resume_on(home_);
        if (!done) co_return std::unexpected(done.error());
    }
    co_return Result<void>{};
}

Task<void> Controller::destroy_io_qpair(Qpair& qpair) {
    WEFT_ASSERT(home_.is_current());
    const auto queue =
        std::ranges::find_if(io_queues_, [&qpair](const IoQueue& one) { return one.connection.get() == &qpair; });
    WEFT_ASSERT(queue != io_queues_.end());
    std::unique_ptr<tcp::Connection> connection = std::move(queue->connection);
    io_queues_.erase(queue);
    co_await resume_on(connection->thread());
    co_await connection->close();
    connection.reset();
    co_await resume_on(home_);
}

Task<void> Controller::disconnect() {
    WEFT_ASSERT(home_.is_current());
    keep_alive_timer_.stop();
    is_lost_told_ = true;  // not lost, but left
    while (!io_queues_.empty()) {
        WEFT_ASSERT(io_queues_.back().connection != nullptr);
        co_await destroy_io_qpair(*io_queues_.back().connection);
    }
    if (admin_ == nullptr) co_return;
    if (admin_->failure() == nullptr && capabilities_.raw != 0) co_await shut_down();
    co_await admin_->close();
    admin_.reset();
}

// NVMe Base 2.0, 3.6.1: CC.SHN, then wait for CSTS.SHST, for as long as RTD3E says.
Task<void> Controller::shut_down() {
    const auto cc = co_await get_property("CC", nvme::property::cc, nvme::property_size_4);
    if (!cc) co_return;
    auto configuration = nvme::Configuration::from(static_cast<uint32_t>(*cc));
    configuration.set(nvme::Configuration::shn, nvme::Configuration::shn_normal);
    if (!co_await set_property("CC (SHN)", nvme::property::cc, configuration.raw)) co_return;

    constexpr env::TimeNs wait_max = 10 * env::ns_per_s;
    const env::TimeNs said = identity_.rtd3e * env::ns_per_us;
    const env::TimeNs deadline = home_.reactor().now() + std::clamp(said, env::ns_per_s, wait_max);
    for (env::TimeNs pause = env::ns_per_ms; home_.reactor().now() < deadline; pause *= 2) {
        const auto value = co_await get_property("CSTS", nvme::property::csts, nvme::property_size_4);
        if (!value) co_return;
        const auto status = nvme::ControllerStatus::from(static_cast<uint32_t>(*value));
        if (status.get(nvme::ControllerStatus::shst) == nvme::ControllerStatus::shst_complete) co_return;
        co_await sleep_for(pause);
    }
}

// Twice within KATO, so that one that comes late does no harm.
void Controller::start_keep_alive() {
    if (options_.kato_ms == 0) return;
    keep_alive_.command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::keep_alive);
    keep_alive_.context = this;
    keep_alive_.done = [](Io& io) {
        auto& self = *static_cast<Controller*>(io.context);
        self.is_keep_alive_out_ = false;
        if (io.is_status_local) self.tell_lost();
    };
    keep_alive_timer_.start_after(options_.kato_ms * env::ns_per_ms / 2);
}

void Controller::on_keep_alive_timer() {
    // One that is not answered ends the connection by its command timeout.
    if (!is_keep_alive_out_) {
        is_keep_alive_out_ = true;
        admin_->submit(keep_alive_);
    }
    keep_alive_timer_.start_after(options_.kato_ms * env::ns_per_ms / 2);
}

// One Asynchronous Event Request is always with the controller. It also tells when the connection is lost.
void Controller::start_events() {
    // Discovery controllers without a keep-alive need not support events (NVMe Base 2.0, 3.1.2.3).
    if (is_discovery() && options_.kato_ms == 0) return;
    event_request_.command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::async_event_request);
    event_request_.is_background = true;
    event_request_.context = this;
    event_request_.done = [](Io& io) { static_cast<Controller*>(io.context)->on_event(io); };
    admin_->submit(event_request_);
}

void Controller::on_event(Io& io) {
    if (io.is_status_local) {
        tell_lost();
        return;
    }
    if (!io.is_success()) return;  // it will not have any, then
    if (options_.on_event) options_.on_event(nvme::AsyncEvent::from_cdw0(io.completion.cdw0));
    if (admin_ != nullptr && admin_->failure() == nullptr) admin_->submit(io);
}

void Controller::tell_lost() {
    if (is_lost_told_) return;
    is_lost_told_ = true;
    keep_alive_timer_.stop();
    const Error* failure = admin_->failure();
    if (failure != nullptr && options_.on_lost) options_.on_lost(*failure);
}

}  // namespace weft::nvme_host
