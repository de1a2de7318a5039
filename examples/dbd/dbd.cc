// A module for weftd: block devices that are files in a folder. The folder is the pool, a file in it is a lun.
// docs/modules.md explains it piece by piece.
#include <atomic>
#include <cerrno>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "bdev/bdev_rpc.h"
#include "bdev/module.h"
#include "bdev/range_locks.h"

using namespace weft;

namespace {

struct DbdOptions {
    std::string name;
    std::string pool;
    std::string lun;
    uint32_t block_bytes = 512;
    bool is_concurrent = false;
};

// One lun. Made, described and removed on the app thread; its channels work on those of the poll groups.
class DbdDevice final : public bdev::Device {
public:
    DbdDevice(DbdOptions options, Uuid uuid, uint64_t block_count, std::unique_ptr<env::File> file)
        : Device(options.name, uuid,
                 {.block_bytes = options.block_bytes, .block_count = block_count, .has_write_cache = true}),
          options_(std::move(options)),
          file_(std::move(file)),
          locks_(22, options_.is_concurrent) {}

    [[nodiscard]] std::string_view product_name() const override { return "DBD lun"; }
    [[nodiscard]] bool supports(bdev::Op op) const override {
        return op == bdev::Op::read || op == bdev::Op::write || op == bdev::Op::flush || op == bdev::Op::unmap ||
               op == bdev::Op::write_zeroes;
    }
    void describe(Json& driver_specific) const override {
        driver_specific["dbd"] = {{"pool", options_.pool}, {"lun", options_.lun}};
    }
    void write_config(Json& entries) const override {
        entries.push_back({{"method", "bdev_dbd_create"},
                           {"params",
                            {{"pool", options_.pool},
                             {"lun", options_.lun},
                             {"block_size", options_.block_bytes},
                             {"name", name()},
                             {"uuid", uuid().to_string()}}}});
    }
    // Closing a file may take the file system a while.
    Task<void> close() override {
        co_await offload([this] {
            file_.reset();
            return true;
        });
    }

    // True when the file has another size now, which is the device's from now on.
    Task<Result<bool>> rescan() {
        const auto size = co_await offload([this] { return file_->size_bytes(); });
        if (!size) co_return std::unexpected(size.error());
        const uint64_t count = *size / block_bytes();
        WEFT_CO_TRY(bdev::check_size(block_bytes(), count));
        const bool is_other = count != block_count();
        set_block_count(count);
        co_return is_other;
    }

    [[nodiscard]] env::File& file() const { return *file_; }
    [[nodiscard]] bdev::RangeLocks& locks() { return locks_; }
    [[nodiscard]] bool has_flush_failed() const { return flush_failed_.load(std::memory_order_acquire); }
    void note_flush_failed() { flush_failed_.store(true, std::memory_order_release); }

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    const DbdOptions options_;
    std::unique_ptr<env::File> file_;
    bdev::RangeLocks locks_;
    std::atomic<bool> flush_failed_{false};
};

// A request on its way: what the reactor's file queue is to do, and how far that is. Lives in the request.
struct Work : env::FileOperation {
    bdev::Channel* channel = nullptr;
    bdev::Request* request = nullptr;
    bdev::RangeLocks::Range range;
    uint64_t moved = 0;  // bytes that are read or written
    iovec piece{};       // what is left of one that was cut
};
static_assert(sizeof(Work) <= bdev::Request::module_bytes);

// What one thread does with a lun.
class DbdChannel final : public bdev::Channel {
public:
    explicit DbdChannel(DbdDevice& device) : device_(device) {}
    [[nodiscard]] bool is_bound_to_reactor() const override { return in_flight() > 0; }

protected:
    bdev::Progress start(bdev::Request& request) override {
        if (thread().is_leaving()) return bdev::Progress::retry;
        if (request.op == bdev::Op::flush && device_.has_flush_failed()) {
            request.status = bdev::Status::write_error;
            return bdev::Progress::done;
        }
        Work& work = *new (request.module_data.data()) Work;
        work.channel = this;
        work.request = &request;
        work.file = &device_.file();
        work.kind = kind_of(request.op);
        work.done = [](env::FileOperation& operation) {
            auto& done = static_cast<Work&>(operation);
            static_cast<DbdChannel*>(done.channel)->on_done(done);
        };
        work.range.first = request.lba;
        work.range.end = request.lba + request.blocks;
        work.range.writes = request.op != bdev::Op::read;
        if (request.op != bdev::Op::flush && !device_.locks().enter(work.range)) {
            device_.locks().leave(work.range);
            work.~Work();
            return bdev::Progress::retry;
        }
        submit(work);
        return bdev::Progress::pending;
    }

private:
    using Kind = env::FileOperation::Kind;

