// A host that sends whatever bytes a test wants and looks at what comes back. For what a well-behaved initiator cannot
// do.
#pragma once

#include <optional>
#include <vector>

#include "nvme/command.h"
#include "nvme/status.h"
#include "nvme/wire/encode.h"
#include "nvme/wire/pdu.h"
#include "sim/rig.h"

namespace weft::test {

using ByteVector = std::vector<std::byte>;

// A PDU that the target sent.
struct SentPdu {
    nvme::wire::PduType type;
    ByteVector bytes;

    template <class T>
    [[nodiscard]] T as() const {
        return load<T>(bytes);
    }
};

class RawHost {
public:
    // On the first host machine of the rig.
    explicit RawHost(Rig& rig);
    ~RawHost();

    // Sends `bytes` and lets the world run until all is answered that will be.
    void send(Bytes bytes);
    // Takes the PDUs that have arrived.
    std::vector<SentPdu> take();
    // The target ended the connection.
    [[nodiscard]] bool is_closed() const { return is_closed_; }
    void close();

    // ICReq, and ICResp expected.
    void handshake(bool header_digest = false, bool data_digest = false);
    // Admin queue of `nqn`: Connect, CC.EN=1. Expects success.
    void connect_admin(std::string_view subnqn = Rig::nqn);
    // Connect with this command and data; the completion.
    std::optional<nvme::Completion> connect(uint16_t qid, uint16_t cntlid, std::string_view subnqn = Rig::nqn);

    // A command capsule with in-capsule `data`; the completion that came for it, if one did.
    std::optional<nvme::Completion> execute(nvme::Command command, Bytes data = {});
    [[nodiscard]] ByteVector capsule(nvme::Command command, Bytes data = {}) const;
    [[nodiscard]] uint16_t cntlid() const { return cntlid_; }

    nvme::wire::Framing framing;
    uint8_t host_number = 9;
    uint32_t kato = 120'000;  // of Connects of the admin queue, in ms

private:
    void pump();
    Rig& rig_;
    std::unique_ptr<env::Stream> stream_;
    ByteVector received_;
    bool is_closed_ = false;
    uint16_t cntlid_ = 0;
    uint16_t next_cid_ = 1;
};

}  // namespace weft::test
