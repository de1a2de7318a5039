#include "nvmf/rpc/other_targets.h"

#include <fmt/format.h>

#include "base/log.h"
#include "nvmf/target.h"

namespace weft::nvmf {

OtherTargets::OtherTargets() = default;
OtherTargets::~OtherTargets() = default;

Task<Result<void>> OtherTargets::add(std::unique_ptr<Target> target) {
    const std::string name = target->name();
    if (targets_.contains(name)) co_return fail(Errc::already_exists, fmt::format("target {} exists", name));
    if (targets_.size() == targets_max) {
        co_return fail(Errc::too_many, fmt::format("there are {} targets already", targets_max + 1));
    }
    Target& mine = *targets_.emplace(name, std::move(target)).first->second;
    auto started = co_await mine.start();
    if (!started) {
        co_await mine.stop();
        targets_.erase(name);
    }
    co_return started;
}

Task<Result<void>> OtherTargets::stop(std::string name) {
    Target* const target = find(name);
    if (target == nullptr) {
        co_return fail(Errc::no_such_device, fmt::format("there is no target {}", log::quoted(name, 64)));
    }
    co_await target->stop();
    targets_.erase(name);
    co_return Result<void>{};
}

// No call is running any more, so that each of them runs.
Task<void> OtherTargets::stop_all() {
    while (!targets_.empty()) (void)co_await stop(targets_.begin()->first);
}

Target* OtherTargets::find(std::string_view name) const {
    const auto found = targets_.find(name);
    return found != targets_.end() && found->second->state() == TargetState::running ? found->second.get() : nullptr;
}

std::vector<std::string> OtherTargets::names() const {
    std::vector<std::string> list;
    list.reserve(targets_.size());
    for (const auto& [name, target] : targets_) list.push_back(name);
    return list;
}

std::vector<const Target*> OtherTargets::all() const {
    std::vector<const Target*> list;
    for (const auto& [name, target] : targets_) {
        if (target->state() == TargetState::running) list.push_back(target.get());
    }
    return list;
}

}  // namespace weft::nvmf
