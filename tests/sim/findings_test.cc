// What the fuzzers found in the target, each as a case of its own.
#include <gtest/gtest.h>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/fabrics.h"
#include "nvmf/poll_group.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

using nvme::Status;

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = 512;
    options.block_count = 2048;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"})));
}

struct Findings : testing::Test {
    Findings() { rig.run(rig.export_device(ram_disk())); }
    size_t queues() {
        size_t count = 0;
        for (nvmf::PollGroup* group : rig.target().poll_groups()) {
            const CurrentThread scope(&group->thread());
            for (auto* at = group->qpairs.front(); at != nullptr; at = decltype(group->qpairs)::next(*at)) ++count;
        }
        return count;
    }
    Rig rig{31};
};

// More commands than the queue has places, all waiting for data that stands behind them: nothing can move any more, and
// what the connection holds must not stay.
TEST_F(Findings, AConnectionThatItsHostHasStalledForGoodEnds) {
    RawHost admin(rig);
    admin.handshake();
    admin.connect_admin();
    RawHost queue(rig);
    queue.handshake();
    const auto connected = queue.connect(1, admin.cntlid());
    ASSERT_TRUE(connected && Status::from_wire(connected->status).is_success());
    nvme::Command write;
    write.opcode = static_cast<uint8_t>(nvme::IoOpcode::write);
    write.nsid = 1;
    write.set_lba_range(0, 1);
    write.dptr = nvme::SglDescriptor::transport(512);
    ByteVector bytes;
    for (uint16_t cid = 100; cid < 140; ++cid) {
        write.cid = cid;
        const ByteVector capsule = queue.capsule(write);
        bytes.insert(bytes.end(), capsule.begin(), capsule.end());
    }
    queue.send(bytes);
    EXPECT_EQ(queue.take().size(), 33U);  // R2Ts, and a C2HTermReq
    rig.run_for(2 * env::ns_per_s);
    EXPECT_EQ(queues(), 1U);
    admin.close();
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

}  // namespace
}  // namespace weft::test
