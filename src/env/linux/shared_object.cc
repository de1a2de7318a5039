#include "env/linux/shared_object.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "env/linux/descriptor.h"

namespace weft::env {

namespace {

Result<size_t> size_of(int file, const std::string& path) {
    struct stat facts{};
    if (fstat(file, &facts) != 0) return fail_errno(errno, path);
    if (!S_ISREG(facts.st_mode)) return fail(Errc::invalid_argument, fmt::format("{}: not a file", path));
    if ((facts.st_mode & S_IWOTH) != 0) {
        return fail(Errc::permission_denied,
                    fmt::format("{}: anybody may write it, so it is not run: chmod o-w {}", path, path));
    }
    const auto size = static_cast<size_t>(facts.st_size);
    if (size > shared_object_bytes_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("{}: {} bytes, at most {} are taken", path, size, shared_object_bytes_max));
    }
    return size;
}

Result<void> check_header(const std::string& bytes, const std::string& path) {
    Elf64_Ehdr header{};
    if (bytes.size() >= sizeof(header)) std::memcpy(&header, bytes.data(), sizeof(header));
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        return fail(Errc::invalid_argument, fmt::format("{}: not a shared library", path));
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 || header.e_type != ET_DYN) {
        return fail(Errc::invalid_argument, fmt::format("{}: not a shared library for x86-64", path));
    }
    // What is to be mapped must be there: reading beyond the end of a mapped file is a signal, not an error.
    const auto is_inside = [&bytes](uint64_t offset, uint64_t size) {
        return offset <= bytes.size() && size <= bytes.size() - offset;
    };
    const auto cut = fail(Errc::invalid_argument, fmt::format("{}: cut short", path));
    if (header.e_phentsize != sizeof(Elf64_Phdr) ||
        !is_inside(header.e_phoff, uint64_t{header.e_phnum} * sizeof(Elf64_Phdr))) {
        return cut;
    }
    for (size_t index = 0; index < header.e_phnum; ++index) {
        Elf64_Phdr segment{};
        std::memcpy(&segment, bytes.data() + header.e_phoff + index * sizeof(segment), sizeof(segment));
        if (segment.p_type == PT_LOAD && !is_inside(segment.p_offset, segment.p_filesz)) return cut;
    }
    return {};
}

}  // namespace

Result<std::string> read_shared_object(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file.is_open()) return fail_errno(errno, path);
    const auto size = size_of(file.get(), path);
    if (!size) return std::unexpected(size.error());
    std::string bytes(*size, '\0');
    for (size_t at = 0; at < bytes.size();) {
        const ssize_t count = ::read(file.get(), bytes.data() + at, bytes.size() - at);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, path);
        if (count == 0) bytes.resize(at);
        at += static_cast<size_t>(count);
    }
    WEFT_TRY(check_header(bytes, path));
    return bytes;
}

Result<SharedObject> SharedObject::load(const std::string& path) {
    // With a slash in it: a bare name would be looked for among the system's libraries.
    std::error_code error;
    const std::string absolute = std::filesystem::absolute(path, error).string();
    if (error) return fail(Errc::invalid_argument, fmt::format("{}: {}", path, error.message()));
    if (void* const handle = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL)) return SharedObject(handle);
    const char* const reason = dlerror();
    return fail(Errc::invalid_argument, reason == nullptr ? path : reason);
}

void* SharedObject::find(const char* name) const { return dlsym(handle_, name); }

}  // namespace weft::env
