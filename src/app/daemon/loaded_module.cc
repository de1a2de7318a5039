#include "app/daemon/loaded_module.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "base/log.h"
#include "env/linux/shared_object.h"

namespace weft::app {

namespace {

constexpr size_t abi_text_max = 512;
constexpr size_t name_max = 64;

template <class T = void>
Result<T> refuse(Errc code, const std::string& path, std::string_view reason) {
    return fail(code, fmt::format("--module {}: {}", path, reason));
}

// Printable text up to its NUL; empty when it is something else.
std::string_view text_at(std::string_view bytes) {
    bytes = bytes.substr(0, abi_text_max);
    const size_t end = bytes.find('\0');
    if (end == std::string_view::npos) return {};
    bytes = bytes.substr(0, end);
    const bool is_text = std::ranges::all_of(bytes, [](char byte) { return byte >= 0x20 && byte < 0x7F; });
    return is_text ? bytes : std::string_view{};
}

bool is_name(std::string_view name) {
    const auto is_fit = [](char byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
               byte == '_' || byte == '-';
    };
    return !name.empty() && name.size() <= name_max && std::ranges::all_of(name, is_fit);
}

// Calls what is a module's: it may throw.
template <class Call>
Result<void> guarded(Call call) {
    try {
        return call();
    } catch (const std::exception& error) {
        return fail(Errc::cancelled, fmt::format("it threw: {}", log::quoted(error.what())));
    } catch (...) {
        return fail(Errc::cancelled, "it threw something that is no std::exception");
    }
}

}  // namespace

Result<void> check_module_abi(std::string_view bytes) {
    const size_t mark = bytes.find(bdev::module_abi.mark());
    if (mark == std::string_view::npos) {
        return fail(Errc::invalid_argument,
                    "a shared library, but no module of Weft: one of its sources must end with WEFT_MODULE()");
    }
    const std::string_view found = text_at(bytes.substr(mark + bdev::module_abi.mark().size()));
    if (found == bdev::module_abi.text()) return {};
    return fail(Errc::not_supported,
                fmt::format("built for another Weft: build it again with the headers of this one\n  this one: {}\n"
                            "  the module: {}",
                            bdev::module_abi.text(), found.empty() ? "(cannot be read)" : found));
}

Result<LoadedModule> LoadedModule::load(const std::string& path) {
    LoadedModule loaded(path, nullptr);
    {
        const auto bytes = env::read_shared_object(path);
        if (!bytes) return fail(bytes.error().code, fmt::format("--module {}", bytes.error().message));
        if (auto fits = check_module_abi(*bytes); !fits) {
            return refuse<LoadedModule>(fits.error().code, path, fits.error().message);
        }
    }
    const auto object = env::SharedObject::load(path);
    if (!object) {
        return refuse<LoadedModule>(object.error().code, path,
                                    fmt::format("cannot be loaded: {}", log::quoted(object.error().message, 512)));
    }
    void* const entry = object->find(bdev::module_entry_point);
    if (entry == nullptr) {
        return refuse<LoadedModule>(
            Errc::invalid_argument, path,
            fmt::format("has no function {}(), or hides it: WEFT_MODULE() makes it", bdev::module_entry_point));
    }
    const bdev::ModuleDescription* description = nullptr;
    const auto done = guarded([&]() -> Result<void> {
        description = reinterpret_cast<const bdev::ModuleDescription* (*)()>(entry)();
        if (description == nullptr || description->make == nullptr || description->name == nullptr ||
            description->version == nullptr || !is_name(description->name)) {
            return fail(Errc::invalid_argument,
                        fmt::format("{}() describes no module: a name is letters, digits, \"_\" and \"-\", {} at most",
                                    bdev::module_entry_point, name_max));
        }
        loaded.module_ = description->make();
        if (loaded.module_ == nullptr) return fail(Errc::cancelled, "it made no module");
        return {};
    });
    if (!done) return refuse<LoadedModule>(done.error().code, path, done.error().message);
    loaded.name_ = description->name;
    loaded.version_ = log::quoted(description->version, name_max);
    return loaded;
}

Result<void> LoadedModule::add(const bdev::ModuleContext& context) {
    const auto done = guarded([&] { return context.methods.add_foreign([&] { return module_->add(context); }); });
    if (!done) return refuse(done.error().code, path_, fmt::format("module {}: {}", name_, done.error().message));
    is_added_ = true;
    return {};
}

Task<void> LoadedModule::stop() {
    if (is_added_) co_await module_->stop();
    is_added_ = false;
}

Result<std::vector<LoadedModule>> load_modules(std::span<const std::string> paths) {
    std::vector<LoadedModule> all;
    for (const std::string& path : paths) {
        auto loaded = LoadedModule::load(path);
        if (!loaded) return std::unexpected(std::move(loaded).error());
        if (std::ranges::find(all, loaded->name(), &LoadedModule::name) != all.end()) {
            return refuse<std::vector<LoadedModule>>(Errc::already_exists, path,
                                                     fmt::format("there is a module {} already", loaded->name()));
        }
        all.push_back(std::move(*loaded));
    }
    return all;
}

}  // namespace weft::app
