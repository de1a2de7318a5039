#include "accel/error/error_module.h"

#include <utility>

namespace weft::accel {

class ErrorModule::ErrorChannel final : public ModuleChannel {
public:
    ErrorChannel(const ErrorModule& module, std::unique_ptr<ModuleChannel> base)
        : module_(module), base_(std::move(base)) {}

    Progress start(Operation& operation) override {
        const Injection type = next();
        if (type == Injection::failure) {
            operation.status = Status::failed;
            return Progress::done;
        }
        const Progress progress = base_->start(operation);
        if (type == Injection::corrupt) ++*operation.job.crc;
        return progress;
    }

private:
    // What becomes of this operation.
    Injection next() {
        const uint64_t generation = module_.generation_.load(std::memory_order_acquire);
        if (generation != generation_) {
            generation_ = generation;
            injected_ = 0;
            since_ = 0;
        }
        const Injection type = module_.type_.load(std::memory_order_relaxed);
        if (type == Injection::disable || injected_ >= module_.count_.load(std::memory_order_relaxed)) {
            return Injection::disable;
        }
        if (++since_ < module_.interval_.load(std::memory_order_relaxed)) return Injection::disable;
        since_ = 0;
        ++injected_;
        return type;
    }

    const ErrorModule& module_;
    const std::unique_ptr<ModuleChannel> base_;
    uint64_t generation_ = 0;
    uint64_t injected_ = 0;
    uint64_t since_ = 0;  // operations since the last one that was spoilt
};

Result<std::unique_ptr<ModuleChannel>> ErrorModule::make_channel() {
    auto base = base_.make_channel();
    if (!base) return std::unexpected(std::move(base).error());
    return std::make_unique<ErrorChannel>(*this, std::move(*base));
}

void ErrorModule::inject(const InjectionOptions& options) {
    injected_ = options;
    if (options.type == Injection::disable || options.count == 0) injected_ = {};
    type_.store(injected_.type, std::memory_order_relaxed);
    count_.store(injected_.count, std::memory_order_relaxed);
    interval_.store(injected_.interval, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
}

}  // namespace weft::accel