    static Kind kind_of(bdev::Op op) {
        switch (op) {
            case bdev::Op::read: return Kind::read;
            case bdev::Op::write: return Kind::write;
            case bdev::Op::flush: return Kind::sync_data;
            default: return Kind::punch_hole;  // unmap, write_zeroes: a hole reads as zero
        }
    }
    [[nodiscard]] uint64_t bytes_of(const Work& work) const { return work.request->blocks * device_.block_bytes(); }

    // All of it, or what a short transfer left.
    void submit(Work& work) {
        work.offset = work.request->lba * device_.block_bytes() + work.moved;
        work.length = bytes_of(work);
        std::span<const iovec> rest = work.request->data;
        uint64_t skipped = work.moved;
        while (!rest.empty() && skipped >= rest.front().iov_len) {
            skipped -= rest.front().iov_len;
            rest = rest.subspan(1);
        }
        work.data = rest;
        if (skipped > 0) {
            work.piece = {.iov_base = static_cast<std::byte*>(rest.front().iov_base) + skipped,
                          .iov_len = rest.front().iov_len - skipped};
            work.data = {&work.piece, 1};
        }
        thread().reactor().files()->submit(work);
    }

    // From the loop of the reactor.
    void on_done(Work& work) {
        if (work.failed) return end(work, status_of(work));
        if (work.kind == Kind::read || work.kind == Kind::write) {
            if (work.bytes == 0) return end(work, status_of(work));  // the file ends before the device does
            work.moved += work.bytes;
            if (work.moved < bytes_of(work)) return submit(work);
        }
        if (work.request->fua && work.kind != Kind::read && work.kind != Kind::sync_data) {
            work.kind = Kind::sync_data;
            return submit(work);
        }
        end(work, bdev::Status::success);
    }

    bdev::Status status_of(const Work& work) {
        if (work.kind == Kind::sync_data) device_.note_flush_failed();
        if (work.failed && work.error == Errc::no_space) return bdev::Status::no_space;
        return work.kind == Kind::read ? bdev::Status::read_error : bdev::Status::write_error;
    }

    void end(Work& work, bdev::Status status) {
        bdev::Request& request = *work.request;
        if (work.range.link.is_linked) device_.locks().leave(work.range);
        work.~Work();
        finish(request, status);  // the request is its owner's again
    }

    DbdDevice& device_;
};

Result<std::unique_ptr<IoChannel>> DbdDevice::make_channel() {
    auto queue = Reactor::current().file_queue();
    if (!queue) return std::unexpected(std::move(queue).error());
    return std::make_unique<DbdChannel>(*this);
}

struct DbdCreate {
    std::string pool;
    std::string lun;
    uint32_t block_size = 0;
    std::optional<std::string> name;
    std::optional<Uuid> uuid;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("pool", &DbdCreate::pool, "The folder"),
            rpc::required("lun", &DbdCreate::lun, "The file in it, which must be there"),
            rpc::required("block_size", &DbdCreate::block_size, "Bytes; a power of two from 512 to 65536"),
            rpc::optional("name", &DbdCreate::name, "The bdev's name; default: the lun's"),
            rpc::optional("uuid", &DbdCreate::uuid, "Default: made of pool and lun"));
    }
};

