// For tests: a controller in the simulated world, as small as can be, that does what a test tells it to do wrong.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "env/network.h"
#include "nvme/auth/controller_side.h"
#include "nvme/discovery.h"
#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "nvme/registers.h"
#include "nvme/wire/encode.h"
#include "nvme/wire/receiver.h"

namespace weft::nvme_host {

// Polled by the test. Answers at once, in order.
class FakeTarget {
public:
    static constexpr uint32_t block_bytes = 512;
    static constexpr uint32_t in_capsule_max = 4096;
    static constexpr uint32_t max_h2c_data = 16384;

    explicit FakeTarget(std::unique_ptr<env::Listener> listener) : listener_(std::move(listener)) {
        identity.cntlid = 7;
        identity.mdts = 5;  // 128 KiB
        identity.ioccsz = (64 + in_capsule_max) / 16;
        identity.iorcsz = 1;
        identity.oaes = 1u << 8;
        identity.cntrltype = nvme::ControllerType::io;
        storage.resize(1 << 20);
    }

    // What a test changes.
    nvme::IdentifyController identity;
    std::vector<uint32_t> nsids = {1};
    std::vector<nvme::DiscoveryLogEntry> discovery;
    uint64_t discovery_numrec = UINT64_MAX;  // claimed; UINT64_MAX: the truth
    uint64_t generation = 1;
    bool generation_changes = false;   // with every read of the log's header
    bool is_ready_late = false;        // never, that is
    bool has_fatal_status = false;
    bool is_mute = false;              // reads, and says nothing
    bool success_flag = true;
    uint16_t granted_queues = 4;
    uint32_t connect_cdw0 = 7;
    // Authenticates hosts, with keys that are no secret; TLS it has none.
    struct Authentication {
        nvme::auth::Key host_key;
        nvme::auth::ControllerSide side;
    };
    std::optional<Authentication> authentication;
    // A status instead of an answer; nullopt: the answer.
    std::move_only_function<std::optional<nvme::Status>(const nvme::Command& command, bool admin)> refuse;
    // No answer at all.
    std::move_only_function<bool(const nvme::Command& command, bool admin)> ignore;

    // Changes the data of an answer before it is made into PDUs; and all bytes that are about to be sent.
    std::move_only_function<void(MutableBytes data)> distort_data;
    std::move_only_function<void(MutableBytes output)> distort_output;
    // What came.
    std::vector<nvme::Command> admin_commands;
    std::vector<std::byte> storage;
    uint32_t configuration = 0;  // CC
    [[nodiscard]] size_t connection_count() const { return connections_.size(); }
    [[nodiscard]] size_t count(nvme::AdminOpcode opcode) const {
        return static_cast<size_t>(std::ranges::count_if(
            admin_commands, [opcode](const nvme::Command& one) { return one.admin_opcode() == opcode; }));
    }

    // Completes the Asynchronous Event Request that waits, if one does.
    bool report_event(uint32_t cdw0) {
        if (!waiting_event_) return false;
        const auto [connection, cid] = *std::exchange(waiting_event_, std::nullopt);
        respond(*connection, {.cdw0 = cdw0, .cid = cid});
        return true;
    }
    void close_all() {
        connections_.clear();
        waiting_event_.reset();
    }

    // Takes what arrived and sends what there is to send; whether that was anything.
    bool poll() {
        bool worked = false;
        while (auto stream = listener_->accept()) {
            connections_.push_back(std::make_unique<Connection>(std::move(*stream)));
            worked = true;
        }
        for (const auto& connection : connections_) worked = serve(*connection) || worked;
        std::erase_if(connections_, [this](const auto& connection) {
            if (connection->is_over && waiting_event_ && waiting_event_->first == connection.get())
                waiting_event_.reset();
            return connection->is_over;
        });
        return worked;
    }

private:
    using Buffer = std::vector<std::byte>;
    struct Write {
        nvme::Command command;
        Buffer data;
    };
    struct Connection {
        explicit Connection(std::unique_ptr<env::Stream> accepted) : stream(std::move(accepted)) {}
        std::unique_ptr<env::Stream> stream;
        nvme::wire::PduReceiver receiver{nvme::wire::End::controller};
        nvme::wire::Framing framing;
        bool is_admin = true;
        bool is_over = false;
        nvme::Command command;
        Buffer data;
        Buffer output;
        std::vector<Write> writes;  // waiting for H2CData, by TTAG
    };

