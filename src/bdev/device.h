// A block device, and the channel through which one thread uses it.
//
// A module derives both. What a device promises: a logical block is atomic among concurrent requests, also from
// several threads; nothing else is ordered between concurrent requests. A request that was acknowledged is seen
// by every later one.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "bdev/histogram.h"
#include "bdev/meter.h"
#include "bdev/request.h"
#include "bdev/statistics.h"
#include "reactor/io_channel.h"
#include "reactor/task.h"
#include "rpc/json_fwd.h"

namespace weft::bdev {

class Channel;
class ChannelGate;
class Descriptor;
class DeviceGate;
class Zones;

// What does not change while a device lives, but for the number of blocks.
struct Geometry {
    uint32_t block_bytes = 512;   // a power of two, 512 … 65536
    uint64_t block_count = 0;
    uint32_t alignment_bytes = 1; // of data buffers; a power of two
    bool has_write_cache = false; // acknowledged writes may be lost with the power until a flush
    uint32_t optimal_blocks = 0;  // preferred granularity of writes, 0: any
    uint32_t unmap_blocks = 1;    // granularity below which unmap frees no space
    ProtectionFormat metadata;    // what accompanies each block
    bool metadata_in_data = false;  // how those who ask for it by name get it: told, not kept so

    // What a request may be like that reaches the module; 0: no limit. Requests that break one are done in parts. What
    // the device lends, or takes inline piece by piece, is not touched by them.
    uint32_t boundary_blocks = 0;  // reads and writes do not cross its multiples
    uint32_t max_rw_blocks = 0;  // of a read, write, compare or verify
    uint32_t max_segments = 0;  // pieces of data
    uint32_t max_segment_bytes = 0;  // of each; at least a block
    uint64_t max_unmap_blocks = 0;
    uint64_t max_write_zeroes_blocks = 0;
    uint64_t max_copy_blocks = 0;
    // Writes are of whole units, or fail; they are not cut inside one, and into single ones with the second.
    uint32_t write_unit_blocks = 1;
    bool splits_on_write_unit = false;

    [[nodiscard]] bool has_limits() const {
        return (boundary_blocks | max_rw_blocks | max_segments | max_segment_bytes | max_unmap_blocks |
                max_write_zeroes_blocks | max_copy_blocks) != 0 ||
               write_unit_blocks > 1;
    }
};
inline constexpr uint32_t block_bytes_min = 512;
inline constexpr uint32_t block_bytes_max = 65536;
inline constexpr uint64_t device_bytes_max = uint64_t{1} << 63;
// Errors: invalid_argument, saying what is wrong with a size that came from outside.
Result<void> check_size(uint32_t block_bytes, uint64_t block_count);

struct BlockRange {
    uint64_t first = 0;
    uint64_t blocks = 0;
};

// How a device is held, and who else may hold it so. The names are those of bdev_get_bdevs.
enum class ClaimType : uint8_t {
    none,
    exclusive_write,  // by one
    read_many_write_one,  // one writes
    read_many_write_none,  // by any number, none of whom writes
    read_many_write_shared,  // by all who bring the same key
};
std::string_view name_of(ClaimType type);

class Device : public IoDevice {
public:
    Device(std::string name, Uuid uuid, const Geometry& geometry);
    ~Device() override;

    [[nodiscard]] const std::string& name() const { return device_name(); }
    [[nodiscard]] const Uuid& uuid() const { return uuid_; }
    [[nodiscard]] const std::vector<std::string>& aliases() const { return aliases_; }
    void add_alias(std::string alias) { aliases_.push_back(std::move(alias)); }
    [[nodiscard]] uint32_t block_bytes() const { return geometry_.block_bytes; }
    [[nodiscard]] const Geometry& geometry() const { return geometry_; }
    [[nodiscard]] const ProtectionFormat& metadata() const { return geometry_.metadata; }
    // May grow or shrink while in use; every thread sees it within its turn.
    [[nodiscard]] uint64_t block_count() const { return block_count_.load(std::memory_order_acquire); }

