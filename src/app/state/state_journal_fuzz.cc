// Any bytes as the journal of a state directory, and any text as the configuration in it: what damage, another program
// or an enemy may have left. What is read is what would be written again.
#include <string>

#include "app/state/document.h"
#include "app/state/journal.h"
#include "base/assert.h"

namespace weft::state {

namespace {

// The complete entries are a prefix that is written the same way, and with it the rest makes up the whole.
void check_journal(std::string_view text) {
    const auto contents = read_journal(text);
    if (!contents) return;
    WEFT_ASSERT(!contents->payloads.empty() && contents->good_bytes + contents->lost_bytes == text.size());
    std::string again(journal_magic);
    uint64_t number = contents->last_number - contents->payloads.size() + 1;
    for (const std::string_view payload : contents->payloads) {
        if (payload.find('\n') != std::string_view::npos) return;  // none that we would write
        again += journal_line(number++, payload);
    }
    WEFT_ASSERT(again == text.substr(0, contents->good_bytes));
}

void check_document(std::string_view text) {
    Document document;
    if (!document.read_text(text) && !apply_change(text, document)) return;
    Document copy;
    WEFT_ASSERT(copy.read_text(document.to_text()));
    WEFT_ASSERT(copy.to_text() == document.to_text());
    WEFT_ASSERT(document.calls().size() == document.size());
}

}  // namespace

}  // namespace weft::state

// The first byte says what the rest is: a configuration, what follows the first entry of a journal, or a journal.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace weft::state;  // NOLINT(google-build-using-namespace)
    if (size == 0) return 0;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the fuzzer's signature
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 3) {
        case 0: check_document(rest); break;
        case 1: check_journal(std::string(journal_magic) + journal_line(1, "{}") + std::string(rest)); break;
        default: check_journal(rest); break;
    }
    return 0;
}
