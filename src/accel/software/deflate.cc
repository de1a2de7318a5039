#include "accel/software/deflate.h"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <new>

namespace weft::accel {

namespace {

// Hands pieces to the library one after another; it counts in 32 bits.
class Feed {
public:
    explicit Feed(std::span<const iovec> pieces) : rest_(pieces) { skip_empty(); }

    [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
    // The next stretch, behind the last one. Not at the end.
    std::span<uint8_t> next() {
        constexpr size_t bytes_max = size_t{1} << 30;
        const iovec& piece = rest_.front();
        const size_t bytes = std::min(piece.iov_len - used_, bytes_max);
        const std::span<uint8_t> stretch(static_cast<uint8_t*>(piece.iov_base) + used_, bytes);
        used_ += bytes;
        skip_empty();
        return stretch;
    }

private:
    void skip_empty() {
        while (!rest_.empty() && used_ == rest_.front().iov_len) {
            rest_ = rest_.subspan(1);
            used_ = 0;
        }
    }
    std::span<const iovec> rest_;
    size_t used_ = 0;  // of the first of them
};

constexpr std::array<uint32_t, compress_level_max + 1> level_bytes = {ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT,
                                                                      ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT};

// Gives `stream` the next stretches of what it has used up.
template <class Stream>
void feed_input(Stream& stream, Feed& source) {
    const std::span<uint8_t> stretch = source.next();
    stream.next_in = stretch.data();
    stream.avail_in = static_cast<uint32_t>(stretch.size());
}
template <class Stream>
void feed_output(Stream& stream, Feed& target) {
    const std::span<uint8_t> stretch = target.next();
    stream.next_out = stretch.data();
    stream.avail_out = static_cast<uint32_t>(stretch.size());
}

}  // namespace

struct Deflate::Deflating {
    isal_zstream stream;
    std::array<uint8_t, *std::ranges::max_element(level_bytes)> level_memory;
};
struct Deflate::Inflating {
    inflate_state state;
};

Deflate::Deflate() = default;
Deflate::~Deflate() = default;

Status Deflate::compress(uint8_t level, std::span<const iovec> to, std::span<const iovec> from, uint64_t& made) {
    made = 0;
    if (deflating_ == nullptr) deflating_.reset(new (std::nothrow) Deflating);
    if (deflating_ == nullptr) return Status::no_memory;
    isal_zstream& stream = deflating_->stream;
    isal_deflate_init(&stream);
    stream.level = level;
    stream.level_buf = deflating_->level_memory.data();
    stream.level_buf_size = level_bytes[level];
    stream.flush = NO_FLUSH;
    stream.avail_in = 0;
    stream.avail_out = 0;
    Feed source(from);
    Feed target(to);
    for (;;) {
        if (stream.avail_in == 0 && !source.is_at_end()) feed_input(stream, source);
        if (stream.avail_out == 0) {
            if (target.is_at_end()) return Status::no_space;
            feed_output(stream, target);
        }
        stream.end_of_stream = source.is_at_end() ? 1 : 0;
        const uint32_t room = stream.avail_out;
        if (isal_deflate(&stream) != COMP_OK) return Status::failed;
        made += room - stream.avail_out;
        if (stream.internal_state.state == ZSTATE_END) return Status::success;
    }
}

Status Deflate::decompress(std::span<const iovec> to, std::span<const iovec> from, uint64_t& made) {
    made = 0;
    if (inflating_ == nullptr) inflating_.reset(new (std::nothrow) Inflating);
    if (inflating_ == nullptr) return Status::no_memory;
    inflate_state& state = inflating_->state;
    isal_inflate_init(&state);
    state.avail_in = 0;
    state.avail_out = 0;
    Feed source(from);
    Feed target(to);
    for (;;) {
        bool is_fed = false;
        if (state.avail_in == 0 && !source.is_at_end()) {
            feed_input(state, source);
            is_fed = true;
        }
        if (state.avail_out == 0 && !target.is_at_end()) {
            feed_output(state, target);
            is_fed = true;
        }
        const uint32_t input = state.avail_in;
        const uint32_t room = state.avail_out;
        if (isal_inflate(&state) < 0) return Status::bad_data;
        made += room - state.avail_out;
        if (state.block_state == ISAL_BLOCK_FINISH) return Status::success;
        // It goes as far as it can. When nothing moved, nothing will.
        if (!is_fed && state.avail_in == input && state.avail_out == room) {
            return state.avail_out == 0 ? Status::no_space : Status::bad_data;
        }
    }
}

}  // namespace weft::accel
