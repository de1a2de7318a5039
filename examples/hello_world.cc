// hello_world: writes a line into the first block of a namespace over NVMe/TCP, and reads it back.
//
//   hello_world -r 'trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn.2016-06.io.spdk:cnode1'
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "app/start/application.h"
#include "nvme_host/admin.h"
#include "nvme_host/controller.h"
#include "nvme_host/status_error.h"
#include "nvme_host/target_options.h"

using weft::Result;
using weft::Task;
namespace nvme = weft::nvme;
namespace host = weft::nvme_host;

namespace {

struct Settings {
    host::TargetOptions target;
    uint32_t nsid = 1;
    std::string text = "Hello world!";
};

// One command for the first block of the namespace, with `block` as its data.
Task<Result<void>> execute(host::Qpair& qpair, std::string what, nvme::IoOpcode opcode, uint32_t nsid,
                           weft::MutableBytes block) {
    const iovec memory{.iov_base = block.data(), .iov_len = block.size()};
    host::Io io;
    io.command.opcode = static_cast<uint8_t>(opcode);
    io.command.nsid = nsid;
    io.command.set_lba_range(0, 1);
    io.data = {&memory, 1};
    co_await host::Execute(qpair, io);
    if (io.is_success()) co_return Result<void>{};
    if (const weft::Error* lost = qpair.failure()) co_return std::unexpected(*lost);
    co_return std::unexpected(host::status_error(what, io.completion));
}

Task<Result<void>> write_and_read(host::Controller& controller, host::tcp::ConnectionGroup& group,
                                  const Settings& settings) {
    const auto described = co_await host::identify_namespace(controller, settings.nsid);
    if (!described) co_return std::unexpected(described.error());
    const host::BlockFormat format = host::block_format(*described);
    if (described->nsze == 0 || format.block_bytes == 0 || format.metadata_bytes != 0) {
        co_return weft::fail(weft::Errc::no_such_device,
                             fmt::format("there is no namespace {} with blocks of data alone", settings.nsid));
    }
    if (settings.text.size() >= format.block_bytes) {
        co_return weft::fail(weft::Errc::invalid_argument,
                             fmt::format("the text does not fit into a block of {} bytes", format.block_bytes));
    }
    auto qpair = co_await controller.create_io_qpair(group);
    if (!qpair) co_return std::unexpected(std::move(qpair).error());

    std::vector<std::byte> written(format.block_bytes);
    std::memcpy(written.data(), settings.text.data(), settings.text.size());
    WEFT_CO_TRY(co_await execute(**qpair, "writing", nvme::IoOpcode::write, settings.nsid, written));
    std::vector<std::byte> read(format.block_bytes);
    WEFT_CO_TRY(co_await execute(**qpair, "reading", nvme::IoOpcode::read, settings.nsid, read));
    if (read != written) co_return weft::fail(weft::Errc::io_error, "what was read is not what was written");
    fmt::print("{}\n", reinterpret_cast<const char*>(read.data()));
    co_return Result<void>{};
}

// From nothing to a controller and back. A group of connections is a poller of the thread that makes it.
Task<Result<void>> greet(weft::app::Application& app, const Settings& settings) {
    auto options = host::controller_options(settings.target, app.runtime().environment());
    if (!options) co_return std::unexpected(std::move(options).error());
    options->io_queue_max = 1;
    auto group = host::tcp::ConnectionGroup::create(weft::Thread::current());
    if (!group) co_return std::unexpected(std::move(group).error());
    auto controller = co_await host::Controller::connect(**group, std::move(*options));
    if (!controller) co_return std::unexpected(std::move(controller).error());
    Result<void> done = co_await write_and_read(**controller, **group, settings);
    co_await (*controller)->disconnect();  // also after a failure: it must have ended before it is destroyed
    co_return done;
}

Task<int> live(weft::app::Application& app, const Settings& settings) {
    const Result<void> done = co_await greet(app, settings);
    if (!done) fmt::print(stderr, "hello_world: {}\n", done.error().message);
    co_return done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    weft::app::Application app({.name = "hello_world",
                                .text = "Writes a line into the first block of a namespace and reads it back",
                                .usage = [] { return "What was in that block before is lost."; },
                                .catches_signals = false});
    Settings settings;
    app.options().add_text("-r,--transport-id", settings.target.transport_id,
                           "'trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn…'",
                           weft::app::Options::Presence::required);
    app.options().add_number("-n,--nsid", settings.nsid, "The namespace", {.min = 1});
    app.options().add_text("-t,--text", settings.text, "What to write");
    if (const auto status = app.parse(argc, argv)) return *status;
    return app.run([&] { return live(app, settings); });
}
