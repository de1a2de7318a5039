#include "app/daemon/tracing.h"

#include <fmt/format.h>

#include "base/log.h"

namespace weft::app {

Tracing::Tracing(Runtime& runtime, uint32_t entries) : runtime_(runtime), entries_(entries) {
    if (entries == 0) return;
    // As the field's tools look for it.
    name_ = fmt::format("weftd_trace.pid{}", runtime.environment().process_id());
    path_ = env::shared_memory_path(name_);
}

Tracing::~Tracing() = default;

Task<Result<void>> Tracing::switch_on(trace::Selection selection) {
    if (entries_ == 0) co_return fail(Errc::not_supported, "there is no memory for tracing: --num-trace-entries is 0");
    while (is_being_made_) co_await made_.wait();
    if (memory_ == nullptr) {
        is_being_made_ = true;
        Result<void> done = co_await make_memory();
        is_being_made_ = false;
        made_.wake_all();
        if (!done) co_return done;
    }
    for (const trace::GroupInfo& info : trace::groups) {
        const uint64_t wanted = selection.masks[static_cast<size_t>(info.group)];
        trace::set_mask(info.group, trace::mask_of(info.group) | wanted);
    }
    co_return Result<void>{};
}

Task<Result<void>> Tracing::make_memory() {
    env::Environment& environment = runtime_.environment();
    std::vector<trace::Track*> tracks;
    for (Reactor* reactor : runtime_.reactors()) tracks.push_back(&reactor->track());
    const uint64_t bytes = trace::file_bytes(entries_, static_cast<uint32_t>(tracks.size()));
    auto made = co_await offload([&environment, bytes, this] { return environment.make_shared_memory(name_, bytes); });
    if (!made) co_return std::unexpected(std::move(made).error());
    shared_ = std::move(*made);
    const trace::MemoryOptions options = {.ring_entries = entries_,
                                          .process_id = static_cast<uint32_t>(environment.process_id()),
                                          .now_ns = environment.clock().now(),
                                          .wall_ns = environment.clock().wall()};
    memory_ = std::make_unique<trace::Memory>(shared_->bytes(), options, tracks);
    WEFT_NOTICELOG("tracing to {}, {} KiB; `weft trace` reads it", path_, bytes / 1024);
    co_return Result<void>{};
}

void Tracing::switch_off(trace::Group group, uint64_t mask) { trace::set_mask(group, trace::mask_of(group) & ~mask); }

void Tracing::clear() {
    if (memory_ != nullptr) memory_->clear(runtime_.environment().clock().now());
}

}  // namespace weft::app
