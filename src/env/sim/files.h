// Files of a simulated machine, and the queue that reads and writes them.
#pragma once

#include <map>

#include "env/files.h"
#include "env/sim/machine.h"
#include "env/sim/waiter.h"

namespace weft::sim {

class SimFile final : public env::File {
public:
    SimFile(Machine& machine, FileNode& node, const env::OpenOptions& options);
    ~SimFile() override;

    Result<uint64_t> size_bytes() override;
    Result<void> resize(uint64_t size_bytes) override;
    // read_error aside, the faults of the path count; after write_error a part of it is there, not synced.
    Result<void> write_durably(uint64_t offset, std::string_view contents) override;
    [[nodiscard]] bool is_block_device() const override { return false; }
    [[nodiscard]] bool is_direct() const override { return options_.direct; }
    [[nodiscard]] uint32_t alignment_bytes() const override { return options_.direct ? Contents::sector_bytes : 1; }
    [[nodiscard]] uint32_t block_bytes() const override { return Contents::sector_bytes; }

    // False after a crash of the machine: the rest must not be asked then.
    [[nodiscard]] bool is_alive() const { return descriptor_.is_alive(); }
    [[nodiscard]] bool is_read_only() const { return options_.read_only; }
    [[nodiscard]] FileNode& node() const { return node_; }
    [[nodiscard]] const FileFaults& faults() const { return faults_; }

private:
    MachineDescriptor descriptor_;
    FileNode& node_;
    const FileFaults& faults_;
    const env::OpenOptions options_;
};

class SimFiles final : public env::Files {
public:
    explicit SimFiles(Machine& machine) : machine_(machine) {}
    Result<std::unique_ptr<env::File>> open(const std::string& path, const env::OpenOptions& options) override;
    Result<std::string> read_all(const std::string& path, size_t size_max) override;
    Result<std::string> read_allowed(const std::string& path, size_t size_max) override;
    // There is one user.
    Result<std::string> read_secret(const std::string& path, size_t size_max) override;
    Result<size_t> read_key(const std::string& path, MutableBytes into) override;
    // All of it or nothing, and durable, as rename() and fsync() make it. write_error, sync_error and
    // capacity_bytes of the path count.
    Result<void> write_atomically(const std::string& path, std::string_view contents) override;
    Result<void> write_allowed(const std::string& path, std::string_view contents) override;
    Result<void> remove(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    // Folders are part of names here, and always there.
    Result<void> make_folder(const std::string& path) override;
    // There are no links here that could lead anywhere.
    Result<void> confine(const std::vector<std::string>& folders) override;

private:
    Machine& machine_;
};

// Operations take effect when they complete, each after its own time and so in any order.
class SimFileQueue final : public env::FileQueue {
public:
    explicit SimFileQueue(Machine& machine);
    ~SimFileQueue() override;

    void submit(env::FileOperation& operation) override;
    void flush() override;
    uint32_t reap() override;
    [[nodiscard]] uint32_t in_flight() const override { return in_flight_; }
    env::Pollable& completions() override { return completions_; }

    // The machine's: sectors of writes under way may have reached the disk, and nothing is ever reported.
    void crash();
    // The same when only the process has gone: each operation under way is done, or not at all.
    void kill();

private:
    using Operations = IntrusiveList<env::FileOperation, &env::FileOperation::link>;
    struct Active {
        env::FileOperation* operation = nullptr;
        Contents::Snapshot snapshot;  // sync_data
    };
    class Completions final : public env::Pollable, public Source {
    public:
        explicit Completions(const Operations& done) : done_(done) {}
        uint32_t poll() override { return done_.empty() ? 0 : env::Events::readable; }

    private:
        const Operations& done_;
    };

    void complete(uint64_t number);
    void forget_all();
    void perform(const Active& active);
    void transfer(env::FileOperation& operation, SimFile& file);
    // Writes what the disk got of it; `is_torn`: some sectors only.
    void write_out(env::FileOperation& operation, SimFile& file, uint64_t length, bool is_torn);
    void clear_range(env::FileOperation& operation, SimFile& file);
    MachineRun run_;
    Operations submitted_;
    Operations done_;
    Completions completions_{done_};
    std::map<uint64_t, Active> active_;  // by number
    uint64_t started_ = 0;
    uint32_t in_flight_ = 0;
    uint64_t id_ = 0;
};

}  // namespace weft::sim
