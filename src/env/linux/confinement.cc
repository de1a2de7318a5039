#include "env/linux/confinement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>

namespace weft::env {

namespace {

constexpr uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;

int open_beneath(int folder, const char* path, int flags) {
    const open_how how{.flags = static_cast<uint64_t>(flags), .mode = 0, .resolve = beneath};
    int opened = -1;
    // EAGAIN: a folder was renamed while the kernel looked whether ".." leaves it.
    for (int attempt = 0; attempt < 16; ++attempt) {
        opened = static_cast<int>(syscall(SYS_openat2, folder, path, &how, sizeof(how)));
        if (opened >= 0 || (errno != EAGAIN && errno != EINTR)) break;
    }
    return opened;
}

// What follows `folder` in `path`; nothing if it does not begin with it.
std::optional<std::string> rest_of(const std::string& path, const std::string& folder) {
    if (!path.starts_with(folder)) return std::nullopt;
    size_t at = folder.size();
    if (at < path.size() && path[at] != '/') return std::nullopt;
    while (at < path.size() && path[at] == '/') ++at;
    return at == path.size() ? "." : path.substr(at);
}

std::string where_is(const std::string& folder) {
    const std::unique_ptr<char, decltype(&std::free)> place(::realpath(folder.c_str(), nullptr), &std::free);
    return place == nullptr ? folder : place.get();
}

}  // namespace

Result<Confinement> Confinement::to(const std::vector<std::string>& folders) {
    Confinement made;
    made.is_confined_ = true;
    for (std::string name : folders) {
        if (!name.starts_with('/')) {
            return fail(Errc::invalid_argument, fmt::format("{}: give an absolute path of a folder", name));
        }
        Descriptor descriptor(::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!descriptor.is_open()) return fail_errno(errno, fmt::format("opening the folder {}", name));
        const Descriptor probe(open_beneath(descriptor.get(), ".", O_PATH | O_CLOEXEC));
        if (!probe.is_open() && errno == ENOSYS) {
            return fail(Errc::not_supported, "this kernel cannot confine file names (openat2 came with Linux 5.6)");
        }
        while (!name.empty() && name.back() == '/') name.pop_back();
        std::string place = where_is(name.empty() ? "/" : name);
        if (place == "/") place.clear();
        made.folders_.push_back({std::move(name), std::move(place), std::move(descriptor)});
    }
    return made;
}

Result<Descriptor> Confinement::open(const std::string& path, int flags, int& refused) const {
    refused = 0;
    if (!is_confined_) {
        Descriptor file(::open(path.c_str(), flags | O_CLOEXEC));
        if (!file.is_open()) refused = errno;
        return file;
    }
    std::string whole = path;
    if (!whole.starts_with('/')) whole = where_is(".") + "/" + path;
    for (const Folder& folder : folders_) {
        auto rest = rest_of(whole, folder.name);
        if (!rest) rest = rest_of(whole, folder.place);
        if (!rest) continue;
        Descriptor file(open_beneath(folder.descriptor.get(), rest->c_str(), flags | O_CLOEXEC));
        if (file.is_open()) return file;
        // EXDEV: it leads out. Another folder may be meant, when one lies in the other.
        if (errno == EXDEV) continue;
        refused = errno;
        return file;
    }
    return fail_outside(path);
}

std::unexpected<Error> Confinement::fail_outside(const std::string& path) const {
    std::string names;
    for (const Folder& folder : folders_)
        names += (names.empty() ? "" : ", ") + (folder.name.empty() ? "/" : folder.name);
    return fail(Errc::permission_denied,
                fmt::format("{} is not below a folder whose files this target may be told to use ({}); symbolic links "
                            "and .. do not lead out of these (--allow-path)",
                            path, names));
}

}  // namespace weft::env
