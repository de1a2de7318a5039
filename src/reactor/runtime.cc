#include "reactor/runtime.h"

#include <fmt/format.h>

namespace weft {

Result<std::unique_ptr<Runtime>> Runtime::create(env::Environment& environment, const RuntimeOptions& options) {
    std::unique_ptr<Runtime> runtime(new Runtime(environment));
    auto control = Reactor::create(environment, {.name = "weft_control", .cpu = -1, .spin = 0});
    if (!control) return std::unexpected(std::move(control).error());
    runtime->control_ = std::move(*control);
    runtime->app_thread_ = &runtime->control_->create_thread("app_thread", CpuSet::all());
    for (const size_t cpu : options.cpus) {
        auto reactor = Reactor::create(
            environment, {.name = fmt::format("reactor_{}", cpu), .cpu = static_cast<int>(cpu), .spin = options.spin});
        if (!reactor) return std::unexpected(std::move(reactor).error());
        // Each reactor has a thread of its own from the start: where files and new threads are made.
        (*reactor)->create_thread(fmt::format("reactor_{}", cpu), CpuSet::of(cpu));
        runtime->data_.push_back(std::move(*reactor));
    }
    return runtime;
}

std::vector<Reactor*> Runtime::reactors() const {
    std::vector<Reactor*> all{control_.get()};
    for (const auto& reactor : data_) all.push_back(reactor.get());
    return all;
}

CpuSet Runtime::cpus() const {
    CpuSet all;
    for (const auto& reactor : data_) all = all | CpuSet::of(static_cast<size_t>(reactor->cpu()));
    return all;
}

Task<Result<Thread*>> Runtime::create_thread(std::string name, CpuSet cpus) {
    Thread& home = Thread::current();
    Reactor* best = nullptr;
    size_t best_threads = 0;
    Thread* made = nullptr;
    for (const auto& reactor : data_) {
        if (!cpus.contains(static_cast<size_t>(reactor->cpu()))) continue;
        co_await resume_on(reactor->first_thread());
        const size_t count = reactor->threads().size();
        if (best == nullptr || count < best_threads) {
            best = reactor.get();
            best_threads = count;
        }
    }
    if (best != nullptr) {
        co_await resume_on(best->first_thread());
        made = &best->create_thread(std::move(name), cpus);
    }
    co_await resume_on(home);
    if (made == nullptr) {
        co_return fail(Errc::invalid_argument, fmt::format("no reactor runs on a CPU of mask {}", cpus.to_mask()));
    }
    co_return made;
}

}  // namespace weft
