// A check for options that are floating-point numbers: unlike CLI::Range it refuses "nan".
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>

namespace weft::cli {

inline CLI::Validator number_range(double min, double max) {
    return {[min, max](std::string& text) {
                double value = 0;
                const bool is_number = CLI::detail::lexical_cast(text, value);
                if (is_number && value >= min && value <= max) return std::string();
                return fmt::format("{} is not a number in the range from {} to {}", text, min, max);
            },
            fmt::format("FLOAT from {} to {}", min, max)};
}

}  // namespace weft::cli
