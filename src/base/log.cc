#include "base/log.h"

#include <algorithm>
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
    std::atomic<Sink> sink{nullptr};
    std::vector<Flag*> flags;
};

State& state() {
    static State the_state;
    return the_state;
}

constexpr std::string_view names[] = {"ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"};

std::string timestamp() {
    using namespace std::chrono;
    const auto now = system_clock::now();
    const auto micros = duration_cast<microseconds>(now.time_since_epoch()).count() % 1'000'000;
    const std::time_t seconds = system_clock::to_time_t(now);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    return fmt::format("[{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}] ", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, micros);
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
void set_sink(Sink sink) { state().sink = sink; }

void write(Level level, Place place, std::string_view text) {
    if (level > print_level()) return;
    const std::string_view path(place.file);
    const std::string_view file = path.substr(path.find_last_of('/') + 1);
    const std::string line = fmt::format("{}{}:{:4}:{}: *{}*: {}\n", state().timestamps ? timestamp() : "", file,
                                         place.line, place.function, name_of(level), text);
    if (const Sink sink = state().sink) {
        sink(level, line);
        return;
    }
    // One write for one line, so that lines of several threads do not mix.
    std::fwrite(line.data(), 1, line.size(), stderr);
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
