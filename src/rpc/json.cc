#include "rpc/json.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "base/log.h"

namespace weft {

namespace {

// Builds the value from the events of nlohmann's parser, which does not recurse. After a fault (see JsonDocument) the
// text is only checked, and scalar members of the outermost object are still taken, so that its "id" is known.
class Builder final : public nlohmann::json_sax<Json> {
public:
    explicit Builder(const JsonLimits& limits) : limits_(limits) {}

    bool null() override { return add(Json(nullptr)); }
    bool boolean(bool value) override { return add(Json(value)); }
    bool number_integer(Json::number_integer_t value) override { return add(Json(value)); }
    bool number_unsigned(Json::number_unsigned_t value) override { return add(Json(value)); }
    bool number_float(Json::number_float_t value, const std::string& text) override {
        // The parser turns integers that do not fit into floating point, which would lose their last digits.
        if (text.find_first_of(".eE") == std::string::npos) {
            fault(fmt::format("{} does not fit 64 bits", log::quoted(text, 40)));
            return add(Json(nullptr));
        }
        return add(Json(value));
    }
    bool string(std::string& value) override { return add(Json(std::move(value))); }
    bool binary(Json::binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(Json::object()); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(std::string& name) override;
    bool parse_error(std::size_t position, const std::string&, const Json::exception& error) override {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: …": without the first word.
        const std::string_view what(error.what());
        const size_t blank = what.find("] ");
        error_ = fmt::format("not JSON, at byte {}: {}", position,
                             log::quoted(blank == std::string_view::npos ? what : what.substr(blank + 2), 160));
        return false;
    }

    Result<JsonDocument> finish(bool parsed) {
        if (!parsed) return fail(Errc::protocol_error, error_.empty() ? "not JSON" : std::move(error_));
        return std::move(document_);
    }

private:
    struct Level {
        Json* container;  // nullptr: being skipped
        std::set<std::string, std::less<>> names;
        std::string name;  // of the member that comes next
        bool is_object;
    };

    bool add(Json value);
    bool open(Json container);
    bool close() {
        levels_.pop_back();
        return true;
    }
    void count_value() {
        if (++values_ > limits_.values_max) fault(fmt::format("more than {} values", limits_.values_max));
    }
    // Where the next value goes; nullptr: nowhere.
    Json* place(Json value);
    void fault(std::string reason);

    const JsonLimits limits_;
    JsonDocument document_;
    std::vector<Level> levels_;
    size_t values_ = 0;
    std::string error_;
    bool skip_next_ = false;
};

void Builder::fault(std::string reason) {
    if (document_.fault) return;
    std::string path;
    for (const Level& level : levels_) {
        if (!level.is_object || level.name.empty()) continue;
        if (!path.empty()) path += '.';
        path += log::quoted(level.name, 64);
    }
    document_.fault = path.empty() ? std::move(reason) : fmt::format("{}: {}", path, reason);
    if (!levels_.empty() && levels_.front().is_object) document_.fault_member = levels_.front().name;
}

bool Builder::key(std::string& name) {
    count_value();
    Level& level = levels_.back();
    level.name = name;
    skip_next_ = false;
    const bool outline_only = document_.fault && levels_.size() > 1;
    if (level.container != nullptr && !outline_only && !level.names.insert(name).second) {
        fault("given twice");
        skip_next_ = true;  // the first one stays
    }
    return true;
}

Json* Builder::place(Json value) {
    if (levels_.empty()) {
        document_.value = std::move(value);
        return &document_.value;
    }
    Level& level = levels_.back();
    if (level.container == nullptr || std::exchange(skip_next_, false)) return nullptr;
    if (document_.fault) {
        // An outline holds little, however long the text is.
        constexpr size_t outline_members_max = 16;
        if (levels_.size() > 1 || !level.is_object || level.container->size() >= outline_members_max) return nullptr;
    }
    if (level.is_object) {
        // Straight to the vector behind the ordered map: names are known to be different.
        auto& members = level.container->get_ref<Json::object_t&>();
        return &static_cast<Json::object_t::Container&>(members).emplace_back(level.name, std::move(value)).second;
    }
    auto& elements = level.container->get_ref<Json::array_t&>();
    return &elements.emplace_back(std::move(value));
}

bool Builder::add(Json value) {
    count_value();
    place(std::move(value));
    return true;
}

bool Builder::open(Json container) {
    count_value();
    if (levels_.size() >= limits_.depth_max) {
        error_ = fmt::format("nested deeper than {}", limits_.depth_max);
        return false;
    }
    const bool is_object = container.is_object();
    Json* at = place(std::move(container));
    // In an outline containers stay empty, but the outermost.
    if (document_.fault && !levels_.empty()) at = nullptr;
    levels_.push_back({.container = at, .names = {}, .name = {}, .is_object = is_object});
    skip_next_ = false;
    return true;
}

}  // namespace

Result<JsonDocument> parse_json_document(std::string_view text, const JsonLimits& limits) {
    if (text.size() > limits.size_bytes_max) {
        return fail(Errc::protocol_error, fmt::format("more than {} bytes", limits.size_bytes_max));
    }
    Builder builder(limits);
    const bool parsed = Json::sax_parse(text.begin(), text.end(), &builder);
    return builder.finish(parsed);
}

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
    auto document = parse_json_document(text, limits);
    if (!document) return std::unexpected(std::move(document).error());
    if (document->fault) return fail(Errc::out_of_range, std::move(*document->fault));
    return std::move(document->value);
}

std::string dump_json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string dump_json_pretty(const Json& value) { return value.dump(4, ' ', false, Json::error_handler_t::replace); }

}  // namespace weft
