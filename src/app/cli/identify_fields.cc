#include "app/cli/identify_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/hex.h"
#include "base/log.h"
#include "base/uuid.h"
#include "nvme/ascii.h"
#include "nvme/async_event.h"
#include "nvme/fabrics.h"

namespace weft::cli {

namespace {

struct BitName {
    uint64_t bit;
    std::string_view name;
};

// "compare, write zeroes"
std::string bit_names(uint64_t value, std::span<const BitName> names) {
    std::string text;
    for (const BitName& one : names) {
        if ((value & one.bit) != one.bit) continue;
        if (!text.empty()) text += ", ";
        text += one.name;
    }
    return text.empty() ? "none" : text;
}

constexpr BitName cmic_names[] = {{nvme::cmic::multiple_ports, "several ports"},
                                  {nvme::cmic::multiple_controllers, "several controllers"},
                                  {nvme::cmic::ana_reporting, "ANA"}};
constexpr BitName oacs_names[] = {{nvme::oacs::security, "security"},
                                  {nvme::oacs::format_nvm, "format"},
                                  {nvme::oacs::firmware, "firmware"},
                                  {nvme::oacs::namespace_management, "namespace management"},
                                  {nvme::oacs::device_self_test, "self-test"},
                                  {nvme::oacs::directives, "directives"},
                                  {nvme::oacs::virtualization, "virtualization"},
                                  {nvme::oacs::get_lba_status, "LBA status"}};
constexpr BitName oncs_names[] = {{nvme::oncs::compare, "compare"},
                                  {nvme::oncs::write_uncorrectable, "write uncorrectable"},
                                  {nvme::oncs::dataset_management, "dataset management"},
                                  {nvme::oncs::write_zeroes, "write zeroes"},
                                  {nvme::oncs::reservations, "reservations"},
                                  {nvme::oncs::timestamp, "timestamp"},
                                  {nvme::oncs::verify, "verify"},
                                  {nvme::oncs::copy, "copy"}};
constexpr BitName oaes_names[] = {{nvme::async_event_bits::namespace_attribute, "namespace attributes"},
                                  {nvme::async_event_bits::firmware_activation, "firmware activation"},
                                  {nvme::async_event_bits::ana_change, "ANA change"},
                                  {nvme::async_event_bits::discovery_log, "discovery log"}};
constexpr BitName ctratt_names[] = {{nvme::ctratt::host_identifier_128, "128-bit host identifier"},
                                    {nvme::ctratt::traffic_based_keep_alive, "traffic based keep-alive"},
                                    {nvme::ctratt::uuid_list, "UUID list"},
                                    {nvme::ctratt::flexible_data_placement, "flexible data placement"}};
constexpr BitName lpa_names[] = {{nvme::lpa::smart_per_namespace, "SMART per namespace"},
                                 {nvme::lpa::commands_supported_and_effects, "command effects"},
                                 {nvme::lpa::extended_data, "extended data"},
                                 {nvme::lpa::telemetry, "telemetry"},
                                 {nvme::lpa::persistent_event, "persistent events"}};
constexpr BitName sgls_names[] = {{nvme::sgls::supported, "supported"},
                                  {nvme::sgls::supported_dword_aligned, "supported, dword aligned"},
                                  {nvme::sgls::keyed, "keyed"},
                                  {nvme::sgls::bit_bucket, "bit bucket"},
                                  {nvme::sgls::offset, "in-capsule offset"},
                                  {nvme::sgls::transport, "transport data block"}};
constexpr BitName nmic_names[] = {{nvme::nmic::shared, "shared"}};
constexpr BitName nsfeat_names[] = {{nvme::nsfeat::thin_provisioning, "thin provisioning"},
                                    {nvme::nsfeat::atomic_fields, "atomic fields"},
                                    {nvme::nsfeat::deallocated_error, "deallocated error"},
                                    {nvme::nsfeat::ids_never_reused, "IDs never reused"},
                                    {nvme::nsfeat::optimal_performance, "optimal performance fields"}};
constexpr BitName rescap_names[] = {
    {nvme::rescap::persist_through_power_loss, "persist through power loss"},
    {nvme::rescap::write_exclusive, "write exclusive"},
    {nvme::rescap::exclusive_access, "exclusive access"},
    {nvme::rescap::write_exclusive_registrants_only, "write exclusive (registrants)"},
    {nvme::rescap::exclusive_access_registrants_only, "exclusive access (registrants)"},
    {nvme::rescap::write_exclusive_all_registrants, "write exclusive (all registrants)"},
    {nvme::rescap::exclusive_access_all_registrants, "exclusive access (all registrants)"}};
constexpr BitName anacap_names[] = {{nvme::anacap::optimized, "optimized"},
                                    {nvme::anacap::non_optimized, "non-optimized"},
                                    {nvme::anacap::inaccessible, "inaccessible"},
                                    {nvme::anacap::persistent_loss, "persistent loss"},
                                    {nvme::anacap::change, "change"}};

std::string_view name_of(nvme::ControllerType type) {
    switch (type) {
        case nvme::ControllerType::not_reported: return "not reported";
        case nvme::ControllerType::io: return "I/O controller";
        case nvme::ControllerType::discovery: return "discovery controller";
        case nvme::ControllerType::administrative: return "administrative controller";
    }
    return "unrecognized";
}

class Writer {
public:
    void number(std::string_view name, std::string_view label, uint64_t value) {
        number(name, label, value, std::to_string(value));
    }
    void number(std::string_view name, std::string_view label, uint64_t value, std::string text) {
        fields.push_back({std::string(name), std::string(label), value, std::move(text)});
    }
    void hex(std::string_view name, std::string_view label, uint64_t value) {
        number(name, label, value, fmt::format("{:#x}", value));
    }
    void bits(std::string_view name, std::string_view label, uint64_t value, std::span<const BitName> names) {
        number(name, label, value, fmt::format("{:#x} ({})", value, bit_names(value, names)));
    }
    // From the controller: neither terminal nor JSON get what is not text.
    void text(std::string_view name, std::string_view label, std::string_view value) {
        std::string quoted = log::quoted(value);
        fields.push_back({std::string(name), std::string(label), quoted, quoted});
    }
    template <class Octets>
    void id(std::string_view name, std::string_view label, const Octets& octets) {
        const std::string value = to_hex(octets);
        fields.push_back({std::string(name), std::string(label), value, is_zero(bytes_of(octets)) ? "none" : value});
    }

