#include "bdev_modules/zoned/zoned_rpc.h"

#include <cerrno>
#include <optional>

#include "bdev/bdev_rpc.h"
#include "bdev_modules/zoned/zoned_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct ZonedCreate {
    std::string name;
    uint32_t block_size = 0;
    uint64_t num_zones = 0;
    uint64_t zone_size = 0;
    uint64_t zone_capacity = 0;
    uint32_t max_open_zones = 0;
    uint32_t max_active_zones = 0;
    std::optional<Uuid> uuid;

    static constexpr auto fields() {
        using P = ZonedCreate;
        return rpc::fields(
            rpc::required("name", &P::name, "Name of the bdev"),
            rpc::required("block_size", &P::block_size, "Bytes; a power of two from 512 to 65536"),
            rpc::required("num_zones", &P::num_zones, "How many zones, at most 65536"),
            rpc::required("zone_size", &P::zone_size, "Blocks from a zone's start to the next; a power of two"),
            rpc::optional("zone_capacity", &P::zone_capacity, "Blocks of a zone that can be written; default: all"),
            rpc::optional("max_open_zones", &P::max_open_zones, "Zones that may be open at a time; 0: no limit"),
            rpc::optional("max_active_zones", &P::max_active_zones,
                          "Zones that may be open or closed at a time; 0: no limit"),
            rpc::optional("uuid", &P::uuid, "Default: made from the machine's id and the name"));
    }
};

struct ZonedDelete {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &ZonedDelete::name, "The bdev")); }
};

Task<Result<Json>> create(Registry& devices, ZonedCreate params) {
    const auto made = create_zoned_device(devices, {.name = params.name,
                                                    .block_bytes = params.block_size,
                                                    .zone_count = params.num_zones,
                                                    .zone_blocks = params.zone_size,
                                                    .capacity_blocks = params.zone_capacity,
                                                    .active_max = params.max_active_zones,
                                                    .open_max = params.max_open_zones,
                                                    .uuid = params.uuid.value_or(Uuid())});
    if (!made) co_return std::unexpected(made.error());
    co_return Json((*made)->name());
}

bool is_zoned(const Device& device) { return dynamic_cast<const ZonedDevice*>(&device) != nullptr; }

}  // namespace

void add_zoned_methods(rpc::Registry& methods, Registry& devices) {
    methods.add<ZonedCreate>(
        {.name = "weft_zoned_create",
         .role = rpc::Role::operate,
         .text = "Makes a RAM disk with zones, for hosts of the Zoned Namespace Command Set; its memory is taken from "
                 "the system as zones are written",
         .result = "string: its name",
         .codes = {.invalid_argument = -EINVAL},
         .changes_config = true},
        [&devices](ZonedCreate params) { return create(devices, std::move(params)); });
    methods.add<ZonedDelete>(
        {.name = "weft_zoned_delete",
         .role = rpc::Role::operate,
         .text = "Removes a zoned RAM disk; what it held is lost",
         .changes_config = true},
        [&devices](ZonedDelete params) { return remove_by_rpc(devices, std::move(params.name), is_zoned); });
}

}  // namespace weft::bdev