    bool serve(Connection& connection) {
        bool worked = false;
        Buffer buffer(65536);
        for (;;) {
            const env::Transfer transfer = connection.stream->receive(buffer);
            if (transfer.state == env::Transfer::State::would_block) break;
            worked = true;
            if (transfer.state != env::Transfer::State::done) {
                connection.is_over = true;
                return true;
            }
            if (!is_mute) take(connection, Bytes(buffer).first(transfer.bytes));
        }
        if (distort_output && !connection.output.empty()) distort_output(connection.output);
        while (!connection.output.empty()) {
            const iovec piece{.iov_base = connection.output.data(), .iov_len = connection.output.size()};
            const env::Transfer transfer = connection.stream->send({&piece, 1});
            if (transfer.state != env::Transfer::State::done) break;
            worked = true;
            connection.output.erase(connection.output.begin(),
                                    connection.output.begin() + static_cast<ptrdiff_t>(transfer.bytes));
        }
        return worked;
    }

    void take(Connection& connection, Bytes input) {
        using Kind = nvme::wire::Event::Kind;
        for (;;) {
            const nvme::wire::Event event = connection.receiver.next(input);
            if (event.kind == Kind::need_more) return;
            if (event.kind == Kind::violation || event.kind == Kind::violation_silent) {
                connection.is_over = true;
                return;
            }
            if (event.kind == Kind::begin) connection.data.clear();
            if (event.kind == Kind::data) {
                connection.data.insert(connection.data.end(), event.data.begin(), event.data.end());
            }
            if (event.kind == Kind::end) finish_pdu(connection);
        }
    }

    void finish_pdu(Connection& connection) {
        switch (connection.receiver.type()) {
            case nvme::wire::PduType::ic_req: answer_ic(connection); break;
            case nvme::wire::PduType::capsule_cmd:
                connection.command = connection.receiver.header_as<nvme::wire::CapsuleCmd>().sqe;
                execute(connection, connection.command);
                break;
            case nvme::wire::PduType::h2c_data: take_write_data(connection); break;
            default: connection.is_over = true; break;
        }
    }

    void answer_ic(Connection& connection) {
        const auto request = connection.receiver.header_as<nvme::wire::IcReq>();
        const bool header = (request.dgst & nvme::wire::digest_bits::header) != 0;
        const bool data = (request.dgst & nvme::wire::digest_bits::data) != 0;
        Buffer pdu(256);
        pdu.resize(
            nvme::wire::encode_ic_resp(pdu, {.header_digest = header, .data_digest = data, .limit = max_h2c_data}));
        append(connection, pdu);
        connection.framing = {.header_digest = header, .data_digest = data, .data_alignment = request.hpda};
        connection.receiver.set_negotiated({.header_digest = header, .data_digest = data});
    }

    void execute(Connection& connection, const nvme::Command& command) {
        if (command.is_fabrics() && command.fabrics_type() == nvme::FabricsType::connect) {
            connection.is_admin = nvme::as_fabrics<nvme::ConnectCommand>(command).qid == 0;
        }
        if (connection.is_admin) admin_commands.push_back(command);
        if (ignore && ignore(command, connection.is_admin)) return;
        if (refuse) {
            if (const auto status = refuse(command, connection.is_admin)) {
                respond(connection,
                        {.cdw0 = nvme::connect_invalid(256, true), .cid = command.cid, .status = status->to_wire()});
                return;
            }
        }
        if (command.is_fabrics()) {
            execute_fabrics(connection, command);
        } else if (connection.is_admin) {
            execute_admin(connection, command);
        } else {
            execute_io(connection, command);
        }
    }

