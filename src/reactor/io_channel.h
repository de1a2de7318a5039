// A device's per-thread context. IoDevice::channel() gives the current thread's, made at first use and
// counted; the last reference to go destroys it, later, from the thread's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "reactor/message.h"

namespace weft {

class IoDevice;
class Thread;

// Owned by its thread; used only there.
class IoChannel {
public:
    IoChannel();
    IoChannel(const IoChannel&) = delete;
    IoChannel& operator=(const IoChannel&) = delete;
    virtual ~IoChannel();

    [[nodiscard]] IoDevice& device() const { return *device_; }
    [[nodiscard]] Thread& thread() const { return *thread_; }
    [[nodiscard]] uint32_t references() const { return references_; }
    // False for one that was given up while it was made: it has no device and no thread.
    [[nodiscard]] bool is_attached() const { return device_ != nullptr; }
    // It has begun what only this reactor can finish. While the thread is leaving a channel begins nothing of that kind
    // and keeps it for the reactor that comes.
    [[nodiscard]] virtual bool is_bound_to_reactor() const { return false; }

private:
    friend class IoDevice;
    template <class>
    friend class ChannelRef;
    void add_reference() { ++references_; }
    void drop_reference();

    struct Removal : Message {
        IoChannel* channel = nullptr;
    };
    IoDevice* device_ = nullptr;
    Thread* thread_ = nullptr;
    uint32_t references_ = 0;
    bool removal_posted_ = false;
    Removal removal_;
};

// A counted reference to a channel of type C, of the thread it was got on; must be dropped there.
template <class C>
class ChannelRef {
public:
    ChannelRef() = default;
    explicit ChannelRef(C& channel) : channel_(&channel) { channel_->add_reference(); }
    ChannelRef(ChannelRef&& other) noexcept : channel_(std::exchange(other.channel_, nullptr)) {}
    ChannelRef& operator=(ChannelRef&& other) noexcept {
        if (this != &other) {
            reset();
            channel_ = std::exchange(other.channel_, nullptr);
        }
        return *this;
    }
    ChannelRef(const ChannelRef&) = delete;
    ChannelRef& operator=(const ChannelRef&) = delete;
    ~ChannelRef() { reset(); }

    void reset() {
        if (C* channel = std::exchange(channel_, nullptr)) channel->drop_reference();
    }
    [[nodiscard]] C* get() const { return channel_; }
    C* operator->() const { return channel_; }
    C& operator*() const { return *channel_; }
    explicit operator bool() const { return channel_ != nullptr; }

private:
    C* channel_ = nullptr;
};

// Something with a context on every thread that uses it: a bdev, the target. Outlives its channels (asserted).
class IoDevice {
public:
    explicit IoDevice(std::string name) : device_name_(std::move(name)) {}
    IoDevice(const IoDevice&) = delete;
    IoDevice& operator=(const IoDevice&) = delete;
    virtual ~IoDevice();

    [[nodiscard]] const std::string& device_name() const { return device_name_; }
    // The threads that hold a channel now. Any thread; see for_each_channel in reactor/task.h.
    [[nodiscard]] std::vector<Thread*> channel_threads() const;

protected:
    // The current thread's channel, counted up by the caller through ChannelRef. Errors: those of make_channel.
    Result<IoChannel*> get_channel();
    virtual Result<std::unique_ptr<IoChannel>> make_channel() = 0;

private:
    friend class IoChannel;
    void channel_gone(Thread& thread);
    std::string device_name_;
    mutable std::mutex mutex_;  // channels come and go on many threads; never taken per I/O
    std::vector<Thread*> threads_;
};

// Orders devices by name, then by address: listings and walks are the same in every run of a seed.
struct IoDeviceOrder {
    bool operator()(const IoDevice* left, const IoDevice* right) const;
};

}  // namespace weft
