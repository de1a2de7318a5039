// Copy, Verify and Write Uncorrectable, of a RAM disk that does them itself and of a file for which they are made of
// reads and writes: against a copy of the disk, and every limit that Identify tells.
#include <gtest/gtest.h>

#include <algorithm>

#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/copy.h"
#include "nvme/describe.h"
#include "nvme/lba_status.h"
#include "nvme_host/admin.h"
#include "sim/io_user.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme::CopySourceRange;
using nvme::IoOpcode;
namespace status = nvme::status;

struct Range {
    uint64_t slba = 0;
    uint32_t blocks = 0;
};

nvme::Command copy_command(uint64_t to, size_t ranges, uint32_t format = 0) {
    nvme::Command command = command_of(IoOpcode::copy, to, 1);
    command.cdw12 = static_cast<uint32_t>(ranges - 1) | format << 8;
    return command;
}

template <class Descriptor = CopySourceRange>
std::vector<Descriptor> descriptors(const std::vector<Range>& ranges) {
    std::vector<Descriptor> all(ranges.size());
    for (size_t at = 0; at < ranges.size(); ++at) {
        all[at].slba = ranges[at].slba;
        all[at].block_count = static_cast<uint16_t>(ranges[at].blocks - 1);
    }
    return all;
}

struct Answer {
    nvme::Status status;
    uint32_t cdw0 = 0;
};

Task<Answer> copy(nvme_host::Qpair& qpair, uint64_t to, const std::vector<Range>& ranges, uint32_t format = 0) {
    std::vector<CopySourceRange> data = descriptors(ranges);
    std::vector<nvme::CopySourceRange1> long_data = descriptors<nvme::CopySourceRange1>(ranges);
    nvme_host::Io io;
    io.command = copy_command(to, ranges.size(), format);
    const iovec piece =
        format == 1 ? iovec{.iov_base = long_data.data(), .iov_len = long_data.size() * sizeof(nvme::CopySourceRange1)}
                    : iovec{.iov_base = data.data(), .iov_len = data.size() * sizeof(CopySourceRange)};
    io.data = {&piece, 1};
    co_await nvme_host::Execute(qpair, io);
    co_return Answer{io.status(), io.completion.cdw0};
}

class IoCommands : public testing::TestWithParam<bool> {
protected:
    static constexpr uint64_t block_count = 4096;
    [[nodiscard]] static bool is_file() { return GetParam(); }

    void make(Rig& rig, bool is_concurrent = false, const nvmf::TransportOptions& options = {}) {
        if (is_file()) return export_file(rig, block_count, is_concurrent, options);
        rig.run(rig.export_device(ram_disk("Malloc0", block_count, is_concurrent), options));
    }
};

Task<void> copy_at_random(Rig& rig, uint64_t block_count, int rounds) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Qpair& qpair = user->qpair();
    sim::Prng& prng = rig.world().prng();
    std::vector<std::byte> disk(block_count * 512);
    prng.fill(disk);
    for (uint64_t at = 0; at < block_count; at += 128) {
        EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::write, at, 128),
                                       MutableBytes(disk).subspan(at * 512, size_t{128} * 512)),
                      status::success);
    }
    for (int round = 0; round < rounds; ++round) {
        std::vector<Range> ranges(prng.between(1, prng.coin() ? 3 : 20));
        uint64_t total = 0;
        for (Range& range : ranges) {
            range.blocks = static_cast<uint32_t>(prng.between(1, prng.coin() ? 8 : 600));
            range.slba = prng.below(block_count - range.blocks);
            total += range.blocks;
        }
        if (total > block_count) continue;
        const uint64_t to = prng.below(block_count - total + 1);
        const bool overlaps = std::ranges::any_of(
            ranges, [&](const Range& range) { return range.slba < to + total && to < range.slba + range.blocks; });
        const Answer answer = co_await copy(qpair, to, ranges, prng.coin() ? 1 : 0);
        if (overlaps) {
            EXPECT_STATUS(answer.status, status::overlapping_io_range);
            EXPECT_EQ(answer.cdw0, 0U);
            continue;
        }
        EXPECT_STATUS(answer.status, status::success);
        uint64_t next = to;
        for (const Range& range : ranges) {
            std::copy_n(disk.begin() + static_cast<ptrdiff_t>(range.slba * 512), range.blocks * 512,
                        disk.begin() + static_cast<ptrdiff_t>(next * 512));
            next += range.blocks;
        }
    }
    std::vector<std::byte> found(size_t{128} * 512);
    for (uint64_t at = 0; at < block_count; at += 128) {
        EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::read, at, 128), found), status::success);
        EXPECT_TRUE(std::ranges::equal(found, MutableBytes(disk).subspan(at * 512, found.size()))) << "block " << at;
    }
    co_await user->end();
}

