// What a module gives and gets: block devices of somebody else's, in a shared library that is built against the
// installed package and loaded by `weftd --module FILE.so`. docs/modules.md is the tutorial.
//
//   class Dbd final : public weft::bdev::Module {
//       Result<void> add(const ModuleContext& context) override {
//           context.methods.add<DbdCreate>({.name = "bdev_dbd_create", …}, [&context](DbdCreate params) { … });
//           return {};
//       }
//   };
//   WEFT_MODULE(Dbd, "dbd", "1.0")
//
// A module is a part of the program: it has all its rights, shares its memory, and can break it. It may include the
// headers of base, env, memory, reactor, net, rpc, keyring, accel, bdev and bdev_modules, whose functions the program
// keeps for it. It links none of Weft: there must be one of everything.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "accel/framework.h"
#include "base/result.h"
#include "base/version.h"
#include "bdev/device.h"
#include "bdev/registry.h"
#include "env/files.h"
#include "reactor/runtime.h"
#include "reactor/task.h"
#include "rpc/registry.h"

namespace weft::bdev {

// What the program has for a module. Lives until the module has ended, so that methods may refer to it.
struct ModuleContext {
    Runtime& runtime;  // reactors, and the environment: files, clock, randomness
    rpc::Registry& methods;  // a module adds its own in add()
    Registry& devices;  // on the app thread
    accel::Framework& accel;  // copies, checksums, ciphers: on the CPU, or wherever they are assigned to
    bool is_concurrent = false;  // there is more than one data reactor: a device may be used by several at a time
};

// One in the process for each file that is loaded. Lives on the app thread, and longer than its methods and devices.
class Module {
public:
    Module() = default;
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;
    virtual ~Module() = default;

    // Once, before any method is called and before the configuration is read; adds the module's methods, which make its
    // devices. A name that is taken is an error of the module's. Errors: why it cannot be used; the program ends with
    // that. May throw: the same.
    virtual Result<void> add(const ModuleContext& context) = 0;
    // Once, when the program ends: no call runs any more, and all devices are gone. Ends what the module does of its
    // own accord. Not called when add() failed.
    virtual Task<void> stop() { co_return; }
};

// Where a module's file says what it is: `extern "C" const ModuleDescription* weft_module()`. Made by WEFT_MODULE().
struct ModuleDescription {
    const char* name;  // letters, digits, "_" and "-"
    const char* version;  // the module's own
    std::unique_ptr<Module> (*make)();
};
inline constexpr const char* module_entry_point = "weft_module";

// Raised with every change of these headers that keeps all sizes below.
inline constexpr int module_interface = 1;

namespace module_detail {

#define WEFT_MODULE_TEXT_OF(number) #number
#define WEFT_MODULE_TEXT(number) WEFT_MODULE_TEXT_OF(number)
#if defined(__clang__)
#define WEFT_MODULE_COMPILER "clang " WEFT_MODULE_TEXT(__clang_major__)
#else
#define WEFT_MODULE_COMPILER "gcc " WEFT_MODULE_TEXT(__GNUC__)
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_MODULE_BUILD ", address sanitizer"
#elif __has_feature(thread_sanitizer)
#define WEFT_MODULE_BUILD ", thread sanitizer"
#else
#define WEFT_MODULE_BUILD ""
#endif
#else
#define WEFT_MODULE_BUILD ""
#endif

// What both sides must have in common, word for word: whoever was compiled against other headers has another one.
class AbiText {
public:
    consteval AbiText() {
        // In two parts, so that a search for the mark finds modules and not what searches.
        add("WEFT-MODULE-");
        add("ABI:Weft ");
        add(version_text);
        add(", interface ");
        add(static_cast<size_t>(module_interface));
        add(", " WEFT_MODULE_COMPILER WEFT_MODULE_BUILD ", libstdc++ " WEFT_MODULE_TEXT(_GLIBCXX_RELEASE) ", sizes");
        for (const size_t size :
             {sizeof(Request), sizeof(Device), sizeof(Channel), sizeof(Descriptor), sizeof(Registry), sizeof(Geometry),
              sizeof(rpc::Registry), sizeof(rpc::MethodSpec), sizeof(rpc::FieldInfo), sizeof(rpc::Type), sizeof(Thread),
              sizeof(Reactor), sizeof(Runtime), sizeof(Poller), sizeof(Timer), sizeof(env::FileOperation),
              sizeof(env::OpenOptions), sizeof(Error), sizeof(Json)}) {
            add(" ");
            add(size);
        }
    }
    [[nodiscard]] constexpr const char* data() const { return text_.data(); }
    // Behind the mark.
    [[nodiscard]] constexpr std::string_view text() const { return std::string_view(text_.data()).substr(16); }
    [[nodiscard]] constexpr std::string_view mark() const { return std::string_view(text_.data()).substr(0, 16); }

private:
    consteval void add(const char* words) {
        for (; *words != '\0'; ++words) text_[size_++] = *words;
    }
    consteval void add(size_t number) {
        std::array<char, 20> digits{};
        size_t count = 0;
        do {
            digits[count++] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        while (count > 0) text_[size_++] = digits[--count];
    }
    std::array<char, 320> text_{};  // the last byte stays 0
    size_t size_ = 0;
};

}  // namespace module_detail

// Of this compilation: the program's, or the module's.
inline constexpr module_detail::AbiText module_abi;

}  // namespace weft::bdev

// At the end of one source file of a module, at namespace scope: `type` is a Module that needs no arguments.
#define WEFT_MODULE(type, module_name, module_version)                                            \
    extern "C" [[gnu::visibility("default")]] const weft::bdev::ModuleDescription* weft_module(); \
    const weft::bdev::ModuleDescription* weft_module() {                                          \
        [[gnu::used]] static constexpr weft::bdev::module_detail::AbiText abi;                    \
        static constexpr weft::bdev::ModuleDescription description = {                            \
            module_name, module_version,                                                          \
            []() -> std::unique_ptr<weft::bdev::Module> { return std::make_unique<type>(); }};    \
        return &description;                                                                      \
    }
