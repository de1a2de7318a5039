// A device for tests: does nothing with a request but what the test says.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bdev/device.h"

namespace weft::bdev {

class FakeChannel final : public Channel {
public:
    Progress next = Progress::done;  // what becomes of the next requests
    Status status = Status::success; // of those that are done at once
    std::vector<Request*> started;   // pending ones
    uint32_t start_count = 0;

    // Ends a pending request. From a turn of the reactor, or as its thread.
    void complete(Request& request, Status outcome) {
        std::erase(started, &request);
        finish(request, outcome);
    }

protected:
    Progress start(Request& request) override {
        ++start_count;
        request.status = status;
        if (next == Progress::pending) started.push_back(&request);
        return next;
    }
};

class FakeDevice final : public Device {
public:
    static constexpr Geometry default_geometry = {.block_bytes = 512, .block_count = 1000};
    explicit FakeDevice(const std::string& name, Uuid uuid = Uuid(), const Geometry& geometry = default_geometry)
        : Device(name, uuid.is_nil() ? Uuid::from_names({"fake", name}) : uuid, geometry) {}
    ~FakeDevice() override {
        if (destroyed != nullptr) *destroyed = true;
    }

    [[nodiscard]] std::string_view product_name() const override { return "Fake disk"; }
    [[nodiscard]] bool supports(Op op) const override { return op != refused && op < Op::zone_append; }
    Task<void> close() override {
        if (closed != nullptr) *closed = true;
        co_return;
    }
    void resize(uint64_t block_count) { set_block_count(block_count); }
    Result<ChannelRef<Channel>> fake_channel() { return channel(); }

    std::optional<Op> refused;
    bool fails_to_open = false;
    bool* closed = nullptr;
    bool* destroyed = nullptr;

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override {
        if (fails_to_open) return fail(Errc::io_error, "this device cannot be opened");
        return std::make_unique<FakeChannel>();
    }
};

}  // namespace weft::bdev
