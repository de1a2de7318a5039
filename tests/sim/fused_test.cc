// Fused Compare and Write: what becomes of both halves in every case that the specification names, and that nothing
// comes in between (NVMe Base 2.0, 3.4.2).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "nvme/describe.h"
#include "nvme_host/admin.h"
#include "nvmf/poll_group.h"
#include "nvmf/subsystem.h"
#include "sim/io_user.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme::Fuse;
using nvme::IoOpcode;
namespace status = nvme::status;

nvme::Command half_of(Fuse fuse, uint64_t slba, uint32_t blocks) {
    nvme::Command command = command_of(fuse == Fuse::first ? IoOpcode::compare : IoOpcode::write, slba, blocks);
    command.set_fuse(fuse);
    return command;
}

// A command with its data, under way or done.
struct Sent {
    nvme_host::Io io;
    std::vector<std::byte> data;
    iovec piece{};
    bool is_done = false;

    Sent(nvme_host::Qpair& qpair, nvme::Command command, size_t bytes, std::byte fill = std::byte{0})
        : data(bytes, fill) {
        send(qpair, command);
    }
    Sent(nvme_host::Qpair& qpair, nvme::Command command, std::vector<std::byte> its_data) : data(std::move(its_data)) {
        send(qpair, command);
    }
    Sent(const Sent&) = delete;
    Sent& operator=(const Sent&) = delete;

    Task<nvme::Status> status() {
        while (!is_done) co_await sleep_for(100 * env::ns_per_us);
        co_return io.status();
    }

private:
    void send(nvme_host::Qpair& qpair, nvme::Command command) {
        io.command = command;
        piece = {.iov_base = data.data(), .iov_len = data.size()};
        if (!data.empty()) io.data = {&piece, 1};
        io.context = this;
        io.done = [](nvme_host::Io& done) { static_cast<Sent*>(done.context)->is_done = true; };
        qpair.submit(io);
    }
};

class Fused : public testing::TestWithParam<bool> {
protected:
    static constexpr uint64_t block_count = 2048;
    void make(Rig& rig, bool is_concurrent = false) {
        if (GetParam()) return export_file(rig, block_count, is_concurrent);
        rig.run(rig.export_device(ram_disk("Malloc0", block_count, is_concurrent)));
    }
};

Task<void> pairs_of_all_sizes(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Qpair& qpair = user->qpair();
    EXPECT_NE(user->controller().identity().fuses & nvme::fuses::compare_and_write, 0);
    const auto ns = co_await nvme_host::identify_namespace(user->controller(), 1);
    EXPECT_TRUE(ns);
    if (!ns) co_return;
    EXPECT_EQ(ns->nacwu, 63) << "32 KiB";
    EXPECT_NE(ns->nsfeat & nvme::nsfeat::atomic_fields, 0);
    // In the capsule, and asked for by R2T.
    for (const uint32_t blocks : {1U, 2U, 8U, 9U, 63U, 64U}) {
        const size_t bytes = size_t{blocks} * 512;
        std::vector<std::byte> found(bytes);
        for (const std::byte fill : {std::byte{1}, std::byte{2}}) {
            Sent first(qpair, half_of(Fuse::first, 100, blocks), bytes,
                       fill == std::byte{1} ? std::byte{0} : std::byte{1});
            Sent second(qpair, half_of(Fuse::second, 100, blocks), bytes, fill);
            EXPECT_STATUS(co_await first.status(), status::success);
            EXPECT_STATUS(co_await second.status(), status::success);
        }
        Sent first(qpair, half_of(Fuse::first, 100, blocks), bytes, std::byte{9});
        Sent second(qpair, half_of(Fuse::second, 100, blocks), bytes, std::byte{3});
        EXPECT_STATUS(co_await first.status(), status::compare_failure);
        EXPECT_STATUS(co_await second.status(), status::aborted_failed_fused);
        EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::read, 100, blocks), found), status::success);
        EXPECT_TRUE(std::ranges::all_of(found, [](std::byte byte) { return byte == std::byte{2}; }));
        EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::write_zeroes, 100, blocks), {}), status::success);
    }
    co_await user->end();
}

