#include "accel/framework.h"

#include <fmt/format.h>

#include <algorithm>

#include "accel/error/error_module.h"
#include "accel/software/software_module.h"
#include "base/assert.h"
#include "base/log.h"

namespace weft::accel {

void Statistics::add(const Statistics& other) {
    for (size_t op = 0; op < op_count; ++op) {
        of[op].executed += other.of[op].executed;
        of[op].failed += other.of[op].failed;
        of[op].bytes += other.of[op].bytes;
    }
    sequences_executed += other.sequences_executed;
    sequences_failed += other.sequences_failed;
    sequences_outstanding += other.sequences_outstanding;
    outstanding += other.outstanding;
    retried_steps += other.retried_steps;
    retried_sequences += other.retried_sequences;
    retried_buffers += other.retried_buffers;
}

Result<std::unique_ptr<PreparedKey>> ModuleChannel::prepare(
    CryptoKeyRef /*key*/,  // NOLINT(performance-unnecessary-value-param): modules keep it
    uint32_t /*block_bytes*/) {
    return fail(Errc::not_supported, "this module does not encrypt");
}

void ModuleChannel::finish(Operation& operation, Status status) { owner_->finish(operation, status); }

// The figures of a channel on their way from its thread to the app thread.
struct Channel::Retirement : Message {
    Framework* framework = nullptr;
    Statistics figures;
};

// Submits again what a module could not take. It runs only while something waits.
class Channel::Waker final : public Poller {
public:
    explicit Waker(Channel& channel) : Poller(Thread::current(), "accel", 0), channel_(channel) { pause(); }
    uint32_t poll() override { return channel_.run_waiting(); }
    // What frees a module is unknown here, so that it is asked again and again.
    Sleep prepare_sleep() override { return Sleep::briefly; }

private:
    Channel& channel_;
};

Channel::Channel(Framework& framework) : retirement_(std::make_unique<Retirement>()) {
    retirement_->framework = &framework;
}

Channel::~Channel() {
    WEFT_ASSERT(in_flight_ == 0 && waiting_.empty() && statistics_.sequences_outstanding == 0);
    while (free_steps_.pop_front() != nullptr) {
    }
    while (free_sequences_.pop_front() != nullptr) {
    }
    Framework& framework = *retirement_->framework;
    retirement_->figures = statistics_;
    framework.retire(std::move(retirement_));
}

Framework& Channel::framework() const { return *retirement_->framework; }

Result<void> Channel::open() {
    Framework& framework = this->framework();
    for (const auto& module : framework.modules()) {
        auto made = module->make_channel();
        if (!made) return std::unexpected(std::move(made).error());
        (*made)->owner_ = this;
        modules_.emplace(module->name(), std::move(*made));
    }
    for (size_t at = 0; at < op_count; ++at) {
        const Module& module = framework.module_of(static_cast<Op>(at));
        by_op_[at] = module_channel(module.name());
        is_inline_[at] = module.is_inline();
    }
    return {};
}

ModuleChannel* Channel::module_channel(std::string_view name) const {
    const auto at = modules_.find(name);
    return at == modules_.end() ? nullptr : at->second.get();
}

Statistics Channel::statistics() const {
    Statistics figures = statistics_;
    figures.outstanding = in_flight_;
    return figures;
}

Progress Channel::submit(Operation& operation) {
    operation.status = check(operation.job);
    if (operation.status != Status::success) [[unlikely]] {
        count(operation);
        return Progress::done;
    }
    const Progress progress = by_op_[static_cast<size_t>(operation.job.op)]->start(operation);
    if (progress == Progress::done) [[likely]] {
        count(operation);
    } else if (progress == Progress::pending) {
        ++in_flight_;
    }
    return progress;
}

void Channel::finish(Operation& operation, Status status) {
    WEFT_ASSERT(in_flight_ > 0 && !operation.link.is_linked);
    --in_flight_;
    operation.status = status;
    count(operation);
    operation.done(operation);
}

void Channel::count(const Operation& operation) {
    Statistics::Counter& counter = statistics_.of[static_cast<size_t>(operation.job.op)];
    ++counter.executed;
    if (operation.status == Status::success) [[likely]] {
        counter.bytes += bytes_of(operation.job);
    } else {
        ++counter.failed;
    }
}

Result<std::unique_ptr<PreparedKey>> Channel::prepare(CryptoKeyRef key, uint32_t block_bytes) {
    const TweakMode mode = key->tweak_mode();
    const bool counts_512 = mode == TweakMode::incr_512_full_lba || mode == TweakMode::incr_512_upper_lba;
    const uint32_t unit = counts_512 ? 512 : 16;
    if (block_bytes == 0 || block_bytes % unit != 0 || block_bytes > block_bytes_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("blocks of {} bytes cannot be encrypted: it must be a multiple of {}, at most {}",
                                block_bytes, unit, block_bytes_max));
    }
    return by_op_[static_cast<size_t>(Op::encrypt)]->prepare(std::move(key), block_bytes);
}

