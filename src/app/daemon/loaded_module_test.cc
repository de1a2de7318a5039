#include "app/daemon/loaded_module.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <stdexcept>

#include "app/daemon/daemon.h"
#include "bdev/test_runtime.h"
#include "env/linux/test_folder.h"

namespace weft::app {
namespace {

std::string message_of(const Result<void>& done) { return done ? "" : done.error().message; }

TEST(ModuleAbi, IsWhatThisProgramWasBuiltWith) {
    const std::string own(bdev::module_abi.data());
    EXPECT_TRUE(own.starts_with("WEFT-MODULE-ABI:Weft 0.1.0, interface 1, ")) << own;
    EXPECT_TRUE(check_module_abi("code" + own + '\0' + "more code"));
    EXPECT_NE(message_of(check_module_abi("code and nothing else")).find("WEFT_MODULE()"), std::string::npos);
}

TEST(ModuleAbi, OfAnotherVersionIsRefusedWithBoth) {
    std::string other(bdev::module_abi.data());
    other.replace(other.find("0.1.0"), 5, "0.0.9");
    const std::string message = message_of(check_module_abi("code" + other + '\0'));
    EXPECT_NE(message.find("this one: Weft 0.1.0"), std::string::npos) << message;
    EXPECT_NE(message.find("the module: Weft 0.0.9"), std::string::npos) << message;
}

TEST(ModuleAbi, IsNotReadBeyondTheFileOrWhenItIsNoText) {
    const std::string mark(bdev::module_abi.mark());
    const std::string own(bdev::module_abi.data());
    for (const std::string& bytes : {mark, own, mark + "\x1b[2J" + '\0', mark + std::string(100000, 'x') + '\0',
                                     own.substr(0, own.size() - 1) + '\0', own + " 8" + '\0'}) {
        EXPECT_FALSE(check_module_abi(bytes));
    }
}

void write(const std::string& path, const std::string& contents) { std::ofstream(path, std::ios::binary) << contents; }

TEST(LoadedModule, ThatIsNoneIsRefused) {
    const env::TestFolder folder;
    const auto refused = [](const std::string& path, const char* reason) {
        const auto loaded = LoadedModule::load(path);
        if (loaded) return testing::AssertionFailure() << "it was loaded";
        const std::string& message = loaded.error().message;
        if (message.starts_with("--module ") && message.contains(path) && message.contains(reason)) {
            return testing::AssertionSuccess();
        }
        return testing::AssertionFailure() << message;
    };
    EXPECT_TRUE(refused(folder / "none.so", "No such file"));
    EXPECT_TRUE(refused("/", "not a file"));
    EXPECT_TRUE(refused("/dev/zero", "not a file"));
    write(folder / "empty.so", "");
    EXPECT_TRUE(refused(folder / "empty.so", "not a shared library"));
    write(folder / "text.so", std::string(1000, 'a'));
    EXPECT_TRUE(refused(folder / "text.so", "not a shared library"));
    write(folder / "cut.so", std::string("\x7F"
                                         "ELF\x02\x01\x01",
                                         7) +
                                 std::string(57, '\0'));
    EXPECT_TRUE(refused(folder / "cut.so", "x86-64"));
    // The beginning of a real library, whose program headers or segments are not there.
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG "\x02\x01\x01", 7);
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    header.e_phoff = sizeof(header);
    const std::string start(reinterpret_cast<const char*>(&header), sizeof(header));
    write(folder / "cut.so", start);
    EXPECT_TRUE(refused(folder / "cut.so", "cut short"));
    Elf64_Phdr segment{};
    segment.p_type = PT_LOAD;
    segment.p_offset = 64;
    segment.p_filesz = UINT64_MAX;
    write(folder / "cut.so", start + std::string(reinterpret_cast<const char*>(&segment), sizeof(segment)));
    EXPECT_TRUE(refused(folder / "cut.so", "cut short"));
    segment.p_filesz = 8;
    write(folder / "cut.so", start + std::string(reinterpret_cast<const char*>(&segment), sizeof(segment)));
    EXPECT_TRUE(refused(folder / "cut.so", "no module of Weft"));
}

// Modules as the daemon sees them, without files.
struct AskParams {
    static constexpr auto fields() { return rpc::fields(); }
};

class FakeModule : public bdev::Module {
public:
    explicit FakeModule(std::string method) : method_(std::move(method)) {}
    Result<void> add(const bdev::ModuleContext& context) override {
        if (method_ == "throw") throw std::runtime_error("no licence\n");
        if (method_ == "fail") return fail(Errc::no_memory, "no memory for it");
        context.methods.add<AskParams>({.name = method_, .text = "Asks"},
                                       [](AskParams) -> Task<Result<Json>> { co_return Json(7); });
        return {};
    }
    Task<void> stop() override {
        ++stops;
        co_return;
    }
    static inline int stops = 0;

private:
    std::string method_;
};

class ModuleInDaemon : public testing::Test {
protected:
    Result<void> add(const std::string& method) {
        return daemon_.add_module(LoadedModule(method, std::make_unique<FakeModule>(method)));
    }
    DaemonOptions options_ = [] {
        DaemonOptions options;
        options.has_rpc_server = false;
        return options;
    }();
    bdev::TestRuntime world_;
    Daemon daemon_{world_.runtime(), options_};
};

TEST_F(ModuleInDaemon, AddsMethodsAndIsStoppedLast) {
    FakeModule::stops = 0;
    ASSERT_TRUE(add("fake_ask"));
    ASSERT_TRUE(world_.run(daemon_.start()));
    EXPECT_EQ(world_.run(daemon_.methods().call("fake_ask", Json())), rpc::Response(Json(7)));
    world_.run([](Daemon& daemon) -> Task<bool> {
        co_await daemon.stop();
        co_return true;
    }(daemon_));
    EXPECT_EQ(FakeModule::stops, 1);
}

TEST_F(ModuleInDaemon, ThatCannotBeAddedIsRefusedWithTheReason) {
    EXPECT_EQ(message_of(add("throw")), "--module throw: module throw: it threw: no licence\\x0a");
    EXPECT_EQ(message_of(add("fail")), "--module fail: module fail: no memory for it");
    EXPECT_EQ(
        message_of(add("bdev_get_bdevs")),
        "--module bdev_get_bdevs: module bdev_get_bdevs: there is a method bdev_get_bdevs, or one of its aliases, "
        "already");
    EXPECT_EQ(message_of(add("construct_malloc_bdev")).find("there is a method") != std::string::npos, true);
    EXPECT_TRUE(daemon_.methods().states_of("bdev_get_bdevs"));
}

}  // namespace
}  // namespace weft::app
