#include "env/sim/environment.h"

#include <algorithm>

#include "base/hex.h"
#include "base/uuid.h"
#include "env/sim/files.h"
#include "env/sim/sockets.h"

namespace weft::sim {

namespace {

class SimClock final : public env::Clock {
public:
    SimClock(const Core& core, const Options& options) : core_(core), options_(options) {}
    [[nodiscard]] TimeNs now() const override { return core_.now(); }
    [[nodiscard]] TimeNs wall() const override { return options_.wall_epoch + core_.now(); }

private:
    const Core& core_;
    const Options& options_;
};

class SimRandom final : public env::Random {
public:
    explicit SimRandom(Core& core) : core_(core) {}
    void fill(MutableBytes bytes) override { core_.prng().fill(bytes); }

private:
    Core& core_;
};

// Plain memory: no other process of a simulated machine looks at it.
class SimSharedMemory final : public env::SharedMemory {
public:
    SimSharedMemory(std::string path, size_t size_bytes)
        : path_(std::move(path)),
          words_((size_bytes + 7) / 8),
          bytes_(std::as_writable_bytes(std::span(words_)).first(size_bytes)) {}
    [[nodiscard]] MutableBytes bytes() const override { return bytes_; }
    [[nodiscard]] const std::string& path() const override { return path_; }

private:
    const std::string path_;
    std::vector<uint64_t> words_;
    const MutableBytes bytes_;
};

// The machine's daemon, which can be told to forget (by a test, in Machine::services) or not be there.
class SimServiceDirectory final : public env::ServiceDirectory {
public:
    explicit SimServiceDirectory(Machine& machine) : machine_(machine) {}
    ~SimServiceDirectory() override { machine_.services.clear(); }
    Result<void> announce(const std::vector<env::ServiceRecord>& services) override {
        if (!machine_.has_service_daemon) return fail(Errc::not_supported, "mDNS: no daemon runs on this machine");
        machine_.services = services;
        return {};
    }
    bool is_announced() override { return machine_.has_service_daemon && !machine_.services.empty(); }

private:
    Machine& machine_;
};

class SimEnvironment final : public env::Environment {
public:
    SimEnvironment(Core& core, const Options& options, Machine& machine, Wire& wire)
        : core_(core),
          machine_(machine),
          clock_(core, options),
          random_(core),
          network_(machine, wire),
          files_(machine) {}

    env::Clock& clock() override { return clock_; }
    env::Random& random() override { return random_; }
    env::Network& network() override { return network_; }
    env::Files& files() override { return files_; }
    Result<std::unique_ptr<env::Waiter>> make_waiter() override { return std::make_unique<SimWaiter>(core_); }
    Result<std::unique_ptr<env::FileQueue>> make_file_queue() override {
        return std::make_unique<SimFileQueue>(machine_);
    }

    Result<std::unique_ptr<env::SharedMemory>> make_shared_memory(const std::string& name, size_t size_bytes) override {
        return std::make_unique<SimSharedMemory>(env::shared_memory_path(name), size_bytes);
    }

    std::unique_ptr<env::ServiceDirectory> make_service_directory() override {
        return std::make_unique<SimServiceDirectory>(machine_);
    }
    void offload(env::OffloadJob job) override {
        job.work();
        job.done();
    }
    void wait_for_offloaded() override {}

    // As /etc/machine-id has it: 32 digits.
    std::string machine_id() override {
        return to_hex(Uuid::from_names({"weft simulated machine", machine_.name}).octets());
    }

private:
    Core& core_;
    Machine& machine_;
    SimClock clock_;
    SimRandom random_;
    SimNetwork network_;
    SimFiles files_;
};

}  // namespace

std::unique_ptr<env::Environment> make_sim_environment(Core& core, const Options& options, Machine& machine,
                                                       Wire& wire) {
    return std::make_unique<SimEnvironment>(core, options, machine, wire);
}

}  // namespace weft::sim
