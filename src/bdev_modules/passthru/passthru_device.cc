#include "bdev_modules/passthru/passthru_device.h"

#include "rpc/json.h"

namespace weft::bdev {

namespace {

class PassthruChannel final : public StackedChannel {
public:
    explicit PassthruChannel(PassthruDevice& device) : StackedChannel(device) {}
    using StackedChannel::open_bases;

protected:
    Progress start(Request& request) override { return forward(request, 0, request.lba); }
};

Json config_of(const PassthruOptions& options) {
    Json params = {{"base_bdev_name", options.base}, {"name", options.name}};
    if (!options.uuid.is_nil()) params["uuid"] = options.uuid.to_string();
    return {{"method", "bdev_passthru_create"}, {"params", std::move(params)}};
}

Result<std::vector<std::string>> make(Registry& registry, const PassthruOptions& options) {
    auto base = Base::open(registry, options.base, "passthru");
    if (!base) return std::unexpected(std::move(base).error());
    WEFT_TRY(registry.add(std::make_unique<PassthruDevice>(options, registry, std::move(*base))));
    return std::vector{options.name};
}

}  // namespace

PassthruDevice::PassthruDevice(PassthruOptions options, Registry& registry, std::unique_ptr<Base> base)
    : OverlayDevice{options.name, uuid_or(options.uuid, *base, "passthru", options.name), registry, std::move(base)},
      options_(std::move(options)) {}

Result<std::unique_ptr<IoChannel>> PassthruDevice::make_channel() {
    return make_stacked_channel<PassthruChannel>(*this);
}

void PassthruDevice::describe(Json& driver_specific) const {
    driver_specific["passthru"] = {{"name", name()}, {"base_bdev_name", below().name()}};
}

void PassthruDevice::write_config(Json& entries) const { entries.push_back(config_of(options_)); }

Result<void> create_passthru_device(Awaited& awaited, const PassthruOptions& options) {
    return awaited.ask({.module = "passthru",
                        .base = options.base,
                        .names = {options.name},
                        .config = [options] { return config_of(options); },
                        .make = [options, &registry = awaited.registry()] { return make(registry, options); }});
}

}  // namespace weft::bdev
