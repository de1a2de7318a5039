// The commands of IoSession that are not in every controller.
#include <fmt/format.h>

#include <algorithm>

#include "app/cli/io_session.h"
#include "nvme_host/admin.h"
#include "nvme_host/status_error.h"

namespace weft::cli {

Task<Result<void>> IoSession::copy(uint64_t from, uint64_t to, uint64_t length) {
    if ((controller_->identity().oncs & nvme::oncs::copy) == 0) {
        co_return fail(Errc::not_supported, "the controller has no Copy (ONCS)");
    }
    const auto ns = co_await nvme_host::identify_namespace(*controller_, options_.nsid);
    if (!ns) co_return std::unexpected(ns.error());
    const uint64_t blocks_max = std::min<uint64_t>(ns->mssrl, ns->mcl);
    if (blocks_max == 0) co_return fail(Errc::protocol_error, "the namespace tells no limits of Copy (MSSRL, MCL)");
    while (length > 0) {
        const uint64_t blocks = std::min(length / block_bytes_, blocks_max);
        nvme::CopySourceRange range;
        range.slba = from / block_bytes_;
        range.block_count = static_cast<uint16_t>(blocks - 1);
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(nvme::IoOpcode::copy);
        command.set_lba_range(to / block_bytes_, 1);
        command.cdw12 = 0;  // one range, 0's based, of format 0
        WEFT_CO_TRY(co_await execute(
            fmt::format("copying {} blocks from block {} to block {}", blocks, from / block_bytes_, to / block_bytes_),
            command, std::as_writable_bytes(std::span(&range, 1))));
        from += blocks * block_bytes_;
        to += blocks * block_bytes_;
        length -= blocks * block_bytes_;
    }
    co_return Result<void>{};
}

Task<Result<void>> IoSession::on_range(nvme::IoOpcode opcode, uint64_t offset, uint64_t length) {
    const uint64_t command_bytes_max = uint64_t{65536} * block_bytes_;
    while (length > 0) {
        const uint64_t bytes = std::min(length, command_bytes_max);
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(opcode);
        command.set_lba_range(offset / block_bytes_, static_cast<uint32_t>(bytes / block_bytes_));
        WEFT_CO_TRY(co_await execute(
            fmt::format("{} at block {}", opcode == nvme::IoOpcode::verify ? "verifying" : "writing uncorrectable",
                        offset / block_bytes_),
            command, {}));
        offset += bytes;
        length -= bytes;
    }
    co_return Result<void>{};
}

Task<Result<void>> IoSession::compare_and_write(uint64_t offset, MutableBytes expected, MutableBytes data) {
    if ((controller_->identity().fuses & nvme::fuses::compare_and_write) == 0) {
        co_return fail(Errc::not_supported, "the controller has no fused Compare and Write (FUSES)");
    }
    struct Half {
        nvme_host::Io io;
        iovec memory{};
    };
    Half compare;
    Half write;
    int left = 2;
    WaitList done;
    struct Progress {
        int* left;
        WaitList* done;
    } progress{&left, &done};
    const auto prepare = [&](Half& half, nvme::IoOpcode opcode, nvme::Fuse fuse, MutableBytes bytes) {
        half.memory = {.iov_base = bytes.data(), .iov_len = bytes.size()};
        half.io.command.opcode = static_cast<uint8_t>(opcode);
        half.io.command.nsid = options_.nsid;
        half.io.command.set_fuse(fuse);
        half.io.command.set_lba_range(offset / block_bytes_, static_cast<uint32_t>(bytes.size() / block_bytes_));
        half.io.data = {&half.memory, 1};
        half.io.context = &progress;
        half.io.done = [](nvme_host::Io& io) {
            const auto& waiting = *static_cast<Progress*>(io.context);
            if (--*waiting.left == 0) waiting.done->wake_all();
        };
    };
    prepare(compare, nvme::IoOpcode::compare, nvme::Fuse::first, expected);
    prepare(write, nvme::IoOpcode::write, nvme::Fuse::second, data);
    qpair_->submit(compare.io);
    qpair_->submit(write.io);
    while (left > 0) co_await done.wait();
    if (const Error* lost = qpair_->failure()) co_return std::unexpected(*lost);
    const auto where = fmt::format("at block {}", offset / block_bytes_);
    // Of a pair one half says why, and the other that the first has failed.
    const bool is_writes = compare.io.status().is(nvme::status::aborted_failed_fused);
    if (!compare.io.is_success() && !is_writes) {
        co_return std::unexpected(nvme_host::status_error("comparing " + where, compare.io.completion));
    }
    if (!write.io.is_success()) {
        co_return std::unexpected(nvme_host::status_error("writing " + where, write.io.completion));
    }
    co_return Result<void>{};
}

}  // namespace weft::cli
