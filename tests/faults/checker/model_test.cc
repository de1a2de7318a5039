// The checker's judgement, without any target: what it must find, and what it must let pass.
#include "model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "journal.h"

namespace weft::checker {
namespace {

using Block = std::vector<std::byte>;

struct ModelTest : testing::Test {
    static Block zeroes() { return Block(512); }
    Block block_of(const Model& model, uint64_t lba, uint64_t sequence, uint64_t first, uint32_t count) {
        Block block(512);
        write_block(block, {.run = model.run(),
                            .lba = lba,
                            .sequence = sequence,
                            .round = model.round(),
                            .index = static_cast<uint32_t>(lba - first),
                            .count = count});
        return block;
    }
    Block block_of(const Model& model, uint64_t sequence) { return block_of(model, 3, sequence, 3, 1); }
    static uint64_t write(Model& model, bool fua = false) {
        const uint64_t sequence = model.issue({.lba = 3, .count = 1, .fua = fua});
        model.acknowledge(sequence);
        return sequence;
    }
    static Finding read(Model& model, const Block& block) {
        std::string why;
        const uint64_t issued = model.issue_read();
        const Finding finding = model.judge(3, block, issued, why);
        model.end_read(issued);
        EXPECT_EQ(finding == Finding::none, why.empty());
        return finding;
    }
    static Finding crash(Model& model, const Block& block) {
        std::string why;
        model.end_all_hosts();
        return model.judge_after_crash(3, block, why);
    }
    Model kill{Mode::kill, 7, 0, 8, 512};
    Model power{Mode::power, 7, 0, 8, 512};
};

TEST_F(ModelTest, TakesTheLastAcknowledgedWriteAndNoOther) {
    const uint64_t first = write(kill);
    const uint64_t second = write(kill);
    EXPECT_EQ(read(kill, block_of(kill, second)), Finding::none);
    EXPECT_EQ(read(kill, block_of(kill, first)), Finding::lost);
    EXPECT_EQ(read(kill, block_of(kill, second + 1)), Finding::invented);
    EXPECT_EQ(read(kill, zeroes()), Finding::lost);
}

TEST_F(ModelTest, SeesTornMisplacedAndForeignBlocks) {
    const uint64_t sequence = write(kill);
    Block block = block_of(kill, sequence);
    block[511] ^= std::byte{1};
    EXPECT_EQ(read(kill, block), Finding::torn);
    EXPECT_EQ(crash(kill, block), Finding::torn);
    EXPECT_EQ(read(kill, block_of(kill, 4, sequence, 4, 1)), Finding::misplaced);
    EXPECT_EQ(crash(kill, block_of(kill, 4, sequence, 4, 1)), Finding::misplaced);
    EXPECT_EQ(read(kill, block_of(kill, 3, sequence, 2, 2)), Finding::lost);  // the second of a write of two
    EXPECT_EQ(read(kill, block_of(Model(Mode::kill, 8, 0, 8, 512), sequence)), Finding::invented);
}

TEST_F(ModelTest, AnUnansweredWriteMayBeThereOrNotUntilItsHostHasEnded) {
    const uint64_t first = write(kill);
    const uint64_t open = kill.issue({.lba = 3, .count = 1, .host = 1});
    EXPECT_EQ(read(kill, block_of(kill, first)), Finding::none);
    const uint64_t later = write(kill);
    EXPECT_EQ(read(kill, block_of(kill, open)), Finding::none);  // it may come at any time
    kill.end_host(1);
    const uint64_t last = write(kill);
    EXPECT_EQ(read(kill, block_of(kill, open)), Finding::lost);
    EXPECT_EQ(read(kill, block_of(kill, later)), Finding::lost);
    EXPECT_EQ(crash(kill, block_of(kill, last)), Finding::none);
}

TEST_F(ModelTest, WhatWasReadOnceIsNotUndone) {
    const uint64_t first = write(kill);
    const uint64_t open = kill.issue({.lba = 3, .count = 1});
    EXPECT_EQ(read(kill, block_of(kill, open)), Finding::none);
    EXPECT_EQ(read(kill, block_of(kill, first)), Finding::lost);
    EXPECT_EQ(crash(kill, block_of(kill, first)), Finding::lost);
}

TEST_F(ModelTest, ConcurrentWritesEndInEitherOrderButInOne) {
    const uint64_t a = kill.issue({.lba = 3, .count = 1});
    const uint64_t b = kill.issue({.lba = 3, .count = 1});
    kill.acknowledge(b);
    kill.acknowledge(a);
    EXPECT_EQ(read(kill, block_of(kill, b)), Finding::none);
    EXPECT_EQ(read(kill, block_of(kill, a)), Finding::lost);  // the first read has told the order
}

TEST_F(ModelTest, AReadUnderWayMayFindWhatIsReplacedMeanwhile) {
    std::string why;
    const uint64_t first = write(kill);
    const uint64_t issued = kill.issue_read();
    write(kill);
    EXPECT_EQ(kill.judge(3, block_of(kill, first), issued, why), Finding::none);
    kill.end_read(issued);
    EXPECT_EQ(read(kill, block_of(kill, first)), Finding::lost);
}

TEST_F(ModelTest, AfterAPowerLossOnlyWhatWasFlushedOrForcedMustBeThere) {
    const uint64_t first = write(power, true);
    const uint64_t second = write(power);
    EXPECT_EQ(read(power, block_of(power, first)), Finding::lost);  // but while it runs the last one is
    Model flushed = power;
    EXPECT_EQ(crash(power, block_of(power, first)), Finding::none);
    EXPECT_EQ(read(power, block_of(power, second)), Finding::lost);

    const uint64_t flush = flushed.issue_flush();
    const uint64_t late = write(flushed);  // acknowledged after the Flush was issued: not covered
    flushed.acknowledge_flush(flush);
    Model other = flushed;
    EXPECT_EQ(crash(flushed, block_of(flushed, second)), Finding::none);
    EXPECT_EQ(crash(other, block_of(other, first)), Finding::lost);
    EXPECT_GT(late, second);
}

TEST_F(ModelTest, DeallocatedIsZeroesOrWhatWasThere) {
    const uint64_t first = write(kill);
    const uint64_t gone = kill.issue({.lba = 3, .count = 1, .kind = Kind::deallocated});
    kill.acknowledge(gone);
    EXPECT_EQ(read(kill, zeroes()), Finding::none);
    EXPECT_EQ(crash(kill, block_of(kill, first)), Finding::none);
    const uint64_t zeroed = kill.issue({.lba = 3, .count = 1, .kind = Kind::zeroes});
    kill.acknowledge(zeroed);
    EXPECT_EQ(read(kill, block_of(kill, first)), Finding::lost);
    EXPECT_EQ(crash(kill, zeroes()), Finding::none);
}

TEST_F(ModelTest, ARefusedWriteIsThereOrNot) {
    const uint64_t first = write(kill);
    const uint64_t refused = kill.issue({.lba = 3, .count = 1});
    kill.refuse(refused);
    Model other = kill;
    EXPECT_EQ(crash(kill, block_of(kill, first)), Finding::none);
    EXPECT_EQ(crash(other, block_of(other, refused)), Finding::none);
}

TEST_F(ModelTest, AJournalTellsTheSameAlsoWhenItsEndIsCutOff) {
    char name[] = "/tmp/weft-checker-journal.XXXXXX";
    ::close(::mkstemp(name));
    const JournalHead head{.run = 7, .block_count = 8, .block_bytes = 512, .host_count = 2, .seed = 1};
    uint64_t first = 0;
    {
        auto journal = Journal::create(name, head);
        ASSERT_TRUE(journal);
        for (int index = 0; index < 2; ++index) {
            Write write{.lba = 3, .count = 1};
            first = write.sequence = kill.issue(write);
            (*journal)->issue(write);
            kill.acknowledge(write.sequence);
            (*journal)->acknowledge(write.sequence);
        }
    }
    const auto length = [&] {
        FILE* file = std::fopen(name, "r");
        std::fseek(file, 0, SEEK_END);
        const long size = std::ftell(file);
        std::fclose(file);
        return size;
    }();
    ASSERT_EQ(::truncate(name, length - 1), 0);  // the last acknowledgement is half there
    JournalHead found;
    std::unique_ptr<Model> model;
    auto journal = Journal::open(name, found, model);
    ASSERT_TRUE(journal);
    EXPECT_EQ(found.run, 7u);
    EXPECT_EQ(found.host_count, 2u);
    EXPECT_EQ(model->open_count(), 1u);
    EXPECT_EQ(model->last_sequence(), 2u);
    Model other = *model;
    EXPECT_EQ(crash(other, block_of(other, 1)), Finding::none);
    EXPECT_EQ(crash(*model, block_of(*model, 2)), Finding::none);
    for (uint64_t lba = 0; lba < 8; ++lba) {
        if (lba != 3) model->restore(lba, {.kind = Kind::zeroes});
    }
    ASSERT_TRUE((*journal)->snapshot(head, *model));
    std::unique_ptr<Model> again;
    ASSERT_TRUE(Journal::open(name, found, again));
    EXPECT_EQ(again->last_sequence(), 2u);
    EXPECT_EQ(crash(*again, block_of(*again, 2)), Finding::none);
    EXPECT_EQ(first, 2u);
    ::unlink(name);
}

}  // namespace
}  // namespace weft::checker
