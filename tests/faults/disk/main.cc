// weft-faulty-disk FOLDER BYTES: mounts on FOLDER a file system of one file, `disk`, whose disk does as it is told.
//
// Commands come as lines on standard input, each is answered by a line: `fail read|write|sync COUNT ERRNO`,
// `cut EVERY`, `lie 0|1`, `power SEED`, `opens`, `slow MILLISECONDS`. It ends with standard input. Linux, libfuse3;
// root, or a user who may mount with fusermount3.
#define FUSE_USE_VERSION 34
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "medium.h"

namespace {

using weft::Bytes;
using weft::faulty_disk::Kind;
using weft::faulty_disk::Medium;

constexpr fuse_ino_t disk_inode = 2;
constexpr const char* disk_name = "disk";

struct Disk {
    Medium medium;
    int opens = 0;
    int slow_ms = 0;
};

Disk& disk_of(fuse_req_t request) { return *static_cast<Disk*>(fuse_req_userdata(request)); }

struct stat attributes_of(const Disk& disk, fuse_ino_t inode) {
    struct stat status{};
    status.st_ino = inode;
    status.st_nlink = 1;
    status.st_mode = inode == disk_inode ? S_IFREG | 0600 : S_IFDIR | 0700;
    status.st_uid = getuid();
    status.st_gid = getgid();
    if (inode == disk_inode) {
        status.st_size = static_cast<off_t>(disk.medium.size());
        status.st_blocks = static_cast<blkcnt_t>(disk.medium.size() / 512);
        status.st_blksize = 4096;
    }
    return status;
}

// The kernel makes EIO of a write that was cut when it waits for several at a time.
void set_up(void*, fuse_conn_info* connection) { connection->want &= ~unsigned{FUSE_CAP_ASYNC_DIO}; }

void look_up(fuse_req_t request, fuse_ino_t parent, const char* name) {
    if (parent != FUSE_ROOT_ID || std::strcmp(name, disk_name) != 0) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    fuse_entry_param entry{};
    entry.ino = disk_inode;
    entry.attr = attributes_of(disk_of(request), disk_inode);
    fuse_reply_entry(request, &entry);
}

void get_attributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
    const struct stat status = attributes_of(disk_of(request), inode);
    fuse_reply_attr(request, &status, 0);
}

void set_attributes(fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int which, fuse_file_info*) {
    Disk& disk = disk_of(request);
    if (inode == disk_inode && (which & FUSE_SET_ATTR_SIZE) != 0)
        disk.medium.resize(static_cast<size_t>(wanted->st_size));
    const struct stat status = attributes_of(disk, inode);
    fuse_reply_attr(request, &status, 0);
}

void open_disk(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
    if (inode != disk_inode) {
        fuse_reply_err(request, EISDIR);
        return;
    }
    ++disk_of(request).opens;
    file->direct_io = 1;  // what the page cache holds would survive the power loss
    fuse_reply_open(request, file);
}

void release_disk(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
    --disk_of(request).opens;
    fuse_reply_err(request, 0);
}

void read_disk(fuse_req_t request, fuse_ino_t, size_t length, off_t from, fuse_file_info*) {
    Medium& medium = disk_of(request).medium;
    if (const int number = medium.next_fault(Kind::read); number != 0) {
        fuse_reply_err(request, number);
        return;
    }
    const auto offset = static_cast<size_t>(from);
    if (offset >= medium.size()) {
        fuse_reply_buf(request, nullptr, 0);
        return;
    }
    const Bytes data = medium.read(offset, std::min(length, medium.size() - offset));
    fuse_reply_buf(request, reinterpret_cast<const char*>(data.data()), data.size());
}

void write_disk(fuse_req_t request, fuse_ino_t, const char* data, size_t length, off_t to, fuse_file_info* file) {
    Disk& disk = disk_of(request);
    if (disk.slow_ms > 0) (void)poll(nullptr, 0, disk.slow_ms);
    if (const int number = disk.medium.next_fault(Kind::write); number != 0) {
        fuse_reply_err(request, number);
        return;
    }
    const auto offset = static_cast<size_t>(to);
    length = disk.medium.next_length(length);
    if (offset + length > disk.medium.size()) disk.medium.resize(offset + length);
    disk.medium.write(offset, std::as_bytes(std::span(data, length)), (file->flags & O_DSYNC) != 0);
    fuse_reply_write(request, length);
}

