// For tests: a strict reader of Prometheus' text format, written from its description alone. Throws on the first line
// that is not as it must be.
#pragma once

#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace weft::app {

class ExpositionReader {
public:
    struct Sample {
        std::string name;
        std::map<std::string, std::string> labels;
        double value = 0;
    };
    struct Family {
        std::string name, help, type;
        std::vector<Sample> samples;
    };

    explicit ExpositionReader(std::string_view text) {
        if (!text.empty() && text.back() != '\n') wrong("the last line does not end");
        while (!text.empty()) {
            const size_t end = text.find('\n');
            line_ = text.substr(0, end);
            text.remove_prefix(end + 1);
            take_line();
        }
        for (const Family& family : families) check(family);
    }

    std::vector<Family> families;
    // The value of a sample with exactly these labels; not a number when there is none.
    [[nodiscard]] double value(const std::string& name, const std::map<std::string, std::string>& labels = {}) const {
        for (const Family& family : families) {
            for (const Sample& sample : family.samples) {
                if (sample.name == name && sample.labels == labels) return sample.value;
            }
        }
        return std::numeric_limits<double>::quiet_NaN();
    }
    [[nodiscard]] size_t count(const std::string& family_name) const {
        for (const Family& family : families) {
            if (family.name == family_name) return family.samples.size();
        }
        return 0;
    }

private:
    [[noreturn]] void wrong(const std::string& why) const { throw std::runtime_error(why + ": " + std::string(line_)); }

    static bool is_name(std::string_view text, bool may_have_colon) {
        if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
        for (const char character : text) {
            const bool is_good = std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_' ||
                                 (may_have_colon && character == ':');
            if (!is_good) return false;
        }
        return true;
    }

    void take_line() {
        if (line_.starts_with("# HELP ")) {
            const std::string_view rest = line_.substr(7);
            const size_t space = rest.find(' ');
            if (space == std::string_view::npos || !is_name(rest.substr(0, space), true)) wrong("HELP without a name");
            const std::string name(rest.substr(0, space));
            if (!names_.insert(name).second) wrong("a family twice");
            families.push_back({name, std::string(rest.substr(space + 1)), "", {}});
        } else if (line_.starts_with("# TYPE ")) {
            if (families.empty() || !families.back().type.empty() || !families.back().samples.empty()) {
                wrong("TYPE at a wrong place");
            }
            const std::string expected = "# TYPE " + families.back().name + " ";
            if (!line_.starts_with(expected)) wrong("TYPE of another family");
            families.back().type = line_.substr(expected.size());
            static const std::set<std::string> types = {"counter", "gauge", "histogram"};
            if (!types.contains(families.back().type)) wrong("an unknown type");
        } else {
            take_sample();
        }
    }

    void take_sample() {
        size_t at = line_.find_first_of("{ ");
        if (at == std::string_view::npos) wrong("neither labels nor value");
        Sample sample{std::string(line_.substr(0, at)), {}, 0};
        if (!is_name(sample.name, true)) wrong("a bad name");
        if (line_[at] == '{') {
            ++at;
            while (line_.at(at) != '}') take_label(sample, at);
            ++at;
        }
        if (line_.at(at) != ' ') wrong("no blank before the value");
        sample.value = number(line_.substr(at + 1));
        if (families.empty() || families.back().type.empty()) wrong("a sample before its TYPE");
        Family& family = families.back();
        const bool is_histogram = family.type == "histogram";
        const bool is_mine = is_histogram
                                 ? sample.name == family.name + "_bucket" || sample.name == family.name + "_sum" ||
                                       sample.name == family.name + "_count"
                                 : sample.name == family.name;
        if (!is_mine) wrong("a sample of another family");
        if (!seen_.insert({sample.name, sample.labels}).second) wrong("a sample twice");
        family.samples.push_back(std::move(sample));
    }

    void take_label(Sample& sample, size_t& at) {
        const size_t equals = line_.find('=', at);
        if (equals == std::string_view::npos) wrong("a label without =");
        const std::string name(line_.substr(at, equals - at));
        if (!is_name(name, false) || name.starts_with("__")) wrong("a bad label name");
        at = equals + 1;
        if (line_.at(at++) != '"') wrong("a label without quotes");
        std::string value;
        for (; line_.at(at) != '"'; ++at) {
            if (static_cast<unsigned char>(line_[at]) < 0x20) wrong("a control byte");
            if (line_[at] != '\\') {
                value += line_[at];
                continue;
            }
            const char escaped = line_.at(++at);
            if (escaped != '\\' && escaped != '"' && escaped != 'n') wrong("an unknown escape");
            value += escaped == 'n' ? '\n' : escaped;
        }
        ++at;
        if (!sample.labels.emplace(name, value).second) wrong("a label twice");
        if (line_.at(at) == ',') {
            ++at;
            if (line_.at(at) == '}') wrong("a comma before the brace");
        } else if (line_.at(at) != '}') {
            wrong("something behind a label");
        }
    }

    [[nodiscard]] double number(std::string_view text) const {
        if (text == "+Inf") return std::numeric_limits<double>::infinity();
        size_t used = 0;
        const std::string copy(text);
        if (copy.empty() || std::isspace(static_cast<unsigned char>(copy[0])) != 0) wrong("no number");
        const double value = std::stod(copy, &used);
        if (used != copy.size()) wrong("not a number");
        return value;
    }

    // The conventions, and what a histogram is.
    void check(const Family& family) {
        line_ = family.name;
        if (family.help.empty() || family.type.empty()) wrong("no HELP or TYPE");
        const bool is_total = family.name.ends_with("_total");
        if ((family.type == "counter") != is_total) wrong("counters, and nothing else, end with _total");
        for (const char* unit : {"_ns", "_us", "_ms", "_kib", "_mib", "_percent", "milliseconds", "_kb"}) {
            if (family.name.find(unit) != std::string::npos) wrong("not a base unit");
        }
        if (family.type != "histogram") return;
        struct One {
            double bound = -1, last = 0, count = -1, sum = -1;
        };
        std::map<std::map<std::string, std::string>, One> all;
        for (const Sample& sample : family.samples) {
            std::map<std::string, std::string> labels = sample.labels;
            if (sample.name == family.name + "_bucket") {
                if (!labels.contains("le")) wrong("a bucket without le");
                const double bound = number(labels.at("le"));
                labels.erase("le");
                One& one = all[labels];
                if (bound <= one.bound || sample.value < one.last) wrong("buckets do not ascend");
                one.bound = bound;
                one.last = sample.value;
            } else {
                (sample.name.ends_with("_sum") ? all[labels].sum : all[labels].count) = sample.value;
            }
        }
        for (const auto& [labels, one] : all) {
            if (!std::isinf(one.bound)) wrong("no +Inf bucket");
            if (one.count != one.last || one.sum < 0) wrong("_count is not the last bucket");
        }
    }

    std::string_view line_;
    std::set<std::string> names_;
    std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
};

}  // namespace weft::app
