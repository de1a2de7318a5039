// The test of `weft bdevio` that resets a device under load: every request is answered once, nothing written is lost.
#include <fmt/format.h>

#include <algorithm>

#include "app/cli/bdev/bdevio_case.h"
#include "bdev/gate/device_gate.h"

namespace weft::cli {

using bdev::Op;
using bdev::Progress;
using bdev::Request;
using bdev::Status;

namespace {

// Longer than anything that still answers takes.
constexpr env::TimeNs drain_for = 30 * env::ns_per_s;

// Each writes the same blocks, its own, again and again.
class Writers {
public:
    Writers(IoCase& io, size_t count, uint64_t blocks) : io_(io) {
        for (size_t at = 0; at < count; ++at) {
            Writer& writer = *writers_.emplace_back(std::make_unique<Writer>(blocks * io.block_bytes()));
            writer.request.op = Op::write;
            writer.request.lba = at * blocks;
            writer.request.blocks = blocks;
            writer.request.data = {&writer.piece, 1};
            writer.request.context = &writer;
            writer.request.done = [](Request& request) { ++static_cast<Writer*>(request.context)->answers; };
        }
    }

    // Each `step`th that is not waiting writes. False, and then nothing more: a write was answered twice, or badly.
    bool write(size_t step) {
        for (size_t at = 0; at < writers_.size(); at += step) {
            Writer& writer = *writers_[at];
            if (writer.answers < writer.pending) continue;
            if (!is_well(writer)) return false;
            writer.buffer.fill_pattern(++pattern_);
            const Progress progress = io_.channel().submit(writer.request);
            writer.has_written = progress != Progress::retry;
            if (progress == Progress::pending) ++writer.pending;
        }
        return true;
    }
    // Waits for the last answers, and somewhat longer for one that comes twice.
    Task<bool> end() {
        const auto waits = [](const auto& writer) { return writer->answers < writer->pending; };
        while (std::ranges::any_of(writers_, waits)) co_await yield();
        for (int turn = 0; turn < 100; ++turn) co_await yield();
        co_return std::ranges::all_of(writers_, [](const auto& writer) { return is_well(*writer); });
    }
    // What was written last is there.
    Task<std::optional<Verdict>> read_back() {
        for (const auto& writer : writers_) {
            if (!writer->has_written || writer->request.status != Status::success) continue;
            if (auto wrong = co_await io_.reads_as(writer->request.lba, writer->buffer.bytes())) co_return wrong;
        }
        co_return std::nullopt;
    }
    // Writes that were not done on the spot.
    [[nodiscard]] uint64_t pending_count() const {
        uint64_t count = 0;
        for (const auto& writer : writers_) count += writer->pending;
        return count;
    }

private:
    struct Writer {
        explicit Writer(size_t bytes) : buffer(bytes), piece{.iov_base = buffer.bytes().data(), .iov_len = bytes} {}
        IoBuffer buffer;
        iovec piece;
        Request request;
        uint64_t pending = 0;  // of its writes
        uint64_t answers = 0;
        bool has_written = false;  // what its buffer holds
    };
    static bool is_well(const Writer& writer) {
        const Status status = writer.request.status;
        return writer.answers == writer.pending && (status == Status::success || status == Status::aborted);
    }

    IoCase& io_;
    std::vector<std::unique_ptr<Writer>> writers_;
    uint64_t pattern_ = 0;
};

// On the app thread, as every reset.
Task<void> reset_device(bdev::Device& device, Result<void>& outcome, bool& is_over) {
    Thread& here = Thread::current();
    co_await device.gate().go_home();
    outcome = co_await device.gate().reset(drain_for);
    co_await resume_on(here);
    is_over = true;
}

}  // namespace

// Half of the writers go on while it is reset. The others do not, so that nobody mends what a reset has spoilt.
Task<Verdict> reset_with_pending(IoCase& io) {
    if (!io.does(Op::write)) co_return skipped("not supported: it is read-only");
    const uint64_t blocks = std::min<uint64_t>(io.block_count(), 8);
    Writers writers(io, std::min<uint64_t>(io.block_count() / blocks, 64), blocks);
    for (int round = 0; round < 5; ++round) {
        Result<void> outcome;
        bool is_over = false;
        bool is_well = writers.write(1);
        spawn(reset_device(io.device(), outcome, is_over));
        while (!is_over) {  // NOLINT(bugprone-infinite-loop): the task sets it
            is_well = is_well && writers.write(2);
            co_await yield();
        }
        is_well = co_await writers.end() && is_well;
        if (!outcome) co_return failed(fmt::format("the reset failed: {}", outcome.error().message));
        if (!is_well) co_return failed("a write was not answered once and well");
        WEFT_IO_TRY(co_await writers.read_back());
    }
    if (writers.pending_count() == 0) co_return failed("no write had to wait for a reset");
    co_return (co_await io.write_and_read(0, blocks)).value_or(Verdict{});
}

}  // namespace weft::cli
