// What a host may not send, and the answer that NVMe/TCP Transport 1.0 names for it (3.5, 3.6). After each case another
// host's connection still works and nothing is left behind.
#include <gtest/gtest.h>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/describe.h"
#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

using nvme::Status;
using nvme::wire::FatalErrorStatus;
using nvme::wire::PduType;
namespace status = nvme::status;
namespace wire = nvme::wire;

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = 512;
    options.block_count = 2048;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"})));
}

struct Conformance : testing::Test {
    Conformance() { rig.run(rig.export_device(ram_disk())); }
    ~Conformance() override {
        hosts.clear();
        rig.run_for(10 * env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle());
    }

    RawHost& fresh() {
        hosts.push_back(std::make_unique<RawHost>(rig));
        return *hosts.back();
    }
    RawHost& ready(bool header_digest = false, bool data_digest = false) {
        RawHost& host = fresh();
        host.handshake(header_digest, data_digest);
        host.connect_admin();
        return host;
    }
    // An I/O queue of the newest controller.
    RawHost& io_queue(uint16_t cntlid, uint16_t qid = 1) {
        RawHost& host = fresh();
        host.handshake();
        const auto connected = host.connect(qid, cntlid);
        EXPECT_TRUE(connected && Status::from_wire(connected->status).is_success());
        return host;
    }

    void expect_term(RawHost& host, Bytes bytes, FatalErrorStatus fes, uint32_t fei) {
        host.send(bytes);
        const auto pdus = host.take();
        ASSERT_FALSE(pdus.empty()) << "no answer";
        const SentPdu& last = pdus.back();
        ASSERT_EQ(last.type, PduType::c2h_term_req) << wire::name_of(last.type);
        const auto term = last.as<wire::TermReq>();
        EXPECT_EQ(term.fes, static_cast<uint16_t>(fes));
        EXPECT_EQ(term.fei, fei);
        rig.run_for(3 * env::ns_per_s);
        host.send({});
        EXPECT_TRUE(host.is_closed());
    }
    static void expect_status(const std::optional<nvme::Completion>& completion, Status expected) {
        ASSERT_TRUE(completion) << "no completion";
        const Status got = Status::from_wire(completion->status);
        EXPECT_TRUE(got.is(expected)) << nvme::describe(got) << " for " << nvme::describe(expected);
    }

    Rig rig{11};
    std::vector<std::unique_ptr<RawHost>> hosts;
};

ByteVector ic_req() {
    ByteVector bytes(wire::encoded_size_max);
    bytes.resize(wire::encode_ic_req(bytes, {}));
    return bytes;
}

ByteVector with_byte(ByteVector bytes, size_t offset, uint8_t value) {
    bytes[offset] = std::byte{value};
    return bytes;
}

nvme::Command io_command(nvme::IoOpcode opcode, uint64_t slba, uint32_t blocks, uint32_t nsid = 1) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = nsid;
    command.set_lba_range(slba, blocks);
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    return command;
}

nvme::Command admin_command(nvme::AdminOpcode opcode) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    return command;
}

TEST_F(Conformance, ICReqWithABadField) {
    using enum FatalErrorStatus;
    expect_term(fresh(), with_byte(ic_req(), 10, 32), invalid_header_field, 10);  // HPDA
    expect_term(fresh(), with_byte(ic_req(), 2, 127), invalid_header_field, 2);  // HLEN
    expect_term(fresh(), with_byte(ic_req(), 4, 127), invalid_header_field, 4);  // PLEN
    expect_term(fresh(), with_byte(ic_req(), 4, 0), invalid_header_field, 4);
    expect_term(fresh(), with_byte(with_byte(ic_req(), 2, 1), 4, 1), invalid_header_field, 2);  // the lowest wins
}

