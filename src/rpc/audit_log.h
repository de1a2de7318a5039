// Who changed what: a line of JSON for each call that does more than ask, and for each that was refused.
//
//   {"time":"2026-11-21T09:41:12.123456Z","who":"CN=alice","address":"192.0.2.7:40112","role":"operate",
//    "method":"bdev_null_create","params":{"name":"N0"},"code":0}
//
// Lines are appended away from the reactors, in the order in which calls end, and are on the medium soon after; no call
// waits for them. When they cannot be written they are lost: that is logged, now and then, and counted.
// Lives on one thread (app_thread).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "env/environment.h"
#include "reactor/task.h"
#include "rpc/caller.h"
#include "rpc/json_fwd.h"

namespace weft::rpc {

class AuditLog {
public:
    static constexpr size_t waiting_bytes_max = size_t{4} << 20;
    static constexpr size_t params_bytes_max = 4096;  // larger ones are told by their size
    static constexpr size_t text_bytes_max = 256;  // of one string among them, the same
    static constexpr env::TimeNs complaint_pause = 10 * env::ns_per_s;

    // Made, mode 0600, if it is not there. Errors: those of Files::open; invalid_argument for a symbolic link.
    static Task<Result<std::unique_ptr<AuditLog>>> open(std::string path);
    AuditLog(const AuditLog&) = delete;
    AuditLog& operator=(const AuditLog&) = delete;
    // After close().
    ~AuditLog();

    // A call that ended; `code` is 0 when it did what it should.
    void note(const Caller& who, std::string_view method, const Json& params, int code);
    // Goes on in the file that has the name now: after log rotation. Errors: as of open(); the old file stays in use.
    Task<Result<void>> reopen();
    // Ends when all that was noted is written, or lost.
    Task<void> settle();
    // The same; what is noted afterwards is lost.
    Task<void> close();

    struct Figures {
        uint64_t lines_written = 0;
        uint64_t lines_lost = 0;
        std::string failure;  // the latest; empty: none since the last line that was written
    };
    [[nodiscard]] const Figures& figures() const { return figures_; }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    AuditLog(std::string path, std::unique_ptr<env::File> file);
    static Task<Result<std::unique_ptr<env::File>>> open_file(std::string path);
    Task<void> write_all();
    void lose(uint64_t lines, std::string reason);

    const std::string path_;
    Thread& thread_;
    std::unique_ptr<env::File> file_;
    std::string waiting_;
    uint64_t waiting_lines_ = 0;
    bool is_writing_ = false;
    bool is_closed_ = false;
    bool is_torn_ = false;  // the last write may have left half a line
    WaitList written_;
    AsyncMutex file_in_use_;
    Figures figures_;
    env::TimeNs next_complaint_ = 0;
};

// `params` without what nobody may read in a log: values under names of secrets become "***", long texts their size.
Json redacted(const Json& params);

}  // namespace weft::rpc
