#include "nvme/status.h"

#include <gtest/gtest.h>

namespace weft::nvme {
namespace {

TEST(Status, KeepsItsPlacesOnTheWire) {
    EXPECT_EQ(status::success.to_wire(), 0u);
    EXPECT_EQ(status::success.to_wire(true), 1u);
    EXPECT_EQ(status::invalid_field.to_wire(), 0x0004u);
    EXPECT_EQ(status::invalid_field.with_dnr().to_wire(), 0x8004u);
    EXPECT_EQ(status::connect_invalid_parameters.to_wire(), 0x0304u);
    EXPECT_EQ((Status{.type = 7, .code = 0xFF, .do_not_retry = true, .more = true, .retry_delay = 3}).to_wire(true),
              0xFFFFu);
}

TEST(Status, RoundTripsEveryWireValue) {
    for (uint32_t wire = 0; wire <= 0xFFFF; ++wire) {
        const Status status = Status::from_wire(static_cast<uint16_t>(wire));
        EXPECT_EQ(status.to_wire((wire & 1) != 0), wire);
    }
}

TEST(Status, ComparesWithAndWithoutItsFlags) {
    EXPECT_TRUE(status::invalid_field.with_dnr().is(status::invalid_field));
    EXPECT_FALSE(status::invalid_field.with_dnr() == status::invalid_field);
    EXPECT_FALSE(status::connect_controller_busy.is(status::capacity_exceeded));  // 1/81h, 0/81h
    EXPECT_TRUE(Status{}.is_success());
}

TEST(Status, HasAName) {
    EXPECT_EQ(name_of(status::success), "SUCCESS");
    EXPECT_EQ(name_of(status::invalid_field.with_dnr()), "INVALID FIELD");
    EXPECT_EQ(name_of(status::transient_transport_error), "TRANSIENT TRANSPORT ERROR");
    EXPECT_EQ(name_of(status::ana_inaccessible), "ASYMMETRIC ACCESS INACCESSIBLE");
    EXPECT_EQ(name_of({1, 0x82}), "WRITE TO READ ONLY RANGE");
    EXPECT_EQ(name_of({1, 0x82}, true), "CONNECT INVALID PARAMETERS");
    EXPECT_EQ(name_of(status::authentication_required), "AUTHENTICATION REQUIRED");
    EXPECT_EQ(name_of({0, 0x7F}), "RESERVED");
    EXPECT_EQ(name_of({7, 0x01}), "VENDOR SPECIFIC");
    EXPECT_EQ(code_text({1, 0x82}), "(01/82)");
    EXPECT_EQ(describe(status::lba_out_of_range), "LBA OUT OF RANGE (00/80)");
}

}  // namespace
}  // namespace weft::nvme
