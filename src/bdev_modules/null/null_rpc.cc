#include "bdev_modules/null/null_rpc.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "bdev/bdev_rpc.h"
#include "bdev_modules/null/null_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

constexpr uint64_t mebibyte = uint64_t{1} << 20;

struct NullCreate {
    std::string name;
    uint32_t block_size = 0;
    uint64_t num_blocks = 0;
    std::optional<Uuid> uuid;
    uint32_t physical_block_size = 0;
    uint32_t md_size = 0;
    int32_t dif_type = 0;
    uint32_t dif_pi_format = 0;
    bool dif_is_head_of_md = false;
    uint32_t preferred_write_granularity = 0;
    uint32_t preferred_write_alignment = 0;
    uint32_t optimal_write_size = 0;
    uint32_t preferred_unmap_granularity = 0;
    uint32_t preferred_unmap_alignment = 0;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("name", &NullCreate::name, "Its name"),
            rpc::required("block_size", &NullCreate::block_size, "Bytes; a power of two from 512 to 65536"),
            rpc::required("num_blocks", &NullCreate::num_blocks, "How many blocks; up to 2^63 bytes"),
            rpc::optional("uuid", &NullCreate::uuid, "Default: made from the machine's id and the name"),
            rpc::optional("physical_block_size", &NullCreate::physical_block_size, "Bytes; told to hosts"),
            rpc::optional("md_size", &NullCreate::md_size, "Bytes of metadata behind each block; at most 64"),
            rpc::optional("dif_type", &NullCreate::dif_type, "Type of protection information, 1 to 3; 0: none"),
            rpc::optional("dif_pi_format", &NullCreate::dif_pi_format, "Guard of 16 (0), 32 (1) or 64 bits (2)"),
            rpc::optional("dif_is_head_of_md", &NullCreate::dif_is_head_of_md,
                          "Protection information is the first bytes of the metadata, not the last"),
            rpc::optional("preferred_write_granularity", &NullCreate::preferred_write_granularity,
                          "Blocks; told to hosts"),
            rpc::optional("preferred_write_alignment", &NullCreate::preferred_write_alignment,
                          "Blocks; 0 or the granularity"),
            rpc::optional("optimal_write_size", &NullCreate::optimal_write_size, "Blocks; told to hosts"),
            rpc::optional("preferred_unmap_granularity", &NullCreate::preferred_unmap_granularity,
                          "Blocks; told to hosts"),
            rpc::optional("preferred_unmap_alignment", &NullCreate::preferred_unmap_alignment,
                          "Blocks; 0 or the granularity"));
    }
};

struct NullDelete {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &NullDelete::name, "The bdev")); }
};

struct NullResize {
    std::string name;
    uint64_t new_size_mib = 0;

    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &NullResize::name, "The bdev"),
                           rpc::required("new_size", &NullResize::new_size_mib, "MiB; no less than it has"));
    }
};

Result<void> check(const NullCreate& params) {
    if (params.block_size != 0 && params.physical_block_size % params.block_size != 0) {
        return fail(Errc::invalid_argument, "physical_block_size: not a multiple of block_size");
    }
    if (params.preferred_write_alignment != 0 &&
        params.preferred_write_alignment != params.preferred_write_granularity) {
        return fail(Errc::invalid_argument, "preferred_write_alignment: supported as preferred_write_granularity only");
    }
    if (params.preferred_unmap_alignment != 0 &&
        params.preferred_unmap_alignment != params.preferred_unmap_granularity) {
        return fail(Errc::invalid_argument, "preferred_unmap_alignment: supported as preferred_unmap_granularity only");
    }
    return {};
}

Task<Result<Json>> create(Registry& devices, NullCreate params) {
    WEFT_CO_TRY(check(params));
    const auto format = format_of(params.md_size, params.dif_type, params.dif_is_head_of_md, params.dif_pi_format);
    if (!format) co_return std::unexpected(format.error());
    const auto made = create_null_device(
        devices, {.name = params.name,
                  .block_bytes = params.block_size,
                  .block_count = params.num_blocks,
                  .uuid = params.uuid.value_or(Uuid()),
                  .physical_block_bytes = params.physical_block_size,
                  .optimal_write_blocks = std::max(params.optimal_write_size, params.preferred_write_granularity),
                  .unmap_blocks = params.preferred_unmap_granularity,
                  .metadata = *format});
    if (!made) co_return std::unexpected(made.error());
    co_return Json((*made)->name());
}

bool is_null(const Device& device) { return dynamic_cast<const NullDevice*>(&device) != nullptr; }

Task<Result<Json>> resize(Registry& devices, NullResize params) {
    auto* device = dynamic_cast<NullDevice*>(devices.find(params.name));
    if (device == nullptr) co_return fail(Errc::no_such_device, "No such device");
    if (params.new_size_mib > device_bytes_max / mebibyte) {
        co_return fail(Errc::invalid_argument, "new_size: more than 2^63 bytes");
    }
    WEFT_CO_TRY(device->resize(params.new_size_mib * mebibyte / device->block_bytes()));
    devices.notify_resized(*device);
    co_return Json(true);
}

}  // namespace

void add_null_methods(rpc::Registry& methods, Registry& devices) {
    methods.add<NullCreate>({.name = "bdev_null_create",
                             .role = rpc::Role::operate,
                             .text = "Makes a bdev that keeps nothing and reads as zero",
                             .aliases = {"construct_null_bdev"},
                             .result = "string: its name",
                             .codes = {.invalid_argument = -EINVAL},
                             .changes_config = true},
                            [&devices](NullCreate params) { return create(devices, std::move(params)); });
    methods.add<NullDelete>(
        {.name = "bdev_null_delete",
         .role = rpc::Role::operate,
         .text = "Removes a null bdev",
         .aliases = {"delete_null_bdev"},
         .changes_config = true},
        [&devices](NullDelete params) { return remove_by_rpc(devices, std::move(params.name), is_null); });
    methods.add<NullResize>({.name = "bdev_null_resize",
                             .role = rpc::Role::operate,
                             .text = "Makes a null bdev larger",
                             .changes_config = true},
                            [&devices](NullResize params) { return resize(devices, std::move(params)); });
}

}  // namespace weft::bdev
