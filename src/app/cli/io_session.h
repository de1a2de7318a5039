// A namespace as `weft io` uses it: ranges of bytes, cut into commands of which several are outstanding.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/cli/target_options.h"
#include "nvme_host/admin.h"
#include "reactor/runtime.h"

namespace weft::cli {

struct IoOptions {
    uint32_t nsid = 1;
    uint64_t offset = 0;
    uint64_t command_bytes = 128 * 1024;
    uint32_t depth = 16;
};

// Lives on the control thread.
class IoSession {
public:
    static Task<Result<std::unique_ptr<IoSession>>> open(Runtime& runtime, const TargetOptions& target,
                                                         const IoOptions& options);
    IoSession(const IoSession&) = delete;
    IoSession& operator=(const IoSession&) = delete;
    ~IoSession();  // after close()

    Task<void> close();

    [[nodiscard]] uint32_t block_bytes() const { return block_bytes_; }
    [[nodiscard]] uint64_t size_bytes() const { return size_bytes_; }
    // Random: names this run in stamps.
    [[nodiscard]] uint64_t run() const { return run_; }

    // Offsets and lengths are whole blocks. Errors name the first command, by block, that failed; the others
    // are waited for.
    Task<Result<void>> transfer(nvme::IoOpcode opcode, uint64_t offset, MutableBytes data);
    Task<Result<void>> write_zeroes(uint64_t offset, uint64_t length);
    Task<Result<void>> unmap(uint64_t offset, uint64_t length);
    Task<Result<void>> flush();
    // Within the namespace, with as many commands as its limits make necessary.
    Task<Result<void>> copy(uint64_t from, uint64_t to, uint64_t length);
    // Verify and Write Uncorrectable: commands with a range and no data.
    Task<Result<void>> on_range(nvme::IoOpcode opcode, uint64_t offset, uint64_t length);
    // One fused pair; the lengths are the same. Errors: the status of the Compare, when that is what failed.
    Task<Result<void>> compare_and_write(uint64_t offset, MutableBytes expected, MutableBytes data);

private:
    IoSession(std::unique_ptr<nvme_host::tcp::ConnectionGroup> group, std::unique_ptr<nvme_host::Controller> controller,
              const IoOptions& options)
        : group_(std::move(group)), controller_(std::move(controller)), options_(options) {}
    Task<Result<void>> prepare(Runtime& runtime);
    Task<Result<void>> execute(std::string what, nvme::Command command, MutableBytes data);

    std::unique_ptr<nvme_host::tcp::ConnectionGroup> group_;
    std::unique_ptr<nvme_host::Controller> controller_;
    const IoOptions options_;
    nvme_host::Qpair* qpair_ = nullptr;
    uint32_t block_bytes_ = 0;
    uint64_t size_bytes_ = 0;
    uint64_t run_ = 0;
};

// Whole files; "-" is standard input or output. Errors: what the system said; out_of_range above `size_max`.
Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t size_max);
Result<void> write_file(const std::string& path, Bytes data);
// As `hexdump -C` prints it, equal lines as "*".
void print_hex(Bytes data, uint64_t offset);

}  // namespace weft::cli
