#include "nvme_host/admin.h"

#include <fmt/format.h>

#include <algorithm>

#include "nvme_host/status_error.h"

namespace weft::nvme_host {

Task<Result<void>> identify(Controller& controller, std::string step, nvme::Cns cns, uint32_t nsid, uint8_t csi,
                            MutableBytes data) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::identify);
    command.nsid = nsid;
    command.cdw10 = static_cast<uint32_t>(cns);
    command.cdw11 = uint32_t{csi} << 24;
    auto completion = co_await controller.admin_or_error(std::move(step), command, data);
    if (!completion) co_return std::unexpected(std::move(completion).error());
    co_return Result<void>{};
}

Task<Result<nvme::IdentifyController>> identify_controller(Controller& controller) {
    nvme::IdentifyController data;
    WEFT_CO_TRY(co_await identify(controller, "Identify Controller", nvme::Cns::controller, 0, 0, bytes_of(data)));
    co_return data;
}

Task<Result<nvme::IdentifyNamespace>> identify_namespace(Controller& controller, uint32_t nsid) {
    nvme::IdentifyNamespace data;
    WEFT_CO_TRY(co_await identify(controller, fmt::format("Identify Namespace {}", nsid), nvme::Cns::name_space, nsid,
                                  0, bytes_of(data)));
    co_return data;
}

BlockFormat block_format(const nvme::IdentifyNamespace& data) {
    const uint32_t index = (data.flbas & nvme::flbas::format_low) | (uint32_t{data.flbas} >> 5 & 3u) << 4;
    const nvme::LbaFormat& format = data.lbaf[index];  // six bits: always one of the 64
    if (format.lbads < 9 || format.lbads > 24) return {};
    return {.block_bytes = 1u << format.lbads, .metadata_bytes = format.ms};
}

Task<Result<NamespaceIds>> identify_namespace_ids(Controller& controller, uint32_t nsid) {
    std::array<std::byte, nvme::identify_data_size> data{};
    WEFT_CO_TRY(co_await identify(controller, fmt::format("Identify Namespace {} descriptors", nsid),
                                  nvme::Cns::namespace_descriptors, nsid, 0, data));
    NamespaceIds ids;
    // An identifier of another length than its type's is passed over.
    const auto copy = [](Bytes from, auto& to) {
        if (from.size() == to.size()) std::memcpy(to.data(), from.data(), to.size());
    };
    Reader reader(data);
    while (reader.ok() && reader.rest().size() > sizeof(nvme::NamespaceDescriptor)) {
        const auto descriptor = reader.take<nvme::NamespaceDescriptor>();
        if (descriptor.nidt == nvme::NamespaceIdType{}) break;
        const Bytes value = reader.take_bytes(descriptor.nidl);
        switch (descriptor.nidt) {
            case nvme::NamespaceIdType::eui64: copy(value, ids.eui64); break;
            case nvme::NamespaceIdType::nguid: copy(value, ids.nguid); break;
            case nvme::NamespaceIdType::uuid: copy(value, ids.uuid); break;
            case nvme::NamespaceIdType::csi:
                if (value.size() == 1) ids.csi = std::to_integer<uint8_t>(value[0]);
                break;
        }
    }
    co_return ids;
}

Task<Result<std::vector<uint32_t>>> active_namespaces(Controller& controller) {
    std::vector<uint32_t> found;
    std::array<le32, 1024> list{};
    for (uint32_t after = 0;;) {
        WEFT_CO_TRY(co_await identify(controller, "Identify Active Namespace ID list", nvme::Cns::active_namespace_list,
                                      after, 0, bytes_of(list)));
        for (const uint32_t nsid : list) {
            if (nsid == 0) co_return found;
            if (nsid <= after) {
                co_return fail(Errc::protocol_error, "Identify Active Namespace ID list: it does not rise");
            }
            if (found.size() == active_namespaces_max) {
                co_return fail(Errc::protocol_error, "Identify Active Namespace ID list: it has no end");
            }
            found.push_back(nsid);
            after = nsid;
        }
    }
}

Task<Result<void>> get_log_page(Controller& controller, std::string step, nvme::LogPageRequest request, uint32_t nsid,
                                MutableBytes data) {
    WEFT_ASSERT(data.size() % 4 == 0);
    constexpr size_t command_bytes_max = 64 * 1024;
    const size_t step_bytes = std::min<size_t>(controller.transfer_bytes_max(), command_bytes_max);
    while (!data.empty()) {
        const MutableBytes piece = data.first(std::min(data.size(), step_bytes));
        request.length_bytes = piece.size();
        nvme::Command command;
        request.put_into(command);
        command.nsid = nsid;
        auto completion = co_await controller.admin_or_error(step, command, piece);
        if (!completion) co_return std::unexpected(std::move(completion).error());
        request.offset += piece.size();
        data = data.subspan(piece.size());
    }
    co_return Result<void>{};
}

Task<Result<DiscoveryLog>> read_discovery_log(Controller& controller) {
    constexpr uint32_t attempts = 10;
    const std::string step = "Get Log Page (Discovery)";
    nvme::DiscoveryLogHeader header;
    for (uint32_t attempt = 0; attempt < attempts; ++attempt) {
        nvme::LogPageRequest request{.id = nvme::LogPage::discovery, .retain_event = true};
        WEFT_CO_TRY(co_await get_log_page(controller, step, request, 0, bytes_of(header)));
        if (header.numrec > discovery_entries_max) {
            co_return fail(Errc::protocol_error, fmt::format("{}: it claims {} entries", step, header.numrec.value()));
        }
        DiscoveryLog log{.generation = header.genctr, .entries = {}};
        log.entries.resize(header.numrec);
        request.offset = sizeof(header);
        WEFT_CO_TRY(
            co_await get_log_page(controller, step, request, 0, std::as_writable_bytes(std::span(log.entries))));
        // NVMe Base 2.0, 5.16.1.23: a log that changed while it was read has another generation now.
        request = {.id = nvme::LogPage::discovery};
        WEFT_CO_TRY(co_await get_log_page(controller, step, request, 0, bytes_of(header)));
        if (header.genctr == log.generation && header.numrec == log.entries.size()) co_return log;
    }
    co_return fail(Errc::again, fmt::format("{}: it changed {} times while it was read", step, attempts));
}

}  // namespace weft::nvme_host
