#include "app/observe/figures_json.h"

#include <algorithm>

#include "app/manual/version.h"

namespace weft::app {

namespace {

Json to_json(const bdev::OpStatistics& figures) {
    Json list = Json::array({figures.operations, figures.bytes, figures.latency_ns});
    const auto& counts = figures.latencies.counts;
    size_t used = counts.size();
    while (used > 0 && counts[used - 1] == 0) --used;
    for (size_t at = 0; at < used; ++at) list.push_back(counts[at]);
    return list;
}

Json to_json(const nvmf::IoFigures& io) {
    return {{"read", to_json(io.of(nvmf::IoKind::read))},
            {"write", to_json(io.of(nvmf::IoKind::write))},
            {"other", to_json(io.of(nvmf::IoKind::other))},
            {"errors", io.errors}};
}

Json to_json(const ThreadFigures& thread) {
    Json pollers = Json::array();
    for (const PollerFigures& poller : thread.pollers) {
        pollers.push_back({{"name", poller.name},
                           {"period_ns", poller.period_ns},
                           {"run_count", poller.run_count},
                           {"busy_count", poller.busy_count}});
    }
    return {{"name", thread.name},
            {"id", thread.id},
            {"reactor", thread.reactor},
            {"busy_ns", thread.stats.busy_ns},
            {"idle_ns", thread.stats.idle_ns},
            {"pollers", std::move(pollers)}};
}

Json to_json(const GroupFigures& group) {
    Json transports = Json::array();
    for (const TransportGroupFigures& transport : group.transports) {
        transports.push_back({{"trtype", transport.trtype},
                              {"connections", transport.figures.current_connections},
                              {"accepted", transport.figures.connections},
                              {"connecting", transport.figures.current_connecting},
                              {"refused", transport.figures.refused_connections},
                              {"displaced", transport.figures.displaced_connections},
                              {"timed_out", transport.figures.timed_out_connections},
                              {"protocol_errors", transport.figures.terminations},
                              {"received_bytes", transport.figures.received_bytes},
                              {"sent_bytes", transport.figures.sent_bytes},
                              {"in_flight", transport.figures.requests_in_flight},
                              {"buffer_waiters", transport.figures.waiting_for_buffers}});
    }
    return {{"name", group.name},
            {"admin_qpairs", group.stats.current_admin_qpairs},
            {"io_qpairs", group.stats.current_io_qpairs},
            {"completed", group.stats.completed_nvme_io},
            {"transports", std::move(transports)}};
}

Json to_json(const SubsystemFigures& subsystem) {
    return {{"nqn", subsystem.nqn},
            {"serial_number", subsystem.serial_number},
            {"state", subsystem.state},
            {"is_discovery", subsystem.is_discovery},
            {"allow_any_host", subsystem.allows_any_host},
            {"hosts", subsystem.hosts},
            {"listeners", subsystem.listeners}};
}

Json to_json(const BdevFigures& bdev) {
    uint64_t errors = 0;
    for (const uint64_t count : bdev.figures.errors) errors += count;
    const auto op = [&bdev](bdev::Op kind) { return to_json(bdev.figures.of(kind)); };
    return {{"name", bdev.name},
            {"product", bdev.product},
            {"block_size", bdev.block_bytes},
            {"num_blocks", bdev.block_count},
            {"in_flight", bdev.in_flight},
            {"errors", errors},
            {"read", op(bdev::Op::read)},
            {"write", op(bdev::Op::write)},
            {"flush", op(bdev::Op::flush)},
            {"unmap", op(bdev::Op::unmap)}};
}

Json queues_to_json(const std::vector<QueueFigures>& queues, size_t queues_max) {
    std::vector<const QueueFigures*> order;
    order.reserve(queues.size());
    for (const QueueFigures& queue : queues) order.push_back(&queue);
    const auto operations = [](const QueueFigures& queue) {
        uint64_t sum = 0;
        for (const auto& kind : queue.io.kinds) sum += kind.operations;
        return sum;
    };
    if (order.size() > queues_max) {
        std::ranges::partial_sort(
            order, order.begin() + static_cast<std::ptrdiff_t>(queues_max),
            [&](const auto* left, const auto* right) { return operations(*left) > operations(*right); });
        order.resize(queues_max);
    }
    Json list = Json::array();
    for (const QueueFigures* queue : order) {
        Json json = to_json(queue->io);
        json["uid"] = queue->uid;
        json["subsystem"] = queue->subsystem;
        json["cntlid"] = queue->cntlid;
        json["qid"] = queue->qid;
        json["host"] = queue->hostnqn;
        json["peer"] = queue->peer;
        json["poll_group"] = queue->group;
        json["size"] = queue->size;
        json["outstanding"] = queue->outstanding;
        list.push_back(std::move(json));
    }
    return list;
}

template <class List>
Json list_of(const List& things) {
    Json list = Json::array();
    for (const auto& thing : things) list.push_back(to_json(thing));
    return list;
}

struct GetFigures {
    uint32_t max_queues = 1000;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("max_queues", &GetFigures::max_queues,
                                         "How many queues at most, those with the most operations first"));
    }
};

}  // namespace

