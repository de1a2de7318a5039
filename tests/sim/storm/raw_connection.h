// A connection over which any bytes are sent, and PDUs are taken as they come. By coroutines on its host's thread.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "env/environment.h"
#include "nvme/command.h"
#include "nvme/fabrics.h"
#include "nvme/status.h"
#include "nvme/wire/encode.h"
#include "nvme/wire/pdu.h"
#include "reactor/task.h"

namespace weft::sim {

struct RawPdu {
    nvme::wire::PduType type;
    std::vector<std::byte> bytes;
    template <class T>
    [[nodiscard]] T as() const {
        return load<T>(bytes);
    }
};

class RawConnection {
public:
    explicit RawConnection(std::unique_ptr<env::Stream> stream) : stream_(std::move(stream)) {}

    // TCP's answer and ICResp. False: it did not come about.
    Task<bool> establish(bool with_digests);
    // False: the connection has ended.
    Task<bool> send(Bytes bytes);
    // The next PDU within `time`, nothing when there is none or the connection has ended.
    Task<std::optional<RawPdu>> receive(env::TimeNs time = 20 * env::ns_per_s);
    // Waits for the target to end it; false when it does not within `time`.
    Task<bool> await_end(env::TimeNs time);
    [[nodiscard]] bool has_ended() const { return has_ended_; }

    // A command with in-capsule data; its completion, data that comes before it goes to `data_in`.
    Task<std::optional<nvme::Completion>> execute(nvme::Command command, Bytes data = {},
                                                  std::vector<std::byte>* data_in = nullptr);
    // A Connect as that host.
    Task<std::optional<nvme::Completion>> connect(uint16_t qid, uint16_t cntlid, std::string_view subnqn,
                                                  std::string_view hostnqn, uint8_t host_number, uint32_t kato_ms = 0);
    [[nodiscard]] std::vector<std::byte> capsule(nvme::Command command, Bytes data = {}) const;

    nvme::wire::Framing framing;
    uint16_t cntlid = 0;
    uint64_t target_run = 0;  // Storm::target_runs when it was made
    uint16_t next_cid = 1;

private:
    void pump();
    std::unique_ptr<env::Stream> stream_;
    std::vector<std::byte> received_;
    bool has_ended_ = false;
};

}  // namespace weft::sim
