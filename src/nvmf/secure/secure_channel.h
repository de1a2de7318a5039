// As whom a host came through TLS: what its Connects must agree with (NVMe/TCP 1.0, 3.6.1.2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::nvmf {

struct SecureChannel {
    std::string hostnqn;
    std::string subnqn;
    std::string cipher;  // "TLS_AES_128_GCM_SHA256"
    uint8_t identity_version = 0;
    uint64_t generated_psk = 0;  // its number (GeneratedPsks); 0: the key is a configured one

    [[nodiscard]] bool is_for(std::string_view host, std::string_view subsystem) const {
        return host == hostnqn && subsystem == subnqn;
    }
};

}  // namespace weft::nvmf
