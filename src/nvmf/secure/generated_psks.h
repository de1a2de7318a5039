// The keys for TLS that hosts made by authenticating (secure channel concatenation, NVMe Base 2.0, 8.13.5.9). In memory
// only. Lives on the app thread.
//
// A key is good for as long as a controller lives whose admin queue came through it, so that its I/O queues may come
// at any time, and for `idle_ns` without one: before its first use, and after the last. Then it is wiped. It also goes
// when the host makes another one (those of its that no controller uses any more), when the host or its keys change,
// and when it is replaced.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "env/clock.h"
#include "nvme/tls/psk.h"

namespace weft::nvmf {

class GeneratedPsks {
public:
    static constexpr env::TimeNs idle_ns = 120 * env::ns_per_s;
    // A host that only makes keys pushes out its own.
    static constexpr size_t of_a_host_max = 256;

    // Returns its number.
    uint64_t add(nvme::tls::TlsPsk psk, env::TimeNs now);
    struct Found {
        uint64_t number = 0;
        nvme::tls::Psk key;
    };
    [[nodiscard]] std::optional<Found> find(const nvme::tls::PskIdentity& identity, env::TimeNs now) const;
    // A controller came through it. False: it is gone.
    [[nodiscard]] bool acquire(uint64_t number, env::TimeNs now);
    // That controller is gone; so may be the key.
    void release(uint64_t number, env::TimeNs now);

    void revoke(uint64_t number);
    void revoke_host(std::string_view subnqn, std::string_view hostnqn);
    void revoke_subsystem(std::string_view subnqn);
    void revoke_all() { keys_.clear(); }
    // Wipes those whose time is over. When there is the next to wipe; time_never: none will be by itself.
    env::TimeNs expire(env::TimeNs now);
    [[nodiscard]] size_t size() const { return keys_.size(); }

private:
    struct Key {
        uint64_t number = 0;
        nvme::tls::TlsPsk psk;
        uint32_t users = 0;
        bool was_used = false;
        env::TimeNs idle_since = 0;  // without users

        [[nodiscard]] bool is_over(env::TimeNs now) const { return users == 0 && now >= idle_since + idle_ns; }
        [[nodiscard]] bool is_of(std::string_view subnqn, std::string_view hostnqn) const {
            return psk.identity.subnqn == subnqn && psk.identity.hostnqn == hostnqn;
        }
    };
    void make_room(const nvme::tls::PskIdentity& identity);

    std::list<Key> keys_;  // oldest first
    uint64_t last_number_ = 0;
};

}  // namespace weft::nvmf
