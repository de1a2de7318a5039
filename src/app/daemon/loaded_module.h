// A module out of a file (bdev/module.h): looked at before any of its code runs, loaded, and made.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bdev/module.h"

namespace weft::app {

// Whether a file with these bytes is a module for this program. Errors: not_supported, saying what was wanted and what
// was found; invalid_argument for what is no module of Weft.
Result<void> check_module_abi(std::string_view bytes);

class LoadedModule {
public:
    // Blocks; before privileges are dropped. Errors, all naming the file: those of reading; it is no shared library, no
    // module, one for another version, or one that cannot be made.
    static Result<LoadedModule> load(const std::string& path);

    // One that is no file's, as a program that embeds the target may have it.
    LoadedModule(std::string name, std::unique_ptr<bdev::Module> module)
        : path_(name), name_(std::move(name)), module_(std::move(module)) {}

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const std::string& version() const { return version_; }
    // Module::add(). What it throws becomes an error. App thread.
    Result<void> add(const bdev::ModuleContext& context);
    // Module::stop(), when add() was well. App thread.
    Task<void> stop();

private:
    std::string path_;
    std::string name_;
    std::string version_;
    std::unique_ptr<bdev::Module> module_;
    bool is_added_ = false;
};

// All of them, in this order. Errors: of the first that fails; already_exists when two have the same name.
Result<std::vector<LoadedModule>> load_modules(std::span<const std::string> paths);

}  // namespace weft::app
