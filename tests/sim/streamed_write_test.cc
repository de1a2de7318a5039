// Large writes whose data goes into the RAM disk as it arrives: cut anywhere, with a pause, a loss or another namespace
// in between.
#include <gtest/gtest.h>

#include <algorithm>

#include "bdev/gate/device_gate.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/describe.h"
#include "nvmf/poll_group.h"
#include "nvmf/qpair.h"
#include "nvmf/subsystem.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

namespace status = nvme::status;
namespace wire = nvme::wire;
constexpr uint32_t block_bytes = 512;
constexpr uint32_t blocks = 64;
constexpr uint32_t data_bytes = blocks * block_bytes;

std::unique_ptr<bdev::Device> ram_disk(const char* name) {
    bdev::MallocOptions options;
    options.name = name;
    options.block_bytes = block_bytes;
    options.block_count = 2048;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", name})));
}

nvme::Command io_command(nvme::IoOpcode opcode, uint64_t slba) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1;
    command.cid = 77;
    command.set_lba_range(slba, blocks);
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    command.dptr = nvme::SglDescriptor::transport(data_bytes);
    return command;
}

// Before the hosts, who connect to it.
struct ExportedDisk {
    ExportedDisk() { rig.run(rig.export_device(ram_disk("Malloc0"))); }
    Rig rig{21};
};

struct StreamedWrite : ExportedDisk, testing::Test {
    StreamedWrite() {
        admin.handshake();
        admin.connect_admin();
        queue.handshake();
        const auto connected = queue.connect(1, admin.cntlid());
        EXPECT_TRUE(connected && nvme::Status::from_wire(connected->status).is_success());
        data.resize(data_bytes);
        for (std::byte& octet : data) octet = static_cast<std::byte>(rig.world().prng().below(256));
    }
    ~StreamedWrite() override {
        queue.close();
        admin.close();
        rig.run_for(20 * env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle());
    }

    // Sends the Write and takes its R2T.
    void begin(uint64_t slba) {
        queue.send(queue.capsule(io_command(nvme::IoOpcode::write, slba)));
        const auto pdus = queue.take();
        ASSERT_EQ(pdus.size(), 1U);
        ASSERT_EQ(pdus[0].type, wire::PduType::r2t);
        ttag = pdus[0].as<wire::R2t>().ttag;
        sent = 0;
    }
    // The next `bytes` of data, a PDU of its own.
    void send_piece(uint32_t bytes) {
        ByteVector pdu(wire::encoded_size_max);
        pdu.resize(wire::encode_h2c_data(
            pdu, {.cccid = 77, .ttag = ttag, .offset = sent, .length = bytes, .is_last = sent + bytes == data_bytes},
            queue.framing));
        pdu.insert(pdu.end(), data.begin() + sent, data.begin() + sent + bytes);
        queue.send(pdu);
        sent += bytes;
    }
    void expect_completion(nvme::Status expected) {
        const auto pdus = queue.take();
        ASSERT_EQ(pdus.size(), 1U);
        ASSERT_EQ(pdus[0].type, wire::PduType::capsule_resp);
        const auto got = nvme::Status::from_wire(pdus[0].as<wire::CapsuleResp>().cqe.status);
        EXPECT_TRUE(got.is(expected)) << nvme::describe(got) << " for " << nvme::describe(expected);
    }
    ByteVector read(uint64_t slba) {
        queue.send(queue.capsule(io_command(nvme::IoOpcode::read, slba)));
        ByteVector all;
        for (const SentPdu& pdu : queue.take()) {
            if (pdu.type != wire::PduType::c2h_data) continue;
            all.insert(all.end(), pdu.bytes.begin() + sizeof(wire::C2hData), pdu.bytes.end());
        }
        return all;
    }
    nvmf::Subsystem& subsystem() { return *rig.target().find_subsystem(Rig::nqn); }
    // As a change of the namespace does, on the only poll group.
    void set_paused(bool is_paused) {
        rig.run([](Rig& r, nvmf::Subsystem& which, bool pause) -> Task<void> {
            nvmf::PollGroup& group = *r.target().poll_groups().front();
            co_await resume_on(group.thread());
            nvmf::SubsystemView& view = *group.subsystem(which.identity().id);
            view.find(1)->is_paused = pause;
            while (!pause && !view.held.empty()) {
                nvmf::Request* request = view.held.pop_front();
                request->qpair->resume(*request);
            }
            co_await resume_on(r.target_runtime().app_thread());
        }(rig, subsystem(), is_paused));
        queue.send({});  // what is answered now arrives
    }

    RawHost admin{rig};
    RawHost queue{rig};
    ByteVector data;
    uint16_t ttag = 0;
    uint32_t sent = 0;
};

TEST_F(StreamedWrite, BlocksAreWholeHoweverTheDataIsCut) {
    for (int round = 0; round < 40; ++round) {
        const uint64_t slba = rig.world().prng().below(2048 - blocks);
        std::ranges::rotate(data, data.begin() + 5);
        begin(slba);
        while (sent < data_bytes) {
            const uint64_t most = round % 2 == 0 ? 3 * block_bytes : data_bytes;
            const auto bytes = static_cast<uint32_t>(4 + 4 * rig.world().prng().below(most / 4));
            send_piece(std::min(bytes, data_bytes - sent));
        }
        expect_completion(status::success);
        ASSERT_EQ(read(slba), data) << "round " << round;
    }
    EXPECT_EQ(subsystem().namespaces().size(), 1U);
}

