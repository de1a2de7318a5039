// A whole target in the simulated world, and hosts and an administrator that do what the input says.
//
// The input is a row of records of sixteen bytes. The first chooses the world; each other is one action: a PDU that is
// right but for what the record overwrites, bytes of no kind, a connection's begin or end, time, a change of what is
// exported. A custom mutator keeps the records whole. What must hold is in fuzz_world.h, fuzz_link.h, sent_checker.h.
//
// WEFT_FUZZ_SHOW=1 build/asan/fuzz/target_fuzz FILE tells what is done.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "nvme/feature.h"
#include "nvme/registers.h"
#include "sim/fuzz_world.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max);

namespace weft::test {
namespace {

using nvme::AdminOpcode;
using nvme::IoOpcode;

enum class Op : uint8_t {
    ready,       // ICReq, Connect and CC.EN of an admin queue, with what is a by-the-book host
    ready_io,    // ICReq and Connect of an I/O queue of another link's controller
    open,
    end,
    ic_req,
    connect,
    property,
    admin,
    io,
    h2c_data,
    term_req,
    raw,
    time,
    administrator,
    cut,
    slow_reader,
    count,
};
constexpr std::array<const char*, static_cast<size_t>(Op::count)> op_names = {
    "ready", "ready_io", "open",     "end", "ic_req", "connect",       "property", "admin",
    "io",    "h2c_data", "term_req", "raw", "time",   "administrator", "cut",      "slow_reader"};

struct Record {
    uint8_t op = 0;
    uint8_t link = 0;  // 1:0 which; bit 6: no time passes after it; bit 7: nothing is sent yet
    uint8_t a = 0;
    uint8_t b = 0;
    Patches patches;
    le64 value;

    [[nodiscard]] uint16_t word(unsigned at) const { return static_cast<uint16_t>(value.value() >> at * 16); }
    [[nodiscard]] uint8_t octet(unsigned at) const { return static_cast<uint8_t>(value.value() >> at * 8); }
};
static_assert(sizeof(Record) == 16);

constexpr size_t link_count = 4;
constexpr size_t records_max = 96;
constexpr std::array times = {50 * env::ns_per_us, env::ns_per_ms,    20 * env::ns_per_ms, 300 * env::ns_per_ms,
                              2 * env::ns_per_s,   6 * env::ns_per_s, 11 * env::ns_per_s,  125 * env::ns_per_s};
constexpr env::TimeNs time_max = 400 * env::ns_per_s;

constexpr std::array admin_opcodes = {AdminOpcode::identify,
                                      AdminOpcode::get_log_page,
                                      AdminOpcode::get_features,
                                      AdminOpcode::set_features,
                                      AdminOpcode::abort,
                                      AdminOpcode::async_event_request,
                                      AdminOpcode::keep_alive,
                                      AdminOpcode::namespace_management,
                                      AdminOpcode::format_nvm,
                                      AdminOpcode::create_io_sq,
                                      AdminOpcode::delete_io_sq,
                                      AdminOpcode::firmware_image_download,
                                      AdminOpcode::directive_receive,
                                      AdminOpcode::security_send,
                                      AdminOpcode::identify,
                                      AdminOpcode::get_log_page};
constexpr std::array io_opcodes = {IoOpcode::read,
                                   IoOpcode::write,
                                   IoOpcode::write,
                                   IoOpcode::flush,
                                   IoOpcode::compare,
                                   IoOpcode::write_zeroes,
                                   IoOpcode::dataset_management,
                                   IoOpcode::copy,
                                   IoOpcode::reservation_register,
                                   IoOpcode::reservation_report,
                                   IoOpcode::reservation_acquire,
                                   IoOpcode::reservation_release,
                                   IoOpcode::verify,
                                   IoOpcode::write_uncorrectable,
                                   IoOpcode::read,
                                   IoOpcode::zone_append};
constexpr std::array<uint32_t, 8> properties = {nvme::property::cap,
                                                nvme::property::vs,
                                                nvme::property::cc,
                                                nvme::property::csts,
                                                nvme::property::cc,
                                                0x20,
                                                0x16,
                                                0x1000};

class Player {
public:
    explicit Player(FuzzWorld& world) : world_(world), is_shown_(std::getenv("WEFT_FUZZ_SHOW") != nullptr) {
        world_.links.resize(link_count);
    }

