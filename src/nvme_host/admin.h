// Admin commands as functions: what to ask, and the answer as the specification's types.
#pragma once

#include <cstdint>
#include <vector>

#include "nvme/discovery.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "nvme_host/controller.h"

namespace weft::nvme_host {

// All on the controller's thread. Errors: the controller's status, or the loss of the connection, with the step.

Task<Result<void>> identify(Controller& controller, std::string step, nvme::Cns cns, uint32_t nsid, uint8_t csi,
                            MutableBytes data);
Task<Result<nvme::IdentifyController>> identify_controller(Controller& controller);
Task<Result<nvme::IdentifyNamespace>> identify_namespace(Controller& controller, uint32_t nsid);

// Bytes of a logical block, and metadata bytes with it, in the format in use.
struct BlockFormat {
    uint32_t block_bytes = 0;  // 0: not a format that can be
    uint32_t metadata_bytes = 0;
};
BlockFormat block_format(const nvme::IdentifyNamespace& data);

// The identifiers that describe a namespace (CNS 03h).
struct NamespaceIds {
    std::array<uint8_t, 16> nguid{};
    std::array<uint8_t, 8> eui64{};
    std::array<uint8_t, 16> uuid{};
    uint8_t csi = 0;
};
Task<Result<NamespaceIds>> identify_namespace_ids(Controller& controller, uint32_t nsid);

// NSIDs of the active namespaces, rising. Errors also: protocol_error (the list does not rise, or claims more than
// active_namespaces_max).
inline constexpr size_t active_namespaces_max = size_t{1} << 20;
Task<Result<std::vector<uint32_t>>> active_namespaces(Controller& controller);

// Fills `data`, a multiple of 4 bytes, from `request.offset` on, with as many commands as MDTS makes necessary.
Task<Result<void>> get_log_page(Controller& controller, std::string step, nvme::LogPageRequest request, uint32_t nsid,
                                MutableBytes data);

struct DiscoveryLog {
    uint64_t generation = 0;
    std::vector<nvme::DiscoveryLogEntry> entries;
};
// The whole discovery log; read again when it changed meanwhile. Errors also: again (it changes all the time),
// protocol_error (it claims more than discovery_entries_max entries).
inline constexpr uint64_t discovery_entries_max = 65536;
Task<Result<DiscoveryLog>> read_discovery_log(Controller& controller);

}  // namespace weft::nvme_host