    [[nodiscard]] virtual std::string_view product_name() const = 0;  // "Malloc disk"
    // What the module does itself.
    [[nodiscard]] virtual bool supports(Op op) const = 0;
    // What may be asked of the device: what the module does, or the layer by other ops (gate/parts.h).
    [[nodiscard]] bool accepts(Op op) const { return supports(op) || emulates(op); }
    // submit(write) has consumed `data` when it returns done: the caller may pass memory that dies with the turn.
    [[nodiscard]] bool consumes_data_inline() const { return !is_inline_closed() && can_consume_data_inline(); }
    // Reads of so many blocks need no buffer: Channel::lend() mostly gives memory, and when it does not, a read that
    // must_not_wait is done on the spot (or to be retried), never pending.
    [[nodiscard]] bool lends(uint64_t blocks) const { return !is_inline_closed() && can_lend(blocks); }
    // Requests are held or counted out on their way, so that none may go around it.
    [[nodiscard]] bool is_inline_closed() const { return is_inline_closed_.load(std::memory_order_acquire); }
    // What its channels do with requests besides passing them on: limits, quiescence, time-outs. App thread, but for
    // what says otherwise.
    [[nodiscard]] DeviceGate& gate() const { return *gate_; }
    // Blocks of the range that are known to read as errors, rising, cut to it; at most `count_max` runs. Any thread.
    [[nodiscard]] virtual std::vector<BlockRange> unreadable(uint64_t first, uint64_t blocks, size_t count_max) const;
    // Its zones, when it is a zoned device (zones.h).
    [[nodiscard]] virtual Zones* zones() { return nullptr; }
    // "driver_specific" of bdev_get_bdevs: an object, empty by default.
    virtual void describe(Json& driver_specific) const;
    // The {method, params} that would make this device again, for save_config; nothing by default.
    virtual void write_config(Json& entries) const;

    // Brings back a device that does not answer: nothing new is begun on any channel meanwhile, but something may still
    // be under way. App thread. Nothing by default.
    virtual Task<Result<void>> reset();

    // Ends what the device does of its own accord and lets go of what is behind it. App thread, once, after the last
    // channel went and before the destructor; may take its time.
    virtual Task<void> close();

    // The current thread's channel. Errors: those of opening what is behind the device.
    Result<ChannelRef<Channel>> channel();

    // App thread. Figures of channels that are gone; add those of the living ones for the whole.
    Statistics& retired_statistics() { return retired_; }
    // App thread. What exact latency histogram channels keep from now on (see Channel::follow); one that was kept is
    // forgotten. The present channels must be told.
    void set_histogram(const HistogramShape& shape);
    [[nodiscard]] HistogramShape histogram_shape() const {
        return HistogramShape::unpacked(histogram_.load(std::memory_order_acquire));
    }
    // App thread. Of channels that are gone.
    [[nodiscard]] const Histogram& retired_histogram() const { return retired_histogram_; }
    // App thread. Who holds the claim (of several, the first), "" for nobody, and of what kind it is.
    [[nodiscard]] const std::string& claimed_by() const { return claimed_by_; }
    [[nodiscard]] ClaimType claim_type() const { return claim_type_; }

protected:
    // The module's part of the questions of these names.
    [[nodiscard]] virtual bool can_consume_data_inline() const { return false; }
    [[nodiscard]] virtual bool can_lend(uint64_t /*blocks*/) const { return false; }
    // App thread; Registry::notify_resized, after this, tells the descriptors.
    void set_block_count(uint64_t count);

private:
    friend class Registry;
    friend class Descriptor;
    friend class Channel;
    friend class DeviceGate;
    struct Retirement;
    void retire(std::unique_ptr<Retirement> retirement);
    [[nodiscard]] bool emulates(Op op) const;

    Thread* const home_;  // the app thread; nullptr when made without one (tests)
    const Uuid uuid_;
    const Geometry geometry_;
    std::atomic<uint64_t> block_count_;
    std::vector<std::string> aliases_;
    std::vector<Descriptor*> descriptors_;  // app thread
    std::string claimed_by_;  // app thread, like the next; "" when not claimed
    ClaimType claim_type_ = ClaimType::none;
    uint64_t claim_key_ = 0;
    uint32_t claim_count_ = 0;
    bool removing_ = false;  // app thread
    Statistics retired_;
    std::atomic<uint64_t> histogram_{0};  // HistogramShape::packed()
    std::atomic<bool> is_inline_closed_{false};
    const std::unique_ptr<DeviceGate> gate_;
    Histogram retired_histogram_{HistogramShape{}};
};

class Channel : public IoChannel {
public:
    Channel();
    ~Channel() override;  // nothing in flight; leaves its figures to the device