TEST_F(Conformance, PdusOutOfOrderOrFromTheWrongSide) {
    using enum FatalErrorStatus;
    ByteVector twice = ic_req();
    const ByteVector second = ic_req();
    twice.insert(twice.end(), second.begin(), second.end());
    expect_term(fresh(), twice, pdu_sequence_error, 0);
    for (const uint8_t type : std::initializer_list<uint8_t>{0x01, 0x05, 0x09, 0x0B}) {
        RawHost& host = fresh();
        host.handshake();
        ByteVector pdu(24);
        pdu[0] = std::byte{type};
        pdu[2] = std::byte{24};
        pdu[4] = std::byte{24};
        expect_term(host, pdu, invalid_header_field, 0);
    }
    ByteVector early(24);
    early[0] = std::byte{0x06};
    early[2] = std::byte{24};
    early[4] = std::byte{24};
    expect_term(fresh(), early, pdu_sequence_error, 0);
}

TEST_F(Conformance, SilenceEndsWithTheHandshakeTimer) {
    RawHost& host = fresh();
    rig.run_for(11 * env::ns_per_s);
    host.send({});
    EXPECT_TRUE(host.is_closed());
    RawHost& half = fresh();
    half.handshake();
    rig.run_for(11 * env::ns_per_s);
    half.send({});
    EXPECT_TRUE(half.is_closed()) << "an ICReq alone is no Connect";
}

TEST_F(Conformance, CapsulesWithABadField) {
    using enum FatalErrorStatus;
    const nvme::Command command = admin_command(nvme::AdminOpcode::keep_alive);
    const struct {
        size_t offset;
        uint8_t value;
        uint32_t fei;
    } cases[] = {{2, 71, 2}, {2, 0, 2}, {4, 71, 4}, {1, 1, 1}};
    for (const auto& one : cases) {
        RawHost& host = ready();
        expect_term(host, with_byte(host.capsule(command), one.offset, one.value), invalid_header_field, one.fei);
    }
    RawHost& huge = ready();
    ByteVector capsule = huge.capsule(command);
    for (size_t at = 4; at < 8; ++at) capsule[at] = std::byte{0xFF};
    expect_term(huge, capsule, invalid_header_field, 4);
}

TEST_F(Conformance, SglsOfTheWrongKind) {
    RawHost& admin = ready();
    RawHost& host = io_queue(admin.cntlid());
    for (const uint8_t identifier : std::initializer_list<uint8_t>{0x00, 0x20, 0x40, 0x51}) {
        nvme::Command read = io_command(nvme::IoOpcode::read, 0, 8);
        read.dptr = nvme::SglDescriptor::transport(4096);
        read.dptr.identifier = identifier;
        expect_status(host.execute(read), status::sgl_descriptor_type_invalid);
    }
    nvme::Command huge = io_command(nvme::IoOpcode::write, 0, 8);
    huge.dptr = nvme::SglDescriptor::transport(0xFFFFFFFF);
    expect_status(host.execute(huge), status::invalid_field);
    nvme::Command narrow = io_command(nvme::IoOpcode::write, 0, 8);
    narrow.dptr = nvme::SglDescriptor::transport(512);
    expect_status(host.execute(narrow), status::data_sgl_length_invalid);
}

TEST_F(Conformance, IoCommandsOutOfBounds) {
    RawHost& admin = ready();
    RawHost& host = io_queue(admin.cntlid());
    const ByteVector block(512);
    expect_status(host.execute(io_command(nvme::IoOpcode::write, 2048, 1), block), status::lba_out_of_range);
    expect_status(host.execute(io_command(nvme::IoOpcode::write, UINT64_MAX, 1), block), status::lba_out_of_range);
    nvme::Command across = io_command(nvme::IoOpcode::read, 2047, 2);
    across.dptr = nvme::SglDescriptor::transport(1024);
    expect_status(host.execute(across), status::lba_out_of_range);
    expect_status(host.execute(io_command(nvme::IoOpcode::flush, 0, 1, 0)), status::invalid_namespace_or_format);
    expect_status(host.execute(io_command(nvme::IoOpcode::flush, 0, 1, 2)), status::invalid_namespace_or_format);
    expect_status(host.execute(io_command(nvme::IoOpcode::flush, 0, 1, 0xFFFFFFFF)),
                  status::invalid_namespace_or_format);
    expect_status(host.execute(io_command(static_cast<nvme::IoOpcode>(0x18), 0, 1)), status::invalid_opcode);
    expect_status(host.execute(io_command(nvme::IoOpcode::write, 2047, 1), block), status::success);
    ByteVector range(16);
    store(MutableBytes(range), nvme::DatasetManagementRange{.block_count = 1, .slba = 2048});
    nvme::Command discard = io_command(nvme::IoOpcode::dataset_management, 0, 1);
    discard.cdw10 = 0;
    discard.cdw11 = nvme::dataset_management::deallocate;
    discard.cdw12 = 0;
    expect_status(host.execute(discard, range), status::lba_out_of_range);
}

