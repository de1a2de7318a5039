// Requests that a module cannot have as they are: cut into parts that keep its limits (cutting.h), or done by ops that
// it has. Write zeroes is written from the one page of zeroes; compare and verify are read; copy is read and written;
// compare and write is a compare and a write while nobody else may write there.
//
// A request is cut from front to back, a bounded number of parts under way; the first error is its error, and nothing
// is begun after it. Parts and buffers are the channel's, and bounded: requests wait for them in order. Data is not
// copied, but where a block lies in more pieces than the module takes. On the channel's thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "bdev/gate/cutting.h"
#include "bdev/request.h"
#include "reactor/task.h"

namespace weft::bdev {

class Channel;
class ChannelGate;
class Device;

class Parts {
public:
    static constexpr size_t parts_max = 32;     // of a channel
    static constexpr uint32_t under_way_max = 8;  // of a request
    static constexpr size_t buffers_max = 4;    // of a channel
    static constexpr uint64_t buffer_bytes = uint64_t{128} << 10;

    Parts(ChannelGate& gate, Channel& channel);
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;
    ~Parts();

    // The request is one of ours.
    static bool owns(const Request& request) { return request.done == part_done; }
    // The module cannot have it as it is.
    [[nodiscard]] bool must_take(const Request& request) const;
    // Like Channel::start().
    Progress begin(Request& whole);
    // The module is done with a part; it is asked again to begin one.
    void on_finished(Request& request, Status status);
    void start_again(Request& request);
    bool abort(Request& whole);
    // Begins what there is room for. True: call again in the next turn.
    bool feed();
    [[nodiscard]] bool is_idle() const { return used_ == 0 && waiting_.empty() && locked_ == 0; }

private:
    enum class Recipe : uint8_t { cut, zeroes, check, copy };
    enum class Step : uint8_t { only, read, write };
    enum class Fed : uint8_t {
        all,      // has no more to begin for now
        later,    // goes on in a later turn
        no_room,  // of the channel's, or of the module's
    };
    struct Whole;
    struct Part;
    struct Free {
        void operator()(std::byte* memory) const;
    };
    static void part_done(Request& part);
    static Whole& state_of(Request& whole);

    [[nodiscard]] Recipe recipe_for(const Request& request) const;
    [[nodiscard]] bool breaks_write_unit(const Request& request) const;
    Fed feed_one(Request& whole, bool may_wait);
    // nullptr: there is none, or no buffer for it.
    Part* make_part(Request& whole, bool may_wait);
    bool fill_cut(Request& whole, Part& part);
    bool fill_bounced(Request& whole, Part& part, uint64_t blocks);
    bool fill_zeroes(Request& whole, Part& part);
    bool fill_buffered(Request& whole, Part& part);
    static bool give_up(Request& whole);
    [[nodiscard]] uint64_t buffered_blocks(const Request& whole, uint64_t blocks) const;
    void point_at_buffer(Part& part, uint64_t blocks);
    Progress start(Part& part);
    // The module did what the part asked for. True: the part is over.
    bool take_step(Part& part);
    void gather(const Part& part) const;
    void scatter(const Part& part) const;
    [[nodiscard]] bool is_same(const Part& part) const;
    void end(Part& part);
    void run_on(Part& part);
    void go_on(Request& whole);
    void end_whole(Request& whole);
    Task<void> compare_and_write(Request& whole);
    Task<Status> run_locked(Request& whole, Recipe recipe, std::span<const iovec> data);
    std::byte* take_buffer();

    ChannelGate& gate_;
    Channel& channel_;
    std::unique_ptr<Part[]> parts_;  // from the first request on
    size_t used_ = 0;
    std::array<std::unique_ptr<std::byte[], Free>, buffers_max> buffers_;
    std::array<bool, buffers_max> is_buffer_used_{};
    IntrusiveList<Request, &Request::link> waiting_;  // for parts, buffers, or a turn; in order
    uint32_t locked_ = 0;                             // compare and writes
    bool is_feeding_ = false;
    bool has_new_ = false;  // somebody began to wait during feed()
};

}  // namespace weft::bdev
