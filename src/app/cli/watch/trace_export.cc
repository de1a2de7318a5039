#include "app/cli/watch/trace_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "nvme/describe.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

using trace::Entry;
using trace::Kind;
using trace::PointInfo;
using trace::Shape;

// "WRITE", "FABRIC", "IDENTIFY": what the first words of a command's description are.
std::string command_name(uint16_t opcode) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    if (command.is_fabrics()) return "FABRIC";
    std::string text = nvme::describe(command, (opcode & trace::admin_opcode) != 0);
    text.resize(std::min(text.size(), text.find(" cid:")));
    return text;
}

std::string name_of_io(uint16_t type) {
    return type < std::size(trace_io_types) ? std::string(trace_io_types[type]) : std::to_string(type);
}

char letter_of(Kind kind) {
    switch (kind) {
        case Kind::none: return '-';
        case Kind::request: return 'r';
        case Kind::io: return 'i';
        case Kind::queue: return 'q';
        case Kind::thread: return 't';
    }
    return '?';
}

// r1.27: the 27th object of the first reactor; q5: the fifth queue.
std::string id_of(Kind kind, uint64_t object) {
    if (object >> 48 == 0) return fmt::format("{}{}", letter_of(kind), object);
    return fmt::format("{}{}.{}", letter_of(kind), object >> 48, object & 0xFFFFFFFFFFFF);
}

// The arguments of an entry that have names, as text.
struct Argument {
    std::string_view name;
    std::string value;
    bool is_number = true;
};
std::vector<Argument> arguments_of(const PointInfo& info, const Entry& entry) {
    std::vector<Argument> arguments;
    const std::pair<std::string_view, uint64_t> all[] = {
        {info.a, entry.a}, {info.b, entry.b}, {info.c, entry.c}, {info.d, entry.d}};
    for (const auto& [name, value] : all) {
        if (name.empty() || (name == "request" && value == 0)) continue;
        if (name == "request") {
            arguments.push_back({name, id_of(Kind::request, value), false});
        } else if (name == "type") {
            arguments.push_back({name, name_of_io(static_cast<uint16_t>(value)), false});
        } else if (name == "opcode") {
            arguments.push_back({name, command_name(static_cast<uint16_t>(value)), false});
        } else {
            arguments.push_back({name, std::to_string(value)});
        }
    }
    return arguments;
}

class ChromeWriter {
public:
    explicit ChromeWriter(const RecordedTrace& trace) : trace_(trace) {
        base_ = trace.records.empty() ? trace.header.began_ns : trace.records.front().entry.time_ns;
    }

    std::string write() && {
        out_ = "{\"displayTimeUnit\":\"ns\",\"otherData\":";
        out_ += dump_json({{"began_monotonic_ns", base_},
                           {"began_unix_ns", trace_.header.began_wall_ns + (base_ - trace_.header.began_ns)},
                           {"lost_entries", trace_.lost}});
        out_ += ",\"traceEvents\":[\n";
        out_ += fmt::format(R"({{"ph":"M","pid":{},"name":"process_name","args":{{"name":"weftd"}}}})",
                            trace_.header.process_id);
        for (size_t ring = 0; ring < trace_.rings.size(); ++ring) {
            out_ += fmt::format(",\n{{\"ph\":\"M\",\"pid\":{},\"tid\":{},\"name\":\"thread_name\",\"args\":{}}}",
                                trace_.header.process_id, ring + 1, dump_json({{"name", trace_.rings[ring].name}}));
        }
        for (const TraceRecord& record : trace_.records) add(record);
        finish();
        out_ += "\n]}\n";
        return std::move(out_);
    }

private:
    // A command that is open.
    struct Life {
        uint32_t ring = 0;
        std::string name;
        std::string stage;  // "" before the first
        uint64_t io = 0;      // what the device is doing for it
        std::string io_name;  // "" for nothing
    };

    void add(const TraceRecord& record) {
        const PointInfo& info = *trace::find(record.entry.point);
        const bool is_of_object = info.shape != Shape::event && info.shape != Shape::span;
        if (info.shape == Shape::event) return add_event(record, info);
        if (info.shape == Shape::span) return add_span(record, info);
        if (is_of_object && info.object == Kind::io) return add_io(record, info);
        add_request(record, info);
    }

    void begin_event(char phase, std::string_view name, uint32_t ring, uint64_t time_ns) {
        const uint64_t since = time_ns - std::min(time_ns, base_);
        fmt::format_to(std::back_inserter(out_),
                       ",\n{{\"ph\":\"{}\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{}.{:03}", phase, name,
                       trace_.header.process_id, ring + 1, since / 1000, since % 1000);
    }
    void end_event(const std::vector<Argument>& arguments) {
        if (!arguments.empty()) {
            out_ += ",\"args\":{";
            for (const Argument& argument : arguments) {
                const char* const quote = argument.is_number ? "" : "\"";
                fmt::format_to(std::back_inserter(out_), "{}\"{}\":{}{}{}", &argument == arguments.data() ? "" : ",",
                               argument.name, quote, argument.value, quote);
            }
            out_ += '}';
        }
        out_ += '}';
    }

