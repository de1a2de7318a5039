#include "app/state/store.h"

#include <fmt/format.h>

#include "app/state/journal.h"
#include "base/log.h"

namespace weft::state {

namespace {

constexpr size_t journal_bytes_max = size_t{1} << 30;
constexpr std::string_view empty_snapshot = R"({"subsystems":[]})";
constexpr int names_aside_max = 1000;

bool is_missing(const Error& error) { return error.code == Errc::not_found; }

}  // namespace

Task<Result<std::unique_ptr<Store>>> Store::open(env::Files& files, StoreOptions options) {
    while (options.folder.size() > 1 && options.folder.ends_with('/')) options.folder.pop_back();
    std::unique_ptr<Store> store(new Store(files, std::move(options)));
    Result<void> done = co_await offload([&store] { return store->read(); });
    if (!done)
        co_return fail(done.error().code, fmt::format("--state {}: {}", store->options_.folder, done.error().message));
    co_return store;
}

Store::~Store() { WEFT_ASSERT(!is_writing_); }

Result<void> Store::read() {
    WEFT_TRY(files_.make_folder(options_.folder));
    auto lock = files_.open(path("lock"), {.create = true, .exclusive = true});
    if (!lock) {
        if (lock.error().code != Errc::busy) return std::unexpected(std::move(lock).error());
        return fail(Errc::busy, "another weftd uses it; give each a directory of its own");
    }
    lock_ = std::move(*lock);
    WEFT_TRY(skip_if_told());
    WEFT_TRY(read_existing());
    auto journal = files_.open(path("journal"), {});
    if (!journal) return std::unexpected(std::move(journal).error());
    journal_ = std::move(*journal);
    return {};
}

Result<void> Store::read_existing() {
    auto text = files_.read_all(path("journal"), journal_bytes_max);
    if (!text && is_missing(text.error())) {
        payloads_.emplace_back(empty_snapshot);
        auto made = replace(empty_snapshot, 1);
        if (!made) return std::unexpected(std::move(made).error());
        set_replaced(*made, empty_snapshot.size(), 1);
        return {};
    }
    if (!text) return std::unexpected(std::move(text).error());
    auto contents = read_journal(*text);
    if (!contents) {
        return fail(
            contents.error().code,
            fmt::format("the journal cannot be used: {}. Put a copy of it from a backup in its place, or make the "
                        "file {} to begin with nothing",
                        contents.error().message, path("skip-recovery")));
    }
    for (const std::string_view payload : contents->payloads) payloads_.emplace_back(payload);
    taken_ = durable_ = contents->last_number;
    size_bytes_ = contents->good_bytes;
    snapshot_bytes_ = contents->payloads.front().size();
    has_appended_ = contents->payloads.size() > 1;
    if (contents->lost_bytes == 0) return {};

    // The rest is set aside before it is cut off, and both are on the medium before anything is appended.
    auto aside = copy_aside(*text, "damaged");
    if (!aside) return std::unexpected(std::move(aside).error());
    if (contents->entries_after_damage > 0) {
        WEFT_ERRLOG(
            "state: the journal is damaged after {} entries; {} bytes with at least {} entries of later changes are "
            "dropped, the target starts as it was before them; the whole is kept as {}: look at what is missing",
            contents->payloads.size(), contents->lost_bytes, contents->entries_after_damage, *aside);
    } else {
        WEFT_WARNLOG(
            "state: the last {} bytes of the journal are no complete entry and are dropped, {} entries are whole; the "
            "journal as it was is kept as {}",
            contents->lost_bytes, contents->payloads.size(), *aside);
    }
    WEFT_TRY(files_.write_atomically(path("journal"), std::string_view(*text).substr(0, contents->good_bytes)));
    return {};
}

// The flag goes last: a crash on the way does it all again, with an empty journal the second time.
Result<void> Store::skip_if_told() {
    const std::string flag = path("skip-recovery");
    if (auto there = files_.open(flag, {.read_only = true}); !there) {
        if (is_missing(there.error())) return {};
        return std::unexpected(std::move(there).error());
    }
    auto text = files_.read_all(path("journal"), journal_bytes_max);
    if (!text && !is_missing(text.error())) return std::unexpected(std::move(text).error());
    std::string aside = "nothing, there was no journal";
    if (text) {
        auto name = copy_aside(*text, "skipped");
        if (!name) return std::unexpected(std::move(name).error());
        aside = std::move(*name);
        if (auto done = replace(empty_snapshot, 1); !done) return std::unexpected(std::move(done).error());
    }
    // By another name first, for good: a flag that a power cut brought back would take what is configured from now on.
    WEFT_TRY(files_.rename(flag, flag + ".used"));
    WEFT_TRY(files_.remove(flag + ".used"));
    WEFT_WARNLOG("state: {} was there: starting empty; the state before is kept as {}", flag, aside);
    return {};
}

Result<size_t> Store::replace(std::string_view payload, uint64_t number) {
    if (payload.size() > payload_bytes_max) {
        return fail(Errc::out_of_range, fmt::format("the configuration is larger than {} bytes", payload_bytes_max));
    }
    const std::string contents = std::string(journal_magic) + journal_line(number, payload);
    WEFT_TRY(files_.write_atomically(path("journal"), contents));
    return contents.size();
}

void Store::set_replaced(size_t size_bytes, size_t payload_bytes, uint64_t number) {
    taken_ = std::max(taken_, number);
    durable_ = number;
    size_bytes_ = size_bytes;
    snapshot_bytes_ = payload_bytes;
}

Result<std::string> Store::copy_aside(std::string_view contents, std::string_view why) {
    for (int number = 1; number <= names_aside_max; ++number) {
        std::string name = path(fmt::format("journal.{}-{}", why, number));
        if (files_.open(name, {.read_only = true})) continue;
        WEFT_TRY(files_.write_atomically(name, contents));
        return name;
    }
    return fail(Errc::too_many,
                fmt::format("there are {} files journal.{}-N: remove those that are not needed", names_aside_max, why));
}

Task<Result<std::string>> Store::set_aside(std::string why) {
    co_return co_await offload([this, &why]() -> Result<std::string> {
        auto text = files_.read_all(path("journal"), journal_bytes_max);
        if (!text) return std::unexpected(std::move(text).error());
        return copy_aside(*text, why);
    });
}

uint64_t Store::append(std::string_view payload) {
    waiting_ += journal_line(++taken_, payload);
    has_appended_ = true;
    if (!is_writing_) spawn(write_all());
    return taken_;
}

Task<Result<void>> Store::wait(uint64_t number) {
    while (durable_ < number && failure_.empty()) co_await written_.wait();
    if (durable_ >= number) co_return Result<void>{};
    co_return fail(Errc::io_error, failure_);
}

Task<Result<void>> Store::compact() {
    wants_compaction_ = true;
    if (!is_writing_) spawn(write_all());
    while (wants_compaction_ && failure_.empty()) co_await written_.wait();
    if (!failure_.empty()) co_return fail(Errc::io_error, failure_);
    co_return Result<void>{};
}

// Entries that come while others are being written wait, and go together: one fsync for all of them.
Task<void> Store::write_all() {
    is_writing_ = true;
    while ((!waiting_.empty() || wants_compaction_) && failure_.empty()) {
        Result<void> done = co_await write_batch();
        if (!done) {
            failure_ = done.error().message;
            WEFT_ERRLOG("state: {}: changes of the configuration are refused from now on; the target goes on serving",
                        failure_);
        }
        written_.wake_all();
    }
    is_writing_ = false;
    written_.wake_all();
}

Task<Result<void>> Store::write_batch() {
    const uint64_t number = taken_;
    const uint64_t grown = size_bytes_ + waiting_.size();
    if (wants_compaction_ || grown > options_.compact_after_bytes + 2 * snapshot_bytes_) {
        // What waits is in the snapshot; it takes the number of the last of it, or the next one.
        wants_compaction_ = false;
        waiting_.clear();
        has_appended_ = false;
        const std::string payload = snapshot();
        struct Made {
            size_t size_bytes = 0;
            std::unique_ptr<env::File> journal;
        };
        // Nothing that append() looks at is touched there.
        auto made = co_await offload([this, &payload, number]() -> Result<Made> {
            auto size_bytes = replace(payload, number);
            if (!size_bytes) return std::unexpected(std::move(size_bytes).error());
            auto journal = files_.open(path("journal"), {});
            if (!journal) return std::unexpected(std::move(journal).error());
            return Made{.size_bytes = *size_bytes, .journal = std::move(*journal)};
        });
        if (!made) co_return std::unexpected(std::move(made).error());
        journal_ = std::move(made->journal);  // closing what was read from and written to a moment ago does not wait
        set_replaced(made->size_bytes, payload.size(), number);
        co_return Result<void>{};
    }
    const std::string batch = std::exchange(waiting_, {});
    Result<void> done =
        co_await offload([this, &batch, offset = size_bytes_] { return journal_->write_durably(offset, batch); });
    if (!done) co_return done;
    size_bytes_ += batch.size();
    durable_ = number;
    co_return done;
}

Task<void> Store::close() {
    while (is_writing_) co_await written_.wait();
    if (has_appended_ && failure_.empty() && snapshot) (void)co_await compact();
    while (is_writing_) co_await written_.wait();
    co_await offload([journal = std::move(journal_), lock = std::move(lock_)]() mutable {
        journal.reset();
        lock.reset();
        return true;
    });
}

}  // namespace weft::state
