// Raw deflate (RFC 1951) by isa-l. What is decompressed may be anything: no more is read than there is, and no more
// written than the destination holds.
#pragma once

#include <memory>

#include "accel/operation.h"

namespace weft::accel {

// Of one thread. Its memory, some 700 KiB, is taken at the first use.
class Deflate {
public:
    Deflate();
    Deflate(const Deflate&) = delete;
    Deflate& operator=(const Deflate&) = delete;
    ~Deflate();

    // `made`: how many bytes of `to` were written. Status: no_space, no_memory.
    Status compress(uint8_t level, std::span<const iovec> to, std::span<const iovec> from, uint64_t& made);
    // What follows the end of the stream is not looked at: blocks are filled up. Status: bad_data, no_space, no_memory.
    Status decompress(std::span<const iovec> to, std::span<const iovec> from, uint64_t& made);

private:
    struct Deflating;
    struct Inflating;
    std::unique_ptr<Deflating> deflating_;
    std::unique_ptr<Inflating> inflating_;
};

}  // namespace weft::accel
