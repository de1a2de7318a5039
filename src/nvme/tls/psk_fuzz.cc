// Texts of keys and identities from outside: what is taken reads back as what it was, and leads to a key.
#include "base/assert.h"
#include "nvme/tls/psk.h"

namespace {

using namespace weft::nvme::tls;

void read_key(std::string_view text) {
    const auto psk = parse_interchange(text);
    if (!psk) {
        WEFT_ASSERT(!psk.error().message.empty());
        return;
    }
    WEFT_ASSERT(to_interchange(*psk) == text);
    for (const uint8_t version : {uint8_t{0}, uint8_t{1}}) {
        const auto made = make_tls_psk(*psk, "nqn.2026-01.io.weft:h", "nqn.2026-01.io.weft:a", version);
        WEFT_ASSERT(made && tls_psks_for(made->identity, *psk)[0].key == made->key);
    }
}

void read_identity(std::string_view text) {
    const auto identity = parse_identity(text);
    if (!identity) return;
    WEFT_ASSERT(identity->text() == text && text.size() <= identity_bytes_max);
    WEFT_ASSERT(identity->hostnqn.size() <= 223 && identity->subnqn.size() <= 223);
    const ConfiguredPsk psk{.hash = PskHash::sha256, .key = Psk(size_t{32})};
    for (const TlsPsk& found : tls_psks_for(*identity, psk)) WEFT_ASSERT(found.identity == *identity);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > 2048) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    if (data[0] % 2 == 0) {
        read_key(text);
    } else {
        read_identity(text);
    }
    return 0;
}
