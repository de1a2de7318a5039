#include "nvme/fabrics.h"

#include <gtest/gtest.h>

#include <string>

namespace weft::nvme {
namespace {

TEST(Nqn, AcceptsWhatTheSpecificationNames) {
    for (const std::string_view nqn :
         {"nqn.2014-08.org.nvmexpress.discovery",
          "nqn.2014-08.org.nvmexpress:uuid:ff9b6406-0fc8-4779-80ca-4dca14bda0d2",
          "nqn.2014-08.org.nvmexpress:uuid:FF9B6406-0FC8-4779-80CA-4DCA14BDA0D2", "nqn.2016-06.io.spdk:cnode1",
          "nqn.2016-06.io.spdk-full--rev-domain.name:subsystem1",
          "nqn.2016-06.io.spdk",  // the string after the colon may be left out
          "nqn.2016-06.io:x", "nqn.2019-12.com.example:a:b c/d", "nqn.2016-06.io.spdk:\xe1\x8a\x88subsystem1\xca\x80",
          "nqn.2016-06.io.spdk:\xf0\x9f\x98\x80",
          "nqn.1988-11.com.a1234567890b1234567890c1234567890d1234567890e1234567890f1234567:label-of-63"}) {
        EXPECT_TRUE(is_valid_nqn(nqn)) << nqn;
    }
}

TEST(Nqn, RefusesEverythingElse) {
    for (const std::string_view nqn :
         {"", "hello", "nqn.", "nqn.2016-06", "nqn.2016-06.", "nqn.2016-06.:x", "iqn.2016-06.io.spdk:x",
          "NQN.2016-06.io.spdk:x", "nqn.2016-6.io.spdk:x", "nqn.16-06.io.spdk:x", "nqn.2016_06.io.spdk:x",
          "nqn.201a-06.io.spdk:x", "nqn.2016-0x.io.spdk:x", "nqn.2016-00.io.spdk:x", "nqn.2016-13.io.spdk:x",
          "nqn.2016-06.io.spdk:",  // a colon must introduce something
          "nqn.2016-06.io..spdk:x", "nqn.2016-06..io:x", "nqn.2016-06.io.spdk.:x", "nqn.2016-06.io.3spdk:x",
          "nqn.2016-06.io.-spdk:x", "nqn.2016-06.io.spdk-:x", "nqn.2016-06.io.sp_dk:x", "nqn.2016-06.io.sp dk:x",
          "nqn.2016-06.io.\xc3\xa9:x",
          "nqn.1988-11.com.a1234567890b1234567890c1234567890d1234567890e1234567890f12345678:label-of-64",
          "nqn.2014-08.org.nvmexpress:uuid:", "nqn.2014-08.org.nvmexpress:uuid:ff9b6406-0fc8-4779-80ca-4dca14bda0d2a",
          "nqn.2014-08.org.nvmexpress:uuid:ff9b64060fc8477980ca4dca14bda0d2",
          "nqn.2014-08.org.nvmexpress:uuid:ff9b64-060fc8-4779-80ca-4dca14bda0d2",
          "nqn.2014-08.org.nvmexpress:uuid:ff9hg406-0fc8-4779-80ca-4dca14bda0d2",
          // What is no UTF-8: a stray byte, a cut, an overlong form, a surrogate, beyond the last code point.
          "nqn.2016-06.io.spdk:\xffx", "nqn.2016-06.io.spdk:\x80x", "nqn.2016-06.io.spdk:\xe1\x8a",
          "nqn.2016-06.io.spdk:\xc0\xaf", "nqn.2016-06.io.spdk:\xe0\x80\xaf", "nqn.2016-06.io.spdk:\xed\xa0\x80",
          "nqn.2016-06.io.spdk:\xf4\x90\x80\x80", "nqn.2016-06.io.spdk:\xf5\x80\x80\x80",
          // What would forge a line of a log.
          "nqn.2016-06.io.spdk:a\nb", "nqn.2016-06.io.spdk:a\x7f"}) {
        EXPECT_FALSE(is_valid_nqn(nqn)) << nqn;
    }
    EXPECT_FALSE(is_valid_nqn(std::string_view("nqn.2016-06.io.spdk:a\0b", 23)));
}

TEST(Nqn, MayHave223Bytes) {
    std::string nqn = "nqn.2016-06.io.spdk:";
    nqn.resize(nqn_length_max, 'x');
    EXPECT_TRUE(is_valid_nqn(nqn));
    nqn += 'x';
    EXPECT_FALSE(is_valid_nqn(nqn));
}

TEST(Nqn, FieldRoundTrips) {
    ConnectData data;
    EXPECT_EQ(nqn_of_field(data.subnqn), "");
    data.subnqn.fill('n');
    EXPECT_EQ(nqn_of_field(data.subnqn), "");  // F10: no NUL at all
    fill_nqn_field(data.subnqn, discovery_nqn);
    EXPECT_EQ(nqn_of_field(data.subnqn), discovery_nqn);
    EXPECT_TRUE(is_zero(std::as_bytes(std::span(data.subnqn)).subspan(discovery_nqn.size())));
}

TEST(FabricsCommand, IsACommand) {
    ConnectCommand connect;
    connect.cid = 5;
    connect.sgl1 = SglDescriptor::in_capsule(1024);
    connect.qid = 1;
    connect.sqsize = 127;
    const Command command = to_command(connect);
    EXPECT_TRUE(command.is_fabrics());
    EXPECT_EQ(command.fabrics_type(), FabricsType::connect);
    EXPECT_EQ(command.cid, 5);
    EXPECT_EQ(command.psdt(), DataPointerKind::sgl_mptr_contiguous);
    EXPECT_EQ(command.dptr.identifier, sgl_in_capsule);
    EXPECT_EQ(transfer_direction(command), TransferDirection::host_to_controller);
    EXPECT_EQ(as_fabrics<ConnectCommand>(command).sqsize, 127);

    EXPECT_EQ(transfer_direction(to_command(PropertySetCommand{})), TransferDirection::none);
    EXPECT_EQ(transfer_direction(to_command(PropertyGetCommand{})), TransferDirection::none);
    EXPECT_EQ(transfer_direction(to_command(DisconnectCommand{})), TransferDirection::none);
    EXPECT_EQ(transfer_direction(static_cast<uint8_t>(FabricsType::authentication_send)),
              TransferDirection::host_to_controller);
    EXPECT_EQ(transfer_direction(static_cast<uint8_t>(FabricsType::authentication_receive)),
              TransferDirection::controller_to_host);
}

TEST(FabricsCommand, SaysWhereAConnectIsWrong) {
    EXPECT_EQ(connect_invalid(44, false), 44u);
    EXPECT_EQ(connect_invalid(256, true), 0x10100u);
}

}  // namespace
}  // namespace weft::nvme
