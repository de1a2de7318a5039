#include "env/sim/sockets.h"

#include <fmt/format.h>

namespace weft::sim {

namespace {

using env::Address;
using env::Family;
using env::Transfer;

// After a crash of its machine a stream is dead, and closing it tells nobody.
class SimStream final : public env::Stream, public Source {
public:
    SimStream(Machine& machine, Wire& wire, EndId end) : descriptor_(machine), wire_(wire), end_(end) {
        wire_.attach(end_, *this);
    }
    ~SimStream() override {
        if (descriptor_.is_alive()) wire_.close(end_);
    }

    [[nodiscard]] EndId end() const { return end_; }

    uint32_t poll() override { return descriptor_.is_alive() ? wire_.poll(end_) : env::Events::hung_up; }

    Transfer receive(MutableBytes into) override { return descriptor_.is_alive() ? wire_.receive(end_, into) : dead(); }

    Transfer send(std::span<const iovec> from) override {
        WEFT_ASSERT(!from.empty());
        return descriptor_.is_alive() ? wire_.send(end_, from) : dead();
    }

    void shutdown_send() override {
        // As on Linux, of no effect before the connection is there or when it is gone.
        if (descriptor_.is_alive() && self().is_connected && !self().error) wire_.shutdown_send(end_);
    }

    Result<void> connected() override {
        const std::string doing = "connecting to " + to_string(peer_address());
        if (!descriptor_.is_alive()) return fail(Errc::connection_lost, doing);
        if (self().error) return fail(*self().error, fmt::format("{}: {}", doing, describe(*self().error)));
        if (!self().is_connected) return fail(Errc::in_progress, doing);
        return {};
    }

    Result<void> configure(const env::SocketOptions& options) override {
        if (descriptor_.is_alive()) wire_.configure(end_, options);
        return {};
    }

    [[nodiscard]] Address local_address() const override { return descriptor_.is_alive() ? self().local : Address{}; }

    [[nodiscard]] Address peer_address() const override {
        if (!descriptor_.is_alive()) return {};
        const Connection& connection = wire_.connection(end_.connection);
        return end_.side == 0 ? connection.target : connection.ends[0].local;
    }

    [[nodiscard]] std::optional<env::PeerProcess> peer_process() const override {
        return peer_address().family == Family::unix_path ? std::optional(env::PeerProcess{.user = 0, .process = 1})
                                                          : std::nullopt;
    }

private:
    static Transfer dead() { return {.state = Transfer::State::failed, .error = Errc::connection_lost}; }
    [[nodiscard]] const End& self() const { return wire_.connection(end_.connection).ends[end_.side]; }

    MachineDescriptor descriptor_;
    Wire& wire_;
    const EndId end_;
};

class SimListener final : public env::Listener, public Source {
public:
    SimListener(Machine& machine, Wire& wire) : descriptor_(machine), wire_(wire) {}
    ~SimListener() override { wire_.close_listener(id_); }

    Result<void> start(const Address& address, const env::ListenOptions& options) {
        const auto id = wire_.listen(descriptor_.machine(), address, options, *this);
        if (!id) return std::unexpected(id.error());
        id_ = *id;
        return {};
    }

    uint32_t poll() override { return wire_.has_waiting(id_) ? env::Events::readable : 0; }

    Result<std::unique_ptr<env::Stream>> accept() override {
        if (!wire_.has_waiting(id_)) return fail(Errc::again, {});
        // It stays in the queue, as with Linux.
        if (!descriptor_.machine().has_descriptor()) {
            return fail(Errc::too_many, "accepting a connection: out of descriptors");
        }
        return std::make_unique<SimStream>(descriptor_.machine(), wire_, *wire_.accept(id_));
    }

    [[nodiscard]] Address local_address() const override { return wire_.address_of_listener(id_); }

private:
    MachineDescriptor descriptor_;
    Wire& wire_;
    uint64_t id_ = 0;
};

}  // namespace

Result<std::unique_ptr<env::Listener>> SimNetwork::listen(const Address& address, const env::ListenOptions& options) {
    if (!machine_.has_descriptor()) return fail(Errc::too_many, "making a socket: out of descriptors");
    auto listener = std::make_unique<SimListener>(machine_, wire_);
    WEFT_TRY(listener->start(address, options));
    return listener;
}

Result<std::unique_ptr<env::Stream>> SimNetwork::connect(const Address& address, const env::SocketOptions& options) {
    if (!machine_.has_descriptor()) return fail(Errc::too_many, "making a socket: out of descriptors");
    return std::make_unique<SimStream>(machine_, wire_, wire_.connect(machine_, address, options));
}

std::vector<Address> SimNetwork::local_addresses(Family family) {
    switch (family) {
        case Family::ipv4: return {machine_.ipv4};
        case Family::ipv6: return {machine_.ipv6};
        case Family::unix_path: return {};
    }
    return {};
}

EndId end_of(const env::Stream& stream) {
    const auto* simulated = dynamic_cast<const SimStream*>(&stream);
    WEFT_ASSERT(simulated != nullptr);
    return simulated->end();
}

}  // namespace weft::sim
