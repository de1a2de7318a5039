// weft convert-config: the field's configuration file of before JSON, as JSON.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "rpc/json.h"
#include "rpc/legacy_config.h"

namespace weft::cli {

namespace {

constexpr size_t file_bytes_max = size_t{64} << 20;

class ConvertConfig final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        CLI::App* sub = app.add_subcommand("convert-config", "Turn an INI configuration of the field into JSON");
        sub->add_option("FILE", file_, "The file")->required();
        sub->footer("The JSON is printed. What changes nothing in Weft is left out, and said on standard error.");
        return sub;
    }

    int run() override {
        return run_session({}, [this](Runtime& runtime) { return execute(runtime); });
    }

private:
    Task<int> execute(Runtime& runtime) {
        env::Files& files = runtime.environment().files();
        auto text = co_await offload([&files, this] { return files.read_all(file_, file_bytes_max); });
        if (!text) {
            fmt::print(stderr, "weft: {}\n", text.error().message);
            co_return exit_failed;
        }
        if (!rpc::is_legacy_config(*text)) {
            fmt::print(stderr, "weft: {}: no [Section] at its beginning: this is not an INI configuration\n", file_);
            co_return exit_failed;
        }
        std::vector<std::string> notes;
        const auto converted = rpc::convert_legacy_config(*text, notes);
        if (!converted) {
            fmt::print(stderr, "weft: {}: {}\n", file_, converted.error().message);
            co_return exit_failed;
        }
        for (const std::string& note : notes) fmt::print(stderr, "weft: {}: {}\n", file_, note);
        fmt::print("{}\n", dump_json_pretty(*converted));
        co_return exit_ok;
    }

    std::string file_;
};

}  // namespace

std::unique_ptr<Subcommand> make_convert_config() { return std::make_unique<ConvertConfig>(); }

}  // namespace weft::cli
