// Namespaces with metadata and protection information, as a host sees them on the wire (NVM Command Set 1.0, 5.2, 5.3).
#include <gtest/gtest.h>

#include <cstring>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/describe.h"
#include "nvme/identify.h"
#include "nvme/identify_namespace.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

using bdev::Protection;
using bdev::ProtectionFormat;
using bdev::ProtectionType;
using nvme::IoOpcode;
using nvme::Status;
namespace io_bits = nvme::io_bits;
namespace status = nvme::status;
namespace wire = nvme::wire;

constexpr uint32_t block_bytes = 512;
constexpr uint64_t lba = 100;
constexpr uint32_t blocks = 3;
constexpr uint32_t all_checks = io_bits::check_guard | io_bits::check_application_tag | io_bits::check_reference_tag;

struct Answer {
    Status status;
    ByteVector data;
};

class MetadataTest : public testing::Test {
protected:
    void start(const ProtectionFormat& format, bool hide_metadata = false) {
        format_ = format;
        rig_.run([](MetadataTest& self, bool hide) -> Task<void> {
            bdev::MallocOptions options;
            options.name = "Malloc0";
            options.block_bytes = block_bytes;
            options.block_count = 2048;
            options.metadata = self.format_;
            options.pretouch = false;
            const auto made = co_await bdev::create_malloc_device(self.rig_.bdevs(), options);
            WEFT_ASSERT(made.has_value());
            co_await self.rig_.export_device("Malloc0");
            nvmf::Subsystem& subsystem = *self.rig_.target().find_subsystem(Rig::nqn);
            if (!hide) co_return;
            WEFT_ASSERT(co_await subsystem.remove_namespace(1));
            WEFT_ASSERT(co_await subsystem.add_namespace({.bdev_name = "Malloc0", .nsid = 1, .hide_metadata = true}));
        }(*this, hide_metadata));
        admin_ = std::make_unique<RawHost>(rig_);
        admin_->handshake();
        admin_->connect_admin();
        io_ = std::make_unique<RawHost>(rig_);
        io_->handshake();
        ASSERT_TRUE(io_->connect(1, admin_->cntlid()));
    }
    void TearDown() override {
        io_.reset();
        admin_.reset();
        rig_.run_for(10 * env::ns_per_s);
        EXPECT_TRUE(rig_.target_is_idle());
    }

    [[nodiscard]] static nvme::Command command(IoOpcode opcode, uint32_t prinfo) {
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(opcode);
        command.nsid = 1;
        command.set_lba_range(lba, blocks);
        command.cdw12 = command.cdw12 | prinfo;
        command.cdw14 = static_cast<uint32_t>(lba);
        command.cdw15 = 0xFFFF'0000U | tag;
        return command;
    }
    static Answer run(RawHost& host, nvme::Command command, uint32_t read_bytes, Bytes data) {
        command.cid = 77;
        command.dptr = data.empty() ? nvme::SglDescriptor::transport(read_bytes)
                                    : nvme::SglDescriptor::in_capsule(static_cast<uint32_t>(data.size()));
        host.send(host.capsule(command, data));
        Answer answer{status::internal_error, {}};
        for (const SentPdu& pdu : host.take()) {
            if (pdu.type == wire::PduType::c2h_data) {
                const auto header = pdu.as<wire::C2hData>();
                const auto begin = pdu.bytes.begin() + header.ch.pdo;
                answer.data.insert(answer.data.end(), begin, begin + header.datal.value());
            }
            if (pdu.type == wire::PduType::capsule_resp) {
                answer.status = Status::from_wire(pdu.as<wire::CapsuleResp>().cqe.status);
            }
        }
        return answer;
    }
    Status write(uint32_t prinfo, const ByteVector& data) {
        return run(*io_, command(IoOpcode::write, prinfo), 0, data).status;
    }
    Answer read(uint32_t prinfo, uint32_t bytes) { return run(*io_, command(IoOpcode::read, prinfo), bytes, {}); }

