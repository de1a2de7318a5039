// What a host cannot take for itself by being slow, silent or many: time, connections, and other hosts' turns.
#include <gtest/gtest.h>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/fabrics.h"
#include "nvmf/poll_group.h"
#include "nvmf/subsystem.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

using nvme::Status;
using nvme::wire::PduType;

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = 512;
    options.block_count = 2048;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"})));
}

nvme::Command io_command(nvme::IoOpcode opcode, uint32_t blocks) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1;
    command.cid = 77;
    command.set_lba_range(0, blocks);
    command.dptr = nvme::SglDescriptor::transport(blocks * 512);
    return command;
}

class Bounds : public testing::Test {
protected:
    ~Bounds() override {
        hosts_.clear();
        rig.run_for(10 * env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle());
    }
    void start(nvmf::TransportOptions options = {}) { rig.run(rig.export_device(ram_disk(), std::move(options))); }

    RawHost& fresh() {
        hosts_.push_back(std::make_unique<RawHost>(rig));
        hosts_.back()->host_number = static_cast<uint8_t>(hosts_.size());
        return *hosts_.back();
    }
    RawHost& admin() {
        RawHost& host = fresh();
        host.handshake();
        host.connect_admin();
        return host;
    }
    // A controller's I/O queue.
    RawHost& io_queue(RawHost& of) {
        const uint16_t cntlid = of.cntlid();
        RawHost& host = fresh();
        host.host_number = of.host_number;
        host.handshake();
        const auto connected = host.connect(1, cntlid);
        EXPECT_TRUE(connected && Status::from_wire(connected->status).is_success());
        return host;
    }
    bool is_closed(RawHost& host) {
        host.send({});
        return host.is_closed();
    }
    void run_seconds(uint64_t seconds) { rig.run_for(seconds * env::ns_per_s); }
    nvmf::TransportFigures figures() {
        nvmf::TransportFigures sum;
        for (const auto& group : rig.target().poll_groups()) {
            const CurrentThread scope(&group->thread());
            if (nvmf::TransportGroup* mine = group->transport_group(*rig.target().find_transport("tcp"))) {
                sum.add(mine->transport_figures());
            }
        }
        return sum;
    }

    Rig rig{1};

private:
    std::vector<std::unique_ptr<RawHost>> hosts_;
};

// A byte now and then is not progress: the time is from accept to a finished Connect.
TEST_F(Bounds, DribblingDoesNotProlongTheHandshake) {
    start();
    RawHost& host = fresh();
    ByteVector bytes(nvme::wire::encoded_size_max);
    bytes.resize(nvme::wire::encode_ic_req(bytes, {}));
    for (int second = 0; second < 9; ++second) {
        host.send(Bytes(bytes).subspan(static_cast<size_t>(second), 1));
        run_seconds(1);
        EXPECT_FALSE(host.is_closed());
    }
    host.send(Bytes(bytes).subspan(9, 1));
    run_seconds(2);
    EXPECT_TRUE(is_closed(host));
    EXPECT_EQ(figures().timed_out_connections, 1U);
}

TEST_F(Bounds, NorDoesConnectThatIsRefused) {
    start();
    RawHost& host = fresh();
    host.handshake();
    for (int second = 0; second < 9; ++second) {
        EXPECT_TRUE(host.connect(0, nvme::cntlid_dynamic, "nqn.2016-06.io.spdk:none"));
        run_seconds(1);
        ASSERT_FALSE(host.is_closed());
    }
    run_seconds(2);
    EXPECT_TRUE(is_closed(host));
}

TEST_F(Bounds, APduThatIsBegunMustComeToItsEnd) {
    start();
    RawHost& host = admin();
    RawHost& other = admin();
    const ByteVector capsule = host.capsule(nvme::Command{});
    for (size_t at = 0; at < 9; ++at) {
        host.send(Bytes(capsule).subspan(at, 1));
        run_seconds(1);
        ASSERT_FALSE(host.is_closed()) << at;
    }
    run_seconds(4);
    EXPECT_TRUE(is_closed(host));
    EXPECT_EQ(figures().timed_out_connections, 1U);
    EXPECT_FALSE(is_closed(other));
}

TEST_F(Bounds, BetweenPdusThereIsTime) {
    start();
    RawHost& host = admin();
    RawHost& queue = io_queue(host);
    for (int minute = 0; minute < 5; ++minute) {
        run_seconds(60);
        nvme::Command alive;
        alive.opcode = static_cast<uint8_t>(nvme::AdminOpcode::keep_alive);
        ASSERT_TRUE(host.execute(alive));
        ASSERT_FALSE(is_closed(queue));
    }
    EXPECT_EQ(figures().timed_out_connections, 0U);
}

