// An unbounded queue of many producers and one consumer whose nodes belong to the producers.
//
// After Dmitry Vyukov's intrusive queue. push() never fails, never allocates, and is one atomic exchange; the
// price is that a producer stopped between its two steps hides what was pushed after it until it goes on,
// which is why pop() may return nullptr for a queue that is not empty().
#pragma once

#include <atomic>

namespace weft {

struct MpscNode {
    std::atomic<MpscNode*> next{nullptr};
};

class MpscQueue {
public:
    MpscQueue() : head_(&stub_), tail_(&stub_) {}
    MpscQueue(const MpscQueue&) = delete;
    MpscQueue& operator=(const MpscQueue&) = delete;

    // Any thread. The node must not be in a queue.
    void push(MpscNode& node) {
        node.next.store(nullptr, std::memory_order_relaxed);
        // seq_cst: the sleeping flag that the producer looks at next must not be read before this.
        MpscNode* previous = head_.exchange(&node, std::memory_order_seq_cst);
        previous->next.store(&node, std::memory_order_release);
    }

    // The consumer only.
    MpscNode* pop() {
        MpscNode* tail = tail_;
        MpscNode* next = tail->next.load(std::memory_order_acquire);
        if (tail == &stub_) {
            if (next == nullptr) return nullptr;
            tail_ = next;
            tail = next;
            next = next->next.load(std::memory_order_acquire);
        }
        if (next != nullptr) {
            tail_ = next;
            return tail;
        }
        if (tail != head_.load(std::memory_order_seq_cst)) return nullptr;  // a producer is between its steps
        push(stub_);
        next = tail->next.load(std::memory_order_acquire);
        if (next != nullptr) {
            tail_ = next;
            return tail;
        }
        return nullptr;
    }

    // The consumer only: nothing was pushed that has not been popped.
    [[nodiscard]] bool empty() const { return tail_ == &stub_ && head_.load(std::memory_order_seq_cst) == &stub_; }

private:
    alignas(64) std::atomic<MpscNode*> head_;
    alignas(64) MpscNode* tail_;
    MpscNode stub_;
};

}  // namespace weft
