// A file or a block device of the system as a bdev: what bdev_aio_create and bdev_uring_create make.
//
// Flush is fdatasync. When one has failed, what was acknowledged before may be lost and the kernel says so only
// once: from then on every flush fails, until the bdev is made anew.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "bdev/device.h"
#include "bdev/range_locks.h"
#include "bdev/registry.h"
#include "env/files.h"
#include "reactor/task.h"

namespace weft::bdev {

// By which method it was made, and is shown and saved; there is no other difference.
enum class FileKind : uint8_t { aio, uring };

struct FileOptions {
    std::string name;
    std::string filename;
    FileKind kind = FileKind::aio;
    std::optional<uint32_t> block_bytes;  // default: of the block device; 512 for a file
    bool read_only = false;
    std::optional<bool> direct;           // around the page cache; default: where the file system can
    bool fallocate = true;                // kept for save_config: it is always used
    Uuid uuid;                            // nil: derived from the machine and the file's name
    bool is_concurrent = false;           // there will be channels on more than one reactor
};

class FileDevice final : public Device {
public:
    FileDevice(FileOptions options, Uuid uuid, const Geometry& geometry, std::unique_ptr<env::File> file);
    ~FileDevice() override;

    [[nodiscard]] std::string_view product_name() const override;
    [[nodiscard]] bool supports(Op op) const override;
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;
    Task<void> close() override;

    // Asks for the file's size; true when the number of blocks changed: then call Registry::notify_resized. App
    // thread; the device must be held open. Errors: io_error, invalid_argument (not one block left; nothing changes).
    Task<Result<bool>> rescan();

    [[nodiscard]] const FileOptions& options() const { return options_; }
    [[nodiscard]] env::File& file() const { return *file_; }
    [[nodiscard]] RangeLocks& locks() { return locks_; }
    // In which syncs queue up.
    [[nodiscard]] RangeLocks& sync_locks() { return sync_locks_; }

    // What channels found out. Any thread.
    void note_failure(Op op, Errc error);  // logged once for each op
    void note_truncated();  // logged once
    void note_flush_failed(Errc error);
    [[nodiscard]] bool has_flush_failed() const { return flush_failed_.load(std::memory_order_acquire); }
    // The file system has no such call: what it would do is done by writing zeroes.
    void note_missing(env::FileOperation::Kind kind);
    [[nodiscard]] bool is_missing(env::FileOperation::Kind kind) const {
        return (missing_.load(std::memory_order_relaxed) & (1U << static_cast<unsigned>(kind))) != 0;
    }

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    static constexpr uint32_t region_shift = 22;  // 4 MiB: few requests cross from one into the next

    const FileOptions options_;
    std::unique_ptr<env::File> file_;
    RangeLocks locks_;
    RangeLocks sync_locks_;
    std::atomic<bool> flush_failed_{false};
    std::atomic<bool> truncated_{false};
    std::atomic<uint32_t> missing_{0};  // a bit for each kind
    std::atomic<uint32_t> failures_{0};  // a bit for each op
};

// Opens the file and adds a device. App thread. Errors: already_exists, invalid_argument, busy (in use by another
// process), and those of opening.
Task<Result<Device*>> create_file_device(Registry& registry, FileOptions options);

}  // namespace weft::bdev