TEST_F(Bounds, SlowIsNotTooSlowAsLongAsPdusEnd) {
    start();
    RawHost& host = admin();
    nvme::Command alive;
    alive.opcode = static_cast<uint8_t>(nvme::AdminOpcode::keep_alive);
    // 72 bytes in nine seconds each.
    for (uint16_t round = 0; round < 5; ++round) {
        alive.cid = static_cast<uint16_t>(1000 + round);
        const ByteVector capsule = host.capsule(alive);
        for (size_t at = 0; at < capsule.size(); at += 8) {
            host.send(Bytes(capsule).subspan(at, std::min<size_t>(8, capsule.size() - at)));
            run_seconds(1);
        }
        ASSERT_FALSE(host.is_closed()) << round;
        EXPECT_EQ(host.take().size(), 1U);
    }
}

TEST_F(Bounds, DataThatWasAskedForMustCome) {
    start();
    RawHost& host = admin();
    RawHost& queue = io_queue(host);
    queue.send(queue.capsule(io_command(nvme::IoOpcode::write, 64)));
    const auto pdus = queue.take();
    ASSERT_EQ(pdus.size(), 1U);
    EXPECT_EQ(pdus[0].type, PduType::r2t);
    run_seconds(9);
    EXPECT_FALSE(is_closed(queue));
    run_seconds(5);
    EXPECT_TRUE(is_closed(queue));
    EXPECT_FALSE(is_closed(host));
}

TEST_F(Bounds, TheTimeOfAPduCanBeSet) {
    nvmf::TransportOptions options;
    options.pdu_timeout_ms = 0;
    start(options);
    RawHost& host = admin();
    host.send(Bytes(host.capsule(nvme::Command{})).first(5));
    run_seconds(100);
    EXPECT_FALSE(is_closed(host));
}

// The oldest one goes; who has finished Connect stays.
TEST_F(Bounds, StrangersMakeRoomForEachOther) {
    nvmf::TransportOptions options;
    options.max_connecting = 4;
    start(options);
    RawHost& known = admin();
    std::vector<RawHost*> silent;
    for (int at = 0; at < 6; ++at) silent.push_back(&fresh());
    run_seconds(1);
    for (size_t at = 0; at < 6; ++at) EXPECT_EQ(is_closed(*silent[at]), at < 2) << at;
    EXPECT_EQ(figures().displaced_connections, 2U);
    EXPECT_EQ(figures().current_connecting, 4U);
    admin();
    EXPECT_FALSE(is_closed(known));
    EXPECT_EQ(figures().current_connecting, 3U);
}

// When a thousand hosts come back at once, their Connects wait for each other: that is not their fault.
TEST_F(Bounds, WhoseConnectIsBeingExecutedMakesNoRoom) {
    nvmf::TransportOptions options;
    options.max_connecting = 2;
    start(options);
    RawHost& known = fresh();
    known.handshake();
    nvmf::Subsystem& subsystem = *rig.target().find_subsystem(Rig::nqn);
    std::optional<AsyncMutex::Guard> change;
    rig.run([](nvmf::Subsystem& of, std::optional<AsyncMutex::Guard>& held) -> Task<void> {
        auto begun = co_await of.begin_change();
        held.emplace(std::move(*begun));
    }(subsystem, change));
    EXPECT_FALSE(known.connect(0, nvme::cntlid_dynamic).has_value()) << "it waits for the change";
    std::vector<RawHost*> silent;
    for (int at = 0; at < 4; ++at) silent.push_back(&fresh());
    run_seconds(1);
    EXPECT_FALSE(is_closed(known));
    for (size_t at = 0; at < 4; ++at) EXPECT_EQ(is_closed(*silent[at]), at < 2) << at;
    EXPECT_EQ(figures().current_connecting, 3U);
    rig.run([](std::optional<AsyncMutex::Guard>& held) -> Task<void> {
        held.reset();
        co_return;
    }(change));
    run_seconds(1);
    EXPECT_FALSE(is_closed(known));
    const auto answers = known.take();
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_TRUE(Status::from_wire(answers[0].as<nvme::wire::CapsuleResp>().cqe.status).is_success());
    EXPECT_EQ(figures().current_connecting, 2U);
}

