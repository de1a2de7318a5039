// Limits of a host: one budget for all its queues on all reactors, changed while commands wait, and what waits is
// neither lost nor done twice when it is aborted or its connection goes.
#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "nvmf/poll_group.h"
#include "nvmf/subsystem.h"
#include "sim/io_user.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme::IoOpcode;
namespace status = nvme::status;

constexpr uint64_t block_count = 4096;
constexpr size_t command_bytes = 4096;

Task<Result<void>> limit(Rig& rig, size_t host, nvmf::LimitChange change) {
    Thread& home = Thread::current();
    co_await resume_on(rig.target_runtime().app_thread());
    nvmf::Subsystem& subsystem = *rig.target().find_subsystem(Rig::nqn);
    const std::string hostnqn = rig.host_options(host).hostnqn;
    Result<void> done = subsystem.hosts().contains(hostnqn) ? co_await subsystem.set_host_limits(hostnqn, change)
                                                            : co_await subsystem.add_host(hostnqn, {}, change);
    co_await resume_on(home);
    co_return done;
}

// Commands one after the other, as many at a time as there are, over all queues.
class Load {
public:
    Load(IoUser& user, size_t queues, size_t per_queue, IoOpcode opcode) {
        for (size_t at = 0; at < queues * per_queue; ++at) {
            slots_.emplace_back(*this, user.qpair(at % queues), at);
            slots_.back().io.command = command_of(opcode, at * 8, 8);
            slots_.back().next();
        }
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    [[nodiscard]] uint64_t done() const { return done_; }
    [[nodiscard]] uint64_t failed() const { return failed_; }
    Task<void> end() {
        is_over_ = true;
        while (under_way_ > 0) co_await sleep_for(env::ns_per_ms);
    }
    [[nodiscard]] size_t under_way() const { return under_way_; }
    void end_soon() { is_over_ = true; }

private:
    struct Slot {
        Slot(Load& its_load, nvme_host::Qpair& its_qpair, size_t number)
            : load(its_load), qpair(its_qpair), data(command_bytes, static_cast<std::byte>(number)) {}
        Load& load;
        nvme_host::Qpair& qpair;
        nvme_host::Io io;
        std::vector<std::byte> data;
        iovec piece{};
        void next() {
            piece = {.iov_base = data.data(), .iov_len = data.size()};
            io.data = {&piece, 1};
            io.context = this;
            io.done = [](nvme_host::Io& done) { static_cast<Slot*>(done.context)->finished(); };
            ++load.under_way_;
            qpair.submit(io);
        }
        void finished() {
            --load.under_way_;
            if (io.status().is_success()) {
                ++load.done_;
            } else {
                ++load.failed_;
            }
            if (!load.is_over_ && io.status().is_success()) next();
        }
    };
    std::deque<Slot> slots_;
    uint64_t done_ = 0;
    uint64_t failed_ = 0;
    size_t under_way_ = 0;
    bool is_over_ = false;
};

// How many commands wait because of a limit.
Task<size_t> count_limited(Rig& rig) {
    Thread& home = Thread::current();
    size_t count = 0;
    for (nvmf::PollGroup* group : rig.target().poll_groups()) {
        co_await resume_on(group->thread());
        for (nvmf::Qpair* at = group->qpairs.front(); at != nullptr; at = decltype(group->qpairs)::next(*at)) {
            for (auto* one = at->outstanding.front(); one != nullptr; one = decltype(at->outstanding)::next(*one)) {
                if (one->state() == nvmf::RequestState::limited) ++count;
            }
        }
    }
    co_await resume_on(home);
    co_return count;
}

void expect_near(uint64_t found, uint64_t wanted, const char* what) {
    // What nobody used is kept for 5 ms; beside that it is exact.
    EXPECT_GE(found, wanted * 97 / 100) << what;
    EXPECT_LE(found, wanted * 103 / 100 + 8) << what;
}

class HostLimits : public testing::TestWithParam<bool> {
protected:
    // RAM disk, which takes data at once and lends its memory, or a file, which does neither.
    void make(Rig& rig) {
        if (GetParam()) return export_file(rig, block_count, true);
        rig.run(rig.export_device(ram_disk("Malloc0", block_count, true)));
    }
};

TEST_P(HostLimits, AreOneBudgetForAllQueuesAndReactors) {
    Rig rig(21, RigOptions{.data_reactors = 2, .hosts = 2, .world = {}});
    make(rig);
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 2000}));
        auto user = co_await IoUser::connect(r, 0, 4);
        if (!user) co_return;
        for (const IoOpcode opcode : {IoOpcode::read, IoOpcode::write}) {
            Load load(*user, 4, 4, opcode);
            co_await sleep_for(500 * env::ns_per_ms);
            const uint64_t before = load.done();
            co_await sleep_for(2 * env::ns_per_s);
            expect_near(load.done() - before, 4000, "operations in two seconds");
            co_await load.end();
            EXPECT_EQ(load.failed(), 0U);
        }
        // Both ways at once share it.
        {
            Load reads(*user, 4, 2, IoOpcode::read);
            Load writes(*user, 4, 2, IoOpcode::write);
            co_await sleep_for(500 * env::ns_per_ms);
            const uint64_t before = reads.done() + writes.done();
            co_await sleep_for(2 * env::ns_per_s);
            expect_near(reads.done() + writes.done() - before, 4000, "both in two seconds");
            EXPECT_GT(reads.done(), 500U);
            EXPECT_GT(writes.done(), 500U);
            co_await reads.end();
            co_await writes.end();
        }
        co_await user->end();
    }(rig));
    // Another host is not concerned.
    rig.run_on_host(1, [](Rig& r) -> Task<void> {
        auto user = co_await IoUser::connect(r, 1, 4);
        if (!user) co_return;
        Load load(*user, 4, 4, IoOpcode::read);
        co_await sleep_for(env::ns_per_s);
        EXPECT_GT(load.done(), 8000U);
        co_await load.end();
        co_await user->end();
    }(rig));
}

