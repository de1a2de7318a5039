// What `weft top` knows: the difference of two answers of weft_get_figures, as tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rpc/json_fwd.h"

namespace weft::cli {

enum class View : uint8_t { namespaces, bdevs, queues, hosts, subsystems, threads, pollers, reactors, connections };
inline constexpr size_t view_count = 9;
std::string_view name_of(View view);  // "namespaces"
std::optional<View> view_of(std::string_view name);

struct Cell {
    std::string text;   // as the target said it: to be cleaned before it is shown
    double value = 0;   // of a number, for sorting
};
struct Column {
    std::string name;
    bool is_text = false;  // to the left, and sorted as text
};
struct Table {
    std::vector<Column> columns;
    std::vector<std::vector<Cell>> rows;
};

// The whole target in a few words.
struct Summary {
    std::string version;
    double seconds = 0;       // between the two answers
    double iops = 0;
    double read_bytes = 0;    // a second
    double written_bytes = 0;
    double busy_reactors = 0; // how many CPUs' worth of turns found work, of the data reactors
    size_t reactors = 0;
    uint64_t connections = 0;
    uint64_t in_flight = 0;
    uint64_t resident_bytes = 0;
    uint64_t queues = 0;
    uint64_t queues_shown = 0;
};

// Both are answers of weft_get_figures; what does not look like one counts as zero or nothing.
Table table_of(View view, const Json& now, const Json& before);
Summary summary_of(const Json& now, const Json& before);

// By column `column`; numbers first the greatest, text first the least, unless `is_reversed`.
void sort_rows(Table& table, size_t column, bool is_reversed);
// Keeps rows with a text cell that contains `wanted`, whatever the case of ASCII letters.
void filter_rows(Table& table, std::string_view wanted);

// "950", "12.3k", "1.24M": at most six characters.
std::string short_count(double value);
std::string short_bytes(double value);    // "512", "4.0K", "1.2G"
std::string short_time(double nanoseconds);  // "850ns", "12us", "1.5ms", "2.1s"

}  // namespace weft::cli
