// Any bytes as the file that keeps reservations over a restart: what another program, damage or an enemy may have left.
// What is taken is a state that can be, is written the same way again, and no command leads from it to one that cannot.
#include <string>

#include "base/assert.h"
#include "nvmf/reservation/file_format.h"

namespace weft::nvmf {

namespace {

const Uuid device = *Uuid::parse("11111111-2222-3333-4444-555555555555");

void check_file(std::string_view text) {
    const auto record = read_reservation(text, device);
    if (!record) {
        WEFT_ASSERT(!record.error().message.empty());
        return;
    }
    WEFT_ASSERT(record->find_fault() == nullptr);
    if (!record->is_persistent) return;
    const auto again = read_reservation(write_reservation(*record, device), device);
    WEFT_ASSERT(again && *again == *record);
}

// Eight bytes a command: who, what, and the keys.
void check_commands(std::string_view script) {
    ReservationState state;
    for (; script.size() >= 8; script.remove_prefix(8)) {
        const auto byte = [&script](size_t at) { return static_cast<uint8_t>(script[at]); };
        const Uuid host({byte(0)});
        const ReservationCommand command{.opcode = nvme::IoOpcode(byte(1)),
                                         .cdw10 = uint32_t{byte(2)} | uint32_t{byte(3)} << 8 | uint32_t{byte(4)} << 24,
                                         .current_key = byte(5),
                                         .other_key = byte(6)};
        const ReservationRecord before = state.record();
        const auto outcome = state.execute(host, command, byte(7) % 2 == 0);
        WEFT_ASSERT(state.record().find_fault() == nullptr);
        WEFT_ASSERT(outcome.status.is_success() || state.record() == before);
    }
}

}  // namespace

}  // namespace weft::nvmf

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the fuzzer's signature
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 0) {
        weft::nvmf::check_commands(rest);
    } else {
        weft::nvmf::check_file(rest);
    }
    return 0;
}
