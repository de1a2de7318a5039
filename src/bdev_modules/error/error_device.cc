#include "bdev_modules/error/error_device.h"

#include "bdev_modules/error/error_channel.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

Json config_of(const ErrorOptions& options) {
    Json params = {{"base_name", options.base}};
    if (!options.uuid.is_nil()) params["uuid"] = options.uuid.to_string();
    return {{"method", "bdev_error_create"}, {"params", std::move(params)}};
}

Result<std::vector<std::string>> make(Registry& registry, const ErrorOptions& options) {
    auto base = Base::open(registry, options.base, "error");
    if (!base) return std::unexpected(std::move(base).error());
    auto made = registry.add(std::make_unique<ErrorDevice>(options, registry, std::move(*base)));
    if (!made) return std::unexpected(std::move(made).error());
    static_cast<ErrorDevice*>(*made)->watch_own_removal();
    return std::vector{name_of(options)};
}

}  // namespace

ErrorDevice::ErrorDevice(ErrorOptions options, Registry& registry, std::unique_ptr<Base> base)
    : OverlayDevice{name_of(options), uuid_or(options.uuid, *base, "error", name_of(options)), registry,
                    std::move(base)},
      options_(std::move(options)) {}

Result<std::unique_ptr<IoChannel>> ErrorDevice::make_channel() { return make_stacked_channel<ErrorChannel>(*this); }

void ErrorDevice::describe(Json& driver_specific) const {
    driver_specific["error_disk"] = {{"base_bdev", below().name()}};
}

void ErrorDevice::write_config(Json& entries) const { entries.push_back(config_of(options_)); }

InjectionSlot* ErrorDevice::slot(Op op) {
    switch (op) {
        case Op::read: return &slots_[0];
        case Op::write: return &slots_[1];
        case Op::unmap: return &slots_[2];
        case Op::flush: return &slots_[3];
        default: return nullptr;
    }
}

void ErrorDevice::watch_own_removal() {
    auto own = registry().open(name(), [this](Event event) {
        if (event == Event::removed) spawn(abort_pending());
    });
    if (own) own_ = std::move(*own);
}

// The device is there until it has let go of itself.
Task<void> ErrorDevice::abort_pending() {
    is_going_.store(true, std::memory_order_release);
    co_await for_each_channel<ErrorChannel>(*this, [](ErrorChannel& channel) { channel.abort_pending(); });
    own_.reset();
}

Task<Result<void>> ErrorDevice::reset() {
    co_await for_each_channel<ErrorChannel>(*this, [](ErrorChannel& channel) { channel.abort_pending(); });
    co_return co_await OverlayDevice::reset();
}

Task<void> ErrorDevice::resume_pending() {
    for (InjectionSlot& slot : slots_) {
        if (slot.kind() == ErrorKind::pending) slot.clear();
    }
    co_await for_each_channel<ErrorChannel>(*this, [](ErrorChannel& channel) { channel.resume_pending(); });
}

Result<void> create_error_device(Awaited& awaited, const ErrorOptions& options) {
    if (options.base.empty()) return fail(Errc::invalid_argument, "base_name: it is empty");
    return awaited.ask({.module = "error",
                        .base = options.base,
                        .names = {name_of(options)},
                        .config = [options] { return config_of(options); },
                        .make = [options, &registry = awaited.registry()] { return make(registry, options); }});
}

}  // namespace weft::bdev