// The answer was no, and it stays: it is as any other again.
TEST_F(Bounds, WhoseConnectWasRefusedDoes) {
    nvmf::TransportOptions options;
    options.max_connecting = 2;
    start(options);
    RawHost& refused = fresh();
    refused.handshake();
    const auto answer = refused.connect(0, nvme::cntlid_dynamic, "nqn.2016-06.io.spdk:nothing");
    ASSERT_TRUE(answer.has_value());
    EXPECT_FALSE(Status::from_wire(answer->status).is_success());
    EXPECT_EQ(figures().current_connecting, 1U);
    fresh();
    fresh();
    run_seconds(1);
    EXPECT_TRUE(is_closed(refused));
    EXPECT_EQ(figures().current_connecting, 2U);
}

TEST_F(Bounds, OfASourceThereAreSoManyAndNoMore) {
    nvmf::TransportOptions options;
    options.max_connections_per_source = 3;
    start(options);
    RawHost& first = admin();
    RawHost& second = admin();
    RawHost& silent = fresh();
    run_seconds(1);
    EXPECT_FALSE(is_closed(silent));
    // One more takes the place of who has not finished; when all have, it is refused.
    RawHost& third = admin();
    EXPECT_TRUE(is_closed(silent));
    RawHost& fourth = fresh();
    run_seconds(1);
    EXPECT_TRUE(is_closed(fourth));
    EXPECT_EQ(figures().refused_connections, 1U);
    EXPECT_FALSE(is_closed(first) || is_closed(second) || is_closed(third));
    first.close();
    run_seconds(1);
    admin();
}

TEST_F(Bounds, AndInAll) {
    nvmf::TransportOptions options;
    options.max_connections = 2;
    start(options);
    RawHost& first = admin();
    RawHost& second = admin();
    RawHost& third = fresh();
    run_seconds(1);
    EXPECT_TRUE(is_closed(third));
    EXPECT_FALSE(is_closed(first) || is_closed(second));
}

// 120 s, though the host asked for none.
TEST_F(Bounds, AHostThatNamesNoKeepAliveTimeHasOne) {
    start();
    RawHost& host = fresh();
    host.kato = 0;
    host.handshake();
    host.connect_admin();
    run_seconds(110);
    EXPECT_FALSE(is_closed(host));
    run_seconds(12);
    EXPECT_TRUE(is_closed(host));
}

TEST_F(Bounds, ItsCommandsOnIoQueuesCount) {
    start();
    RawHost& host = fresh();
    host.kato = 0;
    host.handshake();
    host.connect_admin();
    RawHost& queue = io_queue(host);
    for (int minute = 0; minute < 10; ++minute) {
        nvme::Command flush;
        flush.opcode = static_cast<uint8_t>(nvme::IoOpcode::flush);
        flush.nsid = 1;
        ASSERT_TRUE(queue.execute(flush)) << minute;
        run_seconds(60);
        ASSERT_FALSE(is_closed(host)) << minute;
    }
    run_seconds(250);
    EXPECT_TRUE(is_closed(host));
    EXPECT_TRUE(is_closed(queue));
}

TEST_F(Bounds, AHostWithoutANameIsRefused) {
    start();
    RawHost& host = fresh();
    host.handshake();
    nvme::ConnectCommand command;
    command.sqsize = 31;
    nvme::ConnectData data;
    data.cntlid = nvme::cntlid_dynamic;
    nvme::fill_nqn_field(data.subnqn, Rig::nqn);
    const auto answer = host.execute(nvme::to_command(command), bytes_of(data));
    ASSERT_TRUE(answer);
    EXPECT_TRUE(Status::from_wire(answer->status).is(nvme::status::connect_invalid_parameters));
    EXPECT_EQ(answer->cdw0, nvme::connect_invalid(offsetof(nvme::ConnectData, hostnqn), true));
}

// Each try to start the target takes up the threads that the one before left.
TEST_F(Bounds, TargetsThatCameAndWentLeaveNoMoreThreads) {
    start();
    const auto count = [this] {
        size_t threads = 0;
        for (const auto& reactor : rig.target_runtime().data_reactors()) threads += reactor->threads().size();
        return threads;
    };
    const auto come_and_go = [this] {
        nvmf::Target other(rig.target_runtime(), rig.bdevs(), "other");
        rig.run([](nvmf::Target& target) -> Task<void> {
            EXPECT_TRUE(co_await target.start());
            co_await target.stop();
        }(other));
    };
    const size_t before = count();
    come_and_go();
    EXPECT_EQ(count(), before + 1);  // beside the one that works
    come_and_go();
    EXPECT_EQ(count(), before + 1);
    EXPECT_TRUE(admin().execute(nvme::Command{}));
}

}  // namespace
}  // namespace weft::test
