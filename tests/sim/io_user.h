// A host with one controller and some I/O queues, for tests of I/O commands, and the devices that they are for.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "bdev/device.h"
#include "nvme/describe.h"
#include "sim/rig.h"

namespace weft::test {

#define EXPECT_STATUS(actual, expected)                                                            \
    do {                                                                                           \
        const ::weft::nvme::Status got_status_ = (actual);                                         \
        EXPECT_TRUE(got_status_.is(expected))                                                      \
            << ::weft::nvme::describe(got_status_) << " for " << ::weft::nvme::describe(expected); \
    } while (false)

// Blocks of 512 bytes.
std::unique_ptr<bdev::Device> ram_disk(const std::string& name, uint64_t block_count, bool is_concurrent = false);
// Exports a file on the target's simulated disk.
void export_file(Rig& rig, uint64_t block_count, bool is_concurrent = false, nvmf::TransportOptions options = {});

nvme::Command command_of(nvme::IoOpcode opcode, uint64_t slba, uint32_t blocks);
// One command with its data, to its end.
Task<nvme::Status> execute(nvme_host::Qpair& qpair, nvme::Command command, MutableBytes data);

// On the host's thread.
class IoUser {
public:
    // nullptr, and the test has failed, when it could not connect.
    static Task<std::unique_ptr<IoUser>> connect(Rig& rig, size_t host, size_t queues = 1);
    [[nodiscard]] nvme_host::Controller& controller() { return *controller_; }
    [[nodiscard]] nvme_host::Qpair& qpair(size_t index = 0) { return *qpairs_[index]; }
    Task<void> end();

private:
    std::unique_ptr<nvme_host::Controller> controller_;
    std::vector<nvme_host::Qpair*> qpairs_;
};

}  // namespace weft::test
