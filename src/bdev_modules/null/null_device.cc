#include "bdev_modules/null/null_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "bdev/protection/blocks.h"
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
    explicit NullChannel(const Device& device) {
        if (device.metadata().metadata_bytes != 0) block_.resize(device.block_bytes());
    }

protected:
    // Many reads may have the same memory at a time: nobody can tell, and nothing changes it.
    std::optional<Bytes> lend_memory(uint64_t lba, uint64_t blocks) override {
        const uint64_t block_count = bdev().block_count();
        if (bdev().metadata().metadata_bytes != 0) return std::nullopt;
        if (lba > block_count || blocks == 0 || blocks > block_count - lba) return std::nullopt;
        if (blocks > zeroes_bytes / bdev().block_bytes()) return std::nullopt;
        return zeroes().first(blocks * bdev().block_bytes());
    }

    Progress start(Request& request) override {
        const bool moves_data = request.op == Op::read || request.op == Op::write || request.op == Op::compare;
        if (bdev().metadata().metadata_bytes != 0 && moves_data) [[unlikely]]
            return start_accompanied(request);
        for (const iovec& piece : request.data) {
            if (piece.iov_len == 0) continue;
            // Zeroes and not what the buffer held: that may be another host's.
            if (request.op == Op::read) std::memset(piece.iov_base, 0, piece.iov_len);
        }
        const std::span<const iovec> expected = request.op == Op::compare             ? request.data
                                                : request.op == Op::compare_and_write ? request.expected
                                                                                      : std::span<const iovec>{};
        for (const iovec& piece : expected) {
            if (!is_all_zero(Bytes(static_cast<const std::byte*>(piece.iov_base), piece.iov_len))) {
                request.status = Status::miscompare;
            }
        }
        return Progress::done;
    }

private:
    // Blocks of zeroes with metadata of zeroes, and tuples that turn checks off; what is written is checked all the
    // same.
    Progress start_accompanied(Request& request) {
        const ProtectionFormat& format = bdev().metadata();
        std::array<std::byte, metadata_bytes_max> own{};
        const MutableBytes metadata = MutableBytes(own).first(format.metadata_bytes);
        if (format.has_tuple()) write_escape(format, metadata);
        const bool checks = request.op == Op::write && request.protection != nullptr && !request.protection->is_ours &&
                            request.protection->checks();
        BlockPieces pieces(request);
        for (uint64_t index = 0; index < request.blocks && request.status == Status::success; ++index) {
            if (request.op == Op::read) {
                give_bytes(pieces.data(), zeroes().first(bdev().block_bytes()));
                if (pieces.wants_metadata()) give_bytes(pieces.metadata(), metadata);
            } else if (request.op == Op::compare) {
                bool same = is_same(pieces.data(), zeroes().first(bdev().block_bytes()));
                if (pieces.wants_metadata()) same = is_same(pieces.metadata(), metadata) && same;
                if (!same) request.status = Status::miscompare;
            } else if (checks && pieces.wants_metadata()) {
                take_bytes(pieces.data(), MutableBytes(block_).first(bdev().block_bytes()));
                take_bytes(pieces.metadata(), metadata);
                const Bytes data = Bytes(block_).first(bdev().block_bytes());
                request.status = status_of(check_tuple(format, *request.protection, index, data, metadata));
            }
        }
        return Progress::done;
    }

    std::vector<std::byte> block_;  // one that is checked; empty without metadata
};

}  // namespace

NullDevice::NullDevice(NullOptions options, Uuid uuid)
    : Device(
          options.name, uuid,
          {.block_bytes = options.block_bytes,
           .block_count = options.block_count,
           .optimal_blocks = std::max(options.optimal_write_blocks, options.physical_block_bytes / options.block_bytes),
           .unmap_blocks = std::max(options.unmap_blocks, 1U),
           .metadata = options.metadata,
           .metadata_in_data = options.metadata.metadata_bytes != 0}),
      options_(std::move(options)) {}

bool NullDevice::supports(Op op) const {
    switch (op) {
        case Op::read:
        case Op::write:
        case Op::flush:
        case Op::unmap:
        case Op::write_zeroes:
        case Op::compare:
        case Op::verify: return true;
        case Op::compare_and_write:
        case Op::copy: return metadata().metadata_bytes == 0;
        case Op::write_uncorrectable:
        case Op::zone_append:
        case Op::zone_management: return false;
    }
    return false;
}

Result<std::unique_ptr<IoChannel>> NullDevice::make_channel() { return std::make_unique<NullChannel>(*this); }

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
    if (const ProtectionFormat& format = options_.metadata; format.metadata_bytes != 0) {
        params["md_size"] = format.metadata_bytes;
        params["dif_type"] = format.type;
        params["dif_is_head_of_md"] = format.is_first;
        params["dif_pi_format"] = format.guard;
    }
    entries.push_back({{"method", "bdev_null_create"}, {"params", std::move(params)}});
}

Result<Device*> create_null_device(Registry& registry, NullOptions options) {
    WEFT_TRY(check_size(options.block_bytes, options.block_count));
    WEFT_TRY(check_format(options.metadata, options.block_bytes));
    if (options.name.empty()) return fail(Errc::invalid_argument, "a null device needs a name");
    Uuid uuid = options.uuid;
    if (uuid.is_nil()) {
        uuid = Uuid::from_names({Reactor::current().environment().machine_id(), "null", options.name});
    }
    return registry.add(std::make_unique<NullDevice>(std::move(options), uuid));
}

}  // namespace weft::bdev