void sync_disk(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
    Medium& medium = disk_of(request).medium;
    const int number = medium.next_fault(Kind::sync);
    if (number == 0) medium.sync();
    fuse_reply_err(request, number);
}

void allocate(fuse_req_t request, fuse_ino_t, int mode, off_t offset, off_t length, fuse_file_info*) {
    Medium& medium = disk_of(request).medium;
    if (const int number = medium.next_fault(Kind::write); number != 0) {
        fuse_reply_err(request, number);
        return;
    }
    constexpr int zeroing = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    if ((mode & zeroing) == 0) {
        fuse_reply_err(request, EOPNOTSUPP);
        return;
    }
    const auto start = std::min(static_cast<size_t>(offset), medium.size());
    const auto count = std::min(static_cast<size_t>(length), medium.size() - start);
    if (count > 0) medium.write(start, std::vector<std::byte>(count), false);
    fuse_reply_err(request, 0);
}

// One command; the answer.
std::string obey(Disk& disk, const std::string& line) {
    char word[16] = "";
    char kind[16] = "";
    unsigned long long first = 0;
    int second = 0;
    if (std::sscanf(line.c_str(), "fail %15s %llu %d", kind, &first, &second) == 3) {
        const std::string name = kind;
        if (name != "read" && name != "write" && name != "sync") return "unknown";
        disk.medium.fail(name == "read" ? Kind::read : name == "write" ? Kind::write : Kind::sync, first, second);
        return "done";
    }
    if (std::sscanf(line.c_str(), "%15s %llu", word, &first) < 1) return "unknown";
    const std::string verb = word;
    if (verb == "cut") {
        disk.medium.cut_writes(first);
    } else if (verb == "lie") {
        disk.medium.lie(first != 0);
    } else if (verb == "slow") {
        disk.slow_ms = static_cast<int>(first);
    } else if (verb == "power") {
        return std::to_string(disk.medium.lose_power(first));
    } else if (verb == "opens") {
        return std::to_string(disk.opens);
    } else {
        return "unknown";
    }
    return "done";
}

void serve(fuse_session& session, Disk& disk) {
    fuse_buf buffer{};
    std::string text;
    pollfd sources[] = {{.fd = fuse_session_fd(&session), .events = POLLIN, .revents = 0},
                        {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
    while (fuse_session_exited(&session) == 0) {
        if (poll(sources, 2, -1) < 0 && errno != EINTR) break;
        if (sources[0].revents != 0) {
            const int count = fuse_session_receive_buf(&session, &buffer);
            if (count == -EINTR || count == -EAGAIN) continue;
            if (count <= 0) break;
            fuse_session_process_buf(&session, &buffer);
        }
        if (sources[1].revents != 0) {
            char piece[256];
            const ssize_t count = read(STDIN_FILENO, piece, sizeof(piece));
            if (count <= 0) break;
            text.append(piece, static_cast<size_t>(count));
            for (size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
                std::puts(obey(disk, text.substr(0, end)).c_str());
                std::fflush(stdout);
            }
        }
    }
    std::free(buffer.mem);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: weft-faulty-disk FOLDER BYTES\n");
        return 2;
    }
    Disk disk{.medium = Medium(std::strtoull(argv[2], nullptr, 10))};
    fuse_lowlevel_ops operations{};
    operations.init = set_up;
    operations.lookup = look_up;
    operations.getattr = get_attributes;
    operations.setattr = set_attributes;
    operations.open = open_disk;
    operations.release = release_disk;
    operations.read = read_disk;
    operations.write = write_disk;
    operations.fsync = sync_disk;
    operations.fallocate = allocate;
    fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
    fuse_opt_add_arg(&arguments, argv[0]);
    fuse_session* const session = fuse_session_new(&arguments, &operations, sizeof(operations), &disk);
    fuse_opt_free_args(&arguments);
    if (session == nullptr || fuse_session_mount(session, argv[1]) != 0) return 1;
    std::puts("mounted");
    std::fflush(stdout);
    serve(*session, disk);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return 0;
}
