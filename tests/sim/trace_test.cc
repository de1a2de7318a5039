// What commands leave in the trace of the reactor that they are on.
#include "base/trace.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/trace_reader.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "sim/raw_host.h"

namespace weft::test {
namespace {

namespace wire = nvme::wire;
constexpr uint32_t data_bytes = 64 * 512;

std::unique_ptr<bdev::Device> ram_disk() {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = 512;
    options.block_count = 2048;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"})));
}

// The memory of the target's trace, which is all on.
class TraceMemory final : public trace::Source, public trace::Sink {
public:
    explicit TraceMemory(Runtime& runtime) {
        std::vector<trace::Track*> tracks;
        for (Reactor* reactor : runtime.reactors()) tracks.push_back(&reactor->track());
        constexpr uint32_t entries = 4096;
        words_.resize(trace::file_bytes(entries, static_cast<uint32_t>(tracks.size())) / 8);
        memory_.emplace(bytes(), trace::MemoryOptions{.ring_entries = entries}, tracks);
        for (const trace::GroupInfo& info : trace::groups) trace::set_mask(info.group, ~uint64_t{0});
    }
    Result<uint64_t> size_bytes() override { return words_.size() * 8; }
    Result<size_t> read(uint64_t offset, MutableBytes into) override {
        std::copy_n(bytes().begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
        return into.size();
    }
    void take(uint32_t, const trace::Entry& entry) override { entries_.push_back(entry); }

    // The names of what happened to the one command with this identifier, and to the device for it.
    std::vector<std::string> of_command(uint16_t cid) {
        entries_.clear();
        auto reader = trace::TraceReader::open(*this);
        EXPECT_TRUE(reader && reader->read(*this));
        uint64_t id = 0;
        std::vector<std::string> names;
        for (const trace::Entry& entry : entries_) {
            const trace::PointInfo& info = *trace::find(entry.point);
            if (info.point == trace::Point::tcp_req_new && entry.c == cid) id = entry.object;
            const bool is_its_own = info.object == trace::Kind::request && entry.object == id;
            const bool is_for_it = info.object == trace::Kind::io && entry.a == id;
            if (id == 0 || !(is_its_own || is_for_it)) continue;
            names.emplace_back(info.name);
            // The network cuts data anywhere; one piece stands for all that follow each other.
            const size_t count = names.size();
            const bool is_piece =
                count >= 4 && names[count - 1] == "BDEV_IO_DONE" && names[count - 3] == "BDEV_IO_DONE";
            if (is_piece) names.resize(count - 2);
        }
        return names;
    }

private:
    MutableBytes bytes() { return std::as_writable_bytes(std::span(words_)); }
    std::vector<uint64_t> words_;
    std::vector<trace::Entry> entries_;
    std::optional<trace::Memory> memory_;
};

struct ExportedDisk {
    ExportedDisk() { rig.run(rig.export_device(ram_disk())); }
    Rig rig{31};
    TraceMemory memory{rig.target_runtime()};
};

struct TraceOfCommands : ExportedDisk, testing::Test {
    TraceOfCommands() {
        admin.handshake();
        admin.connect_admin();
        queue.handshake();
        EXPECT_TRUE(queue.connect(1, admin.cntlid()));
    }
    ~TraceOfCommands() override {
        queue.close();
        admin.close();
        rig.run_for(20 * env::ns_per_s);
    }

    // Sends a Write of its own identifier and takes its R2T.
    uint16_t begin_write(uint16_t cid) {
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(nvme::IoOpcode::write);
        command.nsid = 1;
        command.cid = cid;
        command.set_lba_range(0, data_bytes / 512);
        command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
        command.dptr = nvme::SglDescriptor::transport(data_bytes);
        queue.send(queue.capsule(command));
        const auto pdus = queue.take();
        EXPECT_EQ(pdus.size(), 1U);
        return pdus.empty() ? uint16_t{0} : pdus[0].as<wire::R2t>().ttag.value();
    }
    void send_data(uint16_t cid, uint16_t ttag, uint32_t from, uint32_t bytes) {
        ByteVector pdu(wire::encoded_size_max);
        const bool is_last = from + bytes == data_bytes;
        pdu.resize(wire::encode_h2c_data(
            pdu, {.cccid = cid, .ttag = ttag, .offset = from, .length = bytes, .is_last = is_last}, queue.framing));
        pdu.resize(pdu.size() + bytes);
        queue.send(pdu);
    }

    RawHost admin{rig};
    RawHost queue{rig};
};

TEST_F(TraceOfCommands, AWriteIsFollowedThroughItsStages) {
    const uint16_t ttag = begin_write(77);
    send_data(77, ttag, 0, data_bytes / 2);
    send_data(77, ttag, data_bytes / 2, data_bytes / 2);
    EXPECT_EQ(queue.take().size(), 1U);
    // Streamed: the disk has each half when it has come.
    EXPECT_EQ(memory.of_command(77),
              (std::vector<std::string>{"TCP_REQ_NEW", "TCP_REQ_AWAIT_R2T_ACK", "TCP_REQ_TX_H_TO_C", "BDEV_IO_START",
                                        "BDEV_IO_DONE", "TCP_REQ_TX_H_TO_C", "BDEV_IO_START", "BDEV_IO_DONE",
                                        "TCP_REQ_RDY_TO_EXECUTE", "TCP_REQ_EXECUTING", "TCP_REQ_EXECUTED",
                                        "TCP_REQ_RDY_TO_COMPLETE", "TCP_REQ_TRANSFER_C2H", "TCP_REQ_COMPLETED"}));
}

TEST_F(TraceOfCommands, OneWhoseHostGoesAwayEndsToo) {
    begin_write(78);
    queue.close();
    rig.run_for(env::ns_per_s);
    EXPECT_EQ(memory.of_command(78),
              (std::vector<std::string>{"TCP_REQ_NEW", "TCP_REQ_AWAIT_R2T_ACK", "TCP_REQ_LOST"}));
}

}  // namespace
}  // namespace weft::test
