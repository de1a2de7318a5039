#include "bdev_modules/raid/rebuild.h"

#include <algorithm>
#include <new>

#include "base/mutants.h"
#include "bdev/control_io.h"
#include "bdev_modules/raid/xor.h"
#include "reactor/reactor.h"

namespace weft::bdev {

namespace {

constexpr std::align_val_t alignment{4096};
constexpr uint64_t request_bytes_max = uint64_t{1} << 20;  // of one read or write

struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, alignment); }
};

}  // namespace

// For what is read, and for what it is made of where one base is not enough.
struct Rebuild::Memory {
    std::unique_ptr<std::byte[], Free> made;
    std::unique_ptr<std::byte[], Free> other;
    size_t bytes = 0;
};

Rebuild::Rebuild(RaidDevice& device, const Options& options)
    : device_(device),
      options_(options),
      parts_(device.layout().level() == RaidLevel::raid5f ? device.layout().bases() - 1 : 1),
      done_blocks_(options.done_blocks) {}

uint64_t Rebuild::base_blocks() const { return device_.block_count() / parts_; }

Task<Rebuild::Outcome> Rebuild::run() {
    Thread& home = Thread::current();
    co_await resume_on(device_.registry().io_thread());
    const Outcome outcome = co_await work();
    co_await resume_on(home);
    co_return outcome;
}

Task<Rebuild::Outcome> Rebuild::work() {
    // Channels that stay open: run_request() would open one each time.
    std::vector<ChannelRef<Channel>> channels;
    for (size_t base = 0; base < device_.base_count(); ++base) {
        if (device_.mode(base) == BaseMode::absent) continue;
        auto channel = device_.base(base)->device().channel();
        if (!channel) co_return base == options_.target ? Outcome::target_failed : Outcome::source_failed;
        channels.push_back(std::move(*channel));
    }
    const uint64_t block_bytes = device_.block_bytes();
    const uint64_t strip = std::max<uint64_t>(device_.layout().strip_blocks(), 1);
    // Whole strips of raid5f, so that a window is whole stripes of the raid.
    const uint64_t wanted = std::max<uint64_t>(options_.window_bytes / (block_bytes * parts_), 1);
    const uint64_t window = std::min((wanted + strip - 1) / strip * strip, base_blocks());
    Memory memory{.bytes = std::max<uint64_t>(std::min(window * block_bytes, request_bytes_max), block_bytes)};
    for (auto* part : {&memory.made, &memory.other}) {
        part->reset(static_cast<std::byte*>(::operator new(memory.bytes, alignment, std::nothrow)));
        if (!*part) co_return Outcome::target_failed;
    }
    env::TimeNs next = Reactor::current().now() + options_.delay;
    co_await pause_until(next);
    for (uint64_t first = done_blocks(); first < base_blocks(); first = done_blocks()) {
        if (is_stopped_.load(std::memory_order_relaxed)) co_return Outcome::stopped;
        const uint64_t blocks = std::min(window, base_blocks() - first);
        const Outcome outcome = co_await do_window(first, blocks, memory);
        if (outcome != Outcome::finished) co_return outcome;
        done_blocks_.store(first + blocks, std::memory_order_relaxed);
        if (options_.bytes_per_second_max == 0) continue;
        const env::TimeNs now = Reactor::current().now();
        const double seconds =
            static_cast<double>(blocks * parts_ * block_bytes) / static_cast<double>(options_.bytes_per_second_max);
        next = std::max(next, now - std::min(now, env::ns_per_ms)) +
               static_cast<env::TimeNs>(seconds * static_cast<double>(env::ns_per_s));
        co_await pause_until(next);
    }
    if (is_stopped_.load(std::memory_order_relaxed)) co_return Outcome::stopped;
    Request flush;
    flush.op = Op::flush;
    Device& target = device_.base(options_.target)->device();
    if (!target.supports(Op::flush)) co_return Outcome::finished;
    const Status flushed = co_await run_request(device_.registry(), target, flush);
    co_return flushed == Status::success ? Outcome::finished : Outcome::target_failed;
}

// In steps, so that stop() is heard.
Task<void> Rebuild::pause_until(env::TimeNs moment) {
    while (Reactor::current().now() < moment && !is_stopped_.load(std::memory_order_relaxed)) {
        co_await sleep_for(std::min(moment - Reactor::current().now(), 50 * env::ns_per_ms));
    }
}

// Nobody writes to the window meanwhile: who wrote before it goes to the target, too, and who comes after it waits.
Task<Rebuild::Outcome> Rebuild::do_window(uint64_t first, uint64_t blocks, Memory& memory) {
    RangeLocks::Range range;
    range.first = first;
    range.end = first + blocks;
    range.writes = true;
    const bool is_locking = !mutant::on(mutant::rebuild_without_lock);
    if (is_locking && !device_.locks().enter(range)) {
        // Who has it may wait until this has stopped: its base failed, and is being taken out.
        while (!device_.locks().may_start(range)) {
            if (is_stopped_.load(std::memory_order_relaxed)) {
                device_.locks().leave(range);
                co_return Outcome::stopped;
            }
            co_await sleep_for(Reactor::ask_again_after);
        }
    }
    const uint64_t step = memory.bytes / device_.block_bytes();
    Outcome outcome = Outcome::finished;
    for (uint64_t at = first; at < first + blocks && outcome == Outcome::finished;) {
        const uint64_t count = std::min(step, first + blocks - at);
        const MutableBytes made(memory.made.get(), count * device_.block_bytes());
        if (co_await read(at, count, memory) != Status::success) {
            outcome = Outcome::source_failed;
        } else if (co_await run_on(options_.target, Op::write, at, count, made) != Status::success) {
            outcome = Outcome::target_failed;
        }
        at += count;
    }
    if (is_locking) device_.locks().leave(range);
    co_return outcome;
}

// Of raid1 from the first mirror that can; of raid5f from all.
Task<Status> Rebuild::read(uint64_t first, uint64_t blocks, Memory& memory) {
    const bool is_mirror = device_.layout().level() == RaidLevel::raid1;
    const size_t bytes = blocks * device_.block_bytes();
    const MutableBytes made(memory.made.get(), bytes);
    const MutableBytes other(memory.other.get(), bytes);
    Status status = Status::read_error;
    bool is_first = true;
    for (size_t base = 0; base < device_.base_count(); ++base) {
        if (base == options_.target) continue;
        if (device_.mode(base) != BaseMode::in_sync) {
            if (is_mirror) continue;
            co_return Status::read_error;
        }
        status = co_await run_on(base, Op::read, first, blocks, is_first ? made : other);
        if ((status == Status::success) == is_mirror) co_return status;
        if (!is_mirror && !is_first) xor_into(made, other);
        is_first = is_mirror;
    }
    co_return status;
}

Task<Status> Rebuild::run_on(size_t base, Op op, uint64_t first, uint64_t blocks, MutableBytes data) {
    iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    Request request;
    request.op = op;
    request.lba = device_.data_offset(base) + first;
    request.blocks = blocks;
    request.data = {&piece, 1};
    co_return co_await run_request(device_.registry(), device_.base(base)->device(), request);
}

}  // namespace weft::bdev