TEST_P(IoCommands, CopyMovesWhatItIsTold) {
    for (uint64_t seed = 1; seed < 7; ++seed) {
        Rig rig(seed, {.data_reactors = 1 + seed % 2, .hosts = 1, .world = {}});
        nvmf::TransportOptions options;
        options.io_unit_size = seed % 3 == 0 ? 8192 : 131072;
        make(rig, seed % 2 == 1, options);
        rig.run_on_host(0, copy_at_random(rig, block_count, 40));
        rig.run_for(env::ns_per_s);
        EXPECT_TRUE(rig.target_is_idle()) << "seed " << seed;
    }
}

// With two buffers for all, copies, reads and writes go on, and none waits for ever.
Task<void> copies_side_by_side(Rig& rig, uint64_t block_count) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    struct One {
        nvme_host::Io io;
        std::vector<CopySourceRange> data;
        iovec piece{};
        int* left = nullptr;
    };
    int left = 60;
    std::vector<std::unique_ptr<One>> all;
    for (int at = 0; at < 60; ++at) {
        auto one = std::make_unique<One>();
        one->data = descriptors({{rig.world().prng().below(block_count / 2 - 300), 300}});
        one->piece = {.iov_base = one->data.data(), .iov_len = sizeof(CopySourceRange)};
        one->io.command = copy_command(block_count / 2 + rig.world().prng().below(block_count / 2 - 300), 1);
        one->io.data = {&one->piece, 1};
        one->left = &left;
        one->io.context = one.get();
        one->io.done = [](nvme_host::Io& io) { --*static_cast<One*>(io.context)->left; };
        all.push_back(std::move(one));
        user->qpair().submit(all.back()->io);
    }
    while (left > 0) co_await sleep_for(env::ns_per_ms);
    for (const auto& one : all) EXPECT_STATUS(one->io.status(), status::success);
    co_await user->end();
}

TEST_P(IoCommands, AFewBuffersServeManyCopies) {
    Rig rig(5);
    nvmf::TransportOptions options;
    options.num_shared_buffers = 2;
    options.buf_cache_size = 1;
    make(rig, false, options);
    rig.run_on_host(0, copies_side_by_side(rig, block_count));
    rig.run_for(env::ns_per_s);
    EXPECT_TRUE(rig.target_is_idle());
}

Task<void> copy_limits(Rig& rig, uint64_t block_count) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Qpair& qpair = user->qpair();
    const auto ns = co_await nvme_host::identify_namespace(user->controller(), 1);
    EXPECT_TRUE(ns);
    if (!ns) co_return;
    EXPECT_EQ(ns->msrc, 127);
    EXPECT_EQ(ns->mssrl, 65535);
    EXPECT_EQ(ns->mcl, (128U << 20) / 512);
    EXPECT_NE(user->controller().identity().oncs & nvme::oncs::copy, 0);
    EXPECT_EQ(user->controller().identity().ocfs, 3);

    EXPECT_STATUS((co_await copy(qpair, 3000, std::vector<Range>(128, Range{0, 1}))).status, status::success);
    EXPECT_STATUS((co_await copy(qpair, 3000, std::vector<Range>(128, Range{0, 1}), 1)).status, status::success);
    EXPECT_STATUS((co_await copy(qpair, 3000, std::vector<Range>(129, Range{0, 1}), 1)).status,
                  status::command_size_limit_exceeded);
    EXPECT_STATUS((co_await copy(qpair, 3000, std::vector<Range>(129, Range{0, 1}))).status,
                  status::command_size_limit_exceeded);
    EXPECT_STATUS((co_await copy(qpair, 3000, {{0, 65536}})).status, status::command_size_limit_exceeded);
    EXPECT_STATUS((co_await copy(qpair, 3000, {{0, 65535}})).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await copy(qpair, 3000, {{block_count - 1, 1}})).status, status::success);
    EXPECT_STATUS((co_await copy(qpair, 3000, {{block_count - 1, 2}})).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await copy(qpair, 3000, {{block_count, 1}})).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await copy(qpair, 3000, {{UINT64_MAX, 1}})).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await copy(qpair, block_count - 1, {{0, 1}})).status, status::success);
    EXPECT_STATUS((co_await copy(qpair, block_count - 1, {{0, 1}, {5, 1}})).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await copy(qpair, UINT64_MAX, {{0, 1}})).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await copy(qpair, 10, {{0, 11}})).status, status::overlapping_io_range);
    EXPECT_STATUS((co_await copy(qpair, 10, {{0, 10}})).status, status::success);
    EXPECT_STATUS((co_await copy(qpair, 10, {{20, 5}, {14, 6}})).status, status::overlapping_io_range);
    for (uint32_t format = 2; format < 16; ++format) {
        EXPECT_STATUS((co_await copy(qpair, 10, {{0, 1}}, format)).status, status::invalid_field);
    }
    // The last range of many is looked at before the first is copied.
    std::vector<std::byte> before(512);
    std::vector<std::byte> after(512);
    std::ranges::fill(before, std::byte{7});
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::write, 100, 1), before), status::success);
    std::vector<Range> ranges(20, Range{0, 1});
    ranges.back().slba = block_count;
    const Answer answer = co_await copy(qpair, 100, ranges);
    EXPECT_STATUS(answer.status, status::lba_out_of_range);
    EXPECT_EQ(answer.cdw0, 0U);
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::read, 100, 1), after), status::success);
    EXPECT_EQ(before, after);
    co_await user->end();
}

