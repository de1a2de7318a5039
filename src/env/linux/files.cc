#include "env/linux/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "env/linux/descriptor.h"

namespace weft::env {

namespace {

constexpr uint32_t sector_bytes = 512;
constexpr uint32_t alignment_safe_bytes = 4096;  // no device with larger logical blocks is known to Linux 6.1

class LinuxFile final : public File {
public:
    struct Facts {
        bool is_block_device = false;
        bool is_direct = false;
        bool is_in_memory = false;
        uint32_t alignment_bytes = 1;
        uint32_t block_bytes = sector_bytes;
    };

    LinuxFile(Descriptor file, std::string path, Facts facts)
        : file_(std::move(file)), path_(std::move(path)), facts_(facts) {}

    Result<uint64_t> size_bytes() override {
        uint64_t size = 0;
        if (facts_.is_block_device) {
            if (ioctl(file_.get(), BLKGETSIZE64, &size) == 0) return size;
        } else {
            struct stat status{};
            if (fstat(file_.get(), &status) == 0) return static_cast<uint64_t>(status.st_size);
        }
        return fail_errno(errno, fmt::format("asking for the size of {}", path_));
    }

    Result<void> resize(uint64_t size_bytes) override {
        if (facts_.is_block_device) {
            return fail(Errc::not_supported, fmt::format("{} is a block device: its size is fixed", path_));
        }
        if (ftruncate(file_.get(), static_cast<off_t>(size_bytes)) == 0) return {};
        return fail_errno(errno, fmt::format("resizing {} to {} bytes", path_, size_bytes));
    }

