#include "app/state/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

namespace weft::state {

namespace {

constexpr size_t crc_digits = 8;
constexpr size_t number_digits = 16;
constexpr size_t length_digits = 8;
constexpr size_t covered_at = crc_digits + 1;
constexpr size_t payload_at = covered_at + number_digits + 1 + length_digits + 1;

struct Line {
    uint64_t number = 0;
    std::string_view payload;
    size_t size_bytes = 0;
};

// Lower case only, as it is written: a flipped bit must not read the same.
template <class Number>
bool read_hex(std::string_view digits, Number& number) {
    const auto is_hex = [](char digit) { return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'); };
    if (!std::ranges::all_of(digits, is_hex)) return false;
    return std::from_chars(digits.data(), digits.data() + digits.size(), number, 16).ec == std::errc{};
}

// `budget` bounds the bytes that checksums are computed of, whatever lengths a hostile file claims.
std::optional<Line> read_line(std::string_view text, size_t& budget) {
    if (text.size() < payload_at) return std::nullopt;
    uint32_t crc = 0;
    uint32_t length = 0;
    Line line;
    const std::string_view header = text.substr(0, payload_at);
    if (header[crc_digits] != ' ' || header[covered_at + number_digits] != ' ' || header.back() != ' ' ||
        !read_hex(header.substr(0, crc_digits), crc) ||
        !read_hex(header.substr(covered_at, number_digits), line.number) ||
        !read_hex(header.substr(covered_at + number_digits + 1, length_digits), length)) {
        return std::nullopt;
    }
    if (length > payload_bytes_max || text.size() - payload_at <= length) return std::nullopt;
    if (text[payload_at + length] != '\n' || budget < length) return std::nullopt;
    budget -= length;
    if (crc32c(bytes_of(text.substr(covered_at, payload_at - covered_at + length))) != crc) return std::nullopt;
    line.payload = text.substr(payload_at, length);
    line.size_bytes = payload_at + length + 1;
    return line;
}

size_t count_later_entries(std::string_view rest, uint64_t last_number) {
    size_t budget = 2 * rest.size();
    size_t count = 0;
    for (size_t at = rest.find('\n'); at != std::string_view::npos; at = rest.find('\n', at)) {
        ++at;
        for (auto line = read_line(rest.substr(at), budget); line && line->number > last_number;
             line = read_line(rest.substr(at), budget)) {
            ++count;
            last_number = line->number;
            at += line->size_bytes;
        }
    }
    return count;
}

}  // namespace

std::string journal_line(uint64_t number, std::string_view payload) {
    WEFT_ASSERT(payload.size() <= payload_bytes_max && payload.find('\n') == std::string_view::npos);
    const std::string covered = fmt::format("{:016x} {:08x} {}", number, payload.size(), payload);
    return fmt::format("{:08x} {}\n", crc32c(bytes_of(covered)), covered);
}

Result<JournalContents> read_journal(std::string_view text) {
    if (!text.starts_with(journal_magic)) {
        return fail(Errc::protocol_error,
                    text.starts_with("weft-state ")
                        ? "it was written by another version of Weft, or its first line is damaged"
                        : "it does not begin as a journal does");
    }
    JournalContents contents{.good_bytes = journal_magic.size()};
    size_t budget = text.size();
    while (const auto line = read_line(text.substr(contents.good_bytes), budget)) {
        if (!contents.payloads.empty() && line->number != contents.last_number + 1) break;
        contents.payloads.push_back(line->payload);
        contents.last_number = line->number;
        contents.good_bytes += line->size_bytes;
    }
    if (contents.payloads.empty()) return fail(Errc::protocol_error, "its first entry is damaged");
    contents.lost_bytes = text.size() - contents.good_bytes;
    contents.entries_after_damage = count_later_entries(text.substr(contents.good_bytes), contents.last_number);
    return contents;
}

}  // namespace weft::state
