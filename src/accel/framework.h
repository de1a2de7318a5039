// The acceleration framework: which module does which op, and the channel through which a thread has jobs done.
//
//   Operation operation;
//   operation.job = accel::copy(to, from);
//   const Progress progress = channel.submit(operation);
//
// Ops are assigned before the start; nothing of that changes while there are channels.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "accel/crypto/key.h"
#include "accel/module.h"
#include "accel/operation.h"
#include "accel/sequence/sequence.h"
#include "base/bytes.h"
#include "memory/buffer_pool.h"
#include "reactor/io_channel.h"
#include "reactor/poller.h"
#include "reactor/task.h"

namespace weft::accel {

// The field's, with its defaults. A thread gets what they say when it first needs it.
struct Options {
    uint32_t small_cache_size = 128;  // buffers of small_buffer_bytes
    uint32_t large_cache_size = 16;   // … of large_buffer_bytes
    uint32_t task_count = 2048;       // steps of sequences
    uint32_t sequence_count = 2048;
    uint32_t buf_count = 2048;        // kept and told: buffers are the caller's here

    friend bool operator==(const Options&, const Options&) = default;
};
inline constexpr uint32_t small_buffer_bytes = 8192;
inline constexpr uint32_t large_buffer_bytes = 131072;
inline constexpr uint32_t task_count_min = 8;  // the field's
inline constexpr uint32_t pool_count_max = 65536;

struct Statistics {
    struct Counter {
        uint64_t executed = 0;
        uint64_t failed = 0;
        uint64_t bytes = 0;
    };
    std::array<Counter, op_count> of{};
    uint64_t sequences_executed = 0;
    uint64_t sequences_failed = 0;
    uint64_t sequences_outstanding = 0;
    uint64_t outstanding = 0;        // operations
    uint64_t retried_steps = 0;      // there was no step left for a sequence, or it could not be submitted
    uint64_t retried_sequences = 0;  // there was no sequence left
    uint64_t retried_buffers = 0;

    void add(const Statistics& other);
};

class Framework;

// Of one thread. All methods on it.
class Channel final : public IoChannel {
public:
    explicit Channel(Framework& framework);
    ~Channel() override;

    // Does a job, or begins it. The operation belongs to the channel until it is done.
    Progress submit(Operation& operation);
    // Whether jobs of that op are always done on the spot.
    [[nodiscard]] bool is_inline(Op op) const { return is_inline_[static_cast<size_t>(op)]; }

    // Control path. `block_bytes`: of what will be encrypted; a multiple of 16 (of 512 for tweak modes that count
    // these), at most block_bytes_max. Errors: invalid_argument; those of ModuleChannel::prepare().
    Result<std::unique_ptr<PreparedKey>> prepare(CryptoKeyRef key, uint32_t block_bytes);

    // Makes sure that there are buffers for take_buffer(), or steps for sequence(). Control path. Errors: no_memory.
    Result<void> reserve_buffers();
    Result<void> reserve_sequences();

    // Memory of at least `bytes`, at most large_buffer_bytes, aligned to a page; empty when all are taken: ask again in
    // a later turn. After reserve_buffers().
    MutableBytes take_buffer(size_t bytes);
    void give_buffer(MutableBytes buffer);

    // An empty sequence, until it is finished or aborted; nullptr when all are in use: ask again in a later turn. After
    // reserve_sequences().
    Sequence* sequence();

    [[nodiscard]] Framework& framework() const;
    [[nodiscard]] Statistics statistics() const;
    [[nodiscard]] uint64_t in_flight() const { return in_flight_; }
    // The part of a module, for who set it up; nullptr when there is no such module.
    [[nodiscard]] ModuleChannel* module_channel(std::string_view name) const;

private:
    friend class Framework;
    friend class ModuleChannel;
    friend class Sequence;
    class Waker;
    struct Retirement;
    Result<void> open();
    void finish(Operation& operation, Status status);
    void count(const Operation& operation);
    void wait_for_turn(Sequence& sequence);
    uint32_t run_waiting();

    std::map<std::string, std::unique_ptr<ModuleChannel>, std::less<>> modules_;
    std::array<ModuleChannel*, op_count> by_op_{};
    std::array<bool, op_count> is_inline_{};
    Statistics statistics_;
    uint64_t in_flight_ = 0;

    std::unique_ptr<BufferPool> small_pool_, large_pool_;
    std::unique_ptr<BufferCache> small_, large_;

    std::unique_ptr<Sequence[]> sequences_;
    std::unique_ptr<SequenceStep[]> steps_;
    SequenceList free_sequences_;
    SequenceList waiting_;  // for a module that was short of something
    SequenceStepList free_steps_;
    std::unique_ptr<Waker> waker_;
    std::unique_ptr<Retirement> retirement_;  // allocated early: a destructor must not fail
};

// Lives on the app thread; outlives its channels.
class Framework final : public IoDevice {
public:
    // With the modules "software" and "error", all ops with the first.
    Framework();
    ~Framework() override;

    // Before the start.
    Module& add_module(std::unique_ptr<Module> module);
    // Before the start. Errors: invalid_argument: there is no such module, it does not do that, or it is too late.
    Result<void> assign(Op op, std::string_view name);
    // Errors: invalid_argument: too few steps for one sequence, or too much of something; too late.
    Result<void> set_options(const Options& options);
    [[nodiscard]] const Options& options() const { return options_; }
    // From now on nothing is assigned any more.
    void start() { is_started_ = true; }
    // Ends when all channels are gone, and the keys; those who have them were stopped before. App thread.
    Task<void> stop();

    // The current thread's channel. Errors: no_memory.
    Result<ChannelRef<Channel>> channel();

    [[nodiscard]] const std::vector<std::unique_ptr<Module>>& modules() const { return modules_; }
    [[nodiscard]] Module& module_of(Op op) const { return *by_op_[static_cast<size_t>(op)]; }
    // What was assigned by name, for save_config.
    [[nodiscard]] bool is_assigned(Op op) const { return assigned_[static_cast<size_t>(op)]; }
    [[nodiscard]] CryptoKeys& keys() { return keys_; }
    [[nodiscard]] const CryptoKeys& keys() const { return keys_; }
    // Of channels that are gone.
    [[nodiscard]] const Statistics& retired_statistics() const { return retired_; }
    // Of all channels. From the app thread, and back there.
    Task<Statistics> collect_statistics();

private:
    friend class Channel;
    Result<std::unique_ptr<IoChannel>> make_channel() override;
    [[nodiscard]] Module* find(std::string_view name) const;
    void retire(std::unique_ptr<Channel::Retirement> retirement);

    Thread* const home_;  // the app thread; nullptr when made without one (tests)
    Options options_;
    bool is_started_ = false;
    std::vector<std::unique_ptr<Module>> modules_;
    std::array<Module*, op_count> by_op_{};
    std::array<bool, op_count> assigned_{};
    CryptoKeys keys_;
    Statistics retired_;
};

}  // namespace weft::accel
