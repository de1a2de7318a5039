#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "app/daemon/sockets.h"
#include "base/log.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::app::SockImpl> {
    using Impl = weft::app::SockImpl;
    static constexpr weft::rpc::EnumName<Impl> values[] = {
        {"posix", Impl::posix}, {"uring", Impl::uring}, {"ssl", Impl::ssl}};
};

namespace weft::app {

constexpr auto SockOptions::fields() {
    using P = SockOptions;
    return rpc::fields(
        rpc::optional("recv_buf_size", &P::recv_buf_size, ""), rpc::optional("send_buf_size", &P::send_buf_size, ""),
        rpc::optional("enable_recv_pipe", &P::enable_recv_pipe, ""),
        rpc::optional("enable_quickack", &P::enable_quickack, ""),
        rpc::optional("enable_placement_id", &P::enable_placement_id, ""),
        rpc::optional("enable_zerocopy_send_server", &P::enable_zerocopy_send_server, ""),
        rpc::optional("enable_zerocopy_send_client", &P::enable_zerocopy_send_client, ""),
        rpc::optional("zerocopy_threshold", &P::zerocopy_threshold, ""),
        rpc::optional("tls_version", &P::tls_version, ""), rpc::optional("enable_ktls", &P::enable_ktls, ""));
}

namespace {

constexpr std::string_view impl_names[] = {"posix", "uring", "ssl"};

struct ImplName {
    SockImpl impl_name = SockImpl::posix;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("impl_name", &ImplName::impl_name, "Which of the field's implementations"));
    }
};

struct SetOptions {
    SockImpl impl_name = SockImpl::posix;
    std::optional<uint32_t> recv_buf_size, send_buf_size, enable_placement_id, zerocopy_threshold, tls_version;
    std::optional<bool> enable_recv_pipe, enable_quickack, enable_zerocopy_send_server, enable_zerocopy_send_client,
        enable_ktls;
    static constexpr auto fields() {
        using P = SetOptions;
        constexpr const char* kept = "Kept and told; changes nothing here";
        return rpc::fields(
            rpc::required("impl_name", &P::impl_name, "Which of the field's implementations"),
            rpc::optional("recv_buf_size", &P::recv_buf_size,
                          "SO_RCVBUF of connections to transports made later; 2097152: the system's automatic size"),
            rpc::optional("send_buf_size", &P::send_buf_size, "The same for SO_SNDBUF"),
            rpc::optional("enable_recv_pipe", &P::enable_recv_pipe, kept),
            rpc::optional("enable_quickack", &P::enable_quickack, kept),
            rpc::optional("enable_placement_id", &P::enable_placement_id, kept),
            rpc::optional("enable_zerocopy_send_server", &P::enable_zerocopy_send_server, kept),
            rpc::optional("enable_zerocopy_send_client", &P::enable_zerocopy_send_client, kept),
            rpc::optional("zerocopy_threshold", &P::zerocopy_threshold, kept),
            rpc::optional("tls_version", &P::tls_version, kept), rpc::optional("enable_ktls", &P::enable_ktls, kept));
    }
};

template <class T>
void set(T& option, const std::optional<T>& given) {
    if (given) option = *given;
}

// What SO_RCVBUF takes is a signed number.
Result<void> check_size(const char* name, const std::optional<uint32_t>& size) {
    if (!size || *size <= uint32_t{1} << 30) return {};
    return fail(Errc::invalid_argument, fmt::format("{}: {} bytes, at most 1073741824 are allowed", name, *size));
}

Result<Json> set_options(SockSettings& settings, const SetOptions& params) {
    WEFT_TRY(check_size("recv_buf_size", params.recv_buf_size));
    WEFT_TRY(check_size("send_buf_size", params.send_buf_size));
    SockOptions& options = settings.options[static_cast<size_t>(params.impl_name)];
    set(options.recv_buf_size, params.recv_buf_size);
    set(options.send_buf_size, params.send_buf_size);
    set(options.enable_recv_pipe, params.enable_recv_pipe);
    set(options.enable_quickack, params.enable_quickack);
    set(options.enable_placement_id, params.enable_placement_id);
    set(options.enable_zerocopy_send_server, params.enable_zerocopy_send_server);
    set(options.enable_zerocopy_send_client, params.enable_zerocopy_send_client);
    set(options.zerocopy_threshold, params.zerocopy_threshold);
    set(options.tls_version, params.tls_version);
    set(options.enable_ktls, params.enable_ktls);
    return Json(true);
}

