#include "bdev_modules/file/file_rpc.h"

#include "bdev_modules/file/file_device.h"
#include "bdev_modules/rpc_common.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct CreateAio {
    std::string name, filename;
    std::optional<uint32_t> block_size;
    bool readonly = false;
    bool fallocate = false;
    std::optional<Uuid> uuid;
    bool nowait = false;
    std::optional<bool> direct;
    static constexpr auto fields() {
        using P = CreateAio;
        return rpc::fields(rpc::required("name", &P::name, "Name of the device"),
                           rpc::required("filename", &P::filename, "A regular file or a block device"),
                           rpc::optional("block_size", &P::block_size,
                                         "Bytes of a logical block; default: the block device's, 512 for a file"),
                           rpc::optional("readonly", &P::readonly, "Refuse writes"),
                           rpc::optional("fallocate", &P::fallocate, "Accepted: unmap and write zeroes always use it"),
                           rpc::optional("uuid", &P::uuid, "Default: derived, stable over restarts"),
                           rpc::optional("nowait", &P::nowait, "Accepted: nothing waits"),
                           rpc::optional("direct", &P::direct, "O_DIRECT; default: where the file system can"));
    }
};

struct CreateUring {
    std::string name, filename;
    std::optional<uint32_t> block_size;
    std::optional<Uuid> uuid;
    std::optional<bool> direct;
    static constexpr auto fields() {
        using P = CreateUring;
        return rpc::fields(rpc::required("name", &P::name, "Name of the device"),
                           rpc::required("filename", &P::filename, "A regular file or a block device"),
                           rpc::optional("block_size", &P::block_size,
                                         "Bytes of a logical block; default: the block device's, 512 for a file"),
                           rpc::optional("uuid", &P::uuid, "Default: derived, stable over restarts"),
                           rpc::optional("direct", &P::direct, "O_DIRECT; default: where the file system can"));
    }
};

Task<Result<Json>> create(Registry& devices, FileOptions options) {
    if (options.block_bytes == 0U) options.block_bytes = std::nullopt;  // the field's way to leave it to the device
    auto device = co_await create_file_device(devices, std::move(options));
    if (!device) co_return std::unexpected(std::move(device).error());
    co_return Json((*device)->name());
}

void add_rescan_method(rpc::Registry& registry, Registry& devices, std::string name) {
    registry.add<DeleteParams>(
        {.name = std::move(name), .text = "Takes up a new size of the file"}, [&devices](DeleteParams params) -> Task<Result<Json>> {
            auto device = find_device<FileDevice>(devices, params.name);
            if (!device) co_return std::unexpected(std::move(device).error());
            auto held = devices.open(params.name, [](Event) {});
            if (!held) co_return std::unexpected(std::move(held).error());
            auto changed = co_await (*device)->rescan();
            if (!changed) co_return std::unexpected(std::move(changed).error());
            if (*changed) devices.notify_resized(**device);
            co_return Json(true);
        });
}

}  // namespace

void add_file_methods(rpc::Registry& registry, Registry& devices, bool is_concurrent) {
    registry.add<CreateAio>({.name = "bdev_aio_create",
                             .text = "Makes a device of a file or a block device",
                             .aliases = {"construct_aio_bdev"},
                             .result = "string: its name"},
                            [&devices, is_concurrent](CreateAio params) {
                                return create(devices, {.name = params.name,
                                                        .filename = params.filename,
                                                        .kind = FileKind::aio,
                                                        .block_bytes = params.block_size,
                                                        .read_only = params.readonly,
                                                        .direct = params.direct,
                                                        .fallocate = params.fallocate,
                                                        .uuid = params.uuid.value_or(Uuid{}),
                                                        .is_concurrent = is_concurrent});
                            });
    registry.add<CreateUring>({.name = "bdev_uring_create",
                               .text = "The same as bdev_aio_create",
                               .aliases = {"construct_uring_bdev"},
                               .result = "string: its name"},
                              [&devices, is_concurrent](CreateUring params) {
                                  return create(devices, {.name = params.name,
                                                          .filename = params.filename,
                                                          .kind = FileKind::uring,
                                                          .block_bytes = params.block_size,
                                                          .direct = params.direct,
                                                          .uuid = params.uuid.value_or(Uuid{}),
                                                          .is_concurrent = is_concurrent});
                              });
    for (const std::string kind : {"aio", "uring"}) {
        add_delete_method<FileDevice>(registry, devices, "bdev_" + kind + "_delete", "Closes the file; it stays",
                                      "delete_" + kind + "_bdev");
        add_rescan_method(registry, devices, "bdev_" + kind + "_rescan");
    }
}

}  // namespace weft::bdev
