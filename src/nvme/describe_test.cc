#include "nvme/describe.h"

#include <gtest/gtest.h>

#include "nvme/fabrics.h"
#include "nvme/identify.h"
#include "nvme/log_page.h"
#include "nvme/status.h"

namespace weft::nvme {
namespace {

TEST(Describe, ACommand) {
    Command command{.opcode = 1, .cid = 33, .nsid = 1};
    command.set_lba_range(0, 2);
    EXPECT_EQ(describe(command, false), "WRITE cid:33 nsid:1 lba:0 len:2");
    command.set_fuse(Fuse::second);
    EXPECT_EQ(describe(command, false), "WRITE cid:33 nsid:1 lba:0 len:2 fuse:2");
    command = {.opcode = 2, .cid = 1, .nsid = 2};
    command.set_lba_range(0x123456789A, 65536);
    EXPECT_EQ(describe(command, false), "READ cid:1 nsid:2 lba:78187493530 len:65536");
    EXPECT_EQ(describe({.opcode = 0, .cid = 4, .nsid = broadcast_nsid}, false), "FLUSH cid:4 nsid:4294967295");
    EXPECT_EQ(describe({.opcode = 9, .nsid = 1, .cdw10 = 3, .cdw11 = dataset_management::deallocate}, false),
              "DATASET MANAGEMENT cid:0 nsid:1 ranges:4 attributes:4");
    EXPECT_EQ(describe({.opcode = 0x1F}, false), "RESERVED (1f) cid:0 nsid:0 cdw10:0 cdw11:0");
    EXPECT_EQ(describe({.opcode = 0xC1}, true), "VENDOR SPECIFIC (c1) cid:0 nsid:0 cdw10:0 cdw11:0");
}

TEST(Describe, AnAdminCommand) {
    Command command{.cid = 7};
    IdentifyRequest{.cns = Cns::controller}.put_into(command);
    EXPECT_EQ(describe(command, true), "IDENTIFY cid:7 nsid:0 cns:01 cntid:0 csi:00");
    command = {.cid = 2, .nsid = broadcast_nsid};
    LogPageRequest{.id = LogPage::discovery, .length_bytes = 1024}.put_into(command);
    EXPECT_EQ(describe(command, true), "GET LOG PAGE cid:2 nsid:4294967295 lid:70 off:0 len:1024");
    EXPECT_EQ(describe({.opcode = 0x08, .cid = 1, .cdw10 = 0xBEEF0001}, true),
              "ABORT cid:1 nsid:0 sqid:1 aborts:48879");
    EXPECT_EQ(describe({.opcode = 0x09, .cdw10 = 7, .cdw11 = 0x30003}, true),
              "SET FEATURES cid:0 nsid:0 fid:07 cdw11:30003");
    EXPECT_EQ(describe({.opcode = 0x18}, true), "KEEP ALIVE cid:0 nsid:0");
}

TEST(Describe, AFabricsCommand) {
    ConnectCommand connect;
    connect.cid = 5;
    connect.qid = 1;
    connect.sqsize = 127;
    EXPECT_EQ(describe(to_command(connect), true), "FABRIC CONNECT qid:1 cid:5 sqsize:127");
    PropertySetCommand set;
    set.offset = 0x14;
    set.value = 0x460001;
    EXPECT_EQ(describe(to_command(set), true), "FABRIC PROPERTY SET cid:0 attrib:0 ofst:14 value:460001");
    EXPECT_EQ(describe({.opcode = 0x7F, .nsid = 0x77}, false), "FABRIC RESERVED (77) cid:0");
}

TEST(Describe, ACompletion) {
    EXPECT_EQ(describe(Completion{.cid = 33}), "SUCCESS (00/00) cid:33 cdw0:0 sqhd:0000 p:0 m:0 dnr:0");
    const Completion failed{.cdw0 = 0x1002C,
                            .sqhd = 0xFFFF,
                            .cid = 1,
                            .status = status::connect_invalid_parameters.with_dnr().to_wire(true)};
    EXPECT_EQ(describe(failed, true), "CONNECT INVALID PARAMETERS (01/82) cid:1 cdw0:1002c sqhd:ffff p:1 m:0 dnr:1");
}

// Every opcode of every queue has a text, and none reads what is not there.
TEST(Describe, Anything) {
    for (unsigned opcode = 0; opcode <= 0xFF; ++opcode) {
        for (unsigned type = 0; type <= 0xFF; ++type) {
            const Command command{.opcode = static_cast<uint8_t>(opcode), .nsid = type};
            EXPECT_FALSE(describe(command, true).empty());
            EXPECT_FALSE(describe(command, false).empty());
            if (opcode != fabrics_opcode) break;
        }
    }
}

}  // namespace
}  // namespace weft::nvme
