// weft_bench_floor: what a plain TCP connection on the loopback can do with the bytes of 4 KiB NVMe/TCP reads.
//
// A server answers each 72 bytes (a command capsule) with 24 bytes and the data (a C2HData PDU), out of memory that is
// in its cache; it looks at nothing. A client keeps a queue depth outstanding. Both poll, each on a CPU of its own, and
// both put all they have into one system call. What a target reaches of this is what NVMe and its devices leave of it.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t capsule_bytes = 72;
constexpr size_t data_header_bytes = 24;
constexpr size_t client_buffer_bytes = 512 * 1024;  // as that of `weft perf`

constexpr const char* usage = R"(weft_bench_floor: reads over a plain TCP connection, without NVMe or a device
  --seconds N       measured, after a warm-up of 0.2 s (1)
  --depth N         reads outstanding (128)
  --size N          bytes of a read (4096)
  --server-cpu N    CPU of the server (0)
  --client-cpu N    CPU of the client (1)
  --congestion NAME congestion control (cubic)
  --copy            the client copies what it receives; otherwise the kernel drops it (MSG_TRUNC)
)";

struct Options {
    double seconds = 1;
    size_t depth = 128;
    size_t size = 4096;
    int server_cpu = 0;
    int client_cpu = 1;
    std::string congestion = "cubic";
    bool copy = false;

    [[nodiscard]] size_t answer_bytes() const { return data_header_bytes + size; }
};

[[noreturn]] void fail(std::string_view what) {
    std::fprintf(stderr, "weft_bench_floor: %.*s: errno %d\n", static_cast<int>(what.size()), what.data(), errno);
    std::exit(1);
}

void pin(int cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<size_t>(cpu), &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0) fail("sched_setaffinity");
}

// Both ends of a connection over the loopback.
struct Pair {
    int server = -1;
    int client = -1;
};

Pair connect_pair(const Options& options) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);

    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, generic, length) != 0 || listen(listener, 1) != 0) fail("listen");
    if (getsockname(listener, generic, &length) != 0) fail("getsockname");
    Pair pair;
    pair.client = socket(AF_INET, SOCK_STREAM, 0);
    if (pair.client < 0 || connect(pair.client, generic, length) != 0) fail("connect");
    pair.server = accept(listener, nullptr, nullptr);
    if (pair.server < 0) fail("accept");
    close(listener);

    for (const int end : {pair.server, pair.client}) {
        const int on = 1;
        if (setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) fail("TCP_NODELAY");
        const auto name_bytes = static_cast<socklen_t>(options.congestion.size());
        if (setsockopt(end, IPPROTO_TCP, TCP_CONGESTION, options.congestion.c_str(), name_bytes) != 0) {
            fail("TCP_CONGESTION");
        }
    }
    return pair;
}

