#include "accel/sequence/sequence.h"

#include "accel/test_bench.h"
#include "base/crc32c.h"

namespace weft::accel {
namespace {

// A module that does as it is told: late, or not now.
class SlowModule final : public Module {
public:
    class SlowChannel final : public ModuleChannel {
    public:
        SlowChannel(std::unique_ptr<ModuleChannel> base, SlowModule& module)
            : base_(std::move(base)), module_(module) {}
        Progress start(Operation& operation) override {
            if (module_.next != Progress::done) {
                if (module_.next == Progress::pending) module_.started.push_back({this, &operation});
                return module_.next;
            }
            return base_->start(operation);
        }
        // From the loop, or as the thread.
        void complete(Operation& operation, Status status) {
            if (status == Status::success) {
                base_->start(operation);
                status = operation.status;
            }
            finish(operation, status);
        }

    private:
        std::unique_ptr<ModuleChannel> base_;
        SlowModule& module_;
    };
    explicit SlowModule(Module& base) : base_(base) {}
    [[nodiscard]] std::string_view name() const override { return "slow"; }
    [[nodiscard]] bool supports(Op) const override { return true; }
    Result<std::unique_ptr<ModuleChannel>> make_channel() override {
        return std::make_unique<SlowChannel>(std::move(*base_.make_channel()), *this);
    }
    Progress next = Progress::done;
    struct Started {
        SlowChannel* channel;
        Operation* operation;
    };
    std::vector<Started> started;

private:
    Module& base_;
};

class SequenceTest : public AccelTest {
protected:
    SequenceTest() {
        slow_ = static_cast<SlowModule*>(
            &framework_.add_module(std::make_unique<SlowModule>(framework_.module_of(Op::copy))));
        EXPECT_TRUE(framework_.assign(Op::fill, "slow"));
    }
    Sequence* begin() {
        Channel& channel = this->channel();
        return world_.as(thread(), [&] {
            EXPECT_TRUE(channel.reserve_sequences());
            return channel.sequence();
        });
    }
    bool append(Sequence& sequence, const Job& job) {
        return world_.as(thread(), [&] {
            return sequence.append(job, {[](void* context) { ++*static_cast<int*>(context); }, &steps_told_});
        });
    }
    Status finish(Sequence& sequence) {
        return world_.as(thread(), [&] {
            SequenceEnd end;
            EXPECT_EQ(sequence.finish(end), Progress::done);
            return end.status;
        });
    }
    // One after another, as they are.
    Status run_all(const std::vector<Job>& jobs) {
        Sequence& sequence = *begin();
        for (const Job& job : jobs) EXPECT_TRUE(append(sequence, job));
        return finish(sequence);
    }