TEST_P(Fused, PairsAreDoneOrNotDone) {
    for (uint64_t seed = 1; seed < 5; ++seed) {
        Rig rig(seed);
        make(rig);
        rig.run_on_host(0, pairs_of_all_sizes(rig));
        rig.run_for(env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle()) << "seed " << seed;
    }
}

struct Wrong {
    const char* what;
    nvme::Command first;
    nvme::Command second;
    nvme::Status first_status;
    nvme::Status second_status;
    size_t bytes = 512;
};

std::vector<Wrong> wrong_pairs(uint64_t block_count) {
    const auto with = [](nvme::Command command, auto change) {
        change(command);
        return command;
    };
    const nvme::Command first = half_of(Fuse::first, 5, 1);
    const nvme::Command second = half_of(Fuse::second, 5, 1);
    const auto as = [&](nvme::Command command, IoOpcode opcode) {
        return with(command, [&](nvme::Command& c) { c.opcode = static_cast<uint8_t>(opcode); });
    };
    return {
        {"a Write comes first", as(first, IoOpcode::write), second, status::invalid_field,
         status::aborted_failed_fused},
        {"a Compare comes second", first, as(second, IoOpcode::compare), status::aborted_failed_fused,
         status::invalid_field},
        {"a Read comes second", first, as(second, IoOpcode::read), status::aborted_failed_fused, status::invalid_field},
        {"another SLBA", first, half_of(Fuse::second, 6, 1), status::invalid_field, status::invalid_field},
        {"an SLBA that differs above 32 bits", half_of(Fuse::first, 5, 1),
         half_of(Fuse::second, 5 | uint64_t{1} << 32, 1), status::aborted_failed_fused, status::lba_out_of_range},
        {"another namespace", first, with(second, [](nvme::Command& c) { c.nsid = 2; }), status::aborted_failed_fused,
         status::invalid_namespace_or_format},
        {"the first is out of range", half_of(Fuse::first, block_count, 1), second, status::lba_out_of_range,
         status::aborted_failed_fused},
        {"the second is out of range", first, half_of(Fuse::second, block_count, 1), status::aborted_failed_fused,
         status::lba_out_of_range},
        {"two that are first", first, first, status::aborted_missing_fused, status::aborted_missing_fused},
        {"two that are second", second, second, status::aborted_missing_fused, status::aborted_missing_fused},
        {"a single Write behind a first", first, command_of(IoOpcode::write, 900, 1), status::aborted_missing_fused,
         status::success},
        {"a single Write before a second", command_of(IoOpcode::write, 900, 1), second, status::success,
         status::aborted_missing_fused},
        {"too long", half_of(Fuse::first, 0, 65), half_of(Fuse::second, 0, 65), status::atomic_write_unit_exceeded,
         status::aborted_failed_fused, 65 * 512},
        {"FUSE of 3", with(first, [](nvme::Command& c) { c.set_fuse(Fuse::reserved); }), second, status::invalid_field,
         status::aborted_missing_fused},
    };
}

Task<void> send_wrong_pairs(Rig& rig, uint64_t block_count) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Qpair& qpair = user->qpair();
    std::vector<std::byte> found(512);
    for (const Wrong& wrong : wrong_pairs(block_count)) {
        SCOPED_TRACE(wrong.what);
        Sent first(qpair, wrong.first, wrong.bytes);
        Sent second(qpair, wrong.second, wrong.bytes, std::byte{0xEE});
        Sent last(qpair, command_of(IoOpcode::flush, 0, 1), 0);
        EXPECT_STATUS(co_await first.status(), wrong.first_status);
        EXPECT_STATUS(co_await second.status(), wrong.second_status);
        EXPECT_STATUS(co_await last.status(), status::success);
        EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::read, 5, 1), found), status::success);
        EXPECT_TRUE(std::ranges::all_of(found, [](std::byte byte) { return byte == std::byte{0}; })) << wrong.what;
    }
    co_await user->end();
}

