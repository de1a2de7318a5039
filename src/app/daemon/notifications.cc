#include "app/daemon/notifications.h"

#include <algorithm>
#include <limits>

#include "rpc/json.h"

namespace weft::app {

namespace {

constexpr std::string_view types[] = {"bdev_register", "bdev_unregister", "bdev_resize"};

struct GetNotifications {
    uint64_t id = 0;
    uint64_t max = std::numeric_limits<uint64_t>::max();
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("id", &GetNotifications::id, "The first one wanted, by its number"),
                           rpc::optional("max", &GetNotifications::max, "How many at most"));
    }
};

}  // namespace

void Notifications::note(bdev::Change change, std::string context) {
    if (events_.size() == kept_max) events_.pop_front();
    events_.push_back({.id = next_id_++, .type = types[static_cast<size_t>(change)], .context = std::move(context)});
}

std::vector<Notifications::Event> Notifications::since(uint64_t first, uint64_t count) const {
    const auto begin = std::ranges::find_if(events_, [first](const Event& event) { return event.id >= first; });
    const auto there = static_cast<uint64_t>(events_.end() - begin);
    return {begin, begin + static_cast<std::ptrdiff_t>(std::min(there, count))};
}

void add_notify_methods(rpc::Registry& registry, const Notifications& notifications) {
    registry.add<rpc::NoParams>({.name = "notify_get_types",
                                 .role = rpc::Role::read,
                                 .text = "The kinds of notifications there are",
                                 .result = "[string]"},
                                [](rpc::NoParams) -> Task<Result<Json>> { co_return Json(types); });
    registry.add<GetNotifications>(
        {.name = "notify_get_notifications",
         .role = rpc::Role::read,
         .text = "What happened to bdevs: the last 1024 events, oldest first",
         .result = "[object]: type, ctx (name of the bdev), id"},
        [&notifications](GetNotifications params) -> Task<Result<Json>> {
            Json list = Json::array();
            for (const Notifications::Event& event : notifications.since(params.id, params.max)) {
                list.push_back({{"type", event.type}, {"ctx", event.context}, {"id", event.id}});
            }
            co_return list;
        });
}

}  // namespace weft::app
