// Controller properties: the registers of PCIe, reached by Property Get and Set on fabrics.
//
// NVMe Base 2.0, 3.1.3 "Controller Properties". A register is its raw value and the names of its bits:
//     cc.get(Configuration::iosqes)         Capabilities{}.with(Capabilities::mqes, 127)
#pragma once

#include <concepts>
#include <cstdint>

#include "nvme/bits.h"

namespace weft::nvme {

// Offsets, as in Property Get and Set.
namespace property {
inline constexpr uint32_t cap = 0x00;    // 8 bytes
inline constexpr uint32_t vs = 0x08;
inline constexpr uint32_t intms = 0x0C;  // PCIe only
inline constexpr uint32_t intmc = 0x10;  // PCIe only
inline constexpr uint32_t cc = 0x14;
inline constexpr uint32_t csts = 0x1C;
inline constexpr uint32_t nssr = 0x20;
inline constexpr uint32_t aqa = 0x24;  // PCIe only
inline constexpr uint32_t asq = 0x28;  // 8 bytes, PCIe only
inline constexpr uint32_t acq = 0x30;  // 8 bytes, PCIe only
inline constexpr uint32_t nssd = 0x64;
inline constexpr uint32_t crto = 0x68;

inline constexpr uint32_t nssr_magic = 0x4E564D65;  // "NVMe"
}  // namespace property

template <class Self, std::unsigned_integral Raw>
struct Register {
    Raw raw = 0;

    [[nodiscard]] constexpr Raw get(Bits bits) const { return bits.of(raw); }
    constexpr void set(Bits bits, uint64_t value) { raw = bits.set(raw, value); }
    [[nodiscard]] constexpr Self with(Bits bits, uint64_t value) const {
        Self changed;
        changed.raw = bits.set(raw, value);
        return changed;
    }
    static constexpr Self from(Raw raw) {
        Self made;
        made.raw = raw;
        return made;
    }

    friend constexpr bool operator==(const Register&, const Register&) = default;
};

// CAP.
struct Capabilities : Register<Capabilities, uint64_t> {
    static constexpr Bits mqes{0, 16};  // 0's based
    static constexpr Bits cqr{16, 1};
    static constexpr Bits ams{17, 2};
    static constexpr Bits to{24, 8};  // in 500 ms
    static constexpr Bits dstrd{32, 4};
    static constexpr Bits nssrs{36, 1};
    static constexpr Bits css{37, 8};
    static constexpr Bits bps{45, 1};
    static constexpr Bits cps{46, 2};
    static constexpr Bits mpsmin{48, 4};  // 2 ^ (12 + value)
    static constexpr Bits mpsmax{52, 4};
    static constexpr Bits pmrs{56, 1};
    static constexpr Bits cmbs{57, 1};
    static constexpr Bits nsss{58, 1};
    static constexpr Bits crwms{59, 1};  // CRMS, bit 0
    static constexpr Bits crims{60, 1};  // CRMS, bit 1

    // Bits of CSS.
    static constexpr uint8_t css_nvm = 1u << 0;
    static constexpr uint8_t css_io_command_sets = 1u << 6;
    static constexpr uint8_t css_admin_only = 1u << 7;
};

// VS.
struct Version : Register<Version, uint32_t> {
    static constexpr Bits ter{0, 8};
    static constexpr Bits mnr{8, 8};
    static constexpr Bits mjr{16, 16};

    static constexpr Version of(uint16_t major, uint8_t minor, uint8_t tertiary = 0) {
        return from(uint32_t{major} << 16 | uint32_t{minor} << 8 | tertiary);
    }
};

// CC.
struct Configuration : Register<Configuration, uint32_t> {
    static constexpr Bits en{0, 1};
    static constexpr Bits css{4, 3};
    static constexpr Bits mps{7, 4};
    static constexpr Bits ams{11, 3};
    static constexpr Bits shn{14, 2};
    static constexpr Bits iosqes{16, 4};  // 2 ^ value bytes: 6
    static constexpr Bits iocqes{20, 4};  // 4
    static constexpr Bits crime{24, 1};

    [[nodiscard]] constexpr bool is_enabled() const { return get(en) != 0; }

    static constexpr uint32_t css_nvm = 0;
    static constexpr uint32_t css_io_command_sets = 6;
    static constexpr uint32_t css_admin_only = 7;
    static constexpr uint32_t shn_none = 0;
    static constexpr uint32_t shn_normal = 1;
    static constexpr uint32_t shn_abrupt = 2;
};

// CSTS.
struct ControllerStatus : Register<ControllerStatus, uint32_t> {
    static constexpr Bits rdy{0, 1};
    static constexpr Bits cfs{1, 1};
    static constexpr Bits shst{2, 2};
    static constexpr Bits nssro{4, 1};
    static constexpr Bits pp{5, 1};
    static constexpr Bits st{6, 1};

    [[nodiscard]] constexpr bool is_ready() const { return get(rdy) != 0; }

    static constexpr uint32_t shst_normal = 0;
    static constexpr uint32_t shst_occurring = 1;
    static constexpr uint32_t shst_complete = 2;
};

// CRTO.
struct ReadyTimeouts : Register<ReadyTimeouts, uint32_t> {
    static constexpr Bits crwmt{0, 16};  // in 500 ms
    static constexpr Bits crimt{16, 16};
};

// AQA.
struct AdminQueueAttributes : Register<AdminQueueAttributes, uint32_t> {
    static constexpr Bits asqs{0, 12};  // 0's based
    static constexpr Bits acqs{16, 12};
};

// The entry sizes that every controller and host uses, as powers of two.
inline constexpr uint8_t sqe_size_log2 = 6;
inline constexpr uint8_t cqe_size_log2 = 4;

}  // namespace weft::nvme
