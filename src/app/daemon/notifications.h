// What happened, for clients that ask: notify_get_types, notify_get_notifications. Lives on the app thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "bdev/registry.h"
#include "rpc/registry.h"

namespace weft::app {

class Notifications {
public:
    // Older ones are forgotten.
    static constexpr size_t kept_max = 1024;

    struct Event {
        uint64_t id = 0;  // counts up from 0, without gaps
        std::string_view type;
        std::string context;  // name of the bdev
    };

    void note(bdev::Change change, std::string context);
    // At most `count` of those kept, from number `first` on, oldest first.
    [[nodiscard]] std::vector<Event> since(uint64_t first, uint64_t count) const;

private:
    std::deque<Event> events_;
    uint64_t next_id_ = 0;
};

void add_notify_methods(rpc::Registry& registry, const Notifications& notifications);

}  // namespace weft::app