TEST_P(Fused, WhatIsNoPairIsRefusedAndChangesNothing) {
    for (uint64_t seed = 20; seed < 24; ++seed) {
        Rig rig(seed);
        make(rig);
        rig.run_on_host(0, send_wrong_pairs(rig, block_count));
    }
}

// Everybody adds one to the same number, if it is still what they read: no addition is lost, none counts twice.
Task<void> add_many(Rig& rig, size_t host, int additions, uint64_t& added) {
    auto user = co_await IoUser::connect(rig, host, 2);
    if (!user) co_return;
    for (int done = 0; done < additions;) {
        nvme_host::Qpair& qpair = user->qpair(rig.world().prng().below(2));
        std::vector<std::byte> old(512);
        EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::read, 7, 1), old), status::success);
        uint64_t number = 0;
        std::memcpy(&number, old.data(), sizeof(number));
        ++number;
        std::vector<std::byte> next = old;
        std::memcpy(next.data(), &number, sizeof(number));
        Sent first(qpair, half_of(Fuse::first, 7, 1), old);
        Sent second(qpair, half_of(Fuse::second, 7, 1), next);
        const nvme::Status compared = co_await first.status();
        const nvme::Status written = co_await second.status();
        EXPECT_TRUE(compared.is_success() == written.is_success())
            << nvme::describe(compared) << nvme::describe(written);
        if (!written.is_success()) {
            EXPECT_STATUS(compared, status::compare_failure);
            continue;
        }
        ++added;
        ++done;
    }
    co_await user->end();
}

Task<void> read_number(Rig& rig, uint64_t& number) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    std::vector<std::byte> found(512);
    EXPECT_STATUS(co_await execute(user->qpair(), command_of(IoOpcode::read, 7, 1), found), status::success);
    std::memcpy(&number, found.data(), sizeof(number));
    co_await user->end();
}

TEST_P(Fused, NothingComesBetweenTheHalves) {
    for (uint64_t seed = 40; seed < 46; ++seed) {
        Rig rig(seed, {.data_reactors = 2, .hosts = 3, .world = {}});
        make(rig, true);
        uint64_t added = 0;
        size_t running = 3;
        for (size_t host = 0; host < 3; ++host) {
            const CurrentThread scope(&rig.host_thread(host));
            spawn([](Rig& r, size_t who, uint64_t& sum, size_t& left) -> Task<void> {
                co_await yield();
                co_await add_many(r, who, 20, sum);
                --left;
            }(rig, host, added, running));
        }
        rig.run_until(rig.world().now() + 600 * env::ns_per_s, [&running] { return running == 0; });
        ASSERT_EQ(running, 0U);
        uint64_t number = 0;
        rig.run_on_host(0, read_number(rig, number));
        EXPECT_EQ(number, added) << "seed " << seed;
        EXPECT_EQ(added, 60U);
    }
}

// The connection goes when one half is there: nothing is left of it, and nothing was written.
Task<void> leave_half_way(Rig& rig, bool with_second) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    Sent first(user->qpair(), half_of(Fuse::first, 7, 1), 512);
    std::unique_ptr<Sent> second;
    if (with_second) {
        // More than a capsule holds: its data will not come.
        second = std::make_unique<Sent>(user->qpair(), half_of(Fuse::second, 7, 1), 512, std::byte{1});
    } else {
        co_await sleep_for(20 * env::ns_per_ms);
        EXPECT_FALSE(first.is_done);
    }
    co_await user->end();
}

TEST_P(Fused, AConnectionMayGoBetweenTheHalves) {
    for (uint64_t seed = 60; seed < 70; ++seed) {
        Rig rig(seed);
        make(rig);
        rig.run_on_host(0, leave_half_way(rig, seed % 2 == 0));
        rig.run_for(2 * env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle()) << "seed " << seed;
    }
}

