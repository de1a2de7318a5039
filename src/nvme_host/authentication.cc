#include "nvme_host/authentication.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "nvme/fabrics.h"
#include "nvme_host/status_error.h"
#include "reactor/reactor.h"

namespace weft::nvme_host {

namespace {

using nvme::auth::HostSide;
using nvme::auth::Reason;

constexpr size_t key_text_max = 4096;
constexpr size_t room_bytes = 4096;  // for a message of the controller's, as other hosts have it

nvme::Command command_of(nvme::FabricsType type, size_t size_bytes) {
    nvme::AuthenticationCommand command;
    command.fctype = static_cast<uint8_t>(type);
    command.secp = nvme::security_protocol_nvme;
    command.spsp0 = 1;
    command.spsp1 = 1;
    command.length = static_cast<uint32_t>(size_bytes);
    return nvme::to_command(command);
}

Error error_of(const Qpair& qpair, const Io& io, std::string_view step) {
    if (!io.is_status_local) return status_error(step, io.completion, true);
    const Error* const failure = qpair.failure();
    if (failure != nullptr) return {failure->code, fmt::format("{}: {}", step, failure->message)};
    return {Errc::io_error, fmt::format("{}: {}", step, nvme::describe(io.status(), true))};
}

Task<Result<void>> send(Qpair& qpair, std::vector<std::byte> message) {
    const iovec piece{.iov_base = message.data(), .iov_len = message.size()};
    Io io;
    io.command = command_of(nvme::FabricsType::authentication_send, message.size());
    io.data = {&piece, 1};
    co_await Execute(qpair, io);
    if (!io.is_success()) co_return std::unexpected(error_of(qpair, io, "Authentication Send"));
    co_return Result<void>{};
}

Task<Result<std::vector<std::byte>>> fetch(Qpair& qpair) {
    std::vector<std::byte> message(room_bytes);
    const iovec piece{.iov_base = message.data(), .iov_len = message.size()};
    Io io;
    io.command = command_of(nvme::FabricsType::authentication_receive, message.size());
    io.data = {&piece, 1};
    co_await Execute(qpair, io);
    // A controller may send the message and no more: less than there is room for.
    const bool is_short =
        io.is_status_local && qpair.failure() == nullptr && io.status() == nvme::status::data_transfer_error;
    if (!io.is_success() && !is_short) co_return std::unexpected(error_of(qpair, io, "Authentication Receive"));
    if (is_short) message.resize(io.bytes_moved);
    co_return message;
}

// Tells the controller why we go, if it is not the one that refused.
Task<Error> give_up(Qpair& qpair, const HostSide& side, Reason reason, std::string_view step) {
    if (side.is_refused()) {
        co_return Error{Errc::permission_denied, fmt::format("authentication: the controller refuses this host: {}",
                                                             nvme::auth::describe(reason))};
    }
    (void)co_await send(qpair, side.failure2(reason));
    co_return Error{Errc::permission_denied, fmt::format("authentication: {}: {}", step, nvme::auth::describe(reason))};
}

HostSide::Ours draw(env::Random& random, const HostSide::Challenged& challenged, bool asks_controller) {
    const bool makes_psk = challenged.secure_channel != nvme::auth::SecureChannel::none;
    HostSide::Ours ours{.exponent = Secret(nvme::auth::exponent_size_of(challenged.group))};
    random.fill(ours.exponent.mutable_bytes());
    if (!asks_controller && !makes_psk) return ours;
    ours.challenge.resize(nvme::auth::size_of(challenged.hash));
    random.fill(ours.challenge);
    if (!asks_controller) return ours;
    random.fill(bytes_of(ours.sequence));
    if (ours.sequence == 0) ours.sequence = 1;
    return ours;
}

// As TLS takes it.
std::optional<net::PskKey> tls_key_of(const HostSide& side, const nvme::auth::Parties& parties,
                                      const HostSide::Answer& answer) {
    if (!answer.generated) return std::nullopt;
    const auto psk = nvme::tls::make_generated_tls_psk(static_cast<nvme::tls::PskHash>(*side.hash()), *answer.generated,
                                                       parties.hostnqn, parties.subnqn);
    return net::PskKey(psk.identity.text(), psk.key.bytes());
}

}  // namespace

DhchapKeys& DhchapKeys::operator=(const DhchapKeys& other) {
    if (this == &other) return *this;
    host = other.host.copy();
    controller.reset();
    if (other.controller) controller = other.controller->copy();
    allowed = other.allowed;
    return *this;
}

Result<nvme::auth::Key> read_dhchap_key(env::Environment& environment, const std::string& given) {
    if (given.starts_with("DHHC-1:")) return nvme::auth::parse_key(given);
    Secret text(key_text_max);
    const auto size = environment.files().read_key(given, text.mutable_bytes());
    if (!size) return std::unexpected(size.error());
    std::string_view line = text.text().substr(0, *size);
    line = line.substr(0, line.find_last_not_of(" \t\r\n") + 1);
    auto key = nvme::auth::parse_key(line);
    if (!key) return fail(key.error().code, fmt::format("{}: {}", given, key.error().message));
    return key;
}

Task<Result<std::optional<net::PskKey>>> authenticate(Qpair& qpair, nvme::auth::Parties parties, const DhchapKeys& keys,
                                                      uint16_t transaction, nvme::auth::SecureChannel channel) {
    const nvme::auth::Key* const controller_key = keys.controller ? &*keys.controller : nullptr;
    HostSide side(parties, keys.allowed, controller_key != nullptr, transaction, channel);
    WEFT_CO_TRY(co_await send(qpair, side.negotiate()));
    auto message = co_await fetch(qpair);
    if (!message) co_return std::unexpected(std::move(message).error());
    const auto challenged = side.read_challenge(*message);
    if (!challenged) {
        co_return std::unexpected(co_await give_up(qpair, side, challenged.error(), "its challenge"));
    }

    env::Environment& environment = environment_of(qpair.thread());
    HostSide::Ours ours = draw(environment.random(), *challenged, controller_key != nullptr);
    const auto answer = co_await offload([&challenged, &ours, &keys, controller_key] {
        return HostSide::answer(*challenged, std::move(ours), keys.host, controller_key);
    });
    if (!answer) co_return std::unexpected(co_await give_up(qpair, side, answer.error(), "its DH value"));
    WEFT_CO_TRY(co_await send(qpair, answer->reply));
    message = co_await fetch(qpair);
    if (!message) co_return std::unexpected(std::move(message).error());
    const auto success = side.read_success(*message, *answer);
    if (!success) {
        co_return std::unexpected(
            co_await give_up(qpair, side, success.error(), "the controller did not prove who it is"));
    }
    if (controller_key != nullptr) WEFT_CO_TRY(co_await send(qpair, side.success2()));
    co_return tls_key_of(side, parties, *answer);
}

}  // namespace weft::nvme_host
