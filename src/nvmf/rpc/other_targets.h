// The targets that nvmf_create_target made, beside the one of the program. On the app thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reactor/task.h"

namespace weft::nvmf {

class Target;

class OtherTargets {
public:
    static constexpr size_t targets_max = 32;

    OtherTargets();
    OtherTargets(const OtherTargets&) = delete;
    OtherTargets& operator=(const OtherTargets&) = delete;
    ~OtherTargets();  // after stop_all()

    // Started; from the beginning on its name is taken. Errors: already_exists, too_many, those of Target::start().
    Task<Result<void>> add(std::unique_ptr<Target> target);
    // Errors: no_such_device; also when somebody else stops it already.
    Task<Result<void>> stop(std::string name);
    Task<void> stop_all();
    // One that runs, or nullptr.
    [[nodiscard]] Target* find(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> names() const;
    // Those that run.
    [[nodiscard]] std::vector<const Target*> all() const;

private:
    std::map<std::string, std::unique_ptr<Target>, std::less<>> targets_;
};

}  // namespace weft::nvmf