    SlowModule* slow_ = nullptr;
    int steps_told_ = 0;
    struct Place {
        Memory memory = Memory(1024);
        iovec piece = piece_of(memory);
        operator std::span<const iovec>() const { return {&piece, 1}; }  // NOLINT(google-explicit-constructor)
    };
};

TEST_F(SequenceTest, ACopyBehindAndOneBeforeAreLeftOut) {
    Place host, between, device;
    host.memory = random_memory(1024, random_);
    host.piece = piece_of(host.memory);
    PreparedKey& key =
        prepared("k", Cipher::aes_xts, TweakMode::simple_lba, Memory(16, std::byte{1}), Memory(16, std::byte{2}), 512);
    Place expected;
    ASSERT_EQ(run(cipher(Op::encrypt, key, 9, expected, host)), Status::success);

    // A write: encrypted into a buffer, which the RAM disk copies.
    EXPECT_EQ(run_all({cipher(Op::encrypt, key, 9, between, host), copy(device, between)}), Status::success);
    EXPECT_EQ(device.memory, expected.memory);
    EXPECT_EQ(executed(Op::copy), 0U);
    EXPECT_TRUE(is_zero(between.memory)) << "nobody wrote there";
    // With a digest of what was encrypted in between.
    device.memory.assign(1024, std::byte{0});
    uint32_t state = crc32c_seed;
    EXPECT_EQ(run_all({cipher(Op::encrypt, key, 9, between, host), crc32c(state, between), copy(device, between)}),
              Status::success);
    EXPECT_EQ(device.memory, expected.memory);
    EXPECT_EQ(crc32c_finish(state), weft::crc32c(expected.memory));
    EXPECT_EQ(executed(Op::copy), 0U);
    // A read, appended from above to below and reversed.
    Place back;
    Sequence& sequence = *begin();
    EXPECT_TRUE(append(sequence, cipher(Op::decrypt, key, 9, back, between)));
    EXPECT_TRUE(append(sequence, copy(between, device)));
    world_.as(thread(), [&] { sequence.reverse(); });
    EXPECT_EQ(finish(sequence), Status::success);
    EXPECT_EQ(back.memory, host.memory);
    EXPECT_EQ(executed(Op::copy), 0U);
    EXPECT_TRUE(is_zero(between.memory));
    EXPECT_EQ(steps_told_, 7) << "each step once, also those that were left out";
}

TEST_F(SequenceTest, ACopyThatSomebodyWantsIsDone) {
    Place one, two, three;
    one.memory.assign(1024, std::byte{1});
    uint32_t state = crc32c_seed;
    // Nothing is made of it: the copy is the point.
    EXPECT_EQ(run_all({copy(two, one), crc32c(state, two)}), Status::success);
    EXPECT_EQ(two.memory, one.memory);
    EXPECT_EQ(crc32c_finish(state), weft::crc32c(one.memory));
    // What it is made of is overwritten before it is read.
    two.memory.assign(1024, std::byte{0});
    EXPECT_EQ(run_all({copy(two, one), fill(one, 7), copy(three, two)}), Status::success);
    EXPECT_EQ(three.memory, Memory(1024, std::byte{1}));
    EXPECT_EQ(one.memory, Memory(1024, std::byte{7}));
    // A later step reads what was copied.
    state = crc32c_seed;
    one.memory.assign(1024, std::byte{4});
    EXPECT_EQ(run_all({copy(two, one), copy(three, two), fill(one, 9), crc32c(state, two)}), Status::success);
    EXPECT_EQ(crc32c_finish(state), weft::crc32c(Memory(1024, std::byte{4})));
    EXPECT_EQ(three.memory, Memory(1024, std::byte{4}));
    // Memory that lies across another's.
    Memory both(1536);
    std::fill_n(both.begin(), 1024, std::byte{5});
    const iovec left = piece_of(MutableBytes(both).first(1024));
    const iovec right = piece_of(MutableBytes(both).subspan(512));
    EXPECT_EQ(run_all({copy({&right, 1}, {&left, 1}), copy(three, {&right, 1})}), Status::success);
    EXPECT_EQ(three.memory, Memory(1024, std::byte{5}));
}

// Chains of random steps over a few buffers end with what the steps, done one by one, leave in the last one's place.
TEST_F(SequenceTest, WhateverIsLeftOutTheOutcomeIsTheSame) {
    PreparedKey& key =
        prepared("k", Cipher::aes_xts, TweakMode::simple_lba, Memory(16, std::byte{1}), Memory(16, std::byte{2}), 512);
    uint64_t left_out = 0;
    for (int round = 0; round < 3000; ++round) {
        std::array<Place, 4> places;
        for (Place& place : places) {
            place.memory = random_memory(1024, random_);
            place.piece = piece_of(place.memory);
        }
        std::array<Memory, 4> before;
        for (size_t at = 0; at < places.size(); ++at) before[at] = places[at].memory;
        std::array<uint32_t, 6> states{};
        std::vector<Job> jobs;
        uint64_t copies = 0;
        const size_t steps = 2 + random_() % 5;
        for (size_t at = 0; at < steps; ++at) {
            const size_t from = random_() % places.size();
            const size_t to = (from + 1 + random_() % (places.size() - 1)) % places.size();
            switch (random_() % 6) {
                case 0:
                case 1:
                case 2:
                    jobs.push_back(copy(places[to], places[from]));
                    ++copies;
                    break;
                case 3:
                    jobs.push_back(cipher(Op::encrypt, key, at, places[random_() % 4 == 0 ? from : to], places[from]));
                    break;
                case 4: jobs.push_back(crc32c(states[at], places[from])); break;
                default: jobs.push_back(fill(places[to], static_cast<uint8_t>(at)));
            }
        }
        const std::span<const iovec> last = jobs.back().op == Op::crc32c ? jobs.back().source : jobs.back().destination;
        for (const Job& job : jobs) ASSERT_EQ(run(job), Status::success);
        const auto* const start = static_cast<const std::byte*>(last.front().iov_base);
        const Memory expected(start, start + 1024);
        const std::array<uint32_t, 6> expected_states = states;

        for (size_t at = 0; at < places.size(); ++at) std::ranges::copy(before[at], places[at].memory.begin());
        states = {};
        const uint64_t done_before = executed(Op::copy);
        ASSERT_EQ(run_all(jobs), Status::success);
        left_out += copies - (executed(Op::copy) - done_before);
        if (jobs.back().op != Op::crc32c) {
            ASSERT_TRUE(std::equal(expected.begin(), expected.end(), start)) << "round " << round;
        }
        ASSERT_EQ(states, expected_states) << "round " << round;
    }
    EXPECT_GT(left_out, 300U) << "or the test looks at nothing";
}

TEST_F(SequenceTest, TheFirstStepThatFailsEndsIt) {
    Place one, two, three;
    one.memory.assign(1024, std::byte{1});
    EXPECT_EQ(run_all({compare(one, two), fill(two, 2), fill(three, 3)}), Status::miscompare);
    EXPECT_TRUE(is_zero(two.memory));
    EXPECT_TRUE(is_zero(three.memory));
    EXPECT_EQ(steps_told_, 3);
    const Statistics figures = channel().statistics();
    EXPECT_EQ(figures.sequences_executed, 1U);
    EXPECT_EQ(figures.sequences_failed, 1U);
    EXPECT_EQ(figures.sequences_outstanding, 0U);
}

TEST_F(SequenceTest, AbortedNothingIsDone) {
    Place one;
    Sequence& sequence = *begin();
    EXPECT_TRUE(append(sequence, fill(one, 1)));
    world_.as(thread(), [&] { sequence.abort(); });
    EXPECT_TRUE(is_zero(one.memory));
    EXPECT_EQ(steps_told_, 1);
    EXPECT_EQ(channel().statistics().sequences_outstanding, 0U);
    Sequence& empty = *begin();
    EXPECT_EQ(finish(empty), Status::success);
}

TEST_F(SequenceTest, AModuleThatIsLateOrShortIsWaitedFor) {
    Place one, two;
    two.memory.assign(1024, std::byte{9});
    struct End : SequenceEnd {
        bool is_done = false;
    } end;
    end.context = &end;
    end.done = [](SequenceEnd& ended) { static_cast<End*>(ended.context)->is_done = true; };
    const auto finish_later = [&] {
        end.is_done = false;
        Sequence& sequence = *begin();
        EXPECT_TRUE(append(sequence, fill(one, 4)));
        EXPECT_TRUE(append(sequence, compare(one, one)));
        world_.as(thread(), [&] { EXPECT_EQ(sequence.finish(end), Progress::pending); });
    };
    channel();
    slow_->next = Progress::pending;
    finish_later();
    world_.settle();
    EXPECT_FALSE(end.is_done);
    EXPECT_EQ(channel().statistics().outstanding, 1U);
    world_.as(thread(), [&] { slow_->started[0].channel->complete(*slow_->started[0].operation, Status::success); });
    EXPECT_TRUE(end.is_done);
    EXPECT_EQ(end.status, Status::success);
    EXPECT_EQ(one.memory, Memory(1024, std::byte{4}));

    finish_later();
    world_.as(thread(), [&] { slow_->started[1].channel->complete(*slow_->started[1].operation, Status::failed); });
    EXPECT_TRUE(end.is_done);
    EXPECT_EQ(end.status, Status::failed);

    slow_->next = Progress::retry;
    finish_later();
    for (int turn = 0; turn < 5; ++turn) world_.turn();
    EXPECT_FALSE(end.is_done);
    slow_->next = Progress::done;
    ASSERT_TRUE(world_.wait_for([&] { return end.is_done; }));
    EXPECT_EQ(end.status, Status::success);
    EXPECT_GT(channel().statistics().retried_steps, 2U);
}

TEST_F(SequenceTest, WithNothingLeftTheCallerIsToldToTryAgain) {
    ASSERT_TRUE(framework_.set_options({.task_count = 20, .sequence_count = 2}));
    Place one;
    Sequence* first = begin();
    Sequence* second = begin();
    ASSERT_TRUE(first != nullptr && second != nullptr);
    EXPECT_EQ(begin(), nullptr);
    for (size_t at = 0; at < sequence_steps_max; ++at) EXPECT_TRUE(append(*first, fill(one, 1)));
    EXPECT_FALSE(append(*first, fill(one, 1))) << "it is full";
    for (size_t at = 0; at < 4; ++at) EXPECT_TRUE(append(*second, fill(one, 1)));
    EXPECT_FALSE(append(*second, fill(one, 1))) << "no step is left";
    const Statistics figures = channel().statistics();
    EXPECT_EQ(figures.retried_sequences, 1U);
    EXPECT_EQ(figures.retried_steps, 1U);
    EXPECT_EQ(figures.sequences_outstanding, 2U);
    EXPECT_EQ(finish(*first), Status::success);
    EXPECT_TRUE(append(*second, fill(one, 1)));
    EXPECT_EQ(finish(*second), Status::success);
    EXPECT_NE(first = begin(), nullptr);
    world_.as(thread(), [&] { first->abort(); });
}

TEST_F(SequenceTest, BuffersOfTwoSizesAreTakenAndGivenBack) {
    ASSERT_TRUE(framework_.set_options({.small_cache_size = 2, .large_cache_size = 1}));
    Channel& channel = this->channel();
    world_.as(thread(), [&] {
        ASSERT_TRUE(channel.reserve_buffers());
        const MutableBytes first = channel.take_buffer(1);
        const MutableBytes second = channel.take_buffer(small_buffer_bytes);
        EXPECT_EQ(first.size(), small_buffer_bytes);
        const MutableBytes third = channel.take_buffer(512);
        EXPECT_EQ(third.size(), large_buffer_bytes) << "no small one is left";
        EXPECT_TRUE(channel.take_buffer(512).empty());
        EXPECT_TRUE(channel.take_buffer(large_buffer_bytes).empty());
        EXPECT_EQ(channel.statistics().retried_buffers, 2U);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(second.data()) % 4096, 0U);
        for (const MutableBytes buffer : {first, second, third}) channel.give_buffer(buffer);
        const MutableBytes large = channel.take_buffer(large_buffer_bytes);
        EXPECT_EQ(large.size(), large_buffer_bytes);
        channel.give_buffer(large);
    });
}

}  // namespace
}  // namespace weft::accel
