#include "rpc/legacy_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/log.h"
#include "base/utf8.h"
#include "rpc/json.h"
#include "rpc/spelling.h"

namespace weft::rpc {

namespace {

constexpr size_t lines_max = 100'000;
constexpr uint64_t luns_max = 1024;
constexpr std::string_view blanks = " \t\r";

struct Line {
    size_t number = 0;
    std::string key;
    std::vector<std::string> values;
};

struct Section {
    size_t number = 0;  // of its line
    std::string name;   // "Subsystem1"
    std::vector<Line> lines;
};

std::unexpected<Error> refuse(size_t number, std::string_view why) {
    return fail(Errc::invalid_argument, fmt::format("line {}: {}", number, why));
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Words between blanks; a quoted one may hold blanks.
Result<std::vector<std::string>> words_of(std::string_view text, size_t number) {
    std::vector<std::string> words;
    for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
        const bool is_quoted = text.starts_with('"');
        const size_t end = is_quoted ? text.find('"', 1) : text.find_first_of(blanks);
        if (is_quoted && end == std::string_view::npos) return refuse(number, "a quotation does not end");
        words.emplace_back(is_quoted ? text.substr(1, end - 1) : text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(is_quoted ? end + 1 : end);
    }
    return words;
}

Result<std::vector<Section>> read_sections(std::string_view text) {
    std::vector<Section> sections;
    for (size_t number = 1; !text.empty(); ++number) {
        if (number > lines_max) return refuse(number, "the file is too long");
        const size_t end = text.find('\n');
        const std::string_view line = trimmed(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
        // In JSON it would become another name, and two names perhaps one.
        if (!is_utf8(line)) return refuse(number, "this is not UTF-8");
        if (line.starts_with('[')) {
            if (!line.ends_with(']')) return refuse(number, "a section's name ends with ]");
            sections.push_back({.number = number, .name = std::string(trimmed(line.substr(1, line.size() - 2)))});
            continue;
        }
        if (sections.empty()) return refuse(number, "before the first [Section]");
        auto words = words_of(line, number);
        if (!words) return std::unexpected(std::move(words).error());
        Line& entry = sections.back().lines.emplace_back();
        entry.number = number;
        entry.key = words->front();
        entry.values.assign(words->begin() + 1, words->end());
    }
    return sections;
}

Result<uint64_t> number_of(const Line& line, const std::string& text, uint64_t max = UINT32_MAX) {
    uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || rest != end || value > max) {
        return refuse(line.number,
                      fmt::format("{}: '{}' is not a number up to {}", line.key, log::quoted(text, 48), max));
    }
    return value;
}

Result<bool> truth_of(const Line& line, const std::string& text) {
    if (text == "Yes" || text == "yes" || text == "True" || text == "true" || text == "Y" || text == "1") return true;
    if (text == "No" || text == "no" || text == "False" || text == "false" || text == "N" || text == "0") return false;
    return refuse(line.number, fmt::format("{}: '{}' is neither Yes nor No", line.key, log::quoted(text, 48)));
}

// A key and the parameter that it became.
struct Rename {
    std::string_view key;
    std::string_view param;
    enum class Type : uint8_t { text, number, truth, absent } type;
};
using Type = Rename::Type;

constexpr Rename transport_keys[] = {
    {"Type", "trtype", Type::text},
    {"MaxQueueDepth", "max_queue_depth", Type::number},
    {"MaxQueuesPerSession", "max_qpairs_per_ctrlr", Type::number},
    {"MaxQPairsPerCtrlr", "max_qpairs_per_ctrlr", Type::number},
    {"InCapsuleDataSize", "in_capsule_data_size", Type::number},
    {"MaxIOSize", "max_io_size", Type::number},
    {"IOUnitSize", "io_unit_size", Type::number},
    {"MaxAQDepth", "max_aq_depth", Type::number},
    {"NumSharedBuffers", "num_shared_buffers", Type::number},
    {"BufCacheSize", "buf_cache_size", Type::number},
    {"MaxSRQDepth", "max_srq_depth", Type::number},
    {"NoSRQ", "no_srq", Type::truth},
    {"C2HSuccess", "c2h_success", Type::truth},
    {"DifInsertOrStrip", "dif_insert_or_strip", Type::truth},
    {"SockPriority", "sock_priority", Type::number},
    {"AcceptorBacklog", "acceptor_backlog", Type::number},
    {"AbortTimeoutSec", "abort_timeout_sec", Type::number},
    {"AcceptorPollRate", "", Type::absent},
    {"AcceptorCore", "", Type::absent},
};

constexpr Rename subsystem_keys[] = {
    {"NQN", "nqn", Type::text},
    {"SN", "serial_number", Type::text},
    {"MN", "model_number", Type::text},
    {"MaxNamespaces", "max_namespaces", Type::number},
    {"AllowAnyHost", "allow_any_host", Type::truth},
    {"Core", "", Type::absent},
    {"Mode", "", Type::absent},
};

constexpr std::string_view transport_id_keys[] = {"trtype", "adrfam",  "traddr",   "trsvcid",  "priority",
                                                  "subnqn", "hostnqn", "hostaddr", "hostsvcid"};

class Converter {
public:
    explicit Converter(std::vector<std::string>& notes) : notes_(notes) {}

    Result<Json> convert(const std::vector<Section>& sections) {
        // [Nvmf] is older than [Transport]: there its keys are those of each transport.
        for (const Section& section : sections) {
            if (section.name != "Nvmf") continue;
            if (nvmf_ != nullptr) return refuse(section.number, "[Nvmf] is there twice");
            nvmf_ = &section;
        }
        for (const Section& section : sections) WEFT_TRY(read(section));
        if (nvmf_ != nullptr && transports_.empty() && !listened_trtype_.empty()) {
            Json params{{"trtype", listened_trtype_}};
            for (const Line& line : nvmf_->lines) WEFT_TRY(rename(*nvmf_, line, transport_keys, params));
            add(transports_, "nvmf_create_transport", std::move(params));
        } else if (nvmf_ != nullptr) {
            for (const Line& line : nvmf_->lines) note_absent(*nvmf_, line);
        }
        Json nvmf = Json::array();
        for (Json& call : transports_) nvmf.push_back(std::move(call));
        for (Json& call : subsystems_) nvmf.push_back(std::move(call));
        return Json{{"subsystems", Json::array({{{"subsystem", "bdev"}, {"config", std::move(bdevs_)}},
                                                {{"subsystem", "nvmf"}, {"config", std::move(nvmf)}}})}};
    }

private:
    static void add(Json& calls, std::string_view method, Json params) {
        calls.push_back({{"method", method}, {"params", std::move(params)}});
    }
    void note_absent(const Section& section, const Line& line) {
        notes_.push_back(fmt::format("line {}: [{}] {}: changes nothing here", line.number,
                                     log::quoted(section.name, 32), log::quoted(line.key, 32)));
    }
    static Result<std::string> one_value(const Line& line) {
        if (line.values.size() != 1) return refuse(line.number, fmt::format("{}: one value is wanted", line.key));
        return line.values.front();
    }

    Result<void> read(const Section& section) {
        const std::string_view name = section.name;
        if (name.starts_with("Transport")) return read_transport(section);
        if (name.starts_with("Subsystem")) return read_subsystem(section);
        if (name == "Malloc") return read_malloc(section);
        if (name == "Null") return read_null(section);
        if (name == "AIO") return read_aio(section);
        if (name == "Nvme") return read_nvme(section);
        if (name == "Nvmf") return {};
        if (name == "Global" || name == "Rpc" || name == "Bdev" || name == "Ioat" || name == "Scheduler") {
            for (const Line& line : section.lines) note_absent(section, line);
            return {};
        }
        return refuse(section.number, fmt::format("[{}]: there is no such section; there are Transport, Subsystem1…, "
                                                  "Malloc, Null, AIO, Nvme, Nvmf, Global, Rpc",
                                                  log::quoted(name, 48)));
    }

    Result<void> rename(const Section& section, const Line& line, std::span<const Rename> keys, Json& params) {
        std::vector<std::string_view> known;
        for (const Rename& key : keys) {
            known.push_back(key.key);
            if (key.key != line.key) continue;
            if (key.type == Type::absent) {
                note_absent(section, line);
                return {};
            }
            auto text = one_value(line);
            if (!text) return std::unexpected(std::move(text).error());
            const std::string param(key.param);
            if (params.contains(param)) return refuse(line.number, fmt::format("{} is there twice", line.key));
            if (key.type == Type::text) {
                params[param] = *text;
            } else if (key.type == Type::number) {
                const auto value = number_of(line, *text);
                if (!value) return std::unexpected(value.error());
                params[param] = *value;
            } else {
                const auto value = truth_of(line, *text);
                if (!value) return std::unexpected(value.error());
                params[param] = *value;
            }
            return {};
        }
        const std::string_view near = nearest_spelling(line.key, known);
        return refuse(line.number, fmt::format("[{}] {}: there is no such key{}{}", log::quoted(section.name, 32),
                                               log::quoted(line.key, 48), near.empty() ? "" : "; did you mean ", near));
    }

    Result<void> read_transport(const Section& section) {
        Json params = Json::object();
        for (const Line& line : section.lines) WEFT_TRY(rename(section, line, transport_keys, params));
        if (!params.contains("trtype")) return refuse(section.number, "[Transport] has no Type");
        add(transports_, "nvmf_create_transport", std::move(params));
        return {};
    }

    // "192.168.0.1:4420", "[::1]:4420".
    Result<Json> listen_address(const Line& line) {
        if (line.values.size() != 2) return refuse(line.number, "Listen: TYPE ADDRESS:PORT is wanted");
        const std::string& where = line.values[1];
        const size_t colon = where.rfind(':');
        if (colon == std::string::npos) return refuse(line.number, "Listen: the address has no :PORT");
        std::string host = where.substr(0, colon);
        const bool is_v6 = host.starts_with('[') && host.ends_with(']');
        if (is_v6) host = host.substr(1, host.size() - 2);
        listened_trtype_ = line.values[0];
        return Json{{"trtype", line.values[0]},
                    {"adrfam", is_v6 ? "IPv6" : "IPv4"},
                    {"traddr", host},
                    {"trsvcid", where.substr(colon + 1)}};
    }

    Result<void> read_subsystem(const Section& section) {
        Json params = Json::object();
        Json later = Json::array();
        for (const Line& line : section.lines) {
            if (line.key == "Listen") {
                auto address = listen_address(line);
                if (!address) return std::unexpected(std::move(address).error());
                add(later, "nvmf_subsystem_add_listener", {{"listen_address", std::move(*address)}});
            } else if (line.key == "Host") {
                for (const std::string& host : line.values) add(later, "nvmf_subsystem_add_host", {{"host", host}});
            } else if (line.key == "Namespace") {
                if (line.values.empty() || line.values.size() > 2) {
                    return refuse(line.number, "Namespace: BDEV [NSID] is wanted");
                }
                Json ns{{"bdev_name", line.values[0]}};
                if (line.values.size() == 2) {
                    const auto nsid = number_of(line, line.values[1]);
                    if (!nsid) return std::unexpected(nsid.error());
                    ns["nsid"] = *nsid;
                }
                add(later, "nvmf_subsystem_add_ns", {{"namespace", std::move(ns)}});
            } else {
                WEFT_TRY(rename(section, line, subsystem_keys, params));
            }
        }
        const auto nqn = params.find("nqn");
        if (nqn == params.end())
            return refuse(section.number, fmt::format("[{}] has no NQN", log::quoted(section.name, 32)));
        for (Json& call : later) call["params"]["nqn"] = *nqn;
        add(subsystems_, "nvmf_create_subsystem", std::move(params));
        for (Json& call : later) subsystems_.push_back(std::move(call));
        return {};
    }

    Result<void> read_malloc(const Section& section) {
        uint64_t count = 0;
        uint64_t mebibytes = 64;
        uint64_t block_size = 512;
        for (const Line& line : section.lines) {
            auto text = one_value(line);
            if (!text) return std::unexpected(std::move(text).error());
            uint64_t* const into = line.key == "NumberOfLuns"  ? &count
                                   : line.key == "LunSizeInMB" ? &mebibytes
                                   : line.key == "BlockSize"   ? &block_size
                                                               : nullptr;
            if (into == nullptr) {
                return refuse(line.number, fmt::format("[Malloc] {}: there are NumberOfLuns, LunSizeInMB, BlockSize",
                                                       log::quoted(line.key, 48)));
            }
            const auto value = number_of(line, *text, into == &count ? luns_max : UINT32_MAX);
            if (!value) return std::unexpected(value.error());
            *into = *value;
        }
        if (block_size == 0) return refuse(section.number, "[Malloc] BlockSize is 0");
        for (uint64_t at = 0; at < count; ++at) {
            add(bdevs_, "bdev_malloc_create",
                {{"name", fmt::format("Malloc{}", at)},
                 {"num_blocks", (mebibytes << 20) / block_size},
                 {"block_size", block_size}});
        }
        return {};
    }

    // Dev NAME MIB BLOCK_SIZE
    Result<void> read_null(const Section& section) {
        for (const Line& line : section.lines) {
            if (line.key != "Dev" || line.values.size() != 3) {
                return refuse(line.number, "[Null]: Dev NAME SIZE_IN_MB BLOCK_SIZE is wanted");
            }
            const auto mebibytes = number_of(line, line.values[1]);
            if (!mebibytes) return std::unexpected(mebibytes.error());
            const auto block_size = number_of(line, line.values[2]);
            if (!block_size) return std::unexpected(block_size.error());
            if (*block_size == 0) return refuse(line.number, "Dev: a block size of 0");
            add(bdevs_, "bdev_null_create",
                {{"name", line.values[0]},
                 {"num_blocks", (*mebibytes << 20) / *block_size},
                 {"block_size", *block_size}});
        }
        return {};
    }

    // AIO FILE NAME [BLOCK_SIZE]
    Result<void> read_aio(const Section& section) {
        for (const Line& line : section.lines) {
            if (line.key != "AIO" || line.values.size() < 2 || line.values.size() > 3) {
                return refuse(line.number, "[AIO]: AIO FILE NAME [BLOCK_SIZE] is wanted");
            }
            Json params{{"name", line.values[1]}, {"filename", line.values[0]}};
            if (line.values.size() == 3) {
                const auto block_size = number_of(line, line.values[2]);
                if (!block_size) return std::unexpected(block_size.error());
                params["block_size"] = *block_size;
            }
            add(bdevs_, "bdev_aio_create", std::move(params));
        }
        return {};
    }

    // TransportID "trtype:PCIe traddr:0000:02:00.0" Nvme0
    Result<void> read_nvme(const Section& section) {
        for (const Line& line : section.lines) {
            if (line.key != "TransportID") {
                note_absent(section, line);
                continue;
            }
            if (line.values.size() != 2)
                return refuse(line.number, "TransportID: \"trtype:… traddr:…\" NAME is wanted");
            Json params{{"name", line.values[1]}};
            const auto parts = words_of(line.values[0], line.number);
            if (!parts) return std::unexpected(parts.error());
            for (const std::string& part : *parts) {
                const size_t colon = part.find(':');
                if (colon == std::string::npos) return refuse(line.number, "TransportID: key:value is wanted");
                const std::string key = part.substr(0, colon);
                if (std::ranges::find(transport_id_keys, key) == std::end(transport_id_keys)) {
                    return refuse(line.number, fmt::format("TransportID: there is no {}; there are {}",
                                                           log::quoted(key, 48), fmt::join(transport_id_keys, ", ")));
                }
                if (params.contains(key))
                    return refuse(line.number, fmt::format("TransportID: {} is there twice", key));
                params[key] = part.substr(colon + 1);
            }
            add(bdevs_, "bdev_nvme_attach_controller", std::move(params));
        }
        return {};
    }

    std::vector<std::string>& notes_;
    const Section* nvmf_ = nullptr;
    std::string listened_trtype_;
    Json bdevs_ = Json::array();
    Json transports_ = Json::array();
    Json subsystems_ = Json::array();
};

}  // namespace

bool is_legacy_config(std::string_view text) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = trimmed(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
        return line.starts_with('[') && line.ends_with(']') && line.find_first_of("{\"") == std::string_view::npos;
    }
    return false;
}

Result<Json> convert_legacy_config(std::string_view text, std::vector<std::string>& notes) {
    auto sections = read_sections(text);
    if (!sections) return std::unexpected(std::move(sections).error());
    return Converter(notes).convert(*sections);
}

}  // namespace weft::rpc
