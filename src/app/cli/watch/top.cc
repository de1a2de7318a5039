// weft top: what a target is doing, live, on a terminal; or once, for scripts.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "app/cli/rpc/rpc_address.h"
#include "app/cli/rpc/rpc_connect.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "app/cli/watch/top_screen.h"
#include "env/linux/signals.h"
#include "env/linux/terminal.h"
#include "reactor/reactor.h"
#include "rpc/client.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr env::TimeNs call_timeout = 10 * env::ns_per_s;
constexpr uint32_t queues_max = 1000;
constexpr ScreenSize batch_size = {.columns = 1000, .rows = 100'000};

// Wakes the one coroutine that draws.
class Watch final : public EventSource {
public:
    explicit Watch(WaitList& news) : news_(news) {}
    ~Watch() override { unwatch(); }
    uint32_t on_events(uint32_t events) override {
        happened = true;
        hung_up |= (events & env::Events::hung_up) != 0;
        news_.wake_all();
        return 1;
    }
    bool happened = false;
    bool hung_up = false;

private:
    WaitList& news_;
};

class Top final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        sub_ = app.add_subcommand("top", "Show what a running weftd is doing");
        sub_->add_option("-s,--socket", socket_, "Socket of the server: a path, ADDRESS:PORT, or tls://ADDRESS:PORT")
            ->capture_default_str();
        declare_tls_options(*sub_, tls_);
        sub_->add_option("-d,--interval", interval_s_, "Seconds between two looks")
            ->check(CLI::Range(0.1, 3600.0))
            ->capture_default_str();
        sub_->add_option("-v,--view", view_name_,
                         "namespaces, bdevs, queues, hosts, subsystems, threads, pollers, reactors or connections")
            ->capture_default_str();
        sub_->add_option("--sort", sort_, "Name of the column to sort by");
        sub_->add_flag("--reverse", is_reversed_, "Sort the other way round");
        sub_->add_option("--filter", filter_, "Show only rows with a name that contains this");
        sub_->add_flag("-b,--batch", is_batch_, "Print tables one after another instead of drawing on the terminal");
        sub_->add_option("-n,--count", count_, "With -b: how many tables; 0: without end")->capture_default_str();
        sub_->add_flag("--once", is_once_, "Print one table, of one interval: -b -n 1");
        sub_->footer(
            "Keys: ? shows them all, q leaves. Without a terminal, or for scripts:\n"
            "Example: weft top --once -v bdevs --sort w/s");
        return sub_;
    }

    int run() override {
        if (is_once_) {
            is_batch_ = true;
            count_ = 1;
        }
        const auto view = view_of(view_name_);
        if (!view)
            return report({Errc::invalid_argument, fmt::format("--view '{}': there is no such view; {}", view_name_,
                                                               "weft top --help lists them")});
        screen_.emplace(interval_s_);
        screen_->show(*view);
        screen_->set_filter(filter_);
        if (is_reversed_) screen_->reverse();
        if (!sort_.empty() && !screen_->sort_by(sort_)) return report(no_column(*view));
        // Before any thread is there, so that all have them blocked.
        if (!is_batch_) {
            auto signals = env::SignalSource::create({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT});
            if (!signals) return report(signals.error());
            signals_ = std::move(*signals);
        }
        return run_session({}, [this](Runtime&) { return execute(); });
    }