    IdentifyFields fields;
};

std::string version_text(uint32_t raw) {
    const auto version = nvme::Version::from(raw);
    return fmt::format("{}.{}.{}", version.get(nvme::Version::mjr), version.get(nvme::Version::mnr),
                       version.get(nvme::Version::ter));
}

void add_fabrics(Writer& writer, const nvme::IdentifyController& data) {
    const uint64_t capsule = uint64_t{data.ioccsz} * 16;
    const uint64_t in_capsule = capsule > 64 ? capsule - 64 : 0;
    writer.number("ioccsz", "I/O command capsule size", data.ioccsz,
                  fmt::format("{} ({} of in-capsule data)", size_text(capsule), size_text(in_capsule)));
    writer.number("iorcsz", "I/O response capsule size", data.iorcsz, size_text(uint64_t{data.iorcsz} * 16));
    writer.number("icdoff", "In-capsule data offset", data.icdoff);
    writer.hex("fcatt", "Fabrics controller attributes", data.fcatt);
    writer.number("msdbd", "SGL data block descriptors at most", data.msdbd);
    writer.hex("ofcs", "Optional fabrics commands", data.ofcs);
}

}  // namespace

std::string size_text(uint64_t bytes) {
    static constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(units)) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, units[unit]);
}

IdentifyFields controller_fields(const ControllerFacts& facts) {
    const nvme::IdentifyController& data = facts.data;
    const uint64_t page = uint64_t{1} << (12 + facts.capabilities.get(nvme::Capabilities::mpsmin));
    Writer writer;
    writer.hex("vid", "PCI vendor", data.vid);
    writer.hex("ssvid", "PCI subsystem vendor", data.ssvid);
    writer.text("sn", "Serial number", nvme::ascii_of(data.sn));
    writer.text("mn", "Model number", nvme::ascii_of(data.mn));
    writer.text("fr", "Firmware revision", nvme::ascii_of(data.fr));
    writer.number("rab", "Arbitration burst recommended", data.rab);
    writer.number("ieee", "IEEE OUI", data.ieee[0] | uint64_t{data.ieee[1]} << 8 | uint64_t{data.ieee[2]} << 16,
                  fmt::format("{:02x}-{:02x}-{:02x}", data.ieee[2], data.ieee[1], data.ieee[0]));
    writer.bits("cmic", "Multi-path capabilities", data.cmic, cmic_names);
    writer.number("mdts", "Data transfer at most", data.mdts,
                  data.mdts == 0 ? "no limit" : size_text(page << std::min<unsigned>(data.mdts, 40)));
    writer.hex("cntlid", "Controller ID", data.cntlid);
    writer.number("ver", "Version", data.ver, version_text(data.ver));
    writer.number("rtd3r", "Resume latency", data.rtd3r, fmt::format("{} us", data.rtd3r.value()));
    writer.number("rtd3e", "Shutdown latency", data.rtd3e, fmt::format("{} us", data.rtd3e.value()));
    writer.bits("oaes", "Asynchronous events", data.oaes, oaes_names);
    writer.bits("ctratt", "Controller attributes", data.ctratt, ctratt_names);
    writer.number("cntrltype", "Controller type", static_cast<uint64_t>(data.cntrltype),
                  std::string(name_of(data.cntrltype)));
    writer.bits("oacs", "Optional admin commands", data.oacs, oacs_names);
    writer.number("acl", "Aborts at a time", data.acl, std::to_string(data.acl + 1));
    writer.number("aerl", "Event requests at a time", data.aerl, std::to_string(data.aerl + 1));
    writer.hex("frmw", "Firmware updates", data.frmw);
    writer.bits("lpa", "Log page attributes", data.lpa, lpa_names);
    writer.number("elpe", "Error log entries", data.elpe, std::to_string(data.elpe + 1));
    writer.number("kas", "Keep-alive granularity", data.kas, fmt::format("{} ms", data.kas * 100));
    writer.number("anatt", "ANA transition time", data.anatt, fmt::format("{} s", data.anatt));
    writer.bits("anacap", "ANA states", data.anacap, anacap_names);
    writer.number("anagrpmax", "Highest ANA group", data.anagrpmax);
    writer.number("nanagrpid", "ANA groups", data.nanagrpid);
    writer.number("sqes", "Submission queue entry", data.sqes, size_text(uint64_t{1} << (data.sqes & 0xF)));
    writer.number("cqes", "Completion queue entry", data.cqes, size_text(uint64_t{1} << (data.cqes & 0xF)));
    writer.number("maxcmd", "Commands outstanding at most", data.maxcmd,
                  data.maxcmd == 0 ? "not reported" : std::to_string(data.maxcmd.value()));
    writer.number("nn", "Highest namespace ID", data.nn);
    writer.number("mnan", "Namespaces at most", data.mnan);
    writer.bits("oncs", "Optional I/O commands", data.oncs, oncs_names);
    writer.number("fuses", "Fused commands", data.fuses,
                  (data.fuses & nvme::fuses::compare_and_write) != 0 ? "compare and write" : "none");
    writer.number("vwc", "Volatile write cache", data.vwc, (data.vwc & nvme::vwc::present) != 0 ? "present" : "none");
    writer.number("awun", "Atomic write", data.awun, fmt::format("{} blocks", data.awun + 1));
    writer.number("awupf", "Atomic write, power fail", data.awupf, fmt::format("{} blocks", data.awupf + 1));
    writer.number("acwu", "Atomic compare and write", data.acwu, fmt::format("{} blocks", data.acwu + 1));
    writer.bits("sgls", "Scatter gather lists", data.sgls, sgls_names);
    writer.text("subnqn", "Subsystem NQN", nvme::nqn_of_field(data.subnqn));
    add_fabrics(writer, data);
    writer.hex("cap", "Capabilities (CAP)", facts.capabilities.raw);
    writer.number("mqes", "Queue entries at most", facts.capabilities.get(nvme::Capabilities::mqes),
                  std::to_string(facts.capabilities.get(nvme::Capabilities::mqes) + 1));
    writer.number("vs", "Version (VS)", facts.version.raw, version_text(facts.version.raw));
    return std::move(writer.fields);
}