TEST_P(IoCommands, CopyHasTheLimitsThatIdentifyTells) {
    Rig rig(9);
    make(rig);
    rig.run_on_host(0, copy_limits(rig, block_count));
}

Task<void> verify_ranges(Rig& rig, uint64_t block_count) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Qpair& qpair = user->qpair();
    EXPECT_NE(user->controller().identity().oncs & nvme::oncs::verify, 0);
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::verify, 0, 4096), {}), status::success);
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::verify, block_count - 1, 1), {}), status::success);
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::verify, block_count - 1, 2), {}),
                  status::lba_out_of_range);
    EXPECT_STATUS(co_await execute(qpair, command_of(IoOpcode::verify, UINT64_MAX, 1), {}), status::lba_out_of_range);
    co_await user->end();
}

TEST_P(IoCommands, VerifyReadsWithoutTransfer) {
    Rig rig(10);
    make(rig);
    rig.run_on_host(0, verify_ranges(rig, block_count));
}

INSTANTIATE_TEST_SUITE_P(Devices, IoCommands, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "file" : "malloc"; });

Task<void> spoil_blocks(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Qpair& qpair = user->qpair();
    EXPECT_NE(user->controller().identity().oncs & nvme::oncs::write_uncorrectable, 0);
    std::vector<std::byte> data(8 * 512, std::byte{3});
    const auto outcome_of = [&](IoOpcode opcode, uint64_t slba, uint32_t blocks) {
        const bool has_data = opcode == IoOpcode::read || opcode == IoOpcode::write || opcode == IoOpcode::compare;
        return execute(qpair, command_of(opcode, slba, blocks),
                       has_data ? MutableBytes(data).first(size_t{blocks} * 512) : MutableBytes());
    };
    EXPECT_STATUS(co_await outcome_of(IoOpcode::write, 0, 8), status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::write_uncorrectable, 2, 3), status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::read, 0, 8), status::unrecovered_read_error);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::verify, 0, 8), status::unrecovered_read_error);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::compare, 4, 1), status::unrecovered_read_error);
    EXPECT_STATUS((co_await copy(qpair, 100, {{0, 1}, {4, 1}})).status, status::unrecovered_read_error);
    EXPECT_EQ((co_await copy(qpair, 100, {{0, 1}, {4, 1}})).cdw0, 1U) << "the range that was not copied";
    EXPECT_STATUS(co_await outcome_of(IoOpcode::read, 0, 2), status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::read, 5, 3), status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::write, 3, 1), status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::read, 3, 1), status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::read, 2, 1), status::unrecovered_read_error);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::write_zeroes, 2, 1), status::success);
    EXPECT_STATUS((co_await copy(qpair, 4, {{0, 1}})).status, status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::read, 0, 8), status::success);
    EXPECT_STATUS(co_await outcome_of(IoOpcode::write_uncorrectable, 4095, 2), status::lba_out_of_range);
    co_await user->end();
}

TEST(WriteUncorrectable, BlocksFailUntilTheyAreWritten) {
    Rig rig(11);
    rig.run(rig.export_device(ram_disk("Malloc0", 4096)));
    rig.run_on_host(0, spoil_blocks(rig));
}

