// The specification's types: where their fields are is asserted when they are compiled; here, what they compute.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "nvme/ascii.h"
#include "nvme/async_event.h"
#include "nvme/command.h"
#include "nvme/discovery.h"
#include "nvme/feature.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "nvme/registers.h"
#include "nvme/reservation.h"

namespace weft::nvme {
namespace {

TEST(Command, HasItsFlags) {
    Command command;
    command.set_psdt(DataPointerKind::sgl_mptr_contiguous);
    command.set_fuse(Fuse::first);
    EXPECT_EQ(command.flags, 0x41);
    EXPECT_EQ(command.psdt(), DataPointerKind::sgl_mptr_contiguous);
    EXPECT_EQ(command.fuse(), Fuse::first);
    command.set_fuse(Fuse::none);
    EXPECT_EQ(command.flags, 0x40);
}

TEST(Command, TellsWhichWayItsDataGoes) {
    EXPECT_EQ(transfer_direction(Command{.opcode = 0x01}), TransferDirection::host_to_controller);
    EXPECT_EQ(transfer_direction(Command{.opcode = 0x02}), TransferDirection::controller_to_host);
    EXPECT_EQ(transfer_direction(Command{.opcode = 0x00}), TransferDirection::none);
    EXPECT_EQ(transfer_direction(Command{.opcode = 0x7F, .nsid = 0x06}), TransferDirection::controller_to_host);
    EXPECT_EQ(transfer_direction(static_cast<uint8_t>(IoOpcode::write_zeroes)), TransferDirection::none);
    EXPECT_EQ(transfer_direction(static_cast<uint8_t>(IoOpcode::dataset_management)),
              TransferDirection::host_to_controller);
}

TEST(Command, KeepsItsLbaRange) {
    Command command{.cdw12 = io_bits::force_unit_access};
    command.set_lba_range(0xFEDCBA9876543210, 65536);
    EXPECT_EQ(command.slba(), 0xFEDCBA9876543210u);
    EXPECT_EQ(command.block_count(), 65536u);
    EXPECT_EQ(command.cdw12, io_bits::force_unit_access | 0xFFFF);
}

TEST(SglDescriptor, IsRead) {
    const auto in_capsule = SglDescriptor::in_capsule(512, 16);
    EXPECT_EQ(in_capsule.identifier, 0x01);
    EXPECT_EQ(in_capsule.type(), SglType::data_block);
    EXPECT_EQ(in_capsule.subtype(), SglSubtype::offset);
    EXPECT_EQ(in_capsule.address, 16u);
    const auto transport = SglDescriptor::transport(4096);
    EXPECT_EQ(transport.identifier, 0x5A);
    EXPECT_EQ(transport.length, 4096u);

    std::byte raw[16]{};
    for (size_t at = 0; at < 16; ++at) raw[at] = static_cast<std::byte>(0x10 + at);
    const auto keyed = load<SglDescriptor>(raw);
    EXPECT_EQ(keyed.keyed_length(), 0x1A1918u);
    EXPECT_EQ(keyed.key(), 0x1E1D1C1Bu);
    EXPECT_EQ(keyed.prp1(), 0x1716151413121110u);
    EXPECT_EQ(keyed.prp2(), 0x1F1E1D1C1B1A1918u);
}

TEST(Completion, CarriesEightBytes) {
    Completion completion;
    completion.set_value64(0x1122334455667788);
    EXPECT_EQ(completion.cdw0, 0x55667788u);
    EXPECT_EQ(completion.value64(), 0x1122334455667788u);
}

TEST(Registers, HaveTheirBits) {
    const auto cap = Capabilities{}
                         .with(Capabilities::mqes, 127)
                         .with(Capabilities::cqr, 1)
                         .with(Capabilities::to, 30)
                         .with(Capabilities::css, Capabilities::css_nvm)
                         .with(Capabilities::crwms, 1);
    EXPECT_EQ(cap.raw, 0x0800'0020'1E01'007Fu);
    EXPECT_EQ(cap.get(Capabilities::mqes), 127u);
    EXPECT_EQ(Version::of(2, 0).raw, 0x00020000u);
    EXPECT_EQ(Version::of(1, 4, 1).raw, 0x00010401u);

    const auto cc = Configuration::from(0x00460001);
    EXPECT_TRUE(cc.is_enabled());
    EXPECT_EQ(cc.get(Configuration::iosqes), 6u);
    EXPECT_EQ(cc.get(Configuration::iocqes), 4u);
    EXPECT_EQ(cc.get(Configuration::shn), 0u);

    ControllerStatus csts;
    csts.set(ControllerStatus::rdy, 1);
    csts.set(ControllerStatus::shst, ControllerStatus::shst_complete);
    EXPECT_EQ(csts.raw, 9u);
    csts.set(ControllerStatus::shst, ControllerStatus::shst_normal);
    EXPECT_EQ(csts.raw, 1u);
}

TEST(RegistersDeathTest, RefuseAValueThatDoesNotFit) {
    EXPECT_DEATH((void)Capabilities{}.with(Capabilities::mqes, 65536), "broken invariant");
}

TEST(AsyncEvent, RoundTripsItsCdw0) {
    EXPECT_EQ(async_event::namespace_attribute_changed.to_cdw0(), 0x00040002u);
    EXPECT_EQ(async_event::ana_change.to_cdw0(), 0x000C0302u);
    EXPECT_EQ(async_event::discovery_log_changed.to_cdw0(), 0x0070F002u);
    EXPECT_EQ(async_event::reservation_log_available.to_cdw0(), 0x00800006u);
    EXPECT_EQ(AsyncEvent::from_cdw0(0x00800006), async_event::reservation_log_available);
}

TEST(LogPageRequest, RoundTrips) {
    const LogPageRequest request{.id = LogPage::ana,
                                 .lsp = 1,
                                 .lsi = 3,
                                 .retain_event = true,
                                 .is_index = true,
                                 .csi = 2,
                                 .uuid_index = 5,
                                 .length_bytes = 0x400000000,
                                 .offset = 0x123456789C};
    Command command;
    request.put_into(command);
    EXPECT_EQ(command.opcode, 0x02);
    EXPECT_EQ(command.cdw10, 0xFFFF810Cu);
    const auto read = LogPageRequest::from(command);
    EXPECT_EQ(read.id, LogPage::ana);
    EXPECT_EQ(read.lsp, 1);
    EXPECT_EQ(read.lsi, 3);
    EXPECT_TRUE(read.retain_event);
    EXPECT_TRUE(read.is_index);
    EXPECT_EQ(read.csi, 2);
    EXPECT_EQ(read.uuid_index, 5);
    EXPECT_EQ(read.length_bytes, 0x400000000u);  // A12: NUMD FFFFFFFFh does not wrap
    EXPECT_EQ(read.offset, 0x123456789Cu);
}

TEST(IdentifyRequest, RoundTrips) {
    Command command;
    IdentifyRequest{.cns = Cns::io_command_set_namespace, .cntid = 9, .csi = CommandSet::zoned, .nsid = 4}.put_into(
        command);
    const auto read = IdentifyRequest::from(command);
    EXPECT_EQ(read.cns, Cns::io_command_set_namespace);
    EXPECT_EQ(read.cntid, 9);
    EXPECT_EQ(read.csi, CommandSet::zoned);
    EXPECT_EQ(read.nsid, 4u);
}

TEST(FeatureRequest, IsRead) {
    const auto read = FeatureRequest::from({.cdw10 = 0x8000030B, .cdw14 = 1});
    EXPECT_EQ(read.id, FeatureId::async_event_configuration);
    EXPECT_EQ(read.select, FeatureSelect::supported_capabilities);
    EXPECT_TRUE(read.save);
    EXPECT_EQ(read.uuid_index, 1);
    EXPECT_EQ(feature::threshold_type_select.of(0x00300000u), 3u);
    EXPECT_EQ(feature::completion_queues.set(0x7Fu, 0x7F), 0x7F007Fu);
}

TEST(Ascii, IsPaddedWithSpaces) {
    IdentifyController data;
    fill_ascii(data.sn, "0123");
    EXPECT_EQ(std::string_view(data.sn.data(), 20), "0123                ");
    EXPECT_EQ(ascii_of(data.sn), "0123");
    fill_ascii(data.fr, "12345678");
    EXPECT_EQ(ascii_of(data.fr), "12345678");
    EXPECT_EQ(ascii_of(std::array<char, 8>{'a', 'b', '\0', 'x'}), "ab");
    EXPECT_EQ(ascii_of(std::array<char, 4>{}), "");
    EXPECT_TRUE(is_printable_ascii("~ a"));
    EXPECT_FALSE(is_printable_ascii("a\n"));
    EXPECT_FALSE(is_printable_ascii("\xc3\xa9"));
}

TEST(AsciiDeathTest, RefusesTextThatDoesNotFit) {
    std::array<char, 4> field{};
    EXPECT_DEATH(fill_ascii(field, "12345"), "broken invariant");
}

// A struct that goes out as it is made must be all zeros where nothing was filled in.
template <class T>
void expect_zero() {
    EXPECT_TRUE(is_zero(bytes_of(T{})));
}

TEST(SpecTypes, AreZeroWhenMade) {
    expect_zero<Command>();
    expect_zero<Completion>();
    expect_zero<IdentifyController>();
    expect_zero<IdentifyNamespace>();
    expect_zero<IdentifyNvmController>();
    expect_zero<IdentifyNvmNamespace>();
    expect_zero<IdentifyIndependentNamespace>();
    expect_zero<SmartInformation>();
    expect_zero<FirmwareSlotInformation>();
    expect_zero<ErrorInformation>();
    expect_zero<DiscoveryLogHeader>();
    expect_zero<DiscoveryLogEntry>();
    expect_zero<ReservationStatus>();
    expect_zero<ReservationRegistrant>();
    expect_zero<HostBehavior>();
}

}  // namespace
}  // namespace weft::nvme
