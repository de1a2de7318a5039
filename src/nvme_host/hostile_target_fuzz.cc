// The initiator against a target that lies: a host connects and asks everything that there is to ask, while the input
// says which bytes of the answers' data, and which of the bytes sent, are changed.
//
// Every question ends with an answer or a reason, within bounds of time and memory, and the connection can be ended.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "nvme/fabrics.h"
#include "nvme_host/admin.h"
#include "nvme_host/test_world.h"

namespace weft::nvme_host {
namespace {

// The first byte says what the target is like; then come changes of eight bytes.
struct Change {
    uint8_t answer = 0;    // 6:0 which answer's data; bit 7: of the bytes that are sent, that many times later
    uint8_t how = 0;       // 0: one byte, 1: four bytes, 2: all 255, 3: all counting up
    le16 offset;
    le32 value;
};
static_assert(sizeof(Change) == 8);

class Liar {
public:
    Liar(Bytes input, bool of_output) {
        for (; input.size() >= sizeof(Change); input = input.subspan(sizeof(Change))) {
            const auto change = load<Change>(input);
            if (((change.answer & 0x80) != 0) == of_output) changes_.push_back(change);
        }
    }
    void operator()(MutableBytes data) {
        const size_t number = count_++ & 0x7F;
        for (const Change& change : changes_) {
            if ((change.answer & 0x7F) == number) apply(change, data);
        }
    }

private:
    static void apply(const Change& change, MutableBytes data) {
        const size_t at = change.offset.value();
        switch (change.how % 4) {
            case 0:
                if (at < data.size()) data[at] = static_cast<std::byte>(change.value.value());
                break;
            case 1:
                if (at + 4 <= data.size()) store(data.subspan(at), change.value);
                break;
            case 2: std::ranges::fill(data, std::byte{0xFF}); break;
            default: {
                uint32_t next = change.value;
                for (; data.size() >= 4; data = data.subspan(4)) store(data, le32(next++));
            }
        }
    }
    std::vector<Change> changes_;
    size_t count_ = 0;
};

template <class T>
void expect_reason(const Result<T>& result) {
    if (!result) WEFT_ASSERT(!result.error().message.empty());
}

Task<void> ask_everything(Controller& controller, tcp::ConnectionGroup& group) {
    expect_reason(co_await identify_controller(controller));
    const auto spaces = co_await active_namespaces(controller);
    expect_reason(spaces);
    if (spaces) WEFT_ASSERT(std::ranges::is_sorted(*spaces) && spaces->size() <= active_namespaces_max);
    const auto space = co_await identify_namespace(controller, 1);
    expect_reason(space);
    if (space) static_cast<void>(block_format(*space));
    expect_reason(co_await identify_namespace_ids(controller, 1));
    const auto log = co_await read_discovery_log(controller);
    expect_reason(log);
    if (log) WEFT_ASSERT(log->entries.size() <= discovery_entries_max);
    expect_reason(co_await controller.create_io_qpair(group));
}

nvme::auth::Key key() {
    Secret secret(32);
    std::ranges::fill(secret.mutable_bytes(), std::byte{1});
    return {0, std::move(secret)};
}

void run(Bytes input) {
    const auto kind = std::to_integer<unsigned>(input[0]);
    TestWorld world;
    FakeTarget& target = *world.target;
    target.discovery.resize(kind & 7U);
    target.success_flag = (kind & 8U) == 0;
    ControllerOptions options = world.options();
    if ((kind & 16U) != 0) options.subnqn = std::string(nvme::discovery_nqn);
    if ((kind & 16U) != 0) target.identity.cntrltype = nvme::ControllerType::discovery;
    if ((kind & 32U) != 0) {
        const bool makes_psk = (kind & 64U) != 0;
        const nvme::auth::Allowed allowed{.hashes = 0b0010, .groups = makes_psk ? 0b000010U : 0b000001U};
        target.connect_cdw0 |= nvme::connect_authreq_atr | (makes_psk ? nvme::connect_authreq_ascr : 0U);
        target.authentication.emplace(
            key(), nvme::auth::ControllerSide({.hostnqn = options.hostnqn, .subnqn = options.subnqn}, allowed,
                                              {.allows_new = makes_psk, .is_demanded = makes_psk}));
        options.dhchap.emplace();
        options.dhchap->host = key();
        options.dhchap->allowed = allowed;
        options.concatenate = makes_psk;
    }
    target.distort_data = Liar(input.subspan(1), false);
    target.distort_output = Liar(input.subspan(1), true);
    const auto error = world.with_controller(options, ask_everything);
    if (options.concatenate) WEFT_ASSERT(error);  // there is no TLS at the other end
    if (error) WEFT_ASSERT(!error->message.empty());
}

}  // namespace
}  // namespace weft::nvme_host

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    testing::GTEST_FLAG(break_on_failure) = true;  // what the world for tests expects: that everything ends
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    weft::log::set_sink([](weft::log::Level, std::string_view) {});
    if (size > 0 && size <= 1024) weft::nvme_host::run({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
