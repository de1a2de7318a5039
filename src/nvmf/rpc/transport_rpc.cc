// nvmf_create_transport and nvmf_get_transports.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/log.h"
#include "nvmf/controller/controller.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

// The source notes' -p counted the admin queue too.
struct CreateTransport {
    std::string trtype;
    std::optional<std::string> tgt_name;
    TransportOptions defaults;
    std::optional<uint16_t> max_queue_depth;
    std::optional<uint16_t> max_qpairs_per_ctrlr;
    std::optional<uint16_t> max_io_qpairs_per_ctrlr;
    std::optional<uint32_t> in_capsule_data_size, max_io_size, io_unit_size, max_aq_depth, num_shared_buffers,
        buf_cache_size, iobuf_small_cache_size, iobuf_large_cache_size;
    std::optional<bool> zcopy, zero_copy_reads, no_srq, c2h_success, dif_insert_or_strip, no_wr_batching,
        disable_mappable_bar0, disable_adaptive_irq, disable_shadow_doorbells, disable_command_passthru;
    std::optional<int32_t> num_cqe, acceptor_backlog;
    std::optional<uint32_t> max_srq_depth, sock_priority, abort_timeout_sec, acceptor_poll_rate, ack_timeout,
        data_wr_pool_size, min_kato, association_timeout, handshake_timeout_ms, pdu_timeout_ms, max_connections,
        max_connections_per_source, max_connecting;
    std::optional<uint16_t> control_msg_num, kas;
    std::optional<std::string> congestion_control;
    std::optional<std::vector<std::string>> masked_oncs, masked_fuses;