struct LbaStatus {
    nvme::Status status;
    nvme::LbaStatusHeader header{};
    std::array<nvme::LbaStatusDescriptor, 4> entries{};
};

// With room for as many entries as `entries_max`.
Task<LbaStatus> lba_status(nvme_host::Controller& controller, uint64_t slba, uint16_t blocks, size_t entries_max,
                           uint8_t action = 0x11) {
    std::array<std::byte, sizeof(nvme::LbaStatusHeader) + 4 * sizeof(nvme::LbaStatusDescriptor)> data{};
    const size_t bytes = sizeof(nvme::LbaStatusHeader) + entries_max * sizeof(nvme::LbaStatusDescriptor);
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::get_lba_status);
    command.nsid = 1;
    command.cdw10 = static_cast<uint32_t>(slba);
    command.cdw11 = static_cast<uint32_t>(slba >> 32);
    command.cdw12 = static_cast<uint32_t>(bytes / 4 - 1);
    command.cdw13 = uint32_t{action} << 24 | blocks;
    const auto answer = co_await controller.admin(command, MutableBytes(data).first(bytes));
    EXPECT_TRUE(answer);
    LbaStatus found;
    if (!answer) co_return found;
    found.status = nvme::Status::from_wire(answer->status);
    found.header = load<nvme::LbaStatusHeader>(data);
    for (size_t at = 0; at < 4; ++at) {
        found.entries[at] = load<nvme::LbaStatusDescriptor>(
            Bytes(data).subspan(sizeof found.header + at * sizeof(nvme::LbaStatusDescriptor)));
    }
    co_return found;
}

Task<void> find_spoilt_blocks(Rig& rig) {
    auto user = co_await IoUser::connect(rig, 0);
    if (!user) co_return;
    nvme_host::Controller& controller = user->controller();
    EXPECT_NE(controller.identity().oacs & nvme::oacs::get_lba_status, 0);
    for (const uint64_t slba : std::array<uint64_t, 3>{2, 9, 4095}) {
        EXPECT_STATUS(co_await execute(user->qpair(), command_of(IoOpcode::write_uncorrectable, slba, 1), {}),
                      status::success);
    }
    const auto all = co_await lba_status(controller, 0, 0, 4, 0x10);
    EXPECT_STATUS(all.status, status::success);
    EXPECT_EQ(all.header.nlsd, 3U);
    EXPECT_EQ(all.header.cmpc, 2) << "complete";
    EXPECT_EQ(all.entries[0].dslba, 2U);
    EXPECT_EQ(all.entries[2].dslba, 4095U);
    EXPECT_EQ(all.entries[2].nlb, 1U);
    const auto some = co_await lba_status(controller, 3, 4093, 1);
    EXPECT_EQ(some.header.nlsd, 1U);
    EXPECT_EQ(some.header.cmpc, 1) << "there is one more";
    EXPECT_EQ(some.entries[0].dslba, 9U);
    EXPECT_EQ(some.entries[1].dslba, 0U) << "nothing behind what was asked for";
    const auto none = co_await lba_status(controller, 3, 6, 4);
    EXPECT_EQ(none.header.nlsd, 0U);
    EXPECT_EQ(none.header.cmpc, 2);
    EXPECT_STATUS((co_await lba_status(controller, 4096, 0, 1)).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await lba_status(controller, 1, 4096, 1)).status, status::lba_out_of_range);
    EXPECT_STATUS((co_await lba_status(controller, 0, 0, 1, 0x12)).status, status::invalid_field);
    co_await user->end();
}

TEST(WriteUncorrectable, HostsAreToldWhichBlocks) {
    Rig rig(13);
    rig.run(rig.export_device(ram_disk("Malloc0", 4096)));
    rig.run_on_host(0, find_spoilt_blocks(rig));
}

// What a back end cannot do is not advertised.
TEST(WriteUncorrectable, IsNotAdvertisedForFiles) {
    Rig rig(12);
    export_file(rig, 4096);
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto user = co_await IoUser::connect(r, 0);
        if (!user) co_return;
        EXPECT_EQ(user->controller().identity().oncs & nvme::oncs::write_uncorrectable, 0);
        EXPECT_STATUS(co_await execute(user->qpair(), command_of(IoOpcode::write_uncorrectable, 0, 1), {}),
                      status::invalid_opcode);
        co_await user->end();
    }(rig));
}

}  // namespace
}  // namespace weft::test