    [[nodiscard]] static ByteVector plain(uint8_t seed) {
        ByteVector data(blocks * block_bytes);
        for (size_t at = 0; at < data.size(); ++at) data[at] = static_cast<std::byte>(at * 31 + seed);
        return data;
    }
    // The blocks with right metadata behind each.
    [[nodiscard]] ByteVector accompanied(const ByteVector& data) const {
        ByteVector all;
        for (uint32_t block = 0; block < blocks; ++block) {
            const Bytes content = Bytes(data).subspan(block * block_bytes, block_bytes);
            ByteVector metadata(format_.metadata_bytes, std::byte{0x3C});
            if (format_.has_tuple()) {
                bdev::write_tuple(format_, {.reference = lba, .application_tag = tag}, block, content, metadata);
            }
            all.insert(all.end(), content.begin(), content.end());
            all.insert(all.end(), metadata.begin(), metadata.end());
        }
        return all;
    }
    template <class Page>
    Page identify(nvme::Cns cns) {
        nvme::Command wanted;
        wanted.opcode = static_cast<uint8_t>(nvme::AdminOpcode::identify);
        wanted.nsid = 1;
        wanted.cdw10 = static_cast<uint32_t>(cns);
        const Answer answer = run(*admin_, wanted, sizeof(Page), {});
        WEFT_ASSERT(answer.data.size() == sizeof(Page));
        return load<Page>(answer.data);
    }
    static void expect(Status got, Status expected) {
        EXPECT_TRUE(got.is(expected)) << nvme::describe(got) << " for " << nvme::describe(expected);
    }

    static constexpr uint16_t tag = 0x1234;
    ProtectionFormat format_;
    Rig rig_{5};
    std::unique_ptr<RawHost> admin_, io_;
};

constexpr ProtectionFormat type1{.metadata_bytes = 8, .type = ProtectionType::type1};
constexpr uint32_t all_bytes = blocks * (block_bytes + 8);

TEST_F(MetadataTest, TravelsBehindEachBlock) {
    start({.metadata_bytes = 8});
    const ByteVector sent = accompanied(plain(1));
    expect(write(0, sent), status::success);
    const Answer got = read(0, all_bytes);
    expect(got.status, status::success);
    EXPECT_EQ(got.data, sent);
    const auto page = identify<nvme::IdentifyNamespace>(nvme::Cns::name_space);
    EXPECT_EQ(page.lbaf[0].ms.value(), 8);
    EXPECT_EQ(page.flbas, nvme::flbas::extended);
    EXPECT_EQ(page.mc, nvme::mc::extended);
    EXPECT_EQ(page.dps, 0);
}

TEST_F(MetadataTest, AnSglThatForgetsItIsTooShort) {
    start({.metadata_bytes = 8});
    expect(write(0, plain(1)), status::data_sgl_length_invalid);
    expect(read(0, blocks * block_bytes).status, status::data_sgl_length_invalid);
}

TEST_F(MetadataTest, RightTuplesPassAndComeBack) {
    start(type1);
    const ByteVector sent = accompanied(plain(1));
    expect(write(all_checks, sent), status::success);
    const Answer got = read(all_checks, all_bytes);
    expect(got.status, status::success);
    EXPECT_EQ(got.data, sent);
    const auto page = identify<nvme::IdentifyNamespace>(nvme::Cns::name_space);
    EXPECT_EQ(page.dps, 1);
    EXPECT_EQ(page.dpc, nvme::dpc::last_bytes | 1);
}

