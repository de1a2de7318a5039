#include "env/linux/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "env/linux/descriptor.h"

namespace weft::env {

namespace {

class LinuxSharedMemory final : public SharedMemory {
public:
    LinuxSharedMemory(std::string path, MutableBytes bytes) : path_(std::move(path)), bytes_(bytes) {}
    ~LinuxSharedMemory() override {
        WEFT_ASSERT(munmap(bytes_.data(), bytes_.size()) == 0);
        unlink(path_.c_str());
    }
    [[nodiscard]] MutableBytes bytes() const override { return bytes_; }
    [[nodiscard]] const std::string& path() const override { return path_; }

private:
    const std::string path_;
    const MutableBytes bytes_;
};

class LinuxFileView final : public FileView {
public:
    LinuxFileView(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    Result<uint64_t> size_bytes() override {
        struct stat status{};
        if (fstat(file_.get(), &status) != 0) return fail_errno(errno, fmt::format("asking for the size of {}", path_));
        return static_cast<uint64_t>(status.st_size);
    }

    Result<size_t> read(uint64_t offset, MutableBytes into) override {
        size_t done = 0;
        while (done < into.size()) {
            const ssize_t count =
                pread(file_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return fail_errno(errno, fmt::format("reading {}", path_));
            if (count == 0) break;
            done += static_cast<size_t>(count);
        }
        return done;
    }

private:
    const Descriptor file_;
    const std::string path_;
};

Descriptor create_anew(const std::string& path) {
    return Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
}

}  // namespace

std::string shared_memory_path(const std::string& name) { return "/dev/shm/" + name; }

Result<std::unique_ptr<SharedMemory>> make_linux_shared_memory(const std::string& name, size_t size_bytes) {
    WEFT_ASSERT(!name.empty() && name.find('/') == std::string::npos && size_bytes > 0);
    std::string path = shared_memory_path(name);
    const std::string doing = fmt::format("making {} of {} bytes", path, size_bytes);
    Descriptor file = create_anew(path);
    if (!file.is_open() && errno == EEXIST) {
        // Of a process that was killed: its name is ours now. The folder lets nobody remove what is somebody else's.
        if (unlink(path.c_str()) != 0) return fail_errno(errno, doing + ": removing what has that name");
        file = create_anew(path);
    }
    if (!file.is_open()) return fail_errno(errno, doing);
    // Not only its size: where there is no room, a store would be the end of the program.
    const int refused = posix_fallocate(file.get(), 0, static_cast<off_t>(size_bytes));
    void* const start =
        refused != 0 ? MAP_FAILED : mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (start == MAP_FAILED) {
        const int number = refused != 0 ? refused : errno;
        unlink(path.c_str());
        return fail_errno(number, doing);
    }
    return std::make_unique<LinuxSharedMemory>(std::move(path),
                                               MutableBytes(static_cast<std::byte*>(start), size_bytes));
}

Result<std::unique_ptr<FileView>> open_file_view(const std::string& path) {
    const std::string doing = fmt::format("opening {}", path);
    // Of what turns out to be a pipe or a device, nothing is waited for and nothing is set off.
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file.is_open()) return fail_errno(errno, doing);
    struct stat status{};
    if (fstat(file.get(), &status) != 0) return fail_errno(errno, doing);
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid_argument, fmt::format("{} is no ordinary file", path));
    return std::make_unique<LinuxFileView>(std::move(file), path);
}

}  // namespace weft::env
