// Announces services to the network, so that others find them without being told: DNS-SD (RFC 6763) over multicast DNS
// (RFC 6762), which the machine's own daemon speaks for all programs on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace weft::env {

struct ServiceRecord {
    std::string name;  // unique in the network, at most 63 bytes
    std::string type;  // "_nvme-disc._tcp"
    uint16_t port = 0;
    std::vector<std::string> text;  // "key=value"
    friend bool operator==(const ServiceRecord&, const ServiceRecord&) = default;
};

// Calls wait for the daemon, for seconds at worst: through offload(), one at a time.
class ServiceDirectory {
public:
    ServiceDirectory() = default;
    ServiceDirectory(const ServiceDirectory&) = delete;
    ServiceDirectory& operator=(const ServiceDirectory&) = delete;
    virtual ~ServiceDirectory() = default;  // nothing is announced any more

    // Announces these, instead of what was. Errors: not_supported, when there is no daemon (saying which package has
    // it); already_exists; io_error.
    virtual Result<void> announce(const std::vector<ServiceRecord>& services) = 0;
    // What was announced still is: false when the daemon has forgotten it, since it began anew.
    virtual bool is_announced() = 0;
};

}  // namespace weft::env