TEST_F(MetadataTest, EachWrongTagHasItsStatusAndChangesNothing) {
    start(type1);
    const ByteVector right = accompanied(plain(1));
    expect(write(all_checks, right), status::success);
    ByteVector wrong = accompanied(plain(2));
    wrong[2 * (block_bytes + 8)] ^= std::byte{1};
    expect(write(all_checks, wrong), status::guard_check_error);
    wrong = accompanied(plain(2));
    wrong[block_bytes + 2] ^= std::byte{1};
    expect(write(all_checks, wrong), status::application_tag_check_error);
    wrong = accompanied(plain(2));
    wrong[block_bytes + 7] ^= std::byte{1};
    expect(write(all_checks, wrong), status::reference_tag_check_error);
    EXPECT_EQ(read(all_checks, all_bytes).data, right);
    expect(write(0, wrong), status::success);  // nobody asked
    const Answer got = read(all_checks, all_bytes);
    expect(got.status, status::reference_tag_check_error);
    EXPECT_TRUE(got.data.empty());
}

TEST_F(MetadataTest, WithPractTheTupleIsOurs) {
    start(type1);
    const uint32_t act = io_bits::protection_action | all_checks;
    expect(write(act, plain(3)), status::success);
    const Answer stripped = read(act, blocks * block_bytes);
    expect(stripped.status, status::success);
    EXPECT_EQ(stripped.data, plain(3));
    EXPECT_EQ(read(all_checks, all_bytes).data, accompanied(plain(3)));
}

TEST_F(MetadataTest, WithPractMoreMetadataThanATupleTravels) {
    start({.metadata_bytes = 16, .type = ProtectionType::type1});
    ByteVector sent = accompanied(plain(3));
    const ByteVector expected = sent;
    for (uint32_t block = 0; block < blocks; ++block) {
        std::memset(&sent[block * (block_bytes + 16) + block_bytes + 8], 0, 8);
    }
    const uint32_t act = io_bits::protection_action | all_checks;
    expect(write(act, sent), status::success);
    EXPECT_EQ(read(act, blocks * (block_bytes + 16)).data, expected);
}

TEST_F(MetadataTest, ACommandsReferenceTagMustFitType1) {
    start(type1);
    nvme::Command wrong = command(IoOpcode::write, all_checks);
    wrong.cdw14 = static_cast<uint32_t>(lba + 1);
    expect(run(*io_, wrong, 0, accompanied(plain(1))).status, status::invalid_protection_information);
    wrong.cdw12 = wrong.cdw12 & ~io_bits::check_reference_tag;
    expect(run(*io_, wrong, 0, accompanied(plain(1))).status, status::success);  // not looked at
}

TEST_F(MetadataTest, Type3ChecksNoReferenceTag) {
    start({.metadata_bytes = 8, .type = ProtectionType::type3});
    expect(write(all_checks, accompanied(plain(1))), status::invalid_protection_information);
    nvme::Command other = command(IoOpcode::read, io_bits::check_guard);
    expect(run(*io_, other, all_bytes, {}).status, status::success);  // never written: nothing is checked
}

TEST_F(MetadataTest, CompareAndVerifyCheckToo) {
    start(type1);
    const ByteVector right = accompanied(plain(1));
    expect(write(all_checks, right), status::success);
    expect(run(*io_, command(IoOpcode::compare, all_checks), 0, right).status, status::success);
    expect(run(*io_, command(IoOpcode::compare, all_checks), 0, accompanied(plain(2))).status, status::compare_failure);
    expect(run(*io_, command(IoOpcode::verify, all_checks), 0, {}).status, status::success);
    nvme::Command other = command(IoOpcode::verify, all_checks);
    other.cdw15 = 0xFFFF'4321;
    expect(run(*io_, other, 0, {}).status, status::application_tag_check_error);
}

TEST_F(MetadataTest, AnUnawareHostSeesPlainBlocks) {
    start(type1, true);
    EXPECT_EQ(identify<nvme::IdentifyNamespace>(nvme::Cns::name_space).lbaf[0].ms.value(), 0);
    expect(write(0, plain(5)), status::success);
    const Answer got = read(0, blocks * block_bytes);
    expect(got.status, status::success);
    EXPECT_EQ(got.data, plain(5));
}

}  // namespace
}  // namespace weft::test
