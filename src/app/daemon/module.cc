#include "app/daemon/module.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace weft::app {

Result<void> Modules::sort() {
    std::vector<Module> sorted;
    const auto is_sorted = [&sorted](const std::string& name) {
        return std::ranges::any_of(sorted, [&name](const Module& module) { return module.name == name; });
    };
    while (!modules_.empty()) {
        // The first, as added, whose dependencies are all there: so that the order is always the same.
        const auto next = std::ranges::find_if(
            modules_, [&](const Module& module) { return std::ranges::all_of(module.depends_on, is_sorted); });
        if (next == modules_.end()) {
            auto refused =
                fail(Errc::invalid_argument,
                     fmt::format("module {} depends on one that is missing, or on itself", modules_.front().name));
            std::ranges::move(sorted, std::inserter(modules_, modules_.begin()));  // none gets lost
            return refused;
        }
        sorted.push_back(std::move(*next));
        modules_.erase(next);
    }
    modules_ = std::move(sorted);
    return {};
}

Task<Result<void>> Modules::start() {
    WEFT_CO_TRY(sort());
    for (; started_ < modules_.size(); ++started_) {
        Result<void> done = co_await modules_[started_].start();
        if (done) continue;
        Error error{done.error().code, fmt::format("{}: {}", modules_[started_].name, done.error().message)};
        co_await stop();
        co_return std::unexpected(std::move(error));
    }
    co_return Result<void>{};
}

Task<void> Modules::stop() {
    while (started_ > 0) co_await modules_[--started_].stop();
}

}  // namespace weft::app