uint32_t buffer_bytes(uint32_t size) { return size == sock_buffer_automatic ? 0 : size; }

}  // namespace

uint32_t SockSettings::receive_buffer_bytes() const {
    return buffer_bytes(options[static_cast<size_t>(default_impl)].recv_buf_size);
}
uint32_t SockSettings::send_buffer_bytes() const {
    return buffer_bytes(options[static_cast<size_t>(default_impl)].send_buf_size);
}

std::vector<rpc::ConfigKey> SockSettings::config_keys() {
    std::vector<rpc::ConfigKey> keys{{rpc::sock_default_kind, "", ""}};
    for (const std::string_view name : impl_names) keys.push_back({rpc::sock_options_kind, std::string(name), ""});
    return keys;
}

Json SockSettings::config_entry(const rpc::ConfigKey& key) const {
    if (key.kind == rpc::sock_default_kind) {
        return {{"method", key.kind}, {"params", {{"impl_name", impl_names[static_cast<size_t>(default_impl)]}}}};
    }
    const auto* const name = std::ranges::find(impl_names, key.object);
    if (key.kind != rpc::sock_options_kind || name == std::end(impl_names)) return {};
    Json params{{"impl_name", *name}};
    params.update(rpc::encode_params(options[static_cast<size_t>(name - std::begin(impl_names))]));
    return {{"method", key.kind}, {"params", std::move(params)}};
}

void SockSettings::write_config(Json& entries) const {
    for (const rpc::ConfigKey& key : config_keys()) entries.push_back(config_entry(key));
}

void add_sock_methods(rpc::Registry& registry, SockSettings& settings, const std::function<void()>& on_change) {
    registry.add<ImplName>({.name = "sock_set_default_impl",
                            .role = rpc::Role::admin,
                            .text = "Whose options count; sockets are driven the same way whatever is chosen",
                            .states = rpc::startup,
                            .changes_config = true},
                           [&settings, on_change](ImplName params) -> Task<Result<Json>> {
                               if (params.impl_name == SockImpl::ssl) {
                                   co_return fail(Errc::invalid_argument,
                                                  "impl_name: ssl is not supported; choose posix or uring");
                               }
                               settings.default_impl = params.impl_name;
                               on_change();
                               co_return Json(true);
                           });
    registry.add<rpc::NoParams>({.name = "sock_get_default_impl",
                                 .role = rpc::Role::read,
                                 .text = "Whose options count",
                                 .states = rpc::States::any,
                                 .result = "object: impl_name"},
                                [&settings](rpc::NoParams) -> Task<Result<Json>> {
                                    const auto at = static_cast<size_t>(settings.default_impl);
                                    co_return Json{{"impl_name", impl_names[at]}};
                                });
    registry.add<ImplName>({.name = "sock_impl_get_options",
                            .role = rpc::Role::read,
                            .text = "The options of an implementation",
                            .states = rpc::States::any,
                            .result = "object"},
                           [&settings](ImplName params) -> Task<Result<Json>> {
                               co_return rpc::encode_params(settings.options[static_cast<size_t>(params.impl_name)]);
                           });
    registry.add<SetOptions>({.name = "sock_impl_set_options",
                              .role = rpc::Role::admin,
                              .text = "Sets options of an implementation; those left out stay",
                              .states = rpc::startup,
                              .changes_config = true},
                             [&settings, on_change](SetOptions params) -> Task<Result<Json>> {
                                 auto done = set_options(settings, params);
                                 if (done) on_change();
                                 co_return done;
                             });
}

}  // namespace weft::app
