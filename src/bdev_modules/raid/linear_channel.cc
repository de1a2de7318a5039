#include "bdev_modules/raid/linear_channel.h"

#include <algorithm>

namespace weft::bdev {

Progress LinearChannel::start(Request& request) {
    if (request.op == Op::flush) return cut_range(request);
    const RaidLayout::Run run = layout().locate(request.lba);
    if (request.blocks <= run.blocks) return forward(request, run.base, on_base(run.base, run.lba));
    return has_data(request.op) ? cut_data(request) : cut_range(request);
}

// Without data: what a base has of the range lies together there.
Progress LinearChannel::cut_range(Request& request) {
    if (!has_children(bases())) return Progress::retry;
    begin(request);
    for (size_t base = 0; base < bases(); ++base) {
        const RaidLayout::Run part = request.op == Op::flush ? RaidLayout::Run{.base = base}
                                                             : layout().part_of(base, request.lba, request.blocks);
        if (request.op != Op::flush && part.blocks == 0) continue;
        Child& child = take_child(request, base);
        child.lba = on_base(base, part.lba);
        child.blocks = part.blocks;
        send(child);
    }
    return end(request);
}

// Strips that follow each other on a base go there together, as far as a child has room for their pieces.
Progress LinearChannel::cut_data(Request& request) {
    const uint64_t strip = layout().strip_blocks();
    const uint64_t runs = layout().level() == RaidLevel::concat
                              ? bases()
                              : (request.lba + request.blocks - 1) / strip - request.lba / strip + 1;
    const size_t children = std::min<uint64_t>(bases(), runs) + (request.data.size() + runs) / 6 + 1;
    if (children > children_max) {
        request.status = Status::failed;
        return Progress::done;
    }
    if (!has_children(children)) return Progress::retry;
    begin(request);
    DataCursor cursor(request.data);
    uint64_t lba = request.lba;
    for (uint64_t rest = request.blocks; rest > 0;) {
        RaidLayout::Run run = layout().locate(lba);
        run.blocks = std::min(run.blocks, rest);
        if (!add_run(request, run, cursor)) {
            status_of(request) = Status::failed;
            break;
        }
        lba += run.blocks;
        rest -= run.blocks;
    }
    for (size_t base = 0; base < bases(); ++base) close(base);
    return end(request);
}

// False when the data are in crumbs.
bool LinearChannel::add_run(Request& request, const RaidLayout::Run& run, DataCursor& cursor) {
    const uint64_t bytes = run.blocks * raid().block_bytes();
    size_t pieces = 0;
    DataCursor ahead = cursor;
    for (uint64_t rest = bytes; rest > 0 && pieces <= Child::pieces_max; ++pieces) rest -= ahead.next(rest).size();

    Open& open = open_[run.base];
    if (open.pieces + pieces > Child::pieces_max) close(run.base);
    if (pieces > Child::pieces_max) return send_run(request, run.base, run.lba, run.blocks, cursor, 0, false);
    if (open.child == nullptr) {
        open.child = &take_child(request, run.base);
        open.child->lba = on_base(run.base, run.lba);
        open.child->blocks = 0;
    }
    for (uint64_t rest = bytes; rest > 0;) {
        const MutableBytes piece = cursor.next(rest);
        open.child->pieces[open.pieces++] = {.iov_base = piece.data(), .iov_len = piece.size()};
        rest -= piece.size();
    }
    open.child->blocks += run.blocks;
    return true;
}

void LinearChannel::close(size_t base) {
    Open& open = open_[base];
    if (open.child == nullptr) return;
    open.child->data = std::span<const iovec>(open.child->pieces).first(open.pieces);
    Child& child = *std::exchange(open.child, nullptr);
    open.pieces = 0;
    send(child);
}

}  // namespace weft::bdev