    static constexpr auto fields() {
        using P = CreateTransport;
        return rpc::fields(
            rpc::required("trtype", &P::trtype, "Transport type: TCP"),
            rpc::optional("tgt_name", &P::tgt_name, "Target"),
            rpc::optional("max_queue_depth", &P::max_queue_depth, "Commands a queue takes (default 128)"),
            rpc::optional("max_qpairs_per_ctrlr", &P::max_qpairs_per_ctrlr,
                          "Deprecated: queues of a controller, the admin queue included"),
            rpc::optional("max_io_qpairs_per_ctrlr", &P::max_io_qpairs_per_ctrlr,
                          "I/O queues of a controller (default 127)"),
            rpc::optional("in_capsule_data_size", &P::in_capsule_data_size,
                          "Bytes of data a command capsule may carry (default 4096, 0: none)"),
            rpc::optional("max_io_size", &P::max_io_size, "Bytes of one I/O, a power of two (default 131072)"),
            rpc::optional("io_unit_size", &P::io_unit_size, "Bytes of a data buffer, 4 KiB to 2 MiB (default 131072)"),
            rpc::optional("max_aq_depth", &P::max_aq_depth, "Commands the admin queue takes (default 128)"),
            rpc::optional("num_shared_buffers", &P::num_shared_buffers, "Data buffers in all (default 511)"),
            rpc::optional("buf_cache_size", &P::buf_cache_size, "Data buffers set aside for each poll group"),
            rpc::optional("iobuf_small_cache_size", &P::iobuf_small_cache_size, "Accepted; has no meaning here"),
            rpc::optional("iobuf_large_cache_size", &P::iobuf_large_cache_size, "Accepted; has no meaning here"),
            rpc::optional("zcopy", &P::zcopy, "Accepted: reads of a RAM disk are sent without a copy anyway"),
            rpc::optional("zero_copy_reads", &P::zero_copy_reads,
                          "Send reads of 64 KiB and more of a RAM disk by reference (default false): a block that is "
                          "written at the same time may be torn in the answer. Not with data digests"),
            rpc::optional("num_cqe", &P::num_cqe, "RDMA only"),
            rpc::optional("max_srq_depth", &P::max_srq_depth, "RDMA only"),
            rpc::optional("no_srq", &P::no_srq, "RDMA only"),
            rpc::optional("c2h_success", &P::c2h_success,
                          "Let the last data PDU stand for the response (default true)"),
            rpc::optional("dif_insert_or_strip", &P::dif_insert_or_strip, "Not supported: refused when true"),
            rpc::optional("sock_priority", &P::sock_priority, "SO_PRIORITY of connections"),
            rpc::optional("acceptor_backlog", &P::acceptor_backlog,
                          "Connections waiting to be accepted (default 4096; the system: net.core.somaxconn)"),
            rpc::optional("abort_timeout_sec", &P::abort_timeout_sec, "Seconds an Abort is tried (default 1)"),
            rpc::optional("no_wr_batching", &P::no_wr_batching, "RDMA only"),
            rpc::optional("control_msg_num", &P::control_msg_num, "Accepted: admin data never waits for buffers here"),
            rpc::optional("disable_mappable_bar0", &P::disable_mappable_bar0, "vfio-user only"),
            rpc::optional("disable_adaptive_irq", &P::disable_adaptive_irq, "vfio-user only"),
            rpc::optional("disable_shadow_doorbells", &P::disable_shadow_doorbells, "vfio-user only"),
            rpc::optional("acceptor_poll_rate", &P::acceptor_poll_rate, "Accepted: accepting is event driven here"),
            rpc::optional("ack_timeout", &P::ack_timeout,
                          "Milliseconds unacknowledged data keeps a connection (0: 30000)"),
            rpc::optional("data_wr_pool_size", &P::data_wr_pool_size, "RDMA only"),
            rpc::optional("disable_command_passthru", &P::disable_command_passthru,
                          "Accepted: nothing is passed through"),
            rpc::optional("kas", &P::kas, "Granularity of keep-alive times, in 100 ms"),
            rpc::optional("min_kato", &P::min_kato, "Shortest keep-alive time-out, in ms"),
            rpc::optional("association_timeout", &P::association_timeout,
                          "Keep-alive time-out of hosts that name none, in ms (default 120000)"),
            rpc::optional("congestion_control", &P::congestion_control, "TCP_CONGESTION of connections"),
            rpc::optional("masked_oncs", &P::masked_oncs,
                          "Commands that Identify does not show: all, nvmcmps, nvmdsmsv, nvmwzsv, reservs, nvmcpys"),
            rpc::optional("masked_fuses", &P::masked_fuses, "Fused operations that it does not show: all, fcws"),
            rpc::optional("handshake_timeout_ms", &P::handshake_timeout_ms,
                          "Time a connection has to finish Connect (default 10000)"),
            rpc::optional("pdu_timeout_ms", &P::pdu_timeout_ms,
                          "Time a PDU that has begun has to come to its end, in both directions (default 10000, 0: no "
                          "limit)"),
            rpc::optional("max_connections", &P::max_connections,
                          "Connections at a time (default 0: as many as there are descriptors for)"),
            rpc::optional("max_connections_per_source", &P::max_connections_per_source,
                          "Of one address (default 0: no limit)"),
            rpc::optional(
                "max_connecting", &P::max_connecting,
                "Whose Connect has not come, or was refused, and as many before that on ports with TLS (default "
                "1024); a further one takes the place of the oldest of the address that has most"));
    }
};

template <class T>
void set(T& option, const std::optional<T>& given) {
    if (given) option = *given;
}

// The field's names of bits of ONCS and of FUSES.
struct BitName {
    std::string_view name;
    uint16_t bits;
};
constexpr BitName oncs_names[] = {{"all", 0xFFFF},      {"nvmcmps", 1U << 0}, {"nvmdsmsv", 1U << 2},
                                  {"nvmwzsv", 1U << 3}, {"reservs", 1U << 5}, {"nvmcpys", 1U << 8}};
constexpr BitName fuses_names[] = {{"all", 0xFFFF}, {"fcws", 1U << 0}};

Result<void> mask(std::span<const BitName> known, const std::optional<std::vector<std::string>>& names,
                  const char* parameter, uint16_t& bits) {
    for (const std::string& name : names.value_or(std::vector<std::string>{})) {
        const auto found = std::ranges::find(known, name, &BitName::name);
        if (found == known.end()) {
            return fail(Errc::invalid_argument,
                        fmt::format("{}: there is no \"{}\"", parameter, log::quoted(name, 32)));
        }
        bits |= found->bits;
    }
    return {};
}

