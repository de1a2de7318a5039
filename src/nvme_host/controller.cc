#include "nvme_host/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "nvme_host/admin.h"
#include "nvme_host/status_error.h"
#include "reactor/reactor.h"

namespace weft::nvme_host {

using nvme::Completion;
using nvme::Configuration;
using nvme::ControllerStatus;

Task<Result<std::unique_ptr<Controller>>> Controller::connect(tcp::ConnectionGroup& group, ControllerOptions options) {
    std::unique_ptr<Controller> controller(new Controller(group, std::move(options)));
    auto outcome = co_await controller->initialize();
    if (!outcome) {
        co_await controller->disconnect();
        co_return std::unexpected(std::move(outcome).error());
    }
    co_return controller;
}

Controller::Controller(tcp::ConnectionGroup& group, ControllerOptions options)
    : home_(group.thread()),
      group_(group),
      options_(std::move(options)),
      keep_alive_timer_(home_, [](void* self) { static_cast<Controller*>(self)->on_keep_alive_timer(); }, this) {
    WEFT_ASSERT(home_.is_current());
}

Controller::~Controller() {
    WEFT_ASSERT(home_.is_current());
    WEFT_ASSERT(admin_ == nullptr && io_queues_.empty());
}

Task<Result<void>> Controller::initialize() {
    if (options_.concatenate) WEFT_CO_TRY(co_await concatenate());
    WEFT_CO_TRY(co_await connect_admin_queue());
    WEFT_CO_TRY(co_await enable());
    WEFT_CO_TRY(co_await configure());
    start_keep_alive();
    start_events();
    co_return Result<void>{};
}

tcp::ConnectionOptions Controller::connection_options(bool admin) const {
    return {.address = options_.address,
            .socket = options_.socket,
            .tls_key = options_.tls_key,
            .protocol = {.depth = admin ? options_.admin_depth : io_depth(),
                         .is_admin = admin,
                         .header_digest = options_.header_digest,
                         .data_digest = options_.data_digest,
                         .data_alignment = options_.data_alignment,
                         .in_capsule_max = admin ? 0 : in_capsule_max(),
                         .discard = !admin && options_.discard},
            .connect_timeout = options_.connect_timeout,
            .command_timeout = admin ? options_.admin_timeout : options_.io_timeout};
}

// A first admin queue, without TLS, is there to make the key; its controller is not enabled.
Task<Result<void>> Controller::concatenate() {
    if (!options_.dhchap || options_.tls_key) {
        co_return fail(Errc::invalid_argument, "concatenation: with a key for authentication, and none for TLS");
    }
    WEFT_CO_TRY(co_await connect_admin_queue());
    WEFT_ASSERT(options_.tls_key.has_value());
    co_await admin_->close();
    admin_.reset();
    co_return Result<void>{};
}

Task<Result<void>> Controller::connect_admin_queue() {
    if (!nvme::is_valid_nqn(options_.subnqn)) {
        co_return fail(Errc::invalid_argument, fmt::format("'{}' is not an NQN of a subsystem", options_.subnqn));
    }
    if (!nvme::is_valid_nqn(options_.hostnqn)) {
        co_return fail(Errc::invalid_argument, fmt::format("'{}' is not an NQN of a host", options_.hostnqn));
    }
    auto connection = co_await tcp::Connection::open(group_, connection_options(true));
    if (!connection) {
        Error error = std::move(connection).error();
        co_return fail(error.code, fmt::format("admin queue: {}", error.message));
    }
    admin_ = std::move(*connection);
    auto answer = co_await fabrics_connect(*admin_, 0, options_.admin_depth);
    if (!answer) co_return std::unexpected(std::move(answer).error());
    WEFT_CO_TRY(co_await authenticate_queue(*admin_, 0, *answer));
    cntlid_ = static_cast<uint16_t>(*answer & 0xFFFF);
    co_return Result<void>{};
}

// NVMe Base 2.0, 6.3. Returns CDW0.
Task<Result<uint32_t>> Controller::fabrics_connect(Qpair& qpair, uint16_t qid, uint32_t depth) {
    nvme::ConnectCommand connect;
    connect.qid = qid;
    connect.sqsize = static_cast<uint16_t>(depth);  // 0's based, and one entry stays empty
    connect.cattr = options_.sq_flow_control ? uint8_t{0} : nvme::ConnectCommand::disable_sq_flow_control;
    if (qid == 0) connect.kato = options_.kato_ms;
    nvme::ConnectData data;
    data.hostid = options_.hostid;
    data.cntlid = qid == 0 ? options_.cntlid : cntlid_;
    nvme::fill_nqn_field(data.subnqn, options_.subnqn);
    nvme::fill_nqn_field(data.hostnqn, options_.hostnqn);

    const iovec piece{.iov_base = &data, .iov_len = sizeof(data)};
    Io io;
    io.command = nvme::to_command(connect);
    io.data = {&piece, 1};
    co_await Execute(qpair, io);
    const std::string step = qid == 0 ? "Connect (admin queue)" : fmt::format("Connect (I/O queue {})", qid);
    if (io.is_status_local) {
        const Error* failure = qpair.failure();
        co_return fail(
            failure != nullptr ? failure->code : Errc::io_error,
            fmt::format("{}: {}", step, failure != nullptr ? failure->message : nvme::describe(io.status(), true)));
    }
    if (!io.is_success()) co_return std::unexpected(status_error(step, io.completion, true));
    co_return io.completion.cdw0.value();
}

Task<Result<uint64_t>> Controller::get_property(std::string name, uint32_t offset, uint8_t size) {
    nvme::PropertyGetCommand get;
    get.attrib = size;
    get.offset = offset;
    auto completion = co_await admin_or_error(fmt::format("Property Get {}", name), nvme::to_command(get));
    if (!completion) co_return std::unexpected(std::move(completion).error());
    co_return size == nvme::property_size_8 ? completion->value64() : completion->cdw0.value();
}

Task<Result<void>> Controller::set_property(std::string name, uint32_t offset, uint32_t value) {
    nvme::PropertySetCommand set;
    set.offset = offset;
    set.value = value;
    auto completion = co_await admin_or_error(fmt::format("Property Set {}", name), nvme::to_command(set));
    if (!completion) co_return std::unexpected(std::move(completion).error());
    co_return Result<void>{};
}

// NVMe Base 2.0, 3.5.1: what the controller can do, then CC.EN, then CSTS.RDY.
Task<Result<void>> Controller::enable() {
    const auto cap = co_await get_property("CAP", nvme::property::cap, nvme::property_size_8);
    if (!cap) co_return std::unexpected(cap.error());
    capabilities_ = nvme::Capabilities::from(*cap);
    const auto vs = co_await get_property("VS", nvme::property::vs, nvme::property_size_4);
    if (!vs) co_return std::unexpected(vs.error());
    version_ = nvme::Version::from(static_cast<uint32_t>(*vs));

    const auto cc = co_await get_property("CC", nvme::property::cc, nvme::property_size_4);
    if (!cc) co_return std::unexpected(cc.error());
    auto configuration = Configuration::from(static_cast<uint32_t>(*cc));
    if (configuration.is_enabled()) {  // a static controller that another host left behind
        configuration.set(Configuration::en, 0);
        WEFT_CO_TRY(co_await set_property("CC (EN=0)", nvme::property::cc, configuration.raw));
        WEFT_CO_TRY(co_await wait_ready(false));
    }

    const uint64_t css = capabilities_.get(nvme::Capabilities::css);
    configuration = {};
    configuration.set(Configuration::iosqes, nvme::sqe_size_log2);
    configuration.set(Configuration::iocqes, nvme::cqe_size_log2);
    configuration.set(Configuration::css,
                      (css & nvme::Capabilities::css_io_command_sets) != 0 ? Configuration::css_io_command_sets
                      : (css & nvme::Capabilities::css_admin_only) != 0    ? Configuration::css_admin_only
                                                                           : Configuration::css_nvm);
    configuration.set(Configuration::en, 1);
    WEFT_CO_TRY(co_await set_property("CC (EN=1)", nvme::property::cc, configuration.raw));
    co_return co_await wait_ready(true);
}

Task<Result<void>> Controller::wait_ready(bool ready) {
    const env::TimeNs timeout =
        std::max<env::TimeNs>(capabilities_.get(nvme::Capabilities::to), 1) * 500 * env::ns_per_ms;
    const env::TimeNs start = home_.reactor().now();
    env::TimeNs pause = env::ns_per_ms;
    for (;;) {
        const auto value = co_await get_property("CSTS", nvme::property::csts, nvme::property_size_4);
        if (!value) co_return std::unexpected(value.error());
        const auto status = ControllerStatus::from(static_cast<uint32_t>(*value));
        if (status.get(ControllerStatus::cfs) != 0) {
            co_return fail(Errc::io_error, "enabling the controller: it reports a fatal status (CSTS.CFS)");
        }
        if (status.is_ready() == ready) co_return Result<void>{};
        if (home_.reactor().now() - start > timeout) {
            co_return fail(Errc::timed_out, fmt::format("waiting for CSTS.RDY={}: not within the {} ms of CAP.TO",
                                                        ready ? 1 : 0, timeout / env::ns_per_ms));
        }
        co_await sleep_for(pause);
        pause = std::min(pause * 2, 50 * env::ns_per_ms);
    }
}

bool Controller::is_discovery() const {
    return identity_.cntrltype == nvme::ControllerType::discovery || options_.subnqn == nvme::discovery_nqn;
}

// Identify, the number of queues, which events are reported.
Task<Result<void>> Controller::configure() {
    auto identity = co_await identify_controller(*this);
    if (!identity) co_return std::unexpected(std::move(identity).error());
    identity_ = *identity;

    if (options_.io_queue_max > 0 && !is_discovery()) {
        const uint32_t asked = std::min(options_.io_queue_max, 65535u);
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::set_features);
        command.cdw10 = static_cast<uint32_t>(nvme::FeatureId::number_of_queues);
        command.cdw11 = (asked - 1) << 16 | (asked - 1);
        auto completion = co_await admin_or_error("Set Features Number of Queues", command);
        if (!completion) co_return std::unexpected(std::move(completion).error());
        const uint32_t submission = nvme::feature::submission_queues.of(completion->cdw0.value()) + 1;
        const uint32_t answer = nvme::feature::completion_queues.of(completion->cdw0.value()) + 1;
        io_queue_limit_ = std::min({asked, submission, answer});
    }

