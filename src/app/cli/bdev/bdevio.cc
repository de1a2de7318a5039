// weft bdevio: every kind of request, at every border, on the block devices of a configuration.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "app/cli/bdev/bdevio_case.h"
#include "app/cli/bdev/device_session.h"
#include "app/cli/subcommand.h"
#include "bdev/registry.h"
#include "env/linux/os_thread.h"
#include "reactor/reactor.h"

namespace weft::cli {

namespace {

struct Tally {
    uint32_t ok = 0;
    uint32_t failed = 0;
    uint32_t skipped = 0;
};

class Bdevio final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        CLI::App* sub = app.add_subcommand("bdevio", "Try every kind of request on block devices in this process");
        add_device_options(*sub, devices_);
        sub->add_option("-b,--bdev", names_, "Only this bdev; may be repeated (default: all there are)")
            ->allow_extra_args(false);
        sub->add_option("--test", test_, "Only tests whose name has this text in it");
        sub->add_option("--seed", seed_, "Of what is random")->capture_default_str();
        sub->footer(
            "OVERWRITES the devices. A line for each test: ok, FAIL or skip with the reason; exit code 1 when one "
            "failed.\n"
            "Example: weft bdevio -c bdevs.json -b Malloc0");
        return sub;
    }
    int run() override {
        SessionOptions session;
        session.data_cpus = {env::usable_cpus().back()};
        session.data_spin = 0;
        return run_with_devices(session, devices_, [this](app::Daemon& daemon) { return execute(daemon); });
    }

private:
    Task<int> execute(app::Daemon& daemon) {
        std::vector<std::string> names = names_;
        if (names.empty()) {
            // Not what others stand on: they would be spoilt.
            for (const bdev::Device* device : daemon.devices().all()) {
                if (device->claim_type() == bdev::ClaimType::none) names.push_back(device->name());
            }
        }
        if (names.empty()) {
            fmt::print(stderr, "weft: the configuration makes no bdev\n");
            co_return exit_failed;
        }
        for (const std::string& name : names) {
            if (!co_await try_device(daemon, name)) co_return exit_failed;
        }
        fmt::print("{} ok, {} failed, {} skipped\n", tally_.ok, tally_.failed, tally_.skipped);
        if (tally_.ok + tally_.failed == 0) fmt::print(stderr, "weft: nothing was tried\n");
        co_return tally_.failed == 0 && tally_.ok > 0 ? exit_ok : exit_failed;
    }

    // False when there is no such device, or it cannot be used.
    Task<bool> try_device(app::Daemon& daemon, const std::string& name) {
        Thread& home = Thread::current();
        auto descriptor = daemon.devices().open(name, {});
        if (!descriptor) {
            fmt::print(stderr, "weft: bdev {}: {}\n", name, descriptor.error().message);
            co_return false;
        }
        if (auto claimed = (*descriptor)->claim("bdevio"); !claimed) {
            fmt::print(stderr, "weft: {}\n", claimed.error().message);
            co_return false;
        }
        bdev::Device& device = (*descriptor)->device();
        co_await resume_on(daemon.runtime().data_reactors().front()->first_thread());
        const Result<void> tried = co_await try_on_this_thread(device);
        co_await resume_on(home);
        if (!tried) fmt::print(stderr, "weft: bdev {}: {}\n", name, tried.error().message);
        co_return tried.has_value();
    }

    Task<Result<void>> try_on_this_thread(bdev::Device& device) {
        auto channel = device.channel();
        if (!channel) co_return std::unexpected(std::move(channel).error());
        IoCase io(**channel, seed_);
        if (device.zones() != nullptr) {
            for (const IoTest& test : zone_tests()) co_await try_one(io, test);
            co_return Result<void>{};
        }
        // A null device says so by its name; any other that forgets is wrong, and is to be found out.
        io.set_keeps_data(device.product_name() != "Null disk");
        for (const IoTest& test : block_tests()) co_await try_one(io, test);
        for (const IoTest& test : special_tests()) co_await try_one(io, test);
        co_return Result<void>{};
    }

    Task<void> try_one(IoCase& io, const IoTest& test) {
        const std::string_view name = test.name;
        if (!name.contains(test_)) co_return;
        const Verdict verdict = co_await test.run(io);
        const std::string& bdev = io.device().name();
        switch (verdict.kind) {
            case Verdict::Kind::ok:
                ++tally_.ok;
                fmt::print("ok {}: {}\n", bdev, name);
                break;
            case Verdict::Kind::failed:
                ++tally_.failed;
                fmt::print("FAIL {}: {}: {}\n", bdev, name, verdict.reason);
                break;
            case Verdict::Kind::skipped:
                ++tally_.skipped;
                fmt::print("skip {}: {} ({})\n", bdev, name, verdict.reason);
                break;
        }
        std::fflush(stdout);
    }

    DeviceOptions devices_;
    std::vector<std::string> names_;
    std::string test_;
    uint32_t seed_ = 1;
    Tally tally_;
};

}  // namespace

std::unique_ptr<Subcommand> make_bdevio() { return std::make_unique<Bdevio>(); }

}  // namespace weft::cli
