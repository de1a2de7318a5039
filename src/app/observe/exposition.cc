#include "app/observe/exposition.h"

#include <algorithm>

#include "base/utf8.h"

namespace weft::app {

namespace {

// Beside what the format wants, bytes that are not UTF-8 become U+FFFD, since a scrape is refused as a whole for one,
// and control bytes are written as \\xNN, so that no terminal is fooled by a host's name.
void append_escaped(std::string& text, std::string_view value) {
    for (size_t at = 0; at < value.size();) {
        const auto byte = static_cast<unsigned char>(value[at]);
        if (byte == '\\' || byte == '"') {
            text += '\\';
            text += value[at++];
        } else if (byte == '\n') {
            text += "\\n";
            ++at;
        } else if (byte < 0x20 || byte == 0x7F) {
            text += fmt::format("\\\\x{:02x}", byte);
            ++at;
        } else if (byte < 0x80) {
            text += value[at++];
        } else {
            const size_t length = utf8_length(value.substr(at));
            text += length > 0 ? value.substr(at, length) : std::string_view("\uFFFD");
            at += std::max<size_t>(length, 1);
        }
    }
}

}  // namespace

std::string seconds_of(uint64_t nanoseconds) {
    return fmt::format("{}.{:09}", nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000);
}

void Exposition::begin_family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void Exposition::name_and_labels(std::string_view suffix, Labels labels, std::string_view bound) {
    text_ += name_;
    text_ += suffix;
    char separator = '{';
    for (const Label& label : labels) {
        text_ += separator;
        text_ += label.name;
        text_ += "=\"";
        append_escaped(text_, label.value);
        text_ += '"';
        separator = ',';
    }
    if (!bound.empty()) {
        text_ += fmt::format("{}le=\"{}\"", separator, bound);
        separator = ',';
    }
    text_ += separator == ',' ? "} " : " ";
}

void Exposition::sample(Labels labels, uint64_t value) {
    name_and_labels({}, labels);
    text_ += fmt::format("{}\n", value);
}

void Exposition::sample(Labels labels, double value) {
    name_and_labels({}, labels);
    text_ += fmt::format("{}\n", value);
}

void Exposition::seconds(Labels labels, uint64_t nanoseconds) {
    name_and_labels({}, labels);
    text_ += seconds_of(nanoseconds) + "\n";
}

void Exposition::histogram(Labels labels, const bdev::OpStatistics& figures) {
    static const auto bounds = [] {
        std::array<std::string, LatencyBuckets::bound_count> texts;
        for (size_t at = 0; at < texts.size(); ++at) {
            texts[at] = seconds_of(LatencyBuckets::bound_ns(at));
            texts[at].erase(texts[at].find_last_not_of('0') + 1);
        }
        return texts;
    }();
    uint64_t so_far = 0;
    for (size_t at = 0; at < bounds.size(); ++at) {
        so_far += figures.latencies.counts[at];
        name_and_labels("_bucket", labels, bounds[at]);
        text_ += fmt::format("{}\n", so_far);
    }
    so_far += figures.latencies.counts.back();
    name_and_labels("_bucket", labels, "+Inf");
    text_ += fmt::format("{}\n", so_far);
    name_and_labels("_sum", labels);
    text_ += seconds_of(figures.latency_ns) + "\n";
    // Of the buckets, not `operations`: what was done in the turn at hand has no latency yet.
    name_and_labels("_count", labels);
    text_ += fmt::format("{}\n", so_far);
}

}  // namespace weft::app
