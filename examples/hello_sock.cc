// hello_sock: an echo server on Weft's sockets, and its client.
//
//   hello_sock -S -H 127.0.0.1 -P 8888 &
//   echo hello | hello_sock -H 127.0.0.1 -P 8888
//
// The server's listening socket is the app thread's; each connection belongs to one thread of one reactor, which alone
// touches it, so that nothing is locked. The client is all on the app thread.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/start/application.h"
#include "base/log.h"
#include "net/acceptor.h"
#include "net/connect.h"
#include "net/connection.h"
#include "reactor/runtime.h"

using weft::Result;
using weft::Task;
namespace env = weft::env;
namespace net = weft::net;

namespace {

// Of answers that a peer does not read; then no more is taken from it.
constexpr size_t unsent_bytes_max = size_t{1} << 20;
constexpr env::TimeNs connect_timeout = 5 * env::ns_per_s;

struct Settings {
    std::string host = "127.0.0.1";
    uint16_t port = 8888;
    std::string implementation = "posix";
    bool is_server = false;
    bool is_verbose = false;
};

// ---- server ----

// The connections of one thread. All but the constructor is called on it.
class Worker {
public:
    explicit Worker(weft::Thread& thread) : thread_(thread) {}
    [[nodiscard]] weft::Thread& thread() const { return thread_; }
    [[nodiscard]] bool is_empty() const { return echoes_.empty(); }
    void add(std::unique_ptr<env::Stream> stream);
    void close_all();

private:
    // Sends back what it receives. Its calls come from the thread's loop.
    class Echo final : public net::ConnectionUser {
    public:
        Echo(Worker& worker, std::unique_ptr<env::Stream> stream)
            : worker_(worker), connection_(worker.thread_, std::move(stream), *this) {}
        net::Connection& connection() { return connection_; }

        void on_received(weft::Bytes bytes) override {
            connection_.send(std::string(weft::text_of(bytes)));
            if (connection_.unsent_bytes() > unsent_bytes_max) connection_.pause_receiving();
        }
        void on_sent() override {
            if (connection_.unsent_bytes() <= unsent_bytes_max / 2) connection_.resume_receiving();
        }
        void on_end() override { connection_.close_when_sent(); }
        void on_closed() override { worker_.remove(*this); }  // the last call: it destroys us

    private:
        Worker& worker_;
        net::Connection connection_;
    };
    void remove(Echo& echo) {
        std::erase_if(echoes_, [&echo](const auto& owned) { return owned.get() == &echo; });
    }

    weft::Thread& thread_;
    std::set<std::unique_ptr<Echo>> echoes_;
};

void Worker::add(std::unique_ptr<env::Stream> stream) {
    auto echo = std::make_unique<Echo>(*this, std::move(stream));
    if (auto started = echo->connection().start(); !started) {
        WEFT_ERRLOG("{}", started.error().message);
        return;
    }
    echoes_.insert(std::move(echo));
}

void Worker::close_all() {
    for (const auto& echo : echoes_) echo->connection().close();
}

// A connection goes from the thread that accepted it to the one that serves it.
Task<void> hand_over(Worker& worker, std::unique_ptr<env::Stream> stream) {
    co_await resume_on(worker.thread());
    worker.add(std::move(stream));
}

Task<Result<void>> serve(weft::app::Application& app, const Settings& settings, const env::Address& address) {
    weft::Thread& home = weft::Thread::current();
    std::vector<std::unique_ptr<Worker>> workers;
    for (const auto& reactor : app.runtime().data_reactors()) {
        workers.push_back(std::make_unique<Worker>(reactor->first_thread()));
    }
    size_t next = 0;
    auto acceptor = net::Acceptor::listen(home, address, {}, [&](std::unique_ptr<env::Stream> stream) {
        Worker& worker = *workers[next++ % workers.size()];
        if (settings.is_verbose) {
            WEFT_NOTICELOG("{} goes to {}", env::to_string(stream->peer_address()), worker.thread().name());
        }
        spawn(hand_over(worker, std::move(stream)));
    });
    if (!acceptor) co_return std::unexpected(std::move(acceptor).error());
    WEFT_NOTICELOG("listening on {}", env::to_string((*acceptor)->local_address()));
    co_await app.serve();
    (*acceptor)->close();
    for (const auto& worker : workers) {
        co_await resume_on(worker->thread());  // after what was handed over to it
        worker->close_all();
        while (!worker->is_empty()) co_await weft::sleep_for(env::ns_per_ms);
    }
    co_await resume_on(home);
    co_return Result<void>{};
}

// ---- client ----

class Client final : public net::ConnectionUser {
public:
    explicit Client(std::unique_ptr<env::Stream> stream)
        : connection(weft::Thread::current(), std::move(stream), *this) {}
    void on_received(weft::Bytes bytes) override {
        std::fwrite(bytes.data(), 1, bytes.size(), stdout);
        received_bytes += bytes.size();
    }
    void on_end() override { connection.close(); }
    void on_closed() override { is_closed = true; }