TEST_P(HostLimits, OfBytesAreForTheirDirection) {
    Rig rig(22, RigOptions{.data_reactors = 2, .hosts = 1, .world = {}});
    make(rig);
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await limit(r, 0, {.written_bytes = 1000 * command_bytes}));
        auto user = co_await IoUser::connect(r, 0, 2);
        if (!user) co_return;
        Load writes(*user, 2, 8, IoOpcode::write);
        Load reads(*user, 2, 1, IoOpcode::read);
        co_await sleep_for(500 * env::ns_per_ms);
        const uint64_t before = writes.done();
        co_await sleep_for(2 * env::ns_per_s);
        expect_near(writes.done() - before, 2000, "writes in two seconds");
        EXPECT_GT(reads.done(), 6000U) << "reads have no limit and do not wait behind writes";
        co_await reads.end();
        co_await writes.end();
        EXPECT_EQ(reads.failed() + writes.failed(), 0U);
        co_await user->end();
    }(rig));
}

TEST_P(HostLimits, ChangeWhileCommandsWait) {
    Rig rig(23, RigOptions{.data_reactors = 2, .hosts = 1, .world = {}});
    make(rig);
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto user = co_await IoUser::connect(r, 0, 4);
        if (!user) co_return;
        Load load(*user, 4, 8, IoOpcode::write);
        co_await sleep_for(100 * env::ns_per_ms);
        EXPECT_GT(load.done(), 1000U) << "no limit yet";
        // Of a host that is connected, in the midst of its commands.
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 10}));
        co_await sleep_for(200 * env::ns_per_ms);
        EXPECT_GT(co_await count_limited(r), 24U);
        uint64_t before = load.done();
        co_await sleep_for(env::ns_per_s);
        EXPECT_NEAR(static_cast<double>(load.done() - before), 10, 2);
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 1000}));
        before = load.done();
        co_await sleep_for(env::ns_per_s);
        expect_near(load.done() - before, 1000, "by the new limit");
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 1}));
        co_await sleep_for(100 * env::ns_per_ms);
        load.end_soon();
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 0}));
        co_await sleep_for(100 * env::ns_per_ms);
        EXPECT_EQ(load.under_way(), 0U) << "none waits any more";
        EXPECT_EQ(load.failed(), 0U);
        EXPECT_EQ(co_await count_limited(r), 0U);
        co_await user->end();
    }(rig));
}

