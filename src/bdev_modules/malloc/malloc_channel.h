// One thread's access to a RAM disk.
#pragma once

#include <vector>

#include "bdev/device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "reactor/poller.h"

namespace weft::bdev {

class MallocChannel final : public Channel {
public:
    explicit MallocChannel(MallocDevice& device);
    ~MallocChannel() override;

    void prefetch(uint64_t lba) override;
    void unlend(uint64_t lba, uint64_t blocks) override;

protected:
    std::optional<Bytes> lend_memory(uint64_t lba, uint64_t blocks) override;
    bool abort_started(Request& request) override;
    Progress start(Request& request) override;

private:
    // How much is changed under locks at a time: some ten microseconds.
    static constexpr uint64_t locked_bytes_max = uint64_t{128} << 10;
    // How much is zeroed in one turn.
    static constexpr uint64_t zeroed_bytes_max = uint64_t{1} << 20;
    struct Zeroing;
    class Chores;

    [[nodiscard]] uint64_t offset_of(const Request& request) const { return request.lba * device_.block_bytes(); }
    [[nodiscard]] uint64_t bytes_of(const Request& request) const { return request.blocks * device_.block_bytes(); }
    template <class Copy>
    Progress copy_out(Request& request, Copy copy);
    Progress write(Request& request);
    bool settle_bad_blocks(Request& request);
    Progress compare_and_write(Request& request);
    Progress copy(Request& request);
    bool copy_to_buffer(uint64_t offset, uint64_t bytes);
    // accompanied_blocks.cc: the same on a disk whose blocks have metadata.
    Progress transfer_accompanied(Request& request);
    Progress read_accompanied(Request& request);
    Progress write_accompanied(Request& request);
    void check_accompanied_write(Request& request);
    void clear_accompanied(const Request& request, uint64_t lba, uint64_t blocks);
    Progress start_zeroing(Request& request);
    uint64_t zero(const Request& request, uint64_t offset, uint64_t bytes);
    uint32_t do_chores();

    MallocDevice& device_;
    BlockLocks& locks_;
    std::vector<std::byte> block_;  // a block with its metadata, when it must lie together; empty without metadata
    IntrusiveList<Request, &Request::link> zeroing_;
    std::unique_ptr<std::byte[]> copy_buffer_;  // from the first copy on
    std::unique_ptr<Chores> chores_;
};

}  // namespace weft::bdev
