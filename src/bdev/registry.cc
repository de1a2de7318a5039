#include "bdev/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/assert.h"
#include "base/log.h"

namespace weft::bdev {

namespace {

log::Flag log_bdev{"bdev"};

// A name as somebody gives it: looked for among thousands of devices, so its UUID is read once.
struct GivenName {
    explicit GivenName(std::string_view text) : name(text), uuid(Uuid::parse(text)) {}
    std::string_view name;
    std::optional<Uuid> uuid;
};

bool answers_to(const Device& device, const GivenName& given) {
    return device.name() == given.name || std::ranges::find(device.aliases(), given.name) != device.aliases().end() ||
           (given.uuid && *given.uuid == device.uuid());
}

}  // namespace

// They end up in logs, answers and files.
Result<void> check_name(std::string_view name) {
    if (name.size() > name_bytes_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("name: {} bytes, at most {} are allowed", name.size(), name_bytes_max));
    }
    const bool is_printable =
        std::ranges::none_of(name, [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; });
    if (!is_printable) return fail(Errc::invalid_argument, "name: holds a control character");
    return {};
}

void register_log_flags() { log::register_flag(log_bdev); }

Descriptor::Descriptor(Device& device, std::function<void(Event)> on_event)
    : device_(device), on_event_(std::move(on_event)) {
    device_.descriptors_.push_back(this);
}

Descriptor::~Descriptor() {
    WEFT_ASSERT(device_.home_ == nullptr || device_.home_->is_current());
    if (claims_ && --device_.claim_count_ == 0) {
        device_.claimed_by_.clear();
        device_.claim_type_ = ClaimType::none;
    }
    std::erase(device_.descriptors_, this);
}

Result<void> Descriptor::claim(std::string holder, ClaimType type, uint64_t key) {
    WEFT_ASSERT(!holder.empty() && type != ClaimType::none);
    const bool is_shareable = type == ClaimType::read_many_write_none || type == ClaimType::read_many_write_shared;
    const bool fits = is_shareable && !claims_ && device_.claim_type_ == type && device_.claim_key_ == key;
    if (device_.claim_count_ > 0 && !fits) {
        return fail(Errc::busy, fmt::format("bdev {} is claimed by {}", device_.name(), device_.claimed_by_));
    }
    if (++device_.claim_count_ == 1) {
        device_.claimed_by_ = std::move(holder);
        device_.claim_type_ = type;
        device_.claim_key_ = key;
    }
    claims_ = true;
    return {};
}

Registry::~Registry() { WEFT_ASSERT(events_on_their_way_ == 0 && examining_ == 0); }

bool Registry::is_taken(std::string_view name) const {
    const GivenName given(name);
    return std::ranges::any_of(devices_, [&given](const auto& device) { return answers_to(*device, given); });
}

Result<Device*> Registry::add(std::unique_ptr<Device> device) {
    if (refuses_more_) return fail(Errc::cancelled, "the target is being stopped");
    WEFT_TRY(check_name(device->name()));
    for (const std::string& alias : device->aliases()) WEFT_TRY(check_name(alias));
    std::vector<std::string> names{device->name(), device->uuid().to_string()};
    names.insert(names.end(), device->aliases().begin(), device->aliases().end());
    for (const std::string& name : names) {
        if (!is_taken(name)) continue;
        return fail(Errc::already_exists, fmt::format("bdev {} already exists", log::quoted(name)));
    }
    WEFT_INFOLOG(log_bdev, "bdev \"{}\": {}, {} blocks of {} bytes", log::quoted(device->name()),
                 device->product_name(), device->block_count(), device->block_bytes());
    devices_.push_back(std::move(device));
    if (on_change) on_change(Change::registered, *devices_.back());
    note_change(names.front());
    added_.wake_all();
    if (!examiners_.empty()) spawn(examine_new(names.front()));
    return devices_.back().get();
}

Device* Registry::find(std::string_view name) const {
    const GivenName given(name);
    const auto found = std::ranges::find_if(
        devices_, [&given](const auto& device) { return !device->removing_ && answers_to(*device, given); });
    return found == devices_.end() ? nullptr : found->get();
}

std::vector<Device*> Registry::all() const {
    std::vector<Device*> present;
    for (const auto& device : devices_) {
        if (!device->removing_) present.push_back(device.get());
    }
    return present;
}