// Whatever moves or looks at data, in whatever way, costs.
TEST_P(HostLimits, EveryCommandCosts) {
    Rig rig(24);
    make(rig);
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await limit(r, 0, {.bytes = 1 << 20}));
        auto user = co_await IoUser::connect(r, 0);
        if (!user) co_return;
        struct Row {
            const char* name;
            IoOpcode opcode;
            uint32_t blocks;
            bool has_data;
            double seconds;
        };
        std::vector<std::byte> data(128 * 1024);
        const env::TimeNs start = Reactor::current().now();
        const auto seconds = [&] { return static_cast<double>(Reactor::current().now() - start) / env::ns_per_s; };
        const auto run = [&](nvme::Command command, MutableBytes its_data) -> Task<nvme::Status> {
            co_return co_await execute(user->qpair(), command, its_data);
        };
        // A command waits for those before it to be paid: of two the second ends when the first's time is over.
        double paid = seconds();
        for (const Row& row :
             {Row{"write", IoOpcode::write, 256, true, 0.125}, Row{"read", IoOpcode::read, 256, true, 0.125},
              Row{"compare", IoOpcode::compare, 256, true, 0.125}, Row{"verify", IoOpcode::verify, 2048, false, 1}}) {
            EXPECT_STATUS(co_await run(command_of(row.opcode, 0, row.blocks),
                                       row.has_data ? MutableBytes(data).first(row.blocks * 512) : MutableBytes()),
                          status::success);
            paid += row.seconds;
            EXPECT_STATUS(co_await run(command_of(IoOpcode::read, 0, 1), MutableBytes(data).first(512)),
                          status::success);
            EXPECT_NEAR(seconds(), paid, 0.02) << row.name;
            paid = seconds();
        }
        nvme::CopySourceRange range;
        range.slba = 0;
        range.block_count = 1023;
        std::memcpy(data.data(), &range, sizeof range);
        nvme::Command copy;
        copy.opcode = static_cast<uint8_t>(IoOpcode::copy);
        copy.nsid = 1;
        copy.cdw10 = 2048;
        EXPECT_STATUS(co_await run(copy, MutableBytes(data).first(sizeof range)), status::success);
        EXPECT_STATUS(co_await run(command_of(IoOpcode::read, 0, 1), MutableBytes(data).first(512)), status::success);
        EXPECT_NEAR(seconds(), paid + 0.5, 0.02) << "copy";
        // Each half of a fused pair is a command.
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 10, .bytes = 0}));
        paid = seconds();
        for (int pair = 0; pair < 2; ++pair) {
            nvme::Command first = command_of(IoOpcode::compare, 0, 1);
            nvme::Command second = command_of(IoOpcode::write, 0, 1);
            first.set_fuse(nvme::Fuse::first);
            second.set_fuse(nvme::Fuse::second);
            std::array<nvme_host::Io, 2> halves;
            const iovec piece{.iov_base = data.data(), .iov_len = 512};
            size_t ended = 0;
            EXPECT_STATUS(co_await run(command_of(IoOpcode::read, 0, 1), MutableBytes(data).first(512)),
                          status::success);
            for (size_t at = 0; at < 2; ++at) {
                halves[at].command = at == 0 ? first : second;
                halves[at].data = {&piece, 1};
                halves[at].context = &ended;
                halves[at].done = [](nvme_host::Io& io) { ++*static_cast<size_t*>(io.context); };
                user->qpair().submit(halves[at]);
            }
            while (ended < 2) co_await sleep_for(env::ns_per_ms);
            EXPECT_STATUS(halves[0].status(), status::success);
            EXPECT_STATUS(halves[1].status(), status::success);
        }
        EXPECT_NEAR(seconds(), paid + 0.5, 0.11) << "six commands";
        co_await user->end();
    }(rig));
}

TEST_P(HostLimits, AnAbortEndsWhatWaits) {
    Rig rig(25);
    make(rig);
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 1}));
        auto user = co_await IoUser::connect(r, 0);
        if (!user) co_return;
        Load load(*user, 1, 6, IoOpcode::write);
        load.end_soon();
        co_await sleep_for(100 * env::ns_per_ms);
        EXPECT_EQ(load.done(), 1U);
        EXPECT_EQ(co_await count_limited(r), 5U);
        // All but the last, also the first one, which has reserved.
        for (uint64_t gone = 1; gone <= 4; ++gone) {
            uint16_t cid = 0;
            Thread& home = Thread::current();
            nvmf::PollGroup& group = *r.target().poll_groups().front();
            co_await resume_on(group.thread());
            for (nvmf::Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
                if (at->qid == 1) cid = at->outstanding.front()->command.cid;
            }
            co_await resume_on(home);
            nvme::Command abort;
            abort.opcode = static_cast<uint8_t>(nvme::AdminOpcode::abort);
            abort.cdw10 = uint32_t{cid} << 16 | 1;
            const auto answer = co_await user->controller().admin(abort);
            EXPECT_TRUE(answer && answer->cdw0 == 0U);
            co_await sleep_for(10 * env::ns_per_ms);
            EXPECT_EQ(load.failed(), gone);
        }
        EXPECT_EQ(co_await count_limited(r), 1U);
        co_await sleep_for(2 * env::ns_per_s);
        EXPECT_EQ(load.done(), 2U);
        EXPECT_EQ(load.under_way(), 0U);
        co_await user->end();
    }(rig));
}

