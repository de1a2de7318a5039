// Sending memory by reference: vmsplice(2) puts its pages into a pipe, splice(2) moves them on to the socket. Nothing
// is copied, and over the loopback nothing is copied at all before the peer reads.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "env/linux/descriptor.h"
#include "env/linux/stream.h"

namespace weft::env {

namespace {

// The pipe of this OS thread, empty between calls. A new one takes the place of one that something was left in.
class PagePipe {
public:
    [[nodiscard]] bool open() {
        if (read_.is_open()) return true;
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
        read_ = Descriptor(ends[0]);
        write_ = Descriptor(ends[1]);
        // A page a slot: without it, 64 KiB a round. What the system grants without privilege; less serves too.
        (void)fcntl(write_.get(), F_SETPIPE_SZ, bytes_wanted);
        return true;
    }
    void discard() {
        read_ = Descriptor();
        write_ = Descriptor();
    }
    [[nodiscard]] int read_end() const { return read_.get(); }
    [[nodiscard]] int write_end() const { return write_.get(); }

private:
    static constexpr int bytes_wanted = 1 << 20;
    Descriptor read_;
    Descriptor write_;
};

}  // namespace

Transfer Stream::send_in_place(Bytes head, Bytes body) {
    const auto piece = [](Bytes bytes) {
        return iovec{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    };
    const iovec pieces[] = {piece(head), piece(body)};
    return send(pieces);
}

Transfer LinuxStream::send_in_place(Bytes head, Bytes body) {
    thread_local PagePipe pipe;
    if (!pipe.open()) return Stream::send_in_place(head, body);  // out of descriptors

    ssize_t head_sent = 0;
    do {
        head_sent = ::send(socket_.get(), head.data(), head.size(), MSG_NOSIGNAL | MSG_MORE);
    } while (head_sent < 0 && errno == EINTR);
    if (head_sent < 0 && errno == EAGAIN) return {.state = Transfer::State::would_block};
    if (head_sent < 0) return {.state = Transfer::State::failed, .error = errc_from_errno(errno)};
    Transfer sent{.state = Transfer::State::done, .bytes = static_cast<size_t>(head_sent)};
    if (sent.bytes < head.size()) return sent;

    while (!body.empty()) {
        const iovec piece{.iov_base = const_cast<std::byte*>(body.data()), .iov_len = body.size()};
        ssize_t in_pipe = vmsplice(pipe.write_end(), &piece, 1, SPLICE_F_NONBLOCK);
        if (in_pipe <= 0) {  // no memory for it: copied after all
            const Transfer rest = send({&piece, 1});
            sent.bytes += rest.bytes;
            return rest.state == Transfer::State::failed ? rest : sent;
        }
        const size_t offered = static_cast<size_t>(in_pipe);
        while (in_pipe > 0) {
            const unsigned more = offered < body.size() ? SPLICE_F_MORE : 0;
            const ssize_t moved = splice(pipe.read_end(), nullptr, socket_.get(), nullptr, static_cast<size_t>(in_pipe),
                                         SPLICE_F_NONBLOCK | more);
            if (moved > 0) {
                in_pipe -= moved;
                sent.bytes += static_cast<size_t>(moved);
                continue;
            }
            if (moved < 0 && errno == EINTR) continue;
            const int why = moved < 0 ? errno : EPIPE;
            pipe.discard();
            if (why == EAGAIN) return sent;
            return {.state = Transfer::State::failed, .error = errc_from_errno(why)};
        }
        body = body.subspan(offered);
    }
    return sent;
}

}  // namespace weft::env
