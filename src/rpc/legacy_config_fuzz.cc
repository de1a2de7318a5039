// Any bytes as a configuration file of before JSON. What is converted is a configuration file in JSON.
#include <string_view>

#include "base/assert.h"
#include "rpc/config.h"
#include "rpc/json.h"
#include "rpc/legacy_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 65536) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static_cast<void>(weft::rpc::is_legacy_config(text));
    std::vector<std::string> notes;
    const auto converted = weft::rpc::convert_legacy_config(text, notes);
    if (!converted) {
        WEFT_ASSERT(!converted.error().message.empty());
        return 0;
    }
    const auto calls = weft::rpc::parse_config(weft::dump_json(*converted));
    WEFT_ASSERT(calls.has_value());
    for (const auto& call : *calls) WEFT_ASSERT(call.params.is_object());
    return 0;
}
