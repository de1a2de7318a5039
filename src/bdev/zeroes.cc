#include "bdev/zeroes.h"

#include <array>

namespace weft::bdev {

Bytes zeroes() {
    // Not const, so that it is in .bss: no megabyte in the program file, and the kernel maps its one zero page.
    alignas(65536) static std::array<std::byte, zeroes_bytes> area{};
    return area;
}

}  // namespace weft::bdev
