#include "nvmf/secure/generated_psks.h"

#include <algorithm>
#include <utility>

namespace weft::nvmf {

uint64_t GeneratedPsks::add(nvme::tls::TlsPsk psk, env::TimeNs now) {
    // What the host used before and does not any more: it starts anew.
    std::erase_if(keys_, [&](const Key& key) {
        return key.is_of(psk.identity.subnqn, psk.identity.hostnqn) && key.users == 0 && key.was_used;
    });
    make_room(psk.identity);
    Key& key = keys_.emplace_back();
    key.number = ++last_number_;
    key.psk = std::move(psk);
    key.idle_since = now;
    return key.number;
}

// The oldest that nobody uses goes, or else the oldest.
void GeneratedPsks::make_room(const nvme::tls::PskIdentity& identity) {
    size_t count = 0;
    auto oldest = keys_.end();
    for (auto at = keys_.begin(); at != keys_.end(); ++at) {
        if (!at->is_of(identity.subnqn, identity.hostnqn)) continue;
        ++count;
        if (oldest == keys_.end() || (oldest->users > 0 && at->users == 0)) oldest = at;
    }
    if (count >= of_a_host_max) keys_.erase(oldest);
}

std::optional<GeneratedPsks::Found> GeneratedPsks::find(const nvme::tls::PskIdentity& identity, env::TimeNs now) const {
    // The digest in it is of the key.
    const auto found =
        std::ranges::find_if(keys_, [&](const Key& key) { return key.psk.identity == identity && !key.is_over(now); });
    if (found == keys_.end()) return std::nullopt;
    return Found{.number = found->number, .key = found->psk.key};
}

bool GeneratedPsks::acquire(uint64_t number, env::TimeNs now) {
    const auto found = std::ranges::find(keys_, number, &Key::number);
    if (found == keys_.end() || found->is_over(now)) return false;
    ++found->users;
    found->was_used = true;
    return true;
}

void GeneratedPsks::release(uint64_t number, env::TimeNs now) {
    const auto found = std::ranges::find(keys_, number, &Key::number);
    if (found == keys_.end()) return;
    WEFT_ASSERT(found->users > 0);
    --found->users;
    found->idle_since = now;
}

void GeneratedPsks::revoke(uint64_t number) {
    std::erase_if(keys_, [&](const Key& key) { return key.number == number; });
}

void GeneratedPsks::revoke_host(std::string_view subnqn, std::string_view hostnqn) {
    std::erase_if(keys_, [&](const Key& key) { return key.is_of(subnqn, hostnqn); });
}

void GeneratedPsks::revoke_subsystem(std::string_view subnqn) {
    std::erase_if(keys_, [&](const Key& key) { return key.psk.identity.subnqn == subnqn; });
}

env::TimeNs GeneratedPsks::expire(env::TimeNs now) {
    std::erase_if(keys_, [&](const Key& key) { return key.is_over(now); });
    env::TimeNs next = env::time_never;
    for (const Key& key : keys_) {
        if (key.users == 0) next = std::min(next, key.idle_since + idle_ns);
    }
    return next;
}

}  // namespace weft::nvmf