TEST_F(Conformance, DataThatWasNotAskedFor) {
    using enum FatalErrorStatus;
    const auto h2c = [](RawHost& host, wire::DataFields fields, size_t bytes) {
        ByteVector pdu(wire::encoded_size_max);
        pdu.resize(wire::encode_h2c_data(pdu, fields, host.framing));
        pdu.resize(pdu.size() + bytes);
        return pdu;
    };
    const auto asked = [](RawHost& host) {
        nvme::Command write = io_command(nvme::IoOpcode::write, 0, 32);
        write.dptr = nvme::SglDescriptor::transport(32 * 512);
        write.cid = 77;
        host.send(host.capsule(write));
        const auto pdus = host.take();
        EXPECT_EQ(pdus.size(), 1U);
        return pdus.empty() ? wire::R2t{} : pdus[0].as<wire::R2t>();
    };
    RawHost& admin = ready();
    uint16_t qid = 0;
    const auto queue = [&]() -> RawHost& { return io_queue(admin.cntlid(), ++qid); };
    expect_term(queue(), h2c(admin, {.cccid = 1, .ttag = 0x7777, .length = 512, .is_last = true}, 512),
                invalid_header_field, 10);
    expect_term(queue(), h2c(admin, {.cccid = 1, .ttag = 0xFFFF, .length = 512, .is_last = true}, 512),
                invalid_header_field, 10);
    {
        RawHost& host = queue();
        const wire::R2t r2t = asked(host);
        EXPECT_EQ(r2t.r2tl, 32U * 512);
        expect_term(host, h2c(host, {.cccid = 78, .ttag = r2t.ttag, .length = 512}, 512), invalid_header_field, 8);
    }
    {
        RawHost& host = queue();
        const wire::R2t r2t = asked(host);
        expect_term(host,
                    h2c(host, {.cccid = 77, .ttag = r2t.ttag, .length = 32 * 512 + 512, .is_last = true}, 33 * 512),
                    data_transfer_out_of_range, 0);
    }
    {
        RawHost& host = queue();
        const wire::R2t r2t = asked(host);
        host.send(h2c(host, {.cccid = 77, .ttag = r2t.ttag, .length = 4096}, 4096));
        EXPECT_TRUE(host.take().empty());
        expect_term(host, h2c(host, {.cccid = 77, .ttag = r2t.ttag, .length = 4096}, 4096), pdu_sequence_error,
                    offsetof(wire::H2cData, datao));  // the same piece again
    }
    {
        RawHost& host = queue();
        RawHost& other = queue();
        const wire::R2t r2t = asked(host);
        expect_term(other, h2c(other, {.cccid = 77, .ttag = r2t.ttag, .length = 32 * 512, .is_last = true}, 32 * 512),
                    invalid_header_field, 10);
        host.send(h2c(host, {.cccid = 77, .ttag = r2t.ttag, .length = 32 * 512, .is_last = true}, 32 * 512));
        const auto pdus = host.take();
        ASSERT_EQ(pdus.size(), 1U) << "the queue whose tag was guessed goes on";
        expect_status(pdus[0].as<wire::CapsuleResp>().cqe, status::success);
    }
}

