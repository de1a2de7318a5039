#include "reactor/scheduler.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/log.h"
#include "reactor/runtime.h"

namespace weft {

namespace {

constexpr uint32_t whole = 100;

// Fills reactors one after another.
class Room {
public:
    Room(size_t reactors, size_t first, const LoadLimits& limits)
        : limits_(limits), taken_(reactors), order_(reactors) {
        std::iota(order_.begin(), order_.end(), size_t{0});
        std::ranges::rotate(order_, order_.begin() + static_cast<std::ptrdiff_t>(first));
    }

    size_t place(const ThreadLoad& thread) {
        const bool wants_all = thread.percent >= limits_.core_busy;
        const uint32_t load = wants_all ? whole : thread.percent;
        std::optional<size_t> best;
        for (const size_t at : order_) {
            if (!thread.may[at]) continue;
            // An empty one has room for anything.
            if (taken_[at] == 0 || taken_[at] + load <= limits_.core_limit) {
                best = at;
                break;
            }
            if (!best || taken_[at] < taken_[*best]) best = at;
        }
        size_t to = best.value_or(thread.reactor);
        const bool has_room = taken_[to] == 0 || taken_[to] + load <= limits_.core_limit;
        // No room anywhere: it stays unless it is better off elsewhere.
        if (!has_room && taken_[thread.reactor] <= taken_[to]) to = thread.reactor;
        // A reactor of its own is as good as another.
        if (taken_[to] == 0 && taken_[thread.reactor] == 0 && wants_all) to = thread.reactor;
        taken_[to] += load;
        return to;
    }

private:
    const LoadLimits& limits_;
    std::vector<uint32_t> taken_;
    std::vector<size_t> order_;
};

}  // namespace

std::vector<Move> gather(size_t reactors, size_t first, std::vector<ThreadLoad> threads, const LoadLimits& limits) {
    const auto is_light = [&limits](const ThreadLoad& thread) { return thread.percent < limits.load_limit; };
    std::ranges::sort(threads, [&is_light](const ThreadLoad& left, const ThreadLoad& right) {
        if (is_light(left) != is_light(right)) return is_light(right);
        // Who is light changes places with nobody for being a little less so.
        if (!is_light(left) && left.percent != right.percent) return left.percent > right.percent;
        return left.thread_id < right.thread_id;
    });
    Room room(reactors, first, limits);
    std::vector<Move> moves;
    for (const ThreadLoad& thread : threads) {
        const size_t to = room.place(thread);
        if (to != thread.reactor) moves.push_back({thread.thread_id, to});
    }
    return moves;
}

Scheduler::Scheduler(Runtime& runtime)
    : runtime_(runtime),
      timer_(runtime.app_thread(), [](void* self) { spawn(static_cast<Scheduler*>(self)->look()); }, this) {}

void Scheduler::set(Options options) {
    const bool ends = options_.is_dynamic && !options.is_dynamic;
    options_ = std::move(options);
    before_.clear();
    timer_.stop();
    if (options_.is_dynamic) timer_.start_after(options_.period);
    if (ends) spawn(go_home());
}

Task<void> Scheduler::stop() {
    timer_.stop();
    co_await looking_.close();
}

// How much of the time since the last look each thread worked; what was not there then is taken up next time.
std::vector<ThreadLoad> Scheduler::loads_of(const std::vector<Placement::Place>& places) {
    std::vector<ThreadLoad> loads;
    for (const Placement::Place& place : places) {
        const auto before = std::ranges::find(before_, place.thread_id, &Placement::Place::thread_id);
        if (before == before_.end() || is_isolated(place.reactor)) continue;
        const uint64_t busy = place.stats.busy_ns - before->stats.busy_ns;
        const uint64_t all = busy + place.stats.idle_ns - before->stats.idle_ns;
        ThreadLoad& load = loads.emplace_back();
        load.thread_id = place.thread_id;
        load.reactor = place.reactor;
        load.percent = all == 0 ? 0 : static_cast<uint32_t>(busy * whole / all);
        for (size_t at = 0; at < runtime_.data_reactors().size(); ++at) {
            const auto cpu = static_cast<size_t>(runtime_.data_reactors()[at]->cpu());
            load.may.push_back(place.cpus.contains(cpu) && !is_isolated(at));
        }
    }
    return loads;
}

Task<void> Scheduler::look() {
    if (!looking_.try_enter()) co_return;
    const auto places = co_await runtime_.placement().look();
    const auto moves = gather(runtime_.data_reactors().size(), options_.first, loads_of(places), options_.limits);
    before_ = places;
    for (const Move& move : moves) {
        if (!options_.is_dynamic || looking_.is_closing()) break;
        if (auto moved = co_await runtime_.placement().move(move.thread_id, move.to); !moved) {
            WEFT_NOTICELOG("scheduler: {}", moved.error().message);
            continue;
        }
        ++moves_;
    }
    if (options_.is_dynamic && !looking_.is_closing()) timer_.start_after(options_.period);
    looking_.leave();
}

Task<void> Scheduler::go_home() {
    if (!looking_.try_enter()) co_return;
    for (const Placement::Place& place : co_await runtime_.placement().look()) {
        if (options_.is_dynamic || looking_.is_closing()) break;
        if (auto moved = co_await runtime_.placement().move(place.thread_id, place.home); !moved) {
            WEFT_NOTICELOG("scheduler: {}", moved.error().message);
        }
    }
    looking_.leave();
}

}  // namespace weft
