#include "rpc/audit_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/log.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::rpc {

namespace {

// Parts of names whose values are secrets, or may be: SPDK's psk, dhchap_key, dhchap_ctrlr_key, key, hmac_key, password
// …
constexpr std::array<std::string_view, 7> secret_parts = {"key",   "psk",        "secret", "passw",
                                                          "token", "credential", "pin"};
constexpr size_t method_bytes_max = 128;
constexpr const char* hidden = "***";

bool is_secret(std::string_view name) {
    std::string lower(name);
    std::ranges::transform(lower, lower.begin(), [](char byte) {
        return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
    });
    return std::ranges::any_of(secret_parts, [&lower](std::string_view part) {
        // "pin" only as the whole name: it is part of too many words.
        return part == "pin" ? lower == part : lower.find(part) != std::string::npos;
    });
}

// RFC 3339, UTC, microseconds.
std::string time_text(env::TimeNs wall) {
    const int64_t seconds = static_cast<int64_t>(wall / env::ns_per_s);
    const int64_t days = seconds / 86400;
    const int64_t rest = seconds % 86400;
    // Days to a date: eras of 400 years that begin on the first of March.
    const int64_t shifted = days + 719468;
    const int64_t era = shifted / 146097;
    const int64_t day_of_era = shifted % 146097;
    const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_of_year = (5 * day_of_year + 2) / 153;
    const int64_t day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    const int64_t month = month_of_year < 10 ? month_of_year + 3 : month_of_year - 9;
    const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", year, month, day, rest / 3600, rest / 60 % 60,
                       rest % 60, wall % env::ns_per_s / 1000);
}

}  // namespace

namespace {

Json size_of(const Json& text) { return fmt::format("<{} bytes>", text.get_ref<const std::string&>().size()); }

Json redacted_member(const std::string& name, const Json& value) {
    if (is_secret(name)) return hidden;
    // The text of a configuration, which has names of its own.
    if (name == "config" && value.is_string()) return size_of(value);
    return redacted(value);
}

}  // namespace

Json redacted(const Json& params) {
    if (params.is_string()) {
        return params.get_ref<const std::string&>().size() <= AuditLog::text_bytes_max ? params : size_of(params);
    }
    if (params.is_array()) {
        Json list = Json::array();
        for (const Json& member : params) list.push_back(redacted(member));
        return list;
    }
    if (!params.is_object()) return params;
    Json object = Json::object();
    for (const auto& [name, member] : params.items()) object[name] = redacted_member(name, member);
    return object;
}

AuditLog::AuditLog(std::string path, std::unique_ptr<env::File> file)
    : path_(std::move(path)), thread_(Thread::current()), file_(std::move(file)) {}

AuditLog::~AuditLog() { WEFT_ASSERT(!is_writing_); }

Task<Result<std::unique_ptr<env::File>>> AuditLog::open_file(std::string path) {
    env::Files& files = Reactor::current().environment().files();
    co_return co_await offload([&files, &path] { return files.open(path, {.create = true, .append = true}); });
}

Task<Result<std::unique_ptr<AuditLog>>> AuditLog::open(std::string path) {
    auto file = co_await open_file(path);
    if (!file) co_return fail(file.error().code, "--audit: " + file.error().message);
    co_return std::unique_ptr<AuditLog>(new AuditLog(std::move(path), std::move(*file)));
}

Task<Result<void>> AuditLog::reopen() {
    auto file = co_await open_file(path_);
    if (!file) co_return fail(file.error().code, "--audit: " + file.error().message);
    const AsyncMutex::Guard use = co_await file_in_use_.lock();
    file_ = std::move(*file);
    is_torn_ = false;
    co_return Result<void>{};
}

void AuditLog::note(const Caller& who, std::string_view method, const Json& params, int code) {
    if (is_closed_) return lose(1, "the target is being stopped");
    Json line{{"time", time_text(thread_.reactor().environment().clock().wall())},
              {"who", who.name},
              {"address", who.address},
              {"role", to_string(who.role)},
              {"method", method.substr(0, method_bytes_max)},
              {"params", redacted(params)},
              {"code", code}};
    if (const size_t size = dump_json(line["params"]).size(); size > params_bytes_max) {
        line["params"] = fmt::format("<{} bytes>", size);
    }
    // ASCII, so that showing the file on a terminal obeys nobody.
    std::string text = line.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
    if (waiting_.size() + text.size() > waiting_bytes_max) return lose(1, "the file is too slow");
    waiting_ += text;
    ++waiting_lines_;
    if (!is_writing_) {
        is_writing_ = true;
        spawn(write_all());
    }
}

// One write at a time, of all that came meanwhile.
Task<void> AuditLog::write_all() {
    while (!waiting_.empty()) {
        const AsyncMutex::Guard use = co_await file_in_use_.lock();
        const std::string text = (is_torn_ ? "\n" : "") + std::exchange(waiting_, {});
        const uint64_t lines = std::exchange(waiting_lines_, 0);
        Result<void> done = co_await offload([&file = *file_, &text]() -> Result<void> {
            const auto size = file.size_bytes();
            if (!size) return std::unexpected(size.error());
            return file.write_durably(*size, text);
        });
        is_torn_ = !done;
        if (done) {
            figures_.lines_written += lines;
            figures_.failure.clear();
        } else {
            lose(lines, std::move(done).error().message);
        }
    }
    is_writing_ = false;
    written_.wake_all();
}

// Calls go on: a target whose audit log is full must stay controllable.
void AuditLog::lose(uint64_t lines, std::string reason) {
    figures_.lines_lost += lines;
    figures_.failure = std::move(reason);
    const env::TimeNs now = thread_.reactor().now();
    if (now < next_complaint_) return;
    next_complaint_ = now + complaint_pause;
    WEFT_ERRLOG("the audit log {} loses lines, {} so far: {}", path_, figures_.lines_lost, figures_.failure);
}

Task<void> AuditLog::settle() {
    while (is_writing_) co_await written_.wait();
}

Task<void> AuditLog::close() {
    is_closed_ = true;
    return settle();
}

}  // namespace weft::rpc
