#include "app/cli/watch/top_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "base/latency.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr std::string_view view_names[view_count] = {"namespaces", "bdevs",   "queues",   "hosts",      "subsystems",
                                                     "threads",    "pollers", "reactors", "connections"};

double number(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_number() ? found->get<double>() : 0;
}
std::string text(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}
const Json& list(const Json& object, const char* name) {
    static const Json none = Json::array();
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_array() ? *found : none;
}
const Json& member(const Json& object, const char* name) {
    static const Json none;
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() ? *found : none;
}

using Key = std::string (*)(const Json&);
// What `item` was like before; null when it was not there.
const Json& earlier(const Json& before, const char* list_name, Key key, const Json& item) {
    static const Json none;
    const std::string wanted = key(item);
    for (const Json& other : list(before, list_name)) {
        if (key(other) == wanted) return other;
    }
    return none;
}

// Between two readings [operations, bytes, sum of latencies, bucket …].
struct Change {
    double operations = 0, bytes = 0, latency = 0;
    std::array<double, LatencyBuckets::bound_count + 1> buckets{};

    void add(const Json& now, const Json& before) {
        const auto at = [](const Json& reading, size_t index) {
            return reading.is_array() && index < reading.size() && reading[index].is_number()
                       ? reading[index].get<double>()
                       : 0.0;
        };
        const auto delta = [&](size_t index) { return std::max(0.0, at(now, index) - at(before, index)); };
        operations += delta(0);
        bytes += delta(1);
        latency += delta(2);
        for (size_t bucket = 0; bucket < buckets.size(); ++bucket) buckets[bucket] += delta(3 + bucket);
    }
    // The bound of the bucket in which the part lies; 0 when there is nothing.
    [[nodiscard]] double quantile(double part) const {
        double total = 0;
        for (const double count : buckets) total += count;
        double so_far = 0;
        for (size_t bucket = 0; total > 0 && bucket < buckets.size(); ++bucket) {
            so_far += buckets[bucket];
            if (so_far >= total * part) {
                return static_cast<double>(LatencyBuckets::bound_ns(std::min(bucket, LatencyBuckets::bound_count)));
            }
        }
        return 0;
    }
};

Cell count_cell(double value) { return {short_count(value), value}; }
Cell bytes_cell(double value) { return {short_bytes(value), value}; }
Cell time_cell(double value) { return {value > 0 ? short_time(value) : "-", value}; }
Cell percent_cell(double part) { return {fmt::format("{:.1f}", part * 100), part}; }
Cell text_cell(std::string value) { return {std::move(value), 0}; }

// The columns that all views of I/O have, behind those that say what it is.
const std::vector<Column> io_columns = {{"r/s"}, {"w/s"}, {"rB/s"}, {"wB/s"}, {"avg"}, {"p50"}, {"p99"}, {"err/s"}};

void add_io(std::vector<Cell>& row, const Json& now, const Json& before, double seconds) {
    Change reads, writes, all;
    reads.add(member(now, "read"), member(before, "read"));
    writes.add(member(now, "write"), member(before, "write"));
    for (const char* kind : {"read", "write", "other", "flush", "unmap"}) {
        all.add(member(now, kind), member(before, kind));
    }
    row.push_back(count_cell(reads.operations / seconds));
    row.push_back(count_cell(writes.operations / seconds));
    row.push_back(bytes_cell(reads.bytes / seconds));
    row.push_back(bytes_cell(writes.bytes / seconds));
    row.push_back(time_cell(all.operations > 0 ? all.latency / all.operations : 0));
    row.push_back(time_cell(all.quantile(0.5)));
    row.push_back(time_cell(all.quantile(0.99)));
    row.push_back(count_cell(std::max(0.0, number(now, "errors") - number(before, "errors")) / seconds));
}

double seconds_between(const Json& now, const Json& before) {
    const double nanoseconds = number(now, "taken_at_ns") - number(before, "taken_at_ns");
    return nanoseconds > 0 ? nanoseconds / 1e9 : 1;
}

