// Readiness in the simulated world, with epoll's rules.
//
// A level watch is reported for as long as it is ready. An edge watch is marked by news from its source and
// by add() and modify(); wait() takes the mark away and reports all that is ready then, or nothing if the
// reason has gone.
#pragma once

#include <memory>
#include <vector>

#include "env/network.h"
#include "env/sim/core.h"

namespace weft::sim {

class SimWaiter;

// What a SimWaiter can watch, by one at a time. It must not be watched any more when it is destroyed.
class Source {
public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() { WEFT_ASSERT(watch_ == nullptr); }

    // The Events that are ready now.
    virtual uint32_t poll() = 0;
    // News of one kind of events, or of any (0).
    void notify(uint32_t events);

private:
    friend class SimWaiter;
    struct Watch {
        SimWaiter* waiter = nullptr;
        Source* source = nullptr;
        env::WatchOptions options;
        void* context = nullptr;
        bool has_news = true;
        [[nodiscard]] uint32_t interest() const { return options.events | env::Events::hung_up; }
    };
    Watch* watch_ = nullptr;
};

class SimWaiter final : public env::Waiter {
public:
    explicit SimWaiter(Core& core) : core_(core), id_(core.add_waiter(*this)) {}
    ~SimWaiter() override;

    Result<void> add(env::Pollable& source, env::WatchOptions options, void* context) override;
    Result<void> modify(env::Pollable& source, env::WatchOptions options, void* context) override;
    void remove(env::Pollable& source) override;
    // Never waits: whoever runs the simulation moves the time. What is ready comes in an order of the seed.
    size_t wait(TimeNs deadline, std::span<env::Ready> ready) override;
    void wake() override { may_be_ready_ = true; }
    // Names it to Core::may_be_ready().
    [[nodiscard]] int descriptor() const override { return id_; }
    // Whether a wait would end at once; sometimes true when it would not.
    [[nodiscard]] bool may_be_ready() const { return may_be_ready_; }

private:
    friend class Source;
    Core& core_;
    const int id_;
    bool may_be_ready_ = true;  // something was said since wait() found nothing
    std::vector<std::unique_ptr<Source::Watch>> watches_;  // in the order they were added
    std::vector<std::pair<Source::Watch*, uint32_t>> found_;
};

}  // namespace weft::sim