Json names_of(std::span<const BitName> known, uint16_t bits) {
    if (bits == known.front().bits) return Json::array({known.front().name});
    Json names = Json::array();
    for (const BitName& one : known.subspan(1)) {
        if ((bits & one.bits) != 0) names.push_back(one.name);
    }
    return names;
}

Result<TransportOptions> options_of(const CreateTransport& params) {
    TransportOptions options;
    options.trtype = params.trtype;
    WEFT_TRY(mask(oncs_names, params.masked_oncs, "masked_oncs", options.masked_oncs));
    WEFT_TRY(mask(fuses_names, params.masked_fuses, "masked_fuses", options.masked_fuses));
    set(options.max_queue_depth, params.max_queue_depth);
    if (params.max_qpairs_per_ctrlr) {
        if (*params.max_qpairs_per_ctrlr < 2)
            return fail(Errc::invalid_argument, "max_qpairs_per_ctrlr must be at least 2");
        options.max_io_qpairs_per_ctrlr = static_cast<uint16_t>(*params.max_qpairs_per_ctrlr - 1);
    }
    set(options.max_io_qpairs_per_ctrlr, params.max_io_qpairs_per_ctrlr);
    set(options.in_capsule_data_size, params.in_capsule_data_size);
    set(options.max_io_size, params.max_io_size);
    // A unit larger than an I/O only wastes memory; the field's default changes with max_io_size.
    options.io_unit_size = params.io_unit_size.value_or(std::min(options.max_io_size, options.io_unit_size));
    if (params.max_aq_depth) options.max_aq_depth = std::max(*params.max_aq_depth, 32U);
    set(options.num_shared_buffers, params.num_shared_buffers);
    // The field's files of 23.05 may have this for: what is right for the pool.
    if (params.buf_cache_size && *params.buf_cache_size != UINT32_MAX) options.buf_cache_size = params.buf_cache_size;
    set(options.iobuf_small_cache_size, params.iobuf_small_cache_size);
    set(options.iobuf_large_cache_size, params.iobuf_large_cache_size);
    set(options.data_wr_pool_size, params.data_wr_pool_size);
    set(options.zcopy, params.zcopy);
    set(options.zero_copy_reads, params.zero_copy_reads);
    set(options.c2h_success, params.c2h_success);
    set(options.dif_insert_or_strip, params.dif_insert_or_strip);
    set(options.sock_priority, params.sock_priority);
    set(options.abort_timeout_sec, params.abort_timeout_sec);
    set(options.control_msg_num, params.control_msg_num);
    set(options.acceptor_poll_rate, params.acceptor_poll_rate);
    if (params.acceptor_backlog)
        options.acceptor_backlog = static_cast<uint32_t>(std::max(*params.acceptor_backlog, 1));
    set(options.ack_timeout, params.ack_timeout);
    set(options.disable_command_passthru, params.disable_command_passthru);
    set(options.kas, params.kas);
    set(options.min_kato, params.min_kato);
    set(options.association_timeout, params.association_timeout);
    set(options.congestion_control, params.congestion_control);
    set(options.handshake_timeout_ms, params.handshake_timeout_ms);
    set(options.pdu_timeout_ms, params.pdu_timeout_ms);
    set(options.max_connections, params.max_connections);
    set(options.max_connections_per_source, params.max_connections_per_source);
    set(options.max_connecting, params.max_connecting);
    return options;
}

