#include "bdev_modules/file/file_channel.h"

#include <cstring>
#include <new>

#include "base/assert.h"
#include "base/mutants.h"
#include "bdev/data_cursor.h"
#include "bdev/zeroes.h"
#include "reactor/reactor.h"

namespace weft::bdev {

namespace {

constexpr std::align_val_t compare_alignment{65536};  // good for direct I/O on every device

using Kind = env::FileOperation::Kind;

Kind clearing_kind(Op op) { return op == Op::unmap ? Kind::punch_hole : Kind::zero_range; }

Status status_of(Kind kind, Errc error) {
    if (error == Errc::no_space) return Status::no_space;
    if (error == Errc::no_memory) return Status::no_memory;
    return kind == Kind::read ? Status::read_error : Status::write_error;
}

// These read into the channel's own buffer.
bool is_checked(Op op) { return op == Op::compare || op == Op::compare_and_write || op == Op::verify; }

}  // namespace

FileChannel::Step FileChannel::first_step(Op op) const {
    switch (op) {
        case Op::read:
        case Op::write: return Step::move;
        case Op::compare:
        case Op::compare_and_write:
        case Op::verify: return Step::check;
        case Op::unmap:
        case Op::write_zeroes: return device_.is_missing(clearing_kind(op)) ? Step::fill : Step::clear;
        default: return Step::sync;
    }
}

// A request on its way, in its module_data.
struct FileChannel::Work : env::FileOperation {
    Work(FileChannel& its_channel, Request& its_request) : channel(its_channel), request(its_request) {
        file = &channel.device_.file();
        done = [](env::FileOperation& operation) {
            auto& work = static_cast<Work&>(operation);
            // The queue is the reactor's, so that another thread may be the current one.
            const CurrentThread scope(&work.channel.thread());
            --work.channel.in_queue_;
            work.channel.on_step_done(work);
        };
    }
    static Work& of(Request& request) { return *std::launder(reinterpret_cast<Work*>(request.module_data.data())); }
    // What was read or written before the operation that is going on.
    [[nodiscard]] uint64_t moved() const { return offset - channel.offset_of(request); }

