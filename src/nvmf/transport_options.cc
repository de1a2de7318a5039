#include "nvmf/transport_options.h"

#include <fmt/format.h>

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
    if (buf_cache_size) return *buf_cache_size;
    return group_count == 0 ? 0 : num_shared_buffers * 3 / 4 / group_count;
}

}  // namespace weft::nvmf