    void add_event(const TraceRecord& record, const PointInfo& info) {
        begin_event('i', info.name, record.ring, record.entry.time_ns);
        out_ += ",\"s\":\"t\"";
        end_event(with_object(info, record.entry));
    }

    void add_span(const TraceRecord& record, const PointInfo& info) {
        const uint64_t length = std::min(record.entry.b, record.entry.time_ns - std::min(record.entry.time_ns, base_));
        begin_event('X', info.name, record.ring, record.entry.time_ns - length);
        fmt::format_to(std::back_inserter(out_), ",\"dur\":{}.{:03}", length / 1000, length % 1000);
        auto arguments = with_object(info, record.entry);
        std::erase_if(arguments, [](const Argument& argument) { return argument.name == "duration"; });
        end_event(arguments);
    }

    static std::vector<Argument> with_object(const PointInfo& info, const Entry& entry) {
        auto arguments = arguments_of(info, entry);
        if (info.object == Kind::queue) arguments.insert(arguments.begin(), {"queue", std::to_string(entry.object)});
        if (info.object == Kind::thread) arguments.insert(arguments.begin(), {"tid", std::to_string(entry.object)});
        return arguments;
    }

    // NOLINTNEXTLINE(readability-function-size): what the event of that format has
    void add_async(char phase, std::string_view category, uint64_t id, std::string_view name, uint32_t ring,
                   uint64_t time_ns, const std::vector<Argument>& arguments = {}) {
        begin_event(phase, name, ring, time_ns);
        fmt::format_to(std::back_inserter(out_), ",\"cat\":\"{}\",\"id\":\"0x{:x}\"", category, id);
        end_event(arguments);
    }

    // One that was open when the trace begins has no name.
    Life& open(uint64_t id, uint32_t ring, uint64_t time_ns) {
        const auto [place, is_new] = lives_.try_emplace(id);
        Life& life = place->second;
        if (is_new) {
            life = {.ring = ring, .name = "began earlier"};
            add_async('b', "nvmf", id, life.name, ring, time_ns);
        }
        return life;
    }
    void close(uint64_t id, uint64_t time_ns, const std::vector<Argument>& arguments = {}) {
        Life& life = lives_.at(id);
        end_io(id, life, time_ns);
        if (!life.stage.empty()) add_async('e', "nvmf", id, life.stage, life.ring, time_ns);
        add_async('e', "nvmf", id, life.name, life.ring, time_ns, arguments);
        lives_.erase(id);
    }
    void end_io(uint64_t id, Life& life, uint64_t time_ns, const std::vector<Argument>& arguments = {}) {
        if (life.io_name.empty()) return;
        add_async('e', "nvmf", id, life.io_name, life.ring, time_ns, arguments);
        life.io_name.clear();
    }

    void add_request(const TraceRecord& record, const PointInfo& info) {
        const Entry& entry = record.entry;
        if (info.shape == Shape::begin) {
            if (lives_.contains(entry.object)) close(entry.object, entry.time_ns);
            Life& life = lives_[entry.object];
            life = {.ring = record.ring, .name = command_name(entry.d)};
            add_async('b', "nvmf", entry.object, life.name, record.ring, entry.time_ns, arguments_of(info, entry));
            enter(entry.object, life, info, entry, {});
        } else if (info.shape == Shape::stage) {
            enter(entry.object, open(entry.object, record.ring, entry.time_ns), info, entry, arguments_of(info, entry));
        } else {
            open(entry.object, record.ring, entry.time_ns);
            auto arguments = arguments_of(info, entry);
            arguments.push_back({"end", std::string(stage_name(info)), false});
            close(entry.object, entry.time_ns, arguments);
        }
    }
    static std::string_view stage_name(const PointInfo& info) {
        constexpr std::string_view prefix = "TCP_REQ_";
        return info.name.starts_with(prefix) ? info.name.substr(prefix.size()) : info.name;
    }
    // Slices of a track lie in one another: what the device does is cut in two where the stage ends before it.
    void enter(uint64_t id, Life& life, const PointInfo& info, const Entry& entry,
               const std::vector<Argument>& arguments) {
        std::string io_name = life.io_name;
        end_io(id, life, entry.time_ns);
        if (!life.stage.empty()) add_async('e', "nvmf", id, life.stage, life.ring, entry.time_ns);
        life.stage = stage_name(info);
        add_async('b', "nvmf", id, life.stage, life.ring, entry.time_ns, arguments);
        if (io_name.empty()) return;
        add_async('b', "nvmf", id, io_name, life.ring, entry.time_ns);
        life.io_name = std::move(io_name);
    }

