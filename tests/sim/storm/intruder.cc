#include "sim/storm/intruder.h"

#include <fmt/format.h>

#include <algorithm>

#include "nvme/describe.h"
#include "nvme/registers.h"
#include "sim/failure.h"

namespace weft::sim {

using nvme::IoOpcode;
using nvme::Status;
using nvme::wire::PduType;
using test::fail_simulation;

namespace {

constexpr uint32_t block_bytes = 512;  // of the intruders' own device
constexpr std::string_view intruder_host = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-0000000000ff";
constexpr uint8_t intruder_number = 200;

bool succeeded(const std::optional<nvme::Completion>& answer) {
    return answer && Status::from_wire(answer->status).is_success();
}

}  // namespace

Intruder::Intruder(Storm& storm, size_t machine, size_t number)
    : storm_(storm),
      machine_(machine),
      device_(static_cast<uint32_t>(storm.plan.devices.size())),
      prng_(mix(storm.plan.seed ^ mix(1000 + number))) {}

void Intruder::start() {
    const CurrentThread scope(&storm_.rig.host_thread(machine_));
    spawn(run());
}

Task<void> Intruder::run() {
    co_await yield();
    Pace pace(storm_, 100);
    while (!storm_.is_healing) {
        switch (prng_.below(12)) {
            case 0: co_await say_nothing(); break;
            case 1: co_await say_nonsense(); break;
            case 2: co_await knock_at_others(); break;
            case 3: co_await join_others(); break;
            case 4: co_await use_a_queue_twice(); break;
            case 5: co_await let_keep_alive_run_out(); break;
            case 6: co_await ask_for_the_wrong(); break;
            case 7: co_await damage_a_digest(); break;
            case 8: co_await send_too_much(); break;
            case 9: co_await read_and_write(); break;
            default: co_await break_a_transfer(); break;
        }
        co_await sleep_for(pace.rest(prng_.between(10, 2000) * env::ns_per_us));
    }
    is_finished_ = true;
}

Task<Intruder::Session> Intruder::open(bool with_digests) {
    auto stream = storm_.rig.host_environment(machine_).network().connect(storm_.rig.target_address(), {});
    if (!stream) co_return nullptr;
    auto session = std::make_unique<RawConnection>(std::move(*stream));
    session->target_run = storm_.target_runs;
    if (!co_await session->establish(with_digests)) co_return nullptr;
    co_return session;
}

Task<Intruder::Session> Intruder::open_admin(uint32_t kato_ms) {
    Session session = co_await open();
    if (session == nullptr) co_return nullptr;
    const auto connected = co_await session->connect(0, nvme::cntlid_dynamic, Storm::intruder_nqn, intruder_host,
                                                     intruder_number, kato_ms);
    if (!succeeded(connected)) co_return nullptr;
    session->cntlid = static_cast<uint16_t>(connected->cdw0 & 0xFFFF);
    nvme::PropertySetCommand enable;
    enable.offset = nvme::property::cc;
    enable.value = nvme::Configuration{}
                       .with(nvme::Configuration::en, 1)
                       .with(nvme::Configuration::iosqes, nvme::sqe_size_log2)
                       .with(nvme::Configuration::iocqes, nvme::cqe_size_log2)
                       .raw;
    if (!succeeded(co_await session->execute(nvme::to_command(enable)))) co_return nullptr;
    co_return session;
}

Task<Intruder::Session> Intruder::open_io(uint16_t cntlid, bool with_digests, uint16_t qid) {
    Session session = co_await open(with_digests);
    if (session == nullptr) co_return nullptr;
    const auto connected = co_await session->connect(qid, cntlid, Storm::intruder_nqn, intruder_host, intruder_number);
    if (!succeeded(connected)) co_return nullptr;
    co_return session;
}

nvme::Command Intruder::io_command(IoOpcode opcode, uint64_t slba, uint32_t blocks) const {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1;
    command.set_lba_range(slba, blocks);
    return command;
}

void Intruder::expect_refused(const std::optional<nvme::Completion>& answer, std::string_view what) const {
    if (succeeded(answer)) fail_simulation(fmt::format("an intruder was let in: {}", what));
}

Task<void> Intruder::expect_end(RawConnection& session, std::string_view what) {
    // A target that lost its power tells nobody.
    const uint64_t run = session.target_run;
    if (!co_await session.await_end(30 * env::ns_per_s) && storm_.target_runs == run && storm_.is_target_up) {
        fail_simulation(fmt::format("the connection of an intruder is left open: {}", what));
    }
}

void Intruder::check_own(Bytes data, uint64_t sector, std::string_view what) const {
    for (size_t at = 0; (at + 1) * sector_bytes <= data.size(); ++at) {
        std::string problem;
        if (read_stamp(data.subspan(at * sector_bytes, sector_bytes), device_, sector + at, problem)) continue;
        fail_simulation(fmt::format("an intruder got what it may not see ({}): {}", what, problem));
    }
}

// The handshake timer ends it.
Task<void> Intruder::say_nothing() {
    auto stream = storm_.rig.host_environment(machine_).network().connect(storm_.rig.target_address(), {});
    if (!stream) co_return;
    RawConnection session(std::move(*stream));
    session.target_run = storm_.target_runs;
    if (prng_.coin() && !co_await session.establish(false)) co_return;
    co_await expect_end(session, "it said nothing");
    storm_.reached("a silent connection was closed");
}

Task<void> Intruder::say_nonsense() {
    const bool after_handshake = prng_.coin();
    Session session = after_handshake ? co_await open() : nullptr;
    if (session == nullptr) {
        auto stream = storm_.rig.host_environment(machine_).network().connect(storm_.rig.target_address(), {});
        if (!stream) co_return;
        session = std::make_unique<RawConnection>(std::move(*stream));
        session->target_run = storm_.target_runs;
        while (!session->has_ended() && !co_await session->send(bytes_of(uint8_t{0x42}))) {
        }
    }
    std::vector<std::byte> bytes(prng_.between(8, 600));
    prng_.fill(bytes);
    if (co_await session->send(bytes)) co_await expect_end(*session, "it sent nonsense");
}

// Subsystems that do not allow it, and names of hosts that they do allow are not tried: names are not secrets.
Task<void> Intruder::knock_at_others() {
    Session session = co_await open();
    if (session == nullptr) co_return;
    expect_refused(
        co_await session->connect(0, nvme::cntlid_dynamic, Storm::subsystem_nqn, intruder_host, intruder_number),
        "Connect to a subsystem that does not allow it");
}

// An I/O queue for a controller of another host, with its own names or with one of the other's.
Task<void> Intruder::join_others() {
    Session session = co_await open();
    if (session == nullptr) co_return;
    const size_t victim = prng_.below(storm_.plan.hosts.size());
    for (int tries = 0; tries < 8 && !session->has_ended(); ++tries) {
        const auto cntlid = static_cast<uint16_t>(prng_.between(1, 8));
        const bool own_nqn = prng_.coin();
        const std::string nqn = own_nqn ? std::string(intruder_host) : Storm::hostnqn(victim);
        const auto number = static_cast<uint8_t>(own_nqn ? victim + 1 : intruder_number);
        const auto answer = co_await session->connect(static_cast<uint16_t>(prng_.between(1, 8)), cntlid,
                                                      Storm::subsystem_nqn, nqn, number);
        expect_refused(answer, "a queue of another host's controller");
        if (succeeded(answer)) co_return;
    }
}

Task<void> Intruder::use_a_queue_twice() {
    Session admin = co_await open_admin();
    if (admin == nullptr) co_return;
    Session first = co_await open_io(admin->cntlid);
    if (first == nullptr) co_return;
    Session second = co_await open();
    if (second == nullptr) co_return;
    const auto answer = co_await second->connect(1, admin->cntlid, Storm::intruder_nqn, intruder_host, intruder_number);
    // The first may have been lost meanwhile, and the target have seen it.
    if (succeeded(answer) && !storm_.may_disconnect()) fail_simulation("a queue was connected twice");
    const auto other = co_await second->connect(1, admin->cntlid, Storm::intruder_nqn, intruder_host, intruder_number);
    if (succeeded(answer) && succeeded(other)) fail_simulation("a connection was connected twice");
}

Task<void> Intruder::let_keep_alive_run_out() {
    Session admin = co_await open_admin(1000);
    if (admin == nullptr) co_return;
    const Session io = prng_.coin() ? co_await open_io(admin->cntlid) : nullptr;
    co_await expect_end(*admin, "it sent no Keep Alive");
    if (io != nullptr) co_await expect_end(*io, "its controller ended, for want of Keep Alives");
    storm_.reached("a keep-alive timer ran out");
}

// Commands that name what is not there, or contradict themselves: an error each, and the connection lives.
Task<void> Intruder::ask_for_the_wrong() {
    Session admin = co_await open_admin();
    if (admin == nullptr) co_return;
    Session session = co_await open_io(admin->cntlid);
    if (session == nullptr) co_return;
    std::vector<std::byte> block(block_bytes);
    for (int round = 0; round < 6 && !session->has_ended(); ++round) {
        nvme::Command command = io_command(IoOpcode::read, 0, 1);
        command.dptr = nvme::SglDescriptor::transport(block_bytes);
        Bytes data;
        if (prng_.below(8) == 0) {
            co_await promise_more_than_it_sends(*session);
            continue;
        }
        switch (prng_.below(8)) {
            case 0:
                command.nsid = static_cast<uint32_t>(
                    std::array<uint64_t, 4>{0, 2, 0xFFFFFFFF, prng_.between(3, 40)}[prng_.below(4)]);
                break;
            case 1:
                command.set_lba_range(std::array<uint64_t, 3>{1024, UINT64_MAX, UINT64_MAX / 512}[prng_.below(3)], 1);
                break;
            case 2:
                command.set_lba_range(1023, 2);
                command.dptr = nvme::SglDescriptor::transport(2 * block_bytes);
                break;
            case 3:
                command.set_lba_range(0, 65536);
                command.dptr = nvme::SglDescriptor::transport(65536 * block_bytes);
                break;
            case 4: command.set_lba_range(0, 8); break;  // more than the SGL holds
            case 5: command.opcode = static_cast<uint8_t>(prng_.between(0x80, 0xFE)); break;
            case 6:
                command.opcode = static_cast<uint8_t>(IoOpcode::write);
                command.set_lba_range(2, 4);
                data = block;  // one block in the capsule, four in the command
                break;
            default: command.dptr.identifier = static_cast<uint8_t>(prng_.between(0x20, 0x4F)); break;
        }
        const auto answer = co_await session->execute(command, data);
        if (succeeded(answer)) {
            fail_simulation(fmt::format("a wrong command was executed: {}", nvme::describe(command, false)));
        }
        if (!answer) co_return;
    }
}

// Four blocks in the capsule, the SGL says, and one is there.
Task<void> Intruder::promise_more_than_it_sends(RawConnection& session) {
    nvme::Command command = io_command(IoOpcode::write, 2, 4);
    command.cid = session.next_cid++;
    command.dptr = nvme::SglDescriptor::in_capsule(4 * block_bytes);
    const std::vector<std::byte> block(block_bytes);
    if (!co_await session.send(session.capsule(command, block))) co_return;
    const auto answer = co_await session.receive();
    if (!answer || answer->type != PduType::capsule_resp) co_return;
    if (Status::from_wire(answer->as<nvme::wire::CapsuleResp>().cqe.status).is_success()) {
        fail_simulation("a write of four blocks was done with the data of one");
    }
}

// What a host may get wrong about the data it was asked for.
void Intruder::make_wrong(nvme::wire::DataFields& fields, std::vector<std::byte>& data, uint64_t mistake) {
    switch (mistake) {
        case 0:
            fields.offset = block_bytes;
            fields.length -= block_bytes;
            break;
        case 1:
            fields.length += block_bytes;
            data.resize(data.size() + block_bytes);
            break;
        case 2: fields.ttag = static_cast<uint16_t>(fields.ttag + prng_.between(1, 300)); break;
        case 3: fields.cccid = static_cast<uint16_t>(fields.cccid + 1); break;
        case 4: fields.ttag = 0xFFFF; break;
        case 5: fields.length -= block_bytes; break;  // the last one, it says, and is not
        case 6:
            fields.offset = static_cast<uint32_t>(data.size());
            fields.length = block_bytes;
            break;
        case 7:
            fields.offset = 0xFFFFFE00;
            fields.length = block_bytes;
            break;
        default: break;  // all right, but on another connection
    }
}

// A write whose data is asked for by R2T, answered wrongly.
Task<void> Intruder::break_a_transfer() {
    Session admin = co_await open_admin();
    if (admin == nullptr) co_return;
    Session session = co_await open_io(admin->cntlid);
    if (session == nullptr) co_return;
    constexpr uint32_t blocks = 16;
    std::vector<std::byte> data(size_t{blocks} * block_bytes);
    const uint64_t slba = prng_.below(1024 - blocks);
    for (uint32_t at = 0; at < blocks; ++at) {
        stamp_sector(MutableBytes(data).subspan(size_t{at} * block_bytes, block_bytes), device_, slba + at, 1);
    }
    nvme::Command command = io_command(IoOpcode::write, slba, blocks);
    command.cid = 77;
    command.dptr = nvme::SglDescriptor::transport(static_cast<uint32_t>(data.size()));
    if (!co_await session->send(session->capsule(command))) co_return;
    const auto pdu = co_await session->receive();
    if (!pdu || pdu->type != PduType::r2t) co_return;
    const auto r2t = pdu->as<nvme::wire::R2t>();
    if (r2t.r2to != 0 || r2t.r2tl != data.size()) {
        fail_simulation(
            fmt::format("an R2T for {} bytes at {} of a write of {}", r2t.r2tl.value(), r2t.r2to.value(), data.size()));
    }
    nvme::wire::DataFields fields{.cccid = command.cid,
                                  .ttag = r2t.ttag,
                                  .offset = 0,
                                  .length = static_cast<uint32_t>(data.size()),
                                  .is_last = true};
    const uint64_t mistake = prng_.below(9);
    Session other;
    if (mistake == 8) other = co_await open_io(admin->cntlid, false, 2);
    if (mistake == 8 && other == nullptr) co_return;
    make_wrong(fields, data, mistake);
    // So that it is not this that is wrong, too.
    const bool is_elsewhere = fields.offset != 0 || fields.length > r2t.r2tl;
    if (is_elsewhere && prng_.coin()) fields.is_last = false;
    RawConnection& guilty = other != nullptr ? *other : *session;
    std::vector<std::byte> bytes(nvme::wire::encoded_size_max);
    bytes.resize(nvme::wire::encode_h2c_data(bytes, fields, session->framing));
    bytes.insert(bytes.end(), data.begin(), data.begin() + fields.length);
    if (!co_await guilty.send(bytes)) co_return;
    const auto answer = co_await guilty.receive(5 * env::ns_per_s);
    const bool is_same_target = storm_.is_target_up && guilty.target_run == storm_.target_runs;
    if (!answer && !guilty.has_ended() && is_same_target) {
        fail_simulation(fmt::format("a broken transfer (mistake {}) has no answer", mistake));
    }
    if (answer && answer->type == PduType::capsule_resp) {
        fail_simulation(fmt::format("a broken transfer (mistake {}) was answered as if it were right", mistake));
    }
    co_await expect_end(guilty, fmt::format("its transfer was broken (mistake {})", mistake));
    storm_.reached("a broken transfer ended its connection");
}

// Data whose digest is wrong does not get into the device.
Task<void> Intruder::damage_a_digest() {
    Session admin = co_await open_admin();
    if (admin == nullptr) co_return;
    Session session = co_await open_io(admin->cntlid, true);
    if (session == nullptr) co_return;
    std::vector<std::byte> block(block_bytes);
    const uint64_t slba = prng_.below(1024);
    stamp_sector(block, device_, slba, 2);
    nvme::Command command = io_command(IoOpcode::write, slba, 1);
    command.cid = 5;
    command.dptr = nvme::SglDescriptor::in_capsule(block_bytes);
    std::vector<std::byte> bytes = session->capsule(command, block);
    bytes.back() ^= std::byte{1};
    if (!co_await session->send(bytes)) co_return;
    const auto answer = co_await session->receive();
    if (!answer) co_return;
    const bool is_right = answer->type == PduType::c2h_term_req ||
                          (answer->type == PduType::capsule_resp &&
                           !Status::from_wire(answer->as<nvme::wire::CapsuleResp>().cqe.status).is_success());
    if (!is_right) fail_simulation("a write with a wrong data digest was done");
}

// More commands than the queue holds; they are answered all the same, each once.
Task<void> Intruder::send_too_much() {
    Session admin = co_await open_admin();
    if (admin == nullptr) co_return;
    Session session = co_await open_io(admin->cntlid);
    if (session == nullptr) co_return;
    std::vector<std::byte> bytes;
    constexpr uint16_t count = 60;
    for (uint16_t cid = 100; cid < 100 + count; ++cid) {
        nvme::Command command = io_command(IoOpcode::flush, 0, 1);
        command = {};
        command.opcode = static_cast<uint8_t>(IoOpcode::flush);
        command.nsid = 1;
        command.cid = cid;
        const auto one = session->capsule(command);
        bytes.insert(bytes.end(), one.begin(), one.end());
    }
    if (!co_await session->send(bytes)) co_return;
    std::vector<bool> answered(count);
    for (uint16_t left = count; left > 0; --left) {
        const auto pdu = co_await session->receive();
        if (!pdu) co_return;
        const uint16_t cid =
            pdu->type == PduType::capsule_resp ? pdu->as<nvme::wire::CapsuleResp>().cqe.cid.value() : 0;
        if (cid < 100 || cid >= 100 + count || answered[cid - 100U]) {
            co_return fail_simulation(fmt::format("a flood of commands: an answer to CID {} that is not due", cid));
        }
        answered[cid - 100U] = true;
    }
}

// Its own namespace, in order: what it reads is its own.
Task<void> Intruder::read_and_write() {
    Session admin = co_await open_admin();
    if (admin == nullptr) co_return;
    Session session = co_await open_io(admin->cntlid);
    if (session == nullptr) co_return;
    const uint32_t blocks = static_cast<uint32_t>(prng_.between(1, 8));
    const uint64_t slba = prng_.below(1024 - blocks);
    nvme::Command read = io_command(IoOpcode::read, slba, blocks);
    read.dptr = nvme::SglDescriptor::transport(blocks * block_bytes);
    std::vector<std::byte> data;
    if (succeeded(co_await session->execute(read, {}, &data))) check_own(data, slba, "a read of its own namespace");
    // Log pages and Identify, at odd places: their unused bytes are zero, or at least nobody's data.
    nvme::Command log;
    log.opcode = static_cast<uint8_t>(nvme::AdminOpcode::get_log_page);
    const auto length = static_cast<uint32_t>(prng_.between(1, 1024) * 4);
    log.cdw10 = static_cast<uint32_t>(prng_.between(1, 5)) | ((length / 4 - 1) << 16);
    log.cdw12 = static_cast<uint32_t>(prng_.coin() ? 0 : prng_.below(4096) * 4);
    log.dptr = nvme::SglDescriptor::transport(length);
    data.clear();
    (void)co_await admin->execute(log, {}, &data);
    for (size_t at = 0; at + sector_bytes <= data.size(); at += 4) {
        if (const auto owner = foreign_device(Bytes(data).subspan(at, sector_bytes), UINT32_MAX)) {
            co_return fail_simulation(fmt::format("a log page holds data of device {}", *owner));
        }
    }
}

}  // namespace weft::sim
