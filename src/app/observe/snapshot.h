// The figures of a whole target at one moment (nearly: threads are asked one after another). What the metrics, the
// status page and `weft top` show is made from this.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "bdev/registry.h"
#include "env/linux/process.h"
#include "nvmf/figures.h"
#include "nvmf/poll_group.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/transport.h"
#include "reactor/runtime.h"

namespace weft::app {

struct PollerFigures {
    std::string name;
    env::TimeNs period_ns = 0;  // 0: every turn
    uint64_t run_count = 0;
    uint64_t busy_count = 0;
};

struct ThreadFigures {
    std::string name;
    uint64_t id = 0;
    std::string reactor;
    ThreadStats stats;
    std::vector<PollerFigures> pollers;
};

struct ReactorFigures {
    std::string name;
    int cpu = -1;
    uint64_t busy_ns = 0;
    uint64_t idle_ns = 0;
    TurnLengths turns;
};

struct TransportGroupFigures {
    std::string trtype;
    nvmf::TransportFigures figures;
    BufferCacheStats buffers;
};

struct GroupFigures {
    std::string name;
    nvmf::PollGroupStats stats;
    std::vector<TransportGroupFigures> transports;
};

struct PoolFigures {
    std::string trtype;
    uint32_t buffer_bytes = 0;
    uint32_t buffer_count = 0;
    uint32_t shared_free = 0;
    uint64_t refused_by_network = 0;  // connections, since the start
    nvmf::HandshakeFigures handshakes;
};

struct NamespaceFigures {
    std::string subsystem;
    uint32_t nsid = 0;
    std::string bdev;
    std::string uuid;
    nvmf::IoFigures io;
};

struct SubsystemFigures {
    std::string nqn;
    std::string serial_number;
    std::string state;
    bool is_discovery = false;
    bool allows_any_host = false;
    std::vector<std::string> hosts;
    std::vector<std::string> listeners;
    uint64_t read_commands = 0;
    uint64_t write_commands = 0;
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    uint32_t controllers = 0;
    uint32_t namespaces = 0;
};

struct ControllerFigures {
    std::string subsystem;
    uint16_t cntlid = 0;
    std::string hostnqn;
    std::string hostid;
    uint32_t io_queues = 0;
    bool is_discovery = false;
};

struct QueueFigures {
    uint64_t uid = 0;
    std::string subsystem;
    uint16_t cntlid = 0;
    uint16_t qid = 0;
    std::string hostnqn;
    std::string peer;
    std::string group;
    uint16_t size = 0;
    uint32_t outstanding = 0;
    bool has_io = false;  // an I/O queue
    nvmf::IoFigures io;
};

struct HostFigures {
    uint32_t queues = 0;   // I/O queues now
    nvmf::IoFigures io;    // since the start of the target
};

struct BdevFigures {
    std::string name;
    std::string product;
    uint32_t block_bytes = 0;
    uint64_t block_count = 0;
    uint32_t in_flight = 0;
    bdev::Statistics figures;
};

struct Snapshot {
    env::TimeNs taken_at = 0;  // of the monotonic clock
    env::ProcessUsage process;
    std::vector<ReactorFigures> reactors;
    std::vector<ThreadFigures> threads;
    std::vector<GroupFigures> groups;
    std::vector<PoolFigures> pools;
    std::vector<SubsystemFigures> subsystems;
    std::vector<NamespaceFigures> namespaces;
    std::vector<ControllerFigures> controllers;
    std::vector<QueueFigures> queues;
    std::map<std::string, HostFigures> hosts;  // by NQN; "" is the sum of those beyond what is kept
    std::vector<BdevFigures> bdevs;
};

// What there is to look at. All outlive the collection; before the target is there, or after, its part is empty.
struct Sources {
    Runtime& runtime;
    bdev::Registry& bdevs;
    nvmf::TargetHolder& target;
};

// On the app thread. Asks each thread by messages that take microseconds each, however much there is to tell.
Task<Snapshot> take_snapshot(Sources sources);

}  // namespace weft::app
