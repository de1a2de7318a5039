// A device that fails when it is told to, and else hands everything on: for trying what hosts do about it.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "bdev/stack/awaited.h"
#include "bdev/stack/overlay_device.h"
#include "bdev_modules/error/injection.h"

namespace weft::bdev {

struct ErrorOptions {
    std::string base;
    Uuid uuid;  // nil: derived from that of the base
};
// The device's name says what it stands on.
inline std::string name_of(const ErrorOptions& options) { return "EE_" + options.base; }

class ErrorDevice final : public OverlayDevice {
public:
    ErrorDevice(ErrorOptions options, Registry& registry, std::unique_ptr<Base> base);

    [[nodiscard]] std::string_view product_name() const override { return "Error Injection Disk"; }
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;
    // App thread, once, when it is in the registry: what is pending would keep it there for ever.
    void watch_own_removal();

    // What is pending ends as aborted.
    Task<Result<void>> reset() override;

    // nullptr for ops that are left alone. Any thread.
    InjectionSlot* slot(Op op);
    // App thread. Pending requests go on, to the base.
    Task<void> resume_pending();
    // Any thread. It is being removed: nothing is injected any more.
    [[nodiscard]] bool is_going() const { return is_going_.load(std::memory_order_acquire); }

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    Task<void> abort_pending();

    const ErrorOptions options_;
    std::array<InjectionSlot, 4> slots_;  // read, write, unmap, flush
    std::atomic<bool> is_going_ = false;
    std::unique_ptr<Descriptor> own_;
};

// Makes one, now or when its base comes. App thread. Errors: those of Awaited::ask().
Result<void> create_error_device(Awaited& awaited, const ErrorOptions& options);

}  // namespace weft::bdev