std::string key_of_namespace(const Json& item) {
    return fmt::format("{}\n{}", text(item, "subsystem"), number(item, "nsid"));
}
std::string key_of_queue(const Json& item) { return fmt::format("{}", number(item, "uid")); }
std::string key_of_thread(const Json& item) { return fmt::format("{}", number(item, "id")); }
std::string name_key(const Json& item) { return text(item, "name"); }
std::string nqn_key(const Json& item) { return text(item, "nqn"); }

// A view of things with I/O: `describe` gives the cells before the common ones.
Table io_table(const Json& now, const Json& before, const char* name, Key key, std::vector<Column> columns,
               const std::function<std::vector<Cell>(const Json&)>& describe) {
    Table table{std::move(columns), {}};
    table.columns.insert(table.columns.end(), io_columns.begin(), io_columns.end());
    const double seconds = seconds_between(now, before);
    for (const Json& item : list(now, name)) {
        std::vector<Cell> row = describe(item);
        add_io(row, item, earlier(before, name, key, item), seconds);
        table.rows.push_back(std::move(row));
    }
    return table;
}

// Busy and idle time of reactors and threads: the busy part.
double busy_part(const Json& now, const Json& before) {
    const double busy = number(now, "busy_ns") - number(before, "busy_ns");
    const double idle = number(now, "idle_ns") - number(before, "idle_ns");
    return busy > 0 && busy + idle > 0 ? busy / (busy + idle) : 0;
}

Table threads_table(const Json& now, const Json& before) {
    Table table{{{"thread", true}, {"reactor", true}, {"id"}, {"busy %"}, {"pollers"}}, {}};
    for (const Json& thread : list(now, "threads")) {
        table.rows.push_back({text_cell(text(thread, "name")),
                              text_cell(text(thread, "reactor")),
                              {fmt::format("{:.0f}", number(thread, "id")), number(thread, "id")},
                              percent_cell(busy_part(thread, earlier(before, "threads", key_of_thread, thread))),
                              count_cell(static_cast<double>(list(thread, "pollers").size()))});
    }
    return table;
}

Table pollers_table(const Json& now, const Json& before) {
    Table table{{{"poller", true}, {"thread", true}, {"period"}, {"runs/s"}, {"busy/s"}, {"busy %"}}, {}};
    const double seconds = seconds_between(now, before);
    for (const Json& thread : list(now, "threads")) {
        const Json& old_thread = earlier(before, "threads", key_of_thread, thread);
        for (const Json& poller : list(thread, "pollers")) {
            const Json& old = earlier(old_thread, "pollers", name_key, poller);
            const double runs = std::max(0.0, number(poller, "run_count") - number(old, "run_count"));
            const double busy = std::max(0.0, number(poller, "busy_count") - number(old, "busy_count"));
            table.rows.push_back({text_cell(text(poller, "name")), text_cell(text(thread, "name")),
                                  time_cell(number(poller, "period_ns")), count_cell(runs / seconds),
                                  count_cell(busy / seconds), percent_cell(runs > 0 ? busy / runs : 0)});
        }
    }
    return table;
}

Table reactors_table(const Json& now, const Json& before) {
    Table table{{{"reactor", true}, {"cpu"}, {"busy %"}, {"threads"}}, {}};
    for (const Json& reactor : list(now, "reactors")) {
        const double cpu = number(reactor, "cpu");
        double threads = 0;
        for (const Json& thread : list(now, "threads")) {
            if (text(thread, "reactor") == text(reactor, "name")) ++threads;
        }
        table.rows.push_back({text_cell(text(reactor, "name")),
                              {cpu < 0 ? "-" : fmt::format("{:.0f}", cpu), cpu},
                              percent_cell(busy_part(reactor, earlier(before, "reactors", name_key, reactor))),
                              count_cell(threads)});
    }
    return table;
}

