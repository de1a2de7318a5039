// The screen of `weft top`: keys in, lines out. Knows no terminal.
#pragma once

#include <string>
#include <vector>

#include "app/cli/watch/top_model.h"

namespace weft::cli {

enum class Key : uint8_t {
    up,
    down,
    page_up,
    page_down,
    home,
    end,
    tab,
    back_tab,
    enter,
    escape,
    backspace,
    interrupt,
    suspend,
    text,
};
struct KeyPress {
    Key key = Key::text;
    char character = 0;  // of Key::text: printable ASCII
};
// What was typed, as keys; bytes that mean nothing here are dropped.
std::vector<KeyPress> keys_of(std::string_view bytes);

struct ScreenSize {
    int columns = 80;
    int rows = 24;
};

class TopScreen {
public:
    enum class Wish : uint8_t { none, quit, suspend };

    explicit TopScreen(double interval_s) : interval_s_(interval_s) {}

    Wish press(const KeyPress& key);
    void show(View view);
    void set_filter(std::string text) { filter_ = std::move(text); }
    // By the name of a column of the view; false when there is none.
    bool sort_by(std::string_view column);
    void reverse() { is_reversed_ = !is_reversed_; }
    // Below the summary, instead of "live": what is wrong; "" when nothing is.
    void set_trouble(std::string text) { trouble_ = std::move(text); }

    [[nodiscard]] bool is_paused() const { return is_paused_; }
    [[nodiscard]] double interval_s() const { return interval_s_; }
    [[nodiscard]] View view() const { return view_; }

    // At most `rows` lines, none wider than `columns` cells, in a terminal's escape sequences when `has_style`.
    [[nodiscard]] std::vector<std::string> lines(const Json& now, const Json& before, ScreenSize size, bool has_style);

private:
    struct SortState {
        size_t column = SIZE_MAX;  // the view's usual one
    };
    [[nodiscard]] size_t sort_column() const;
    Wish press_in_filter(const KeyPress& key);
    [[nodiscard]] std::vector<std::string> help(ScreenSize size) const;
    [[nodiscard]] std::string status_line(const Summary& summary, size_t rows) const;

    View view_ = View::namespaces;
    double interval_s_;
    std::vector<SortState> sorts_ = std::vector<SortState>(view_count);
    bool is_reversed_ = false;
    std::string filter_;
    bool is_typing_filter_ = false;
    bool is_paused_ = false;
    bool shows_help_ = false;
    size_t first_row_ = 0;
    size_t row_count_ = 0;   // of the table that was shown last
    size_t page_rows_ = 1;
    size_t column_count_ = 1;
    std::string trouble_;
};

}  // namespace weft::cli
