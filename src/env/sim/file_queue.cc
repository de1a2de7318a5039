#include <algorithm>

#include "env/sim/digest.h"
#include "env/sim/files.h"

namespace weft::sim {

namespace {

using env::FileOperation;

uint64_t length_of(const FileOperation& operation) {
    uint64_t length = 0;
    for (const iovec& piece : operation.data) length += piece.iov_len;
    return length;
}

void set_outcome(FileOperation& operation, uint64_t bytes) {
    operation.failed = false;
    operation.bytes = bytes;
}

void set_failure(FileOperation& operation, Errc error) {
    operation.failed = true;
    operation.error = error;
    operation.bytes = 0;
}

bool is_aligned(const FileOperation& operation, uint64_t alignment) {
    if (operation.offset % alignment != 0) return false;
    return std::ranges::all_of(operation.data, [alignment](const iovec& piece) {
        return reinterpret_cast<uintptr_t>(piece.iov_base) % alignment == 0 && piece.iov_len % alignment == 0;
    });
}

}  // namespace

SimFileQueue::SimFileQueue(Machine& machine) : run_(machine), id_(++machine.file_queues_made) {
    machine.file_queues.emplace(id_, this);
}

SimFileQueue::~SimFileQueue() {
    WEFT_ASSERT(in_flight_ == 0);
    if (run_.is_alive()) run_.machine().file_queues.erase(id_);
}

void SimFileQueue::submit(FileOperation& operation) {
    WEFT_ASSERT(operation.file != nullptr && operation.done != nullptr);
    ++in_flight_;
    submitted_.push_back(operation);
}

void SimFileQueue::flush() {
    if (!run_.is_alive()) return crash();
    Machine& machine = run_.machine();
    while (FileOperation* operation = submitted_.pop_front()) {
        Active active{.operation = operation, .snapshot = {}};
        const SimFile& file = static_cast<SimFile&>(*operation->file);
        if (operation->kind == FileOperation::Kind::sync_data) active.snapshot = file.node().contents.begin_sync();
        const uint64_t number = ++started_;
        active_.emplace(number, std::move(active));
        const TimeNs latency = machine.disk.sample_latency() + file.faults().delay;
        machine.disk.core().after(latency, [&machine, queue = id_, boot = machine.boot, number] {
            // The queue may have gone with a crash.
            const auto at = machine.file_queues.find(queue);
            if (machine.boot == boot && at != machine.file_queues.end()) at->second->complete(number);
        });
    }
}

uint32_t SimFileQueue::reap() {
    // Only those that are there now: a `done` may submit more.
    const auto count = static_cast<uint32_t>(done_.size());
    for (uint32_t at = 0; at < count; ++at) {
        FileOperation* operation = done_.pop_front();
        --in_flight_;
        operation->done(*operation);
    }
    return count;
}

void SimFileQueue::complete(uint64_t number) {
    const auto node = active_.extract(number);
    WEFT_ASSERT(!node.empty());
    const Active& active = node.mapped();
    perform(active);
    FileOperation& operation = *active.operation;
    const uint64_t file = static_cast<SimFile&>(*operation.file).node().id;
    run_.machine().disk.core().note("file_done", file << 8 | static_cast<uint64_t>(operation.kind), operation.offset,
                                    operation.failed ? ~uint64_t{0} : operation.bytes);
    done_.push_back(operation);
    completions_.notify(env::Events::readable);
}

void SimFileQueue::perform(const Active& active) {
    FileOperation& operation = *active.operation;
    auto& file = static_cast<SimFile&>(*operation.file);
    switch (operation.kind) {
        case FileOperation::Kind::read:
        case FileOperation::Kind::write: return transfer(operation, file);
        case FileOperation::Kind::sync_data:
            if (run_.machine().disk.core().prng().chance(file.faults().sync_error)) {
                file.node().contents.fail_sync(active.snapshot);
                return set_failure(operation, Errc::io_error);
            }
            file.node().contents.finish_sync(active.snapshot);
            return set_outcome(operation, 0);
        case FileOperation::Kind::zero_range:
        case FileOperation::Kind::punch_hole: return clear_range(operation, file);
    }
}

void SimFileQueue::transfer(FileOperation& operation, SimFile& file) {
    Prng& prng = run_.machine().disk.core().prng();
    const FileFaults& faults = file.faults();
    const bool is_write = operation.kind == FileOperation::Kind::write;
    if (!is_aligned(operation, file.alignment_bytes())) return set_failure(operation, Errc::invalid_argument);
    if (is_write && file.is_read_only()) return set_failure(operation, Errc::io_error);

    uint64_t length = length_of(operation);
    const uint64_t unit = std::max(file.alignment_bytes(), faults.short_unit_bytes);
    if (length > unit && prng.chance(faults.short_transfer)) length = unit * prng.between(1, (length - 1) / unit);
    if (!is_write) {
        if (prng.chance(faults.read_error)) return set_failure(operation, Errc::io_error);
        uint64_t done = 0;
        for (const iovec& piece : operation.data) {
            const size_t count = std::min<uint64_t>(piece.iov_len, length - done);
            const MutableBytes into(static_cast<std::byte*>(piece.iov_base), count);
            done += file.node().contents.read(operation.offset + done, into);
        }
        return set_outcome(operation, done);
    }
    if (prng.chance(faults.write_error)) {
        write_out(operation, file, length, true);
        return set_failure(operation, Errc::io_error);
    }
    if (operation.offset >= faults.capacity_bytes && length > 0) return set_failure(operation, Errc::no_space);
    length = std::min(length, faults.capacity_bytes - operation.offset);
    write_out(operation, file, length, false);
    if (operation.sync) file.node().contents.sync_range(operation.offset, length);
    set_outcome(operation, length);
}

void SimFileQueue::write_out(FileOperation& operation, SimFile& file, uint64_t length, bool is_torn) {
    Core& core = run_.machine().disk.core();
    uint64_t done = 0;
    uint64_t digest = 0;
    uint64_t sector = ~uint64_t{0};
    bool is_written = true;
    for (const iovec& piece : operation.data) {
        Bytes bytes(static_cast<const std::byte*>(piece.iov_base), std::min<uint64_t>(piece.iov_len, length - done));
        digest = mix(digest ^ digest_of(bytes));
        while (!bytes.empty()) {
            const uint64_t at = operation.offset + done;
            const uint64_t rest_of_sector = Contents::sector_bytes - at % Contents::sector_bytes;
            const size_t count = is_torn ? std::min<uint64_t>(bytes.size(), rest_of_sector) : bytes.size();
            if (is_torn && at / Contents::sector_bytes != sector) {
                sector = at / Contents::sector_bytes;
                is_written = core.prng().coin();
            }
            if (is_written) file.node().contents.write(at, bytes.first(count));
            bytes = bytes.subspan(count);
            done += count;
        }
    }
    if (is_torn)
        core.note("file_torn", file.node().id, operation.offset, digest);
    else
        core.note("file_write", file.node().id, operation.offset, digest);
}

void SimFileQueue::clear_range(FileOperation& operation, SimFile& file) {
    static constexpr std::array<std::byte, 65536> zeros{};
    const bool is_zero_range = operation.kind == FileOperation::Kind::zero_range;
    const FileFaults& faults = file.faults();
    if (file.is_read_only()) return set_failure(operation, Errc::io_error);
    if (operation.length == 0) return set_failure(operation, Errc::invalid_argument);
    if (!(is_zero_range ? faults.has_zero_range : faults.has_punch_hole)) {
        return set_failure(operation, Errc::not_supported);
    }
    if (run_.machine().disk.core().prng().chance(faults.write_error)) {
        return set_failure(operation, Errc::io_error);
    }
    // The size stays: beyond the end there is nothing to clear.
    Contents& contents = file.node().contents;
    const uint64_t end = std::min(operation.offset + operation.length, contents.size_bytes());
    for (uint64_t at = operation.offset; at < end;) {
        const size_t count = std::min<uint64_t>(zeros.size(), end - at);
        contents.write(at, Bytes(zeros).first(count));
        at += count;
    }
    set_outcome(operation, operation.length);
}

void SimFileQueue::crash() {
    for (const auto& [number, active] : active_) {
        FileOperation& operation = *active.operation;
        auto& file = static_cast<SimFile&>(*operation.file);
        if (operation.kind == FileOperation::Kind::write && file.is_alive() && !file.is_read_only()) {
            write_out(operation, file, length_of(operation), true);
        }
    }
    forget_all();
}

void SimFileQueue::kill() {
    for (const auto& [number, active] : active_) {
        if (run_.machine().disk.core().prng().coin()) perform(active);
    }
    forget_all();
}

void SimFileQueue::forget_all() {
    active_.clear();
    while (submitted_.pop_front() != nullptr) {
    }
    while (done_.pop_front() != nullptr) {
    }
    in_flight_ = 0;
}

}  // namespace weft::sim