    Result<void> write_durably(uint64_t offset, std::string_view contents) override {
        while (!contents.empty()) {
            const ssize_t count = pwrite(file_.get(), contents.data(), contents.size(), static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return fail_errno(errno, fmt::format("writing {}", path_));
            contents.remove_prefix(static_cast<size_t>(count));
            offset += static_cast<uint64_t>(count);
        }
        // The new size is on the medium too: without it the data could not be read (fdatasync(2)).
        if (fdatasync(file_.get()) != 0) return fail_errno(errno, fmt::format("syncing {}", path_));
        return {};
    }

    [[nodiscard]] bool is_block_device() const override { return facts_.is_block_device; }
    [[nodiscard]] bool is_direct() const override { return facts_.is_direct; }
    [[nodiscard]] bool is_in_memory() const override { return facts_.is_in_memory; }
    [[nodiscard]] uint32_t alignment_bytes() const override { return facts_.alignment_bytes; }
    [[nodiscard]] uint32_t block_bytes() const override { return facts_.block_bytes; }
    [[nodiscard]] int descriptor() const override { return file_.get(); }

private:
    const Descriptor file_;
    const std::string path_;
    const Facts facts_;
};

// What direct I/O on `file` must be aligned to, from the kernel if it tells (6.1), else by trying.
Result<uint32_t> find_alignment(int file, const struct stat& status, uint32_t block_bytes, const std::string& path) {
#ifdef STATX_DIOALIGN
    struct statx extended{};
    if (statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &extended) == 0 && (extended.stx_mask & STATX_DIOALIGN) != 0) {
        if (extended.stx_dio_offset_align == 0) {
            return fail(Errc::not_supported, fmt::format("{}: its file system has no direct I/O", path));
        }
        return std::max(extended.stx_dio_mem_align, extended.stx_dio_offset_align);
    }
#endif
    if (S_ISBLK(status.st_mode)) return block_bytes;
    // Reading nothing succeeds whatever the alignment, so that a small file cannot be asked.
    if (status.st_size < alignment_safe_bytes) return alignment_safe_bytes;
    alignas(alignment_safe_bytes) std::array<std::byte, 2 * size_t{sector_bytes}> buffer{};
    const bool is_enough = pread(file, buffer.data() + sector_bytes, sector_bytes, sector_bytes) == sector_bytes;
    return is_enough ? sector_bytes : alignment_safe_bytes;
}

bool is_on_memory_file_system(int file) {
    struct statfs system{};
    return fstatfs(file, &system) == 0 && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

// An open file description lock: it belongs to this open, not to the process, and goes with it.
Result<void> lock_whole(int file, bool read_only, const std::string& path) {
    struct flock lock{};
    lock.l_type = read_only ? F_RDLCK : F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(file, F_OFD_SETLK, &lock) == 0) return {};
    if (errno == EAGAIN || errno == EACCES) return fail(Errc::busy, fmt::format("{} is locked by another user", path));
    return fail_errno(errno, fmt::format("locking {}", path));
}

int open_flags(const OpenOptions& options, bool is_block_device) {
    int flags = O_CLOEXEC | (options.read_only ? O_RDONLY : O_RDWR);
    if (options.direct) flags |= O_DIRECT;
    if (options.append) flags |= O_APPEND | O_NOFOLLOW;
    // What we would make, others may have put a link in the place of: a lock file in a folder that all may write.
    if (options.create && !is_block_device) flags |= O_CREAT | O_NOFOLLOW;
    if (options.exclusive && is_block_device) flags |= O_EXCL;  // against mounts and whoever else asks so
    return flags;
}

std::unexpected<Error> fail_open(int number, const OpenOptions& options, const std::string& path) {
    if (number == EBUSY) return fail(Errc::busy, fmt::format("{} is in use (mounted, or open elsewhere)", path));
    if (number == ELOOP && (options.append || options.create)) {
        return fail(Errc::invalid_argument, fmt::format("{} is a symbolic link: give the file itself", path));
    }
    if (number == EINVAL && options.direct) {
        return fail(Errc::not_supported, fmt::format("{}: its file system has no direct I/O", path));
    }
    return fail_errno(number, fmt::format("opening {}", path));
}

Result<std::string> read_whole(int file, const std::string& path, size_t size_max) {
    std::string contents;
    std::array<char, 16384> piece{};
    for (;;) {
        const ssize_t count = ::read(file, piece.data(), piece.size());
        if (count == 0) return contents;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, fmt::format("reading {}", path));
        contents.append(piece.data(), static_cast<size_t>(count));
        if (contents.size() > size_max) {
            return fail(Errc::out_of_range, fmt::format("{} is larger than {} bytes", path, size_max));
        }
    }
}

Result<void> write_whole(int file, std::string_view contents) {
    while (!contents.empty()) {
        const ssize_t count = ::write(file, contents.data(), contents.size());
        if (count < 0 && errno != EINTR) return fail_errno(errno, "writing");
        if (count > 0) contents.remove_prefix(static_cast<size_t>(count));
    }
    if (fsync(file) != 0) return fail_errno(errno, "syncing");
    return {};
}

// A name lasts only once its folder is on the medium.
Result<void> sync_folder_of(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.is_open() || fsync(directory.get()) != 0) {
        return fail_errno(errno, fmt::format("syncing the folder of {}", path));
    }
    return {};
}

// `doing` before what went wrong inside.
std::unexpected<Error> fail_within(const std::string& doing, const Error& error) {
    return fail(error.code, doing + ": " + error.message);
}

// The file as a whole, in a folder that is opened first: whatever the names lead to by then, all happens in that one.
Result<void> replace_within(const Confinement& confinement, const std::string& path, std::string_view contents) {
    const std::string doing = fmt::format("writing {}", path);
    const size_t slash = path.find_last_of('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name.empty() || name == "." || name == "..") return fail(Errc::invalid_argument, doing + ": not a file's name");
    int refused = 0;
    auto folder =
        confinement.open(slash == std::string::npos ? "." : path.substr(0, slash + 1), O_RDONLY | O_DIRECTORY, refused);
    if (!folder) return std::unexpected(std::move(folder).error());
    if (!folder->is_open()) return fail_errno(refused, doing);
    // One fixed name: what a crash leaves behind is overwritten the next time.
    const std::string temporary = name + ".tmp";
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
    Descriptor file(::openat(folder->get(), temporary.c_str(), flags, 0600));
    if (!file.is_open()) return fail_errno(errno, doing);
    if (const auto written = write_whole(file.get(), contents); !written) {
        ::unlinkat(folder->get(), temporary.c_str(), 0);
        return fail_within(doing, written.error());
    }
    file = Descriptor();
    if (::renameat(folder->get(), temporary.c_str(), folder->get(), name.c_str()) != 0) {
        const int number = errno;
        ::unlinkat(folder->get(), temporary.c_str(), 0);
        return fail_errno(number, doing);
    }
    // A name lasts only once its folder is on the medium.
    if (fsync(folder->get()) != 0) return fail_errno(errno, fmt::format("syncing the folder of {}", path));
    return {};
}

}  // namespace

