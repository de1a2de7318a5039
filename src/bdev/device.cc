#include "bdev/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "bdev/gate/channel_gate.h"
#include "bdev/gate/device_gate.h"
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

std::string_view name_of(ClaimType type) {
    switch (type) {
        case ClaimType::none: return "not_claimed";
        case ClaimType::exclusive_write: return "exclusive_write";
        case ClaimType::read_many_write_one: return "read_many_write_one";
        case ClaimType::read_many_write_none: return "read_many_write_none";
        case ClaimType::read_many_write_shared: return "read_many_write_shared";
    }
    return "";
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
      block_count_(geometry.block_count),
      gate_(std::make_unique<DeviceGate>(*this)) {
    WEFT_ASSERT(!this->name().empty());
    WEFT_ASSERT(check_size(geometry.block_bytes, geometry.block_count).has_value());
    WEFT_ASSERT(std::has_single_bit(geometry.alignment_bytes));
    WEFT_ASSERT(check_format(geometry.metadata, geometry.block_bytes).has_value());
}

Device::~Device() { WEFT_ASSERT(descriptors_.empty()); }

void Device::describe(Json&) const {}
std::vector<BlockRange> Device::unreadable(uint64_t, uint64_t, size_t) const { return {}; }
void Device::write_config(Json&) const {}
Task<Result<void>> Device::reset() { co_return Result<void>{}; }
Task<void> Device::close() { co_return; }

// What the layer does by other ops: not on zones, where a write has its one place; and metadata would have to go along.
bool Device::emulates(Op op) const {
    const bool is_plain = !supports(Op::zone_management);
    const bool writes = is_plain && supports(Op::write);
    switch (op) {
        case Op::compare:
        case Op::verify: return supports(Op::read);
        case Op::write_zeroes: return writes;
        case Op::compare_and_write:
        case Op::copy: return writes && supports(Op::read) && metadata().metadata_bytes == 0;
        default: return false;
    }
}

void Device::set_block_count(uint64_t count) {
    WEFT_ASSERT(check_size(geometry_.block_bytes, count).has_value());
    block_count_.store(count, std::memory_order_release);
}

Result<ChannelRef<Channel>> Device::channel() {
    auto channel = get_channel();
    if (!channel) return std::unexpected(std::move(channel).error());
    auto& mine = static_cast<Channel&>(**channel);
    mine.follow(histogram_shape());
    gate_->tell(mine);
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
    if (!is_attached()) return;
    if (trace::is_on(trace::Point::bdev_ioch_destroy)) [[unlikely]]
        trace_here(trace::Point::bdev_ioch_destroy, 0, {.a = thread().id()});
    retirement_->figures = statistics_;
    retirement_->histogram = std::move(exact_);
    bdev().retire(std::move(retirement_));
}

Device& Channel::bdev() const { return static_cast<Device&>(device()); }

namespace {

uint64_t bytes_in(std::span<const iovec> data) {
    uint64_t bytes = 0;
    for (const iovec& piece : data) bytes += piece.iov_len;
    return bytes;
}

}  // namespace

Status Channel::check(const Request& request) const {
    if (request.op == Op::flush || (request.op == Op::zone_management && request.all_zones)) return Status::success;
    const uint64_t block_count = bdev().block_count();
    if (request.lba > block_count || request.blocks > block_count - request.lba) return Status::out_of_range;
    if (request.op == Op::copy) return check_copy(request);
    if (!has_data(request.op)) return Status::success;
    if (!has_right_lengths(request)) return Status::failed;
    if (request.op != Op::compare_and_write) return Status::success;
    const uint64_t data_bytes = request.blocks * bdev().block_bytes();
    if (bytes_in(request.expected) != data_bytes || data_bytes > compare_and_write_bytes_max) return Status::failed;
    return Status::success;
}

Status Channel::check_copy(const Request& request) const {
    const uint64_t block_count = bdev().block_count();
    if (request.source_lba > block_count || request.blocks > block_count - request.source_lba) {
        return Status::out_of_range;
    }
    const uint64_t apart = std::max(request.lba, request.source_lba) - std::min(request.lba, request.source_lba);
    return apart < request.blocks ? Status::failed : Status::success;
}

bool Channel::has_right_lengths(const Request& request) const {
    const ProtectionFormat& format = bdev().metadata();
    const uint64_t block_bytes = bdev().block_bytes() + (request.metadata_in_data ? format.metadata_bytes : 0U);
    if (bytes_in(request.data) != request.blocks * block_bytes) return false;
    if (format.metadata_bytes == 0) [[likely]]
        return request.metadata.empty() && !request.metadata_in_data && request.protection == nullptr;
    if (request.protection != nullptr && !format.has_tuple()) return false;
    if (request.metadata.empty()) return true;
    return !request.metadata_in_data && bytes_in(request.metadata) == request.blocks * format.metadata_bytes;
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
    if (!bdev().supports(request.op)) [[unlikely]]
        return take_emulated(request);
    const Status refused = check(request);
    if (refused != Status::success) [[unlikely]]
        return refuse(request, refused);
    request.status = Status::success;
    if (request.blocks == 0 && request.op != Op::flush && request.op != Op::zone_management) [[unlikely]]
        return Progress::done;
    Progress progress{};
    if (gate_ != nullptr) [[unlikely]] {
        progress = gate_->take(request);
    } else {
        progress = start(request);
    }
    if (progress == Progress::done) {
        count(request, request.status);
    } else if (progress == Progress::pending) {
        ++in_flight_;
    }
    return progress;
}

Progress Channel::refuse(Request& request, Status status) {
    request.status = status;
    statistics_.count_error(status);
    return Progress::done;
}

Progress Channel::take_emulated(Request& request) {
    if (!bdev().emulates(request.op)) return refuse(request, Status::not_supported);
    if (const Status refused = check(request); refused != Status::success) return refuse(request, refused);
    request.status = Status::success;
    if (request.blocks == 0) return Progress::done;
    const Progress progress = gate().take(request);
    if (progress == Progress::done) count(request, request.status);
    if (progress == Progress::pending) ++in_flight_;
    return progress;
}

ChannelGate& Channel::gate() {
    if (own_gate_ == nullptr) own_gate_ = std::make_unique<ChannelGate>(*this);
    if (gate_ == nullptr) {
        gate_ = own_gate_.get();
        gate_->on_entered(in_flight_);
    }
    return *gate_;
}

void Channel::store(Request& piece) {
    WEFT_ASSERT(piece.op == Op::write && bdev().can_consume_data_inline());
    WEFT_ASSERT(!is_inline_closed_);
    const bool is_traced = trace::is_on(trace::Group::bdev);
    if (is_traced) [[unlikely]]
        trace_start(piece);
    piece.status = bdev().supports(piece.op) ? check(piece) : Status::not_supported;
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

// In both of its callers: on the way of every request that is not done on the spot.
[[gnu::always_inline]] inline void Channel::end(Request& request, Status status) {
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

void Channel::finish(Request& request, Status status) {
    WEFT_ASSERT(&Thread::current().reactor() == &thread().reactor());
    if (gate_ != nullptr) [[unlikely]]
        return gate_->finish(request, status);
    end(request, status);
}

void Channel::complete(Request& request, Status status) { end(request, status); }

void Channel::prefetch(uint64_t) {}
std::optional<Bytes> Channel::lend_memory(uint64_t, uint64_t) { return std::nullopt; }
void Channel::unlend(uint64_t, uint64_t) {}
bool Channel::abort(Request& request) {
    if (gate_ != nullptr) [[unlikely]]
        return gate_->abort(request);
    return abort_started(request);
}
bool Channel::abort_started(Request&) { return false; }

}  // namespace weft::bdev
