// Connections whose next command has no place, while what would make one stands behind it in the stream.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/fabrics.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

namespace wire = nvme::wire;
constexpr uint32_t data_bytes = 4096;
constexpr uint16_t queue_size = 32;  // what RawHost connects with
constexpr uint16_t buffer_count = 40;  // and one that is kept for in-capsule data

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = 512;
    options.block_count = 2048;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", "stall"})));
}

nvme::Command io_command(nvme::IoOpcode opcode, uint16_t cid) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1;
    command.cid = cid;
    command.set_lba_range(0, data_bytes / 512);
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    command.dptr = nvme::SglDescriptor::transport(data_bytes);
    return command;
}

struct Exported {
    Exported() {
        nvmf::TransportOptions options;
        options.num_shared_buffers = buffer_count + 1;
        options.buf_cache_size = 0;
        rig.run(rig.export_device(ram_disk(), options));
    }
    Rig rig{31};
};

struct Stalls : Exported, testing::Test {
    Stalls() {
        admin.handshake();
        admin.connect_admin();
        for (RawHost* host : {&first, &second}) {
            host->handshake();
            const auto connected = host->connect(host == &first ? 1 : 2, admin.cntlid());
            EXPECT_TRUE(connected && nvme::Status::from_wire(connected->status).is_success());
        }
    }
    ~Stalls() override {
        for (RawHost* host : {&first, &second, &admin}) host->close();
        rig.run_for(20 * env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle());
    }

    static ByteVector data_for(const RawHost& host, const wire::R2t& r2t) {
        ByteVector pdu(wire::encoded_size_max);
        pdu.resize(wire::encode_h2c_data(
            pdu, {.cccid = r2t.cccid, .ttag = r2t.ttag, .length = data_bytes, .is_last = true}, host.framing));
        pdu.resize(pdu.size() + data_bytes);
        return pdu;
    }
    // Sends the data that R2Ts ask for until nothing more is asked; the CIDs that ended.
    static std::set<uint16_t> serve(RawHost& host, std::vector<SentPdu> pdus) {
        std::set<uint16_t> ended;
        while (!pdus.empty()) {
            std::vector<SentPdu> next;
            for (const SentPdu& pdu : pdus) {
                if (pdu.type == wire::PduType::capsule_resp) ended.insert(pdu.as<wire::CapsuleResp>().cqe.cid);
                if (pdu.type != wire::PduType::r2t) continue;
                host.send(data_for(host, pdu.as<wire::R2t>()));
                std::ranges::move(host.take(), std::back_inserter(next));
            }
            pdus = std::move(next);
        }
        return ended;
    }

    RawHost admin{rig};
    RawHost first{rig};
    RawHost second{rig};
};

TEST_F(Stalls, MoreCommandsThanTheQueueHoldsEndAConnectionThatOnlyItsHostCouldMoveOn) {
    for (uint16_t cid = 0; cid < queue_size; ++cid) {
        first.send(first.capsule(io_command(nvme::IoOpcode::write, cid)));
    }
    const auto asked = first.take();
    ASSERT_EQ(asked.size(), size_t{queue_size}) << "an R2T for each";
    first.send(first.capsule(io_command(nvme::IoOpcode::write, queue_size)));
    const auto pdus = first.take();
    ASSERT_EQ(pdus.size(), 1U);
    ASSERT_EQ(pdus[0].type, wire::PduType::c2h_term_req);
    EXPECT_EQ(pdus[0].as<wire::TermReq>().fes, static_cast<uint16_t>(wire::FatalErrorStatus::pdu_sequence_error));
    // Also while the first one's Connect waits for its data: a queue has one entry then.
    RawHost early(rig);
    early.handshake();
    nvme::ConnectCommand connect;
    nvme::Command command = nvme::to_command(connect);
    command.dptr = nvme::SglDescriptor::transport(sizeof(nvme::ConnectData));
    early.send(early.capsule(command));
    EXPECT_EQ(early.take().size(), 1U) << "its R2T";
    early.send(early.capsule(command));
    const auto said = early.take();
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(said[0].type, wire::PduType::c2h_term_req);
    early.close();
}

TEST_F(Stalls, MoreCommandsThanTheQueueHoldsWaitForThoseThatEnd) {
    ByteVector all;
    constexpr uint16_t count = 3 * queue_size;
    for (uint16_t cid = 0; cid < count; ++cid) {
        const ByteVector capsule = first.capsule(io_command(nvme::IoOpcode::flush, cid));
        all.insert(all.end(), capsule.begin(), capsule.end());
    }
    first.send(all);
    EXPECT_EQ(first.take().size(), size_t{count});
}

TEST_F(Stalls, CapsulesWithDataPassCommandsThatHoldAllBuffersAndWaitForTheirs) {
    std::vector<SentPdu> asked[2];
    RawHost* const hosts[] = {&first, &second};
    for (uint16_t cid = 0; cid < buffer_count / 2; ++cid) {
        for (RawHost* host : hosts) host->send(host->capsule(io_command(nvme::IoOpcode::compare, cid)));
    }
    for (size_t at = 0; at < 2; ++at) {
        asked[at] = hosts[at]->take();
        ASSERT_EQ(asked[at].size(), buffer_count / 2U) << "R2Ts: the pool is empty now";
    }
    // In two pieces: a device can take only data that is there at once.
    const ByteVector data(data_bytes);
    for (RawHost* host : hosts) {
        nvme::Command behind = io_command(nvme::IoOpcode::compare, 100);
        behind.dptr = nvme::SglDescriptor::in_capsule(data_bytes);
        const ByteVector capsule = host->capsule(behind, data);
        host->send(Bytes(capsule).first(1000));
        host->send(Bytes(capsule).subspan(1000));
    }
    for (size_t at = 0; at < 2; ++at) {
        auto pdus = std::move(asked[at]);
        std::ranges::move(hosts[at]->take(), std::back_inserter(pdus));
        const auto ended = serve(*hosts[at], std::move(pdus));
        EXPECT_EQ(ended.size(), buffer_count / 2U + 1U);
        EXPECT_TRUE(ended.contains(100));
    }
}

}  // namespace
}  // namespace weft::test
