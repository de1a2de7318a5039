#include "nvme_host/tcp/send_queue.h"

#include <algorithm>

#include "base/crc32c.h"

namespace weft::nvme_host::tcp {

namespace {

le32 digest_of(DataCursor data, size_t left) {
    uint32_t crc = crc32c_seed;
    while (left > 0) {
        const MutableBytes piece = data.piece().first(std::min(data.piece().size(), left));
        crc = crc32c_update(crc, piece);
        data.advance(piece.size());
        left -= piece.size();
    }
    return crc32c_finish(crc);
}

// Fills pieces one after another, leaving out the first `skip` bytes of what is added.
class PieceWriter {
public:
    PieceWriter(std::span<iovec> pieces, size_t skip) : pieces_(pieces), skip_(skip) {}

    [[nodiscard]] bool is_full() const { return used_ == pieces_.size(); }
    [[nodiscard]] size_t used() const { return used_; }
    [[nodiscard]] size_t bytes() const { return bytes_; }

    void add(Bytes bytes) {
        const size_t skipped = std::min(skip_, bytes.size());
        skip_ -= skipped;
        bytes = bytes.subspan(skipped);
        if (bytes.empty() || is_full()) return;
        // sendmsg does not write through it.
        pieces_[used_++] = {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
        bytes_ += bytes.size();
    }

    void add(DataCursor data, size_t size) {
        const size_t skipped = std::min(skip_, size);
        data.advance(skipped);
        skip_ -= skipped;
        size -= skipped;
        while (size > 0 && !is_full()) {
            const MutableBytes piece = data.piece().first(std::min(data.piece().size(), size));
            add(piece);
            data.advance(piece.size());
            size -= piece.size();
        }
        has_left_out_ = size > 0;
    }

    // No room for all of the data: what comes after it must not be added.
    [[nodiscard]] bool has_left_out() const { return has_left_out_; }

private:
    std::span<iovec> pieces_;
    size_t skip_;
    size_t used_ = 0;
    size_t bytes_ = 0;
    bool has_left_out_ = false;
};

}  // namespace

SendQueue::Gathered SendQueue::gather(std::span<iovec> pieces, size_t bytes_max) {
    Gathered gathered;
    for (Outgoing* pdu = pdus_.front(); pdu != nullptr; pdu = decltype(pdus_)::next(*pdu)) {
        if (gathered.pieces == pieces.size() || gathered.bytes >= bytes_max) break;
        if (pdu->has_digest && !pdu->is_digest_made) {
            pdu->digest = digest_of(pdu->data, pdu->data_size);
            pdu->is_digest_made = true;
        }
        PieceWriter writer(pieces.subspan(gathered.pieces), pdu->sent);
        writer.add(Bytes(pdu->header).first(pdu->header_size));
        if (pdu->data_size != 0) writer.add(pdu->data, pdu->data_size);
        if (pdu->has_digest && !writer.has_left_out()) writer.add(bytes_of(pdu->digest));
        gathered.pieces += writer.used();
        gathered.bytes += writer.bytes();
        if (pdu->sent + writer.bytes() < pdu->size()) break;  // no room for the rest of it
    }
    return gathered;
}

void SendQueue::sent(size_t bytes) {
    for (Outgoing* pdu = pdus_.front(); bytes > 0; pdu = decltype(pdus_)::next(*pdu)) {
        WEFT_ASSERT(pdu != nullptr);
        const size_t count = std::min<size_t>(bytes, pdu->size() - pdu->sent);
        pdu->sent += static_cast<uint32_t>(count);
        bytes -= count;
    }
}

Outgoing* SendQueue::pop_gone() {
    Outgoing* pdu = pdus_.front();
    if (pdu == nullptr || pdu->sent < pdu->size()) return nullptr;
    pdus_.remove(*pdu);
    return pdu;
}

}  // namespace weft::nvme_host::tcp
