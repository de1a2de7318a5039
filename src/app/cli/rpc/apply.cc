// weft apply: makes the configuration of a running target what a file says.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "app/cli/rpc/rpc_address.h"
#include "app/cli/rpc/rpc_connect.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "rpc/client.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr size_t file_bytes_max = size_t{64} << 20;
// A server takes requests of 1 MiB; what is larger it must read itself.
constexpr size_t sent_bytes_max = 1'000'000;

// What a target says, without the bytes that command a terminal: C0, DEL, and C1 in UTF-8. Names may hold any.
std::string printable(std::string_view text) {
    std::string clean;
    for (size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        const auto next = static_cast<unsigned char>(at + 1 < text.size() ? text[at + 1] : 0);
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next >= 0x80 && next < 0xA0)) {
            clean += fmt::format("\\x{:02x}", byte);
            if (byte == 0xC2) clean += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++at]));
        } else {
            clean += text[at];
        }
    }
    return clean;
}

class Apply final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        sub_ = app.add_subcommand("apply", "Make the configuration of a running weftd what a file says");
        sub_->add_option("FILE", file_, "The configuration, in the form that save_config prints")->required();
        sub_->add_flag("--dry-run", is_dry_run_, "Only show the differences; exit status 2 when there are some");
        sub_->add_option("-s,--socket", socket_, "Socket of the server: a path, ADDRESS:PORT, or tls://ADDRESS:PORT")
            ->capture_default_str();
        declare_tls_options(*sub_, tls_);
        sub_->add_option("-t,--timeout", timeout_s_, "Seconds to wait for the answer")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
        sub_->footer(
            "All of the file is applied, or, when something fails, nothing.\n"
            "Lines: + added, - removed, ~ changed. Exit status: 0 done or nothing to do, 1 failed, 2 differences.");
        return sub_;
    }

    int run() override {
        return run_session({}, [this](Runtime& runtime) { return execute(runtime.environment().files()); });
    }

private:
    static int report(const std::string& message) {
        fmt::print(stderr, "weft: {}\n", printable(message));
        return exit_failed;
    }

    Task<int> execute(env::Files& files) {
        auto server = co_await RpcServer::find(socket_, tls_, parse_rpc_address);
        if (!server) co_return report(server.error().message);
        auto text = co_await offload([this, &files] { return files.read_all(file_, file_bytes_max); });
        if (!text) co_return report(text.error().message);
        Json params{{"config", std::move(*text)}, {"dry_run", is_dry_run_}};
        if (dump_json(params).size() > sent_bytes_max) {
            std::error_code error;
            const std::string path = std::filesystem::absolute(file_, error).string();
            if (error) co_return report(fmt::format("{}: {}", file_, error.message()));
            params = {{"filename", path}, {"dry_run", is_dry_run_}};
        }
        const auto timeout = static_cast<env::TimeNs>(timeout_s_ * 1e9);
        auto client = co_await server->connect(timeout);
        if (!client)
            co_return report(fmt::format("{} (is weftd running? -s names its socket)", client.error().message));
        const rpc::Response answer = co_await (*client)->request("weft_apply_config", std::move(params), timeout);
        if (!answer) co_return report(fmt::format("{}: {}", file_, answer.error().message));
        co_return show(*answer);
    }

    [[nodiscard]] int show(const Json& answer) const {
        const Json changes = answer.is_object() ? answer.value("changes", Json()) : Json();
        if (!changes.is_array()) return report("the server's answer is none of weft_apply_config");
        for (const Json& change : changes) {
            const std::string text = change.is_object() ? change.value("text", "") : "";
            fmt::print("{}\n", printable(text));
        }
        if (changes.empty()) {
            fmt::print("nothing to do\n");
            return exit_ok;
        }
        if (is_dry_run_) return exit_differs;
        fmt::print("{} {} applied\n", changes.size(), changes.size() == 1 ? "change" : "changes");
        return exit_ok;
    }

    CLI::App* sub_ = nullptr;
    std::string file_;
    std::string socket_ = default_rpc_socket;
    TlsOptions tls_;
    double timeout_s_ = 300;
    bool is_dry_run_ = false;
};

}  // namespace

std::unique_ptr<Subcommand> make_apply() { return std::make_unique<Apply>(); }

}  // namespace weft::cli
