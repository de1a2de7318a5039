#include "journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace weft::checker {

namespace {

constexpr uint32_t version = 1;

enum class Type : uint8_t { head = 1, last, settled, issue, acknowledge, refuse, flush, acknowledge_flush, end_host };

bool write_all(int fd, Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        bytes = bytes.subspan(static_cast<size_t>(count));
    }
    return true;
}

}  // namespace

struct Journal::Record {
    uint32_t crc = 0;  // of what follows
    Type type{};
    uint8_t kind = 0;
    uint8_t flags = 0;
    uint8_t host = 0;
    uint64_t number = 0;  // sequence, flush or run
    uint64_t lba = 0;
    uint32_t count = 0;
    uint32_t round = 0;
    uint32_t index = 0;
    uint32_t extra = 0;
    uint64_t seed = 0;

    [[nodiscard]] uint32_t right_crc() const { return crc32c(bytes_of(*this).subspan(sizeof(crc))); }

    static Record of_head(const JournalHead& head) {
        return {.type = Type::head,
                .kind = static_cast<uint8_t>(head.mode),
                .host = static_cast<uint8_t>(head.host_count),
                .number = head.run,
                .lba = head.first_lba,
                .count = static_cast<uint32_t>(head.block_count),
                .index = head.block_bytes,
                .extra = version,
                .seed = head.seed};
    }
};

Result<std::unique_ptr<Journal>> Journal::create(const std::string& path, const JournalHead& head) {
    const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return fail_errno(errno, fmt::format("creating {}", path));
    std::unique_ptr<Journal> journal(new Journal(path, fd));
    journal->append(Record::of_head(head));
    return journal;
}

// What a journal makes of a model, record by record.
struct Journal::Replay {
    const std::string& path;
    JournalHead& head;
    std::unique_ptr<Model>& model;
    // The journal numbers commands as its process did; the model gives numbers of its own, which must be the same.
    std::unordered_map<uint64_t, uint64_t> flushes;

    Result<void> begin(const Record& record) {
        if (record.extra != version) {
            return fail(Errc::protocol_error, fmt::format("{} is of another version", path));
        }
        head = {.run = record.number,
                .first_lba = record.lba,
                .block_count = record.count,
                .block_bytes = record.index,
                .mode = static_cast<Mode>(record.kind),
                .host_count = record.host,
                .seed = record.seed};
        model = std::make_unique<Model>(head.mode, head.run, head.first_lba, head.block_count, head.block_bytes);
        return {};
    }
    Result<void> issue(const Record& record) {
        const uint64_t sequence = model->issue({.lba = record.lba,
                                                .count = record.count,
                                                .host = record.host,
                                                .kind = static_cast<Kind>(record.kind),
                                                .fua = record.flags != 0});
        if (sequence == record.number) return {};
        return fail(Errc::protocol_error, fmt::format("{} has a gap before write {}", path, record.number));
    }
    Result<void> take(const Record& record) {
        if ((record.type == Type::head) != (model == nullptr)) {
            return fail(Errc::protocol_error, fmt::format("{} is no journal of the checker", path));
        }
        switch (record.type) {
            case Type::head: return begin(record);
            case Type::issue: return issue(record);
            case Type::last: model->set_last(record.number, record.round); break;
            case Type::settled:
                model->restore(record.lba, {.sequence = record.number,
                                            .round = record.round,
                                            .index = record.index,
                                            .count = record.count,
                                            .kind = static_cast<Kind>(record.kind)});
                break;
            case Type::acknowledge: model->acknowledge(record.number); break;
            case Type::refuse: model->refuse(record.number); break;
            case Type::flush: flushes[record.number] = model->issue_flush(); break;
            case Type::acknowledge_flush:
                if (const auto found = flushes.find(record.number); found != flushes.end()) {
                    model->acknowledge_flush(found->second);
                    flushes.erase(found);
                }
                break;
            case Type::end_host: model->end_host(record.host); break;
        }
        return {};
    }
};

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, JournalHead& head,
                                               std::unique_ptr<Model>& model) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return fail_errno(errno, fmt::format("opening {}", path));
    std::unique_ptr<Journal> journal(new Journal(path, fd));
    Replay replay{.path = path, .head = head, .model = model};
    std::vector<Record> records(4096);
    off_t good = 0;
    for (bool more = true; more;) {
        const ssize_t count = ::pread(fd, records.data(), records.size() * sizeof(Record), good);
        if (count < 0) return fail_errno(errno, fmt::format("reading {}", path));
        const size_t whole = static_cast<size_t>(count) / sizeof(Record);
        more = whole == records.size();
        for (const Record& record : std::span(records).first(whole)) {
            if (record.crc != record.right_crc()) {
                more = false;
                break;
            }
            WEFT_TRY(replay.take(record));
            good += static_cast<off_t>(sizeof(Record));
        }
    }
    if (model == nullptr) return fail(Errc::protocol_error, fmt::format("{} is empty", path));
    if (::ftruncate(fd, good) != 0) return fail_errno(errno, fmt::format("cutting {}", path));
    if (::lseek(fd, good, SEEK_SET) < 0) return fail_errno(errno, fmt::format("seeking in {}", path));
    return journal;
}

Journal::~Journal() { ::close(fd_); }

void Journal::append(Record record) const {
    record.crc = record.right_crc();
    if (!write_all(fd_, bytes_of(record))) {
        std::perror("weft-checker: writing the journal");
        std::_Exit(2);
    }
}

void Journal::issue(const Write& write) {
    append({.type = Type::issue,
            .kind = static_cast<uint8_t>(write.kind),
            .flags = write.fua ? uint8_t{1} : uint8_t{0},
            .host = static_cast<uint8_t>(write.host),
            .number = write.sequence,
            .lba = write.lba,
            .count = write.count});
}

void Journal::acknowledge(uint64_t sequence) { append({.type = Type::acknowledge, .number = sequence}); }
void Journal::refuse(uint64_t sequence) { append({.type = Type::refuse, .number = sequence}); }
void Journal::flush(uint64_t flush_id) { append({.type = Type::flush, .number = flush_id}); }
void Journal::acknowledge_flush(uint64_t flush_id) { append({.type = Type::acknowledge_flush, .number = flush_id}); }
void Journal::end_host(uint32_t host) { append({.type = Type::end_host, .host = static_cast<uint8_t>(host)}); }

Result<void> Journal::snapshot(const JournalHead& head, const Model& model) {
    const std::string fresh = path_ + ".new";
    auto next = create(fresh, head);
    if (!next) return std::unexpected(std::move(next).error());
    std::vector<Record> records;
    records.push_back({.type = Type::last, .number = model.last_sequence(), .round = model.round()});
    for (uint64_t lba = model.first(); lba < model.first() + model.block_count(); ++lba) {
        for (const Model::Candidate& one : model.candidates(lba)) {
            records.push_back({.type = Type::settled,
                               .kind = static_cast<uint8_t>(one.kind),
                               .number = one.sequence,
                               .lba = lba,
                               .count = one.count,
                               .round = one.round,
                               .index = one.index});
        }
    }
    for (Record& record : records) record.crc = record.right_crc();
    if (!write_all((*next)->fd_, std::as_bytes(std::span(records))) || ::fdatasync((*next)->fd_) != 0 ||
        ::rename(fresh.c_str(), path_.c_str()) != 0) {
        return fail_errno(errno, fmt::format("writing {}", fresh));
    }
    std::swap(fd_, (*next)->fd_);
    return {};
}

}  // namespace weft::checker
