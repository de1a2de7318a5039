// Any text as what a person, a program or a peer may have written: addresses, names, sets of CPUs, command lines, JSON,
// data that is shown. One harness for many small readers: the first byte says whose text the rest is.
//
// What was read is written and read again as the same; what is printed has nothing in it that a terminal obeys, or that
// looks like a line of its own.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "app/cli/identify_fields.h"
#include "app/cli/rpc/rpc_address.h"
#include "app/cli/rpc/rpc_arguments.h"
#include "app/cli/rpc/rpc_grammar.h"
#include "app/cli/rpc/rpc_words.h"
#include "app/daemon/options.h"
#include "app/observe/exposition.h"
#include "app/start/options.h"
#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/trace_selection.h"
#include "base/uuid.h"
#include "env/address.h"
#include "nvme/describe.h"
#include "nvme/fabrics.h"
#include "nvme_host/target_options.h"
#include "nvmf/transport_id.h"
#include "reactor/cpu_set.h"
#include "rpc/json.h"
#include "rpc/roles.h"
#include "rpc/spelling.h"

namespace weft::app {
namespace {

bool is_shown_safely(std::string_view text) {
    return std::ranges::all_of(
        text, [](char letter) { return static_cast<unsigned char>(letter) >= 0x20 && letter != 0x7F; });
}

template <class T>
void expect_reason(const Result<T>& result) {
    if (!result) WEFT_ASSERT(!result.error().message.empty());
}

// `text` cut at newlines into exactly `count` parts.
std::vector<std::string> parts_of(std::string_view text, size_t count) {
    std::vector<std::string> parts;
    for (; parts.size() + 1 < count; text.remove_prefix(std::min(text.size(), parts.back().size() + 1))) {
        parts.emplace_back(text.substr(0, text.find('\n')));
    }
    parts.emplace_back(text);
    return parts;
}

void cpu_set(std::string_view text) {
    const auto set = CpuSet::parse(text);
    expect_reason(set);
    if (!set) return;
    WEFT_ASSERT(!set->empty() && set->cpus().size() == set->count());
    const auto again = CpuSet::parse(set->to_mask());
    WEFT_ASSERT(again && *again == *set);
}

void trace_selection(std::string_view text) {
    expect_reason(trace::parse_selection(text));
    expect_reason(trace::groups_named(text));
}

void uuid(std::string_view text) {
    const auto read = Uuid::parse(text);
    if (read) WEFT_ASSERT(Uuid::parse(read->to_string()) == read);
    std::array<uint8_t, 8> octets{};
    if (!parse_hex(text, octets)) return;
    std::string small(text);
    for (char& letter : small) letter = letter >= 'A' && letter <= 'F' ? static_cast<char>(letter + 32) : letter;
    WEFT_ASSERT(to_hex(octets) == small);
}

void address(std::string_view text) {
    const auto read = env::parse_ip(text, 4420);
    expect_reason(read);
    if (read) {
        const auto again = env::parse_ip(read->host, read->port);
        WEFT_ASSERT(again && *again == *read);
        WEFT_ASSERT(is_shown_safely(env::to_string(*read)));
    }
    expect_reason(cli::parse_rpc_address(std::string(text)));
    expect_reason(cli::parse_rpc_address(std::string(text), 5260));
}

void transport_id(std::string_view text) {
    const auto parts = parts_of(text, 4);
    const auto id = nvmf::normalise(parts[0], parts[1], parts[2], parts[3]);
    expect_reason(id);
    if (!id) return;
    WEFT_ASSERT(nvmf::address_of(*id).has_value());
    const auto again = nvmf::normalise(id->trtype, id->adrfam, id->traddr, id->trsvcid);
    WEFT_ASSERT(again && *again == *id);
}

void nqn(std::string_view text) {
    if (nvme::is_valid_nqn(text)) {
        WEFT_ASSERT(text.size() <= nvme::nqn_length_max && text.starts_with("nqn.") && is_shown_safely(text));
        std::array<char, 256> field{};
        nvme::fill_nqn_field(field, text);
        WEFT_ASSERT(nvme::nqn_of_field(field) == text);
    }
    nvme_host::TargetOptions options;
    expect_reason(nvme_host::apply_transport_id(text, options));
}

void roles(std::string_view text) {
    const auto parts = parts_of(text, 3);
    const auto read = rpc::Roles::parse(parts[2]);
    expect_reason(read);
    if (!read) return;
    WEFT_ASSERT(read->size() <= rpc::Roles::entries_max);
    const net::TlsPeer peer{.common_name = parts[0], .dns_names = {parts[1]}, .uris = {parts[1]}};
    const rpc::Role role = read->role_of(peer);
    if (read->size() == 0) WEFT_ASSERT(role == rpc::Role::none);
    static_cast<void>(rpc::name_of(peer));
}

void command_line(std::string_view text) {
    const auto words = cli::split_line(text);
    expect_reason(words);
    if (!words || words->empty()) return;
    const std::string& method = words->front();
    const auto rest = std::span(*words).subspan(1);
    const auto grammar = cli::grammar_of(method);
    expect_reason(cli::read_words(rest, grammar ? &*grammar : nullptr, nullptr));
    const auto params = cli::rpc_params(rest, method, {});
    expect_reason(params);
    if (params) WEFT_ASSERT(params->is_null() || params->is_structured());
}

// The options of weftd, most of which are numbers, addresses and names.
void daemon_options(std::string_view text) {
    auto words = cli::split_line(text);
    if (!words) return;
    std::ranges::reverse(*words);  // as CLI11 takes them
    DaemonOptions options;
    Options own("weftd", "", [] { return std::string(); });
    declare_options(own, options);
    try {
        own.cli().parse(*words);
    } catch (const CLI::Error&) {
        return;
    }
}

void json(std::string_view text) {
    const auto read = parse_json(text);
    expect_reason(read);
    if (!read) return;
    const auto again = parse_json(dump_json(*read));
    WEFT_ASSERT(again && *again == *read);
    if (const auto description = cli::description_of(*read, "m")) {
        const std::vector<std::string> words = {"--a.b", "1", "--c=2", "d"};
        expect_reason(cli::rpc_params(words, "m", description));
    }
}

void commands(std::string_view text) {
    std::array<std::byte, sizeof(nvme::Command)> bytes{};
    std::ranges::copy(bytes_of(text.substr(0, bytes.size())), bytes.begin());
    const auto command = load<nvme::Command>(bytes);
    const auto completion = load<nvme::Completion>(bytes);
    for (const bool flag : {false, true}) {
        WEFT_ASSERT(is_shown_safely(nvme::describe(command, flag)));
        WEFT_ASSERT(is_shown_safely(nvme::describe(completion, flag)));
    }
}

// What a target says of itself, shown on a terminal.
void identify(std::string_view text) {
    std::vector<std::byte> bytes(sizeof(cli::ControllerFacts) + sizeof(cli::NamespaceFacts));
    std::ranges::copy(bytes_of(text.substr(0, bytes.size())), bytes.begin());
    cli::ControllerFacts controller;
    controller.data = load<nvme::IdentifyController>(bytes);
    cli::NamespaceFacts space;
    space.data = load<nvme::IdentifyNamespace>(bytes);
    space.nsid = load<le32>(bytes);
    for (const cli::IdentifyFields& fields : {cli::controller_fields(controller), cli::namespace_fields(space)}) {
        for (const cli::IdentifyField& field : fields) {
            WEFT_ASSERT(is_shown_safely(field.name) && is_shown_safely(field.text));
            if (const auto* value = std::get_if<std::string>(&field.value)) WEFT_ASSERT(is_shown_safely(*value));
        }
    }
}

void shown(std::string_view text) {
    Exposition exposition;
    exposition.begin_family("weft_x", "gauge", "of a test");
    exposition.sample({{"name", text}}, uint64_t{1});
    const std::string page = exposition.take();
    WEFT_ASSERT(std::ranges::count(page, '\n') == 3);
    WEFT_ASSERT(page.ends_with("\"} 1\n"));
    const std::string quoted = log::quoted(text);
    WEFT_ASSERT(is_shown_safely(quoted) && quoted.find('\n') == std::string::npos && quoted.size() <= 2048);
    static constexpr std::array<std::string_view, 3> known = {"bdev_malloc_create", "bdev_null_create", ""};
    static_cast<void>(rpc::nearest_spelling(text.substr(0, 300), known));
}

constexpr std::array readers = {cpu_set,      trace_selection, uuid, address,  transport_id, nqn,  roles,
                                command_line, daemon_options,  json, commands, identify,     shown};

}  // namespace
}  // namespace weft::app

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using weft::app::readers;
    if (size == 0 || size > 16384) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    readers.at(data[0] % readers.size())(rest);
    return 0;
}