    constexpr uint32_t wanted = nvme::async_event_bits::namespace_attribute | nvme::async_event_bits::ana_change |
                                nvme::async_event_bits::firmware_activation | nvme::async_event_bits::discovery_log;
    const uint32_t events = identity_.oaes & wanted;
    if (events != 0 && options_.on_event) {
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::set_features);
        command.cdw10 = static_cast<uint32_t>(nvme::FeatureId::async_event_configuration);
        command.cdw11 = events;
        auto completion = co_await admin_or_error("Set Features Asynchronous Event Configuration", command);
        if (!completion) co_return std::unexpected(std::move(completion).error());
    }
    co_return Result<void>{};
}

uint32_t Controller::transfer_bytes_max() const {
    const uint64_t page = uint64_t{1} << (12 + capabilities_.get(nvme::Capabilities::mpsmin));
    if (identity_.mdts == 0 || identity_.mdts > 20) return UINT32_MAX;
    return static_cast<uint32_t>(std::min<uint64_t>(page << identity_.mdts, UINT32_MAX));
}

uint32_t Controller::in_capsule_max() const {
    // IOCCSZ counts 16 bytes and holds the command of 64; ICDOFF is 0 with NVMe/TCP.
    const uint64_t capsule = uint64_t{identity_.ioccsz} * 16;
    return capsule <= sizeof(nvme::Command) ? 0 : static_cast<uint32_t>(capsule - sizeof(nvme::Command));
}

