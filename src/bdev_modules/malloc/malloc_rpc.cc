#include "bdev_modules/malloc/malloc_rpc.h"

#include <fmt/format.h>

#include <cerrno>
#include <optional>

#include "bdev/bdev_rpc.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct MallocCreate {
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
        return rpc::fields(
            rpc::optional("name", &MallocCreate::name, "Default: Malloc0, Malloc1, …: the first that is free"),
            rpc::required("block_size", &MallocCreate::block_size, "Bytes; a power of two from 512 to 65536"),
            rpc::required("num_blocks", &MallocCreate::num_blocks, "How many blocks"),
            rpc::optional("uuid", &MallocCreate::uuid, "Default: made from the machine's id and the name"),
            rpc::optional("optimal_io_boundary", &MallocCreate::optimal_io_boundary,
                          "Blocks whose multiples no I/O crosses: it is cut there; told to hosts"),
            rpc::optional("physical_block_size", &MallocCreate::physical_block_size, "Bytes; told to hosts"),
            rpc::optional("md_size", &MallocCreate::md_size,
                          "Bytes of metadata that each block has besides; at most 64"),
            rpc::optional("md_interleave", &MallocCreate::md_interleave,
                          "Whether metadata is told to lie behind each block; hosts of NVMe-oF get it so in any case"),
            rpc::optional("dif_type", &MallocCreate::dif_type, "Type of protection information, 1 to 3; 0: none"),
            rpc::optional("dif_is_head_of_md", &MallocCreate::dif_is_head_of_md,
                          "Protection information is the first bytes of the metadata, not the last"),
            rpc::optional("dif_pi_format", &MallocCreate::dif_pi_format, "Guard of 16 (0), 32 (1) or 64 bits (2)"),
            rpc::optional("numa_id", &MallocCreate::numa_id, "Accepted: the system chooses the node"));
    }
};

struct MallocDelete {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &MallocDelete::name, "The bdev")); }
};

Task<Result<Json>> create(Registry& devices, MallocCreate params, bool is_concurrent) {
    const auto format = format_of(params.md_size, params.dif_type, params.dif_is_head_of_md, params.dif_pi_format);
    if (!format) co_return std::unexpected(format.error());
    if (params.name && params.name->empty()) co_return fail(Errc::invalid_argument, "name: empty");
    if (params.block_size != 0 && params.physical_block_size % params.block_size != 0) {
        co_return fail(Errc::invalid_argument, "physical_block_size: not a multiple of block_size");
    }
    const auto made = co_await create_malloc_device(devices, {.name = params.name.value_or(""),
                                                              .block_bytes = params.block_size,
                                                              .block_count = params.num_blocks,
                                                              .uuid = params.uuid.value_or(Uuid()),
                                                              .physical_block_bytes = params.physical_block_size,
                                                              .optimal_boundary_blocks = params.optimal_io_boundary,
                                                              .metadata = *format,
                                                              .metadata_in_data = params.md_interleave,
                                                              .is_concurrent = is_concurrent});
    if (!made) co_return std::unexpected(made.error());
    co_return Json((*made)->name());
}

bool is_malloc(const Device& device) { return dynamic_cast<const MallocDevice*>(&device) != nullptr; }

}  // namespace

void add_malloc_methods(rpc::Registry& methods, Registry& devices, bool is_concurrent) {
    methods.add<MallocCreate>(
        {.name = "bdev_malloc_create",
         .role = rpc::Role::operate,
         .text = "Makes a RAM disk; its memory is taken from the system in the background",
         .aliases = {"construct_malloc_bdev"},
         .result = "string: its name",
         .codes = {.invalid_argument = -EINVAL},
         .changes_config = true},
        [&devices, is_concurrent](MallocCreate params) { return create(devices, std::move(params), is_concurrent); });
    methods.add<MallocDelete>(
        {.name = "bdev_malloc_delete",
         .role = rpc::Role::operate,
         .text = "Removes a RAM disk; what it held is lost",
         .aliases = {"delete_malloc_bdev"},
         .changes_config = true},
        [&devices](MallocDelete params) { return remove_by_rpc(devices, std::move(params.name), is_malloc); });
}

}  // namespace weft::bdev
