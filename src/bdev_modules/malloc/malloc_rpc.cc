#include "bdev_modules/malloc/malloc_rpc.h"

#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/rpc_common.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct CreateMalloc {
    std::optional<std::string> name;
    uint32_t block_size = 0;
    uint64_t num_blocks = 0;
    std::optional<Uuid> uuid;
    uint32_t optimal_io_boundary = 0;
    uint32_t physical_block_size = 0;
    uint32_t md_size = 0;
    bool md_interleave = false;
    int32_t dif_type = 0;
    bool dif_is_head_of_md = false;
    uint32_t dif_pi_format = 0;
    int32_t numa_id = -1;
    static constexpr auto fields() {
        using P = CreateMalloc;
        return rpc::fields(rpc::optional("name", &P::name, "Name; default: Malloc0, Malloc1, …"),
                           rpc::required("block_size", &P::block_size, "Bytes of a logical block, 512 to 65536"),
                           rpc::required("num_blocks", &P::num_blocks, "Number of blocks"),
                           rpc::optional("uuid", &P::uuid, "Default: derived, stable over restarts"),
                           rpc::optional("optimal_io_boundary", &P::optimal_io_boundary, "Told to hosts, in blocks"),
                           rpc::optional("physical_block_size", &P::physical_block_size, "Told to hosts"),
                           rpc::optional("md_size", &P::md_size, "Metadata is not supported: only 0"),
                           rpc::optional("md_interleave", &P::md_interleave, "Metadata is not supported"),
                           rpc::optional("dif_type", &P::dif_type, "Protection is not supported: only 0"),
                           rpc::optional("dif_is_head_of_md", &P::dif_is_head_of_md, "Protection is not supported"),
                           rpc::optional("dif_pi_format", &P::dif_pi_format, "Protection is not supported: only 0"),
                           rpc::optional("numa_id", &P::numa_id, "Accepted"));
    }
};

Task<Result<Json>> create(Registry& devices, CreateMalloc params, bool is_concurrent) {
    WEFT_CO_TRY(refuse_metadata(params.md_size, params.dif_type, params.dif_pi_format));
    MallocOptions options;
    options.name = params.name.value_or("");
    options.block_bytes = params.block_size;
    options.block_count = params.num_blocks;
    options.uuid = params.uuid.value_or(Uuid{});
    options.physical_block_bytes = params.physical_block_size;
    options.optimal_boundary_blocks = params.optimal_io_boundary;
    options.is_concurrent = is_concurrent;
    auto device = co_await create_malloc_device(devices, std::move(options));
    if (!device) co_return std::unexpected(std::move(device).error());
    co_return Json((*device)->name());
}

}  // namespace

void add_malloc_methods(rpc::Registry& registry, Registry& devices, bool is_concurrent) {
    registry.add<CreateMalloc>({.name = "bdev_malloc_create",
                                .text = "Makes a RAM disk",
                                .aliases = {"construct_malloc_bdev"},
                                .result = "string: its name"},
                               [&devices, is_concurrent](CreateMalloc params) {
                                   return create(devices, std::move(params), is_concurrent);
                               });
    add_delete_method<MallocDevice>(registry, devices, "bdev_malloc_delete", "Removes a RAM disk and what is on it",
                                    "delete_malloc_bdev");
}

}  // namespace weft::bdev
