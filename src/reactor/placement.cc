#include "reactor/placement.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "reactor/runtime.h"

namespace weft {

namespace {

constexpr env::TimeNs look_again_after = env::ns_per_ms / 4;

bool is_bound(const Thread& thread) {
    return std::ranges::any_of(thread.channels(),
                               [](const auto& channel) { return channel.second->is_bound_to_reactor(); });
}

std::unexpected<Error> no_such_thread(uint64_t id) {
    return fail(Errc::not_found, fmt::format("no thread that can be moved has id {}; thread_get_stats lists them", id));
}

}  // namespace

// The thread, which stays where it is while moving_ is held; nullptr when there is none that can be moved.
Task<Thread*> Placement::find(uint64_t thread_id) {
    Thread* found = nullptr;
    for (const auto& reactor : runtime_.data_reactors()) {
        co_await resume_on(reactor->first_thread());
        for (const auto& thread : reactor->threads()) {
            if (thread->id() == thread_id && thread.get() != &reactor->first_thread()) found = thread.get();
        }
    }
    co_await resume_on(runtime_.app_thread());
    co_return found;
}

Task<std::vector<Placement::Place>> Placement::look() {
    const auto guard = co_await hold();
    const auto& reactors = runtime_.data_reactors();
    const auto index_of = [&reactors](const Reactor* reactor) {
        return static_cast<size_t>(std::ranges::find(reactors, reactor, &std::unique_ptr<Reactor>::get) -
                                   reactors.begin());
    };
    std::vector<Place> places;
    for (const auto& reactor : reactors) {
        co_await resume_on(reactor->first_thread());
        for (const auto& thread : reactor->threads()) {
            if (thread.get() == &reactor->first_thread()) continue;
            places.push_back({.thread_id = thread->id(),
                              .name = thread->name(),
                              .reactor = index_of(reactor.get()),
                              .home = index_of(thread->home_),
                              .cpus = thread->cpus(),
                              .stats = thread->stats()});
        }
    }
    co_await resume_on(runtime_.app_thread());
    co_return places;
}

Task<Result<void>> Placement::set_cpus(uint64_t thread_id, CpuSet cpus) {
    const auto guard = co_await hold();
    Thread* thread = co_await find(thread_id);
    if (thread == nullptr) co_return no_such_thread(thread_id);
    Reactor& from = thread->reactor();
    Reactor* best = nullptr;
    size_t best_threads = 0;
    for (const auto& reactor : runtime_.data_reactors()) {
        if (!cpus.contains(static_cast<size_t>(reactor->cpu()))) continue;
        co_await resume_on(reactor->first_thread());
        // Where it is, if it may.
        const size_t threads = reactor.get() == &from ? 0 : reactor->threads().size();
        if (best != nullptr && threads >= best_threads) continue;
        best = reactor.get();
        best_threads = threads;
    }
    co_await resume_on(runtime_.app_thread());
    if (best == nullptr) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("cpumask: no reactor runs on a CPU of mask {}; framework_get_reactors lists them",
                                   cpus.to_mask()));
    }
    WEFT_CO_TRY(co_await move_now(*thread, *best));
    co_await resume_on(*thread);
    thread->cpus_ = cpus;
    thread->home_ = best;
    co_await resume_on(runtime_.app_thread());
    co_return Result<void>{};
}

Task<Result<void>> Placement::move(uint64_t thread_id, size_t to) {
    const auto guard = co_await hold();
    Thread* thread = co_await find(thread_id);
    if (thread == nullptr) co_return no_such_thread(thread_id);
    co_return co_await move_now(*thread, *runtime_.data_reactors().at(to));
}

Task<Result<void>> Placement::move_now(Thread& thread, Reactor& to) {
    Reactor& from = thread.reactor();
    if (&from == &to) co_return Result<void>{};
    Thread& home = runtime_.app_thread();

    // A file queue belongs to the OS thread that made it.
    co_await resume_on(thread);
    if (from.files() != nullptr) {
        co_await resume_on(to.first_thread());
        const auto made = to.file_queue();
        if (!made) {
            co_await resume_on(home);
            co_return std::unexpected(made.error());
        }
        co_await resume_on(thread);
    }
    thread.is_leaving_ = true;
    const env::TimeNs deadline = from.now() + drain_time_max;
    while (is_bound(thread) && from.now() < deadline) co_await sleep_for(look_again_after);
    if (is_bound(thread)) {
        thread.is_leaving_ = false;
        co_await resume_on(home);
        co_return fail(Errc::busy, fmt::format("thread {} waits for a file for longer than a second", thread.name()));
    }
    co_await resume_on(from.first_thread());
    WEFT_ASSERT(!is_bound(thread));
    std::unique_ptr<Thread> owned = from.detach_thread(thread);
    co_await resume_on(to.first_thread());
    to.adopt_thread(std::move(owned));
    co_await resume_on(thread);
    thread.is_leaving_ = false;
    co_await resume_on(home);
    co_return Result<void>{};
}

}  // namespace weft
