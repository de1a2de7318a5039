// The tracepoints of the program as one table: their groups, the field's numbers and names for what the field has too,
// and what the arguments of each mean. Writers name a Point; readers of a trace find everything else here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weft::trace {

// A group's number is its bit in the group mask, as the field counts them. `reactor` is Weft's own.
enum class Group : uint8_t { bdev = 3, nvmf_tcp = 5, thread = 10, sock = 15, reactor = 31 };
inline constexpr size_t group_max = 32;
inline constexpr size_t points_per_group = 64;

struct GroupInfo {
    Group group;
    std::string_view name;
};
// By number, which is the order in which the field's answers list them.
inline constexpr std::array<GroupInfo, 5> groups{{{Group::bdev, "bdev"},
                                                  {Group::nvmf_tcp, "nvmf_tcp"},
                                                  {Group::thread, "thread"},
                                                  {Group::sock, "sock"},
                                                  {Group::reactor, "reactor"}}};
// Groups of the field without tracepoints here, with their numbers: known, so that they are not taken for a slip.
struct AbsentGroup {
    uint8_t number;
    std::string_view name;
};
inline constexpr AbsentGroup absent_groups[] = {
    {1, "iscsi_conn"}, {2, "scsi"},       {4, "nvmf_rdma"}, {6, "ftl"},       {8, "nvmf_fc"},
    {9, "dsa"},        {11, "nvme_pcie"}, {12, "iaa"},      {13, "nvme_tcp"}, {14, "bdev_nvme"},
    {16, "blob"},      {17, "bdev_raid"}, {18, "scheduler"}};

// Its group's number times 64, and its bit in that group's mask.
enum class Point : uint16_t {
    bdev_io_start = 3 * 64,
    bdev_io_done,
    bdev_ioch_create,
    bdev_ioch_destroy,

    tcp_req_new = 5 * 64,
    tcp_req_need_buffer,
    tcp_req_have_buffer,
    tcp_req_tx_h_to_c = 5 * 64 + 0x05,
    tcp_req_rdy_to_execute,
    tcp_req_executing,
    tcp_req_executed = 5 * 64 + 0x09,
    tcp_req_rdy_to_complete,
    tcp_req_transfer_c2h,
    tcp_req_completed = 5 * 64 + 0x0D,
    tcp_read_done = 5 * 64 + 0x0F,
    tcp_req_await_r2t_ack,
    tcp_qp_create,
    tcp_qp_state_change = 5 * 64 + 0x13,
    tcp_qp_disconnect,
    tcp_qp_destroy,
    tcp_req_held = 5 * 64 + 0x20,  // from here on the field has none
    tcp_req_retry,
    tcp_req_draining,
    tcp_req_lost,

    thread_ioch_get = 10 * 64,
    thread_ioch_put,
    thread_message = 10 * 64 + 0x20,

    sock_recv = 15 * 64 + 0x20,
    sock_send,

    reactor_turn = 31 * 64,
    reactor_sleep,
};

constexpr Group group_of(Point point) { return static_cast<Group>(static_cast<size_t>(point) / points_per_group); }
// Its number within the group, and the bit of it.
constexpr uint32_t index_of(Point point) {
    return static_cast<uint32_t>(static_cast<size_t>(point) % points_per_group);
}
constexpr uint64_t bit_of(Point point) { return uint64_t{1} << index_of(point); }

// What an entry's object is.
enum class Kind : uint8_t { none, request, io, queue, thread };
// What an entry says of its object, or of its reactor.
enum class Shape : uint8_t {
    event,  // something happened
    span,   // something has just ended that took `b` nanoseconds
    begin,  // the object begins
    stage,  // it enters the stage that has this name
    end,    // it is over
};

struct PointInfo {
    Point point;
    std::string_view name;
    Kind object;
    Shape shape;
    std::string_view a, b, c, d;  // names of the arguments; "" where there is none
};

