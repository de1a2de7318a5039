#include "base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace weft::log {

namespace {

struct State {
    std::atomic<Level> print{Level::info};
    std::atomic<Level> system{Level::notice};
    std::atomic<bool> timestamps{true};
    std::atomic<Format> format{Format::text};
    std::atomic<uint32_t> lines_max{0};
    std::atomic<uint32_t> window_ms{0};
    std::atomic<Sink> sink{nullptr};
    std::vector<Flag*> flags;
};

State& state() {
    static State the_state;
    return the_state;
}

constexpr std::string_view names[] = {"ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"};

std::string timestamp(Format format) {
    using namespace std::chrono;
    const auto now = system_clock::now();
    const auto micros = duration_cast<microseconds>(now.time_since_epoch()).count() % 1'000'000;
    const std::time_t seconds = system_clock::to_time_t(now);
    std::tm parts{};
    if (format == Format::json) {
        gmtime_r(&seconds, &parts);
    } else {
        localtime_r(&seconds, &parts);
    }
    const std::string date = fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    const std::string time = fmt::format("{:02}:{:02}:{:02}.{:06}", parts.tm_hour, parts.tm_min, parts.tm_sec, micros);
    return format == Format::json ? fmt::format("{}T{}Z", date, time) : fmt::format("[{} {}] ", date, time);
}

bool is_plain(unsigned char byte) { return byte >= 0x20 && byte < 0x7F; }

// The length of the well-formed UTF-8 sequence that `text` begins with, if it is a character that may be shown; else 0.
// U+0080 to U+009F are control characters, too.
size_t utf8_length(std::string_view text) {
    const auto byte = [text](size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(0);
    if (first < 0xC2 || first > 0xF4) return 0;
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (text.size() < length) return 0;
    for (size_t at = 1; at < length; ++at) {
        if ((byte(at) & 0xC0) != 0x80) return 0;
    }
    const unsigned char second = byte(1);
    if (first == 0xC2 && second < 0xA0) return 0;
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
    if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
    return length;
}

// Bytes that a terminal would obey, or not show, become \xNN; in JSON, whose backslashes are doubled, \\xNN.
std::string clean(std::string_view text, Format format) {
    std::string shown;
    shown.reserve(text.size());
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text.front());
        size_t length = 1;
        if (is_plain(byte)) {
            if (format == Format::json && (byte == '"' || byte == '\\')) shown += '\\';
            shown += text.front();
        } else if (length = utf8_length(text); length > 0) {
            shown += text.substr(0, length);
        } else {
            length = 1;
            shown += fmt::format("{}x{:02x}", format == Format::json ? "\\\\" : "\\", byte);
        }
        text.remove_prefix(length);
    }
    return shown;
}

// How much each place in the source has written lately. A place takes an entry for good at its first line; those that
// find none are not limited.
struct Site {
    std::atomic<uint64_t> key{0};  // 0: free
    std::atomic<const char*> file{nullptr};
    std::atomic<int> line{0};
    std::atomic<uint64_t> window{0};
    std::atomic<uint32_t> written{0};
    std::atomic<uint32_t> left_out{0};
};
constexpr size_t site_max = 512;
constexpr size_t site_probes = 16;
std::array<Site, site_max> sites;
std::atomic<uint32_t> sites_silenced{0};

std::string_view name_of(const char* path) {
    const std::string_view whole(path);
    return whole.substr(whole.find_last_of('/') + 1);
}

Site* site_of(const Place& place) {
    uint64_t key = static_cast<uint64_t>(place.line);
    for (const char character : name_of(place.file))
        key = (key ^ static_cast<unsigned char>(character)) * 0x100000001B3U;
    key |= 1;
    for (size_t probe = 0; probe < site_probes; ++probe) {
        Site& site = sites[((key >> 20) + probe) % site_max];
        uint64_t seen = 0;
        if (site.key.compare_exchange_strong(seen, key)) {
            site.file = place.file;
            site.line = place.line;
            return &site;
        }
        if (seen == key) return &site;
    }
    return nullptr;
}

uint64_t window_now() {
    using namespace std::chrono;
    const uint32_t length = std::max(state().window_ms.load(), 1U);
    return static_cast<uint64_t>(duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count()) / length;
}

// What all places together may write in a window, when they are limited at all: many places that are each within their
// limit must not fill a disk either. Less than a megabyte a minute with windows of five seconds.
constexpr uint32_t window_bytes_max = 72 * 1024;
std::atomic<uint64_t> bytes_window{0};
std::atomic<uint32_t> bytes_written{0};

