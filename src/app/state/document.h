// The configuration as data: the entries of save_config, each under the name of what it makes.
//
// A restart needs what the target is, not how it became so: a journal of calls could not be run again when a file that
// was used for an hour is gone. So changes are kept as entries that came and went, and read back without calling
// anything; what is left in the end is applied as a configuration file is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rpc/config.h"
#include "rpc/config_key.h"
#include "rpc/json_fwd.h"

namespace weft::state {

// What the entry {method, params} makes. Errors: invalid_argument: no method of save_config, or what names the thing
// is missing. Names are brought into their usual form (the discovery subsystem's, addresses).
Result<rpc::ConfigKey> key_of(const Json& entry);
// A place in the order in which entries can be applied: what others depend on first. Errors: none of ours.
Result<size_t> rank_of(const rpc::ConfigKey& key);
// For people: "namespace 5 of nqn.2016-06.io.spdk:cnode1".
std::string describe(const rpc::ConfigKey& key);
// The part of save_config that the kind belongs to: "bdev", "nvmf".
std::string_view section_of(const rpc::ConfigKey& key);

class Document {
public:
    // Both return whether that changed anything. The entry's key must be `key`.
    bool put(const rpc::ConfigKey& key, const Json& entry);
    bool erase(const rpc::ConfigKey& key);
    void clear() { entries_.clear(); }

    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] size_t size() const { return entries_.size(); }
    // One line; nullptr when there is none.
    [[nodiscard]] const std::string* find(const rpc::ConfigKey& key) const;
    // Null when there is none.
    [[nodiscard]] Json entry(const rpc::ConfigKey& key) const;
    // In the order in which they can be applied.
    [[nodiscard]] std::vector<rpc::ConfigKey> keys() const;
    [[nodiscard]] std::vector<rpc::ConfigCall> calls() const;

    // On one line, in the form of save_config.
    [[nodiscard]] std::string to_text() const;
    // The inverse. Errors: invalid_argument; then the document is as before.
    Result<void> read_text(std::string_view text);

private:
    struct Place {
        size_t rank = 0;
        uint64_t order = 0;  // bdevs and listeners are shown in the order they came
        auto operator<=>(const Place&) const = default;
    };
    struct Entry {
        Place place;
        std::string text;  // kept as text: it is compared and written far more often than read
    };
    [[nodiscard]] std::vector<const std::pair<const rpc::ConfigKey, Entry>*> sorted() const;

    std::map<rpc::ConfigKey, Entry> entries_;
    uint64_t next_order_ = 0;
};

// What one change did, as a payload of the journal:
//   {"changes": [{"put": {"method": …, "params": …}}, {"erase": ["nvmf_ns", "nqn.2016-06.io.spdk:cnode1", "5"]}]}
class Change {
public:
    void put(std::string_view entry_text);
    void erase(const rpc::ConfigKey& key);
    [[nodiscard]] bool empty() const { return items_.empty(); }
    [[nodiscard]] std::string to_text() const { return "{\"changes\":[" + items_ + "]}"; }

private:
    std::string items_;
};
// Errors: invalid_argument, and then nothing of it was done.
Result<void> apply_change(std::string_view text, Document& document);

}  // namespace weft::state