    void add_io(const TraceRecord& record, const PointInfo& info) {
        const Entry& entry = record.entry;
        const uint64_t owner = entry.a;
        const auto arguments = arguments_of(info, entry);
        if (info.shape == Shape::begin && owner != 0) {
            Life& life = open(owner, record.ring, entry.time_ns);
            end_io(owner, life, entry.time_ns);
            life.io = entry.object;
            life.io_name = "bdev " + name_of_io(entry.d);
            add_async('b', "nvmf", owner, life.io_name, record.ring, entry.time_ns, arguments);
        } else if (info.shape == Shape::begin) {
            const auto [place, is_new] = alone_.try_emplace(entry.object, record);
            if (is_new)
                add_async('b', "bdev", entry.object, "bdev " + name_of_io(entry.d), record.ring, entry.time_ns,
                          arguments);
        } else if (const auto life = lives_.find(owner); owner != 0 && life != lives_.end()) {
            if (life->second.io == entry.object) end_io(owner, life->second, entry.time_ns, arguments);
        } else if (const auto start = alone_.find(entry.object); start != alone_.end()) {
            add_async('e', "bdev", entry.object, "bdev " + name_of_io(start->second.entry.d), record.ring,
                      entry.time_ns, arguments);
            alone_.erase(start);
        }
    }

    // What is open at the end of the trace ends there, and says so.
    void finish() {
        const uint64_t end = trace_.records.empty() ? base_ : trace_.records.back().entry.time_ns;
        while (!lives_.empty()) close(lives_.begin()->first, end, {{"end", "the trace ends", false}});
        for (const auto& [id, start] : alone_) {
            add_async('e', "bdev", id, "bdev " + name_of_io(start.entry.d), start.ring, end,
                      {{"end", "the trace ends", false}});
        }
    }

    const RecordedTrace& trace_;
    uint64_t base_ = 0;
    std::map<uint64_t, Life> lives_;          // commands by id
    std::map<uint64_t, TraceRecord> alone_;   // what devices do for nobody that is traced
    std::string out_;
};

}  // namespace

TraceCollection::TraceCollection(size_t rings, size_t entries_max) : entries_max_(entries_max), rings_(rings) {}

void TraceCollection::take(uint32_t ring, const Entry& entry) {
    rings_.at(ring).push_back(entry);
    if (size_ < entries_max_) {
        ++size_;
        return;
    }
    std::ranges::max_element(rings_, {}, [](const auto& entries) { return entries.size(); })->pop_front();
    ++dropped_;
}

std::vector<TraceRecord> TraceCollection::release() {
    std::vector<TraceRecord> records;
    records.reserve(size());
    for (uint32_t ring = 0; ring < rings_.size(); ++ring) {
        uint32_t number = 0;
        for (const Entry& entry : rings_[ring]) records.push_back({ring, number++, entry});
        rings_[ring] = {};
    }
    size_ = 0;
    std::ranges::sort(records, {}, [](const TraceRecord& record) {
        return std::tuple(record.entry.time_ns, record.ring, record.number);
    });
    return records;
}

std::string to_chrome_json(const RecordedTrace& trace) { return ChromeWriter(trace).write(); }

std::string to_text(const RecordedTrace& trace) {
    std::string out;
    std::unordered_map<uint64_t, uint64_t> began;
    const uint64_t base = trace.records.empty() ? 0 : trace.records.front().entry.time_ns;
    for (const TraceRecord& record : trace.records) {
        const Entry& entry = record.entry;
        const PointInfo& info = *trace::find(entry.point);
        const trace::TraceReader::Ring& ring = trace.rings[record.ring];
        const uint64_t since = entry.time_ns - base;
        fmt::format_to(std::back_inserter(out), "{:<16} {:>2}: {:>9}.{:03} {:<24}", ring.name, ring.cpu, since / 1000,
                       since % 1000, info.name);
        if (info.object != Kind::none)
            fmt::format_to(std::back_inserter(out), " id: {:<10}", id_of(info.object, entry.object));
        if (info.shape == Shape::begin) began[entry.object] = entry.time_ns;
        if (const auto start = began.find(entry.object);
            (info.shape == Shape::stage || info.shape == Shape::end) && start != began.end()) {
            const uint64_t age = entry.time_ns - start->second;
            fmt::format_to(std::back_inserter(out), " time: {}.{:03}", age / 1000, age % 1000);
            if (info.shape == Shape::end) began.erase(start);
        }
        for (const Argument& argument : arguments_of(info, entry)) {
            fmt::format_to(std::back_inserter(out), " {}: {}", argument.name, argument.value);
        }
        out += '\n';
    }
    return out;
}

size_t count_whole_commands(const RecordedTrace& trace) {
    size_t count = 0;
    std::unordered_set<uint64_t> open;
    for (const TraceRecord& record : trace.records) {
        const PointInfo& info = *trace::find(record.entry.point);
        if (info.object != Kind::request) continue;
        if (info.shape == Shape::begin) open.insert(record.entry.object);
        if (info.shape == Shape::end) count += open.erase(record.entry.object);
    }
    return count;
}

}  // namespace weft::cli
