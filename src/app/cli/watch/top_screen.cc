#include "app/cli/watch/top_screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view reversed = "\x1b[7m";
constexpr std::string_view plain = "\x1b[0m";
constexpr size_t filter_max = 64;
constexpr size_t text_width_min = 6;
constexpr size_t header_lines = 3;  // summary, status, column names
constexpr double intervals[] = {0.2, 0.5, 1, 2, 5, 10, 30, 60};

struct Sequence {
    std::string_view bytes;
    Key key;
};
constexpr Sequence sequences[] = {
    {"\x1b[A", Key::up},       {"\x1b[B", Key::down},       {"\x1bOA", Key::up},   {"\x1bOB", Key::down},
    {"\x1b[5~", Key::page_up}, {"\x1b[6~", Key::page_down}, {"\x1b[H", Key::home}, {"\x1b[F", Key::end},
    {"\x1b[1~", Key::home},    {"\x1b[4~", Key::end},       {"\x1bOH", Key::home}, {"\x1bOF", Key::end},
    {"\x1b[Z", Key::back_tab},
};

// How long the escape sequence at the front is: whatever it means, its bytes are not typed text.
size_t sequence_length(std::string_view bytes) {
    if (bytes.size() < 2 || (bytes[1] != '[' && bytes[1] != 'O')) return 1;
    size_t at = 2;
    while (at < bytes.size() && bytes[at] >= 0x20 && bytes[at] < 0x40) ++at;
    return std::min(at + 1, bytes.size());
}

// `text` in `width` cells: ASCII only, since what came from outside is cleaned. Of a name its end tells more.
std::string fitted(const std::string& text, size_t width, bool is_text) {
    if (text.size() <= width) {
        const std::string blanks(width - text.size(), ' ');
        return is_text ? text + blanks : blanks + text;
    }
    if (width == 0) return {};
    return is_text ? "~" + text.substr(text.size() - (width - 1)) : text.substr(0, width);
}

std::vector<size_t> widths_of(const Table& table, const std::vector<std::vector<std::string>>& cells, size_t columns) {
    std::vector<size_t> widths;
    widths.reserve(table.columns.size());
    for (size_t at = 0; at < table.columns.size(); ++at) {
        size_t width = table.columns[at].name.size();
        for (const auto& row : cells) width = std::max(width, row[at].size());
        widths.push_back(width);
    }
    const auto total = [&widths] {
        size_t sum = widths.empty() ? 0 : widths.size() - 1;
        for (const size_t width : widths) sum += width;
        return sum;
    };
    // Take from the widest text until it fits; what still does not is cut off on the right.
    while (total() > columns) {
        size_t widest = SIZE_MAX;
        for (size_t at = 0; at < widths.size(); ++at) {
            if (!table.columns[at].is_text || widths[at] <= text_width_min) continue;
            if (widest == SIZE_MAX || widths[at] > widths[widest]) widest = at;
        }
        if (widest == SIZE_MAX) break;
        --widths[widest];
    }
    return widths;
}

std::string cut(std::string line, size_t columns) {
    if (line.size() > columns) line.resize(columns);
    return line;
}

}  // namespace

std::vector<KeyPress> keys_of(std::string_view bytes) {
    std::vector<KeyPress> keys;
    while (!bytes.empty()) {
        const char first = bytes.front();
        size_t length = 1;
        if (first == 0x1b && bytes.size() > 1) {
            length = sequence_length(bytes);
            for (const Sequence& known : sequences) {
                if (bytes.substr(0, length) == known.bytes) keys.push_back({known.key});
            }
            if (length == 1) keys.push_back({Key::escape});
        } else if (first == 0x1b) {
            keys.push_back({Key::escape});
        } else if (first == '\t') {
            keys.push_back({Key::tab});
        } else if (first == '\r' || first == '\n') {
            keys.push_back({Key::enter});
        } else if (first == 0x7F || first == '\b') {
            keys.push_back({Key::backspace});
        } else if (first == 3) {
            keys.push_back({Key::interrupt});
        } else if (first == 26) {
            keys.push_back({Key::suspend});
        } else if (first >= 0x20) {  // bytes above 7Fh are negative, or not text here
            keys.push_back({Key::text, first});
        }
        bytes.remove_prefix(length);
    }
    return keys;
}