    void execute_fabrics(Connection& connection, const nvme::Command& command) {
        nvme::Completion completion{.cid = command.cid};
        if (command.fabrics_type() == nvme::FabricsType::connect) {
            completion.cdw0 = connect_cdw0;
        } else if (command.fabrics_type() == nvme::FabricsType::property_set) {
            configuration = static_cast<uint32_t>(nvme::as_fabrics<nvme::PropertySetCommand>(command).value);
        } else if (authentication && command.fabrics_type() == nvme::FabricsType::authentication_send) {
            take_message(connection.data);
        } else if (authentication && command.fabrics_type() == nvme::FabricsType::authentication_receive) {
            Buffer message(4096);
            message.resize(authentication->side.transmit(message));
            return send_data(connection, command.cid, message);
        } else {
            completion.set_value64(property(nvme::as_fabrics<nvme::PropertyGetCommand>(command).offset));
        }
        respond(connection, completion);
    }

    void take_message(Bytes message) {
        using nvme::auth::ControllerSide;
        ControllerSide& side = authentication->side;
        const auto work = side.receive(message);
        if (work == ControllerSide::Work::make_challenge) {
            const nvme::auth::Group group = *side.group();
            Secret exponent(nvme::auth::exponent_size_of(group));
            std::ranges::fill(exponent.mutable_bytes(), std::byte{7});
            const Buffer challenge(nvme::auth::size_of(*side.hash()), std::byte{9});
            side.challenge_made(nvme::auth::make_key_pair(group, std::move(exponent)), challenge, 5);
        } else if (work == ControllerSide::Work::check_reply) {
            side.reply_checked(ControllerSide::check(side.take_reply(), authentication->host_key, nullptr));
        }
    }

    [[nodiscard]] uint64_t property(uint32_t offset) const {
        const auto cc = nvme::Configuration::from(configuration);
        nvme::ControllerStatus status;
        status.set(nvme::ControllerStatus::rdy, cc.is_enabled() && !is_ready_late ? 1 : 0);
        status.set(nvme::ControllerStatus::cfs, has_fatal_status ? 1 : 0);
        if (cc.get(nvme::Configuration::shn) != 0) {
            status.set(nvme::ControllerStatus::shst, nvme::ControllerStatus::shst_complete);
        }
        nvme::Capabilities capabilities;
        capabilities.set(nvme::Capabilities::mqes, 127);
        capabilities.set(nvme::Capabilities::to, 2);
        capabilities.set(nvme::Capabilities::css, nvme::Capabilities::css_nvm);
        switch (offset) {
            case nvme::property::cap: return capabilities.raw;
            case nvme::property::vs: return nvme::Version::of(2, 0).raw;
            case nvme::property::cc: return configuration;
            case nvme::property::csts: return status.raw;
            default: return 0;
        }
    }

    void execute_admin(Connection& connection, const nvme::Command& command) {
        switch (command.admin_opcode()) {
            case nvme::AdminOpcode::identify: identify(connection, command); break;
            case nvme::AdminOpcode::get_log_page: send_log(connection, command); break;
            case nvme::AdminOpcode::set_features:
                respond(connection, {.cdw0 = (granted_queues - 1u) << 16 | (granted_queues - 1u), .cid = command.cid});
                break;
            case nvme::AdminOpcode::async_event_request: waiting_event_ = {&connection, command.cid}; break;
            case nvme::AdminOpcode::keep_alive: respond(connection, {.cid = command.cid}); break;
            default: respond(connection, {.cid = command.cid, .status = nvme::status::invalid_opcode.to_wire()}); break;
        }
    }

    void identify(Connection& connection, const nvme::Command& command) {
        Buffer data(nvme::identify_data_size);
        switch (nvme::Cns(command.cdw10 & 0xFF)) {
            case nvme::Cns::controller: store(MutableBytes(data), identity); break;
            case nvme::Cns::name_space: {
                nvme::IdentifyNamespace space;
                space.nsze = storage.size() / block_bytes;
                space.lbaf[0].lbads = 9;
                store(MutableBytes(data), space);
                break;
            }
            case nvme::Cns::active_namespace_list: {
                size_t at = 0;
                for (const uint32_t nsid : nsids) {
                    if (nsid > command.nsid && at < data.size())
                        store(MutableBytes(data).subspan(at), le32(nsid)), at += 4;
                }
                break;
            }
            default: break;
        }
        send_data(connection, command.cid, data);
    }

