// All block devices of the process, by name, alias and UUID. Lives on the app thread, like descriptors.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/result.h"
#include "bdev/device.h"
#include "reactor/task.h"

namespace weft::bdev {

enum class Event : uint8_t {
    removed,  // close the descriptor, after closing the channels: the device waits for it
    resized,
};

inline constexpr size_t name_bytes_max = 255;
// Errors: invalid_argument for a name from outside that is longer, or not printable.
Result<void> check_name(std::string_view name);

// What happens to the list of devices.
enum class Change : uint8_t { registered, unregistered, resized };
// Puts the room's log flag, "bdev", in the list.
void register_log_flags();

class Registry;

// One opening of a device. Closed by the destructor, on the app thread, when its holder's channels are gone.
class Descriptor {
public:
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor();

    [[nodiscard]] Device& device() const { return device_; }
    // Keeps others from claiming the device otherwise than `type` lets them, until this is closed; `key` is for
    // read_many_write_shared. Errors: busy, naming the holder.
    Result<void> claim(std::string holder, ClaimType type = ClaimType::exclusive_write, uint64_t key = 0);

private:
    friend class Registry;
    Descriptor(Device& device, std::function<void(Event)> on_event);
    Device& device_;
    std::function<void(Event)> on_event_;
    bool claims_ = false;
};

// A module that makes devices of what it finds on others: by a configuration that waits for them, or by what is written
// on them. App thread; outlives the registry's devices.
class Examiner {
public:
    virtual ~Examiner() = default;
    // A device has come. May claim it, and add devices that stand on it.
    virtual void examine_config(Device& /*device*/) {}
    // Nobody has claimed the device by its configuration. Looks it up by name after each wait: it may be gone.
    virtual Task<void> examine_disk(std::string /*name*/) { co_return; }
    // What was configured and is not there, as save_config has it: all of it, or what makes the device of that name.
    virtual void write_waiting(std::string_view /*name*/, Json& /*entries*/) const {}
    // The device of that name has gone.
    virtual void device_gone(const std::string& /*name*/) {}
    // All devices were removed: nothing is waited for any more.
    virtual void forget_all() {}
};

class Registry {
public:
    Registry() = default;
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    ~Registry();

    // Errors: already_exists when the name, an alias or the UUID is taken; invalid_argument for a name or alias that is
    // longer than name_bytes_max or not printable; cancelled after refuse_more().
    Result<Device*> add(std::unique_ptr<Device> device);
    // The name, alias or UUID belongs to a device, be it one that is being removed.
    [[nodiscard]] bool is_taken(std::string_view name) const;
    // By name, alias or UUID; nullptr when there is none (or it is being removed).
    [[nodiscard]] Device* find(std::string_view name) const;
    [[nodiscard]] std::vector<Device*> all() const;  // in the order of creation

    // `on_event` is called on the app thread, from the loop. Errors: no_such_device.
    Result<std::unique_ptr<Descriptor>> open(std::string_view name, std::function<void(Event)> on_event);

    // Tells every descriptor, waits until all are closed and all channels gone, then destroys the device.
    // Errors: no_such_device.
    Task<Result<void>> remove(std::string name);
    // The program ends: nothing is added from now on, and nobody shall wait for a device to appear.
    void refuse_more() {
        refuses_more_ = true;
        added_.wake_all();
    }
    [[nodiscard]] bool refuses_more() const { return refuses_more_; }

    // Asked, in this order, about each device that is added from now on.
    void add_examiner(Examiner& examiner) { examiners_.push_back(&examiner); }
    [[nodiscard]] const std::vector<Examiner*>& examiners() const { return examiners_; }
    // Whether devices are examined that nobody named to examine(). Their configuration is looked for in any case.
    void set_auto_examine(bool is_on) { is_auto_examine_ = is_on; }
    // Examines the device of that name on disk as soon as there is one, even if it is not automatic; ends when the
    // present one was.
    Task<void> examine(std::string name);
    // Ends when all devices that are there were examined, and those that were found by that.
    Task<void> wait_for_examine();
    // An examiner has begun what goes on after it returned, and is to be waited for; each with its end.
    void begin_examining() { ++examining_; }
    void end_examining() {
        if (--examining_ == 0) examined_.wake_all();
    }

    // Where the control path does its I/O (control_io.h): a thread of a data reactor, for as long as there are devices.
    void set_io_thread(Thread& thread) { io_thread_ = &thread; }
    [[nodiscard]] Thread& io_thread() const {
        WEFT_ASSERT(io_thread_ != nullptr);
        return *io_thread_;
    }
    // Waits until a device is added, refuse_more() is called, or `deadline` comes.
    Task<void> wait_for_news(env::TimeNs deadline);
    // Removes every device, and waits for those that others are removing. Who holds a descriptor is waited for.
    Task<void> remove_all();
    // Tells the descriptors that block_count() changed.
    void notify_resized(Device& device);
    // Called on the app thread after a device was added or resized, and before it goes. Must not change the list.
    std::function<void(Change, const Device&)> on_change;
    // Told the name of each device that came, changed in what save_config says of it, or has gone, at once; may be
    // empty.
    std::function<void(const std::string& name)> on_config_change;
    void note_change(const std::string& name) const {
        if (on_config_change) on_config_change(name);
    }

private:
    static constexpr env::TimeNs look_again_after = env::ns_per_ms;  // for what is in the way of a removal
    Task<void> tell(Device* device, Event event);
    Task<void> examine_new(std::string name);
    Task<void> examine_disk(std::string name);

    std::vector<std::unique_ptr<Device>> devices_;
    uint32_t events_on_their_way_ = 0;
    bool refuses_more_ = false;
    WaitList added_;
    std::vector<Examiner*> examiners_;
    std::vector<std::string> to_examine_;  // by name, though it is not automatic
    bool is_auto_examine_ = true;
    uint32_t examining_ = 0;
    WaitList examined_;
    Thread* io_thread_ = nullptr;
};

}  // namespace weft::bdev
