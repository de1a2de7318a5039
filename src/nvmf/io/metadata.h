// Namespaces whose blocks have metadata: how much of it a command transfers, and what the command says of the
// protection information in it (NVM Command Set 1.0, 5.2 and 5.3). Over fabrics metadata lies behind each block.
#pragma once

#include "nvmf/request.h"
#include "nvmf/views.h"

namespace weft::nvmf {

// Bytes of metadata that travel with each block: none when the host leaves all of it to us (PRACT where the tuple is
// all there is), or does not know of it.
uint32_t metadata_transferred(const nvme::Command& command, const NamespaceView& ns);

// What a command with NLB blocks transfers.
inline uint64_t transfer_bytes(const nvme::Command& command, const NamespaceView& ns) {
    const uint64_t blocks = command.block_count();
    if (ns.metadata.metadata_bytes == 0) [[likely]]
        return blocks << ns.block_shift;
    return blocks * (ns.block_bytes + metadata_transferred(command, ns));
}

// What the command says of blocks that it writes or reads from its LBA on.
bdev::Protection protection_of(const nvme::Command& command, const bdev::ProtectionFormat& format);
// For a host that knows nothing of the tuples: all is made, and all is checked that we can know.
bdev::Protection protection_for_unaware(uint64_t lba, const bdev::ProtectionFormat& format);
// Whether the initial reference tag is one that the type allows for blocks from `lba` on (5.3.3).
bool is_reference_allowed(const bdev::Protection& protection, const bdev::ProtectionFormat& format, uint64_t lba);

// Tells the device, by request.io, where the metadata is and what of it is checked and made. Before each use of a
// device with metadata. Errors: Invalid Protection Information.
nvme::Status use_metadata(Request& request);

}  // namespace weft::nvmf