Result<void> Channel::reserve_buffers() {
    if (small_ != nullptr) return {};
    const Options& options = framework().options();
    struct Made {
        std::unique_ptr<BufferPool> pool;
        std::unique_ptr<BufferCache> cache;
    };
    const auto make = [](uint32_t bytes, uint32_t count) -> Result<Made> {
        Made made;
        auto pool = BufferPool::create({.buffer_bytes = bytes, .buffer_count = count});
        if (!pool) return std::unexpected(std::move(pool).error());
        made.pool = std::move(*pool);
        auto cache = BufferCache::create(*made.pool, count);
        if (!cache) return std::unexpected(std::move(cache).error());
        made.cache = std::move(*cache);
        return made;
    };
    auto small = make(small_buffer_bytes, options.small_cache_size);
    if (!small) return std::unexpected(std::move(small).error());
    auto large = make(large_buffer_bytes, options.large_cache_size);
    if (!large) return std::unexpected(std::move(large).error());
    small_pool_ = std::move(small->pool);
    small_ = std::move(small->cache);
    large_pool_ = std::move(large->pool);
    large_ = std::move(large->cache);
    return {};
}

MutableBytes Channel::take_buffer(size_t bytes) {
    WEFT_ASSERT(small_ != nullptr && bytes <= large_buffer_bytes);
    std::byte* buffer = nullptr;
    if (bytes <= small_buffer_bytes && small_->take({&buffer, 1})) return {buffer, small_buffer_bytes};
    if (large_->take({&buffer, 1})) return {buffer, large_buffer_bytes};
    ++statistics_.retried_buffers;
    return {};
}

void Channel::give_buffer(MutableBytes buffer) {
    std::byte* const start = buffer.data();
    (buffer.size() == small_buffer_bytes ? *small_ : *large_).give({&start, 1});
}

Result<void> Channel::reserve_sequences() {
    if (sequences_ != nullptr) return {};
    const Options& options = framework().options();
    sequences_.reset(new (std::nothrow) Sequence[options.sequence_count]);
    steps_.reset(new (std::nothrow) SequenceStep[options.task_count]);
    if (sequences_ == nullptr || steps_ == nullptr) {
        sequences_.reset();
        steps_.reset();
        return fail(Errc::no_memory, "no memory for sequences");
    }
    waker_ = std::make_unique<Waker>(*this);
    for (uint32_t at = 0; at < options.sequence_count; ++at) {
        sequences_[at].channel_ = this;
        free_sequences_.push_back(sequences_[at]);
    }
    for (uint32_t at = 0; at < options.task_count; ++at) free_steps_.push_back(steps_[at]);
    return {};
}

Sequence* Channel::sequence() {
    WEFT_ASSERT(sequences_ != nullptr);
    Sequence* const sequence = free_sequences_.pop_front();
    if (sequence == nullptr) {
        ++statistics_.retried_sequences;
        return nullptr;
    }
    ++statistics_.sequences_outstanding;
    return sequence;
}

void Channel::wait_for_turn(Sequence& sequence) {
    ++statistics_.retried_steps;
    if (waiting_.empty()) waker_->resume();
    waiting_.push_back(sequence);
}

