// hello_bdev: writes a line into the first blocks of a block device of this process, and reads it back.
//
//   hello_bdev -c bdevs.json -b Malloc0
//
// Once in bytes, as one who does not think in blocks, and once in blocks, as a data path does it.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "app/daemon/daemon.h"
#include "app/start/application.h"
#include "base/log.h"
#include "bdev/bytes.h"
#include "bdev/execute.h"
#include "bdev/registry.h"
#include "bdev/zones.h"

using weft::Result;
using weft::Task;
namespace bdev = weft::bdev;

namespace {

struct Settings {
    std::string config;
    std::string bdev = "Malloc0";
    std::string text = "Hello World!";
};

// Memory for I/O: a device says how it wants its data aligned.
class Buffer {
public:
    Buffer(const bdev::Device& device, size_t bytes)
        : alignment_(std::align_val_t{std::max<size_t>(device.geometry().alignment_bytes, alignof(std::max_align_t))}),
          bytes_(static_cast<std::byte*>(::operator new(bytes, alignment_)), bytes) {
        clear();
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { ::operator delete(bytes_.data(), alignment_); }

    [[nodiscard]] weft::MutableBytes bytes() const { return bytes_; }
    void clear() const { std::memset(bytes_.data(), 0, bytes_.size()); }
    void put(const std::string& text) const { std::memcpy(bytes_.data(), text.data(), text.size()); }
    [[nodiscard]] const char* text() const { return reinterpret_cast<const char*>(bytes_.data()); }

private:
    std::align_val_t alignment_;
    weft::MutableBytes bytes_;
};

// A zoned device is written where its zone has been written up to: an empty zone from its beginning.
Task<Result<void>> empty_first_zone(bdev::Channel& channel) {
    bdev::Request request;
    request.op = bdev::Op::zone_management;
    request.zone_action = bdev::ZoneAction::reset;
    request.lba = 0;
    const bdev::Status status = co_await bdev::execute(channel, request);
    co_return bdev::result_of(status, "reset of the first zone");
}

Task<Result<void>> hello_in_bytes(bdev::Channel& channel, const Settings& settings) {
    const bdev::Device& device = channel.bdev();
    const Buffer buffer(device, device.block_bytes());
    // A device has whole blocks only: twelve bytes are refused.
    const auto refused = bdev::blocks_of(device, 0, settings.text.size());
    if (!refused) fmt::print("{}\n", refused.error().message);

    buffer.put(settings.text);
    WEFT_CO_TRY(co_await bdev::write_bytes(channel, 0, weft::Bytes(buffer.bytes())));
    buffer.clear();
    WEFT_CO_TRY(co_await bdev::read_bytes(channel, 0, buffer.bytes()));
    fmt::print("read {} bytes: {}\n", buffer.bytes().size(), buffer.text());
    if (settings.text == buffer.text()) co_return Result<void>{};
    co_return weft::fail(weft::Errc::io_error, "what was read is not what was written");
}

Task<Result<void>> hello_in_blocks(bdev::Channel& channel, const Settings& settings) {
    const bdev::Device& device = channel.bdev();
    const bool is_zoned = channel.bdev().zones() != nullptr;
    const Buffer buffer(device, device.block_bytes());
    const iovec piece{.iov_base = buffer.bytes().data(), .iov_len = buffer.bytes().size()};
    bdev::Request request;  // its memory is ours until it is done
    request.op = bdev::Op::write;
    request.lba = is_zoned ? 1 : 0;  // the first block of the zone is written already
    request.blocks = 1;
    request.data = {&piece, 1};
    buffer.put(settings.text);
    WEFT_CO_TRY(bdev::result_of(co_await bdev::execute(channel, request), "writing a block"));
    buffer.clear();
    request.op = bdev::Op::read;
    WEFT_CO_TRY(bdev::result_of(co_await bdev::execute(channel, request), "reading a block"));
    fmt::print("read block {}: {}\n", request.lba, buffer.text());
    if (settings.text == buffer.text()) co_return Result<void>{};
    co_return weft::fail(weft::Errc::io_error, "what was read is not what was written");
}

// On a data reactor's thread: a channel is one thread's.
Task<Result<void>> hello(bdev::Device& device, const Settings& settings) {
    auto channel = device.channel();
    if (!channel) co_return std::unexpected(std::move(channel).error());
    if (settings.text.size() >= device.block_bytes()) {
        co_return weft::fail(weft::Errc::invalid_argument,
                             fmt::format("the text does not fit into a block of {} bytes", device.block_bytes()));
    }
    if (device.zones() != nullptr) WEFT_CO_TRY(co_await empty_first_zone(**channel));
    WEFT_CO_TRY(co_await hello_in_bytes(**channel, settings));
    co_return co_await hello_in_blocks(**channel, settings);
}

// The descriptor holds the device, and keeps others from writing it; it is the app thread's.
Task<Result<void>> open_and_greet(weft::app::Daemon& daemon, const Settings& settings) {
    auto descriptor = daemon.devices().open(settings.bdev, [](bdev::Event) {});
    if (!descriptor) {
        co_return weft::fail(descriptor.error().code, fmt::format("{}: {}", settings.bdev, descriptor.error().message));
    }
    WEFT_CO_TRY((*descriptor)->claim("hello_bdev"));
    weft::Thread& home = weft::Thread::current();
    co_await weft::resume_on(daemon.runtime().data_reactors().front()->first_thread());
    Result<void> done = co_await hello((*descriptor)->device(), settings);
    co_await weft::resume_on(home);
    co_return done;
}

// All block devices of weftd in an object, without a target.
Task<int> live(weft::app::Application& app, const Settings& settings) {
    weft::app::DaemonOptions options;
    options.has_target = false;
    options.has_rpc_server = false;
    options.config_file = settings.config;
    weft::app::Daemon daemon(app.runtime(), options);
    Result<void> done = co_await daemon.start();
    if (done) {
        done = co_await open_and_greet(daemon, settings);
        co_await daemon.stop();
    }
    if (!done) fmt::print(stderr, "hello_bdev: {}\n", done.error().message);
    co_return done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    weft::app::Application app({.name = "hello_bdev",
                                .text = "Writes a line into the first blocks of a block device and reads it back",
                                .usage = [] { return "What was in these blocks before is lost."; }});
    Settings settings;
    app.options().add_text("-c,--json", settings.config, "Configuration with the device, as weftd's",
                           weft::app::Options::Presence::required);
    app.options().add_text("-b,--bdev", settings.bdev, "Name of the device");
    app.options().add_text("-t,--text", settings.text, "What to write");
    if (const auto status = app.parse(argc, argv)) return *status;
    weft::log::set_print_level(weft::log::Level::warning);
    return app.run([&] { return live(app, settings); });
}
