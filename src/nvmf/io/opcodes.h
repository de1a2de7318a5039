// What each I/O command does, by opcode: the one table from which commands are planned, gated, and reported
// (Commands Supported and Effects). A look-up costs one load.
//
// NVM Command Set 1.0, 3.2; Zoned Namespace Command Set 1.1, 3.4.
#pragma once

#include <array>
#include <cstdint>

#include "nvme/command.h"

namespace weft::nvmf {

namespace io_trait {
inline constexpr uint8_t known = 1U << 0;      // we execute it, on a device that can
inline constexpr uint8_t reads = 1U << 1;      // looks at user data, in whatever way
inline constexpr uint8_t writes = 1U << 2;     // changes user data
inline constexpr uint8_t range = 1U << 3;      // CDW10 to CDW12 are SLBA and NLB
inline constexpr uint8_t blocks = 1U << 4;     // NLB blocks are transferred
inline constexpr uint8_t parameters = 1U << 5; // what is transferred is no user data, and is kept on the heap
inline constexpr uint8_t zoned = 1U << 6;      // of the Zoned Namespace Command Set only
}  // namespace io_trait

namespace detail {
consteval auto make_io_traits() {
    using nvme::IoOpcode;
    std::array<uint8_t, 256> table{};
    const auto set = [&table](IoOpcode opcode, unsigned traits) {
        table[static_cast<size_t>(opcode)] = static_cast<uint8_t>(traits | io_trait::known);
    };
    set(IoOpcode::flush, 0);
    set(IoOpcode::read, io_trait::reads | io_trait::range | io_trait::blocks);
    set(IoOpcode::write, io_trait::writes | io_trait::range | io_trait::blocks);
    set(IoOpcode::compare, io_trait::reads | io_trait::range | io_trait::blocks);
    set(IoOpcode::verify, io_trait::reads | io_trait::range);
    set(IoOpcode::write_zeroes, io_trait::writes | io_trait::range);
    set(IoOpcode::write_uncorrectable, io_trait::writes | io_trait::range);
    set(IoOpcode::dataset_management, io_trait::writes);
    set(IoOpcode::copy, io_trait::reads | io_trait::writes | io_trait::parameters);
    set(IoOpcode::zone_append, io_trait::writes | io_trait::zoned);
    set(IoOpcode::zone_management_send, io_trait::writes | io_trait::zoned);
    set(IoOpcode::zone_management_receive, io_trait::zoned | io_trait::parameters);
    // What they do to data is no business of this table: they say who may.
    set(IoOpcode::reservation_register, io_trait::parameters);
    set(IoOpcode::reservation_acquire, io_trait::parameters);
    set(IoOpcode::reservation_release, io_trait::parameters);
    set(IoOpcode::reservation_report, 0);
    return table;
}
}  // namespace detail

inline constexpr std::array<uint8_t, 256> io_traits = detail::make_io_traits();

constexpr uint8_t traits_of(const nvme::Command& command) { return io_traits[command.opcode]; }

}  // namespace weft::nvmf
