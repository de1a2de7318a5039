#include "bdev_modules/split/split_rpc.h"

#include <fmt/format.h>

#include "base/log.h"
#include "bdev_modules/split/split_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct SplitCreate {
    std::string base_bdev;
    uint32_t split_count = 0;
    uint64_t split_size_mb = 0;

    static constexpr auto fields() {
        using P = SplitCreate;
        return rpc::fields(
            rpc::required("base_bdev", &P::base_bdev, "What is cut; it may come later"),
            rpc::required("split_count", &P::split_count, "Into how many parts, at most 4096"),
            rpc::optional("split_size_mb", &P::split_size_mb,
                          "MiB of each; 0: the whole is shared out. With no room for all there are fewer parts"));
    }
};

struct SplitDelete {
    std::string base_bdev;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("base_bdev", &SplitDelete::base_bdev, "What was cut"));
    }
};

// In the field every error of these two is one of the parameters.
Task<rpc::Response> create(Awaited& awaited, SplitCreate params) {
    const SplitOptions options{.base = params.base_bdev, .count = params.split_count, .size_mib = params.split_size_mb};
    if (auto asked = create_split_devices(awaited, options); !asked) {
        co_return rpc::fail_code(rpc::code::invalid_params,
                                 fmt::format("Failed to create {} split bdevs from '{}': {}", params.split_count,
                                             log::quoted(params.base_bdev), asked.error().message));
    }
    Json names = Json::array();
    for (uint32_t index = 0; index < options.count; ++index) {
        const std::string name = name_of_part(options, index);
        if (awaited.registry().find(name) != nullptr) names.push_back(name);
    }
    co_return names;
}

Task<rpc::Response> remove(Awaited& awaited, SplitDelete params) {
    const auto removed = co_await delete_wish(awaited, "split", name_of_part({.base = params.base_bdev}, 0));
    if (!removed) {
        co_return rpc::fail_code(rpc::code::invalid_params,
                                 fmt::format("bdev {} is not split", log::quoted(params.base_bdev)));
    }
    co_return Json(true);
}

}  // namespace

void add_split_methods(rpc::Registry& methods, Awaited& awaited) {
    methods.add<SplitCreate>(
        {.name = "bdev_split_create",
         .role = rpc::Role::operate,
         .text = "Cuts a bdev into parts of one size, named p0, p1, … behind its name; when it is not there yet, as "
                 "soon as it comes",
         .aliases = {"construct_split_vbdev"},
         .result = "[string]: their names; none yet when the bdev is not there",
         .changes_config = true},
        [&awaited](SplitCreate params) { return create(awaited, std::move(params)); });
    methods.add<SplitDelete>({.name = "bdev_split_delete",
                              .role = rpc::Role::operate,
                              .text = "Removes the parts of a split bdev, or waits for it no longer",
                              .aliases = {"destruct_split_vbdev"},
                              .changes_config = true},
                             [&awaited](SplitDelete params) { return remove(awaited, std::move(params)); });
}

}  // namespace weft::bdev