// What a call moved, 0 if it would have had to wait; the other end being gone ends the program.
size_t moved(ssize_t result, std::string_view what) {
    if (result > 0) return static_cast<size_t>(result);
    if (result < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    fail(what);
}

// Answers until it is told to stop. Busy is the time of the turns that did something, as targets count it.
class Server {
public:
    Server(int socket, const Options& options) : socket_(socket), options_(options) {}

    void run() {
        pin(options_.server_cpu);
        Clock::time_point last = Clock::now();
        while (!stop_.load(std::memory_order_relaxed)) {
            const bool worked = turn();
            const Clock::time_point now = Clock::now();
            if (worked)
                busy_.store(busy_.load(std::memory_order_relaxed) + (now - last).count(), std::memory_order_relaxed);
            last = now;
        }
    }

    void stop() { stop_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] int64_t busy_ns() const { return busy_.load(std::memory_order_relaxed); }

private:
    bool turn() {
        const size_t received =
            moved_or_stopped(recv(socket_, commands_.data(), commands_.size(), MSG_DONTWAIT), "server: recv");
        command_bytes_ += received;
        owed_bytes_ += command_bytes_ / capsule_bytes * options_.answer_bytes();
        command_bytes_ %= capsule_bytes;
        if (owed_bytes_ == 0) return received > 0;
        const size_t sent = moved_or_stopped(
            send(socket_, answers_.data(), std::min(owed_bytes_, answers_.size()), MSG_DONTWAIT | MSG_NOSIGNAL),
            "server: send");
        owed_bytes_ -= sent;
        return received > 0 || sent > 0;
    }

    // The client closes its end while we are told to stop.
    size_t moved_or_stopped(ssize_t result, std::string_view what) {
        if (result <= 0 && stop_.load(std::memory_order_relaxed)) return 0;
        return moved(result, what);
    }

    const int socket_;
    const Options& options_;
    std::vector<std::byte> commands_ = std::vector<std::byte>(options_.depth * capsule_bytes);
    std::vector<std::byte> answers_ = std::vector<std::byte>(options_.depth * options_.answer_bytes());
    size_t command_bytes_ = 0;  // of a capsule that is not whole yet
    size_t owed_bytes_ = 0;  // of answers
    std::atomic<bool> stop_ = false;
    std::atomic<int64_t> busy_ = 0;
};

class Client {
public:
    Client(int socket, const Options& options) : socket_(socket), options_(options) {}

    // How many reads ended within `duration`.
    uint64_t run_for(Clock::duration duration) {
        const Clock::time_point end = Clock::now() + duration;
        uint64_t done = 0;
        while (Clock::now() < end) done += turn();
        return done;
    }

private:
    size_t turn() {
        if (unsent_bytes_ > 0) {
            unsent_bytes_ -=
                moved(send(socket_, commands_.data(), unsent_bytes_, MSG_DONTWAIT | MSG_NOSIGNAL), "client: send");
        }
        const int flags = MSG_DONTWAIT | (options_.copy ? 0 : MSG_TRUNC);
        answer_bytes_ += moved(recv(socket_, answers_.data(), answers_.size(), flags), "client: recv");
        const size_t done = answer_bytes_ / options_.answer_bytes();
        answer_bytes_ %= options_.answer_bytes();
        unsent_bytes_ += done * capsule_bytes;
        return done;
    }

    const int socket_;
    const Options& options_;
    std::vector<std::byte> commands_ = std::vector<std::byte>(options_.depth * capsule_bytes);
    std::vector<std::byte> answers_ = std::vector<std::byte>(client_buffer_bytes);
    size_t unsent_bytes_ = options_.depth * capsule_bytes;
    size_t answer_bytes_ = 0;  // of an answer that is not whole yet
};

template <typename Number>
void take_number(std::string_view text, Number least, Number& into) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    if (error == std::errc{} && end == text.data() + text.size() && into >= least) return;
    std::fputs(usage, stderr);
    std::exit(2);
}

Options parse(int argc, char** argv) {
    Options options;
    for (int at = 1; at < argc; ++at) {
        const std::string_view name = argv[at];
        if (name == "--copy") {
            options.copy = true;
            continue;
        }
        const std::string_view value = at + 1 < argc ? argv[++at] : "";
        if (name == "--seconds") {
            take_number(value, 0.01, options.seconds);
        } else if (name == "--depth") {
            take_number<size_t>(value, 1, options.depth);
        } else if (name == "--size") {
            take_number<size_t>(value, 1, options.size);
        } else if (name == "--server-cpu") {
            take_number(value, 0, options.server_cpu);
        } else if (name == "--client-cpu") {
            take_number(value, 0, options.client_cpu);
        } else if (name == "--congestion" && !value.empty()) {
            options.congestion = value;
        } else {
            std::fputs(usage, name == "--help" ? stdout : stderr);
            std::exit(name == "--help" ? 0 : 2);
        }
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    using std::chrono::duration;
    using std::chrono::duration_cast;
    const Options options = parse(argc, argv);
    const Pair pair = connect_pair(options);
    Server server(pair.server, options);
    std::thread server_thread([&server] { server.run(); });

    pin(options.client_cpu);
    Client client(pair.client, options);
    client.run_for(std::chrono::milliseconds(200));
    const int64_t busy_before = server.busy_ns();
    const Clock::time_point begin = Clock::now();
    const uint64_t done = client.run_for(duration_cast<Clock::duration>(duration<double>(options.seconds)));
    const double seconds = duration<double>(Clock::now() - begin).count();
    const int64_t busy = server.busy_ns() - busy_before;

    server.stop();
    server_thread.join();
    close(pair.client);
    close(pair.server);
    std::printf("{\"iops\": %.1f, \"busy_ns\": %.1f, \"operations\": %llu, \"copy\": %s}\n",
                static_cast<double>(done) / seconds,
                static_cast<double>(busy) / static_cast<double>(std::max<uint64_t>(done, 1)),
                static_cast<unsigned long long>(done), options.copy ? "true" : "false");
    return 0;
}