TEST_F(StreamedWrite, APauseKeepsTheRestUntilItIsOver) {
    for (const uint32_t before : {0U, 4U, 512U, 1000U, data_bytes - 4, data_bytes}) {
        const ByteVector old = read(100);
        std::ranges::rotate(data, data.begin() + 7);
        begin(100);
        if (before == data_bytes) send_piece(data_bytes - 100);
        if (before > 0 && before < data_bytes) send_piece(before);
        set_paused(true);
        const uint32_t stored = sent / block_bytes * block_bytes;
        while (sent < data_bytes) send_piece(std::min(1000U, data_bytes - sent));
        EXPECT_TRUE(queue.take().empty()) << "acknowledged in a pause";
        set_paused(false);
        expect_completion(status::success);
        EXPECT_EQ(read(100), data) << before << " bytes before the pause, " << stored << " of them stored";
        EXPECT_NE(old, data);
    }
}

// What the device's gate says counts from the next piece on, and what is kept goes through it.
TEST_F(StreamedWrite, ALimitOrAHoldOfItsDeviceKeepsTheRest) {
    bdev::DeviceGate& gate = rig.bdevs().find("Malloc0")->gate();
    for (const uint32_t before : {0U, 4U, 512U, 1000U, data_bytes - 4}) {
        std::ranges::rotate(data, data.begin() + 7);
        begin(100);
        if (before > 0) send_piece(before);
        rig.run([](bdev::DeviceGate& of) -> Task<void> { co_await of.set_rate_limits({.operations = 1000}); }(gate));
        while (sent < data_bytes) send_piece(std::min(1000U, data_bytes - sent));
        rig.run_for(10 * env::ns_per_ms);
        queue.send({});  // what is answered now arrives
        expect_completion(status::success);
        rig.run([](bdev::DeviceGate& of) -> Task<void> { co_await of.set_rate_limits({}); }(gate));
        EXPECT_EQ(read(100), data) << before << " bytes before the limit";

        std::ranges::rotate(data, data.begin() + 7);
        begin(100);
        if (before > 0) send_piece(before);
        uint64_t hold = 0;
        rig.run([](bdev::DeviceGate& of, uint64_t& id) -> Task<void> { id = co_await of.quiesce({}); }(gate, hold));
        while (sent < data_bytes) send_piece(std::min(1000U, data_bytes - sent));
        rig.run_for(10 * env::ns_per_ms);
        queue.send({});
        EXPECT_TRUE(queue.take().empty()) << "acknowledged while it was held";
        rig.run([](bdev::DeviceGate& of, uint64_t id) -> Task<void> { co_await of.release(id); }(gate, hold));
        queue.send({});
        expect_completion(status::success);
        EXPECT_EQ(read(100), data) << before << " bytes before the hold";
    }
}

TEST_F(StreamedWrite, FailsWhenItsNamespaceIsReplacedOnTheWay) {
    begin(0);
    send_piece(5000);
    rig.run([](Rig& r, nvmf::Subsystem& which) -> Task<void> {
        EXPECT_TRUE(co_await which.remove_namespace(1));
        EXPECT_TRUE(r.bdevs().add(ram_disk("Malloc1")));
        EXPECT_TRUE(co_await which.add_namespace({.bdev_name = "Malloc1", .nsid = 1}));
    }(rig, subsystem()));
    send_piece(5000);
    send_piece(data_bytes - sent);
    expect_completion(status::invalid_namespace_or_format);
    EXPECT_EQ(read(0), ByteVector(data_bytes)) << "the new namespace has none of it";
}

TEST_F(StreamedWrite, FailsWhenItsNamespaceGoesWhileTheRestIsKept) {
    begin(0);
    send_piece(5000);
    set_paused(true);
    send_piece(data_bytes - sent);
    EXPECT_TRUE(queue.take().empty());
    rig.run([](nvmf::Subsystem& which) -> Task<void> { EXPECT_TRUE(co_await which.remove_namespace(1)); }(subsystem()));
    queue.send({});
    expect_completion(status::invalid_namespace_or_format);
}

TEST_F(StreamedWrite, ALostConnectionLeavesWholeBlocks) {
    begin(0);
    send_piece(data_bytes);
    expect_completion(status::success);
    const ByteVector old = data;
    for (std::byte& octet : data) octet ^= std::byte{0xFF};
    begin(0);
    send_piece(10 * block_bytes + 100);
    queue.close();
    rig.run_for(20 * env::ns_per_s);
    RawHost again(rig);
    again.handshake();
    ASSERT_TRUE(again.connect(2, admin.cntlid()));
    again.send(again.capsule(io_command(nvme::IoOpcode::read, 0)));
    again.send({});  // the answer is long: time for all of it
    const auto pdus = again.take();
    ASSERT_FALSE(pdus.empty());
    const Bytes got = Bytes(pdus[0].bytes).subspan(sizeof(wire::C2hData), data_bytes);
    const size_t stored = 10 * block_bytes;
    EXPECT_TRUE(std::ranges::equal(got.first(stored), Bytes(data).first(stored)));
    EXPECT_TRUE(std::ranges::equal(got.subspan(stored), Bytes(old).subspan(stored)));
    again.close();
}

}  // namespace
}  // namespace weft::test