// Transports of the poll groups.
Table connections_table(const Json& now, const Json& before) {
    Table table{{{"poll group", true},
                 {"type", true},
                 {"conns"},
                 {"admin"},
                 {"io"},
                 {"recv B/s"},
                 {"sent B/s"},
                 {"flight"},
                 {"waiting"},
                 {"new/s"},
                 {"broken"}},
                {}};
    const double seconds = seconds_between(now, before);
    const auto trtype_key = [](const Json& item) { return text(item, "trtype"); };
    for (const Json& group : list(now, "poll_groups")) {
        const Json& old_group = earlier(before, "poll_groups", name_key, group);
        for (const Json& transport : list(group, "transports")) {
            const Json& old = earlier(old_group, "transports", trtype_key, transport);
            const auto rate = [&](const char* name) {
                return std::max(0.0, number(transport, name) - number(old, name)) / seconds;
            };
            table.rows.push_back({text_cell(text(group, "name")), text_cell(text(transport, "trtype")),
                                  count_cell(number(transport, "connections")),
                                  count_cell(number(group, "admin_qpairs")), count_cell(number(group, "io_qpairs")),
                                  bytes_cell(rate("received_bytes")), bytes_cell(rate("sent_bytes")),
                                  count_cell(number(transport, "in_flight")),
                                  count_cell(number(transport, "buffer_waiters")), count_cell(rate("accepted")),
                                  count_cell(number(transport, "protocol_errors"))});
        }
    }
    return table;
}

Table subsystems_table(const Json& now) {
    Table table{{{"subsystem", true}, {"state", true}, {"listeners", true}, {"ns"}, {"ctrls"}}, {}};
    for (const Json& subsystem : list(now, "subsystems")) {
        const std::string nqn = text(subsystem, "nqn");
        std::string listeners;
        for (const Json& listener : list(subsystem, "listeners")) {
            if (listener.is_string()) listeners += (listeners.empty() ? "" : ", ") + listener.get<std::string>();
        }
        const auto count = [&](const char* name) {
            double mine = 0;
            for (const Json& item : list(now, name)) mine += text(item, "subsystem") == nqn ? 1 : 0;
            return mine;
        };
        table.rows.push_back({text_cell(nqn), text_cell(text(subsystem, "state")), text_cell(listeners),
                              count_cell(count("namespaces")), count_cell(count("controllers"))});
    }
    return table;
}

char lower(char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
}

// Three digits and a letter of `units`.
std::string shortened(double value, double step, std::string_view units) {
    if (!std::isfinite(value)) return "?";
    size_t unit = 0;
    while (std::abs(value) >= step * 0.9995 && unit + 1 < units.size()) {
        value /= step;
        ++unit;
    }
    const std::string digits = unit == 0 && value == std::floor(value) ? fmt::format("{:.0f}", value)
                               : value < 9.995                         ? fmt::format("{:.2f}", value)
                               : value < 99.95                         ? fmt::format("{:.1f}", value)
                                                                       : fmt::format("{:.0f}", value);
    return unit == 0 ? digits : digits + units[unit];
}

}  // namespace

std::string_view name_of(View view) { return view_names[static_cast<size_t>(view)]; }

std::optional<View> view_of(std::string_view name) {
    const auto found = std::ranges::find(view_names, name);
    if (found == std::end(view_names)) return std::nullopt;
    return static_cast<View>(found - std::begin(view_names));
}

Table table_of(View view, const Json& now, const Json& before) {
    switch (view) {
        case View::namespaces:
            return io_table(now, before, "namespaces", key_of_namespace, {{"subsystem", true}, {"ns"}, {"bdev", true}},
                            [](const Json& item) {
                                return std::vector<Cell>{
                                    text_cell(text(item, "subsystem")),
                                    {fmt::format("{:.0f}", number(item, "nsid")), number(item, "nsid")},
                                    text_cell(text(item, "bdev"))};
                            });
        case View::bdevs:
            return io_table(now, before, "bdevs", name_key, {{"bdev", true}, {"flight"}}, [](const Json& item) {
                return std::vector<Cell>{text_cell(text(item, "name")), count_cell(number(item, "in_flight"))};
            });
        case View::queues:
            return io_table(now, before, "queues", key_of_queue, {{"host", true}, {"ctrl"}, {"q"}, {"flight"}},
                            [](const Json& item) {
                                return std::vector<Cell>{
                                    text_cell(text(item, "host")),
                                    {fmt::format("{:.0f}", number(item, "cntlid")), number(item, "cntlid")},
                                    {fmt::format("{:.0f}", number(item, "qid")), number(item, "qid")},
                                    count_cell(number(item, "outstanding"))};
                            });
        case View::hosts:
            return io_table(now, before, "hosts", nqn_key, {{"host", true}, {"queues"}}, [](const Json& item) {
                const std::string nqn = text(item, "nqn");
                return std::vector<Cell>{text_cell(nqn.empty() ? "(gone long ago)" : nqn),
                                         count_cell(number(item, "queues"))};
            });
        case View::subsystems: return subsystems_table(now);
        case View::threads: return threads_table(now, before);
        case View::pollers: return pollers_table(now, before);
        case View::reactors: return reactors_table(now, before);
        case View::connections: return connections_table(now, before);
    }
    return {};
}