Json to_json(const TransportOptions& options) {
    Json json{{"trtype", options.trtype},
              {"max_queue_depth", options.max_queue_depth},
              {"max_io_qpairs_per_ctrlr", options.max_io_qpairs_per_ctrlr},
              {"in_capsule_data_size", options.in_capsule_data_size},
              {"max_io_size", options.max_io_size},
              {"io_unit_size", options.io_unit_size},
              {"max_aq_depth", options.max_aq_depth},
              {"num_shared_buffers", options.num_shared_buffers}};
    if (options.buf_cache_size) json["buf_cache_size"] = *options.buf_cache_size;
    json.update(Json{{"iobuf_small_cache_size", options.iobuf_small_cache_size},
                     {"iobuf_large_cache_size", options.iobuf_large_cache_size},
                     {"dif_insert_or_strip", options.dif_insert_or_strip},
                     {"zcopy", options.zcopy},
                     {"zero_copy_reads", options.zero_copy_reads},
                     {"c2h_success", options.c2h_success},
                     {"sock_priority", options.sock_priority},
                     {"abort_timeout_sec", options.abort_timeout_sec},
                     {"ack_timeout", options.ack_timeout},
                     {"data_wr_pool_size", options.data_wr_pool_size},
                     {"control_msg_num", options.control_msg_num},
                     {"disable_command_passthru", options.disable_command_passthru},
                     {"kas", options.kas},
                     {"min_kato", options.min_kato}});
    if (!options.congestion_control.empty()) json["congestion_control"] = options.congestion_control;
    return json;
}

struct GetTransports {
    std::optional<std::string> tgt_name, trtype;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("tgt_name", &GetTransports::tgt_name, "Target"),
                           rpc::optional("trtype", &GetTransports::trtype, "Only this type"));
    }
};

}  // namespace

void add_transport_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<CreateTransport>({.name = "nvmf_create_transport",
                                   .role = rpc::Role::operate,
                                   .text = "Starts a transport on every poll group",
                                   .codes = refused_as_internal,
                                   .changes_config = true},
                                  [&holder](CreateTransport params) -> Task<Result<Json>> {
                                      auto target = target_of(holder, params.tgt_name);
                                      if (!target) co_return std::unexpected(std::move(target).error());
                                      auto options = options_of(params);
                                      if (!options) co_return std::unexpected(std::move(options).error());
                                      options->receive_buffer_bytes = holder.receive_buffer_bytes;
                                      options->send_buffer_bytes = holder.send_buffer_bytes;
                                      WEFT_CO_TRY(co_await (*target)->create_transport(std::move(*options)));
                                      co_return Json(true);
                                  });
    registry.add<GetTransports>({.name = "nvmf_get_transports",
                                 .role = rpc::Role::read,
                                 .text = "The transports and their effective options",
                                 .result = "array"},
                                [&holder](GetTransports params) -> Task<Result<Json>> {
                                    auto target = target_of(holder, params.tgt_name);
                                    if (!target) co_return std::unexpected(std::move(target).error());
                                    Json list = Json::array();
                                    for (const auto& transport : (*target)->transports()) {
                                        if (params.trtype && !equal_ignoring_case(*params.trtype, transport->name()))
                                            continue;
                                        list.push_back(to_json(transport->options()));
                                    }
                                    if (params.trtype && list.empty()) {
                                        co_return fail(Errc::no_such_device,
                                                       fmt::format("there is no transport {}", *params.trtype));
                                    }
                                    co_return list;
                                });
}

// nvmf_get_transports has the field's shape; here is all that was set.
Json transport_entry(const Transport& transport) {
    const TransportOptions& options = transport.options();
    Json params = to_json(options);
    params.update(Json{{"acceptor_backlog", options.acceptor_backlog},
                       {"acceptor_poll_rate", options.acceptor_poll_rate},
                       {"association_timeout", options.association_timeout},
                       {"handshake_timeout_ms", options.handshake_timeout_ms},
                       {"pdu_timeout_ms", options.pdu_timeout_ms},
                       {"max_connections", options.max_connections},
                       {"max_connections_per_source", options.max_connections_per_source},
                       {"max_connecting", options.max_connecting}});
    if (options.masked_oncs != 0) params["masked_oncs"] = names_of(oncs_names, options.masked_oncs);
    if (options.masked_fuses != 0) params["masked_fuses"] = names_of(fuses_names, options.masked_fuses);
    return {{"method", "nvmf_create_transport"}, {"params", std::move(params)}};
}

}  // namespace weft::nvmf
