#include "env/linux/avahi_directory.h"

#include <fmt/format.h>
#include <systemd/sd-bus.h>

namespace weft::env {

namespace {

constexpr const char* daemon = "org.freedesktop.Avahi";
constexpr const char* server_interface = "org.freedesktop.Avahi.Server";
constexpr const char* group_interface = "org.freedesktop.Avahi.EntryGroup";
constexpr int32_t any_interface = -1;
constexpr int32_t any_protocol = -1;
constexpr int32_t group_registering = 1;
constexpr int32_t group_established = 2;
constexpr uint64_t answer_within_us = 5'000'000;

struct BusError {
    BusError() = default;
    BusError(const BusError&) = delete;
    BusError& operator=(const BusError&) = delete;
    ~BusError() { sd_bus_error_free(&error); }
    sd_bus_error error{};
};

struct Unref {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
    void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
using Message = std::unique_ptr<sd_bus_message, Unref>;
using Bus = std::unique_ptr<sd_bus, Unref>;

std::unexpected<Error> refused(std::string_view doing, const BusError& error, int number) {
    const std::string_view name = error.error.name == nullptr ? "" : error.error.name;
    if (name == SD_BUS_ERROR_SERVICE_UNKNOWN || name == SD_BUS_ERROR_NAME_HAS_NO_OWNER) {
        return fail(Errc::not_supported, "mDNS: no avahi-daemon runs on this machine (Debian's package avahi-daemon)");
    }
    const std::string why = error.error.message == nullptr ? std::string() : error.error.message;
    if (name == "org.freedesktop.Avahi.CollisionError") {
        return fail(Errc::already_exists, fmt::format("mDNS: {}: {}", doing, why));
    }
    if (why.empty()) return fail_errno(-number, fmt::format("mDNS: {}", doing));
    return fail(Errc::io_error, fmt::format("mDNS: {}: {}", doing, why));
}

class AvahiDirectory final : public ServiceDirectory {
public:
    // A new group takes the place of the old one, which the daemon forgets with the connection.
    Result<void> announce(const std::vector<ServiceRecord>& services) override {
        group_.clear();
        bus_.reset();
        if (services.empty()) return {};
        WEFT_TRY(connect());
        for (const ServiceRecord& service : services) WEFT_TRY(add(service));
        BusError error;
        const int committed = sd_bus_call_method(bus_.get(), daemon, group_.c_str(), group_interface, "Commit",
                                                 &error.error, nullptr, "");
        if (committed < 0) return refused("announcing", error, committed);
        return {};
    }

    bool is_announced() override {
        if (!bus_) return false;
        BusError error;
        sd_bus_message* answer = nullptr;
        const int asked = sd_bus_call_method(bus_.get(), daemon, group_.c_str(), group_interface, "GetState",
                                             &error.error, &answer, "");
        const Message owned(answer);
        int32_t state = 0;
        if (asked < 0 || sd_bus_message_read(answer, "i", &state) < 0) return false;
        return state == group_registering || state == group_established;
    }

private:
    Result<void> connect() {
        sd_bus* bus = nullptr;
        if (const int opened = sd_bus_open_system(&bus); opened < 0) {
            return fail(Errc::not_supported, fmt::format("mDNS: {}: the system's D-Bus cannot be reached, through "
                                                         "which avahi-daemon is asked",
                                                         fail_errno(-opened, "connecting").error().message));
        }
        bus_.reset(bus);
        sd_bus_set_method_call_timeout(bus, answer_within_us);
        BusError error;
        sd_bus_message* answer = nullptr;
        const int made =
            sd_bus_call_method(bus, daemon, "/", server_interface, "EntryGroupNew", &error.error, &answer, "");
        const Message owned(answer);
        if (made < 0) return refused("asking avahi-daemon", error, made);
        const char* path = nullptr;
        if (const int read = sd_bus_message_read(answer, "o", &path); read < 0)
            return refused("its answer", error, read);
        group_ = path;
        return {};
    }

    Result<void> add(const ServiceRecord& service) {
        sd_bus_message* made = nullptr;
        const int begun =
            sd_bus_message_new_method_call(bus_.get(), &made, daemon, group_.c_str(), group_interface, "AddService");
        const Message call(made);
        BusError error;
        if (begun < 0) return refused("making a call", error, begun);
        int built = sd_bus_message_append(call.get(), "iiussssq", any_interface, any_protocol, uint32_t{0},
                                          service.name.c_str(), service.type.c_str(), "", "", service.port);
        if (built >= 0) built = sd_bus_message_open_container(call.get(), 'a', "ay");
        for (const std::string& line : service.text) {
            if (built >= 0) built = sd_bus_message_append_array(call.get(), 'y', line.data(), line.size());
        }
        if (built >= 0) built = sd_bus_message_close_container(call.get());
        if (built < 0) return refused("making a call", error, built);
        const int added = sd_bus_call(bus_.get(), call.get(), answer_within_us, &error.error, nullptr);
        if (added < 0) return refused(service.name, error, added);
        return {};
    }

    Bus bus_;
    std::string group_;
};

}  // namespace

std::unique_ptr<ServiceDirectory> make_avahi_directory() { return std::make_unique<AvahiDirectory>(); }

}  // namespace weft::env