struct DbdName {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &DbdName::name, "The bdev")); }
};

bool is_dbd(const bdev::Device& device) { return dynamic_cast<const DbdDevice*>(&device) != nullptr; }

struct Lun {
    std::unique_ptr<env::File> file;
    uint64_t size_bytes = 0;
};

// Blocks, so it is called away from the reactors. A request gave the name: --allow-path counts.
Result<Lun> open_lun(env::Files& files, const std::string& path) {
    auto file = files.open(path, {.exclusive = true, .reach = env::Reach::allowed});
    if (!file) return std::unexpected(std::move(file).error());
    const auto size = (*file)->size_bytes();
    if (!size) return std::unexpected(size.error());
    return Lun{.file = std::move(*file), .size_bytes = *size};
}

Task<Result<Json>> create(const bdev::ModuleContext& context, DbdCreate params) {
    if (params.lun.empty() || params.lun == "." || params.lun == ".." || params.lun.contains('/')) {
        co_return fail(Errc::invalid_argument, "lun: the name of a file in the pool, without a folder");
    }
    WEFT_CO_TRY(bdev::check_size(params.block_size, 1));
    DbdOptions options = {.name = params.name.value_or(params.lun),
                          .pool = params.pool,
                          .lun = params.lun,
                          .block_bytes = params.block_size,
                          .is_concurrent = context.is_concurrent};
    const std::string path = params.pool + "/" + params.lun;
    env::Files& files = context.runtime.environment().files();
    auto lun = co_await offload([&files, &path] { return open_lun(files, path); });
    if (!lun) co_return std::unexpected(std::move(lun).error());
    const uint64_t block_count = lun->size_bytes / params.block_size;
    WEFT_CO_TRY(bdev::check_size(params.block_size, block_count));
    const Uuid uuid = params.uuid.value_or(Uuid::from_names({"dbd", params.pool, params.lun}));
    const auto made =
        context.devices.add(std::make_unique<DbdDevice>(std::move(options), uuid, block_count, std::move(lun->file)));
    if (!made) co_return std::unexpected(made.error());
    co_return Json((*made)->name());
}

Task<Result<Json>> rescan(const bdev::ModuleContext& context, DbdName params) {
    bdev::Device* device = context.devices.find(params.name);
    if (device == nullptr || !is_dbd(*device)) co_return fail(Errc::no_such_device, "No such device");
    const auto held = context.devices.open(params.name, {});  // it must not go meanwhile
    if (!held) co_return std::unexpected(held.error());
    const auto is_other = co_await static_cast<DbdDevice*>(device)->rescan();
    if (!is_other) co_return std::unexpected(is_other.error());
    if (*is_other) context.devices.notify_resized(*device);
    co_return Json(true);
}

class Dbd final : public bdev::Module {
public:
    Result<void> add(const bdev::ModuleContext& context) override {
        context.methods.add<DbdCreate>({.name = "bdev_dbd_create",
                                        .role = rpc::Role::admin,
                                        .text = "Makes a bdev of a lun",
                                        .result = "string: its name",
                                        .codes = {.invalid_argument = -EINVAL},
                                        .changes_config = true,
                                        .words = "pool lun block_size -u=uuid"},
                                       [&context](DbdCreate params) { return create(context, std::move(params)); });
        context.methods.add<DbdName>({.name = "bdev_dbd_delete",
                                      .role = rpc::Role::operate,
                                      .text = "Removes the bdev; the lun stays",
                                      .changes_config = true,
                                      .words = "name"},
                                     [&context](DbdName params) {
                                         return bdev::remove_by_rpc(context.devices, std::move(params.name), is_dbd);
                                     });
        context.methods.add<DbdName>({.name = "bdev_dbd_rescan",
                                      .role = rpc::Role::operate,
                                      .text = "Takes over the size that the lun has now",
                                      .words = "name"},
                                     [&context](DbdName params) { return rescan(context, std::move(params)); });
        return {};
    }
};

}  // namespace

WEFT_MODULE(Dbd, "dbd", "1.0")
