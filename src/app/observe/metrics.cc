#include "app/observe/metrics.h"

#include <iterator>

#include "app/manual/version.h"

namespace weft::app {

namespace {

using nvmf::IoFigures;
using nvmf::IoKind;
using S = Snapshot;
using Out = Exposition;

constexpr IoKind io_kinds[] = {IoKind::read, IoKind::write, IoKind::other};

size_t one(const S&) { return 1; }
size_t reactors(const S& s) { return s.reactors.size(); }
size_t threads(const S& s) { return s.threads.size(); }
size_t groups(const S& s) { return s.groups.size(); }
size_t pools(const S& s) { return s.pools.size(); }
size_t subsystems(const S& s) { return s.subsystems.size(); }
size_t namespaces(const S& s) { return s.namespaces.size(); }
size_t hosts(const S& s) { return s.hosts.size(); }
size_t bdevs(const S& s) { return s.bdevs.size(); }
size_t controllers(const S& s) { return s.controllers.size(); }
size_t queues(const S& s) { return s.queues.size(); }

// Commands that were answered: `of` one thing, with its labels and op.
enum class Of : uint8_t { commands, bytes, latency };

template <Of what>
void write_io(const IoFigures& io, Out& out, auto... labels) {
    for (const IoKind kind : io_kinds) {
        const bdev::OpStatistics& figures = io.of(kind);
        if constexpr (what == Of::commands) out.sample({labels..., {"op", name_of(kind)}}, figures.operations);
        if constexpr (what == Of::latency) out.histogram({labels..., {"op", name_of(kind)}}, figures);
        if constexpr (what == Of::bytes) {
            if (kind != IoKind::other) out.sample({labels..., {"op", name_of(kind)}}, figures.bytes);
        }
    }
}

template <Of what>
void namespace_io(const S& s, size_t at, Out& out) {
    const NamespaceFigures& ns = s.namespaces[at];
    write_io<what>(ns.io, out, Label{"subsystem", ns.subsystem}, Label{"nsid", std::to_string(ns.nsid)});
}

// std::map has no index: families of hosts walk from the start, which scrapes of a thousand hosts can afford.
template <Of what>
void host_io(const S& s, size_t at, Out& out) {
    const auto& [nqn, host] = *std::next(s.hosts.begin(), static_cast<std::ptrdiff_t>(at));
    write_io<what>(host.io, out, Label{"host", nqn});
}

template <Of what>
void queue_io(const S& s, size_t at, Out& out) {
    const QueueFigures& queue = s.queues[at];
    if (!queue.has_io) return;
    write_io<what>(queue.io, out, Label{"subsystem", queue.subsystem}, Label{"host", queue.hostnqn},
                   Label{"cntlid", std::to_string(queue.cntlid)}, Label{"qid", std::to_string(queue.qid)});
}

template <Of what>
void bdev_io(const S& s, size_t at, Out& out) {
    const BdevFigures& bdev = s.bdevs[at];
    for (size_t index = 0; index < bdev::op_count; ++index) {
        const auto op = static_cast<bdev::Op>(index);
        const bdev::OpStatistics& figures = bdev.figures.of(op);
        if constexpr (what == Of::commands) out.sample({{"bdev", bdev.name}, {"op", name_of(op)}}, figures.operations);
        if constexpr (what == Of::latency) out.histogram({{"bdev", bdev.name}, {"op", name_of(op)}}, figures);
        if constexpr (what == Of::bytes) {
            if (op != bdev::Op::flush) out.sample({{"bdev", bdev.name}, {"op", name_of(op)}}, figures.bytes);
        }
    }
}

template <auto member>
void group_value(const S& s, size_t at, Out& out) {
    out.sample({{"poll_group", s.groups[at].name}}, uint64_t{s.groups[at].stats.*member});
}

template <auto member>
void transport_value(const S& s, size_t at, Out& out) {
    for (const TransportGroupFigures& transport : s.groups[at].transports) {
        out.sample({{"transport", transport.trtype}, {"poll_group", s.groups[at].name}},
                   uint64_t{transport.figures.*member});
    }
}

template <auto member>
void pool_value(const S& s, size_t at, Out& out) {
    out.sample({{"transport", s.pools[at].trtype}}, uint64_t{s.pools[at].*member});
}

template <auto member>
void handshake_value(const S& s, size_t at, Out& out) {
    out.sample({{"transport", s.pools[at].trtype}}, uint64_t{s.pools[at].handshakes.*member});
}

template <auto member>
void subsystem_value(const S& s, size_t at, Out& out) {
    out.sample({{"subsystem", s.subsystems[at].nqn}}, uint64_t{s.subsystems[at].*member});
}

constexpr const char* counter = "counter";
constexpr const char* gauge = "gauge";
constexpr const char* histogram = "histogram";
using Group = nvmf::PollGroupStats;
using Moved = nvmf::TransportFigures;
using Handshakes = nvmf::HandshakeFigures;

// clang-format off
constexpr Family families[] = {
    {"weft_build_info", gauge, "1, with the version that runs", one,
     [](const S&, size_t, Out& out) { out.sample({{"version", version_text}, {"compiler", __clang_version__}}, uint64_t{1}); }},
    {"process_cpu_seconds_total", counter, "Time of all CPUs, user and system", one,
     [](const S& s, size_t, Out& out) { out.seconds({}, s.process.cpu_ns); }},
    {"process_start_time_seconds", gauge, "When the process started, in seconds since 1970", one,
     [](const S& s, size_t, Out& out) { out.sample({}, s.process.started_at); }},
    {"process_resident_memory_bytes", gauge, "Memory that the process has in RAM", one,
     [](const S& s, size_t, Out& out) { out.sample({}, s.process.resident_bytes); }},
    {"process_virtual_memory_bytes", gauge, "Address space of the process", one,
     [](const S& s, size_t, Out& out) { out.sample({}, s.process.virtual_bytes); }},
    {"process_open_fds", gauge, "Open file descriptors", one,
     [](const S& s, size_t, Out& out) { out.sample({}, s.process.open_descriptors); }},
    {"process_max_fds", gauge, "How many there may be", one,
     [](const S& s, size_t, Out& out) { out.sample({}, s.process.descriptors_max); }},

    {"weft_reactor_busy_seconds_total", counter, "Time in turns that found work", reactors,
     [](const S& s, size_t at, Out& out) {
         out.seconds({{"reactor", s.reactors[at].name}, {"cpu", std::to_string(s.reactors[at].cpu)}}, s.reactors[at].busy_ns);
     }},
    {"weft_reactor_idle_seconds_total", counter, "Time in turns that found none, and asleep", reactors,
     [](const S& s, size_t at, Out& out) {
         out.seconds({{"reactor", s.reactors[at].name}, {"cpu", std::to_string(s.reactors[at].cpu)}}, s.reactors[at].idle_ns);
     }},
    {"weft_reactor_turn_seconds", histogram, "Turns that found work", reactors,
     [](const S& s, size_t at, Out& out) {
         bdev::OpStatistics turns;
         for (const uint64_t count : s.reactors[at].turns.counts) turns.operations += count;
         turns.latency_ns = s.reactors[at].busy_ns;
         turns.latencies = s.reactors[at].turns.coarse();
         out.histogram({{"reactor", s.reactors[at].name}, {"cpu", std::to_string(s.reactors[at].cpu)}}, turns);
     }},
    {"weft_thread_busy_seconds_total", counter, "A thread's share of its reactor's busy time", threads,
     [](const S& s, size_t at, Out& out) {
         const ThreadFigures& thread = s.threads[at];  // names need not differ
         out.seconds({{"thread", thread.name}, {"id", std::to_string(thread.id)}, {"reactor", thread.reactor}}, thread.stats.busy_ns);
     }},

    {"weft_poll_group_qpairs", gauge, "Queue pairs now", groups,
     [](const S& s, size_t at, Out& out) {
         const GroupFigures& group = s.groups[at];
         out.sample({{"poll_group", group.name}, {"kind", "admin"}}, uint64_t{group.stats.current_admin_qpairs});
         out.sample({{"poll_group", group.name}, {"kind", "io"}}, uint64_t{group.stats.current_io_qpairs});
         out.sample({{"poll_group", group.name}, {"kind", "unassociated"}}, uint64_t{group.stats.current_unassociated_qpairs});
     }},
    {"weft_poll_group_admin_connects_total", counter, "Admin queues that were connected", groups, group_value<&Group::admin_qpairs>},
    {"weft_poll_group_io_connects_total", counter, "I/O queues that were connected", groups, group_value<&Group::io_qpairs>},
    {"weft_poll_group_commands_total", counter, "Commands of I/O queues that were answered, of all outcomes", groups, group_value<&Group::completed_nvme_io>},
    {"weft_poll_group_retrying_commands", gauge, "Commands that wait until a device takes them", groups, group_value<&Group::pending_bdev_io>},

    {"weft_transport_connections", gauge, "Connections now", groups, transport_value<&Moved::current_connections>},
    {"weft_transport_connecting", gauge, "Those of them without a finished Connect", groups, transport_value<&Moved::current_connecting>},
    {"weft_transport_accepted_connections_total", counter, "Connections that were accepted", groups, transport_value<&Moved::connections>},
    {"weft_transport_protocol_errors_total", counter, "Connections that were ended for breaking the protocol", groups, transport_value<&Moved::terminations>},
    {"weft_transport_refused_connections_total", counter, "Connections that were too many, in all or of their source", groups, transport_value<&Moved::refused_connections>},
    {"weft_transport_displaced_connections_total", counter, "Connections without a finished Connect that made room for others", groups, transport_value<&Moved::displaced_connections>},
    {"weft_transport_timed_out_connections_total", counter, "Connections that did not finish Connect, or a PDU, in time", groups, transport_value<&Moved::timed_out_connections>},
    {"weft_transport_refused_networks_total", counter, "Connections from outside of the networks that may come", pools, pool_value<&PoolFigures::refused_by_network>},
    {"weft_transport_tls_handshakes", gauge, "TLS handshakes under way, and connections that may yet begin one", pools, handshake_value<&Handshakes::under_way>},
    {"weft_transport_tls_handshakes_opened_total", counter, "TLS handshakes that went well", pools, handshake_value<&Handshakes::opened>},
    {"weft_transport_tls_handshakes_failed_total", counter, "TLS handshakes that did not, also those that made room", pools, handshake_value<&Handshakes::failed>},
    {"weft_transport_tls_handshakes_displaced_total", counter, "TLS handshakes, or connections that might have begun one, that made room for others", pools, handshake_value<&Handshakes::displaced>},
    {"weft_transport_received_bytes_total", counter, "Bytes from hosts, headers and digests included", groups, transport_value<&Moved::received_bytes>},
    {"weft_transport_sent_bytes_total", counter, "Bytes to hosts, headers and digests included", groups, transport_value<&Moved::sent_bytes>},
    {"weft_transport_commands_in_flight", gauge, "Commands that hold a request slot", groups, transport_value<&Moved::requests_in_flight>},
    {"weft_transport_buffer_waiters", gauge, "Commands that wait for data buffers", groups, transport_value<&Moved::waiting_for_buffers>},

    {"weft_buffer_pool_buffers", gauge, "Data buffers of a transport, in use or not", pools, pool_value<&PoolFigures::buffer_count>},
    {"weft_buffer_pool_buffer_bytes", gauge, "Size of one of them", pools, pool_value<&PoolFigures::buffer_bytes>},
    {"weft_buffer_pool_shared_free_buffers", gauge, "Those that are neither in use nor in a poll group's reserve", pools, pool_value<&PoolFigures::shared_free>},
    {"weft_buffer_pool_takes_total", counter, "Requests for buffers that were met, from a poll group's reserve or from what is shared", groups,
     [](const S& s, size_t at, Out& out) {
         for (const TransportGroupFigures& transport : s.groups[at].transports) {
             out.sample({{"transport", transport.trtype}, {"poll_group", s.groups[at].name}, {"from", "reserve"}}, transport.buffers.from_cache);
             out.sample({{"transport", transport.trtype}, {"poll_group", s.groups[at].name}, {"from", "shared"}}, transport.buffers.from_shared);
         }
     }},
    {"weft_buffer_pool_waits_total", counter, "Requests for buffers that had to wait", groups,
     [](const S& s, size_t at, Out& out) {
         for (const TransportGroupFigures& transport : s.groups[at].transports) {
             out.sample({{"transport", transport.trtype}, {"poll_group", s.groups[at].name}}, transport.buffers.waited);
         }
     }},

    {"weft_subsystem_info", gauge, "1, with what a subsystem is", subsystems,
     [](const S& s, size_t at, Out& out) {
         const SubsystemFigures& subsystem = s.subsystems[at];
         out.sample({{"subsystem", subsystem.nqn}, {"serial_number", subsystem.serial_number},
                     {"kind", subsystem.is_discovery ? "discovery" : "nvme"}, {"state", subsystem.state}}, uint64_t{1});
     }},
    {"weft_subsystem_controllers", gauge, "Controllers now", subsystems, subsystem_value<&SubsystemFigures::controllers>},
    {"weft_subsystem_namespaces", gauge, "Namespaces now", subsystems, subsystem_value<&SubsystemFigures::namespaces>},
    {"weft_subsystem_commands_total", counter, "Read and Write commands that were executed, of all outcomes", subsystems,
     [](const S& s, size_t at, Out& out) {
         out.sample({{"subsystem", s.subsystems[at].nqn}, {"op", "read"}}, s.subsystems[at].read_commands);
         out.sample({{"subsystem", s.subsystems[at].nqn}, {"op", "write"}}, s.subsystems[at].write_commands);
     }},
    {"weft_subsystem_bytes_total", counter, "Their data", subsystems,
     [](const S& s, size_t at, Out& out) {
         out.sample({{"subsystem", s.subsystems[at].nqn}, {"op", "read"}}, s.subsystems[at].read_bytes);
         out.sample({{"subsystem", s.subsystems[at].nqn}, {"op", "write"}}, s.subsystems[at].written_bytes);
     }},

    {"weft_namespace_info", gauge, "1, with the device behind a namespace", namespaces,
     [](const S& s, size_t at, Out& out) {
         const NamespaceFigures& ns = s.namespaces[at];
         out.sample({{"subsystem", ns.subsystem}, {"nsid", std::to_string(ns.nsid)}, {"bdev", ns.bdev}, {"uuid", ns.uuid}}, uint64_t{1});
     }},
    {"weft_namespace_commands_total", counter, "I/O commands that were answered with success", namespaces, namespace_io<Of::commands>},
    {"weft_namespace_bytes_total", counter, "Data of those that read and write", namespaces, namespace_io<Of::bytes>},
    {"weft_namespace_latency_seconds", histogram, "From a command's arrival to its answer", namespaces, namespace_io<Of::latency>},
    {"weft_namespace_errors_total", counter, "I/O commands that were answered with an error", namespaces,
     [](const S& s, size_t at, Out& out) {
         out.sample({{"subsystem", s.namespaces[at].subsystem}, {"nsid", std::to_string(s.namespaces[at].nsid)}}, s.namespaces[at].io.errors);
     }},

    {"weft_host_queues", gauge, "I/O queues of a host now", hosts,
     [](const S& s, size_t at, Out& out) {
         const auto& [nqn, host] = *std::next(s.hosts.begin(), static_cast<std::ptrdiff_t>(at));
         out.sample({{"host", nqn}}, uint64_t{host.queues});
     }},
    {"weft_host_commands_total", counter, "I/O commands of a host that were answered with success", hosts, host_io<Of::commands>},
    {"weft_host_bytes_total", counter, "Data of those that read and write", hosts, host_io<Of::bytes>},
    {"weft_host_latency_seconds", histogram, "From a command's arrival to its answer", hosts, host_io<Of::latency>},
    {"weft_host_errors_total", counter, "I/O commands of a host that were answered with an error", hosts,
     [](const S& s, size_t at, Out& out) {
         const auto& [nqn, host] = *std::next(s.hosts.begin(), static_cast<std::ptrdiff_t>(at));
         out.sample({{"host", nqn}}, host.io.errors);
     }},

    {"weft_controller_io_queues", gauge, "I/O queues of a controller now", controllers,
     [](const S& s, size_t at, Out& out) {
         const ControllerFigures& controller = s.controllers[at];
         out.sample({{"subsystem", controller.subsystem}, {"host", controller.hostnqn}, {"cntlid", std::to_string(controller.cntlid)}}, uint64_t{controller.io_queues});
     }},
    {"weft_queue_commands_total", counter, "I/O commands of a queue that were answered with success", queues, queue_io<Of::commands>},
    {"weft_queue_bytes_total", counter, "Data of those that read and write", queues, queue_io<Of::bytes>},
    {"weft_queue_latency_seconds", histogram, "From a command's arrival to its answer", queues, queue_io<Of::latency>},
    {"weft_queue_errors_total", counter, "I/O commands of a queue that were answered with an error", queues,
     [](const S& s, size_t at, Out& out) {
         const QueueFigures& queue = s.queues[at];
         if (!queue.has_io) return;
         out.sample({{"subsystem", queue.subsystem}, {"host", queue.hostnqn}, {"cntlid", std::to_string(queue.cntlid)}, {"qid", std::to_string(queue.qid)}}, queue.io.errors);
     }},
    {"weft_queue_commands_in_flight", gauge, "Commands of a queue that are not answered yet", queues,
     [](const S& s, size_t at, Out& out) {
         const QueueFigures& queue = s.queues[at];
         if (!queue.has_io) return;
         out.sample({{"subsystem", queue.subsystem}, {"host", queue.hostnqn}, {"cntlid", std::to_string(queue.cntlid)}, {"qid", std::to_string(queue.qid)}}, uint64_t{queue.outstanding});
     }},

    {"weft_bdev_info", gauge, "1, with what a block device is", bdevs,
     [](const S& s, size_t at, Out& out) { out.sample({{"bdev", s.bdevs[at].name}, {"product", s.bdevs[at].product}}, uint64_t{1}); }},
    {"weft_bdev_size_bytes", gauge, "Its size", bdevs,
     [](const S& s, size_t at, Out& out) { out.sample({{"bdev", s.bdevs[at].name}}, s.bdevs[at].block_count * s.bdevs[at].block_bytes); }},
    {"weft_bdev_operations_total", counter, "Operations that were done", bdevs, bdev_io<Of::commands>},
    {"weft_bdev_bytes_total", counter, "What they covered", bdevs, bdev_io<Of::bytes>},
    {"weft_bdev_latency_seconds", histogram, "From a request to its end", bdevs, bdev_io<Of::latency>},
    {"weft_bdev_errors_total", counter, "Operations that failed", bdevs,
     [](const S& s, size_t at, Out& out) {
         for (size_t status = 1; status < bdev::status_count; ++status) {
             out.sample({{"bdev", s.bdevs[at].name}, {"status", name_of(static_cast<bdev::Status>(status))}}, s.bdevs[at].figures.errors[status]);
         }
     }},
    {"weft_bdev_operations_in_flight", gauge, "Operations that the device has now", bdevs,
     [](const S& s, size_t at, Out& out) { out.sample({{"bdev", s.bdevs[at].name}}, uint64_t{s.bdevs[at].in_flight}); }},
};
// clang-format on

}  // namespace

std::span<const Family> metric_families() { return families; }

std::string exposition_of(const Snapshot& snapshot) {
    Exposition out;
    for (const Family& family : families) {
        out.begin_family(family.name, family.type, family.help);
        for (size_t at = 0; at < family.count(snapshot); ++at) family.write(snapshot, at, out);
    }
    return out.take();
}

}  // namespace weft::app
