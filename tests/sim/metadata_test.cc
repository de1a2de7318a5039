// Namespaces with metadata and protection information, as a host sees them on the wire (NVM Command Set 1.0, 5.2, 5.3).
#include <gtest/gtest.h>

#include <cstring>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/copy.h"
#include "nvme/describe.h"
#include "nvme/identify.h"
#include "nvme/identify_namespace.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

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
            options.block_bytes = self.size_;
            options.block_count = 2048;
            options.metadata = self.format_;
            options.pretouch = false;
            const auto made = co_await bdev::create_malloc_device(self.rig_.bdevs(), options);
            WEFT_ASSERT(made.has_value());
            nvmf::TransportOptions transport;
            transport.in_capsule_data_size = 16384;
            co_await self.rig_.export_device("Malloc0", transport);
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

    [[nodiscard]] ByteVector plain(uint8_t seed) const {
        ByteVector data(blocks * size_);
        for (size_t at = 0; at < data.size(); ++at) data[at] = static_cast<std::byte>(at * 31 + seed);
        return data;
    }
    // The blocks with right metadata behind each.
    [[nodiscard]] ByteVector accompanied(const ByteVector& data) const {
        ByteVector all;
        for (uint32_t block = 0; block < blocks; ++block) {
            const Bytes content = Bytes(data).subspan(block * size_, size_);
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
    uint32_t size_ = block_bytes;  // tuples of 16 bytes want blocks of 4096
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

// Of the blocks that write() wrote, in two ranges, to LBA 500.
class MetadataCopyTest : public MetadataTest {
protected:
    static constexpr uint64_t to = 500;
    static constexpr uint32_t read_checks =
        nvme::copy::read_check_guard | nvme::copy::read_check_application_tag | nvme::copy::read_check_reference_tag;
    static constexpr uint32_t both_act = io_bits::protection_action | nvme::copy::read_protection_action;

    struct Changes {
        uint32_t format = 0;
        uint64_t reference_off = 0;  // of the second range
        uint16_t expected_tag = tag;
        uint16_t expected_storage = 0;
        uint16_t storage = 0;
        uint64_t write_reference = to;
    };
    static ByteVector ranges(const Changes& changes) {
        ByteVector all;
        for (uint64_t at = 0; at < 2; ++at) {
            const uint64_t slba = lba + at;
            const uint64_t reference = slba + (at == 1 ? changes.reference_off : 0);
            const auto take = [&all](const auto& range) {
                const Bytes bytes = std::as_bytes(std::span(&range, 1));
                all.insert(all.end(), bytes.begin(), bytes.end());
            };
            if (changes.format == 1) {
                nvme::CopySourceRange1 range;
                range.slba = slba;
                range.block_count = static_cast<uint16_t>(at);
                for (size_t byte = 0; byte < 8; ++byte) {
                    range.elbt[9 - byte] = static_cast<uint8_t>(reference >> 8 * byte);
                }
                range.elbt[0] = static_cast<uint8_t>(changes.expected_storage >> 8);
                range.elbt[1] = static_cast<uint8_t>(changes.expected_storage);
                range.elbat = changes.expected_tag;
                range.elbatm = 0xFFFF;
                take(range);
            } else {
                nvme::CopySourceRange range;
                range.slba = slba;
                range.block_count = static_cast<uint16_t>(at);
                range.eilbrt = static_cast<uint32_t>(reference);
                range.elbat = changes.expected_tag;
                range.elbatm = 0xFFFF;
                take(range);
            }
        }
        return all;
    }
    Status copy(uint32_t bits) { return copy(bits, Changes{}); }
    Status copy(uint32_t bits, const Changes& changes) {
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(IoOpcode::copy);
        command.nsid = 1;
        command.cdw2 = changes.storage;
        command.cdw3 = static_cast<uint32_t>(changes.write_reference >> 32);
        command.cdw10 = static_cast<uint32_t>(to);
        command.cdw12 = bits | changes.format << 8 | 1;
        command.cdw14 = static_cast<uint32_t>(changes.write_reference);
        command.cdw15 = 0xFFFF'0000U | tag;
        return run(*io_, command, 0, ranges(changes)).status;
    }
    Answer read_copy(uint32_t prinfo, uint32_t bytes, uint64_t reference = to) {
        nvme::Command command = MetadataTest::command(IoOpcode::read, prinfo);
        command.set_lba_range(to, blocks);
        command.cdw12 = command.cdw12 | prinfo;
        command.cdw14 = static_cast<uint32_t>(reference);
        return run(*io_, command, bytes, {});
    }
    nvme::IdentifyNvmNamespace identify_protection() {
        nvme::Command wanted;
        wanted.opcode = static_cast<uint8_t>(nvme::AdminOpcode::identify);
        wanted.nsid = 1;
        wanted.cdw10 = 5;  // of the NVM command set
        return load<nvme::IdentifyNvmNamespace>(run(*admin_, wanted, 4096, {}).data);
    }
    // Blocks 100, 101, 102 with tuples for another place.
    [[nodiscard]] ByteVector accompanied_at(const ByteVector& data, uint64_t place, uint16_t storage = 0) const {
        ByteVector all;
        for (uint32_t block = 0; block < blocks; ++block) {
            const Bytes content = Bytes(data).subspan(block * size_, size_);
            ByteVector metadata(format_.metadata_bytes, std::byte{0x3C});
            bdev::write_tuple(format_, {.reference = place, .storage_tag = storage, .application_tag = tag}, block,
                              content, metadata);
            all.insert(all.end(), content.begin(), content.end());
            all.insert(all.end(), metadata.begin(), metadata.end());
        }
        return all;
    }
};

TEST_F(MetadataCopyTest, MetadataGoesAlong) {
    start({.metadata_bytes = 8});
    ByteVector sent = accompanied(plain(1));
    sent[block_bytes + 3] = std::byte{0x77};
    expect(write(0, sent), status::success);
    for (const uint32_t format : {0U, 1U}) {
        expect(copy(0, {.format = format}), status::success);
        EXPECT_EQ(read_copy(0, all_bytes).data, sent);
    }
    expect(copy(0, {.format = 2}), status::invalid_field);
}

TEST_F(MetadataCopyTest, WithPractTuplesAreForTheNewPlace) {
    start(type1);
    expect(write(all_checks, accompanied(plain(3))), status::success);
    expect(copy(both_act | read_checks), status::success);
    const Answer got = read_copy(all_checks, all_bytes);
    expect(got.status, status::success);
    EXPECT_EQ(got.data, accompanied_at(plain(3), to));
    const auto page = identify<nvme::IdentifyController>(nvme::Cns::controller);
    EXPECT_EQ(page.ocfs, 3) << "formats 0h and 1h";
}

TEST_F(MetadataCopyTest, WithPractMoreMetadataThanATupleGoesAlong) {
    start({.metadata_bytes = 16, .type = ProtectionType::type1});
    expect(write(all_checks, accompanied(plain(3))), status::success);
    expect(copy(both_act | read_checks), status::success);
    EXPECT_EQ(read_copy(all_checks, blocks * (block_bytes + 16)).data, accompanied_at(plain(3), to));
}

TEST_F(MetadataCopyTest, WithoutPractTuplesGoAsTheyAre) {
    start({.metadata_bytes = 8, .type = ProtectionType::type2});
    expect(write(all_checks, accompanied(plain(4))), status::success);
    // Read and write portion check each by its own tags: those of the blocks are for their old place.
    expect(copy(all_checks | read_checks), status::reference_tag_check_error);
    expect(copy(all_checks | read_checks, {.write_reference = lba}), status::success);
    EXPECT_EQ(read_copy(all_checks, all_bytes, lba).data, accompanied(plain(4)));
}

TEST_F(MetadataCopyTest, EachWrongTagHasItsStatusAndIsNotCopied) {
    start({.metadata_bytes = 8, .type = ProtectionType::type2});
    expect(write(all_checks, accompanied(plain(5))), status::success);
    expect(copy(both_act | read_checks, {.expected_tag = 1}), status::application_tag_check_error);
    expect(copy(both_act | read_checks, {.reference_off = 1}), status::reference_tag_check_error);
    ByteVector wrong = accompanied(plain(5));
    wrong[0] ^= std::byte{1};
    expect(write(0, wrong), status::success);
    expect(copy(both_act | read_checks), status::guard_check_error);
    expect(copy(both_act), status::success);  // nobody asked
}

TEST_F(MetadataCopyTest, WhatDoesNotFitTheFormatIsRefused) {
    start(type1);
    expect(write(all_checks, accompanied(plain(6))), status::success);
    expect(copy(0, {.format = 1}), status::invalid_namespace_or_format);
    expect(copy(0, {.format = 3}), status::invalid_field);
    expect(copy(io_bits::protection_action), status::invalid_field);
    expect(copy(nvme::copy::read_protection_action), status::invalid_field);
    expect(copy(both_act, {.write_reference = to + 1}), status::invalid_protection_information);
    expect(copy(both_act | read_checks, {.reference_off = 1}), status::invalid_protection_information);
    expect(copy(0, {.reference_off = 1, .write_reference = 9}), status::success);
}

TEST_F(MetadataCopyTest, Format1HasTheTagsOfLongTuples) {
    size_ = 4096;
    start({.metadata_bytes = 16, .type = ProtectionType::type1, .guard = bdev::Guard::crc32});
    const auto page = identify_protection();
    EXPECT_EQ(page.pic, nvme::pic::storage_tag_check_read);
    const uint32_t bytes = blocks * (size_ + 16);
    const uint16_t storage = 0xBEEF;
    nvme::Command store = command(IoOpcode::write, all_checks | io_bits::storage_tag_check);
    store.cdw2 = storage;
    expect(run(*io_, store, 0, accompanied_at(plain(7), lba, storage)).status, status::success);
    const uint32_t storage_checks = nvme::copy::read_storage_tag_check | io_bits::storage_tag_check;
    Changes changes{.format = 1, .expected_storage = storage, .storage = storage};
    expect(copy(both_act | read_checks | storage_checks, changes), status::success);
    EXPECT_EQ(read_copy(0, bytes).data, accompanied_at(plain(7), to, storage));
    changes.expected_storage = 0xBEEE;
    expect(copy(both_act | read_checks | storage_checks, changes), status::storage_tag_check_error);
    expect(copy(both_act | read_checks, changes), status::success);
    expect(copy(both_act, {.format = 0}), status::invalid_namespace_or_format);
}

TEST_F(MetadataCopyTest, Format1With48Bits) {
    size_ = 4096;
    start({.metadata_bytes = 16, .type = ProtectionType::type2, .guard = bdev::Guard::crc64});
    const uint32_t bytes = blocks * (size_ + 16);
    nvme::Command store = command(IoOpcode::write, all_checks);
    expect(run(*io_, store, 0, accompanied_at(plain(8), lba)).status, status::success);
    const uint64_t far = 0x1234'5678'9ABC;
    expect(copy(both_act | read_checks, {.format = 1, .write_reference = far}), status::success);
    EXPECT_EQ(read_copy(0, bytes).data, accompanied_at(plain(8), far));
    expect(copy(both_act | read_checks, {.format = 1, .reference_off = uint64_t{1} << 40}),
           status::reference_tag_check_error);
}

TEST_F(MetadataCopyTest, ForAnUnawareHostBlocksAreCopiedWithTuplesMadeAnew) {
    start(type1, true);
    expect(write(0, plain(9)), status::success);
    for (const uint32_t format : {0U, 1U}) {
        expect(copy(0, {.format = format}), status::success);
        const Answer got = read_copy(0, blocks * block_bytes);
        expect(got.status, status::success);
        EXPECT_EQ(got.data, plain(9));
    }
}

}  // namespace
}  // namespace weft::test