TEST_F(Conformance, AWrongDataDigestFailsTheCommandOnly) {
    RawHost& host = ready(true, true);
    nvme::ConnectCommand again;  // any command with data will do: it is refused for its digest before it is looked at
    ByteVector data(1024);
    nvme::Command command = nvme::to_command(again);
    command.dptr = nvme::SglDescriptor::in_capsule(1024);
    command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::set_features);
    command.nsid = 0;
    command.cdw10 = static_cast<uint32_t>(nvme::FeatureId::host_behavior_support);
    command.cid = 5;
    ByteVector capsule = host.capsule(command, data);
    capsule.back() ^= std::byte{0xFF};
    host.send(capsule);
    const auto pdus = host.take();
    ASSERT_EQ(pdus.size(), 1U);
    expect_status(pdus[0].as<wire::CapsuleResp>().cqe, status::transient_transport_error);
    expect_status(host.execute(admin_command(nvme::AdminOpcode::keep_alive)), status::success);
}

TEST_F(Conformance, ConnectIsCheckedFieldByField) {
    const auto attempt = [this](auto change) {
        RawHost& host = fresh();
        host.handshake();
        nvme::ConnectCommand command;
        command.sqsize = 31;
        nvme::ConnectData data;
        data.hostid[0] = 1;
        nvme::fill_nqn_field(data.subnqn, Rig::nqn);
        nvme::fill_nqn_field(data.hostnqn, "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001");
        change(command, data);
        return host.execute(nvme::to_command(command), bytes_of(data));
    };
    const auto expect_parameter = [](const std::optional<nvme::Completion>& completion, uint32_t offset, bool in_data) {
        expect_status(completion, status::connect_invalid_parameters);
        ASSERT_TRUE(completion);
        EXPECT_EQ(completion->cdw0, nvme::connect_invalid(static_cast<uint16_t>(offset), in_data));
    };
    expect_status(attempt([](auto& command, auto&) { command.recfmt = 1; }), status::connect_incompatible_format);
    expect_parameter(attempt([](auto& command, auto&) { command.sqsize = 0xFFFF; }), 44, false);
    expect_parameter(attempt([](auto& command, auto&) { command.sqsize = 0; }), 44, false);
    expect_parameter(attempt([](auto&, auto& data) { data.cntlid = 0xFFF0; }), 16, true);
    expect_parameter(attempt([](auto&, auto& data) { data.subnqn.fill('n'); }), 256, true);
    expect_parameter(attempt([](auto&, auto& data) { data.hostnqn.fill('n'); }), 512, true);
    expect_parameter(attempt([](auto&, auto& data) { nvme::fill_nqn_field(data.hostnqn, "hello"); }), 512, true);
    expect_parameter(attempt([](auto&, auto& data) { nvme::fill_nqn_field(data.subnqn, "nqn.2000-01.x:none"); }), 256,
                     true);
    RawHost& admin = ready();
    const auto io_connect = [&](auto change) {
        return attempt([&](auto& command, auto& data) {
            command.qid = 1;
            data.cntlid = admin.cntlid();
            data.hostid[0] = admin.host_number;
            nvme::fill_nqn_field(data.hostnqn, "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000009");
            change(command, data);
        });
    };
    expect_parameter(io_connect([](auto&, auto& data) { data.cntlid = 7777; }), 16, true);
    expect_parameter(io_connect([](auto&, auto& data) { data.hostid[5] = 1; }), 0, true);
    expect_parameter(io_connect([](auto&, auto& data) {
                         nvme::fill_nqn_field(data.hostnqn,
                                              "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000007");
                     }),
                     512, true);
    RawHost& io = io_queue(admin.cntlid());
    expect_status(io_connect([](auto&, auto&) {}), status::command_sequence_error);  // QID 1 is in use
    (void)io;
}

