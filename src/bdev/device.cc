#include "bdev/device.h"

#include <fmt/format.h>

#include <bit>

#include "base/assert.h"
#include "bdev/io_trace.h"
#include "reactor/reactor.h"
#include "reactor/trace_here.h"

namespace weft::bdev {

Result<void> check_size(uint32_t block_bytes, uint64_t block_count) {
    if (block_bytes < block_bytes_min || block_bytes > block_bytes_max || !std::has_single_bit(block_bytes)) {
        return fail(Errc::invalid_argument,
                    fmt::format("a block size of {} bytes: it must be a power of two from {} to {}", block_bytes,
                                block_bytes_min, block_bytes_max));
    }
    if (block_count == 0) return fail(Errc::invalid_argument, "a device must hold at least one block");
    if (block_count > device_bytes_max / block_bytes) {
        return fail(Errc::invalid_argument,
                    fmt::format("{} blocks of {} bytes are more than 2^63 bytes", block_count, block_bytes));
    }
    return {};
}

// The figures of a channel on their way from its thread to the app thread.
struct Device::Retirement : Message {
    Device* device = nullptr;
    Statistics figures;
    std::unique_ptr<Histogram> histogram;
};

Device::Device(std::string name, Uuid uuid, const Geometry& geometry)
    : IoDevice(std::move(name)),
      home_(Thread::current_or_null()),
      uuid_(uuid),
      geometry_(geometry),
      block_count_(geometry.block_count) {
    WEFT_ASSERT(!this->name().empty());
    WEFT_ASSERT(check_size(geometry.block_bytes, geometry.block_count).has_value());
    WEFT_ASSERT(std::has_single_bit(geometry.alignment_bytes));
}

Device::~Device() { WEFT_ASSERT(descriptors_.empty()); }

void Device::describe(Json&) const {}
void Device::write_config(Json&) const {}
Task<void> Device::close() { co_return; }

void Device::set_block_count(uint64_t count) {
    WEFT_ASSERT(check_size(geometry_.block_bytes, count).has_value());
    block_count_.store(count, std::memory_order_release);
}

Result<ChannelRef<Channel>> Device::channel() {
    auto channel = get_channel();
    if (!channel) return std::unexpected(std::move(channel).error());
    auto& mine = static_cast<Channel&>(**channel);
    mine.follow(histogram_shape());
    return ChannelRef<Channel>(mine);
}

void Device::set_histogram(const HistogramShape& shape) {
    histogram_.store(shape.packed(), std::memory_order_release);
    retired_histogram_ = Histogram(shape);
}

// Registry::remove lets the device live until these messages have run: they precede the channel's leaving.
void Device::retire(std::unique_ptr<Retirement> retirement) {
    if (home_ == nullptr || home_->is_current()) {
        retired_.add(retirement->figures);
        if (retirement->histogram) retired_histogram_.add(*retirement->histogram);
        return;
    }
    retirement->device = this;
    retirement->run = [](Message& message) {
        const std::unique_ptr<Retirement> owned(&static_cast<Retirement&>(message));
        owned->device->retired_.add(owned->figures);
        if (owned->histogram) owned->device->retired_histogram_.add(*owned->histogram);
    };
    home_->post(*retirement.release());
}

Channel::Channel() : retirement_(std::make_unique<Device::Retirement>()) {
    if (trace::is_on(trace::Point::bdev_ioch_create)) [[unlikely]]
        trace_here(trace::Point::bdev_ioch_create, 0, {.a = Thread::current().id()});
}

Channel::~Channel() {
    WEFT_ASSERT(in_flight_ == 0);
    if (trace::is_on(trace::Point::bdev_ioch_destroy)) [[unlikely]]
        trace_here(trace::Point::bdev_ioch_destroy, 0, {.a = thread().id()});
    retirement_->figures = statistics_;
    retirement_->histogram = std::move(exact_);
    bdev().retire(std::move(retirement_));
}

Device& Channel::bdev() const { return static_cast<Device&>(device()); }

Status Channel::check(const Request& request) const {
    if (!bdev().supports(request.op)) return Status::not_supported;
    if (request.op == Op::flush) return Status::success;
    const uint64_t block_count = bdev().block_count();
    if (request.lba > block_count || request.blocks > block_count - request.lba) return Status::out_of_range;
    if (request.op == Op::unmap || request.op == Op::write_zeroes) return Status::success;
    uint64_t data_bytes = 0;
    for (const iovec& piece : request.data) data_bytes += piece.iov_len;
    return data_bytes == request.blocks * bdev().block_bytes() ? Status::success : Status::failed;
}

void Channel::count(const Request& request, Status status) {
    if (status != Status::success) [[unlikely]]
        return statistics_.count_error(status);
    const uint64_t bytes = request.op == Op::flush ? 0 : request.blocks * bdev().block_bytes();
    meter_.count(thread().reactor(), static_cast<size_t>(request.op), bytes, request.submitted_at);
}

void Channel::count_now(Op op, uint64_t bytes) {
    Reactor& reactor = thread().reactor();
    meter_.count(reactor, static_cast<size_t>(op), bytes, reactor.now());
}

void Channel::ChannelMeter::took(size_t kind, env::TimeNs latency, uint64_t times) {
    Meter::took(kind, latency, times);
    Histogram* exact = channel_.exact_.get();
    if (exact != nullptr && exact->shape().counts(static_cast<Op>(kind))) exact->count(latency, times);
}

void Channel::reset_statistics(ResetMode mode) {
    statistics_.reset(mode);
    if (mode == ResetMode::all) meter_.forget_this_turn();
}

void Channel::follow(const HistogramShape& shape) {
    if (exact_ ? exact_->shape() == shape : !shape.is_on) return;
    exact_ = shape.is_on ? std::make_unique<Histogram>(shape) : nullptr;
}

Progress Channel::submit(Request& request) {
    if (!trace::is_on(trace::Group::bdev)) [[likely]]
        return take(request);
    trace_start(request);
    const Progress progress = take(request);
    if (progress == Progress::done) trace_done(request, static_cast<uint16_t>(request.status));
    if (progress == Progress::retry) trace_done(request, trace_not_taken);
    return progress;
}

Progress Channel::take(Request& request) {
    request.submitted_at = thread().reactor().now();
    const Status refused = check(request);
    if (refused != Status::success) [[unlikely]] {
        request.status = refused;
        statistics_.count_error(refused);
        return Progress::done;
    }
    request.status = Status::success;
    if (request.blocks == 0 && request.op != Op::flush) [[unlikely]]
        return Progress::done;
    const Progress progress = start(request);
    if (progress == Progress::done) {
        count(request, request.status);
    } else if (progress == Progress::pending) {
        ++in_flight_;
    }
    return progress;
}

void Channel::store(Request& piece) {
    WEFT_ASSERT(piece.op == Op::write && bdev().consumes_data_inline());
    const bool is_traced = trace::is_on(trace::Group::bdev);
    if (is_traced) [[unlikely]]
        trace_start(piece);
    piece.status = check(piece);
    if (piece.status == Status::success) {
        Progress progress = start(piece);
        while (progress == Progress::retry) {
            __builtin_ia32_pause();
            progress = start(piece);
        }
        WEFT_ASSERT(progress == Progress::done);
    }
    if (piece.status != Status::success) statistics_.count_error(piece.status);
    if (is_traced) [[unlikely]]
        trace_done(piece, static_cast<uint16_t>(piece.status));
}

void Channel::finish(Request& request, Status status) {
    WEFT_ASSERT(&Thread::current().reactor() == &thread().reactor());
    WEFT_ASSERT(in_flight_ > 0);
    WEFT_ASSERT(!request.link.is_linked);
    --in_flight_;
    request.status = status;
    count(request, status);
    if (trace::is_on(trace::Group::bdev)) [[unlikely]]
        trace_done(request, static_cast<uint16_t>(status));
    const CurrentThread scope(&thread());  // file completions are reaped by the reactor's first thread
    request.done(request);
}

void Channel::prefetch(uint64_t) {}
std::optional<Bytes> Channel::lend(uint64_t, uint64_t) { return std::nullopt; }
void Channel::unlend(uint64_t, uint64_t) {}
bool Channel::abort(Request&) { return false; }

}  // namespace weft::bdev