Json to_json(const Snapshot& snapshot, size_t queues_max) {
    Json reactors = Json::array();
    for (const ReactorFigures& reactor : snapshot.reactors) {
        Json turns = Json::array();
        for (size_t at = 0; at < TurnLengths::bucket_count; ++at) {
            const uint64_t count = reactor.turns.counts[at];
            if (count > 0) turns.push_back(Json::array({TurnLengths::bound_ns(at), count}));
        }
        reactors.push_back({{"name", reactor.name},
                            {"cpu", reactor.cpu},
                            {"busy_ns", reactor.busy_ns},
                            {"idle_ns", reactor.idle_ns},
                            {"turns", std::move(turns)}});
    }
    Json namespaces = Json::array();
    for (const NamespaceFigures& ns : snapshot.namespaces) {
        Json json = to_json(ns.io);
        json["subsystem"] = ns.subsystem;
        json["nsid"] = ns.nsid;
        json["bdev"] = ns.bdev;
        namespaces.push_back(std::move(json));
    }
    Json controllers = Json::array();
    for (const ControllerFigures& controller : snapshot.controllers) {
        controllers.push_back({{"subsystem", controller.subsystem},
                               {"cntlid", controller.cntlid},
                               {"host", controller.hostnqn},
                               {"hostid", controller.hostid},
                               {"io_queues", controller.io_queues},
                               {"is_discovery", controller.is_discovery}});
    }
    Json hosts = Json::array();
    for (const auto& [nqn, host] : snapshot.hosts) {
        Json json = to_json(host.io);
        json["nqn"] = nqn;
        json["queues"] = host.queues;
        hosts.push_back(std::move(json));
    }
    Json pools = Json::array();
    for (const PoolFigures& pool : snapshot.pools) {
        pools.push_back({{"trtype", pool.trtype},
                         {"buffers", pool.buffer_count},
                         {"buffer_bytes", pool.buffer_bytes},
                         {"shared_free", pool.shared_free}});
    }
    return {{"version", version_text},
            {"taken_at_ns", snapshot.taken_at},
            {"resident_bytes", snapshot.process.resident_bytes},
            {"cpu_ns", snapshot.process.cpu_ns},
            {"reactors", std::move(reactors)},
            {"threads", list_of(snapshot.threads)},
            {"poll_groups", list_of(snapshot.groups)},
            {"buffer_pools", std::move(pools)},
            {"subsystems", list_of(snapshot.subsystems)},
            {"namespaces", std::move(namespaces)},
            {"controllers", std::move(controllers)},
            {"hosts", std::move(hosts)},
            {"queue_count", snapshot.queues.size()},
            {"queues", queues_to_json(snapshot.queues, queues_max)},
            {"bdevs", list_of(snapshot.bdevs)}};
}

void add_figures_method(rpc::Registry& registry, Sources sources) {
    registry.add<GetFigures>({.name = "weft_get_figures",
                              .role = rpc::Role::read,
                              .text = "All figures of the target at once: what weft top and the status page show",
                              .result = "object"},
                             [sources](GetFigures params) -> Task<Result<Json>> {
                                 const Snapshot snapshot = co_await take_snapshot(sources);
                                 co_return to_json(snapshot, params.max_queues);
                             });
}

}  // namespace weft::app
