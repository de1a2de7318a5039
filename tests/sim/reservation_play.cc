#include "sim/reservation_play.h"

#include <algorithm>

#include "nvme/describe.h"
#include "sim/failure.h"

namespace weft::test {

using nvme::IoOpcode;
using nvme_host::Qpair;
namespace status = nvme::status;

Task<nvme::Status> execute_io(Qpair& queue, nvme::Command command, MutableBytes data) {
    nvme_host::Io io;
    io.command = command;
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    if (!data.empty()) io.data = {&piece, 1};
    co_await nvme_host::Execute(queue, io);
    co_return io.status();
}

Task<nvme::Status> reserve(Qpair& queue, uint32_t nsid, nvmf::ReservationCommand wanted) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(wanted.opcode);
    command.nsid = nsid;
    command.cdw10 = wanted.cdw10;
    std::array<le64, 2> keys{wanted.current_key, wanted.other_key};
    const size_t count = wanted.opcode == IoOpcode::reservation_release ? 1 : 2;
    co_return co_await execute_io(queue, command, std::as_writable_bytes(std::span(keys).first(count)));
}

namespace {

constexpr uint64_t blocks_used = 8;

// What the specification's table says, written another way than the target has it.
bool is_allowed(const nvmf::ReservationState& state, const Uuid& host, IoOpcode opcode) {
    const auto type = static_cast<unsigned>(state.record().type);
    if (type == 0 || state.is_holder(host)) return true;
    const bool reads = opcode == IoOpcode::read || opcode == IoOpcode::compare;
    const bool is_exclusive_access = type % 2 == 0;
    if (reads && !is_exclusive_access) return true;
    return type >= 3 && state.find(host) != nullptr;
}

class Play {
public:
    Play(sim::Prng& prng, PlayOptions options)
        : prng_(prng), options_(options), disk_(blocks_used * options.block_bytes) {}

    std::vector<Qpair*> queues;
    std::vector<Uuid> ids;

    Task<void> clean() {
        // Whatever there is: registered by force, and cleared.
        co_await command(0, {.opcode = IoOpcode::reservation_register, .cdw10 = 2 | 8, .other_key = 9});
        co_await command(0, {.opcode = IoOpcode::reservation_release, .cdw10 = 1, .current_key = 9});
        nvme::Command zeroes = io(IoOpcode::write_zeroes, 0, blocks_used);
        expect((co_await execute_io(*queues[0], zeroes, {})).is_success(), "clearing");
        std::ranges::fill(disk_, std::byte{0});
    }

    Task<void> step() {
        const size_t who = prng_.below(queues.size());
        if (prng_.chance(0.5)) {
            co_await command(who, random_command());
        } else {
            co_await touch_data(who);
        }
        if (prng_.chance(0.1)) co_await report(who);
    }

private:
    nvmf::ReservationCommand random_command() {
        const auto key = [this] { return prng_.between(0, 3); };
        const auto type = static_cast<uint32_t>(prng_.between(1, 6)) << 8;
        switch (prng_.below(6)) {
            case 0:
            case 1: {
                const uint32_t action = static_cast<uint32_t>(prng_.below(3));
                const uint32_t persistence = options_.can_persist && prng_.coin() ? 3 : 0;
                return {.opcode = IoOpcode::reservation_register,
                        .cdw10 = action | (prng_.coin() ? 8U : 0U) | persistence << 30,
                        .current_key = key(),
                        .other_key = key()};
            }
            case 2: return {.opcode = IoOpcode::reservation_acquire, .cdw10 = type, .current_key = key()};
            case 3:
            case 4:
                return {.opcode = IoOpcode::reservation_acquire,
                        .cdw10 = type | static_cast<uint32_t>(prng_.between(1, 2)),
                        .current_key = key(),
                        .other_key = key()};
            default:
                return {.opcode = IoOpcode::reservation_release,
                        .cdw10 = type | (prng_.chance(0.2) ? 1U : 0U),
                        .current_key = key()};
        }
    }

