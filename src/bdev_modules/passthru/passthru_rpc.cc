#include "bdev_modules/passthru/passthru_rpc.h"

#include <optional>

#include "bdev_modules/passthru/passthru_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct PassthruCreate {
    std::string base_bdev_name;
    std::string name;
    std::optional<Uuid> uuid;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("base_bdev_name", &PassthruCreate::base_bdev_name,
                          "What it stands on; it is made when that is there"),
            rpc::required("name", &PassthruCreate::name, "Its name"),
            rpc::optional("uuid", &PassthruCreate::uuid, "Default: made from the base's UUID and the name"));
    }
};

struct PassthruDelete {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &PassthruDelete::name, "The bdev")); }
};

Task<rpc::Response> create(Awaited& awaited, PassthruCreate params) {
    co_return answer_to(
        create_passthru_device(
            awaited, {.name = params.name, .base = params.base_bdev_name, .uuid = params.uuid.value_or(Uuid())}),
        params.name);
}

Task<Result<Json>> remove(Awaited& awaited, std::string name) {
    WEFT_CO_TRY(co_await delete_wish(awaited, "passthru", std::move(name)));
    co_return Json(true);
}

}  // namespace

void add_passthru_methods(rpc::Registry& methods, Awaited& awaited) {
    methods.add<PassthruCreate>(
        {.name = "bdev_passthru_create",
         .role = rpc::Role::operate,
         .text = "Makes a bdev that hands everything on to another; when that is not there yet, as soon as it comes",
         .aliases = {"construct_passthru_bdev"},
         .result = "string: its name",
         .changes_config = true},
        [&awaited](PassthruCreate params) { return create(awaited, std::move(params)); });
    methods.add<PassthruDelete>({.name = "bdev_passthru_delete",
                                 .role = rpc::Role::operate,
                                 .text = "Removes a passthru bdev, or waits for its base no longer",
                                 .aliases = {"delete_passthru_bdev"},
                                 .changes_config = true},
                                [&awaited](PassthruDelete params) { return remove(awaited, std::move(params.name)); });
}

}  // namespace weft::bdev
