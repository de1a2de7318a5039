// What the modules' RPC methods share.
#pragma once

#include <fmt/format.h>

#include <string>

#include "bdev/registry.h"
#include "rpc/json.h"
#include "rpc/registry.h"

namespace weft::bdev {

struct DeleteParams {
    std::string name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &DeleteParams::name, "Name of the device"));
    }
};

// Errors: invalid_argument when any is asked for.
inline Result<void> refuse_metadata(uint32_t md_size, int32_t dif_type, uint32_t dif_pi_format) {
    if (md_size == 0 && dif_type <= 0 && dif_pi_format == 0) return {};
    return fail(Errc::invalid_argument,
                "metadata and protection information are not supported: md_size and dif_type must be 0");
}

// The device of module type D with this name. Errors: no_such_device.
template <class D>
Result<D*> find_device(const Registry& devices, std::string_view name) {
    auto* device = dynamic_cast<D*>(devices.find(name));
    if (device == nullptr) return fail(Errc::no_such_device, fmt::format("No such device: {}", name.substr(0, 256)));
    return device;
}

template <class D>
void add_delete_method(rpc::Registry& registry, Registry& devices, std::string name, std::string text,
                       std::string alias) {
    rpc::MethodSpec spec{.name = std::move(name), .text = std::move(text)};
    if (!alias.empty()) spec.aliases.push_back(std::move(alias));
    registry.add<DeleteParams>(std::move(spec), [&devices](DeleteParams params) -> Task<Result<Json>> {
        auto device = find_device<D>(devices, params.name);
        if (!device) co_return std::unexpected(std::move(device).error());
        WEFT_CO_TRY(co_await devices.remove((*device)->name()));
        co_return Json(true);
    });
}

}  // namespace weft::bdev
