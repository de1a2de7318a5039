#include "nvmf/figures.h"

#include "nvmf/poll_group.h"
#include "nvmf/qpair.h"

namespace weft::nvmf {

std::string_view name_of(IoKind kind) {
    switch (kind) {
        case IoKind::read: return "read";
        case IoKind::write: return "write";
        case IoKind::other: return "other";
    }
    return "?";
}

void IoFigures::add(const IoFigures& other) {
    for (size_t kind = 0; kind < io_kind_count; ++kind) kinds[kind].add(other.kinds[kind]);
    errors += other.errors;
}

void TransportFigures::add(const TransportFigures& other) {
    connections += other.connections;
    terminations += other.terminations;
    refused_connections += other.refused_connections;
    displaced_connections += other.displaced_connections;
    timed_out_connections += other.timed_out_connections;
    received_bytes += other.received_bytes;
    sent_bytes += other.sent_bytes;
    current_connections += other.current_connections;
    current_connecting += other.current_connecting;
    requests_in_flight += other.requests_in_flight;
    waiting_for_buffers += other.waiting_for_buffers;
}

void count_io(const Request& request) {
    Qpair& qpair = *request.qpair;
    PollGroup& group = qpair.group();
    ++group.stats.completed_nvme_io;
    if (qpair.io == nullptr || request.command.is_fabrics()) return;
    // Another namespace may have this NSID by now: a moment's worth of commands is not worth a look at its opening.
    NamespaceView* ns = qpair.find_namespace(request.command.nsid);
    if (!request.status().is_success()) [[unlikely]] {
        qpair.io->count_error();
        if (ns != nullptr) ns->io.count_error();
        return;
    }
    IoKind kind = IoKind::other;
    if (request.command.io_opcode() == nvme::IoOpcode::read) kind = IoKind::read;
    if (request.command.io_opcode() == nvme::IoOpcode::write) kind = IoKind::write;
    const uint64_t bytes = kind == IoKind::other ? 0 : request.data_bytes;
    Reactor& reactor = group.thread().reactor();
    qpair.io->count(reactor, kind, bytes, request.began);
    if (ns != nullptr) ns->io.count(reactor, kind, bytes, request.began);
}

}  // namespace weft::nvmf
