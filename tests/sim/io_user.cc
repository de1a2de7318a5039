#include "sim/io_user.h"

#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"

namespace weft::test {

using nvme_host::Controller;

std::unique_ptr<bdev::Device> ram_disk(const std::string& name, uint64_t block_count, bool is_concurrent) {
    bdev::MallocOptions options;
    options.name = name;
    options.block_bytes = 512;
    options.block_count = block_count;
    options.is_concurrent = is_concurrent;
    options.pretouch = false;
    auto device = bdev::MallocDevice::create(options, Uuid::from_names({"sim", name}));
    EXPECT_TRUE(device);
    return std::move(*device);
}

void export_file(Rig& rig, uint64_t block_count, bool is_concurrent, nvmf::TransportOptions options) {
    rig.run([](Rig& r, uint64_t blocks, bool concurrent, nvmf::TransportOptions with) -> Task<void> {
        {
            auto file = r.target_runtime().environment().files().open("/disk", {.create = true});
            EXPECT_TRUE(file && (*file)->resize(blocks * 512));
        }
        const auto made = co_await bdev::create_file_device(
            r.bdevs(), {.name = "File0", .filename = "/disk", .block_bytes = 512, .is_concurrent = concurrent});
        EXPECT_TRUE(made) << made.error().message;
        co_await r.export_device("File0", std::move(with));
    }(rig, block_count, is_concurrent, std::move(options)));
}

nvme::Command command_of(nvme::IoOpcode opcode, uint64_t slba, uint32_t blocks) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1;
    command.set_lba_range(slba, blocks);
    return command;
}

Task<nvme::Status> execute(nvme_host::Qpair& qpair, nvme::Command command, MutableBytes data) {
    nvme_host::Io io;
    io.command = command;
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    if (!data.empty()) io.data = {&piece, 1};
    co_await nvme_host::Execute(qpair, io);
    co_return io.status();
}

Task<std::unique_ptr<IoUser>> IoUser::connect(Rig& rig, size_t host, size_t queues) {
    auto connected = co_await Controller::connect(rig.host_group(host), rig.host_options(host));
    EXPECT_TRUE(connected) << connected.error().message;
    if (!connected) co_return nullptr;
    auto user = std::make_unique<IoUser>();
    user->controller_ = std::move(*connected);
    for (size_t at = 0; at < queues; ++at) {
        auto qpair = co_await user->controller_->create_io_qpair(rig.host_group(host));
        EXPECT_TRUE(qpair) << qpair.error().message;
        if (!qpair) {
            co_await user->end();
            co_return nullptr;
        }
        user->qpairs_.push_back(*qpair);
    }
    co_return user;
}

Task<void> IoUser::end() {
    co_await controller_->disconnect();
    controller_.reset();
}

}  // namespace weft::test
