// The state directory: a journal that is appended to, and now and then replaced as a whole by what it amounts to.
//
//   DIR/journal          app/state/journal.h; the first entry is the configuration as a whole, in save_config's form
//   DIR/lock             held while a weftd uses DIR
//   DIR/skip-recovery    made by the operator: begin with nothing, once
//   DIR/journal.*-N      what was set aside: damaged, skipped, replaced
//
// One file, so that there is one question at a restart: which of its bytes are whole. It is replaced by writing
// another, syncing it, renaming it and syncing the folder, so that at every moment there is one that is complete.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/files.h"
#include "reactor/task.h"

namespace weft::state {

struct StoreOptions {
    std::string folder;
    // The journal is replaced when it has grown by this, and by as much as the configuration itself has.
    size_t compact_after_bytes = size_t{1} << 20;
};

// Lives on one thread; what blocks is offloaded.
class Store {
public:
    // Makes the folder if it must, locks it, and reads what is there. Errors: busy when another process uses it;
    // protocol_error when there is a journal with nothing whole in it.
    static Task<Result<std::unique_ptr<Store>>> open(env::Files& files, StoreOptions options);
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    // After close().
    ~Store();

    // The payloads that were found, the oldest first. Once.
    std::vector<std::string> take_payloads() { return std::move(payloads_); }
    // The configuration as it is after all that was appended. Set before the first append().
    std::function<std::string()> snapshot;

    // Takes `payload` as the next entry, to be written with those that wait already; wait() for its number then.
    uint64_t append(std::string_view payload);
    // The number of the last one that was taken.
    [[nodiscard]] uint64_t last_taken() const { return taken_; }
    // Ends when all up to `number` is on stable storage. Errors: io_error when it could not be written.
    Task<Result<void>> wait(uint64_t number);
    // Replaces the journal by the snapshot. Errors as wait().
    Task<Result<void>> compact();
    // Copies the journal to a name with `why` in it. Errors: of the files. Returns the name.
    Task<Result<std::string>> set_aside(std::string why);

    // Why nothing can be kept any more; empty while all is well.
    //
    // The first failure is the last word: after a failed fsync the kernel marks the pages clean and drops them, so that
    // trying again succeeds and says nothing of what was lost (what PostgreSQL found in 2018, "fsyncgate"). What is on
    // the medium is told only by reading it again, which the next start does.
    [[nodiscard]] const std::string& failure() const { return failure_; }

    // Waits for what is being written; compacts when something was appended and all is well; unlocks.
    Task<void> close();

private:
    Store(env::Files& files, StoreOptions options) : files_(files), options_(std::move(options)) {}
    // Blocking, offloaded by open().
    Result<void> read();
    Result<void> read_existing();
    Result<void> skip_if_told();
    // Blocking, and reads no member that changes. Returns the journal's size.
    Result<size_t> replace(std::string_view payload, uint64_t number);
    void set_replaced(size_t size_bytes, size_t payload_bytes, uint64_t number);
    Result<std::string> copy_aside(std::string_view contents, std::string_view why);
    [[nodiscard]] std::string path(std::string_view name) const { return options_.folder + "/" + std::string(name); }

    Task<void> write_all();
    Task<Result<void>> write_batch();

    env::Files& files_;
    const StoreOptions options_;
    std::unique_ptr<env::File> lock_;
    std::unique_ptr<env::File> journal_;
    std::vector<std::string> payloads_;
    uint64_t size_bytes_ = 0;  // of the journal
    uint64_t snapshot_bytes_ = 0;  // of its first entry
    std::string waiting_;  // lines not handed to the system yet
    uint64_t taken_ = 0;  // number of the last entry taken, and of the last one that is durable
    uint64_t durable_ = 0;
    bool has_appended_ = false;  // since the journal was written as a whole
    bool is_writing_ = false;
    bool wants_compaction_ = false;
    std::string failure_;
    WaitList written_;
};

}  // namespace weft::state
