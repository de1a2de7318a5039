#include "env/sim/files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"

namespace weft::sim {

SimFile::SimFile(Machine& machine, FileNode& node, const env::OpenOptions& options)
    : descriptor_(machine), node_(node), faults_(machine.disk.faults(node.path)), options_(options) {
    ++node_.opened;
    if (options_.exclusive && options_.read_only) ++node_.shared_locks;
    if (options_.exclusive && !options_.read_only) node_.is_locked = true;
}

SimFile::~SimFile() {
    if (!is_alive()) return;
    if (options_.exclusive && options_.read_only) --node_.shared_locks;
    if (options_.exclusive && !options_.read_only) node_.is_locked = false;
    --node_.opened;
    descriptor_.machine().disk.release(node_);
}

Result<uint64_t> SimFile::size_bytes() {
    if (!is_alive()) return fail(Errc::io_error, "the machine has crashed");
    return node_.contents.size_bytes();
}

Result<void> SimFile::resize(uint64_t size_bytes) {
    if (!is_alive()) return fail(Errc::io_error, "the machine has crashed");
    if (options_.read_only) return fail(Errc::invalid_argument, node_.path + " was opened to be read");
    if (size_bytes > faults_.capacity_bytes) return fail(Errc::no_space, fmt::format("resizing {}", node_.path));
    node_.contents.resize(size_bytes);
    return {};
}

Result<void> SimFile::write_durably(uint64_t offset, std::string_view contents) {
    if (!is_alive()) return fail(Errc::io_error, "the machine has crashed");
    if (options_.read_only) return fail(Errc::invalid_argument, node_.path + " was opened to be read");
    if (options_.append) offset = node_.contents.size_bytes();
    Prng& prng = descriptor_.machine().disk.core().prng();
    const bool fits = offset + contents.size() <= faults_.capacity_bytes;
    if (!fits || prng.chance(faults_.write_error)) {
        const size_t part = contents.empty() ? 0 : prng.below(contents.size());
        if (fits) node_.contents.write(offset, bytes_of(contents.substr(0, part)));
        return fail(fits ? Errc::io_error : Errc::no_space, fmt::format("writing {}", node_.path));
    }
    node_.contents.write(offset, bytes_of(contents));
    if (prng.chance(faults_.sync_error)) return fail(Errc::io_error, fmt::format("syncing {}", node_.path));
    node_.contents.sync_range(offset, contents.size());
    return {};
}

Result<std::unique_ptr<env::File>> SimFiles::open(const std::string& path, const env::OpenOptions& options) {
    if (!machine_.has_descriptor()) return fail(Errc::too_many, fmt::format("opening {}: out of descriptors", path));
    FileNode* node = machine_.disk.find(path);
    if (node == nullptr) {
        if (!options.create) return fail(Errc::not_found, fmt::format("opening {}: no such file", path));
        node = &machine_.disk.create(path);
    }
    const bool is_refused = node->is_locked || (!options.read_only && node->shared_locks > 0);
    if (options.exclusive && is_refused) return fail(Errc::busy, fmt::format("{} is locked by another user", path));
    return std::make_unique<SimFile>(machine_, *node, options);
}

Result<std::string> SimFiles::read_all(const std::string& path, size_t size_max) {
    const FileNode* node = machine_.disk.find(path);
    if (node == nullptr) return fail(Errc::not_found, fmt::format("opening {}: no such file", path));
    if (machine_.disk.core().prng().chance(machine_.disk.faults(path).read_error)) {
        return fail(Errc::io_error, fmt::format("reading {}", path));
    }
    const uint64_t size = node->contents.size_bytes();
    if (size > size_max) return fail(Errc::out_of_range, fmt::format("{} is larger than {} bytes", path, size_max));
    std::string text(size, '\0');
    node->contents.read(0, std::as_writable_bytes(std::span(text)));
    return text;
}

Result<std::string> SimFiles::read_secret(const std::string& path, size_t size_max) { return read_all(path, size_max); }

Result<size_t> SimFiles::read_key(const std::string& path, MutableBytes into) {
    const auto text = read_all(path, into.size());
    if (!text) return std::unexpected(text.error());
    std::ranges::copy(bytes_of(std::string_view(*text)), into.begin());
    return text->size();
}

Result<std::string> SimFiles::read_allowed(const std::string& path, size_t size_max) {
    return read_all(path, size_max);
}

Result<void> SimFiles::write_atomically(const std::string& path, std::string_view contents) {
    const FileFaults& faults = machine_.disk.faults(path);
    Core& core = machine_.disk.core();
    if (core.prng().chance(faults.write_error) || core.prng().chance(faults.sync_error)) {
        return fail(Errc::io_error, fmt::format("writing {}", path));
    }
    if (contents.size() > faults.capacity_bytes) return fail(Errc::no_space, fmt::format("writing {}", path));
    machine_.disk.remove(path);
    FileNode& node = machine_.disk.create(path);
    node.contents.write(0, bytes_of(contents));
    node.contents.sync_range(0, contents.size());
    core.note("file_replaced", node.id, contents.size(), crc32c(bytes_of(contents)));
    return {};
}

Result<void> SimFiles::write_allowed(const std::string& path, std::string_view contents) {
    return write_atomically(path, contents);
}

Result<void> SimFiles::remove(const std::string& path) {
    if (machine_.disk.remove(path)) return {};
    return fail(Errc::not_found, fmt::format("removing {}: no such file", path));
}

Result<void> SimFiles::rename(const std::string& from, const std::string& to) {
    if (machine_.disk.rename(from, to)) return {};
    return fail(Errc::not_found, fmt::format("renaming {}: no such file", from));
}

Result<void> SimFiles::make_folder(const std::string&) { return {}; }

Result<void> SimFiles::confine(const std::vector<std::string>&) {
    return fail(Errc::not_supported, "simulated files are not confined");
}

}  // namespace weft::sim