private:
    static int report(const Error& error) {
        fmt::print(stderr, "weft: {}\n", error.message);
        return exit_failed;
    }
    [[nodiscard]] Error no_column(View view) const {
        std::string names;
        for (const Column& column : table_of(view, Json(), Json()).columns) {
            names += (names.empty() ? "" : ", ") + column.name;
        }
        return {Errc::invalid_argument, fmt::format("--sort '{}': {} has the columns {}", sort_, name_of(view), names)};
    }

    Task<Result<Json>> look(rpc::Client& client) {
        Json params = {{"max_queues", queues_max}};
        co_return co_await client.call("weft_get_figures", std::move(params), call_timeout);
    }

    Task<int> execute() {
        auto server = co_await RpcServer::find(socket_, tls_, parse_rpc_address);
        if (!server) co_return report(server.error());
        auto client = co_await server->connect(call_timeout);
        if (!client) {
            fmt::print(stderr, "weft: {}\nIs weftd running, and is {} its socket? -s names another.\n",
                       client.error().message, socket_);
            co_return exit_failed;
        }
        auto first = co_await look(**client);
        if (!first) co_return report(first.error());
        before_ = std::move(*first);
        co_return co_await (is_batch_ ? print(**client) : draw(std::move(*client), *server));
    }

    Task<int> print(rpc::Client& client) {
        for (uint64_t done = 0; count_ == 0 || done < count_; ++done) {
            co_await sleep_for(static_cast<env::TimeNs>(interval_s_ * 1e9));
            auto now = co_await look(client);
            if (!now) co_return report(now.error());
            const std::vector<std::string> lines = screen_->lines(*now, before_, batch_size, false);
            // Without the line about keys, and the blanks that fill a screen.
            for (size_t at = 0; at < lines.size(); ++at) {
                if (at != 1) fmt::print("{}\n", lines[at].substr(0, lines[at].find_last_not_of(' ') + 1));
            }
            fmt::print("{}", count_ == 1 ? "" : "\n");
            if (std::fflush(stdout) != 0) co_return exit_failed;
            before_ = std::move(*now);
        }
        co_return exit_ok;
    }

    void paint(env::Terminal& terminal) {
        const env::TerminalSize size = terminal.size();
        std::string out = "\x1b[H";
        const auto lines = screen_->lines(now_, before_, {size.columns, size.rows}, true);
        for (size_t at = 0; at < lines.size(); ++at) out += (at > 0 ? "\r\n" : "") + lines[at] + "\x1b[K";
        terminal.write(out + "\x1b[J");
    }

    // True when it is time to leave.
    bool take_keys(env::Terminal& terminal) {
        const auto typed = terminal.read();
        if (!typed) return true;
        for (const KeyPress& key : keys_of(*typed)) {
            switch (screen_->press(key)) {
                case TopScreen::Wish::none: break;
                case TopScreen::Wish::quit: return true;
                case TopScreen::Wish::suspend: terminal.suspend(); break;
            }
        }
        return false;
    }
    bool take_signals() {
        while (const auto number = signals_->next()) {
            if (*number != SIGWINCH && *number != SIGCONT) return true;
        }
        return false;
    }

    // A target that goes away may come back: its last figures stay on the screen, and it is asked again.
    Task<void> look_again(std::unique_ptr<rpc::Client>& client, const RpcServer& server) {
        if (client == nullptr || !client->is_connected()) {
            client.reset();
            auto made = co_await server.connect(env::ns_per_s);
            if (!made) {
                screen_->set_trouble(made.error().message);
                co_return;
            }
            client = std::move(*made);
        }
        auto now = co_await look(*client);
        if (!now) {
            screen_->set_trouble(now.error().message);
            co_return;
        }
        screen_->set_trouble("");
        before_ = now_.is_null() ? std::move(before_) : std::move(now_);
        now_ = std::move(*now);
    }

    Task<int> draw(std::unique_ptr<rpc::Client> client, const RpcServer& server) {
        auto opened = env::Terminal::open();
        if (!opened) {
            co_return report({Errc::not_supported, opened.error().message + "; -b or --once print instead"});
        }
        env::Terminal& terminal = **opened;
        Thread& thread = Thread::current();
        WaitList news;
        Watch keys(news);
        Watch signals(news);
        Timer timer(thread, [](void* list) { static_cast<WaitList*>(list)->wake_all(); }, &news);
        if (auto done = keys.watch(thread, terminal, {}); !done) co_return report(done.error());
        if (auto done = signals.watch(thread, *signals_, {}); !done) co_return report(done.error());
        // The first rates after a short moment, not after a whole interval.
        env::TimeNs next = Reactor::current().now() + env::ns_per_s / 4;
        now_ = before_;
        for (;;) {
            paint(terminal);
            timer.start_at(next);
            co_await news.wait();
            timer.stop();
            if (std::exchange(signals.happened, false) && take_signals()) co_return exit_ok;
            if (std::exchange(keys.happened, false) && (take_keys(terminal) || keys.hung_up)) co_return exit_ok;
            if (Reactor::current().now() < next) continue;
            if (!screen_->is_paused()) co_await look_again(client, server);
            next = Reactor::current().now() + static_cast<env::TimeNs>(screen_->interval_s() * 1e9);
        }
    }

    CLI::App* sub_ = nullptr;
    std::string socket_ = default_rpc_socket;
    TlsOptions tls_;
    std::string view_name_ = "namespaces";
    std::string sort_;
    std::string filter_;
    double interval_s_ = 1;
    uint64_t count_ = 0;
    bool is_reversed_ = false;
    bool is_batch_ = false;
    bool is_once_ = false;
    std::optional<TopScreen> screen_;
    std::unique_ptr<env::SignalSource> signals_;
    Json now_;
    Json before_;
};

}  // namespace

std::unique_ptr<Subcommand> make_top() { return std::make_unique<Top>(); }

}  // namespace weft::cli