// In order, each once a turn: the first that still cannot go on stops the others.
uint32_t Channel::run_waiting() {
    uint32_t worked = 0;
    for (size_t left = waiting_.size(); left > 0; --left) {
        Sequence& sequence = *waiting_.pop_front();
        const Progress progress = sequence.run();
        if (progress == Progress::retry) {
            ++statistics_.retried_steps;
            waiting_.push_front(sequence);
            break;
        }
        ++worked;
        if (progress == Progress::done) sequence.tell_end();
    }
    if (waiting_.empty()) waker_->pause();
    return worked;
}

Framework::Framework() : IoDevice("accel"), home_(Thread::current_or_null()) {
    Module& software = add_module(std::make_unique<SoftwareModule>());
    add_module(std::make_unique<ErrorModule>(software));
    by_op_.fill(&software);
}

Framework::~Framework() = default;

Module& Framework::add_module(std::unique_ptr<Module> module) {
    WEFT_ASSERT(!is_started_ && find(module->name()) == nullptr);
    return *modules_.emplace_back(std::move(module));
}

Module* Framework::find(std::string_view name) const {
    const auto at = std::ranges::find(modules_, name, [](const auto& module) { return module->name(); });
    return at == modules_.end() ? nullptr : at->get();
}

Result<void> Framework::assign(Op op, std::string_view name) {
    if (is_started_) return fail(Errc::invalid_argument, "ops are assigned before the start");
    Module* const module = find(name);
    if (module == nullptr) {
        std::string known;
        for (const auto& one : modules_) known += (known.empty() ? "" : ", ") + std::string(one->name());
        return fail(Errc::invalid_argument,
                    fmt::format("module: there is no {}; there are {}", log::quoted(name, 64), known));
    }
    if (!module->supports(op)) {
        return fail(Errc::invalid_argument, fmt::format("module: {} does not do {}", name, name_of(op)));
    }
    by_op_[static_cast<size_t>(op)] = module;
    assigned_[static_cast<size_t>(op)] = true;
    return {};
}

Result<void> Framework::set_options(const Options& options) {
    if (is_started_) return fail(Errc::invalid_argument, "options are set before the start");
    if (options.task_count < task_count_min) {
        return fail(Errc::invalid_argument, fmt::format("task_count: at least {}", task_count_min));
    }
    const std::pair<const char*, uint32_t> counts[] = {{"small_cache_size", options.small_cache_size},
                                                       {"large_cache_size", options.large_cache_size},
                                                       {"task_count", options.task_count},
                                                       {"sequence_count", options.sequence_count}};
    for (const auto& [name, count] : counts) {
        if (count == 0 || count > pool_count_max) {
            return fail(Errc::invalid_argument, fmt::format("{}: 1 to {}", name, pool_count_max));
        }
    }
    options_ = options;
    return {};
}

Task<void> Framework::stop() {
    while (!channel_threads().empty()) co_await sleep_for(env::ns_per_ms);
    co_await yield();  // their figures came before they went
    keys_.remove_all();
    is_started_ = false;
}

Result<ChannelRef<Channel>> Framework::channel() {
    auto channel = get_channel();
    if (!channel) return std::unexpected(std::move(channel).error());
    return ChannelRef<Channel>(static_cast<Channel&>(**channel));
}

Result<std::unique_ptr<IoChannel>> Framework::make_channel() {
    auto channel = std::make_unique<Channel>(*this);
    WEFT_TRY(channel->open());
    return channel;
}

void Framework::retire(std::unique_ptr<Channel::Retirement> retirement) {
    if (home_ == nullptr || home_->is_current()) {
        retired_.add(retirement->figures);
        return;
    }
    retirement->run = [](Message& message) {
        const std::unique_ptr<Channel::Retirement> owned(&static_cast<Channel::Retirement&>(message));
        owned->framework->retired_.add(owned->figures);
    };
    home_->post(*retirement.release());
}

Task<Statistics> Framework::collect_statistics() {
    Statistics sum = retired_;
    co_await for_each_channel<Channel>(*this, [&sum](Channel& channel) { sum.add(channel.statistics()); });
    co_return sum;
}

}  // namespace weft::accel