TEST_F(Conformance, CommandsBeforeTheirTime) {
    RawHost& host = fresh();
    host.handshake();
    nvme::Command identify = admin_command(nvme::AdminOpcode::identify);
    identify.dptr = nvme::SglDescriptor::transport(4096);
    expect_status(host.execute(identify), status::command_sequence_error);
    const auto connected = host.connect(0, nvme::cntlid_dynamic);
    expect_status(connected, status::success);
    expect_status(host.execute(identify), status::command_sequence_error);  // CC.EN is 0
}

TEST_F(Conformance, AdminCommandsThatMakeNoSense) {
    RawHost& host = ready();
    nvme::Command identify = admin_command(nvme::AdminOpcode::identify);
    identify.cdw10 = 0xFF;
    identify.dptr = nvme::SglDescriptor::transport(4096);
    expect_status(host.execute(identify), status::invalid_field);
    identify.cdw10 = 1;
    identify.dptr = nvme::SglDescriptor::transport(0);
    expect_status(host.execute(identify), status::data_sgl_length_invalid);
    nvme::Command log = admin_command(nvme::AdminOpcode::get_log_page);
    log.cdw10 = 2 | 127U << 16;
    log.cdw12 = 1 << 20;
    log.dptr = nvme::SglDescriptor::transport(512);
    expect_status(host.execute(log), status::invalid_field);  // an offset past the end
    log.cdw10 = 2 | 0xFFFFU << 16;
    log.cdw11 = 0xFFFF;
    log.cdw12 = 0;
    expect_status(host.execute(log), status::invalid_field);  // NUMD of 16 GiB
    nvme::Command feature = admin_command(nvme::AdminOpcode::get_features);
    feature.cdw10 = 0xFF;
    expect_status(host.execute(feature), status::invalid_field);
    feature = admin_command(nvme::AdminOpcode::set_features);
    feature.cdw10 = static_cast<uint32_t>(nvme::FeatureId::keep_alive_timer);
    expect_status(host.execute(feature), status::keep_alive_timeout_invalid);
    nvme::Command abort = admin_command(nvme::AdminOpcode::abort);
    abort.cdw10 = 0xBEEF0000;
    const auto aborted = host.execute(abort);
    expect_status(aborted, status::success);
    ASSERT_TRUE(aborted);
    EXPECT_EQ(aborted->cdw0 & 1, 1U);
    expect_status(host.execute(admin_command(nvme::AdminOpcode::create_io_sq)), status::invalid_opcode);
    expect_status(host.execute(admin_command(nvme::AdminOpcode::sanitize)), status::invalid_opcode);
    nvme::DisconnectCommand disconnect;
    expect_status(host.execute(nvme::to_command(disconnect)), status::invalid_queue_type);
}

TEST_F(Conformance, ACidThatIsInUseIsRefused) {
    RawHost& host = io_queue(ready().cntlid());
    nvme::Command write = io_command(nvme::IoOpcode::write, 0, 32);
    write.dptr = nvme::SglDescriptor::transport(32 * 512);
    write.cid = 77;
    host.send(host.capsule(write));
    EXPECT_EQ(host.take().size(), 1U) << "its R2T";
    host.send(host.capsule(write));
    const auto pdus = host.take();
    ASSERT_EQ(pdus.size(), 1U);
    expect_status(pdus[0].as<wire::CapsuleResp>().cqe, status::cid_conflict);
}

