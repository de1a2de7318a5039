// weft io: single commands on a namespace, and a check that it keeps what is written to it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "app/cli/io_session.h"
#include "app/cli/load/stamp.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "base/log.h"

namespace weft::cli {

namespace {

enum class Verb : uint8_t {
    read,
    write,
    verify,
    flush,
    compare,
    write_zeroes,
    unmap,
    copy,
    check,
    compare_write,
    write_uncor,
};

struct VerbInfo {
    Verb verb;
    const char* name;
    const char* text;
};
constexpr VerbInfo verbs[] = {
    {Verb::read, "read", "Read a range: to a file, standard output, or as a hex dump"},
    {Verb::write, "write", "Write a range: from a file, standard input, or with a pattern"},
    {Verb::verify, "verify", "Write a random pattern over a range, read it back, compare. OVERWRITES THE DATA"},
    {Verb::flush, "flush", "Flush the namespace's volatile cache"},
    {Verb::compare, "compare", "Let the controller compare a range with a file or a pattern"},
    {Verb::write_zeroes, "write-zeroes", "Let the controller write zeroes over a range"},
    {Verb::unmap, "unmap", "Deallocate a range (Dataset Management)"},
    {Verb::copy, "copy", "Let the controller copy a range to another place of the namespace"},
    {Verb::check, "check", "Let the controller read a range without sending it (the command Verify)"},
    {Verb::compare_write, "compare-write", "Write a range if it holds what is expected, as one operation (fused)"},
    {Verb::write_uncor, "write-uncor", "Make a range unreadable until it is written (Write Uncorrectable)"},
};

constexpr uint64_t piece_bytes_max = uint64_t{16} << 20;  // of what is held in memory

class IoCommand final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override;
    int run() override {
        return run_session({}, [this](Runtime& runtime) { return execute(runtime); });
    }

private:
    void add_range_options(CLI::App& sub);
    void add_data_options(CLI::App& sub, const char* from);
    Task<int> execute(Runtime& runtime);
    Task<Result<void>> perform(IoSession& session);
    Task<Result<void>> read(IoSession& session);
    Task<Result<void>> write_or_compare(IoSession& session);
    Task<Result<void>> verify(IoSession& session);
    Task<Result<void>> write_stamps(IoSession& session, uint64_t end, uint32_t pass);
    Task<Result<uint64_t>> count_faults(IoSession& session, uint64_t end, uint32_t pass);
    Task<Result<void>> without_data(IoSession& session);
    Task<Result<void>> copy(IoSession& session);
    Task<Result<void>> compare_and_write(IoSession& session);
    // What is to be written or compared: of the file, or the pattern over the range.
    Task<Result<std::vector<std::byte>>> source(const IoSession& session);

    TargetOptions target_;
    Verb verb_ = Verb::read;
    IoOptions io_;
    uint64_t length_ = 0;
    std::string file_;
    std::optional<uint64_t> pattern_;
    uint64_t expected_ = 0;
    uint64_t to_ = 0;
    bool hex_ = false;
    uint32_t passes_ = 1;
};

CLI::App* IoCommand::declare(CLI::App& app) {
    CLI::App* io = app.add_subcommand(
        "io", "Read, write, verify, flush, compare, write zeroes, unmap, copy, check, compare and write");
    io->require_subcommand(1);
    for (const VerbInfo& info : verbs) {
        CLI::App* sub = io->add_subcommand(info.name, info.text);
        sub->callback([this, verb = info.verb] { verb_ = verb; });
        add_target_options(*sub, target_, true);
        sub->add_option("--nsid", io_.nsid, "Namespace")->capture_default_str();
        if (info.verb != Verb::flush) add_range_options(*sub);
        if (info.verb == Verb::write || info.verb == Verb::compare) add_data_options(*sub, "from");
        if (info.verb == Verb::compare_write) {
            sub->add_option("--expected", expected_, "The byte that the range holds throughout: 0x00")
                ->check(CLI::Range(0, 255))
                ->required();
            sub->add_option("--pattern", pattern_, "The byte to write")->check(CLI::Range(0, 255))->required();
        }
        if (info.verb == Verb::copy) {
            sub->add_option("--to", to_, "First byte of where it goes")->transform(CLI::AsSizeValue(false))->required();
        }
        if (info.verb == Verb::read) {
            sub->add_option("--file", file_, "Write to this file; -: standard output");
            sub->add_flag("--hex", hex_, "Print a hex dump (the default without --file)");
        }
        if (info.verb == Verb::verify) {
            sub->add_option("--passes", passes_, "How often")->capture_default_str();
        }
    }
    return io;
}

void IoCommand::add_range_options(CLI::App& sub) {
    sub.add_option("--offset", io_.offset, "First byte; 4K, 1G and so on are understood")
        ->transform(CLI::AsSizeValue(false))
        ->capture_default_str();
    sub.add_option("--length", length_,
                   "Bytes; default: the file's, or one block; verify, write-zeroes and unmap: to "
                   "the end")
        ->transform(CLI::AsSizeValue(false));
    sub.add_option("--io-size", io_.command_bytes, "Bytes a command, at most")
        ->transform(CLI::AsSizeValue(false))
        ->capture_default_str();
    sub.add_option("-q,--queue-depth", io_.depth, "Commands outstanding")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
}

void IoCommand::add_data_options(CLI::App& sub, const char* from) {
    auto* file = sub.add_option("--file", file_, fmt::format("Take the data {} this file; -: standard input", from));
    sub.add_option("--pattern", pattern_, "Take a byte, repeated: 0xa5")->check(CLI::Range(0, 255))->excludes(file);
}

Task<int> IoCommand::execute(Runtime& runtime) {
    auto session = co_await IoSession::open(runtime, target_, io_);
    if (!session) co_return report(session.error(), target_);
    auto outcome = co_await perform(**session);
    co_await (*session)->close();
    if (!outcome) co_return report(outcome.error(), target_);
    co_return exit_ok;
}

Task<Result<void>> IoCommand::perform(IoSession& session) {
    if (io_.offset % session.block_bytes() != 0 || length_ % session.block_bytes() != 0) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("--offset and --length are multiples of the block size, {}", session.block_bytes()));
    }
    if (io_.offset > session.size_bytes() || length_ > session.size_bytes() - io_.offset) {
        co_return fail(Errc::out_of_range, fmt::format("the namespace ends at byte {}", session.size_bytes()));
    }
    switch (verb_) {
        case Verb::read: co_return co_await read(session);
        case Verb::write:
        case Verb::compare: co_return co_await write_or_compare(session);
        case Verb::verify: co_return co_await verify(session);
        case Verb::flush:
        case Verb::write_zeroes:
        case Verb::check:
        case Verb::write_uncor:
        case Verb::unmap: co_return co_await without_data(session);
        case Verb::copy: co_return co_await copy(session);
        case Verb::compare_write: co_return co_await compare_and_write(session);
    }
    co_return Result<void>{};
}