// The CID that the host gave the first half that waits.
uint16_t cid_of_waiting(Rig& rig) {
    for (nvmf::PollGroup* group : rig.target().poll_groups()) {
        for (nvmf::Qpair* qpair = group->qpairs.front(); qpair != nullptr;
             qpair = decltype(group->qpairs)::next(*qpair)) {
            if (qpair->fused_first != nullptr) return qpair->fused_first->command.cid;
        }
    }
    ADD_FAILURE() << "no first half waits";
    return 0;
}

// Abort of a first half that waits; the second one fails with it.
Task<void> abort_first(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    Sent first(user->qpair(), half_of(Fuse::first, 7, 1), 512);
    co_await sleep_for(20 * env::ns_per_ms);
    EXPECT_FALSE(first.is_done);
    nvme::Command abort;
    abort.opcode = static_cast<uint8_t>(nvme::AdminOpcode::abort);
    abort.cdw10 = 1U | uint32_t{cid_of_waiting(rig)} << 16;
    const auto answer = co_await user->controller().admin(abort);
    EXPECT_TRUE(answer && answer->cdw0 == 0);
    EXPECT_STATUS(co_await first.status(), status::aborted_by_request);
    Sent second(user->qpair(), half_of(Fuse::second, 7, 1), 512, std::byte{1});
    EXPECT_STATUS(co_await second.status(), status::aborted_failed_fused);
    EXPECT_STATUS(co_await execute(user->qpair(), command_of(IoOpcode::flush, 0, 1), {}), status::success);
    co_await user->end();
}

TEST_P(Fused, AFirstHalfThatWaitsMayBeAborted) {
    Rig rig(80);
    make(rig);
    rig.run_on_host(0, abort_first(rig));
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

// A change of namespaces goes on while pairs are under way; each of them is whole.
Task<void> pairs_in_pauses(Rig& rig, bool& is_over) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    for (int round = 0; round < 200; ++round) {
        const auto from = static_cast<std::byte>(round);
        const auto to = static_cast<std::byte>(round + 1);
        Sent first(user->qpair(), half_of(Fuse::first, 9, 16), 16 * 512, from);
        Sent second(user->qpair(), half_of(Fuse::second, 9, 16), 16 * 512, to);
        const nvme::Status compared = co_await first.status();
        EXPECT_STATUS(compared, status::success);
        EXPECT_STATUS(co_await second.status(), status::success);
        if (!compared.is_success()) break;
    }
    is_over = true;
    co_await user->end();
}

TEST_P(Fused, APauseHoldsBothHalves) {
    Rig rig(90);
    make(rig);
    bool is_over = false;
    bool is_ended = false;
    {
        const CurrentThread scope(&rig.target_runtime().app_thread());
        spawn([](Rig& r, bool& over, bool& ended) -> Task<void> {
            co_await yield();
            nvmf::SubsystemView& view =
                *r.target().poll_groups().front()->subsystem(r.target().find_subsystem(Rig::nqn)->identity().id);
            while (!over) {
                co_await resume_on(r.target().poll_groups().front()->thread());
                view.find(1)->is_paused = true;
                co_await sleep_for(300 * env::ns_per_us);
                view.find(1)->is_paused = false;
                while (!view.held.empty()) {
                    nvmf::Request& held = *view.held.pop_front();
                    held.qpair->resume(held);
                }
                co_await sleep_for(r.world().prng().between(50, 500) * env::ns_per_us);
            }
            ended = true;
        }(rig, is_over, is_ended));
    }
    rig.run_on_host(0, pairs_in_pauses(rig, is_over));
    rig.run_until(rig.world().now() + env::ns_per_s, [&is_ended] { return is_ended; });
    EXPECT_TRUE(is_ended);
}

INSTANTIATE_TEST_SUITE_P(Devices, Fused, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "file" : "malloc"; });

}  // namespace
}  // namespace weft::test