// Whether the place may write a line of so many bytes now.
bool is_let_through(const Place& place, size_t bytes) {
    const uint32_t lines_max = state().lines_max;
    Site* site = lines_max == 0 ? nullptr : site_of(place);
    if (site == nullptr) return true;
    const uint64_t window = window_now();
    if (site->window.exchange(window) != window) site->written = 0;
    if (bytes_window.exchange(window) != window) bytes_written = 0;
    const bool has_room = bytes_written.load() + bytes <= window_bytes_max;
    if (has_room && site->written.fetch_add(1) < lines_max) {
        bytes_written += static_cast<uint32_t>(bytes);
        return true;
    }
    if (site->left_out.fetch_add(1) == 0) ++sites_silenced;
    return false;
}

void write_line(Level level, const Place& place, std::string_view text) {
    const std::string_view file = name_of(place.file);
    const Format format = state().format;
    std::string line;
    if (format == Format::json) {
        line = fmt::format(R"({{"time":"{}","level":"{}","file":"{}","line":{},"function":"{}","message":"{}"}})"
                           "\n",
                           timestamp(format), name_of(level), file, place.line, place.function, clean(text, format));
    } else {
        line = fmt::format("{}{}:{:4}:{}: *{}*: {}\n", state().timestamps ? timestamp(format) : "", file, place.line,
                           place.function, name_of(level), clean(text, format));
    }
    if (const Sink sink = state().sink) {
        sink(level, line);
        return;
    }
    // One write for one line, so that lines of several threads do not mix.
    std::fwrite(line.data(), 1, line.size(), stderr);
}

// Says what was left out in windows that are over.
void tell_left_out() {
    const uint64_t window = window_now();
    for (Site& site : sites) {
        if (site.left_out == 0 || site.window == window) continue;
        const uint32_t count = site.left_out.exchange(0);
        const char* const file = site.file;
        if (count == 0 || file == nullptr) continue;  // another thread was quicker
        --sites_silenced;
        write_line(Level::warning, {.file = file, .line = site.line, .function = "log"},
                   fmt::format("{} more lines of this place were left out", count));
    }
}

}  // namespace

std::string_view name_of(Level level) { return names[static_cast<size_t>(level)]; }

std::optional<Level> level_from_name(std::string_view name) {
    for (size_t at = 0; at < std::size(names); ++at) {
        if (names[at] == name) return static_cast<Level>(at);
    }
    return std::nullopt;
}

void register_flag(Flag& flag) {
    auto& all = state().flags;
    if (std::find(all.begin(), all.end(), &flag) != all.end()) return;
    const auto by_name = [](const Flag* left, const Flag* right) {
        return std::string_view(left->name()) < std::string_view(right->name());
    };
    all.insert(std::upper_bound(all.begin(), all.end(), &flag, by_name), &flag);
}

bool set_flag(std::string_view name, bool on) {
    bool found = name == "all";
    for (Flag* flag : state().flags) {
        if (name != "all" && name != flag->name()) continue;
        flag->set_.store(on, std::memory_order_relaxed);
        found = true;
    }
    return found;
}

std::vector<FlagState> flags() {
    std::vector<FlagState> states;
    for (const Flag* flag : state().flags) states.push_back({flag->name(), flag->is_set()});
    return states;
}

Level print_level() { return state().print; }
void set_print_level(Level level) { state().print = level; }
Level system_level() { return state().system; }
void set_system_level(Level level) { state().system = level; }
void set_timestamps(bool on) { state().timestamps = on; }
void set_format(Format format) { state().format = format; }
void set_rate_limit(uint32_t lines_max, uint32_t window_ms) {
    state().window_ms = window_ms;
    state().lines_max = lines_max;
}
void set_sink(Sink sink) { state().sink = sink; }

void write(Level level, Place place, std::string_view text) {
    if (level > print_level()) return;
    constexpr size_t around = 100;  // time, place and level
    if (!is_let_through(place, text.size() + around)) return;
    if (sites_silenced > 0) tell_left_out();
    write_line(level, place, text);
}

std::string quoted(std::string_view text, size_t size_max) {
    std::string clean;
    for (const char character : text.substr(0, size_max)) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte < 0x20 || byte >= 0x7F || character == '"' || character == '\\') {
            clean += fmt::format("\\x{:02x}", byte);
        } else {
            clean += character;
        }
    }
    if (text.size() > size_max) clean += "…";
    return clean;
}

}  // namespace weft::log
