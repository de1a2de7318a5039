// What fuzzers and seeds found in the target, each as a case of its own.
#include <gtest/gtest.h>

#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/fabrics.h"
#include "nvmf/poll_group.h"
#include "reactor/reactor.h"
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

// A change of the namespaces holds admin commands back. Among them an Abort of another one, which is taken out of the
// list while the list is gone through.
TEST(Pause, AnAbortAmongHeldCommandsMayTakeOneOfThemOut) {
    RigOptions slow;
    slow.world.disk.latency = {.min = 50 * env::ns_per_ms, .max = 50 * env::ns_per_ms};
    Rig rig(7, slow);
    rig.run([](Rig& r) -> Task<void> {
        {
            auto file = Reactor::current().environment().files().open("/disk", {.create = true});
            EXPECT_TRUE(file && (*file)->resize(1 << 20));
        }
        EXPECT_TRUE(co_await bdev::create_file_device(
            r.bdevs(), {.name = "File0", .filename = "/disk", .block_bytes = 512, .direct = false}));
        co_await r.export_device("File0");
    }(rig));
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
    write.cid = 7;
    write.set_lba_range(0, 1);
    write.dptr = nvme::SglDescriptor::in_capsule(512);
    const ByteVector block(512);
    queue.send(queue.capsule(write, block));
    bool is_removed = false;
    {
        const CurrentThread scope(&rig.target_runtime().app_thread());
        spawn([](Rig& r, bool& done) -> Task<void> {
            co_await yield();
            EXPECT_TRUE(co_await r.target().find_subsystem(Rig::nqn)->remove_namespace(1));
            done = true;
        }(rig, is_removed));
    }
    rig.run_for(env::ns_per_ms);
    nvme::Command abort;
    abort.opcode = static_cast<uint8_t>(nvme::AdminOpcode::abort);
    abort.cid = 40;
    abort.cdw10 = 50U << 16;  // CID 50 of queue 0
    nvme::Command identify;
    identify.opcode = static_cast<uint8_t>(nvme::AdminOpcode::identify);
    identify.cid = 50;
    identify.cdw10 = 1;
    identify.dptr = nvme::SglDescriptor::transport(4096);
    ByteVector both = admin.capsule(abort);
    const ByteVector second = admin.capsule(identify);
    both.insert(both.end(), second.begin(), second.end());
    admin.send(both);
    EXPECT_TRUE(admin.take().empty()) << "the change is still going on";
    EXPECT_FALSE(is_removed);
    rig.run_for(100 * env::ns_per_ms);
    EXPECT_TRUE(is_removed);
    admin.send({});
    const auto answers = admin.take();
    ASSERT_EQ(answers.size(), 2U);
    for (const SentPdu& answer : answers) {
        const auto cqe = answer.as<nvme::wire::CapsuleResp>().cqe;
        const auto expected = cqe.cid == 50 ? nvme::status::aborted_by_request : nvme::status::success;
        EXPECT_TRUE(Status::from_wire(cqe.status).is(expected)) << cqe.cid;
    }
    queue.close();
    admin.close();
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

}  // namespace
}  // namespace weft::test
