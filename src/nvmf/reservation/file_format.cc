#include "nvmf/reservation/file_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

constexpr JsonLimits limits{.size_bytes_max = reservation_file_bytes_max, .depth_max = 4, .values_max = 512};

std::unexpected<Error> refuse(std::string_view why) {
    return fail(Errc::protocol_error,
                fmt::format("{}; correct the file, or remove it to begin without reservations", why));
}

const Json* member(const Json& object, const char* name) {
    const auto at = object.find(name);
    return at == object.end() ? nullptr : &*at;
}

Result<Uuid> read_uuid(const Json& object, const char* name) {
    const Json* text = member(object, name);
    const auto uuid =
        text != nullptr && text->is_string() ? Uuid::parse(text->get_ref<const std::string&>()) : std::optional<Uuid>();
    if (!uuid) return refuse(fmt::format("\"{}\" must be given, a UUID", name));
    return *uuid;
}

Result<uint64_t> read_number(const Json& object, const char* name) {
    const Json* number = member(object, name);
    if (number == nullptr || !number->is_number_unsigned()) {
        return refuse(fmt::format("\"{}\" must be given, a number of 64 bits at most", name));
    }
    return number->get<uint64_t>();
}

Result<void> read_registrants(const Json& document, ReservationRecord& record) {
    const Json* list = member(document, "registrants");
    if (list == nullptr || !list->is_array()) return refuse("\"registrants\" must be given, an array");
    if (list->size() > ReservationState::registrants_max) {
        return refuse(fmt::format("there are {} registrants, at most {} can be", list->size(),
                                  ReservationState::registrants_max));
    }
    for (const Json& entry : *list) {
        if (!entry.is_object()) return refuse("each of the \"registrants\" must be an object");
        auto host = read_uuid(entry, "host_uuid");
        if (!host) return std::unexpected(std::move(host).error());
        auto key = read_number(entry, "rkey");
        if (!key) return std::unexpected(std::move(key).error());
        record.registrants.push_back({*host, *key});
    }
    std::ranges::sort(record.registrants, {}, &Registrant::host);
    return {};
}

// The holder, and its key once more.
Result<void> read_holder(const Json& document, ReservationRecord& record) {
    auto type = read_number(document, "rtype");
    if (!type) return std::unexpected(std::move(type).error());
    if (*type > 0xFF) return refuse("\"rtype\": there is no such type of reservation");
    record.type = nvme::ReservationType(*type);
    auto key = read_number(document, "crkey");
    if (!key) return std::unexpected(std::move(key).error());
    const bool is_all = record.type == nvme::ReservationType::write_exclusive_all_registrants ||
                        record.type == nvme::ReservationType::exclusive_access_all_registrants;
    if (record.type == nvme::ReservationType::none || is_all) return {};
    auto holder = read_uuid(document, "holder_uuid");
    if (!holder) return std::unexpected(std::move(holder).error());
    record.holder = *holder;
    const auto found = std::ranges::find(record.registrants, record.holder, &Registrant::host);
    if (found != record.registrants.end() && found->key != *key) {
        return refuse("\"crkey\" is not the key of the holder");
    }
    return {};
}

}  // namespace

std::string write_reservation(const ReservationRecord& record, const Uuid& device) {
    // Of a reservation that all registrants hold the field names the first.
    const bool is_held = record.type != nvme::ReservationType::none;
    const Registrant* holder = nullptr;
    for (const Registrant& one : record.registrants) {
        if (is_held && (record.holder.is_nil() || one.host == record.holder)) {
            holder = &one;
            break;
        }
    }
    Json document{{"ptpl", record.is_persistent},
                  {"rtype", static_cast<uint32_t>(record.type)},
                  {"crkey", holder != nullptr ? holder->key : uint64_t{0}},
                  {"bdev_uuid", device.to_string()},
                  {"holder_uuid", (holder != nullptr ? holder->host : Uuid{}).to_string()}};
    Json& registrants = document["registrants"] = Json::array();
    for (const Registrant& one : record.registrants) {
        registrants.push_back({{"rkey", one.key}, {"host_uuid", one.host.to_string()}});
    }
    return dump_json(document) + "\n";
}

Result<ReservationRecord> read_reservation(std::string_view text, const Uuid& device) {
    if (text.empty()) return ReservationRecord{};
    auto parsed = parse_json(text, limits);
    if (!parsed) return refuse(fmt::format("it is not JSON as it should be: {}", parsed.error().message));
    if (!parsed->is_object()) return refuse("it is not a JSON object");
    const Json* is_persistent = member(*parsed, "ptpl");
    if (is_persistent == nullptr || !is_persistent->is_boolean())
        return refuse("\"ptpl\" must be given, true or false");
    if (!is_persistent->get<bool>()) return ReservationRecord{};

    ReservationRecord record;
    record.is_persistent = true;
    const auto bdev = read_uuid(*parsed, "bdev_uuid");
    if (!bdev) return std::unexpected(bdev.error());
    if (*bdev != device) {
        return fail(Errc::invalid_argument,
                    fmt::format("it belongs to the bdev with the UUID {}, this one has {}; give each namespace a file "
                                "of its own",
                                bdev->to_string(), device.to_string()));
    }
    WEFT_TRY(read_registrants(*parsed, record));
    WEFT_TRY(read_holder(*parsed, record));
    if (const char* fault = record.find_fault()) return refuse(fault);
    return record;
}

}  // namespace weft::nvmf
