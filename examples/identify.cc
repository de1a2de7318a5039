// identify: what a controller and its namespaces say of themselves.
//
//   identify -r 'trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn.2016-06.io.spdk:cnode1'
//
// Without a subnqn it asks the discovery controller, and lists what is there.
#include <fmt/format.h>

#include <cstdio>

#include "app/start/application.h"
#include "base/log.h"
#include "nvme/fabrics.h"
#include "nvme_host/admin.h"
#include "nvme_host/controller.h"
#include "nvme_host/target_options.h"

using weft::Result;
using weft::Task;
namespace nvme = weft::nvme;
namespace host = weft::nvme_host;

namespace {

// What comes from a target is printed with its control bytes escaped.
template <size_t size>
std::string printable(const std::array<char, size>& field) {
    return weft::log::quoted(nvme::ascii_of(field));
}

void print_controller(const host::Controller& controller) {
    const nvme::IdentifyController& data = controller.identity();
    const nvme::Version version = controller.version();
    fmt::print("Controller {}\n", controller.cntlid());
    fmt::print("  Subsystem             {}\n", printable(data.subnqn));
    fmt::print("  Serial number         {}\n", printable(data.sn));
    fmt::print("  Model number          {}\n", printable(data.mn));
    fmt::print("  Firmware revision     {}\n", printable(data.fr));
    fmt::print("  NVMe version          {}.{}.{}\n", version.get(nvme::Version::mjr), version.get(nvme::Version::mnr),
               version.get(nvme::Version::ter));
    if (controller.transfer_bytes_max() != UINT32_MAX) {
        fmt::print("  Largest transfer      {} bytes\n", controller.transfer_bytes_max());
    }
    fmt::print("  Namespaces at most    {}\n", data.nn.value());
}

Task<Result<void>> print_namespaces(host::Controller& controller) {
    const auto active = co_await host::active_namespaces(controller);
    if (!active) co_return std::unexpected(active.error());
    for (const uint32_t nsid : *active) {
        const auto data = co_await host::identify_namespace(controller, nsid);
        if (!data) co_return std::unexpected(data.error());
        const uint32_t block_bytes = host::block_format(*data).block_bytes;
        fmt::print("Namespace {}\n", nsid);
        fmt::print("  Size                  {} blocks of {} bytes\n", data->nsze.value(), block_bytes);
        fmt::print("  NGUID                 {:02x}\n", fmt::join(data->nguid, ""));
    }
    co_return Result<void>{};
}

Task<Result<void>> print_log(host::Controller& controller) {
    const auto log = co_await host::read_discovery_log(controller);
    if (!log) co_return std::unexpected(log.error());
    fmt::print("Discovery log, generation {}\n", log->generation);
    for (const nvme::DiscoveryLogEntry& entry : log->entries) {
        fmt::print("  {} at {} port {}\n", printable(entry.subnqn), printable(entry.traddr), printable(entry.trsvcid));
    }
    co_return Result<void>{};
}

Task<Result<void>> identify(weft::app::Application& app, const host::TargetOptions& target) {
    auto options = host::controller_options(target, app.runtime().environment(), nvme::discovery_nqn);
    if (!options) co_return std::unexpected(std::move(options).error());
    auto group = host::tcp::ConnectionGroup::create(weft::Thread::current());
    if (!group) co_return std::unexpected(std::move(group).error());
    auto controller = co_await host::Controller::connect(**group, std::move(*options));
    if (!controller) co_return std::unexpected(std::move(controller).error());
    print_controller(**controller);
    Result<void> done =
        co_await ((*controller)->is_discovery() ? print_log(**controller) : print_namespaces(**controller));
    co_await (*controller)->disconnect();
    co_return done;
}

Task<int> live(weft::app::Application& app, const host::TargetOptions& target) {
    const Result<void> done = co_await identify(app, target);
    if (!done) fmt::print(stderr, "identify: {}\n", done.error().message);
    co_return done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    weft::app::Application app({.name = "identify",
                                .text = "Prints what a controller and its namespaces say of themselves",
                                .usage = [] { return "Without a subnqn: the discovery log."; },
                                .catches_signals = false});
    host::TargetOptions target;
    app.options().add_text("-r,--transport-id", target.transport_id,
                           "'trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn…'",
                           weft::app::Options::Presence::required);
    if (const auto status = app.parse(argc, argv)) return *status;
    return app.run([&] { return live(app, target); });
}
