// Gives the parser the same bytes whole and in pieces, and holds that it says the same, consumes no more than it was
// given, and lets nothing through that must not be in a head.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "http/request.h"

namespace weft::http {
namespace {

void check(std::string_view input, const Parsed& parsed) {
    const Request& request = parsed.request;
    WEFT_ASSERT(parsed.bytes <= input.size() && parsed.bytes <= head_bytes_max);
    WEFT_ASSERT(input.substr(0, parsed.bytes).ends_with("\r\n\r\n"));
    WEFT_ASSERT(request.method == "GET" || request.method == "HEAD");
    WEFT_ASSERT(request.path.starts_with('/') && request.path.find('?') == std::string::npos);
    const auto is_clean = [](char character) { return character > 0x20 && character < 0x7F; };
    WEFT_ASSERT(std::ranges::all_of(request.path, is_clean) && std::ranges::all_of(request.query, is_clean));
    WEFT_ASSERT(request.host.find_first_of("\r\n") == std::string::npos);
}

// The first length at which there is an answer; it must be the answer of all of it.
void run(std::string_view input) {
    const auto whole = parse_request(input);
    if (const auto* parsed = std::get_if<Parsed>(&whole)) check(input, *parsed);
    if (std::holds_alternative<NeedMore>(whole)) WEFT_ASSERT(input.size() < head_bytes_max);
    const size_t step = std::max<size_t>(1, input.size() / 64);
    for (size_t size = 0; size < input.size(); size += step) {
        const auto part = parse_request(input.substr(0, size));
        if (std::holds_alternative<NeedMore>(part)) continue;
        WEFT_ASSERT(part.index() == whole.index());
        if (const auto* parsed = std::get_if<Parsed>(&part)) {
            WEFT_ASSERT(parsed->bytes == std::get<Parsed>(whole).bytes);
        } else {
            WEFT_ASSERT(std::get<Refused>(part).status == std::get<Refused>(whole).status);
        }
        return;
    }
}

}  // namespace
}  // namespace weft::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size <= 65536) weft::http::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
