// The channel of a device that stands on others: makes requests to the bases of the requests it gets.
//
// start() does one of two things. A request that goes on as it is, to one base:
//
//     return forward(request, 0, request.lba + offset_);
//
// Or one that becomes a family of several:
//
//     if (!has_children(2)) return Progress::retry;
//     begin(request);
//     for (size_t base : {0, 1}) {
//         Child& child = take_child(request, base);
//         child.lba = …; child.blocks = …; child.data = …;
//         send(child);
//     }
//     return end(request);
//
// A request ends when all of its children have. What a base has no room for now waits here, in order, and is handed to
// it again in each turn.
#pragma once

#include <array>
#include <memory>
#include <type_traits>
#include <vector>

#include "bdev/data_cursor.h"
#include "bdev/device.h"
#include "reactor/poller.h"

namespace weft::bdev {

class StackedChannel;
class StackedDevice;

// A request to a base on behalf of one to the stacked device: memory of the channel's.
struct Child : Request {  // NOLINT(cppcoreguidelines-pro-type-member-init): pieces are written before they are read
    StackedChannel* owner = nullptr;
    Request* parent = nullptr;
    uint16_t base = 0;
    bool is_parked = false;
    bool is_aborted = false;  // while it waits for its base: it is not to be handed to it
    uint64_t distance = 0;  // of forward(): its lba − the parent's
    uint64_t note = 0;      // the module's
    ListLink<Child> sibling;  // the family, or those that are free
    static constexpr size_t pieces_max = 32;
    std::array<iovec, pieces_max> pieces;  // for what take_pieces() cuts off
};

class StackedChannel : public Channel {
public:
    // Of one channel, at most; memory is taken as it is needed, in steps.
    static constexpr size_t children_max = 1024;

    ~StackedChannel() override;
    // Lets go of the channel of that base; no child of its own may be in flight. For a device that goes on without it.
    void drop_base(size_t index);
    // Takes a channel of a base that came after this channel was made.
    Result<void> adopt_base(size_t index);
    // Children that a base has been sent and that have not ended.
    [[nodiscard]] uint32_t children_of(size_t index) const { return bases_[index].children; }

protected:
    bool abort_started(Request& request) override;
    // On the channel's thread, with channels of all bases that are there. `open_bases()` says whether that went well.
    explicit StackedChannel(StackedDevice& device);
    // Errors: those of the bases' channels.
    Result<void> open_bases();

    [[nodiscard]] StackedDevice& stacked() const { return device_; }
    [[nodiscard]] bool has_base(size_t index) const { return static_cast<bool>(bases_[index].channel); }
    [[nodiscard]] Channel& base(size_t index) const { return *bases_[index].channel; }

    // The whole request, from `lba` of that base on. It ends by child_ended(), then it is done as its child is.
    Progress forward(Request& parent, size_t base, uint64_t lba);

    // So many can be taken now. False for more than children_max, always.
    bool has_children(size_t count);
    // `parent` becomes a family. Its module_data is the family's until it is done, but for the last bytes of it, which
    // are the module's: extra().
    void begin(Request& parent);
    // One with the parent's op, fua, protection and owner; range and data are to be set. has_children() said yes.
    Child& take_child(Request& parent, size_t base);
    // To its base. May end it at once, and call child_ended().
    void send(Child& child);
    // All children that start() makes are sent. Done when all have ended, else the request is pending.
    Progress end(Request& parent);

    // A child has ended with child.status, and is free after this. A family: the first failure becomes the parent's
    // status unless this is overridden; more children of the same parent may be sent from here. Not called from
    // inside abort().
    virtual void child_ended(Child& child);
    // One reason more for the family not to end, until let_go(): for what is done after a child has ended.
    static void hold(Request& parent) { ++family(parent).open; }
    [[nodiscard]] static bool is_waiting_for_children(Request& parent) { return !family(parent).children.empty(); }
    // From the loop; the request may be done and gone after this.
    void let_go(Request& parent);
    // The family ends, with the status it has so far: the module's last word, and the status that the parent gets.
    virtual Status family_ended(Request& parent, Status status);
    static Status& status_of(Request& parent) { return family(parent).status; }

    // Cuts whole blocks of `block_bytes` off `cursor`, at most `blocks_max` and at least one, as the child's data.
    // Returns how many; 0 when one block is in more pieces than a child has: the request fails.
    static uint64_t take_pieces(Child& child, DataCursor& cursor, uint32_t block_bytes, uint64_t blocks_max);

    struct Family {
        uint32_t open = 0;  // children that have not ended, and one while start() runs
        Status status = Status::success;
        bool is_starting = true;
        IntrusiveList<Child, &Child::sibling> children;
    };
    static constexpr size_t extra_bytes = Request::module_bytes - 64;
    template <class T>
    static T& extra(Request& parent) {
        static_assert(sizeof(T) <= extra_bytes && alignof(T) <= 16 && std::is_trivially_destructible_v<T>);
        return *reinterpret_cast<T*>(parent.module_data.data() + Request::module_bytes - extra_bytes);
    }

private:
    struct BaseChannel {
        ChannelRef<Channel> channel;
        uint32_t children = 0;  // parked ones among them
        uint32_t parked = 0;
        bool is_refusing = false;  // in this round of hand_again()
    };
    class Again final : public Poller {
    public:
        explicit Again(StackedChannel& channel);
        uint32_t poll() override { return channel_.hand_again(); }
        Sleep prepare_sleep() override { return Sleep::briefly; }

    private:
        StackedChannel& channel_;
    };

    static Family& family(Request& parent) { return *reinterpret_cast<Family*>(parent.module_data.data()); }
    bool hand(Child& child);
    void ended(Child& child);
    Status end_family(Request& parent);
    void park(Child& child);
    uint32_t hand_again();

    StackedDevice& device_;
    std::vector<BaseChannel> bases_;
    static constexpr size_t children_step = 16;
    using Children = std::array<Child, children_step>;
    std::vector<std::unique_ptr<Children>> memory_;
    IntrusiveList<Child, &Child::sibling> free_;
    IntrusiveList<Request, &Request::link> parked_;
    Again again_;
};

}  // namespace weft::bdev
