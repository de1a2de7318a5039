// The log: "[2026-11-20 21:38:00.123456] tcp.cc: 120:accept: *NOTICE*: text" on standard error.
//
// ERROR, WARNING and NOTICE are always possible; INFO and DEBUG only for components whose flag is set
// (option -L, RPC log_set_flag). Never on the data path. Input from outside goes through quoted(), which shows where it
// ends; and whatever a text holds, no control byte of it reaches a terminal or forges a line.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::log {

enum class Level : uint8_t { error, warning, notice, info, debug };

std::string_view name_of(Level level);  // "ERROR" … "DEBUG"
std::optional<Level> level_from_name(std::string_view name);  // exact, upper case

// A component that can be made to talk; constructed once, at namespace scope of the file that defines it, and
// put in the list by register_flag() from the room's own start function. Any thread asks; the app thread sets.
class Flag {
public:
    constexpr explicit Flag(const char* name) : name_(name) {}
    [[nodiscard]] const char* name() const { return name_; }
    [[nodiscard]] bool is_set() const { return set_.load(std::memory_order_relaxed); }

private:
    friend bool set_flag(std::string_view, bool);
    const char* name_;
    std::atomic<bool> set_{false};
};

void register_flag(Flag& flag);
// "all" means every flag. False when there is no such flag.
bool set_flag(std::string_view name, bool on);
struct FlagState {
    std::string_view name;
    bool is_set;
};
std::vector<FlagState> flags();  // in the order of their names

Level print_level();
void set_print_level(Level level);
// The level for the system's log (kept and reported for the field's clients; see docs/operations.md).
Level system_level();
void set_system_level(Level level);
void set_timestamps(bool on);

enum class Format : uint8_t {
    text,
    json,  // {"time": "2026-11-20T21:38:00.123456Z", "level", "file", "line", "function", "message"}
};
void set_format(Format format);

// Of each place in the source at most `lines_max` lines in `window_ms` are written; a line says how many were left out,
// before the next one of anybody. 0: no limit, as it is until this is called.
void set_rate_limit(uint32_t lines_max, uint32_t window_ms);

struct Place {
    const char* file;
    int line;
    const char* function;
};

// Formats and writes one line if `level` is printed. Any thread.
void write(Level level, Place place, std::string_view text);

// Where lines go instead of standard error: for tests, and for the simulator's trace. nullptr: back.
using Sink = void (*)(Level level, std::string_view line);
void set_sink(Sink sink);

// `text` with control bytes and quotes escaped, cut to `size_max` bytes.
std::string quoted(std::string_view text, size_t size_max = 256);

}  // namespace weft::log

#define WEFT_LOG_AT(level, ...) \
    ::weft::log::write(level, ::weft::log::Place{__FILE__, __LINE__, __func__}, ::fmt::format(__VA_ARGS__))
#define WEFT_ERRLOG(...) WEFT_LOG_AT(::weft::log::Level::error, __VA_ARGS__)
#define WEFT_WARNLOG(...) WEFT_LOG_AT(::weft::log::Level::warning, __VA_ARGS__)
#define WEFT_NOTICELOG(...) WEFT_LOG_AT(::weft::log::Level::notice, __VA_ARGS__)
#define WEFT_INFOLOG(flag, ...)                                                  \
    do {                                                                         \
        if ((flag).is_set()) WEFT_LOG_AT(::weft::log::Level::info, __VA_ARGS__); \
    } while (false)
#define WEFT_DEBUGLOG(flag, ...)                                                  \
    do {                                                                          \
        if ((flag).is_set()) WEFT_LOG_AT(::weft::log::Level::debug, __VA_ARGS__); \
    } while (false)
