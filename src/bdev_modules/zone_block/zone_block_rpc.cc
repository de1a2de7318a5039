#include "bdev_modules/zone_block/zone_block_rpc.h"

#include "bdev_modules/zone_block/zone_block_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct ZoneBlockCreate {
    std::string name;
    std::string base_bdev;
    uint64_t zone_capacity = 0;
    uint64_t optimal_open_zones = 0;

    static constexpr auto fields() {
        using P = ZoneBlockCreate;
        return rpc::fields(
            rpc::required("name", &P::name, "Its name"),
            rpc::required("base_bdev", &P::base_bdev, "What it stands on; it is made when that is there"),
            rpc::required("zone_capacity", &P::zone_capacity,
                          "Blocks of a zone that can be written; the zone's size is the next power of two"),
            rpc::required("optimal_open_zones", &P::optimal_open_zones,
                          "How many zones should be written at a time; told, from 1"));
    }
};

struct ZoneBlockDelete {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &ZoneBlockDelete::name, "The bdev")); }
};

Task<Result<Json>> create(Awaited& awaited, ZoneBlockCreate params) {
    auto asked = create_zone_block_device(awaited, {.name = params.name,
                                                    .base = params.base_bdev,
                                                    .capacity_blocks = params.zone_capacity,
                                                    .optimal_open_zones = params.optimal_open_zones});
    if (!asked) co_return fail(asked.error().code, "Failed to create block zoned vbdev: " + asked.error().message);
    co_return Json(params.name);
}

Task<Result<Json>> remove(Awaited& awaited, std::string name) {
    WEFT_CO_TRY(co_await delete_wish(awaited, "zone_block", std::move(name)));
    co_return Json(true);
}

}  // namespace

void add_zone_block_methods(rpc::Registry& methods, Awaited& awaited) {
    methods.add<ZoneBlockCreate>(
        {.name = "bdev_zone_block_create",
         .role = rpc::Role::operate,
         .text = "Makes a zoned bdev of a plain one; when that is not there yet, as soon as it comes. Its zones are "
                 "full at first",
         .result = "string: its name",
         .codes = {.invalid_argument = rpc::code::internal_error, .others = rpc::code::internal_error},
         .changes_config = true},
        [&awaited](ZoneBlockCreate params) { return create(awaited, std::move(params)); });
    methods.add<ZoneBlockDelete>(
        {.name = "bdev_zone_block_delete",
         .role = rpc::Role::operate,
         .text = "Removes a zone_block bdev, or waits for its base no longer",
         .changes_config = true},
        [&awaited](ZoneBlockDelete params) { return remove(awaited, std::move(params.name)); });
}

}  // namespace weft::bdev
