#include "bdev_modules/null/null_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "bdev/zeroes.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

bool is_all_zero(Bytes data) {
    while (!data.empty()) {
        const size_t bytes = std::min(data.size(), zeroes_bytes);
        if (std::memcmp(data.data(), zeroes().data(), bytes) != 0) return false;
        data = data.subspan(bytes);
    }
    return true;
}

class NullChannel final : public Channel {
public:
    // Many reads may have the same memory at a time: nobody can tell, and nothing changes it.
    std::optional<Bytes> lend(uint64_t lba, uint64_t blocks) override {
        const uint64_t block_count = bdev().block_count();
        if (lba > block_count || blocks == 0 || blocks > block_count - lba) return std::nullopt;
        if (blocks > zeroes_bytes / bdev().block_bytes()) return std::nullopt;
        return zeroes().first(blocks * bdev().block_bytes());
    }

protected:
    Progress start(Request& request) override {
        for (const iovec& piece : request.data) {
            if (piece.iov_len == 0) continue;
            // Zeroes and not what the buffer held: that may be another host's.
            if (request.op == Op::read) std::memset(piece.iov_base, 0, piece.iov_len);
            if (request.op == Op::compare &&
                !is_all_zero(Bytes(static_cast<const std::byte*>(piece.iov_base), piece.iov_len))) {
                request.status = Status::miscompare;
            }
        }
        return Progress::done;
    }
};

}  // namespace

NullDevice::NullDevice(NullOptions options, Uuid uuid)
    : Device(
          options.name, uuid,
          {.block_bytes = options.block_bytes,
           .block_count = options.block_count,
           .optimal_blocks = std::max(options.optimal_write_blocks, options.physical_block_bytes / options.block_bytes),
           .unmap_blocks = std::max(options.unmap_blocks, 1U)}),
      options_(std::move(options)) {}

bool NullDevice::supports(Op op) const {
    switch (op) {
        case Op::read:
        case Op::write:
        case Op::flush:
        case Op::unmap:
        case Op::write_zeroes:
        case Op::compare: return true;
    }
    return false;
}

Result<std::unique_ptr<IoChannel>> NullDevice::make_channel() { return std::make_unique<NullChannel>(); }

Result<void> NullDevice::resize(uint64_t block_count) {
    WEFT_TRY(check_size(block_bytes(), block_count));
    if (block_count < this->block_count()) {
        return fail(Errc::invalid_argument, fmt::format("new_size: bdev {} has more already", name()));
    }
    set_block_count(block_count);
    return {};
}

void NullDevice::write_config(Json& entries) const {
    Json params = {
        {"name", name()}, {"num_blocks", block_count()}, {"block_size", block_bytes()}, {"uuid", uuid().to_string()}};
    if (options_.physical_block_bytes != 0) params["physical_block_size"] = options_.physical_block_bytes;
    if (options_.optimal_write_blocks != 0) params["optimal_write_size"] = options_.optimal_write_blocks;
    if (options_.unmap_blocks != 0) params["preferred_unmap_granularity"] = options_.unmap_blocks;
    entries.push_back({{"method", "bdev_null_create"}, {"params", std::move(params)}});
}

Result<Device*> create_null_device(Registry& registry, NullOptions options) {
    WEFT_TRY(check_size(options.block_bytes, options.block_count));
    if (options.name.empty()) return fail(Errc::invalid_argument, "a null device needs a name");
    Uuid uuid = options.uuid;
    if (uuid.is_nil()) {
        uuid = Uuid::from_names({Reactor::current().environment().machine_id(), "null", options.name});
    }
    return registry.add(std::make_unique<NullDevice>(std::move(options), uuid));
}

}  // namespace weft::bdev