Task<Result<void>> IoCommand::read(IoSession& session) {
    std::vector<std::byte> data(length_ != 0 ? length_ : session.block_bytes());
    WEFT_CO_TRY(co_await session.transfer(nvme::IoOpcode::read, io_.offset, data));
    if (file_.empty() || hex_) print_hex(data, io_.offset);
    if (file_.empty()) co_return Result<void>{};
    co_return write_file(file_, data);
}

Task<Result<std::vector<std::byte>>> IoCommand::source(const IoSession& session) {
    const uint64_t size_max = length_ != 0 ? length_ : session.size_bytes() - io_.offset;
    if (!file_.empty()) {
        // Away from the reactor, which keeps the controller alive meanwhile: a pipe may take its time.
        auto data = co_await offload([path = file_, size_max] { return read_file(path, size_max); });
        if (!data) co_return data;
        if (length_ != 0 && data->size() < length_) {
            co_return fail(Errc::invalid_argument,
                           fmt::format("{} has {} bytes, --length says {}", file_, data->size(), length_));
        }
        // The rest of the last block is zero, as the rest of a file's is.
        data->resize((data->size() + session.block_bytes() - 1) / session.block_bytes() * session.block_bytes());
        co_return data;
    }
    if (!pattern_) {
        co_return fail(Errc::invalid_argument, "what data? --file FILE, --file - (standard input), or --pattern BYTE");
    }
    co_return std::vector<std::byte>(length_ != 0 ? length_ : session.block_bytes(), static_cast<std::byte>(*pattern_));
}

Task<Result<void>> IoCommand::write_or_compare(IoSession& session) {
    auto data = co_await source(session);
    if (!data) co_return std::unexpected(std::move(data).error());
    const bool is_write = verb_ == Verb::write;
    WEFT_CO_TRY(
        co_await session.transfer(is_write ? nvme::IoOpcode::write : nvme::IoOpcode::compare, io_.offset, *data));
    fmt::print("{} {} bytes at offset {}\n", is_write ? "wrote" : "equal:", data->size(), io_.offset);
    co_return Result<void>{};
}

Task<Result<void>> IoCommand::without_data(IoSession& session) {
    if (verb_ == Verb::flush) {
        WEFT_CO_TRY(co_await session.flush());
        fmt::print("flushed\n");
        co_return Result<void>{};
    }
    // What spoils data goes no further than it is told.
    const uint64_t to_the_end = session.size_bytes() - io_.offset;
    const uint64_t by_default = verb_ == Verb::write_uncor ? session.block_bytes() : to_the_end;
    const uint64_t length = length_ != 0 ? length_ : by_default;
    const char* what = nullptr;
    switch (verb_) {
        case Verb::unmap:
            WEFT_CO_TRY(co_await session.unmap(io_.offset, length));
            what = "deallocated";
            break;
        case Verb::check:
            WEFT_CO_TRY(co_await session.on_range(nvme::IoOpcode::verify, io_.offset, length));
            what = "readable:";
            break;
        case Verb::write_uncor:
            WEFT_CO_TRY(co_await session.on_range(nvme::IoOpcode::write_uncorrectable, io_.offset, length));
            what = "unreadable:";
            break;
        default:
            WEFT_CO_TRY(co_await session.write_zeroes(io_.offset, length));
            what = "zeroed";
            break;
    }
    fmt::print("{} {} bytes at offset {}\n", what, length, io_.offset);
    co_return Result<void>{};
}

