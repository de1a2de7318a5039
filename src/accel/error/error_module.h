// A module that does what the software module does, but when it is told to: then it spoils the outcome, or fails. For
// tests of what stands on the framework. It does crc32c only, as the field's.
#pragma once

#include <atomic>
#include <cstdint>

#include "accel/module.h"

namespace weft::accel {

enum class Injection : uint8_t { disable, corrupt, failure };

// Each `interval`th operation of a channel, until that happened `count` times there.
struct InjectionOptions {
    Injection type = Injection::disable;
    uint64_t count = UINT64_MAX;
    uint64_t interval = 0;
    int32_t errcode = 0;  // kept and told: an operation that fails here says so without a number

    friend bool operator==(const InjectionOptions&, const InjectionOptions&) = default;
};

class ErrorModule final : public Module {
public:
    // `base` does the work, and lives as long.
    explicit ErrorModule(Module& base) : base_(base) {}

    [[nodiscard]] std::string_view name() const override { return "error"; }
    [[nodiscard]] bool supports(Op op) const override { return op == Op::crc32c; }
    [[nodiscard]] bool is_inline() const override { return true; }
    Result<std::unique_ptr<ModuleChannel>> make_channel() override;

    // App thread. For all channels, which begin to count anew; each sees it with its next operation. A count of 0
    // disables.
    void inject(const InjectionOptions& options);
    // App thread.
    [[nodiscard]] const InjectionOptions& injected() const { return injected_; }

private:
    class ErrorChannel;
    Module& base_;
    InjectionOptions injected_;
    // What the channels read. Parts of two settings may meet for one operation when it is changed under load: an error
    // more or less, which is what this is for.
    std::atomic<uint64_t> generation_{0};
    std::atomic<Injection> type_{Injection::disable};
    std::atomic<uint64_t> count_{0};
    std::atomic<uint64_t> interval_{0};
};

}  // namespace weft::accel