    Task<void> command(size_t who, nvmf::ReservationCommand wanted) {
        const nvme::Status right = state_.execute(ids[who], wanted, options_.can_persist).status;
        const nvme::Status given = co_await reserve(*queues[who], options_.nsid, wanted);
        expect(given.is(right), "a reservation command: " + nvme::describe(given) + ", not " + nvme::describe(right));
    }

    [[nodiscard]] nvme::Command io(IoOpcode opcode, uint64_t block, uint64_t count) const {
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(opcode);
        command.nsid = options_.nsid;
        command.set_lba_range(block, static_cast<uint32_t>(count));
        return command;
    }

    Task<void> touch_data(size_t who) {
        constexpr IoOpcode opcodes[] = {IoOpcode::read,    IoOpcode::write, IoOpcode::write_zeroes,
                                        IoOpcode::compare, IoOpcode::flush, IoOpcode::dataset_management};
        const IoOpcode opcode = opcodes[prng_.below(std::size(opcodes))];
        const uint64_t block = prng_.below(blocks_used);
        const MutableBytes here = MutableBytes(disk_).subspan(block * options_.block_bytes, options_.block_bytes);
        nvme::Command command = io(opcode, block, 1);
        std::vector<std::byte> data;
        if (opcode == IoOpcode::read || opcode == IoOpcode::compare) data.assign(here.begin(), here.end());
        if (opcode == IoOpcode::write) {
            data.resize(here.size());
            prng_.fill(data);
        }
        if (opcode == IoOpcode::dataset_management) {
            command.cdw10 = 0;
            command.cdw11 = nvme::dataset_management::deallocate;
            nvme::DatasetManagementRange range;
            range.slba = block;
            range.block_count = 1;
            data.resize(sizeof range);
            store(data, range);
        }
        if (opcode == IoOpcode::flush) command.cdw10 = command.cdw11 = command.cdw12 = 0;
        const nvme::Status given = co_await execute_io(*queues[who], command, data);
        const bool may = is_allowed(state_, ids[who], opcode);
        const nvme::Status right = may ? status::success : status::reservation_conflict;
        expect(given.is(right), "opcode " + std::to_string(static_cast<int>(opcode)) + " under a reservation: " +
                                    nvme::describe(given) + ", not " + nvme::describe(right));
        if (!may) co_return;
        if (opcode == IoOpcode::write) std::ranges::copy(data, here.begin());
        if (opcode == IoOpcode::write_zeroes || opcode == IoOpcode::dataset_management) {
            std::ranges::fill(here, std::byte{0});
        }
        if (opcode == IoOpcode::read) {
            expect(std::ranges::equal(data, here), "a block holds what a host wrote that might not");
        }
    }

    Task<void> report(size_t who) {
        std::vector<std::byte> right(64 + queues.size() * 64);
        std::vector<std::byte> given(right.size());
        state_.report(right);
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(IoOpcode::reservation_report);
        command.nsid = options_.nsid;
        command.cdw10 = static_cast<uint32_t>(given.size() / 4 - 1);
        command.cdw11 = 1;
        expect((co_await execute_io(*queues[who], command, given)).is_success(), "a report");
        // The generation goes on from what others did before.
        expect(std::equal(given.begin() + 4, given.end(), right.begin() + 4), "a report is another than the model's");
    }

    sim::Prng& prng_;
    const PlayOptions options_;
    nvmf::ReservationState state_;
    std::vector<std::byte> disk_;
};

}  // namespace

Task<void> play_reservations(sim::Prng& prng, std::vector<nvme_host::Controller*> hosts,
                             nvme_host::tcp::ConnectionGroup& group, PlayOptions options) {
    Play play(prng, options);
    for (nvme_host::Controller* host : hosts) {
        auto queue = co_await host->create_io_qpair(group);
        if (!expect(queue.has_value(), queue ? "" : queue.error().message)) co_return;
        play.queues.push_back(*queue);
        play.ids.emplace_back(host->options().hostid);
    }
    co_await play.clean();
    for (int step = 0; step < options.steps; ++step) co_await play.step();
    co_await play.clean();
}

}  // namespace weft::test
