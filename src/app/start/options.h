// The options of a program: it declares its own, the standard ones (standard_options.h) come after these. CLI11 does
// the parsing and writes --help, and is not needed to use this.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace weft::app {

struct NumberRange {
    uint64_t min = 0;
    uint64_t max = std::numeric_limits<uint64_t>::max();
};

// Each `names` is as in "-q,--queue-depth". What a value holds when it is declared is its default and shown in --help;
// it lives until the command line is parsed. Control path, one thread.
class Options {
public:
    enum class Presence : uint8_t { optional, required };

    // `text`: what the program does, in a line. `usage` is asked when --help is printed, for what stands below it.
    Options(const std::string& program, const std::string& text, std::function<std::string()> usage);
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;
    ~Options();

    void add_flag(const std::string& names, bool& value, const std::string& help);
    void add_text(const std::string& names, std::string& value, const std::string& help,
                  Presence presence = Presence::optional);
    // May be given several times.
    void add_texts(const std::string& names, std::vector<std::string>& values, const std::string& help);
    void add_choice(const std::string& names, std::string& value, const std::vector<std::string>& choices,
                    const std::string& help);
    // Numbers outside of `range`, which is cut to what T holds, are refused.
    template <std::unsigned_integral T>
    void add_number(const std::string& names, T& value, const std::string& help, NumberRange range = {}) {
        range.max = std::min<uint64_t>(range.max, std::numeric_limits<T>::max());
        add_number(names, value, help, range, [&value](uint64_t number) { value = static_cast<T>(number); });
    }

    // For what the above cannot say.
    [[nodiscard]] CLI::App& cli() { return *cli_; }

private:
    void add_number(const std::string& names, uint64_t value, const std::string& help, NumberRange range,
                    std::function<void(uint64_t)> take);

    std::unique_ptr<CLI::App> cli_;
};

}  // namespace weft::app