    FileChannel& channel;
    Request& request;
    RangeLocks::Range range;
    iovec piece{};  // what `data` is when it is not the request's own pieces
    Step step = Step::move;
    bool is_aborted = false;
};

// Starts what waited; also what waited for another reactor, of which nobody tells.
class FileChannel::Chores final : public Poller {
public:
    explicit Chores(FileChannel& channel)
        : Poller(Thread::current(), "file_" + channel.device_.name(), 0), channel_(channel) {
        pause();
    }
    uint32_t poll() override { return channel_.do_chores(); }
    // Completions of this reactor wake it; those of others do not.
    Sleep prepare_sleep() override {
        return channel_.device_.options().is_concurrent ? Sleep::briefly : Sleep::until_woken;
    }

private:
    FileChannel& channel_;
};

void FileChannel::Free::operator()(std::byte* memory) const { ::operator delete[](memory, compare_alignment); }

FileChannel::FileChannel(FileDevice& device) : device_(device), chores_(std::make_unique<Chores>(*this)) {}

FileChannel::~FileChannel() = default;

bool FileChannel::is_aligned(const Request& request) const {
    const uint64_t mask = device_.geometry().alignment_bytes - 1;
    for (const iovec& piece : request.data) {
        if (((reinterpret_cast<uintptr_t>(piece.iov_base) | piece.iov_len) & mask) != 0) return false;
    }
    return true;
}

bool FileChannel::ends_early(const Work& work) const {
    return work.is_aborted && (!work.range.writes || work.moved() % device_.block_bytes() == 0);
}

bool FileChannel::take_compare_buffer(const Request& request) {
    WEFT_ASSERT(comparing_ == nullptr);
    if (compare_buffer_ == nullptr) {
        compare_buffer_.reset(new (compare_alignment, std::nothrow) std::byte[step_bytes_max]);
    }
    if (compare_buffer_ == nullptr) return false;
    comparing_ = &request;
    return true;
}

// A known bug (base/mutants.h): the write is done, it says, and then it is written.
Progress FileChannel::write_later(Request& request) {
    struct Late {
        Request request;
        std::unique_ptr<std::byte[], Free> data;
        iovec piece{};
    };
    const auto late = new Late;
    const uint64_t bytes = bytes_of(request);
    late->data.reset(new (compare_alignment) std::byte[bytes]);
    DataCursor from(request.data);
    for (uint64_t at = 0; at < bytes;) {
        const MutableBytes piece = from.next(bytes - at);
        std::memcpy(late->data.get() + at, piece.data(), piece.size());
        at += piece.size();
    }
    late->piece = {.iov_base = late->data.get(), .iov_len = bytes};
    late->request.op = Op::write;
    late->request.fua = true;  // not once more
    late->request.lba = request.lba;
    late->request.blocks = request.blocks;
    late->request.data = {&late->piece, 1};
    late->request.context = late;
    late->request.done = [](Request& done) { delete static_cast<Late*>(done.context); };
    (void)submit(late->request);
    request.status = Status::success;
    return Progress::done;
}

Progress FileChannel::start(Request& request) {
    if (request.op == Op::flush && device_.has_flush_failed()) {
        request.status = Status::write_error;
        return Progress::done;
    }
    if (mutant::on(mutant::acknowledged_before_written) && request.op == Op::write && !request.fua) {
        return write_later(request);
    }
    if (is_checked(request.op)) {
        if (comparing_ != nullptr) return Progress::retry;
        if (!take_compare_buffer(request)) {
            request.status = Status::no_memory;
            return Progress::done;
        }
    } else {
        WEFT_ASSERT(is_aligned(request));
    }
    static_assert(sizeof(Work) <= Request::module_bytes);
    Work& work = *new (request.module_data.data()) Work(*this, request);
    work.offset = offset_of(request);
    work.step = first_step(request.op);
    if (work.step == Step::sync) {
        enter_sync(work);
        return Progress::pending;
    }
    work.range.first = offset_of(request);
    work.range.end = offset_of(request) + bytes_of(request);
    work.range.writes = request.op != Op::read && request.op != Op::compare && request.op != Op::verify;
    enter(work);
    return Progress::pending;
}

// Goes on when nothing is in the way: of its range, or of a sync.
void FileChannel::enter(Work& work) {
    if (locks_for(work).enter(work.range) || mutant::on(mutant::range_locks_ignored)) return submit_step(work);
    wait(work);
}

void FileChannel::wait(Work& work) {
    waiting_.push_back(work.request);
    chores_->resume();
}

// The kernel tells of a failed writeback once, whoever asks first. So that nobody misses it who should know, the
// page cache is synced by one at a time, and those who come after see what became of it. Syncs of a direct file, which
// has less to lose, run side by side, but are answered in the order they began: one that finds nothing wrong may have
// begun when an error had been told to another, who is a reactor that has not looked yet.
void FileChannel::enter_sync(Work& work) {
    if (work.range.link.is_linked) locks_for(work).leave(work.range);
    work.step = Step::sync;
    work.range.first = 0;
    work.range.end = 1;
    work.range.writes = true;
    if (!device_.file().is_direct()) return enter(work);
    static_cast<void>(locks_for(work).enter(work.range));
    submit_step(work);
}

RangeLocks& FileChannel::locks_for(const Work& work) const {
    return work.step == Step::sync || work.step == Step::answer ? device_.sync_locks() : device_.locks();
}

void FileChannel::submit_step(Work& work) {
    if (thread().is_leaving()) return wait(work);  // for the queue of the reactor to come
    const uint64_t rest = bytes_of(work.request) - work.moved();
    const uint64_t step_bytes = std::min(rest, step_bytes_max);
    work.sync = false;
    switch (work.step) {
        case Step::move:
            work.kind = work.request.op == Op::read ? Kind::read : Kind::write;
            // In the page cache a write that fails and a sync that fails look the same, but only one of them means
            // that other writes are lost: there they are done one after the other.
            work.sync = work.request.fua && work.kind == Kind::write && device_.file().is_direct();
            point_at_data(work, work.moved());
            break;
        case Step::check:
            work.kind = Kind::read;
            work.piece = {.iov_base = compare_buffer_.get(), .iov_len = step_bytes};
            work.data = {&work.piece, 1};
            break;
        case Step::clear:
            work.kind = clearing_kind(work.request.op);
            work.length = rest;
            break;
        case Step::fill:
            work.kind = Kind::write;
            // iovec has no const; the queue only reads what it writes to a file.
            work.piece = {.iov_base = const_cast<std::byte*>(zeroes().data()), .iov_len = step_bytes};
            work.data = {&work.piece, 1};
            break;
        case Step::sync:
        case Step::answer: work.kind = Kind::sync_data; break;
    }
    ++in_queue_;
    thread().reactor().files()->submit(work);
}

// After a short transfer the rest of the piece that was cut goes alone, then the pieces behind it.
void FileChannel::point_at_data(Work& work, uint64_t moved) {
    if (work.request.op == Op::compare_and_write) {
        work.piece = {.iov_base = compare_buffer_.get() + moved, .iov_len = bytes_of(work.request) - moved};
        work.data = {&work.piece, 1};
        return;
    }
    std::span<const iovec> rest = work.request.data;
    while (moved > 0 && moved >= rest.front().iov_len) {
        moved -= rest.front().iov_len;
        rest = rest.subspan(1);
    }
    work.data = rest;
    if (mutant::on(mutant::rest_from_the_start)) work.data = work.request.data;
    if (moved == 0 || mutant::on(mutant::rest_from_the_start)) return;
    work.piece = {.iov_base = static_cast<std::byte*>(rest.front().iov_base) + moved,
                  .iov_len = rest.front().iov_len - moved};
    work.data = {&work.piece, 1};
}

void FileChannel::on_step_done(Work& work) {
    if (work.failed) return on_step_failed(work);
    switch (work.step) {
        case Step::move:
        case Step::check:
        case Step::fill: return on_bytes_moved(work);
        case Step::clear: return on_all_moved(work);
        case Step::sync:
        case Step::answer: return on_synced(work);
    }
}

void FileChannel::on_synced(Work& work) {
    if (!locks_for(work).may_start(work.range)) {
        work.step = Step::answer;
        return wait(work);
    }
    end(work, device_.has_flush_failed() ? Status::write_error : Status::success);
}

void FileChannel::on_step_failed(Work& work) {
    // A block device refuses what is not whole sectors of its own; that says nothing of the next one.
    if (work.step == Step::clear && (work.error == Errc::not_supported || work.error == Errc::invalid_argument)) {
        if (work.error == Errc::not_supported) device_.note_missing(work.kind);
        work.step = Step::fill;
        return submit_step(work);
    }
    if (work.step == Step::sync || (work.sync && work.error != Errc::no_space)) device_.note_flush_failed(work.error);
    device_.note_failure(work.request.op, work.error);
    end(work, status_of(work.kind, work.error));
}

void FileChannel::on_bytes_moved(Work& work) {
    const uint64_t before = work.moved();
    const uint64_t total = bytes_of(work.request);
    uint64_t moved = before + work.bytes;
    WEFT_ASSERT(moved <= total);
    // Direct I/O goes on from an aligned place only.
    if (moved < total) moved -= moved % device_.geometry().alignment_bytes;
    if (moved == before) {
        if (work.kind == Kind::read) device_.note_truncated();
        return end(work, status_of(work.kind, Errc::io_error));
    }
    if (work.step == Step::check && differs(work, before, moved - before)) return end(work, Status::miscompare);
    work.offset += moved - before;
    if (mutant::on(mutant::short_write_accepted) && work.kind == Kind::write) moved = total;
    if (mutant::on(mutant::short_read_accepted) && work.kind == Kind::read) moved = total;
    if (moved == total) return on_all_moved(work);
    if (ends_early(work)) return end(work, Status::aborted);
    submit_step(work);
}

void FileChannel::on_all_moved(Work& work) {
    if (work.request.op == Op::compare_and_write && work.step == Step::check) return write_compared(work);
    const bool is_written =
        work.request.op == Op::write || work.request.op == Op::write_zeroes || work.request.op == Op::compare_and_write;
    const bool is_synced = work.step == Step::move && work.sync;
    if (work.request.fua && is_written && !is_synced && !work.is_aborted) return enter_sync(work);
    end(work, Status::success);
}

// The range is as expected, and still nobody else's: the data goes out of the buffer that what was there came into,
// aligned as the file wants it.
void FileChannel::write_compared(Work& work) {
    if (work.is_aborted) return end(work, Status::aborted);
    DataCursor data(work.request.data);
    const uint64_t total = bytes_of(work.request);
    for (uint64_t at = 0; at < total;) {
        const MutableBytes piece = data.next(total - at);
        std::memcpy(compare_buffer_.get() + at, piece.data(), piece.size());
        at += piece.size();
    }
    work.step = Step::move;
    work.offset = offset_of(work.request);
    submit_step(work);
}

bool FileChannel::differs(const Work& work, uint64_t moved, uint64_t bytes) const {
    if (work.request.op == Op::verify) return false;
    DataCursor data(work.request.op == Op::compare ? work.request.data : work.request.expected);
    data.skip(moved);
    for (uint64_t at = 0; at < bytes;) {
        const MutableBytes piece = data.next(bytes - at);
        if (std::memcmp(piece.data(), compare_buffer_.get() + at, piece.size()) != 0) return true;
        at += piece.size();
    }
    return false;
}

void FileChannel::end(Work& work, Status status) {
    if (work.is_aborted) status = Status::aborted;
    RangeLocks& locks = locks_for(work);
    if (status != Status::success && work.range.writes && &locks == &device_.locks()) return end_torn(work, status);
    if (work.range.link.is_linked) locks.leave(work.range);
    tell(work, status);
}

// What a write that failed has left may be torn: who asked for it hears of it before anybody else can read it, and may
// see to it that it is not believed.
void FileChannel::end_torn(Work& work, Status status) {
    RangeLocks& locks = device_.locks();
    RangeLocks::Range range;
    locks.move(work.range, range);
    tell(work, status);
    locks.leave(range);
}

void FileChannel::tell(Work& work, Status status) {
    Request& request = work.request;
    if (comparing_ == &request) comparing_ = nullptr;
    work.~Work();
    start_waiting();
    finish(request, status);
}

// Submits what nothing is in the way of any more; calls nobody back.
uint32_t FileChannel::start_waiting() {
    uint32_t started = 0;
    if (thread().is_leaving()) return started;
    for (Request* request = waiting_.front(); request != nullptr;) {
        Work& work = Work::of(*request);
        request = decltype(waiting_)::next(*request);
        if (ends_early(work)) continue;  // do_chores()
        if (work.step == Step::answer) continue;
        if (work.range.link.is_linked && !locks_for(work).may_start(work.range)) continue;
        waiting_.remove(work.request);
        submit_step(work);
        ++started;
    }
    return started;
}

uint32_t FileChannel::do_chores() {
    uint32_t done = start_waiting();
    for (Request* request = waiting_.front(); request != nullptr;) {
        Work& work = Work::of(*request);
        request = decltype(waiting_)::next(*request);
        const bool is_answer = work.step == Step::answer && locks_for(work).may_start(work.range);
        if (!is_answer && !ends_early(work)) continue;
        waiting_.remove(work.request);
        if (is_answer) {
            on_synced(work);
        } else {
            end(work, Status::aborted);
        }
        ++done;
        request = waiting_.front();  // whoever was told may have changed the list
    }
    if (waiting_.empty()) chores_->pause();
    return done;
}

bool FileChannel::abort_started(Request& request) {
    Work& work = Work::of(request);
    const bool is_waiting = request.link.is_linked;
    if (!is_waiting && work.step != Step::check && work.step != Step::fill) return false;
    work.is_aborted = true;
    return true;
}

}  // namespace weft::bdev
