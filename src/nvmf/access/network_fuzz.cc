// Text of a network: what is taken is written back as the same network, and contains its own address.
#include <cstdint>

#include "base/assert.h"
#include "nvmf/access/network.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using weft::nvmf::Network;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto network = Network::parse(text);
    if (!network) {
        WEFT_ASSERT(network.error().message.size() < 1024);
        return 0;
    }
    const std::string written = network->to_string();
    const auto again = Network::parse(written);
    WEFT_ASSERT(again && *again == *network && again->to_string() == written);
    const auto address = weft::env::parse_ip(written.substr(0, written.find('/')), 0);
    WEFT_ASSERT(address && network->contains(*address));
    return 0;
}