// A process that was killed keeps its files, and the locks on them, until the kernel has ended its io_uring, which it
// does some time after the process is gone. Who starts in its place asks again, so long.
Result<std::unique_ptr<File>> LinuxFiles::open(const std::string& path, const OpenOptions& options) {
    constexpr int tries_max = 100;
    constexpr int pause_ms = 10;
    for (int tries = 1;; ++tries) {
        auto file = open_once(path, options);
        const bool is_busy = !file && file.error().code == Errc::busy && options.exclusive;
        if (!is_busy || tries == tries_max) return file;
        (void)poll(nullptr, 0, pause_ms);
    }
}

Result<std::unique_ptr<File>> LinuxFiles::open_once(const std::string& path, const OpenOptions& options) {
    struct stat status{};
    int refused = 0;
    bool exists = false;
    {
        const auto place = open_existing(path, O_PATH, options.reach, refused);
        if (!place) return std::unexpected(place.error());
        exists = place->is_open() && fstat(place->get(), &status) == 0;
    }
    // Before it is opened: opening a FIFO or a tape has effects.
    if (exists && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return fail(Errc::invalid_argument, fmt::format("{} is neither a file nor a block device", path));
    }
    const bool expects_block_device = exists && S_ISBLK(status.st_mode);
    const int flags = open_flags(options, expects_block_device);
    Descriptor file;
    if (options.create) {
        WEFT_ASSERT(options.reach == Reach::everywhere);
        file = Descriptor(::open(path.c_str(), flags, 0600));
        if (!file.is_open()) refused = errno;
    } else {
        auto opened = open_existing(path, flags, options.reach, refused);
        if (!opened) return std::unexpected(std::move(opened).error());
        file = std::move(*opened);
    }
    if (!file.is_open()) return fail_open(refused, options, path);
    if (fstat(file.get(), &status) != 0) return fail_errno(errno, fmt::format("looking at {}", path));
    if (S_ISBLK(status.st_mode) != expects_block_device || (!expects_block_device && !S_ISREG(status.st_mode))) {
        return fail(Errc::busy, fmt::format("{} was replaced while it was opened", path));
    }

    LinuxFile::Facts facts{.is_block_device = expects_block_device, .is_direct = options.direct};
    if (expects_block_device) {
        int block_bytes = 0;
        if (ioctl(file.get(), BLKSSZGET, &block_bytes) != 0) {
            return fail_errno(errno, fmt::format("asking for the block size of {}", path));
        }
        facts.block_bytes = static_cast<uint32_t>(block_bytes);
    } else if (options.exclusive) {
        WEFT_TRY(lock_whole(file.get(), options.read_only, path));
    }
    facts.is_in_memory = !expects_block_device && is_on_memory_file_system(file.get());
    if (options.direct) {
        const auto alignment = find_alignment(file.get(), status, facts.block_bytes, path);
        if (!alignment) return std::unexpected(alignment.error());
        facts.alignment_bytes = *alignment;
    }
    return std::make_unique<LinuxFile>(std::move(file), path, facts);
}

Result<Descriptor> LinuxFiles::open_existing(const std::string& path, int flags, Reach reach, int& refused) const {
    static const Confinement none;
    return (reach == Reach::allowed ? allowed_ : none).open(path, flags, refused);
}

