#include "nvmf/transport_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "nvmf/request.h"

namespace weft::nvmf {

Result<void> TransportOptions::check() const {
    const auto refuse = [](std::string why) -> Result<void> { return fail(Errc::invalid_argument, std::move(why)); };
    if (max_queue_depth < 2) return refuse("max_queue_depth must be at least 2");
    if (max_io_qpairs_per_ctrlr == 0) return refuse("max_io_qpairs_per_ctrlr must be at least 1");
    if (!std::has_single_bit(max_io_size) || max_io_size < 8192 || max_io_size > (1U << 26)) {
        return refuse(fmt::format("max_io_size {} must be a power of two from 8192 to 67108864", max_io_size));
    }
    if (io_unit_size < 4096 || io_unit_size % 4096 != 0 || io_unit_size > (2U << 20)) {
        return refuse(fmt::format("io_unit_size {} must be a multiple of 4096 from 4096 to 2097152", io_unit_size));
    }
    if ((max_io_size + io_unit_size - 1) / io_unit_size > Request::buffer_max) {
        return refuse(fmt::format("max_io_size {} needs more than {} buffers of io_unit_size {}", max_io_size,
                                  Request::buffer_max, io_unit_size));
    }
    if (num_shared_buffers < (max_io_size + io_unit_size - 1) / io_unit_size) {
        return refuse(fmt::format("num_shared_buffers {} does not hold one I/O of max_io_size", num_shared_buffers));
    }
    // IOCCSZ counts 16-byte units in 32 bits, but what a host sends at once should fit the receive buffer.
    if (in_capsule_data_size % 16 != 0 || in_capsule_data_size > max_io_size) {
        return refuse(
            fmt::format("in_capsule_data_size {} must be a multiple of 16, at most max_io_size", in_capsule_data_size));
    }
    if (sock_priority > 16) return refuse("sock_priority must be at most 16");
    if (kas == 0) return refuse("kas must be at least 1");
    // Above, a host that has gone would be kept for longer than anybody waits.
    if (kas > 600) return refuse("kas must be at most 600 (a minute)");
    if (min_kato > 3'600'000) return refuse("min_kato must be at most 3600000 (an hour)");
    if (association_timeout < 1000) return refuse("association_timeout must be at least 1000");
    if (handshake_timeout_ms == 0) return refuse("handshake_timeout_ms must be at least 1");
    if (max_connecting == 0) return refuse("max_connecting must be at least 1");
    if (dif_insert_or_strip) return refuse("dif_insert_or_strip is not supported");
    return {};
}

uint32_t TransportOptions::buffers_per_group(uint32_t group_count) const {
    if (group_count == 0) return 0;
    if (buf_cache_size) return std::max(*buf_cache_size, buffers_per_capsule());
    // No more than leaves the longest I/O of a group its buffers when the others have their reserves.
    const uint32_t needed = buffers_per_io() + buffers_per_capsule();
    const uint32_t spare = num_shared_buffers - std::min(num_shared_buffers, needed);
    const uint32_t most = group_count > 1 ? spare / (group_count - 1) : num_shared_buffers;
    return std::max(std::min(num_shared_buffers * 3 / 4 / group_count, most), buffers_per_capsule());
}

Result<void> TransportOptions::check_buffers(uint32_t group_count) const {
    if (group_count == 0) return {};
    const uint64_t reserve = buffers_per_group(group_count);
    const uint64_t reserves = reserve * group_count;
    const uint64_t needed = std::max(reserves, reserves - reserve + buffers_per_capsule() + buffers_per_io());
    if (num_shared_buffers >= needed) return {};
    return fail(Errc::invalid_argument,
                fmt::format("num_shared_buffers {} is too few for {} poll groups: at least {} with buf_cache_size {}",
                            num_shared_buffers, group_count, needed, reserve));
}

}  // namespace weft::nvmf
