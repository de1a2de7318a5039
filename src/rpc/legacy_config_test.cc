#include "rpc/legacy_config.h"

#include <gtest/gtest.h>

#include "rpc/config.h"
#include "rpc/json.h"

namespace weft::rpc {
namespace {

std::string calls_of(std::string_view text) {
    std::vector<std::string> notes;
    const auto json = convert_legacy_config(text, notes);
    if (!json) return "error: " + json.error().message;
    const auto calls = parse_config(dump_json(*json));
    if (!calls) return "error: " + calls.error().message;
    std::string list;
    for (const ConfigCall& call : *calls) list += call.method + " " + dump_json(call.params) + "\n";
    for (const std::string& note : notes) list += note + "\n";
    return list;
}

TEST(LegacyConfig, IsToldFromJson) {
    EXPECT_TRUE(is_legacy_config("# a comment\n\n[Nvmf]\n"));
    EXPECT_TRUE(is_legacy_config("  [Subsystem1]  \r\n"));
    EXPECT_FALSE(is_legacy_config("{\"subsystems\": []}"));
    EXPECT_FALSE(is_legacy_config("[]x"));
    EXPECT_FALSE(is_legacy_config("[{\"method\": \"x\"}]"));
    EXPECT_FALSE(is_legacy_config(""));
}

// The file of the source notes, with the transport that is there.
TEST(LegacyConfig, BecomesCalls) {
    EXPECT_EQ(calls_of(R"(
# a target
[Global]
ReactorMask 0x1
[Malloc]
NumberOfLuns 2
LunSizeInMB 64
[Transport]
Type TCP
MaxIOSize 131072

[Subsystem1]
NQN nqn.2016-06.io.spdk:cnode1
Listen TCP 192.168.1.110:4420
Listen TCP [::1]:4421
AllowAnyHost Yes
Host nqn.2016-06.io.spdk:init
SN SPDK00000000000001
MN "A model"
MaxNamespaces 20
Namespace Malloc0 1
Namespace Malloc1)"),
              R"(bdev_malloc_create {"name":"Malloc0","num_blocks":131072,"block_size":512}
bdev_malloc_create {"name":"Malloc1","num_blocks":131072,"block_size":512}
nvmf_create_transport {"trtype":"TCP","max_io_size":131072}
nvmf_create_subsystem {"nqn":"nqn.2016-06.io.spdk:cnode1","allow_any_host":true,"serial_number":"SPDK00000000000001","model_number":"A model","max_namespaces":20}
nvmf_subsystem_add_listener {"listen_address":{"trtype":"TCP","adrfam":"IPv4","traddr":"192.168.1.110","trsvcid":"4420"},"nqn":"nqn.2016-06.io.spdk:cnode1"}
nvmf_subsystem_add_listener {"listen_address":{"trtype":"TCP","adrfam":"IPv6","traddr":"::1","trsvcid":"4421"},"nqn":"nqn.2016-06.io.spdk:cnode1"}
nvmf_subsystem_add_host {"host":"nqn.2016-06.io.spdk:init","nqn":"nqn.2016-06.io.spdk:cnode1"}
nvmf_subsystem_add_ns {"namespace":{"bdev_name":"Malloc0","nsid":1},"nqn":"nqn.2016-06.io.spdk:cnode1"}
nvmf_subsystem_add_ns {"namespace":{"bdev_name":"Malloc1"},"nqn":"nqn.2016-06.io.spdk:cnode1"}
line 4: [Global] ReactorMask: changes nothing here
)");
}

TEST(LegacyConfig, NamesNvmeDevicesFilesAndNulls) {
    EXPECT_EQ(calls_of("[Nvme]\nTransportID \"trtype:PCIe traddr:0000:02:00.0\" Nvme0\n[AIO]\nAIO /tmp/x A0 4096\n"
                       "[Null]\nDev N0 16 4096\n"),
              R"(bdev_nvme_attach_controller {"name":"Nvme0","trtype":"PCIe","traddr":"0000:02:00.0"}
bdev_aio_create {"name":"A0","filename":"/tmp/x","block_size":4096}
bdev_null_create {"name":"N0","num_blocks":4096,"block_size":4096}
)");
}

// Before there was [Transport], the listeners said which transport is wanted, and [Nvmf] how.
TEST(LegacyConfig, MakesTheTransportOfAnOlderFile) {
    EXPECT_EQ(calls_of("[Nvmf]\nMaxQueuesPerSession 4\n[Subsystem1]\nNQN nqn.2016-06.io.spdk:cnode1\n"
                       "Listen TCP 10.0.0.1:4420\n"),
              R"(nvmf_create_transport {"trtype":"TCP","max_qpairs_per_ctrlr":4}
nvmf_create_subsystem {"nqn":"nqn.2016-06.io.spdk:cnode1"}
nvmf_subsystem_add_listener {"listen_address":{"trtype":"TCP","adrfam":"IPv4","traddr":"10.0.0.1","trsvcid":"4420"},"nqn":"nqn.2016-06.io.spdk:cnode1"}
)");
}

TEST(LegacyConfig, SaysWhatItLeavesOut) {
    EXPECT_EQ(calls_of("[Nvmf]\nMaxQueueDepth 64\n[Transport]\nType TCP\n"),
              "nvmf_create_transport {\"trtype\":\"TCP\"}\nline 2: [Nvmf] MaxQueueDepth: changes nothing here\n");
    EXPECT_EQ(calls_of("[Nvmf]\n[Nvmf]\n"), "error: line 2: [Nvmf] is there twice");
}

TEST(LegacyConfig, SaysWhichLineIsWrong) {
    EXPECT_EQ(calls_of("NQN x\n"), "error: line 1: before the first [Section]");
    EXPECT_EQ(calls_of("[Transport]\nTyp TCP\n"),
              "error: line 2: [Transport] Typ: there is no such key; did you mean Type");
    EXPECT_EQ(calls_of("[Transport]\nType TCP\nMaxIOSize big\n"),
              "error: line 3: MaxIOSize: 'big' is not a number up to 4294967295");
    EXPECT_EQ(calls_of("[Transport]\nMaxIOSize 1\n"), "error: line 1: [Transport] has no Type");
    EXPECT_EQ(calls_of("[Subsystem1]\nSN x\n"), "error: line 1: [Subsystem1] has no NQN");
    EXPECT_EQ(calls_of("[Subsystem1]\nNQN a\nNQN b\n"), "error: line 3: NQN is there twice");
    EXPECT_EQ(calls_of("[Subsystem1]\nNQN \"a\n"), "error: line 2: a quotation does not end");
    EXPECT_EQ(calls_of("[Malloc]\nNumberOfLuns 5000\n"),
              "error: line 2: NumberOfLuns: '5000' is not a number up to 1024");
    EXPECT_EQ(calls_of("[iSCSI]\n").substr(0, 49), "error: line 1: [iSCSI]: there is no such section;");
}

// Found by legacy_config_fuzz: in JSON what is not UTF-8 becomes U+FFFD, and two names became one, given twice.
TEST(LegacyConfig, TakesNoTextThatIsNotUtf8) {
    EXPECT_EQ(calls_of("[Subsystem1]\nNQN nqn.2016-06.io.spdk:\xFF\n"), "error: line 2: this is not UTF-8");
    EXPECT_EQ(calls_of("[Nvme]\nTransportID \"\xFE:a \xFF:b\" Nvme0\n"), "error: line 2: this is not UTF-8");
    EXPECT_EQ(calls_of("# Gr\xFC\xDF"
                       "e\n[Transport]\nType TCP\n"),
              "nvmf_create_transport {\"trtype\":\"TCP\"}\n");
}

TEST(LegacyConfig, KnowsWhatATransportIdHas) {
    EXPECT_EQ(
        calls_of("[Nvme]\nTransportID \"trtype:TCP name:x\" Nvme0\n"),
        "error: line 2: TransportID: there is no name; there are trtype, adrfam, traddr, trsvcid, priority, subnqn, "
        "hostnqn, hostaddr, hostsvcid");
    EXPECT_EQ(calls_of("[Nvme]\nTransportID \"trtype:TCP trtype:PCIe\" Nvme0\n"),
              "error: line 2: TransportID: trtype is there twice");
}

}  // namespace
}  // namespace weft::rpc