void TopScreen::show(View view) {
    view_ = view;
    first_row_ = 0;
    is_reversed_ = false;
}

// What people look for first: who does the most.
size_t TopScreen::sort_column() const {
    const size_t chosen = sorts_[static_cast<size_t>(view_)].column;
    if (chosen != SIZE_MAX) return chosen;
    const Table empty = table_of(view_, Json(), Json());
    for (const std::string_view name : {"r/s", "busy %", "recv B/s"}) {
        const auto found = std::ranges::find(empty.columns, name, &Column::name);
        if (found != empty.columns.end()) return static_cast<size_t>(found - empty.columns.begin());
    }
    return 0;
}

bool TopScreen::sort_by(std::string_view column) {
    const Table empty = table_of(view_, Json(), Json());
    const auto found = std::ranges::find(empty.columns, column, &Column::name);
    if (found == empty.columns.end()) return false;
    sorts_[static_cast<size_t>(view_)].column = static_cast<size_t>(found - empty.columns.begin());
    return true;
}

TopScreen::Wish TopScreen::press_in_filter(const KeyPress& key) {
    switch (key.key) {
        case Key::text:
            if (filter_.size() < filter_max) filter_ += key.character;
            break;
        case Key::backspace:
            if (!filter_.empty()) filter_.pop_back();
            break;
        case Key::escape: filter_.clear(); [[fallthrough]];
        case Key::enter: is_typing_filter_ = false; break;
        default: break;
    }
    first_row_ = 0;
    return Wish::none;
}

TopScreen::Wish TopScreen::press(const KeyPress& key) {
    if (key.key == Key::interrupt) return Wish::quit;
    if (key.key == Key::suspend) return Wish::suspend;
    if (shows_help_) {
        shows_help_ = false;
        return Wish::none;
    }
    if (is_typing_filter_) return press_in_filter(key);
    const size_t view = static_cast<size_t>(view_);
    switch (key.key) {
        case Key::up: first_row_ -= std::min<size_t>(first_row_, 1); break;
        case Key::down: ++first_row_; break;
        case Key::page_up: first_row_ -= std::min(first_row_, page_rows_); break;
        case Key::page_down: first_row_ += page_rows_; break;
        case Key::home: first_row_ = 0; break;
        case Key::end: first_row_ = row_count_; break;
        case Key::tab: show(static_cast<View>((view + 1) % view_count)); break;
        case Key::back_tab: show(static_cast<View>((view + view_count - 1) % view_count)); break;
        case Key::escape: filter_.clear(); break;
        default: break;
    }
    if (key.key != Key::text) return Wish::none;
    switch (key.character) {
        case 'q': return Wish::quit;
        case '?':
        case 'h': shows_help_ = true; break;
        case ' ':
        case 'p': is_paused_ = !is_paused_; break;
        case '/': is_typing_filter_ = true; break;
        case 'r': is_reversed_ = !is_reversed_; break;
        case '<': sorts_[view].column = (sort_column() + column_count_ - 1) % column_count_; break;
        case '>': sorts_[view].column = (sort_column() + 1) % column_count_; break;
        case '+': {
            const auto* next = std::ranges::upper_bound(intervals, interval_s_);
            if (next != std::end(intervals)) interval_s_ = *next;
            break;
        }
        case '-': {
            const auto* next = std::ranges::lower_bound(intervals, interval_s_);
            if (next != std::begin(intervals)) interval_s_ = *(next - 1);
            break;
        }
        default:
            if (key.character >= '1' && key.character < static_cast<char>('1' + view_count)) {
                show(static_cast<View>(key.character - '1'));
            }
            break;
    }
    return Wish::none;
}