    void play(const Record& record);

private:
    FuzzLink& link_of(const Record& record) {
        auto& link = world_.links[record.link % link_count];
        if (link == nullptr || !link->is_open()) link = world_.open();
        return *link;
    }
    void act(const Record& record);
    void ready(const Record& record, bool is_io);
    void property(FuzzLink& link, const Record& record);
    void admin(FuzzLink& link, const Record& record);
    void io(FuzzLink& link, const Record& record);
    void reserve(FuzzLink& link, const Record& record, nvme::Command command);
    void h2c_data(FuzzLink& link, const Record& record);
    void end(const Record& record);
    void pass_time(const Record& record);
    static std::vector<std::byte> stamped(const FuzzLink& link, size_t bytes, uint64_t lba) {
        std::vector<std::byte> data(bytes);
        stamp(data, link.subsystem(), lba);
        return data;
    }
    static std::optional<uint16_t> cid_of(const Record& record) {
        return (record.link & 0x20) != 0 ? std::optional<uint16_t>(record.word(3)) : std::nullopt;
    }
    static bool is_in_capsule(const Record& record) { return (record.link & 0x10) != 0; }

    FuzzWorld& world_;
    const bool is_shown_;
    env::TimeNs passed_ = 0;
};

void Player::play(const Record& record) {
    const size_t op = record.op % static_cast<size_t>(Op::count);
    if (is_shown_) {
        std::fprintf(stderr, "%8.3f ms  link %u%s%s  %s a=%u b=%u value=%#llx patches %u=%u %u=%u\n",
                     static_cast<double>(world_.rig().world().now()) / 1e6,
                     static_cast<unsigned>(record.link % link_count), (record.link & 0x80) != 0 ? " held" : "",
                     (record.link & 0x40) != 0 ? " at once" : "", op_names[op], record.a, record.b,
                     static_cast<unsigned long long>(record.value.value()), record.patches[0].place,
                     record.patches[0].value, record.patches[1].place, record.patches[1].value);
    }
    act(record);
    if ((record.link & 0x80) != 0) return;
    for (const auto& link : world_.links) {
        if (link != nullptr) link->pump();
    }
    if ((record.link & 0x40) == 0) world_.run_for(300 * env::ns_per_us);
    if (!is_shown_) return;
    for (size_t at = 0; at < link_count; ++at) {
        const auto& link = world_.links[at];
        if (link == nullptr) continue;
        std::fprintf(stderr, "    link %zu: %s%s, queue %u, %zu unanswered, %zu R2Ts, last status %#x\n", at,
                     !link->is_open()                 ? "closed"
                     : link->checker().is_connected() ? "connected"
                                                      : "open",
                     link->checker().is_terminated() ? ", terminated" : "", link->checker().qid(),
                     link->checker().unanswered(), link->checker().open_r2ts().size(), link->last_status());
    }
}

void Player::act(const Record& record) {
    switch (Op(record.op % static_cast<uint8_t>(Op::count))) {
        case Op::ready: ready(record, false); break;
        case Op::ready_io: ready(record, true); break;
        case Op::open: world_.links[record.link % link_count] = world_.open(); break;
        case Op::end: end(record); break;
        case Op::ic_req:
            link_of(record).ic_req((record.a & 1) != 0, (record.a & 2) != 0, record.b & 0x1F, record.octet(0),
                                   record.patches);
            break;
        case Op::connect: {
            const auto& of = world_.links[record.b % link_count];
            const bool joins = of != nullptr && (record.b & 0x80) != 0;
            link_of(record).connect({.host = record.a % size_t{4},
                                     .subsystem = record.a / 4 % size_t{4},
                                     .qid = static_cast<uint16_t>(record.a >> 4 & 7),
                                     .cntlid = joins ? of->checker().cntlid() : nvme::cntlid_dynamic,
                                     .sqsize = static_cast<uint16_t>(record.octet(0) + 1),
                                     .kato = record.octet(1) * 250U,
                                     .cattr = record.octet(2)},
                                    record.patches);
            break;
        }
        case Op::property: property(link_of(record), record); break;
        case Op::admin: admin(link_of(record), record); break;
        case Op::io: io(link_of(record), record); break;
        case Op::h2c_data: h2c_data(link_of(record), record); break;
        case Op::term_req: link_of(record).term_req(record.a, record.word(0), record.b, record.patches); break;
        case Op::raw: link_of(record).raw(bytes_of(record).subspan(2, size_t{1} + record.a % size_t{14})); break;
        case Op::time: pass_time(record); break;
        case Op::administrator: world_.administrate(record.a, record.b); break;
        case Op::cut: link_of(record).cut(record.word(0) % 2048); break;
        case Op::slow_reader: link_of(record).is_reading = (record.a & 1) != 0; break;
        case Op::count: break;
    }
}

// Everything up to an enabled queue, so that the input need not find it: on the admin queue of controllers of subsystem
// a (or whatever a says), on the I/O queue of the controller of link b.
void Player::ready(const Record& record, bool is_io) {
    auto& slot = world_.links[record.link % link_count];
    const auto& of = world_.links[record.b % link_count];
    if (is_io && (of == nullptr || of == slot || !of->checker().is_connected())) return;
    const uint16_t cntlid = is_io ? of->checker().cntlid() : nvme::cntlid_dynamic;
    const size_t subsystem = is_io ? of->subsystem()
                                   : ((record.a & 0x20) != 0   ? 1
                                      : (record.a & 0x40) != 0 ? nobody
                                                               : 0);
    slot = world_.open();
    slot->ic_req((record.a & 1) != 0, (record.a & 2) != 0, 0, 0, {});
    slot->connect({.host = subsystem == 1 ? size_t{2} : record.a / 4 % size_t{2},
                   .subsystem = subsystem,
                   .qid = static_cast<uint16_t>(is_io ? 1 + record.a / 8 % 3 : 0),
                   .cntlid = cntlid,
                   .sqsize = static_cast<uint16_t>(is_io ? 15 : 31),
                   .kato = is_io                    ? 0U
                           : (record.a & 0x80) != 0 ? 1000U
                                                    : 120'000U,
                   .cattr = static_cast<uint8_t>(record.a >> 2 & 4)},
                  record.patches);
    world_.run_for(500 * env::ns_per_us);
    if (!is_io) slot->enable();
}

void Player::property(FuzzLink& link, const Record& record) {
    const uint32_t offset = properties.at(record.b % properties.size());
    if ((record.a & 1) != 0) {
        nvme::PropertyGetCommand command;
        command.attrib = record.a >> 1 & 7;
        command.offset = offset;
        link.command(nvme::to_command(command), {}, record.patches, cid_of(record));
        return;
    }
    nvme::PropertySetCommand command;
    command.attrib = record.a >> 1 & 7;
    command.offset = offset;
    command.value = record.value.value() & 0xFFFFFFFF;
    link.command(nvme::to_command(command), {}, record.patches, cid_of(record));
}

void Player::admin(FuzzLink& link, const Record& record) {
    nvme::Command command;
    const AdminOpcode opcode = admin_opcodes.at(record.a % admin_opcodes.size());
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = record.b >> 6;
    command.cdw10 = record.octet(0) | uint32_t{record.octet(1)} << 16;
    command.cdw11 = record.word(1);
    command.dptr = nvme::SglDescriptor::transport(4096);
    switch (opcode) {
        case AdminOpcode::get_log_page: {
            const uint32_t bytes = (record.octet(1) + 1U) * 16;
            command.cdw10 = (record.octet(0) & 15U) |
                            (record.octet(0) == 0xFF   ? 0x70U
                             : record.octet(0) == 0xF0 ? 0x80U
                                                       : 0U) |
                            (bytes / 4 - 1) << 16;
            command.cdw11 = 0;
            command.cdw12 = record.word(1) * 4U;
            command.dptr = nvme::SglDescriptor::transport(bytes);
            break;
        }
        case AdminOpcode::get_features:
        case AdminOpcode::set_features: {
            // Some features carry a structure.
            const bool has_data = (record.b & 0x20) != 0;
            command.cdw10 = record.octet(0) > 0xF0 ? 0x80U | (record.octet(0) & 7U) : record.octet(0) % 0x24U;
            const size_t bytes = has_data ? size_t{record.octet(1)} * 4 : 0;
            command.dptr = nvme::SglDescriptor::transport(static_cast<uint32_t>(bytes));
            if (opcode == AdminOpcode::set_features && is_in_capsule(record)) {
                link.command(command, stamped(link, bytes, 0), record.patches, cid_of(record));
                return;
            }
            break;
        }
        case AdminOpcode::abort: command.cdw10 = (record.octet(0) & 3U) | uint32_t{record.word(1)} << 16; break;
        default: break;
    }
    link.command(command, {}, record.patches, cid_of(record));
}

bool is_reservation(IoOpcode opcode) {
    return opcode == IoOpcode::reservation_register || opcode == IoOpcode::reservation_report ||
           opcode == IoOpcode::reservation_acquire || opcode == IoOpcode::reservation_release;
}

// Few keys and all actions and types, so that registrants meet.
void Player::reserve(FuzzLink& link, const Record& record, nvme::Command command) {
    command.cdw10 = (record.octet(0) & 0xFU) | record.octet(1) % 8U << 8 | uint32_t{record.octet(2)} << 30;
    command.cdw11 = 1;
    command.cdw12 = 0;
    if (command.io_opcode() == IoOpcode::reservation_report) {
        const uint32_t bytes = (record.octet(1) + 1U) * 4;
        command.cdw10 = bytes / 4 - 1;
        command.dptr = nvme::SglDescriptor::transport(bytes);
        link.command(command, {}, record.patches, cid_of(record));
        return;
    }
    const std::array<le64, 2> keys{uint64_t{record.octet(3)} % 4, uint64_t{record.octet(4)} % 4};
    const size_t count = command.io_opcode() == IoOpcode::reservation_release ? 1 : 2;
    command.dptr = nvme::SglDescriptor::transport(static_cast<uint32_t>(count * sizeof(le64)));
    link.command(command, std::as_bytes(std::span(keys).first(count)), record.patches, cid_of(record));
}

void Player::io(FuzzLink& link, const Record& record) {
    nvme::Command command;
    const IoOpcode opcode = io_opcodes.at(record.a % io_opcodes.size());
    const uint64_t lba = record.octet(0);
    const uint32_t blocks = 1U + (record.octet(1) & 0x80 ? record.octet(1) & 0x3FU : record.octet(1) & 7U);
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1 + record.b % 4U;
    command.set_lba_range(lba, blocks);
    command.cdw12 = command.cdw12 | ((record.b & 0x40) != 0 ? nvme::io_bits::force_unit_access : 0U) |
                    ((record.b & 0x80) != 0 ? nvme::io_bits::deallocate : 0U);
    const size_t bytes = size_t{blocks} * fuzz_block_bytes;
    command.dptr = nvme::SglDescriptor::transport(static_cast<uint32_t>(bytes));
    if (opcode == IoOpcode::dataset_management) {
        const size_t ranges = 1 + (record.octet(1) & 3U);
        command.cdw10 = static_cast<uint32_t>(ranges - 1);
        command.cdw11 = nvme::dataset_management::deallocate;
        std::vector<std::byte> list(ranges * sizeof(nvme::DatasetManagementRange));
        for (size_t at = 0; at < ranges; ++at) {
            const nvme::DatasetManagementRange range{
                .attributes = 0, .block_count = blocks, .slba = lba + at * record.octet(2)};
            store(MutableBytes(list).subspan(at * sizeof range), range);
        }
        link.command(command, list, record.patches, cid_of(record));
        return;
    }
    if (is_reservation(opcode)) return reserve(link, record, command);
    const bool sends = nvme::transfer_direction(command.opcode) == nvme::TransferDirection::host_to_controller;
    if (sends && is_in_capsule(record) && bytes <= 8192) {
        link.command(command, stamped(link, bytes, lba), record.patches, cid_of(record));
        return;
    }
    link.command(command, {}, record.patches, cid_of(record));
}

// Answers an R2T that came; or one that did not, when there is none.
void Player::h2c_data(FuzzLink& link, const Record& record) {
    const std::vector<OpenR2t> open = link.checker().open_r2ts();
    OpenR2t r2t{
        .cid = record.word(0), .ttag = record.word(1), .offset = record.word(2), .left = record.octet(6) * 4U + 4};
    if (!open.empty()) r2t = open[record.a % open.size()];
    uint32_t length = r2t.left;
    if ((record.b & 1) != 0) length = std::min(length, (record.octet(0) + 1U) * ((record.b & 2) != 0 ? 4U : 512U));
    if ((record.b & 4) != 0) length += 4;
    uint32_t offset = r2t.offset;
    if ((record.b & 8) != 0) offset += record.octet(1) * 4U;
    const bool is_last = (length == r2t.left) != ((record.b & 16) != 0);
    link.h2c_data(r2t, offset, length, offset / fuzz_block_bytes, is_last, record.patches);
}

void Player::end(const Record& record) {
    auto& link = world_.links[record.link % link_count];
    if (link == nullptr) return;
    switch (record.a % 4) {
        case 0: link.reset(); break;
        case 1: link->end_sending(); break;
        case 2:
            if (link->is_open()) world_.rig().world().reset_connection(*link->stream());
            break;
        default:
            if (link->is_open()) {
                world_.rig().world().cut_after_bytes(*link->stream(), record.word(0), (record.b & 1) != 0);
            }
            break;
    }
}

void Player::pass_time(const Record& record) {
    const env::TimeNs time = times.at(record.a % times.size());
    if (passed_ + time > time_max) return;
    passed_ += time;
    world_.run_for(time);
    if ((record.b & 1) != 0) world_.work_bystander();
}

FuzzWorldOptions options_of(const Record& record) {
    return {.seed = record.value.value(),
            .two_reactors = (record.a & 1) != 0,
            .segmentation = (record.a & 2) != 0,
            .small_windows = (record.a & 4) != 0,
            .c2h_success = (record.a & 8) == 0,
            .zero_copy_reads = (record.a & 16) != 0,
            .no_in_capsule_data = (record.a & 32) != 0};
}

std::vector<Record> records_of(Bytes bytes) {
    std::vector<Record> records(std::min(bytes.size() / sizeof(Record), records_max));
    if (!records.empty()) std::memcpy(records.data(), bytes.data(), records.size() * sizeof(Record));
    return records;
}

size_t put(const std::vector<Record>& records, uint8_t* out, size_t out_max) {
    const size_t count = std::min(records.size(), out_max / sizeof(Record));
    if (count > 0) std::memcpy(out, records.data(), count * sizeof(Record));
    return count * sizeof(Record);
}

void run(Bytes input) {
    const std::vector<Record> records = records_of(input);
    if (records.empty()) return;
    FuzzWorld world(options_of(records[0]));
    {
        Player player(world);
        for (size_t at = 1; at < records.size(); ++at) player.play(records[at]);
    }
    world.finish();
}

// Changes records as wholes, or the bytes within one.
void mutate(std::vector<Record>& records, uint64_t seed) {
    sim::Prng prng(seed);
    const size_t at = prng.below(records.size());
    const auto here = records.begin() + static_cast<ptrdiff_t>(at);
    switch (prng.below(8)) {
        case 0: records.erase(here); break;
        case 1: records.insert(here, records[prng.below(records.size())]); break;
        case 2: {
            Record fresh{.op = static_cast<uint8_t>(prng.below(static_cast<uint64_t>(Op::count))),
                         .link = static_cast<uint8_t>(prng.below(4)),
                         .a = static_cast<uint8_t>(prng.below(256)),
                         .b = static_cast<uint8_t>(prng.below(256)),
                         .patches = {},
                         .value = prng.next()};
            records.insert(here + (at == 0 ? 1 : 0), fresh);
            break;
        }
        case 3: std::swap(*here, records[prng.below(records.size())]); break;
        case 4:
            here->patches.at(prng.below(2)) = {static_cast<uint8_t>(prng.below(256)),
                                               static_cast<uint8_t>(prng.below(256))};
            break;
        case 5: here->link = static_cast<uint8_t>(here->link ^ (1U << prng.below(8))); break;
        default:
            // LLVMFuzzerMutate brings what comparisons were seen against, and the dictionary's words.
            LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(&*here), sizeof(Record), sizeof(Record));
            break;
    }
}

}  // namespace
}  // namespace weft::test

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    testing::GTEST_FLAG(break_on_failure) = true;  // the rig's own expectations are findings, too
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    weft::test::run({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned seed) {
    using namespace weft::test;  // NOLINT(google-build-using-namespace)
    std::vector<Record> records = records_of({reinterpret_cast<const std::byte*>(data), size});
    if (records.empty()) records.resize(2);
    mutate(records, seed);
    return put(records, data, size_max);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* first, size_t first_size, const uint8_t* second,
                                            size_t second_size, uint8_t* out, size_t out_max, unsigned seed) {
    using namespace weft::test;  // NOLINT(google-build-using-namespace)
    const std::vector<Record> head = records_of({reinterpret_cast<const std::byte*>(first), first_size});
    const std::vector<Record> tail = records_of({reinterpret_cast<const std::byte*>(second), second_size});
    weft::sim::Prng prng(seed);
    std::vector<Record> made(head.begin(), head.begin() + static_cast<ptrdiff_t>(prng.below(head.size() + 1)));
    made.insert(made.end(), tail.begin() + static_cast<ptrdiff_t>(prng.below(tail.size() + 1)), tail.end());
    return put(made, out, out_max);
}
