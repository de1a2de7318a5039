#include "bdev_modules/crypto/crypto_channel.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/assert.h"
#include "base/mutants.h"
#include "bdev/protection/blocks.h"
#include "bdev/zeroes.h"
#include "bdev_modules/crypto/crypto_device.h"

namespace weft::bdev {

namespace {

iovec piece_of(MutableBytes bytes) { return {.iov_base = bytes.data(), .iov_len = bytes.size()}; }

// Nearly always its first word tells.
bool is_blank(Bytes block) {
    while (block.size() >= sizeof(uint64_t)) {
        if (load<uint64_t>(block) != 0) return false;
        block = block.subspan(sizeof(uint64_t));
    }
    return is_zero(block);
}

bool has_blank(std::span<const iovec> pieces, uint64_t blocks, uint32_t block_bytes) {
    DataCursor cursor(pieces);
    for (; blocks > 0; --blocks) {
        bool blank = true;
        for (size_t left = block_bytes; left > 0;) {
            const MutableBytes piece = cursor.next(left);
            left -= piece.size();
            blank = blank && is_blank(piece);
        }
        if (blank) return true;
    }
    return false;
}

}  // namespace

CryptoChannel::CryptoChannel(CryptoDevice& device)
    : StackedChannel(device), device_(device), block_bytes_(device.block_bytes()) {}

CryptoChannel::~CryptoChannel() = default;

Result<void> CryptoChannel::open() {
    WEFT_TRY(open_bases());
    auto channel = device_.framework().channel();
    if (!channel) return std::unexpected(std::move(channel).error());
    accel_ = std::move(*channel);
    WEFT_TRY(accel_->reserve_buffers());
    auto key = accel_->prepare(device_.key(), block_bytes_);
    if (!key) return std::unexpected(std::move(key).error());
    key_ = std::move(*key);
    block_.resize(block_bytes_);
    return {};
}

Progress CryptoChannel::start(Request& request) {
    if (has_parts(request.op)) return start_parts(request);
    if (request.op == Op::read) {
        if (const auto status = read_lent(request)) {
            request.status = *status;
            return Progress::done;
        }
    }
    return forward(request, 0, request.lba);
}

Status CryptoChannel::run(const accel::Job& job) {
    accel::Operation operation;
    operation.job = job;
    const accel::Progress progress = accel_->submit(operation);
    WEFT_ASSERT(progress == accel::Progress::done);  // create_crypto_device() saw to that
    return operation.status == accel::Status::success ? Status::success : Status::failed;
}

// In place or from elsewhere; blank blocks become zeroes.
Status CryptoChannel::decrypt(uint64_t lba, std::span<const iovec> to, std::span<const iovec> from) {
    const uint64_t blocks = accel::bytes_in(from) / block_bytes_;
    if (!has_blank(from, blocks, block_bytes_)) {
        return run(accel::cipher(accel::Op::decrypt, *key_, lba, to, from));
    }
    // Blank ones among them: block by block, which is slow, and seldom for long.
    DataCursor source(from);
    DataCursor target(to);
    const iovec block{.iov_base = block_.data(), .iov_len = block_.size()};
    for (uint64_t at = 0; at < blocks; ++at) {
        take_bytes(source, block_);
        if (!is_blank(block_)) {
            const uint64_t own = mutant::on(mutant::tweak_of_first_block) ? lba : lba + at;
            const Status status = run(accel::cipher(accel::Op::decrypt, *key_, own, {&block, 1}, {&block, 1}));
            if (status != Status::success) return status;
        }
        give_bytes(target, block_);
    }
    return Status::success;
}

// Out of the base's own memory, which does not change until it is given back.
std::optional<Status> CryptoChannel::read_lent(Request& request) {
    if (!device_.base(0)->device().lends(request.blocks)) return std::nullopt;
    Channel& below = base(0);
    const auto lent = below.lend(request.lba, request.blocks);
    if (!lent) return std::nullopt;
    const iovec piece{.iov_base = const_cast<std::byte*>(lent->data()), .iov_len = lent->size()};  // only read
    const Status status = decrypt(request.lba, request.data, {&piece, 1});
    below.count_lent_read(lent->size());
    below.unlend(request.lba, request.blocks);
    return status;
}

// Requests that go through a buffer ---------------------------------------------------------------------------------

Progress CryptoChannel::start_parts(Request& request) {
    if (!has_children(1)) return Progress::retry;
    const uint64_t wanted = request.blocks * block_bytes_;
    const MutableBytes buffer = accel_->take_buffer(std::min<uint64_t>(wanted, accel::large_buffer_bytes));
    if (buffer.empty()) return Progress::retry;
    begin(request);
    new (&extra<Parts>(request))
        Parts{.data = DataCursor(request.data), .buffer = buffer, .lba = request.lba, .blocks = request.blocks};
    do_parts(request);
    return end(request);
}

// One part after another. A base that is done at once does not call this from within itself.
void CryptoChannel::do_parts(Request& request) {
    Parts& parts = extra<Parts>(request);
    parts.is_sending = true;
    while (parts.blocks > 0 && !parts.is_waiting && status_of(request) == Status::success) {
        parts.is_waiting = true;
        send_part(request);
    }
    parts.is_sending = false;
}

void CryptoChannel::send_part(Request& request) {
    Parts& parts = extra<Parts>(request);
    if (!has_children(1)) {
        status_of(request) = Status::no_memory;
        return;
    }
    Child& child = take_child(request, 0);
    uint64_t blocks = std::min<uint64_t>(parts.blocks, parts.buffer.size() / block_bytes_);
    Status status = Status::success;
    if (request.op == Op::compare) {
        child.op = Op::read;
        child.fua = false;
    } else {
        child.op = Op::write;
        status = fill_buffer(request, parts, child, blocks);
    }
    child.lba = parts.lba;
    child.blocks = blocks;
    child.pieces[0] = piece_of(parts.buffer.first(blocks * block_bytes_));
    child.data = std::span<const iovec>(child.pieces).first(1);
    parts.lba += blocks;
    parts.blocks -= blocks;
    if (status != Status::success) {
        // Nothing of it reaches the base: a write of no blocks ends the child.
        status_of(request) = status;
        child.blocks = 0;
        child.data = {};
    }
    send(child);
}

// The next blocks, encrypted, into the buffer: as many as `blocks`, or fewer.
Status CryptoChannel::fill_buffer(Request& request, Parts& parts, Child& child, uint64_t& blocks) {
    std::span<const iovec> source = request.data;
    iovec zero{};
    if (request.op == Op::write_zeroes) {
        zero = {.iov_base = const_cast<std::byte*>(zeroes().data()), .iov_len = blocks * block_bytes_};  // only read
        source = {&zero, 1};
    } else if (blocks < request.blocks) {
        const uint64_t taken = take_pieces(child, parts.data, block_bytes_, blocks);
        if (taken > 0) {
            blocks = taken;
            source = child.data;
        } else {
            // A block in very many pieces: it is brought together first.
            take_bytes(parts.data, parts.buffer.first(blocks * block_bytes_));
            source = {};
        }
    }
    const iovec target = piece_of(parts.buffer.first(blocks * block_bytes_));
    if (source.empty()) source = {&target, 1};
    return run(accel::cipher(accel::Op::encrypt, *key_, parts.lba, {&target, 1}, source));
}

Status CryptoChannel::compare_part(Request& request, const Child& child) {
    const Status status = decrypt(child.lba, child.data, child.data);
    if (status != Status::success) return status;
    DataCursor& data = extra<Parts>(request).data;
    Bytes here(static_cast<const std::byte*>(child.data.front().iov_base), child.data.front().iov_len);
    bool is_same = true;
    while (!here.empty()) {
        const MutableBytes piece = data.next(here.size());
        is_same = is_same && std::memcmp(piece.data(), here.data(), piece.size()) == 0;
        here = here.subspan(piece.size());
    }
    return is_same ? Status::success : Status::miscompare;
}

void CryptoChannel::child_ended(Child& child) {
    Request& request = *child.parent;
    StackedChannel::child_ended(child);
    const bool is_good = child.status == Status::success && status_of(request) == Status::success;
    if (request.op == Op::read && is_good) status_of(request) = decrypt(request.lba, request.data, request.data);
    if (!has_parts(request.op)) return;
    if (request.op == Op::compare && is_good) status_of(request) = compare_part(request, child);
    Parts& parts = extra<Parts>(request);
    parts.is_waiting = false;
    if (!parts.is_sending) do_parts(request);
}

Status CryptoChannel::family_ended(Request& parent, Status status) {
    if (has_parts(parent.op)) accel_->give_buffer(extra<Parts>(parent).buffer);
    return status;
}

}  // namespace weft::bdev
