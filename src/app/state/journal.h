// The bytes of the journal: entries with a checksum each, one a line, and what of them is left after a crash.
//
//   weft-state 1
//   9ae0daaf 0000000000000001 00000015 {"subsystems":[]}
//
// A line is the CRC-32C of what follows it up to the end of the payload, the entry's number, its length, both
// hexadecimal, the payload, which holds no line end, and a line end. Numbers go up by one: a line that is missing is
// seen. Pure: no file is touched here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::state {

inline constexpr std::string_view journal_magic = "weft-state 1\n";
inline constexpr size_t payload_bytes_max = size_t{256} << 20;

// The line of one entry. `payload` is at most payload_bytes_max and holds no '\n'.
std::string journal_line(uint64_t number, std::string_view payload);

struct JournalContents {
    std::vector<std::string_view> payloads;  // of the complete entries before the first that is not
    uint64_t last_number = 0;                // of these
    size_t good_bytes = 0;                   // up to their end
    size_t lost_bytes = 0;                   // after it
    // Complete entries after the damage. Zero after a cut: then what is lost was the last that was written.
    size_t entries_after_damage = 0;
};

// Views into `text`, which lives as long. Errors: protocol_error when it does not begin as a journal of this version
// does, or when not even its first entry is complete, which is written with the file as a whole and so was no crash.
Result<JournalContents> read_journal(std::string_view text);

}  // namespace weft::state
