#include "nvmf/reservation/file_format.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/uuid.h"
#include "rpc/json.h"

namespace weft::nvmf {
namespace {

const Uuid device = *Uuid::parse("11111111-2222-3333-4444-555555555555");
const Uuid a = *Uuid::parse("00000000-0000-0000-0000-00000000000a");
const Uuid b = *Uuid::parse("00000000-0000-0000-0000-00000000000b");

ReservationRecord record(nvme::ReservationType type) {
    const bool is_all = type >= nvme::ReservationType::write_exclusive_all_registrants;
    return {.type = type,
            .holder = type == nvme::ReservationType::none || is_all ? Uuid{} : b,
            .is_persistent = true,
            .registrants = {{a, 1}, {b, UINT64_MAX}}};
}

TEST(ReservationFile, WhatIsWrittenIsRead) {
    for (uint8_t type = 0; type <= 6; ++type) {
        const ReservationRecord before = record(nvme::ReservationType(type));
        ASSERT_EQ(before.find_fault(), nullptr);
        const auto after = read_reservation(write_reservation(before, device), device);
        ASSERT_TRUE(after) << after.error().message;
        EXPECT_EQ(*after, before);
    }
    ReservationRecord full{.is_persistent = true};
    for (uint8_t number = 1; number <= 64; ++number) {
        full.registrants.push_back({Uuid({0xFF, number}), number});
    }
    const auto after = read_reservation(write_reservation(full, device), device);
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_EQ(*after, full);
}

TEST(ReservationFile, HasTheFieldsOfTheField) {
    const Json document = Json::parse(write_reservation(record(nvme::ReservationType::write_exclusive), device));
    EXPECT_EQ(document["ptpl"], true);
    EXPECT_EQ(document["rtype"], 1);
    EXPECT_EQ(document["crkey"], UINT64_MAX);
    EXPECT_EQ(document["bdev_uuid"], device.to_string());
    EXPECT_EQ(document["holder_uuid"], b.to_string());
    EXPECT_EQ(document["registrants"][0]["rkey"], 1);
    EXPECT_EQ(document["registrants"][0]["host_uuid"], a.to_string());
}

TEST(ReservationFile, NothingIsARecordOfNothing) {
    const std::string off = R"({"ptpl":false,"rtype":1})";
    for (const std::string_view text : {std::string_view(), std::string_view(off)}) {
        const auto read = read_reservation(text, device);
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, ReservationRecord{});
    }
}

TEST(ReservationFile, WhatNoTargetWroteIsRefusedWithTheReason) {
    const auto why = [](const std::function<void(Json&)>& spoil) {
        Json document = Json::parse(write_reservation(record(nvme::ReservationType::write_exclusive), device));
        spoil(document);
        const auto read = read_reservation(dump_json(document), device);
        return read ? std::string("it was taken") : read.error().message;
    };
    const auto says = [&](const char* what, const std::function<void(Json&)>& spoil) {
        const std::string message = why(spoil);
        EXPECT_NE(message.find(what), std::string::npos) << what << ": " << message;
    };
    says("ptpl", [](Json& file) { file["ptpl"] = 1; });
    says("ptpl", [](Json& file) { file.erase("ptpl"); });
    says("rtype", [](Json& file) { file["rtype"] = -1; });
    says("rtype", [](Json& file) { file["rtype"] = 256; });
    says("type", [](Json& file) { file["rtype"] = 7; });
    says("crkey", [](Json& file) { file["crkey"] = 5; });
    says("crkey", [](Json& file) { file["crkey"] = 1.5; });
    says("bdev with the UUID", [](Json& file) { file["bdev_uuid"] = a.to_string(); });
    says("bdev_uuid", [](Json& file) { file["bdev_uuid"] = "x"; });
    says("holder_uuid", [](Json& file) { file.erase("holder_uuid"); });
    says("not registered", [](Json& file) { file["holder_uuid"] = device.to_string(); });
    says("registrants", [](Json& file) { file["registrants"] = Json::object(); });
    says("registrants", [](Json& file) { file["registrants"][0] = 3; });
    says("rkey", [](Json& file) { file["registrants"][0].erase("rkey"); });
    says("key is 0", [](Json& file) { file["registrants"][0]["rkey"] = 0; });
    says("host_uuid", [](Json& file) { file["registrants"][0]["host_uuid"] = 1; });
    says("all zero", [](Json& file) { file["registrants"][0]["host_uuid"] = Uuid{}.to_string(); });
    says("twice", [](Json& file) { file["registrants"][0] = Json(file["registrants"][1]); });
    says("at most 64", [](Json& file) {
        for (uint8_t number = 0; number < 63; ++number) {
            file["registrants"].push_back({{"rkey", 1}, {"host_uuid", Uuid({9, number}).to_string()}});
        }
    });
    for (const char* text : {"x", "[]", "{", "{}", "\"ptpl\"", "{\"ptpl\":true}", "null"}) {
        EXPECT_FALSE(read_reservation(text, device)) << text;
    }
    EXPECT_FALSE(read_reservation(std::string(reservation_file_bytes_max + 1, ' '), device));
}

}  // namespace
}  // namespace weft::nvmf
