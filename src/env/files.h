// Files and block devices: opened and configured off the reactors, read and written through a queue per reactor.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "base/result.h"
#include "env/network.h"

namespace weft::env {

// Which files a name may mean.
enum class Reach : uint8_t {
    everywhere,  // an operator gave it, on the command line
    allowed,     // a request gave it: below the folders of Files::confine(), if there are any
};

struct OpenOptions {
    bool read_only = false;
    bool direct = false;     // O_DIRECT: buffers, offsets and lengths aligned to alignment_bytes
    bool create = false;     // make it, mode 0600, if it is not there; refused for a symbolic link
    bool append = false;     // every write goes to the end, whatever its offset; refused for a symbolic link
    bool exclusive = false;  // locked against a second user (OFD lock; O_EXCL for a block device): busy
    Reach reach = Reach::everywhere;  // `allowed` makes no file
};

// An open file or block device. Used by many threads; closed by the destructor.
class File {
public:
    File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    virtual ~File() = default;

    // Asked of the system at each call, since files grow. Blocking: from an offload job.
    virtual Result<uint64_t> size_bytes() = 0;
    virtual Result<void> resize(uint64_t size_bytes) = 0;
    // All of `contents` at `offset`, and on stable storage when it returns. After an error some of it may be there, and
    // trying again proves nothing: the system may have dropped what it could not write. Blocking, as above.
    virtual Result<void> write_durably(uint64_t offset, std::string_view contents) = 0;
    [[nodiscard]] virtual bool is_block_device() const = 0;
    [[nodiscard]] virtual bool is_direct() const = 0;
    // Reads and writes are copies from memory to memory (tmpfs): they wait for no device, unless the system has
    // swapped the pages out.
    [[nodiscard]] virtual bool is_in_memory() const { return false; }
    // What memory, offsets and lengths must be aligned to when direct; 1 otherwise. A power of two.
    [[nodiscard]] virtual uint32_t alignment_bytes() const = 0;
    // Logical block size of a block device; 512 for a file.
    [[nodiscard]] virtual uint32_t block_bytes() const = 0;
    [[nodiscard]] virtual int descriptor() const { return -1; }
};

// One operation on a file; belongs to who submits it, at a fixed address, until `done` has been called.
// `done` runs on the reactor's thread from FileQueue::reap(), never inside submit().
struct FileOperation {
    enum class Kind : uint8_t {
        read,
        write,
        sync_data,  // fdatasync
        zero_range,  // the range reads as zero afterwards and stays allocated if it can
        punch_hole,  // the range reads as zero afterwards and its space is given back
    };
    Kind kind = Kind::read;
    bool sync = false;  // write: on stable storage before it is done (RWF_DSYNC)
    File* file = nullptr;
    std::span<const iovec> data;  // read, write; must live until done
    uint64_t offset = 0;
    uint64_t length = 0;  // zero_range, punch_hole
    void (*done)(FileOperation& operation) = nullptr;

    // The outcome. A short transfer is possible: bytes < asked, and 0 for a read at the end.
    bool failed = false;
    Errc error = Errc::io_error;
    uint64_t bytes = 0;

    ListLink<FileOperation> link;  // the queue's
};

class FileQueue {
public:
    FileQueue() = default;
    FileQueue(const FileQueue&) = delete;
    FileQueue& operator=(const FileQueue&) = delete;
    virtual ~FileQueue() = default;

    // Takes any number; those the system has no room for wait inside. Nothing may be in flight at the end of the
    // queue.
    virtual void submit(FileOperation& operation) = 0;
    // Hands what was submitted to the system, as far as submit() has not: one call a turn.
    virtual void flush() = 0;
    // Runs `done` of what has finished; returns how many.
    virtual uint32_t reap() = 0;
    // Operations submitted and not done.
    [[nodiscard]] virtual uint32_t in_flight() const = 0;
    // Before the reactor sleeps: from here on completions() tells. False when there is news already.
    virtual bool arm() { return true; }
    // The reactor asks by itself again.
    virtual void disarm() {}
    // Readable when armed and reap() would find something; watched by the reactor while it sleeps. In the real world it
    // is reported once for each batch of news (Pollable::is_edge_only), now and then when reap() has it already.
    virtual Pollable& completions() = 0;
};

// Whole-file helpers of the control path. All block: call them from an offload job.
class Files {
public:
    Files() = default;
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    virtual ~Files() = default;

    virtual Result<std::unique_ptr<File>> open(const std::string& path, const OpenOptions& options) = 0;
    // The contents, refused above `size_max` bytes.
    virtual Result<std::string> read_all(const std::string& path, size_t size_max) = 0;
    // The same for a name that a request gave.
    virtual Result<std::string> read_allowed(const std::string& path, size_t size_max) = 0;
    // The same of a file that holds a secret. Errors: permission_denied when others than its owner and its group may
    // read it, or others than its owner write it; invalid_argument when it is no regular file.
    virtual Result<std::string> read_secret(const std::string& path, size_t size_max) = 0;
    // The same of a file that holds a key and that a request named, into `into`, where alone it is: returns its size.
    // Errors: permission_denied when it is neither this process's user's nor root's, or when its mode gives anything to
    // group or others, or outside of the folders of confine(); invalid_argument when it is no regular file;
    // out_of_range when it is larger than `into`.
    virtual Result<size_t> read_key(const std::string& path, MutableBytes into) = 0;
    // Replaces the file as a whole: temporary file, fsync, rename, fsync of the folder.
    virtual Result<void> write_atomically(const std::string& path, std::string_view contents) = 0;
    // The same for a name that a request gave.
    virtual Result<void> write_allowed(const std::string& path, std::string_view contents) = 0;
    virtual Result<void> remove(const std::string& path) = 0;
    // Gives the file another name, in the place of what has that name; lasting: the folder is synced.
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    // Mode 0700, lasting. Well when it is there already. Errors: not_found when its parent is missing.
    virtual Result<void> make_folder(const std::string& path) = 0;
    // From now on Reach::allowed means below these folders (absolute paths). Once, before names come in. Errors: those
    // of opening them; not_supported.
    virtual Result<void> confine(const std::vector<std::string>& folders) = 0;
};

}  // namespace weft::env