    void send_log(Connection& connection, const nvme::Command& command) {
        const auto request = nvme::LogPageRequest::from(command);
        if (request.offset == 0 && generation_changes) ++generation;
        nvme::DiscoveryLogHeader header;
        header.genctr = generation;
        header.numrec = discovery_numrec != UINT64_MAX ? discovery_numrec : discovery.size();
        Buffer log(sizeof(header) + discovery.size() * sizeof(nvme::DiscoveryLogEntry));
        store(MutableBytes(log), header);
        if (!discovery.empty()) {
            std::memcpy(log.data() + sizeof(header), discovery.data(), log.size() - sizeof(header));
        }
        Buffer piece(request.length_bytes);
        for (size_t at = 0; at < piece.size() && request.offset + at < log.size(); ++at)
            piece[at] = log[request.offset + at];
        send_data(connection, command.cid, piece);
    }

    void execute_io(Connection& connection, const nvme::Command& command) {
        const size_t start = command.slba() * block_bytes;
        const size_t size = size_t{command.block_count()} * block_bytes;
        if (command.io_opcode() == nvme::IoOpcode::read) {
            send_data(connection, command.cid, Bytes(storage).subspan(start, size));
        } else if (command.io_opcode() == nvme::IoOpcode::write && connection.data.empty()) {
            const auto ttag = static_cast<uint16_t>(connection.writes.size());
            connection.writes.push_back({.command = command, .data = {}});
            Buffer pdu(256);
            pdu.resize(nvme::wire::encode_r2t(
                pdu, {.cccid = command.cid, .ttag = ttag, .length = static_cast<uint32_t>(size)}, connection.framing));
            append(connection, pdu);
        } else {
            std::ranges::copy(connection.data, storage.begin() + static_cast<ptrdiff_t>(start));
            respond(connection, {.cid = command.cid});
        }
    }

    void take_write_data(Connection& connection) {
        const auto header = connection.receiver.header_as<nvme::wire::H2cData>();
        Write& write = connection.writes.at(header.ttag);
        write.data.insert(write.data.end(), connection.data.begin(), connection.data.end());
        if (write.data.size() < size_t{write.command.block_count()} * block_bytes) return;
        std::ranges::copy(write.data, storage.begin() + static_cast<ptrdiff_t>(write.command.slba() * block_bytes));
        respond(connection, {.cid = write.command.cid});
    }

    void send_data(Connection& connection, uint16_t cid, Bytes truth) {
        Buffer data(truth.begin(), truth.end());
        if (distort_data) distort_data(data);
        send_pieces(connection, cid, data);
    }
    void send_pieces(Connection& connection, uint16_t cid, Bytes data) {
        constexpr size_t pdu_data_max = 10000;
        for (size_t at = 0; at < data.size();) {
            const Bytes piece = data.subspan(at, std::min(pdu_data_max, data.size() - at));
            const bool is_last = at + piece.size() == data.size();
            Buffer pdu(256);
            pdu.resize(nvme::wire::encode_c2h_data(pdu,
                                                   {.cccid = cid,
                                                    .offset = static_cast<uint32_t>(at),
                                                    .length = static_cast<uint32_t>(piece.size()),
                                                    .is_last = is_last,
                                                    .is_success = is_last && success_flag},
                                                   connection.framing));
            append(connection, pdu);
            append(connection, piece);
            if (has_data_digest(connection.framing, piece.size())) {
                const le32 digest = nvme::wire::data_digest(piece);
                append(connection, bytes_of(digest));
            }
            at += piece.size();
        }
        if (!success_flag) respond(connection, {.cid = cid});
    }

    static void respond(Connection& connection, const nvme::Completion& completion) {
        Buffer pdu(256);
        pdu.resize(nvme::wire::encode_capsule_resp(pdu, completion, connection.framing));
        append(connection, pdu);
    }

    static void append(Connection& connection, Bytes bytes) {
        connection.output.insert(connection.output.end(), bytes.begin(), bytes.end());
    }

    std::unique_ptr<env::Listener> listener_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::optional<std::pair<Connection*, uint16_t>> waiting_event_;
};

}  // namespace weft::nvme_host