// The rig asserts at its end that the target has let go of everything.
TEST_P(HostLimits, AHostThatGoesTakesAlongWhatWaits) {
    Rig rig(26, RigOptions{.data_reactors = 2, .hosts = 1, .world = {}});
    make(rig);
    for (const bool by_target : {false, true}) {
        rig.run_on_host(0, [](Rig& r, bool cut_off) -> Task<void> {
            EXPECT_TRUE(co_await limit(r, 0, {.operations = 5}));
            auto user = co_await IoUser::connect(r, 0, 2);
            if (!user) co_return;
            Load load(*user, 2, 8, IoOpcode::write);
            co_await sleep_for(300 * env::ns_per_ms);
            EXPECT_GT(co_await count_limited(r), 8U);
            load.end_soon();
            if (cut_off) {
                Thread& home = Thread::current();
                co_await resume_on(r.target_runtime().app_thread());
                nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
                EXPECT_TRUE(co_await subsystem.set_allow_any_host(false));
                EXPECT_TRUE(co_await subsystem.remove_host(r.host_options(0).hostnqn));
                EXPECT_FALSE(subsystem.limits_of(r.host_options(0).hostnqn).any());
                EXPECT_TRUE(co_await subsystem.set_allow_any_host(true));
                co_await resume_on(home);
            }
            co_await user->end();
            co_await load.end();
        }(rig, by_target));
        rig.run_for(env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle());
    }
}

TEST_P(HostLimits, ANamespaceGoesWithoutWaitingForThoseWhoWait) {
    Rig rig(27);
    make(rig);
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        EXPECT_TRUE(co_await limit(r, 0, {.operations = 2}));
        auto user = co_await IoUser::connect(r, 0);
        if (!user) co_return;
        Load load(*user, 1, 4, IoOpcode::read);
        load.end_soon();
        co_await sleep_for(100 * env::ns_per_ms);
        Thread& home = Thread::current();
        co_await resume_on(r.target_runtime().app_thread());
        const env::TimeNs before = Reactor::current().now();
        EXPECT_TRUE(co_await r.target().find_subsystem(Rig::nqn)->remove_namespace(1));
        EXPECT_LT(Reactor::current().now() - before, 100 * env::ns_per_ms);
        co_await resume_on(home);
        co_await load.end();
        EXPECT_EQ(load.done(), 1U);
        EXPECT_EQ(load.failed(), 3U) << "each of them is answered";
        co_await user->end();
    }(rig));
}

TEST_P(HostLimits, AreForHostsOfTheList) {
    Rig rig(28);
    make(rig);
    rig.run([](Rig& r) -> Task<void> {
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        const auto unknown = co_await subsystem.set_host_limits("nqn.2016-06.io.host:x", {.operations = 5});
        EXPECT_FALSE(unknown);
        EXPECT_TRUE(co_await subsystem.add_host("nqn.2016-06.io.host:x", {}, {.operations = 5, .read_bytes = 7}));
        EXPECT_TRUE(co_await subsystem.set_host_limits("nqn.2016-06.io.host:x", {.operations = 6}));
        EXPECT_EQ(subsystem.limits_of("nqn.2016-06.io.host:x"), (bdev::RateLimits{.operations = 6, .read_bytes = 7}));
        EXPECT_TRUE(co_await subsystem.set_host_limits("nqn.2016-06.io.host:x", {.operations = 0, .read_bytes = 0}));
        EXPECT_FALSE(subsystem.limits_of("nqn.2016-06.io.host:x").any());
    }(rig));
}

INSTANTIATE_TEST_SUITE_P(Devices, HostLimits, testing::Bool(),
                         [](const auto& device) { return device.param ? "File" : "RamDisk"; });

}  // namespace
}  // namespace weft::test