IdentifyFields namespace_fields(const NamespaceFacts& facts) {
    const nvme::IdentifyNamespace& data = facts.data;
    const BlockFormat format = block_format(data);
    const auto blocks = [&format](uint64_t count) {
        return fmt::format("{} blocks ({})", count, size_text(count * format.block_bytes));
    };
    Writer writer;
    writer.number("nsid", "Namespace ID", facts.nsid);
    writer.number("nsze", "Size", data.nsze, blocks(data.nsze));
    writer.number("ncap", "Capacity", data.ncap, blocks(data.ncap));
    writer.number("nuse", "In use", data.nuse, blocks(data.nuse));
    writer.number("lbads", "Block", format.block_bytes,
                  fmt::format("{} bytes, {} of metadata", format.block_bytes, format.metadata_bytes));
    writer.bits("nsfeat", "Features", data.nsfeat, nsfeat_names);
    writer.number("nlbaf", "LBA formats", data.nlbaf, std::to_string(data.nlbaf + 1));
    writer.number("flbas", "LBA format in use", data.flbas);
    writer.hex("mc", "Metadata capabilities", data.mc);
    writer.hex("dpc", "Protection capabilities", data.dpc);
    writer.hex("dps", "Protection in use", data.dps);
    writer.bits("nmic", "Sharing", data.nmic, nmic_names);
    writer.bits("rescap", "Reservations", data.rescap, rescap_names);
    writer.hex("dlfeat", "Deallocation", data.dlfeat);
    writer.number("noiob", "Optimal I/O boundary", data.noiob);
    writer.number("npwg", "Preferred write granularity", data.npwg, fmt::format("{} blocks", data.npwg + 1));
    writer.number("nacwu", "Atomic compare and write", data.nacwu, fmt::format("{} blocks", data.nacwu + 1));
    writer.number("anagrpid", "ANA group", data.anagrpid);
    writer.hex("nsattr", "Attributes", data.nsattr);
    writer.id("nguid", "NGUID", facts.ids.nguid);
    writer.id("eui64", "EUI-64", facts.ids.eui64);
    const Uuid uuid(facts.ids.uuid);
    writer.fields.push_back({"uuid", "UUID", uuid.to_string(), uuid.is_nil() ? "none" : uuid.to_string()});
    writer.number("csi", "Command set", facts.ids.csi, facts.ids.csi == 0 ? "NVM" : std::to_string(facts.ids.csi));
    return std::move(writer.fields);
}

}  // namespace weft::cli