// clang-format off
inline constexpr PointInfo points[] = {
    {Point::bdev_io_start,          "BDEV_IO_START",          Kind::io,      Shape::begin, "request", "lba",      "blocks", "type"},
    {Point::bdev_io_done,           "BDEV_IO_DONE",           Kind::io,      Shape::end,   "request", "",         "",       "status"},
    {Point::bdev_ioch_create,       "BDEV_IOCH_CREATE",       Kind::none,    Shape::event, "tid",     "",         "",       ""},
    {Point::bdev_ioch_destroy,      "BDEV_IOCH_DESTROY",      Kind::none,    Shape::event, "tid",     "",         "",       ""},
    {Point::tcp_req_new,            "TCP_REQ_NEW",            Kind::request, Shape::begin, "queue",   "lba",      "cid",    "opcode"},
    {Point::tcp_req_need_buffer,    "TCP_REQ_NEED_BUFFER",    Kind::request, Shape::stage, "",        "",         "",       ""},
    {Point::tcp_req_have_buffer,    "TCP_REQ_HAVE_BUFFER",    Kind::request, Shape::stage, "",        "",         "",       ""},
    {Point::tcp_req_tx_h_to_c,      "TCP_REQ_TX_H_TO_C",      Kind::request, Shape::stage, "",        "offset",   "bytes",  ""},
    {Point::tcp_req_rdy_to_execute, "TCP_REQ_RDY_TO_EXECUTE", Kind::request, Shape::stage, "",        "",         "",       ""},
    {Point::tcp_req_executing,      "TCP_REQ_EXECUTING",      Kind::request, Shape::stage, "",        "",         "bytes",  "nsid"},
    {Point::tcp_req_executed,       "TCP_REQ_EXECUTED",       Kind::request, Shape::stage, "",        "",         "",       ""},
    {Point::tcp_req_rdy_to_complete,"TCP_REQ_RDY_TO_COMPLETE",Kind::request, Shape::stage, "",        "",         "",       "status"},
    {Point::tcp_req_transfer_c2h,   "TCP_REQ_TRANSFER_C2H",   Kind::request, Shape::stage, "",        "",         "bytes",  ""},
    {Point::tcp_req_completed,      "TCP_REQ_COMPLETED",      Kind::request, Shape::end,   "",        "",         "qd",     ""},
    {Point::tcp_read_done,          "TCP_READ_DONE",          Kind::queue,   Shape::event, "",        "",         "bytes",  ""},
    {Point::tcp_req_await_r2t_ack,  "TCP_REQ_AWAIT_R2T_ACK",  Kind::request, Shape::stage, "",        "offset",   "bytes",  ""},
    {Point::tcp_qp_create,          "TCP_QP_CREATE",          Kind::queue,   Shape::event, "",        "",         "",       ""},
    {Point::tcp_qp_state_change,    "TCP_QP_STATE_CHANGE",    Kind::queue,   Shape::event, "",        "",         "qid",    "state"},
    {Point::tcp_qp_disconnect,      "TCP_QP_DISCONNECT",      Kind::queue,   Shape::event, "",        "",         "qid",    ""},
    {Point::tcp_qp_destroy,         "TCP_QP_DESTROY",         Kind::queue,   Shape::event, "",        "",         "qid",    ""},
    {Point::tcp_req_held,           "TCP_REQ_HELD",           Kind::request, Shape::stage, "",        "",         "",       ""},
    {Point::tcp_req_retry,          "TCP_REQ_RETRY",          Kind::request, Shape::stage, "",        "",         "",       ""},
    {Point::tcp_req_draining,       "TCP_REQ_DRAINING",       Kind::request, Shape::stage, "",        "",         "",       ""},
    {Point::tcp_req_lost,           "TCP_REQ_LOST",           Kind::request, Shape::end,   "",        "",         "qd",     ""},
    {Point::thread_ioch_get,        "THREAD_IOCH_GET",        Kind::thread,  Shape::event, "",        "",         "refs",   ""},
    {Point::thread_ioch_put,        "THREAD_IOCH_PUT",        Kind::thread,  Shape::event, "",        "",         "refs",   ""},
    {Point::thread_message,         "THREAD_MESSAGE",         Kind::thread,  Shape::span,  "",        "duration", "",       ""},
    {Point::sock_recv,              "SOCK_RECV",              Kind::queue,   Shape::span,  "",        "duration", "bytes",  ""},
    {Point::sock_send,              "SOCK_SEND",              Kind::queue,   Shape::span,  "",        "duration", "bytes",  "pdus"},
    {Point::reactor_turn,           "REACTOR_TURN",           Kind::none,    Shape::span,  "",        "duration", "work",   ""},
    {Point::reactor_sleep,          "REACTOR_SLEEP",          Kind::none,    Shape::span,  "",        "duration", "",       ""},
};
// clang-format on

// In the opcode of TCP_REQ_NEW: the command came on an admin queue.
inline constexpr uint16_t admin_opcode = 0x100;

// nullptr: there is none with this number, which came from outside.
constexpr const PointInfo* find(uint16_t number) {
    for (const PointInfo& info : points) {
        if (static_cast<uint16_t>(info.point) == number) return &info;
    }
    return nullptr;
}
constexpr const PointInfo& info_of(Point point) { return *find(static_cast<uint16_t>(point)); }

// Changes when the table does: a trace is read by the program that has the table it was written with.
consteval uint64_t table_digest() {
    uint64_t digest = 0xCBF29CE484222325;  // FNV-1a
    const auto add = [&digest](std::string_view text) {
        for (const char character : text) {
            digest = (digest ^ static_cast<uint64_t>(static_cast<unsigned char>(character))) * 0x100000001B3;
        }
        digest = (digest ^ 0xFF) * 0x100000001B3;
    };
    for (const PointInfo& info : points) {
        digest = (digest ^ (static_cast<uint64_t>(info.point) + (static_cast<uint64_t>(info.object) << 16) +
                            (static_cast<uint64_t>(info.shape) << 24))) *
                 0x100000001B3;
        for (const std::string_view text : {info.name, info.a, info.b, info.c, info.d}) add(text);
    }
    return digest;
}

}  // namespace weft::trace
