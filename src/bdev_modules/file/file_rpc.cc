#include "bdev_modules/file/file_rpc.h"

#include <cerrno>
#include <optional>

#include "bdev/bdev_rpc.h"
#include "bdev_modules/file/file_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct AioCreate {
    std::string name;
    std::string filename;
    uint32_t block_size = 0;
    bool readonly = false;
    bool fallocate = false;
    std::optional<Uuid> uuid;
    bool nowait = false;
    std::optional<bool> direct;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("name", &AioCreate::name, "Its name"),
            rpc::required("filename", &AioCreate::filename, "A file or a block device; locked against other users"),
            rpc::optional("block_size", &AioCreate::block_size, "Bytes; 0: the block device's, 512 for a file"),
            rpc::optional("readonly", &AioCreate::readonly, "Opened for reading only"),
            rpc::optional("fallocate", &AioCreate::fallocate, "Kept for compatibility: unmap always works"),
            rpc::optional("uuid", &AioCreate::uuid, "Default: made from the machine's id and the file's name"),
            rpc::optional("nowait", &AioCreate::nowait, "Kept for compatibility: no reactor ever waits for a file"),
            rpc::optional("direct", &AioCreate::direct,
                          "Around the page cache, or not; default: around it where the file system can"));
    }
};

struct UringCreate {
    std::string name;
    std::string filename;
    uint32_t block_size = 0;
    std::optional<Uuid> uuid;
    std::optional<bool> direct;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("name", &UringCreate::name, "Its name"),
            rpc::required("filename", &UringCreate::filename, "A file or a block device; locked against other users"),
            rpc::optional("block_size", &UringCreate::block_size, "Bytes; 0: the block device's, 512 for a file"),
            rpc::optional("uuid", &UringCreate::uuid, "Default: made from the machine's id and the file's name"),
            rpc::optional("direct", &UringCreate::direct,
                          "Around the page cache, or not; default: around it where the file system can"));
    }
};

struct FileName {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &FileName::name, "The bdev")); }
};

template <FileKind kind>
bool is_file(const Device& device) {
    const auto* file = dynamic_cast<const FileDevice*>(&device);
    return file != nullptr && file->options().kind == kind;
}

Task<Result<Json>> create(Registry& devices, FileOptions options) {
    if (options.block_bytes == 0U) options.block_bytes.reset();
    const auto made = co_await create_file_device(devices, std::move(options));
    if (!made) co_return std::unexpected(made.error());
    std::string name = (*made)->name();
    // As in the field: who asked goes on with the partitions and raids that are on it.
    co_await devices.wait_for_examine();
    co_return Json(std::move(name));
}

Task<Result<Json>> rescan(Registry& devices, std::string name, bool (*is_ours)(const Device& device)) {
    Device* device = devices.find(name);
    if (device == nullptr || !is_ours(*device)) co_return fail(Errc::no_such_device, "No such device");
    const auto held = devices.open(name, {});  // it must not go while its file is asked
    if (!held) co_return std::unexpected(held.error());
    const auto is_other = co_await static_cast<FileDevice*>(device)->rescan();
    if (!is_other) co_return std::unexpected(is_other.error());
    if (*is_other) devices.notify_resized(*device);
    co_return Json(true);
}

template <FileKind kind>
void add_delete_and_rescan(rpc::Registry& methods, Registry& devices, const std::string& word) {
    const std::string prefix = "bdev_" + word;
    methods.add<FileName>(
        {.name = prefix + "_delete",
         .role = rpc::Role::operate,
         .text = "Removes the bdev; the file stays",
         .aliases = {"delete_" + word + "_bdev"},
         .changes_config = true},
        [&devices](FileName params) { return remove_by_rpc(devices, std::move(params.name), is_file<kind>); });
    methods.add<FileName>(
        {.name = prefix + "_rescan", .role = rpc::Role::operate, .text = "Takes over the size that the file has now"},
        [&devices](FileName params) { return rescan(devices, std::move(params.name), is_file<kind>); });
}

}  // namespace

void add_file_methods(rpc::Registry& methods, Registry& devices, bool is_concurrent) {
    methods.add<AioCreate>({.name = "bdev_aio_create",
                            .role = rpc::Role::admin,
                            .text = "Makes a bdev of a file or a block device; answers when it has been examined",
                            .aliases = {"construct_aio_bdev"},
                            .result = "string: its name",
                            .codes = {.invalid_argument = -EINVAL},
                            .changes_config = true},
                           [&devices, is_concurrent](AioCreate params) {
                               return create(devices, {.name = std::move(params.name),
                                                       .filename = std::move(params.filename),
                                                       .kind = FileKind::aio,
                                                       .block_bytes = params.block_size,
                                                       .read_only = params.readonly,
                                                       .direct = params.direct,
                                                       .fallocate = params.fallocate,
                                                       .uuid = params.uuid.value_or(Uuid()),
                                                       .is_concurrent = is_concurrent});
                           });
    methods.add<UringCreate>({.name = "bdev_uring_create",
                              .role = rpc::Role::admin,
                              .text = "The same as bdev_aio_create",
                              .aliases = {"construct_uring_bdev"},
                              .result = "string: its name",
                              .codes = {.invalid_argument = -EINVAL},
                              .changes_config = true},
                             [&devices, is_concurrent](UringCreate params) {
                                 return create(devices, {.name = std::move(params.name),
                                                         .filename = std::move(params.filename),
                                                         .kind = FileKind::uring,
                                                         .block_bytes = params.block_size,
                                                         .direct = params.direct,
                                                         .uuid = params.uuid.value_or(Uuid()),
                                                         .is_concurrent = is_concurrent});
                             });
    add_delete_and_rescan<FileKind::aio>(methods, devices, "aio");
    add_delete_and_rescan<FileKind::uring>(methods, devices, "uring");
}

}  // namespace weft::bdev