Task<Result<void>> IoCommand::copy(IoSession& session) {
    const uint64_t length = length_ != 0 ? length_ : session.block_bytes();
    if (to_ % session.block_bytes() != 0) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("--to is a multiple of the block size, {}", session.block_bytes()));
    }
    if (to_ > session.size_bytes() || length > session.size_bytes() - to_) {
        co_return fail(Errc::out_of_range, fmt::format("the namespace ends at byte {}", session.size_bytes()));
    }
    if (to_ < io_.offset + length && io_.offset < to_ + length) {
        co_return fail(Errc::invalid_argument, "--to: the two ranges overlap, which Copy does not do");
    }
    WEFT_CO_TRY(co_await session.copy(io_.offset, to_, length));
    fmt::print("copied {} bytes from offset {} to offset {}\n", length, io_.offset, to_);
    co_return Result<void>{};
}

Task<Result<void>> IoCommand::compare_and_write(IoSession& session) {
    const uint64_t length = length_ != 0 ? length_ : session.block_bytes();
    if (length > uint64_t{65536} * session.block_bytes() || length > piece_bytes_max) {
        co_return fail(Errc::invalid_argument, "--length: one command does it all");
    }
    std::vector<std::byte> expected(length, static_cast<std::byte>(expected_));
    std::vector<std::byte> data(length, static_cast<std::byte>(*pattern_));
    WEFT_CO_TRY(co_await session.compare_and_write(io_.offset, expected, data));
    fmt::print("compared and wrote {} bytes at offset {}\n", length, io_.offset);
    co_return Result<void>{};
}

// In pieces that fit the memory: all are written before the first is read.
Task<Result<void>> IoCommand::verify(IoSession& session) {
    const uint64_t end = length_ != 0 ? io_.offset + length_ : session.size_bytes();
    uint64_t faults = 0;
    for (uint32_t pass = 1; pass <= passes_; ++pass) {
        WEFT_CO_TRY(co_await write_stamps(session, end, pass));
        const Result<uint64_t> found = co_await count_faults(session, end, pass);
        if (!found) co_return std::unexpected(found.error());
        faults += *found;
    }
    if (faults != 0) co_return fail(Errc::io_error, fmt::format("{} blocks did not hold what was written", faults));
    fmt::print("verified {} bytes at offset {}, {} pass{}: all as written\n", end - io_.offset, io_.offset, passes_,
               passes_ == 1 ? "" : "es");
    co_return Result<void>{};
}

Task<Result<void>> IoCommand::write_stamps(IoSession& session, uint64_t end, uint32_t pass) {
    const uint32_t block_bytes = session.block_bytes();
    std::vector<std::byte> data;
    for (uint64_t at = io_.offset; at < end; at += data.size()) {
        data.assign(std::min(end - at, piece_bytes_max), std::byte{0});
        for (size_t offset = 0; offset < data.size(); offset += block_bytes) {
            write_stamp(MutableBytes(data).subspan(offset, block_bytes),
                        {.lba = (at + offset) / block_bytes, .generation = pass, .run = session.run()});
        }
        WEFT_CO_TRY(co_await session.transfer(nvme::IoOpcode::write, at, data));
    }
    co_return Result<void>{};
}

// How many blocks do not hold what this pass wrote; the first ones are told.
Task<Result<uint64_t>> IoCommand::count_faults(IoSession& session, uint64_t end, uint32_t pass) {
    constexpr uint64_t faults_told_max = 20;
    const uint32_t block_bytes = session.block_bytes();
    std::vector<std::byte> data;
    uint64_t faults = 0;
    for (uint64_t at = io_.offset; at < end; at += data.size()) {
        data.assign(std::min(end - at, piece_bytes_max), std::byte{0});
        WEFT_CO_TRY(co_await session.transfer(nvme::IoOpcode::read, at, data));
        for (size_t offset = 0; offset < data.size(); offset += block_bytes) {
            const uint64_t lba = (at + offset) / block_bytes;
            const StampFault fault = check_stamp(MutableBytes(data).subspan(offset, block_bytes),
                                                 {.lba = lba, .generation = pass, .run = session.run()});
            if (fault == StampFault::none || ++faults > faults_told_max) continue;
            fmt::print(stderr, "weft: block {}: {}\n", lba, name_of(fault));
        }
    }
    co_return faults;
}

}  // namespace

std::unique_ptr<Subcommand> make_io() { return std::make_unique<IoCommand>(); }

}  // namespace weft::cli