Summary summary_of(const Json& now, const Json& before) {
    Summary summary{.version = text(now, "version"), .seconds = seconds_between(now, before)};
    Change reads, writes, others;
    for (const Json& ns : list(now, "namespaces")) {
        const Json& old = earlier(before, "namespaces", key_of_namespace, ns);
        reads.add(member(ns, "read"), member(old, "read"));
        writes.add(member(ns, "write"), member(old, "write"));
        others.add(member(ns, "other"), member(old, "other"));
    }
    summary.iops = (reads.operations + writes.operations + others.operations) / summary.seconds;
    summary.read_bytes = reads.bytes / summary.seconds;
    summary.written_bytes = writes.bytes / summary.seconds;
    for (const Json& reactor : list(now, "reactors")) {
        if (number(reactor, "cpu") < 0) continue;
        ++summary.reactors;
        summary.busy_reactors += busy_part(reactor, earlier(before, "reactors", name_key, reactor));
    }
    double connections = 0, in_flight = 0;
    for (const Json& group : list(now, "poll_groups")) {
        for (const Json& transport : list(group, "transports")) {
            connections += number(transport, "connections");
            in_flight += number(transport, "in_flight");
        }
    }
    summary.connections = static_cast<uint64_t>(connections);
    summary.in_flight = static_cast<uint64_t>(in_flight);
    summary.resident_bytes = static_cast<uint64_t>(number(now, "resident_bytes"));
    summary.queues = static_cast<uint64_t>(number(now, "queue_count"));
    summary.queues_shown = list(now, "queues").size();
    return summary;
}

void sort_rows(Table& table, size_t column, bool is_reversed) {
    if (column >= table.columns.size()) return;
    const bool is_text = table.columns[column].is_text;
    const auto is_before = [&](const std::vector<Cell>& left, const std::vector<Cell>& right) {
        return is_text ? left[column].text < right[column].text : left[column].value > right[column].value;
    };
    // Equal ones keep their order, so that rows do not jump about.
    std::vector<size_t> order(table.rows.size());
    for (size_t at = 0; at < order.size(); ++at) order[at] = at;
    std::ranges::sort(order, [&](size_t left, size_t right) {
        const auto& first = table.rows[is_reversed ? right : left];
        const auto& second = table.rows[is_reversed ? left : right];
        if (is_before(first, second)) return true;
        return !is_before(second, first) && left < right;
    });
    std::vector<std::vector<Cell>> rows;
    rows.reserve(order.size());
    for (const size_t at : order) rows.push_back(std::move(table.rows[at]));
    table.rows = std::move(rows);
}

void filter_rows(Table& table, std::string_view wanted) {
    if (wanted.empty()) return;
    std::erase_if(table.rows, [&](const std::vector<Cell>& row) {
        for (size_t at = 0; at < row.size(); ++at) {
            if (!table.columns[at].is_text) continue;
            const auto same = [](char left, char right) { return lower(left) == lower(right); };
            if (!std::ranges::search(row[at].text, wanted, same).empty()) return false;
        }
        return true;
    });
}

std::string short_count(double value) { return shortened(value, 1000, " kMGT"); }
std::string short_bytes(double value) { return shortened(value, 1024, " KMGTPE"); }
std::string short_time(double nanoseconds) {
    if (nanoseconds < 999.5) return fmt::format("{:.0f}ns", nanoseconds);
    if (nanoseconds < 999'500) return fmt::format("{:.3g}us", nanoseconds / 1e3);
    if (nanoseconds < 999'500'000) return fmt::format("{:.3g}ms", nanoseconds / 1e6);
    return fmt::format("{:.3g}s", nanoseconds / 1e9);
}

}  // namespace weft::cli
