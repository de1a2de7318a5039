#include "env/linux/network.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "env/linux/descriptor.h"
#include "env/linux/socket_address.h"
#include "env/linux/stream.h"

namespace weft::env {

namespace {

Result<Descriptor> make_socket(int family) {
    Descriptor socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) return fail_errno(errno, "making a socket");
    return socket;
}

class LinuxListener final : public Listener {
public:
    LinuxListener(Descriptor socket, Family family) : socket_(std::move(socket)), family_(family) {}

    // The socket file goes with its listener, unless somebody has put another in its place.
    ~LinuxListener() override {
        struct stat now{};
        if (path_.empty() || lstat(path_.c_str(), &now) != 0) return;
        if (now.st_dev == file_.st_dev && now.st_ino == file_.st_ino) ::unlink(path_.c_str());
    }

    void own_path(const std::string& path) {
        if (lstat(path.c_str(), &file_) == 0) path_ = path;
    }

    [[nodiscard]] int descriptor() const override { return socket_.get(); }

    Result<std::unique_ptr<Stream>> accept() override {
        SocketAddress peer;
        int accepted = -1;
        do {
            peer.size = sizeof(peer.storage);
            accepted = accept4(socket_.get(), peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        } while (accepted < 0 && errno == EINTR);
        if (accepted >= 0) {
            return std::make_unique<LinuxStream>(Descriptor(accepted), family_, from_system(peer), 0);
        }
        switch (errno) {
            // Without room for a socket the connection stays in the queue: going on at once would be to spin.
            case EMFILE:
            case ENFILE:
            case ENOBUFS:
            case ENOMEM: return fail(Errc::too_many, "accepting a connection: out of descriptors or socket memory");
            case EAGAIN: return fail(Errc::again, {});
            default: return fail_errno(errno, "accepting a connection");
        }
    }

    [[nodiscard]] Address local_address() const override { return bound_address(socket_.get()); }

private:
    Descriptor socket_;
    const Family family_;
    std::string path_;
    struct stat file_{};
};

// Whether a socket file is a leftover: there, and nobody listens.
bool is_stale(const SocketAddress& address, const std::string& path) {
    struct stat file{};
    if (lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
    const auto probe = make_socket(AF_UNIX);
    return probe && ::connect(probe->get(), address.get(), address.size) != 0 && errno == ECONNREFUSED;
}

Result<void> bind_path(int socket, const SocketAddress& address, const std::string& path, uint32_t mode) {
    const auto doing = [&path] { return fmt::format("listening on {}", path); };
    // The mode of the socket becomes that of the file (less the umask), so that at no time it is wider.
    if (fchmod(socket, mode) != 0) return fail_errno(errno, doing());
    int refused = ::bind(socket, address.get(), address.size) == 0 ? 0 : errno;
    if (refused == EADDRINUSE && is_stale(address, path)) {
        ::unlink(path.c_str());
        refused = ::bind(socket, address.get(), address.size) == 0 ? 0 : errno;
    }
    if (refused != 0) return fail_errno(refused, doing());
    if (chmod(path.c_str(), mode) != 0) return fail_errno(errno, doing());
    return {};
}

Result<void> bind_port(int socket, const SocketAddress& address, const Address& wanted, const ListenOptions& options) {
    const int one = 1;
    const int v6_only = options.v6_only ? 1 : 0;
    // Connections of a listener that has gone linger in TIME_WAIT and must not keep the port.
    if (setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        (address.family() == AF_INET6 &&
         setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) != 0) ||
        ::bind(socket, address.get(), address.size) != 0) {
        return fail_errno(errno, fmt::format("listening on {}", to_string(wanted)));
    }
    return {};
}

bool is_usable(const ifaddrs& interface, int family) {
    return interface.ifa_addr != nullptr && interface.ifa_addr->sa_family == family &&
           (interface.ifa_flags & IFF_UP) != 0;
}

}  // namespace

Result<std::unique_ptr<Listener>> LinuxNetwork::listen(const Address& address, const ListenOptions& options) {
    const auto system = to_system(address);
    if (!system) return std::unexpected(system.error());
    auto socket = make_socket(system->family());
    if (!socket) return std::unexpected(std::move(socket).error());
    const bool is_path = address.family == Family::unix_path;
    WEFT_TRY(is_path ? bind_path(socket->get(), *system, address.host, options.path_mode)
                     : bind_port(socket->get(), *system, address, options));
    const int descriptor = socket->get();
    auto listener = std::make_unique<LinuxListener>(std::move(*socket), address.family);
    if (is_path) listener->own_path(address.host);
    if (::listen(descriptor, options.backlog) != 0) {
        return fail_errno(errno, fmt::format("listening on {}", to_string(address)));
    }
    return listener;
}

Result<std::unique_ptr<Stream>> LinuxNetwork::connect(const Address& address, const SocketOptions& options) {
    const auto system = to_system(address);
    if (!system) return std::unexpected(system.error());
    auto socket = make_socket(system->family());
    if (!socket) return std::unexpected(std::move(socket).error());
    WEFT_TRY(configure_socket(socket->get(), address.family, options));  // before: the window scale is agreed then
    // Some refusals come at once and some later; the caller hears of all of them from connected().
    int refused = 0;
    if (::connect(socket->get(), system->get(), system->size) != 0 && errno != EINPROGRESS) refused = errno;
    return std::make_unique<LinuxStream>(std::move(*socket), address.family, address, refused);
}

std::vector<Address> LinuxNetwork::local_addresses(Family family) {
    std::vector<Address> found;
    std::vector<Address> loopback;
    ifaddrs* list = nullptr;
    if (family == Family::unix_path || getifaddrs(&list) != 0) return found;
    const int system_family = family == Family::ipv4 ? AF_INET : AF_INET6;
    for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
        if (!is_usable(*at, system_family)) continue;
        SocketAddress address;
        address.size = family == Family::ipv4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        std::memcpy(&address.storage, at->ifa_addr, address.size);
        ((at->ifa_flags & IFF_LOOPBACK) != 0 ? loopback : found).push_back(from_system(address));
    }
    freeifaddrs(list);
    return found.empty() ? loopback : found;
}

}  // namespace weft::env