uint32_t Controller::io_depth() const {
    // MQES is 0's based and one entry stays empty.
    const auto entries = static_cast<uint32_t>(capabilities_.get(nvme::Capabilities::mqes));
    return std::clamp(options_.io_depth, 1u, std::max(entries, 1u));
}

Task<Result<Completion>> Controller::admin(nvme::Command command, MutableBytes data) {
    WEFT_ASSERT(home_.is_current());
    if (admin_ == nullptr) co_return fail(Errc::connection_lost, "the controller is not connected");
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    Io io;
    io.command = command;
    if (!data.empty()) io.data = {&piece, 1};
    co_await Execute(*admin_, io);
    if (io.is_status_local) {
        if (const Error* failure = admin_->failure()) co_return std::unexpected(*failure);
        co_return fail(Errc::io_error, nvme::describe(io.status()));
    }
    co_return io.completion;
}

Task<Result<Completion>> Controller::admin_or_error(std::string step, nvme::Command command, MutableBytes data) {
    auto completion = co_await admin(command, data);
    if (!completion) {
        co_return fail(completion.error().code, fmt::format("{}: {}", step, completion.error().message));
    }
    if (!nvme::Status::from_wire(completion->status).is_success()) {
        co_return std::unexpected(status_error(step, *completion, command.is_fabrics()));
    }
    co_return completion;
}

}  // namespace weft::nvme_host
