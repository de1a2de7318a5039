#include "bdev_modules/file/file_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "base/mutants.h"
#include "bdev_modules/file/file_channel.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct Opened {
    std::unique_ptr<env::File> file;
    uint64_t size_bytes = 0;
    uint32_t block_bytes = 0;
    std::string machine_id;
};

Result<std::unique_ptr<env::File>> open_in_mode(env::Files& files, const FileOptions& options, bool direct) {
    auto file = files.open(options.filename, {.read_only = options.read_only,
                                              .direct = direct,
                                              .create = false,
                                              .exclusive = true,
                                              .reach = env::Reach::allowed});
    if (file || file.error().code != Errc::busy) return file;
    return fail(Errc::busy, fmt::format("{}: in use by another process, or by another bdev of this one ({})",
                                        log::quoted(options.filename), file.error().message));
}

// Around the page cache if that can be, unless the caller decided otherwise.
Result<std::unique_ptr<env::File>> open_file(env::Files& files, const FileOptions& options) {
    if (options.direct == false) return open_in_mode(files, options, false);
    auto file = open_in_mode(files, options, true);
    std::string reason;
    if (file) {
        const uint32_t block_bytes = options.block_bytes.value_or((*file)->block_bytes());
        if (block_bytes % (*file)->alignment_bytes() == 0) return file;
        reason = fmt::format("direct I/O needs blocks of {} bytes, not {}", (*file)->alignment_bytes(), block_bytes);
    } else if (file.error().code == Errc::not_supported) {
        reason = file.error().message;
    } else {
        return file;
    }
    if (options.direct == true) return fail(Errc::not_supported, fmt::format("{}: {}", options.filename, reason));
    WEFT_NOTICELOG("{}: goes through the page cache ({})", log::quoted(options.filename), log::quoted(reason));
    if (file) file->reset();  // its lock goes with it
    return open_in_mode(files, options, false);
}

Result<uint64_t> blocks_in(uint64_t size_bytes, uint32_t block_bytes, const std::string& filename) {
    const uint64_t block_count = size_bytes / block_bytes;
    if (block_count > 0) return block_count;
    return fail(Errc::invalid_argument,
                fmt::format("{} has {} bytes: not one block of {}", log::quoted(filename), size_bytes, block_bytes));
}

Result<Opened> open_and_ask(env::Environment& environment, const FileOptions& options) {
    auto file = open_file(environment.files(), options);
    if (!file) return std::unexpected(std::move(file).error());
    const auto size_bytes = (*file)->size_bytes();
    if (!size_bytes) return std::unexpected(size_bytes.error());
    const uint32_t block_bytes = options.block_bytes.value_or((*file)->block_bytes());
    return Opened{.file = std::move(*file),
                  .size_bytes = *size_bytes,
                  .block_bytes = block_bytes,
                  .machine_id = environment.machine_id()};
}

}  // namespace

FileDevice::FileDevice(FileOptions options, Uuid uuid, const Geometry& geometry, std::unique_ptr<env::File> file)
    : Device(options.name, uuid, geometry),
      options_(std::move(options)),
      file_(std::move(file)),
      locks_(region_shift, options_.is_concurrent),
      sync_locks_(0, options_.is_concurrent) {}

FileDevice::~FileDevice() = default;

std::string_view FileDevice::product_name() const { return options_.kind == FileKind::aio ? "AIO disk" : "URING bdev"; }

bool FileDevice::supports(Op op) const {
    switch (op) {
        case Op::read:
        case Op::compare:
        case Op::verify:
        case Op::flush: return true;
        case Op::write:
        case Op::unmap:
        case Op::compare_and_write:
        case Op::write_zeroes: return !options_.read_only;
        case Op::copy:
        case Op::write_uncorrectable:
        case Op::zone_append:
        case Op::zone_management: return false;
    }
    return false;
}

void FileDevice::describe(Json& driver_specific) const {
    Json facts = {{"filename", options_.filename}, {"direct", file_->is_direct()}};
    if (options_.kind == FileKind::uring) {
        driver_specific["uring"] = std::move(facts);
        return;
    }
    facts["block_size_override"] = options_.block_bytes.has_value();
    facts["readonly"] = options_.read_only;
    facts["fallocate"] = options_.fallocate;
    facts["nowait"] = false;
    driver_specific["aio"] = std::move(facts);
}