    // Starts `request`, which belongs to the device until it is done. The range, the op and the data length are
    // checked here; figures are kept here.
    Progress submit(Request& request);

    // The range will be asked for by lend() soon: a hint, to have its start in the cache by then.
    virtual void prefetch(uint64_t lba);
    // Read without a copy: the device's own memory for the range, or nothing when the device has none to lend (use
    // submit). The blocks do not change until unlend() of the same range, which must come before the turn ends.
    std::optional<Bytes> lend(uint64_t lba, uint64_t blocks) {
        if (is_inline_closed_) [[unlikely]]
            return std::nullopt;
        return lend_memory(lba, blocks);
    }
    virtual void unlend(uint64_t lba, uint64_t blocks);
    // Counts a lent read as a read that was done.
    void count_lent_read(uint64_t bytes) { count_now(Op::read, bytes); }

    // A part of a write, on a device that consumes data inline: `piece` is done when this returns. While another
    // reactor copies one of the blocks out it is waited for; that one waits for nobody. Failures are counted; when
    // all parts are stored, count_stored_write() counts the write.
    void store(Request& piece);
    void count_stored_write(uint64_t bytes) { count_now(Op::write, bytes); }

    // Tries to end a pending request early; true when it will be done with Status::aborted.
    bool abort(Request& request);

    [[nodiscard]] Device& bdev() const;
    [[nodiscard]] const Statistics& statistics() const { return statistics_; }
    void reset_statistics(ResetMode mode);
    // Keeps an exact histogram of `shape` from now on, or none; nothing happens when that is what it does already.
    void follow(const HistogramShape& shape);
    // Empty when none is kept.
    [[nodiscard]] Histogram histogram() const { return exact_ ? *exact_ : Histogram(HistogramShape{}); }
    // Requests that are pending, wherever they are.
    [[nodiscard]] uint32_t in_flight() const { return in_flight_; }
    // Its gate, made at first use. The channel's thread.
    ChannelGate& gate();

protected:
    // The module's part of lend() and of abort(): `request` is one that start() took.
    virtual std::optional<Bytes> lend_memory(uint64_t lba, uint64_t blocks);
    virtual bool abort_started(Request& request);
    // The module's part of submit(): the range is inside the device, the op supported, blocks > 0 except for flush.
    virtual Progress start(Request& request) = 0;
    // A pending request is done. From the loop of this channel's reactor; calls the request's `done`, as this
    // channel's thread, and does not touch the request after that.
    void finish(Request& request, Status status);

private:
    friend class ChannelGate;
    friend class DeviceGate;
    friend class Parts;
    Progress take(Request& request);
    Progress take_emulated(Request& request);
    Progress refuse(Request& request, Status status);
    // A pending request of the user's is over: tells him.
    void complete(Request& request, Status status);
    void end(Request& request, Status status);
    [[nodiscard]] Status check(const Request& request) const;
    [[nodiscard]] Status check_copy(const Request& request) const;
    [[nodiscard]] bool has_right_lengths(const Request& request) const;
    void count(const Request& request, Status status);
    void count_now(Op op, uint64_t bytes);

    class ChannelMeter final : public Meter<op_count> {
    public:
        explicit ChannelMeter(Channel& channel) : Meter(channel.statistics_.ops), channel_(channel) {}

    private:
        void took(size_t kind, env::TimeNs latency, uint64_t times) override;
        Channel& channel_;
    };

    Statistics statistics_;
    std::unique_ptr<Histogram> exact_;
    ChannelMeter meter_{*this};
    uint32_t in_flight_ = 0;
    ChannelGate* gate_ = nullptr;  // while requests must go through it, or some of its are on their way
    std::unique_ptr<ChannelGate> own_gate_;  // from the first need on
    bool is_inline_closed_ = false;  // nothing is lent, nothing stored
    std::unique_ptr<Device::Retirement> retirement_;  // allocated early: a destructor must not fail
};

}  // namespace weft::bdev
