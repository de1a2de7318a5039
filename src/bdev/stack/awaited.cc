#include "bdev/stack/awaited.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "base/log.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

bool holds(const std::vector<std::string>& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

Result<void> check(const Wish& wish) {
    if (wish.base.empty()) return fail(Errc::invalid_argument, "the name of the base bdev is empty");
    WEFT_TRY(check_name(wish.base));
    for (const std::string& name : wish.names) {
        if (name.empty()) return fail(Errc::invalid_argument, "name: it is empty");
        WEFT_TRY(check_name(name));
    }
    if (holds(wish.names, wish.base)) {
        return fail(Errc::invalid_argument, fmt::format("bdev {} cannot stand on itself", log::quoted(wish.base)));
    }
    return {};
}

}  // namespace

bool Awaited::is_promised(std::string_view name) const {
    return std::ranges::any_of(kept_, [name](const auto& kept) { return holds(kept->wish.names, name); });
}

Result<void> Awaited::ask(Wish wish) {
    WEFT_ASSERT(!wish.names.empty() && wish.config && wish.make);
    WEFT_TRY(check(wish));
    for (const std::string& name : wish.names) {
        if (!is_promised(name) && !registry_.is_taken(name)) continue;
        return fail(Errc::already_exists, fmt::format("bdev {} already exists", log::quoted(name)));
    }
    auto made = wish.make();
    if (!made && made.error().code != Errc::no_such_device) return std::unexpected(std::move(made).error());
    const std::string name = wish.names.front();
    if (!made) WEFT_NOTICELOG("bdev \"{}\" waits for bdev \"{}\"", log::quoted(name), log::quoted(wish.base));
    kept_.push_back(std::make_unique<Kept>(std::move(wish), made ? std::move(*made) : std::vector<std::string>{}));
    registry_.note_change(name);
    return {};
}

void Awaited::examine_config(Device& device) {
    for (const auto& kept : kept_) {
        if (!kept->made.empty() || registry_.find(kept->wish.base) != &device) continue;
        auto made = kept->wish.make();
        if (made) {
            kept->made = std::move(*made);
        } else {
            WEFT_WARNLOG("bdev \"{}\", which waits for bdev \"{}\", cannot be made: {}",
                         log::quoted(kept->wish.names.front()), log::quoted(kept->wish.base), made.error().message);
        }
    }
}

// What is there says so itself.
void Awaited::write_waiting(std::string_view name, Json& entries) const {
    for (const auto& kept : kept_) {
        const std::string& first = kept->wish.names.front();
        if ((name.empty() || name == first) && !holds(kept->made, first)) entries.push_back(kept->wish.config());
    }
}

// A base that goes takes along what stands on it, and will bring it back. Else it was this that was to go.
void Awaited::device_gone(const std::string& name) {
    std::erase_if(kept_, [&](const auto& kept) {
        if (std::erase(kept->made, name) == 0) return false;
        return kept->made.empty() && registry_.find(kept->wish.base) != nullptr;
    });
}

void Awaited::amend(Wish wish) {
    for (const auto& kept : kept_) {
        if (kept->wish.module != wish.module || kept->wish.names.front() != wish.names.front()) continue;
        kept->wish = std::move(wish);
        registry_.note_change(kept->wish.names.front());
        return;
    }
}

Result<std::vector<std::string>> Awaited::take_back(const std::string& module, std::string_view name) {
    const Device* device = registry_.find(name);
    const std::string first = device != nullptr ? device->name() : std::string(name);
    const auto found = std::ranges::find_if(
        kept_, [&](const auto& kept) { return kept->wish.module == module && kept->wish.names.front() == first; });
    if (found == kept_.end()) return fail(Errc::no_such_device, "No such device");
    std::vector<std::string> made = std::move((*found)->made);
    kept_.erase(found);
    registry_.note_change(first);
    return made;
}

Task<Result<void>> delete_wish(Awaited& awaited, std::string module, std::string name) {
    const auto made = awaited.take_back(module, name);
    if (!made) co_return std::unexpected(made.error());
    // With its base it may go by itself meanwhile.
    for (const std::string& device : *made) static_cast<void>(co_await awaited.registry().remove(device));
    co_return Result<void>{};
}

rpc::Response answer_to(Result<void> asked, Json answer, int invalid) {
    if (asked) return answer;
    if (asked.error().code == Errc::busy) return rpc::fail_code(-EPERM, std::move(asked.error().message));
    return std::unexpected(rpc::error_of(std::move(asked).error(), {.invalid_argument = invalid}));
}

}  // namespace weft::bdev
