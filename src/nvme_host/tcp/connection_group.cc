#include "nvme_host/tcp/connection_group.h"

#include <algorithm>

#include "base/assert.h"
#include "nvme_host/tcp/connection.h"
#include "reactor/reactor.h"

namespace weft::nvme_host::tcp {

Result<std::unique_ptr<ConnectionGroup>> ConnectionGroup::create(Thread& thread, std::string name) {
    auto buffer = env::map_memory(receive_buffer_bytes, {.name = name});
    if (!buffer) return std::unexpected(std::move(buffer).error());
    return std::unique_ptr<ConnectionGroup>(new ConnectionGroup(thread, std::move(name), std::move(*buffer)));
}

ConnectionGroup::ConnectionGroup(Thread& thread, std::string name, env::Mapping buffer)
    : Poller(thread, std::move(name), 0),
      thread_(thread),
      environment_(environment_of(thread)),
      buffer_(std::move(buffer)) {}

ConnectionGroup::~ConnectionGroup() { WEFT_ASSERT(connection_count_ == 0); }

uint32_t ConnectionGroup::poll() {
    is_polling_ = true;
    uint32_t work = 0;
    // By index: what is handed out may make others hot.
    for (size_t at = 0; at < hot_.size(); ++at) work += hot_[at]->service();
    // Commands submitted, by what was handed out, to connections that had their turn already.
    for (size_t at = 0; at < hot_.size(); ++at) hot_[at]->flush();
    std::erase_if(hot_, [](Connection* connection) { return connection->cool_down(); });
    is_polling_ = false;
    return work;
}

Sleep ConnectionGroup::prepare_sleep() {
    const bool has_work =
        std::ranges::any_of(hot_, [](const Connection* connection) { return connection->has_work(); });
    return has_work ? Sleep::no : Sleep::until_woken;
}

void ConnectionGroup::make_hot(Connection& connection) {
    if (connection.is_hot_) return;
    connection.is_hot_ = true;
    hot_.push_back(&connection);
}

void ConnectionGroup::detach(Connection& connection) {
    WEFT_ASSERT(!is_polling_);
    --connection_count_;
    if (connection.is_hot_) std::erase(hot_, &connection);
}

}  // namespace weft::nvme_host::tcp
