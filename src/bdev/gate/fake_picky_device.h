// For tests: a disk in memory that checks that each request keeps its limits, has only the ops that the test wants, and
// does what it is asked at once, later, in any order, or when it pleases.
#pragma once

#include <cstring>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "bdev/data_cursor.h"
#include "bdev/device.h"
#include "bdev/gate/cutting.h"
#include "reactor/poller.h"
#include "reactor/thread.h"

namespace weft::bdev {

class PickyDevice final : public Device {
public:
    PickyDevice(const std::string& name, const Geometry& geometry, std::set<Op> ops)
        : Device(name, Uuid::from_names({"picky", name}), geometry),
          memory(geometry.block_bytes * geometry.block_count),
          ops_(std::move(ops)) {}

    [[nodiscard]] std::string_view product_name() const override { return "Picky disk"; }
    [[nodiscard]] bool supports(Op op) const override { return ops_.contains(op); }
    Task<Result<void>> reset() override {
        ++resets;
        if (on_reset) on_reset();
        co_return reset_outcome;
    }

    std::vector<std::byte> memory;
    bool is_later = true;  // else all is done on the spot
    uint32_t retry_one_in = 0;  // so often there is no room; 0: never
    bool is_stuck = false;  // what is later, never is
    uint64_t fails_at = UINT64_MAX;  // a block that cannot be read or written
    uint32_t under_way_max = 0;  // that there was
    uint32_t starts = 0;
    uint32_t resets = 0;
    Result<void> reset_outcome;
    std::move_only_function<void()> on_reset;

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    friend class PickyChannel;
    const std::set<Op> ops_;
};

class PickyChannel final : public Channel {
public:
    explicit PickyChannel(PickyDevice& device) : device_(device), poller_(*this) {}
    // The request is one that is under way: it ends as aborted.
    uint32_t finish_some() {
        uint32_t done = 0;
        for (size_t count = std::min<size_t>(pending_.size(), 1 + random_() % 4); count > 0; --count) {
            if (device_.is_stuck || pending_.empty()) break;
            const size_t at = random_() % pending_.size();
            Request* const request = pending_[at];
            pending_.erase(pending_.begin() + static_cast<ptrdiff_t>(at));
            finish(*request, carry_out(*request));
            ++done;
        }
        for (Request* request : std::exchange(aborted_, {})) {
            finish(*request, Status::aborted);
            ++done;
        }
        return done;
    }
    [[nodiscard]] const std::vector<Request*>& pending() const { return pending_; }

protected:
    Progress start(Request& request) override {
        ++device_.starts;
        WEFT_ASSERT(device_.supports(request.op));
        WEFT_ASSERT(!breaks_limits(device_.geometry(), request));
        if (request.op == Op::write) {
            WEFT_ASSERT(request.blocks % device_.geometry().write_unit_blocks == 0);
            WEFT_ASSERT(request.lba % device_.geometry().write_unit_blocks == 0);
        }
        if (device_.retry_one_in != 0 && random_() % device_.retry_one_in == 0) return Progress::retry;
        if (!device_.is_later) {
            request.status = carry_out(request);
            return Progress::done;
        }
        pending_.push_back(&request);
        device_.under_way_max = std::max(device_.under_way_max, static_cast<uint32_t>(pending_.size()));
        return Progress::pending;
    }
    bool abort_started(Request& request) override {
        if (std::erase(pending_, &request) == 0) return false;
        aborted_.push_back(&request);
        return true;
    }

private:
    class Work final : public Poller {
    public:
        explicit Work(PickyChannel& channel) : Poller(Thread::current(), "picky", 0), channel_(channel) {}
        uint32_t poll() override { return channel_.finish_some(); }

    private:
        PickyChannel& channel_;
    };

    Status carry_out(Request& request) {
        if (device_.fails_at - request.lba < request.blocks) {
            return request.op == Op::read ? Status::read_error : Status::write_error;
        }
        const uint64_t block_bytes = device_.block_bytes();
        std::byte* at = device_.memory.data() + request.lba * block_bytes;
        const uint64_t bytes = request.blocks * block_bytes;
        if (request.op == Op::unmap || request.op == Op::write_zeroes) std::memset(at, 0, bytes);
        if (request.op == Op::copy) {
            std::memmove(at, device_.memory.data() + request.source_lba * block_bytes, bytes);
        }
        if (!has_data(request.op)) return Status::success;
        DataCursor data(request.data);
        for (uint64_t done = 0; done < bytes;) {
            const MutableBytes piece = data.next(bytes - done);
            if (request.op == Op::read) std::memcpy(piece.data(), at + done, piece.size());
            if (request.op == Op::write) std::memcpy(at + done, piece.data(), piece.size());
            if (request.op == Op::compare && std::memcmp(piece.data(), at + done, piece.size()) != 0) {
                return Status::miscompare;
            }
            done += piece.size();
        }
        return Status::success;
    }

    PickyDevice& device_;
    std::minstd_rand random_{7};
    std::vector<Request*> pending_;
    std::vector<Request*> aborted_;
    Work poller_;
};

inline Result<std::unique_ptr<IoChannel>> PickyDevice::make_channel() { return std::make_unique<PickyChannel>(*this); }

}  // namespace weft::bdev