std::vector<std::string> TopScreen::help(ScreenSize size) const {
    std::vector<std::string> lines = {"weft top: what a target is doing", "", "1 to 9     the views:"};
    for (size_t at = 0; at < view_count; ++at) {
        lines.push_back(fmt::format("             {}  {}", at + 1, name_of(static_cast<View>(at))));
    }
    for (const char* line :
         {"Tab        the next view; Shift-Tab the one before", "< and >    sort by the column before, or behind",
          "r          the other way round", "/          show only rows with a name that contains what follows",
          "arrows     up and down; also Page Up, Page Down, Home, End", "p, blank   pause and go on",
          "+ and -    look less, or more often", "q          leave"}) {
        lines.emplace_back(line);
    }
    lines.emplace_back("avg, p50, p99: latency; p50 and p99 to the next power of two. Any key goes back.");
    if (lines.size() > static_cast<size_t>(size.rows)) lines.resize(static_cast<size_t>(size.rows));
    for (std::string& line : lines) line = cut(line, static_cast<size_t>(size.columns));
    return lines;
}

std::string TopScreen::status_line(const Summary& summary, size_t rows) const {
    if (!trouble_.empty()) return log::quoted(trouble_);
    std::string line = fmt::format("{} ({})", name_of(view_), rows);
    if (view_ == View::queues && summary.queues > summary.queues_shown) {
        line += fmt::format(" of {}", summary.queues);
    }
    if (is_typing_filter_) return line + "  filter: " + filter_ + "_";
    if (!filter_.empty()) line += "  filter: " + filter_;
    line += is_paused_ ? "  PAUSED" : fmt::format("  every {:g} s", interval_s_);
    return line + "  1-9 view  / filter  <> sort  p pause  ? help  q quit";
}

std::vector<std::string> TopScreen::lines(const Json& now, const Json& before, ScreenSize size, bool has_style) {
    const auto columns = static_cast<size_t>(std::max(size.columns, 1));
    const auto rows = static_cast<size_t>(std::max(size.rows, 1));
    if (shows_help_) return help(size);

    Table table = table_of(view_, now, before);
    column_count_ = table.columns.size();
    const size_t sorted = sort_column();
    sort_rows(table, sorted, is_reversed_);
    filter_rows(table, filter_);
    row_count_ = table.rows.size();
    page_rows_ = rows > header_lines ? rows - header_lines : 1;
    first_row_ = std::min(first_row_, row_count_ > page_rows_ ? row_count_ - page_rows_ : 0);

    const Summary summary = summary_of(now, before);
    std::vector<std::string> lines;
    const auto add = [&](const std::string& line, std::string_view style) {
        if (lines.size() == rows) return;
        const std::string fits = cut(line, columns);
        lines.push_back(has_style && !style.empty() ? fmt::format("{}{}{}", style, fits, plain) : fits);
    };
    add(fmt::format("weft {}  {:.1f}/{} CPUs busy  {} IO/s  read {}B/s  write {}B/s  {} conns  {} in flight",
                    log::quoted(summary.version, 16), summary.busy_reactors, summary.reactors,
                    short_count(summary.iops), short_bytes(summary.read_bytes), short_bytes(summary.written_bytes),
                    summary.connections, summary.in_flight),
        bold);
    add(status_line(summary, row_count_), trouble_.empty() ? std::string_view() : reversed);

    std::vector<std::vector<std::string>> cells;
    for (size_t row = first_row_; row < std::min(row_count_, first_row_ + page_rows_); ++row) {
        std::vector<std::string>& shown = cells.emplace_back();
        shown.reserve(table.rows[row].size());
        for (const Cell& cell : table.rows[row]) shown.push_back(log::quoted(cell.text));
    }
    const std::vector<size_t> widths = widths_of(table, cells, columns);
    std::string names;
    for (size_t at = 0; at < widths.size(); ++at) {
        const std::string_view mark = at == sorted ? (is_reversed_ ? "^" : "v") : "";
        std::string name = table.columns[at].name;
        if (!mark.empty() && name.size() < widths[at]) name += mark;
        names += (at > 0 ? " " : "") + fitted(name, widths[at], table.columns[at].is_text);
    }
    add(names + std::string(columns > names.size() ? columns - names.size() : 0, ' '), reversed);
    for (const auto& row : cells) {
        std::string line;
        for (size_t at = 0; at < widths.size(); ++at) {
            line += (at > 0 ? " " : "") + fitted(row[at], widths[at], table.columns[at].is_text);
        }
        add(line, {});
    }
    return lines;
}

}  // namespace weft::cli