Result<void> LinuxFiles::confine(const std::vector<std::string>& folders) {
    auto allowed = Confinement::to(folders);
    if (!allowed) return std::unexpected(std::move(allowed).error());
    allowed_ = std::move(*allowed);
    return {};
}

Result<std::string> LinuxFiles::read_all(const std::string& path, size_t size_max) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return fail_errno(errno, fmt::format("opening {}", path));
    return read_whole(file.get(), path, size_max);
}

Result<std::string> LinuxFiles::read_allowed(const std::string& path, size_t size_max) {
    int refused = 0;
    // It may be a pipe: opening one does not wait for who writes into it.
    const auto file = open_existing(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, Reach::allowed, refused);
    if (!file) return std::unexpected(file.error());
    if (!file->is_open()) return fail_errno(refused, fmt::format("opening {}", path));
    struct stat status{};
    if (fstat(file->get(), &status) != 0) return fail_errno(errno, fmt::format("looking at {}", path));
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid_argument, fmt::format("{} is not a file", path));
    return read_whole(file->get(), path, size_max);
}

Result<std::string> LinuxFiles::read_secret(const std::string& path, size_t size_max) {
    // Non-blocking, so that opening a FIFO does not wait for who writes into it.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file.is_open()) return fail_errno(errno, fmt::format("opening {}", path));
    struct stat status{};
    if (fstat(file.get(), &status) != 0) return fail_errno(errno, fmt::format("looking at {}", path));
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid_argument, fmt::format("{} is not a file", path));
    if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        return fail(Errc::permission_denied,
                    fmt::format("{} is a secret, and its mode {:04o} gives it to others: chmod 600 it", path,
                                status.st_mode & 07777U));
    }
    return read_whole(file.get(), path, size_max);
}

Result<size_t> LinuxFiles::read_key(const std::string& path, MutableBytes into) {
    int refused = 0;
    const auto file = open_existing(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, Reach::allowed, refused);
    if (!file) return std::unexpected(file.error());
    if (!file->is_open()) return fail_errno(refused, fmt::format("opening {}", path));
    struct stat status{};
    if (fstat(file->get(), &status) != 0) return fail_errno(errno, fmt::format("looking at {}", path));
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid_argument, fmt::format("{} is not a file", path));
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(Errc::permission_denied,
                    fmt::format("{} holds a key, and its mode {:04o} gives it to others: chmod 600 it", path,
                                status.st_mode & 07777U));
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return fail(
            Errc::permission_denied,
            fmt::format("{} holds a key, and belongs to user {}, who could change it: chown it to {} or to root", path,
                        status.st_uid, geteuid()));
    }
    size_t size = 0;
    for (;;) {
        const ssize_t count = ::read(file->get(), into.data() + size, into.size() - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, fmt::format("reading {}", path));
        size += static_cast<size_t>(count);
        if (count == 0) return size;
        if (size < into.size()) continue;
        return fail(Errc::out_of_range, fmt::format("{} is too large for a key: {} bytes or more", path, into.size()));
    }
}

Result<void> LinuxFiles::write_atomically(const std::string& path, std::string_view contents) {
    static const Confinement none;
    return replace_within(none, path, contents);
}

Result<void> LinuxFiles::write_allowed(const std::string& path, std::string_view contents) {
    return replace_within(allowed_, path, contents);
}

Result<void> LinuxFiles::remove(const std::string& path) {
    if (::unlink(path.c_str()) != 0) return fail_errno(errno, fmt::format("removing {}", path));
    return {};
}

Result<void> LinuxFiles::rename(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno(errno, fmt::format("renaming {} to {}", from, to));
    return sync_folder_of(to);
}

Result<void> LinuxFiles::make_folder(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == 0) return sync_folder_of(path);
    const int number = errno;
    struct stat status{};
    if (number == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return fail_errno(number, fmt::format("making the folder {}", path));
}

}  // namespace weft::env