    net::Connection connection;
    uint64_t sent_bytes = 0;
    uint64_t received_bytes = 0;
    bool is_closed = false;
};

// What standard input has within 100 ms, perhaps nothing; nullopt: it has ended. Blocks.
std::optional<std::string> read_input() {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (::poll(&input, 1, 100) <= 0) return "";
    std::array<char, 4096> bytes{};
    const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count <= 0) return std::nullopt;
    return std::string(bytes.data(), static_cast<size_t>(count));
}

Task<Result<void>> talk(weft::app::Application& app, const env::Address& address) {
    auto stream = co_await net::connect(address, {}, connect_timeout);
    if (!stream) co_return std::unexpected(std::move(stream).error());
    Client client(std::move(*stream));
    WEFT_CO_TRY(client.connection.start());
    const auto is_over = [&] { return client.is_closed || app.is_stop_requested(); };
    while (!is_over()) {
        // Away from the reactors: what blocks would stop all that lives on this thread's one.
        auto text = co_await weft::offload(&read_input);
        if (!text) break;
        client.sent_bytes += text->size();
        if (!text->empty()) client.connection.send(std::move(*text));
        while (client.connection.unsent_bytes() > unsent_bytes_max && !is_over()) {
            co_await weft::sleep_for(env::ns_per_ms);
        }
    }
    while (client.received_bytes < client.sent_bytes && !is_over()) co_await weft::sleep_for(env::ns_per_ms);
    if (!client.is_closed) client.connection.close();
    while (!client.is_closed) co_await weft::sleep_for(env::ns_per_ms);
    if (client.received_bytes < client.sent_bytes && !app.is_stop_requested()) {
        co_return weft::fail(weft::Errc::connection_lost, "the server went away before it had sent all back");
    }
    co_return Result<void>{};
}

Task<int> live(weft::app::Application& app, const Settings& settings) {
    Result<void> done;
    if (auto address = env::parse_ip(settings.host, settings.port)) {
        done = co_await (settings.is_server ? serve(app, settings, *address) : talk(app, *address));
    } else {
        done = std::unexpected(std::move(address).error());
    }
    if (!done) fmt::print(stderr, "hello_sock: {}\n", done.error().message);
    co_return done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    weft::app::Application app({.name = "hello_sock",
                                .text = "Sends standard input to an echo server and prints what comes back",
                                .usage = [] { return "The server ends by SIGTERM or Ctrl-C."; }});
    Settings settings;
    weft::app::Options& options = app.options();
    options.add_text("-H,--host-addr", settings.host, "Address of the server");
    options.add_number("-P,--port", settings.port, "Its port", {.min = 1});
    options.add_choice("-N,--sock-impl", settings.implementation, {"posix"}, "Which sockets: there is one kind");
    options.add_flag("-S,--server", settings.is_server, "Be the server");
    options.add_flag("-V,--verbose", settings.is_verbose, "Tell of each connection");
    if (const auto status = app.parse(argc, argv)) return *status;
    return app.run([&] { return live(app, settings); });
}
