#include "env/linux/stream.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "env/linux/socket_address.h"

namespace weft::env {

namespace {

constexpr size_t pieces_max = 1024;  // UIO_MAXIOV: sendmsg refuses more

Transfer from_system_call(ssize_t count) {
    if (count > 0) return {.state = Transfer::State::done, .bytes = static_cast<size_t>(count)};
    if (count == 0) return {.state = Transfer::State::end};
    if (errno == EAGAIN) return {.state = Transfer::State::would_block};
    return {.state = Transfer::State::failed, .error = errc_from_errno(errno)};
}

Result<void> set_option(int socket, int level, int option, int value, std::string_view name) {
    if (setsockopt(socket, level, option, &value, sizeof(value)) != 0) {
        return fail_errno(errno, fmt::format("setting {} to {}", name, value));
    }
    return {};
}

Result<void> configure_tcp(int socket, const SocketOptions& options) {
    WEFT_TRY(set_option(socket, IPPROTO_TCP, TCP_NODELAY, options.no_delay ? 1 : 0, "TCP_NODELAY"));
    if (options.user_timeout_ms > 0) {
        WEFT_TRY(set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(options.user_timeout_ms),
                            "TCP_USER_TIMEOUT"));
    }
    const std::string& algorithm = options.congestion_control;
    if (!algorithm.empty() && setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, algorithm.data(),
                                         static_cast<socklen_t>(algorithm.size())) != 0) {
        return fail_errno(errno, fmt::format("setting congestion control '{}' (see "
                                             "/proc/sys/net/ipv4/tcp_available_congestion_control)",
                                             algorithm));
    }
    return {};
}

}  // namespace

Result<void> configure_socket(int socket, Family family, const SocketOptions& options) {
    if (options.receive_buffer_bytes > 0) {
        WEFT_TRY(
            set_option(socket, SOL_SOCKET, SO_RCVBUF, static_cast<int>(options.receive_buffer_bytes), "SO_RCVBUF"));
    }
    if (options.send_buffer_bytes > 0) {
        WEFT_TRY(set_option(socket, SOL_SOCKET, SO_SNDBUF, static_cast<int>(options.send_buffer_bytes), "SO_SNDBUF"));
    }
    if (options.priority > 0) {
        WEFT_TRY(set_option(socket, SOL_SOCKET, SO_PRIORITY, static_cast<int>(options.priority), "SO_PRIORITY"));
    }
    return family == Family::unix_path ? Result<void>{} : configure_tcp(socket, options);
}

Address bound_address(int socket) {
    SocketAddress address;
    WEFT_ASSERT(getsockname(socket, address.get(), &address.size) == 0);
    return from_system(address);
}

Transfer LinuxStream::receive(MutableBytes into) {
    WEFT_ASSERT(!into.empty());
    ssize_t count = 0;
    do {
        count = recv(socket_.get(), into.data(), into.size(), 0);
    } while (count < 0 && errno == EINTR);
    return from_system_call(count);
}

Transfer LinuxStream::send(std::span<const iovec> from) {
    WEFT_ASSERT(!from.empty());
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(from.data());  // sendmsg only reads it
    message.msg_iovlen = std::min(from.size(), pieces_max);
    ssize_t count = 0;
    do {
        count = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    WEFT_ASSERT(count != 0);  // the caller had something to send
    return from_system_call(count);
}

void LinuxStream::shutdown_send() {
    // It fails when the connection is gone already, which receive() tells.
    ::shutdown(socket_.get(), SHUT_WR);
}

Result<void> LinuxStream::connected() {
    const auto doing = [this] { return fmt::format("connecting to {}", to_string(peer_)); };
    if (connect_error_ != 0) return fail_errno(connect_error_, doing());
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return fail_errno(error, doing());
    SocketAddress peer;
    if (getpeername(socket_.get(), peer.get(), &peer.size) == 0) return {};
    return fail_errno(errno == ENOTCONN ? EINPROGRESS : errno, doing());
}

Address LinuxStream::local_address() const { return bound_address(socket_.get()); }

std::optional<PeerProcess> LinuxStream::peer_process() const {
    if (family_ != Family::unix_path) return std::nullopt;
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
    // The kernel says "nobody at all" for a socket that is not connected.
    if (credentials.uid == static_cast<uid_t>(-1)) return std::nullopt;
    return PeerProcess{.user = credentials.uid, .process = static_cast<uint32_t>(credentials.pid)};
}

}  // namespace weft::env