void FileDevice::write_config(Json& entries) const {
    Json params = {{"name", name()}, {"filename", options_.filename}};
    if (options_.block_bytes) params["block_size"] = *options_.block_bytes;
    params["uuid"] = uuid().to_string();
    if (options_.direct) params["direct"] = *options_.direct;
    if (options_.kind == FileKind::aio) {
        params["readonly"] = options_.read_only;
        params["fallocate"] = options_.fallocate;
    }
    const char* method = options_.kind == FileKind::aio ? "bdev_aio_create" : "bdev_uring_create";
    entries.push_back({{"method", method}, {"params", std::move(params)}});
}

Result<std::unique_ptr<IoChannel>> FileDevice::make_channel() {
    auto queue = Reactor::current().file_queue();
    if (!queue) return std::unexpected(std::move(queue).error());
    return std::make_unique<FileChannel>(*this);
}

Task<void> FileDevice::close() {
    // Closing a file may wait for the file system.
    co_await offload([file = std::move(file_)]() mutable {
        file.reset();
        return true;
    });
}

Task<Result<bool>> FileDevice::rescan() {
    const auto size_bytes = co_await offload([this] { return file_->size_bytes(); });
    if (!size_bytes) co_return std::unexpected(size_bytes.error());
    const auto found = blocks_in(*size_bytes, block_bytes(), options_.filename);
    if (!found) co_return std::unexpected(found.error());
    const bool is_other = *found != block_count();
    set_block_count(*found);
    truncated_.store(false, std::memory_order_relaxed);
    co_return is_other;
}

void FileDevice::note_failure(Op op, Errc error) {
    const uint32_t bit = 1U << static_cast<unsigned>(op);
    if ((failures_.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) return;
    WEFT_ERRLOG("bdev {}: {} of {} failed: {} (said once)", log::quoted(name()), name_of(op),
                log::quoted(options_.filename), weft::describe(error));
}

void FileDevice::note_truncated() {
    if (truncated_.exchange(true, std::memory_order_relaxed)) return;
    WEFT_WARNLOG("bdev {}: {} ends before the device does; was it truncated? Reads there fail until it is rescanned",
                 log::quoted(name()), log::quoted(options_.filename));
}

void FileDevice::note_flush_failed(Errc error) {
    if (mutant::on(mutant::failed_sync_forgotten)) return;
    if (flush_failed_.exchange(true, std::memory_order_acq_rel)) return;
    WEFT_ERRLOG(
        "bdev {}: {} could not be synced ({}): acknowledged writes may be lost. Every flush fails until the "
        "bdev is deleted and created again",
        log::quoted(name()), log::quoted(options_.filename), weft::describe(error));
}

void FileDevice::note_missing(env::FileOperation::Kind kind) {
    missing_.fetch_or(1U << static_cast<unsigned>(kind), std::memory_order_relaxed);
}

Task<Result<Device*>> create_file_device(Registry& registry, FileOptions options) {
    if (options.name.empty()) co_return fail(Errc::invalid_argument, "name: a file device needs one");
    if (options.filename.empty()) co_return fail(Errc::invalid_argument, "filename: empty");
    if (options.block_bytes) WEFT_CO_TRY(check_size(*options.block_bytes, 1));
    if (registry.is_taken(options.name)) {
        co_return fail(Errc::already_exists, fmt::format("bdev {} already exists", log::quoted(options.name)));
    }
    env::Environment& environment = Reactor::current().environment();
    auto opened = co_await offload([&environment, &options] { return open_and_ask(environment, options); });
    if (!opened) co_return std::unexpected(std::move(opened).error());
    const auto block_count = blocks_in(opened->size_bytes, opened->block_bytes, options.filename);
    if (!block_count) co_return std::unexpected(block_count.error());
    WEFT_CO_TRY(check_size(opened->block_bytes, *block_count));
    Uuid uuid = options.uuid;
    if (uuid.is_nil()) uuid = Uuid::from_names({opened->machine_id, "file", options.filename});
    const Geometry geometry = {.block_bytes = opened->block_bytes,
                               .block_count = *block_count,
                               .alignment_bytes = opened->file->alignment_bytes(),
                               .has_write_cache = true};
    co_return registry.add(std::make_unique<FileDevice>(std::move(options), uuid, geometry, std::move(opened->file)));
}

}  // namespace weft::bdev
