#include "bdev_modules/null/null_rpc.h"

#include "bdev_modules/null/null_device.h"
#include "bdev_modules/rpc_common.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct CreateNull {
    std::string name;
    uint32_t block_size = 0;
    uint64_t num_blocks = 0;
    std::optional<Uuid> uuid;
    uint32_t physical_block_size = 0, md_size = 0, dif_pi_format = 0;
    int32_t dif_type = 0;
    bool dif_is_head_of_md = false;
    uint32_t preferred_write_granularity = 0, preferred_write_alignment = 0, optimal_write_size = 0,
             preferred_unmap_granularity = 0, preferred_unmap_alignment = 0;
    static constexpr auto fields() {
        using P = CreateNull;
        return rpc::fields(rpc::required("name", &P::name, "Name of the device"),
                           rpc::required("block_size", &P::block_size, "Bytes of a logical block, 512 to 65536"),
                           rpc::required("num_blocks", &P::num_blocks, "Number of blocks"),
                           rpc::optional("uuid", &P::uuid, "Default: derived, stable over restarts"),
                           rpc::optional("physical_block_size", &P::physical_block_size, "Told to hosts"),
                           rpc::optional("md_size", &P::md_size, "Metadata is not supported: only 0"),
                           rpc::optional("dif_type", &P::dif_type, "Protection is not supported: only 0"),
                           rpc::optional("dif_pi_format", &P::dif_pi_format, "Protection is not supported: only 0"),
                           rpc::optional("dif_is_head_of_md", &P::dif_is_head_of_md, "Protection is not supported"),
                           rpc::optional("preferred_write_granularity", &P::preferred_write_granularity, "Told to hosts"),
                           rpc::optional("preferred_write_alignment", &P::preferred_write_alignment, "Accepted"),
                           rpc::optional("optimal_write_size", &P::optimal_write_size, "Told to hosts"),
                           rpc::optional("preferred_unmap_granularity", &P::preferred_unmap_granularity, "Told to hosts"),
                           rpc::optional("preferred_unmap_alignment", &P::preferred_unmap_alignment, "Accepted"));
    }
};

struct ResizeNull {
    std::string name;
    uint64_t new_size = 0;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &ResizeNull::name, "Name of the device"),
                           rpc::required("new_size", &ResizeNull::new_size, "New size in MiB"));
    }
};

}  // namespace

void add_null_methods(rpc::Registry& registry, Registry& devices) {
    registry.add<CreateNull>(
        {.name = "bdev_null_create",
         .text = "Makes a device that keeps nothing and reads as zero",
         .aliases = {"construct_null_bdev"},
         .result = "string: its name"},
        [&devices](CreateNull params) -> Task<Result<Json>> {
            WEFT_CO_TRY(refuse_metadata(params.md_size, params.dif_type, params.dif_pi_format));
            NullOptions options{.name = params.name,
                                .block_bytes = params.block_size,
                                .block_count = params.num_blocks,
                                .uuid = params.uuid.value_or(Uuid{}),
                                .physical_block_bytes = params.physical_block_size,
                                .optimal_write_blocks =
                                    std::max(params.optimal_write_size, params.preferred_write_granularity),
                                .unmap_blocks = params.preferred_unmap_granularity};
            auto device = create_null_device(devices, std::move(options));
            if (!device) co_return std::unexpected(std::move(device).error());
            co_return Json((*device)->name());
        });
    add_delete_method<NullDevice>(registry, devices, "bdev_null_delete", "Removes a null device", "delete_null_bdev");
    registry.add<ResizeNull>({.name = "bdev_null_resize", .text = "Gives a null device another size"},
                             [&devices](ResizeNull params) -> Task<Result<Json>> {
                                 auto device = find_device<NullDevice>(devices, params.name);
                                 if (!device) co_return std::unexpected(std::move(device).error());
                                 if (params.new_size > (uint64_t{1} << 43)) {
                                     co_return fail(Errc::invalid_argument, "new_size: at most 2^43 MiB");
                                 }
                                 const uint64_t blocks = (params.new_size << 20) / (*device)->block_bytes();
                                 WEFT_CO_TRY((*device)->resize(blocks));
                                 devices.notify_resized(**device);
                                 co_return Json(true);
                             });
}

}  // namespace weft::bdev
