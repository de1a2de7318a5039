#include "app/cli/io_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <deque>

#include "app/cli/identify_fields.h"
#include "env/environment.h"
#include "nvme_host/status_error.h"

namespace weft::cli {

namespace {

const char* verb_of(nvme::IoOpcode opcode) {
    switch (opcode) {
        case nvme::IoOpcode::read: return "reading";
        case nvme::IoOpcode::write: return "writing";
        case nvme::IoOpcode::compare: return "comparing";
        case nvme::IoOpcode::write_zeroes: return "zeroing";
        case nvme::IoOpcode::verify: return "verifying";
        case nvme::IoOpcode::write_uncorrectable: return "spoiling";
        default: return "commanding";
    }
}

}  // namespace

Task<Result<std::unique_ptr<IoSession>>> IoSession::open(Runtime& runtime, const TargetOptions& target,
                                                         const IoOptions& options) {
    auto controller_with = controller_options(target, runtime.environment(), "");
    if (!controller_with) co_return std::unexpected(std::move(controller_with).error());
    controller_with->io_queue_max = 1;
    controller_with->io_depth = options.depth;
    controller_with->io_timeout = controller_with->admin_timeout;
    auto group = nvme_host::tcp::ConnectionGroup::create(Thread::current());
    if (!group) co_return std::unexpected(std::move(group).error());
    auto controller = co_await nvme_host::Controller::connect(**group, std::move(*controller_with));
    if (!controller) co_return std::unexpected(std::move(controller).error());
    std::unique_ptr<IoSession> session(new IoSession(std::move(*group), std::move(*controller), options));
    auto prepared = co_await session->prepare(runtime);
    if (!prepared) {
        co_await session->close();
        co_return std::unexpected(std::move(prepared).error());
    }
    co_return session;
}

IoSession::~IoSession() { WEFT_ASSERT(controller_ == nullptr); }

Task<void> IoSession::close() {
    co_await controller_->disconnect();
    controller_.reset();
}

Task<Result<void>> IoSession::prepare(Runtime& runtime) {
    runtime.environment().random().fill(bytes_of(run_));
    const auto data = co_await nvme_host::identify_namespace(*controller_, options_.nsid);
    if (!data) co_return std::unexpected(data.error());
    const BlockFormat format = block_format(*data);
    if (data->nsze == 0) {
        co_return fail(Errc::no_such_device, fmt::format("there is no active namespace {}", options_.nsid));
    }
    if (format.block_bytes == 0 || format.metadata_bytes != 0) {
        co_return fail(Errc::not_supported, fmt::format("namespace {} has blocks of {} bytes with {} of metadata, "
                                                        "which weft io does not do",
                                                        options_.nsid, format.block_bytes, format.metadata_bytes));
    }
    block_bytes_ = format.block_bytes;
    size_bytes_ = data->nsze * block_bytes_;
    auto qpair = co_await controller_->create_io_qpair(*group_);
    if (!qpair) co_return std::unexpected(std::move(qpair).error());
    qpair_ = *qpair;
    co_return Result<void>{};
}

Task<Result<void>> IoSession::transfer(nvme::IoOpcode opcode, uint64_t offset, MutableBytes data) {
    struct Piece {
        nvme_host::Io io;
        iovec memory{};
    };
    const uint64_t command_bytes_max =
        std::min<uint64_t>(controller_->transfer_bytes_max(), uint64_t{65536} * block_bytes_);
    const uint64_t command_bytes =
        std::max<uint64_t>(std::min(options_.command_bytes, command_bytes_max) / block_bytes_, 1) * block_bytes_;
    std::deque<Piece> pieces;
    struct Progress {
        size_t left = 0;
        WaitList done;
    } progress;
    for (uint64_t at = 0; at < data.size(); at += command_bytes) {
        const MutableBytes bytes = data.subspan(at, std::min<uint64_t>(command_bytes, data.size() - at));
        Piece& piece = pieces.emplace_back();
        piece.memory = {.iov_base = bytes.data(), .iov_len = bytes.size()};
        piece.io.data = {&piece.memory, 1};
        piece.io.command.opcode = static_cast<uint8_t>(opcode);
        piece.io.command.nsid = options_.nsid;
        piece.io.command.set_lba_range((offset + at) / block_bytes_,
                                       static_cast<uint32_t>(bytes.size() / block_bytes_));
        piece.io.context = &progress;
        piece.io.done = [](nvme_host::Io& io) {
            auto& all = *static_cast<Progress*>(io.context);
            if (--all.left == 0) all.done.wake_all();
        };
    }
    progress.left = pieces.size();
    for (Piece& piece : pieces) qpair_->submit(piece.io);  // beyond its depth they wait inside
    while (progress.left > 0) co_await progress.done.wait();

    for (const Piece& piece : pieces) {
        if (piece.io.is_success()) continue;
        if (const Error* lost = qpair_->failure()) co_return std::unexpected(*lost);
        co_return std::unexpected(
            nvme_host::status_error(fmt::format("{} {} blocks at block {}", verb_of(opcode),
                                                piece.io.command.block_count(), piece.io.command.slba()),
                                    piece.io.completion));
    }
    co_return Result<void>{};
}

Task<Result<void>> IoSession::execute(std::string what, nvme::Command command, MutableBytes data) {
    const iovec memory{.iov_base = data.data(), .iov_len = data.size()};
    nvme_host::Io io;
    command.nsid = options_.nsid;
    io.command = command;
    if (!data.empty()) io.data = {&memory, 1};
    co_await nvme_host::Execute(*qpair_, io);
    if (io.is_success()) co_return Result<void>{};
    if (const Error* lost = qpair_->failure()) co_return std::unexpected(*lost);
    co_return std::unexpected(nvme_host::status_error(what, io.completion));
}

Task<Result<void>> IoSession::write_zeroes(uint64_t offset, uint64_t length) {
    const uint64_t command_bytes_max = uint64_t{65536} * block_bytes_;
    while (length > 0) {
        const uint64_t bytes = std::min(length, command_bytes_max);
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(nvme::IoOpcode::write_zeroes);
        command.set_lba_range(offset / block_bytes_, static_cast<uint32_t>(bytes / block_bytes_));
        WEFT_CO_TRY(co_await execute(fmt::format("zeroing at block {}", offset / block_bytes_), command, {}));
        offset += bytes;
        length -= bytes;
    }
    co_return Result<void>{};
}

Task<Result<void>> IoSession::unmap(uint64_t offset, uint64_t length) {
    while (length > 0) {
        const uint64_t blocks = std::min<uint64_t>(length / block_bytes_, 0xFFFFFFFF);
        nvme::DatasetManagementRange range{
            .attributes = 0, .block_count = static_cast<uint32_t>(blocks), .slba = offset / block_bytes_};
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(nvme::IoOpcode::dataset_management);
        command.cdw10 = 0;  // one range, 0's based
        command.cdw11 = nvme::dataset_management::deallocate;
        WEFT_CO_TRY(
            co_await execute(fmt::format("deallocating at block {}", offset / block_bytes_), command, bytes_of(range)));
        offset += blocks * block_bytes_;
        length -= blocks * block_bytes_;
    }
    co_return Result<void>{};
}

Task<Result<void>> IoSession::flush() {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(nvme::IoOpcode::flush);
    co_return co_await execute("flushing", command, {});
}

namespace {

struct FileCloser {
    void operator()(std::FILE* file) const {
        if (file != stdin && file != stdout) std::fclose(file);
    }
};
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t size_max) {
    const FileHandle file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
    if (file == nullptr) return fail_errno(errno, fmt::format("opening {}", path));
    std::vector<std::byte> data;
    constexpr size_t step = 1 << 20;
    for (;;) {
        const size_t size = data.size();
        data.resize(size + step);
        const size_t count = std::fread(data.data() + size, 1, step, file.get());
        data.resize(size + count);
        if (data.size() > size_max) {
            return fail(Errc::out_of_range, fmt::format("{} has more than the {} bytes of the range", path, size_max));
        }
        if (count < step) break;
    }
    if (std::ferror(file.get()) != 0) return fail(Errc::io_error, fmt::format("reading {}", path));
    return data;
}

Result<void> write_file(const std::string& path, Bytes data) {
    const FileHandle file(path == "-" ? stdout : std::fopen(path.c_str(), "wb"));
    if (file == nullptr) return fail_errno(errno, fmt::format("opening {}", path));
    const bool is_written = std::fwrite(data.data(), 1, data.size(), file.get()) == data.size();
    if (!is_written || std::fflush(file.get()) != 0) return fail_errno(errno, fmt::format("writing {}", path));
    return {};
}

void print_hex(Bytes data, uint64_t offset) {
    constexpr size_t width = 16;
    bool is_repeating = false;
    for (size_t at = 0; at < data.size(); at += width) {
        const Bytes line = data.subspan(at, std::min(width, data.size() - at));
        if (at != 0 && line.size() == width && std::ranges::equal(line, data.subspan(at - width, width))) {
            if (!is_repeating) fmt::print("*\n");
            is_repeating = true;
            continue;
        }
        is_repeating = false;
        std::string hex;
        std::string text;
        for (size_t column = 0; column < line.size(); ++column) {
            const auto byte = std::to_integer<unsigned char>(line[column]);
            hex += fmt::format("{}{:02x} ", column == width / 2 ? " " : "", byte);
            text += byte >= 0x20 && byte < 0x7F ? static_cast<char>(byte) : '.';
        }
        fmt::print("{:08x}  {:<49} |{}|\n", offset + at, hex, text);
    }
    fmt::print("{:08x}\n", offset + data.size());
}

}  // namespace weft::cli