// The host has forgotten them by then: a completion would end the connection.
TEST_F(Conformance, AShutdownSaysNothingOfEventRequests) {
    RawHost& host = ready();
    nvme::Command events = admin_command(nvme::AdminOpcode::async_event_request);
    events.cid = 1000;
    host.send(host.capsule(events));
    nvme::PropertySetCommand shutdown;
    shutdown.offset = nvme::property::cc;
    shutdown.value = nvme::Configuration{}
                         .with(nvme::Configuration::en, 1)
                         .with(nvme::Configuration::iosqes, nvme::sqe_size_log2)
                         .with(nvme::Configuration::iocqes, nvme::cqe_size_log2)
                         .with(nvme::Configuration::shn, nvme::Configuration::shn_normal)
                         .raw;
    expect_status(host.execute(nvme::to_command(shutdown)), status::success);
    rig.run_for(env::ns_per_s);
    host.send({});
    EXPECT_TRUE(host.take().empty());
    nvme::PropertyGetCommand state;
    state.offset = nvme::property::csts;
    const auto got = host.execute(nvme::to_command(state));
    expect_status(got, status::success);
    const auto csts = nvme::ControllerStatus::from(static_cast<uint32_t>(got->value64()));
    EXPECT_EQ(csts.get(nvme::ControllerStatus::shst), nvme::ControllerStatus::shst_complete);
}

// What SPDK's initiator does when it detaches; of other commands the CID is taken.
TEST_F(Conformance, TheCidOfAnEventRequestMayBeUsedAgain) {
    RawHost& host = ready();
    const auto send = [&](nvme::AdminOpcode opcode, uint16_t cid) {
        nvme::Command command = admin_command(opcode);
        command.cid = cid;
        if (opcode == nvme::AdminOpcode::keep_alive) command.nsid = 0;
        host.send(host.capsule(command));
        return host.take();
    };
    for (uint16_t round = 0; round < 10; ++round) {
        for (uint16_t cid = 1000; cid < 1004; ++cid) {
            EXPECT_TRUE(send(nvme::AdminOpcode::async_event_request, cid).empty()) << "round " << round;
        }
        for (uint16_t cid = 1000; cid < 1004; ++cid) {
            const auto pdus = send(nvme::AdminOpcode::keep_alive, cid);
            ASSERT_EQ(pdus.size(), 1U);
            EXPECT_EQ(pdus[0].as<wire::CapsuleResp>().cqe.cid, cid);
            expect_status(pdus[0].as<wire::CapsuleResp>().cqe, status::success);
        }
    }
}

TEST_F(Conformance, KeepAliveRunsOut) {
    RawHost& host = fresh();
    host.handshake();
    nvme::ConnectCommand command;
    command.sqsize = 31;
    command.kato = 2000;
    nvme::ConnectData data;
    data.hostid[0] = 1;
    nvme::fill_nqn_field(data.subnqn, Rig::nqn);
    nvme::fill_nqn_field(data.hostnqn, "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001");
    expect_status(host.execute(nvme::to_command(command), bytes_of(data)), status::success);
    rig.run_for(1900 * env::ns_per_ms);
    host.send({});
    EXPECT_FALSE(host.is_closed());
    rig.run_for(2000 * env::ns_per_ms);
    host.send({});
    EXPECT_TRUE(host.is_closed());
}

// A debugger, or a machine that was suspended: what the host sent meanwhile counts.
TEST_F(Conformance, KeepAliveOutlivesATargetThatStoodStill) {
    RawHost& host = fresh();
    host.handshake();
    nvme::ConnectCommand command;
    command.sqsize = 31;
    command.kato = 2000;
    nvme::ConnectData data;
    data.hostid[0] = 1;
    nvme::fill_nqn_field(data.subnqn, Rig::nqn);
    nvme::fill_nqn_field(data.hostnqn, "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001");
    expect_status(host.execute(nvme::to_command(command), bytes_of(data)), status::success);
    // The answer arrives, and a Keep Alive is on its way, when the time to send it is long over.
    rig.world().advance_to(rig.world().now() + 10 * env::ns_per_s);
    rig.run_for(400 * env::ns_per_ms);
    // CC.EN is 0: it is refused, but it is there.
    expect_status(host.execute(admin_command(nvme::AdminOpcode::keep_alive)), status::command_sequence_error);
    EXPECT_FALSE(host.is_closed());
    rig.run_for(3000 * env::ns_per_ms);
    host.send({});
    EXPECT_TRUE(host.is_closed());
}

}  // namespace
}  // namespace weft::test