Result<std::unique_ptr<Descriptor>> Registry::open(std::string_view name, std::function<void(Event)> on_event) {
    Device* device = find(name);
    if (device == nullptr) return fail(Errc::no_such_device, "No such device");
    return std::unique_ptr<Descriptor>(new Descriptor(*device, std::move(on_event)));
}

// From the loop, so that nobody is called back from inside a call of his own; the device may be gone by then.
Task<void> Registry::tell(Device* device, Event event) {
    ++events_on_their_way_;
    co_await yield();
    --events_on_their_way_;
    const auto is_here = [this, device] {
        return std::ranges::any_of(devices_, [device](const auto& owned) { return owned.get() == device; });
    };
    if (!is_here()) co_return;
    for (Descriptor* descriptor : std::vector(device->descriptors_)) {
        // Being told, a holder may close his descriptors, or open others.
        if (!is_here()) co_return;
        if (std::ranges::find(device->descriptors_, descriptor) == device->descriptors_.end()) continue;
        const std::function<void(Event)> on_event = descriptor->on_event_;  // it may destroy the descriptor
        if (on_event) on_event(event);
    }
}

// From the loop: who adds a device has it in hand first.
Task<void> Registry::examine_new(std::string name) {
    begin_examining();
    co_await yield();
    for (Examiner* examiner : examiners_) {
        Device* device = find(name);
        if (device != nullptr && !refuses_more_) examiner->examine_config(*device);
    }
    const bool is_named = std::ranges::find(to_examine_, name) != to_examine_.end();
    if (is_auto_examine_ || is_named) co_await examine_disk(name);
    end_examining();
}

// Who finds something claims the device, and it is nobody else's then.
Task<void> Registry::examine_disk(std::string name) {
    for (Examiner* examiner : examiners_) {
        const Device* device = find(name);
        if (device == nullptr || refuses_more_ || !device->claimed_by().empty()) co_return;
        co_await examiner->examine_disk(name);
    }
}

Task<void> Registry::examine(std::string name) {
    const Device* device = find(name);
    const std::string own_name = device != nullptr ? device->name() : name;
    if (std::ranges::find(to_examine_, own_name) == to_examine_.end()) to_examine_.push_back(own_name);
    if (device == nullptr) co_return;
    begin_examining();
    co_await examine_disk(own_name);
    end_examining();
}

// What is found is added, and examined in its turn, before its finder's examination ends.
Task<void> Registry::wait_for_examine() {
    while (examining_ > 0) co_await examined_.wait();
}

// The timer wakes all who wait: those whose time has not come wait again.
Task<void> Registry::wait_for_news(env::TimeNs deadline) {
    Timer timer(Thread::current(), [](void* list) { static_cast<WaitList*>(list)->wake_all(); }, &added_);
    timer.start_at(deadline);
    co_await added_.wait();
}

void Registry::notify_resized(Device& device) {
    if (on_change) on_change(Change::resized, device);
    note_change(device.name());
    spawn(tell(&device, Event::resized));
}

Task<Result<void>> Registry::remove(std::string name) {
    Device* device = find(name);
    if (device == nullptr) co_return fail(Errc::no_such_device, "No such device");
    device->removing_ = true;
    WEFT_INFOLOG(log_bdev, "bdev \"{}\" is being removed", log::quoted(device->name()));
    co_await tell(device, Event::removed);
    while (!device->descriptors_.empty() || !device->channel_threads().empty()) {
        co_await sleep_for(look_again_after);
    }
    co_await yield();  // the last figures of its channels arrive
    co_await device->close();
    const std::string own_name = device->name();  // `name` may be an alias
    WEFT_INFOLOG(log_bdev, "bdev \"{}\" is gone", log::quoted(own_name));
    if (on_change) on_change(Change::unregistered, *device);
    std::erase_if(devices_, [device](const auto& owned) { return owned.get() == device; });
    for (Examiner* examiner : examiners_) examiner->device_gone(own_name);
    note_change(own_name);
    co_return Result<void>{};
}

// The latest first: what stands on another is gone before that. Looks anew after each: others remove and add
// meanwhile.
Task<void> Registry::remove_all() {
    while (!devices_.empty()) {
        const std::vector<Device*> present = all();
        if (present.empty()) {
            co_await sleep_for(look_again_after);
        } else {
            static_cast<void>(co_await remove(present.back()->name()));
        }
    }
    for (Examiner* examiner : examiners_) examiner->forget_all();
}

}  // namespace weft::bdev
