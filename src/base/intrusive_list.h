// A doubly linked list whose links live in the elements: nothing is allocated to queue something,
// and an element leaves from anywhere in O(1).
//
//   struct Job { ListLink<Job> link; };
//   IntrusiveList<Job, &Job::link> jobs;
//
// An element is in at most one list per link and says so (is_linked); destroying a linked element, or a
// list that is not empty, is a broken invariant.
#pragma once

#include <cstddef>
#include <utility>

#include "base/assert.h"

namespace weft {

template <class T>
struct ListLink {
    ListLink() = default;
    ListLink(const ListLink&) = delete;
    ListLink& operator=(const ListLink&) = delete;
    ~ListLink() { WEFT_ASSERT(!is_linked); }

    T* next = nullptr;
    T* previous = nullptr;
    bool is_linked = false;
};

template <class T, ListLink<T> T::* link>
class IntrusiveList {
public:
    IntrusiveList() = default;
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;
    ~IntrusiveList() { WEFT_ASSERT(first_ == nullptr); }

    [[nodiscard]] bool empty() const { return first_ == nullptr; }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] T* front() const { return first_; }
    [[nodiscard]] T* back() const { return last_; }
    [[nodiscard]] static T* next(const T& item) { return (item.*link).next; }
    [[nodiscard]] static bool contains_any(const T& item) { return (item.*link).is_linked; }

    void push_back(T& item) {
        ListLink<T>& at = item.*link;
        WEFT_ASSERT(!at.is_linked);
        at.is_linked = true;
        at.next = nullptr;
        at.previous = last_;
        (last_ != nullptr ? (last_->*link).next : first_) = &item;
        last_ = &item;
        ++size_;
    }

    void push_front(T& item) {
        ListLink<T>& at = item.*link;
        WEFT_ASSERT(!at.is_linked);
        at.is_linked = true;
        at.previous = nullptr;
        at.next = first_;
        (first_ != nullptr ? (first_->*link).previous : last_) = &item;
        first_ = &item;
        ++size_;
    }

    void remove(T& item) {
        ListLink<T>& at = item.*link;
        WEFT_ASSERT(at.is_linked);
        (at.previous != nullptr ? (at.previous->*link).next : first_) = at.next;
        (at.next != nullptr ? (at.next->*link).previous : last_) = at.previous;
        at.next = nullptr;
        at.previous = nullptr;
        at.is_linked = false;
        --size_;
    }

    // `with`, which is in no list, stands where `item` stood.
    void replace(T& item, T& with) {
        ListLink<T>& from = item.*link;
        ListLink<T>& to = with.*link;
        WEFT_ASSERT(from.is_linked && !to.is_linked);
        to.next = std::exchange(from.next, nullptr);
        to.previous = std::exchange(from.previous, nullptr);
        to.is_linked = std::exchange(from.is_linked, false);
        (to.previous != nullptr ? (to.previous->*link).next : first_) = &with;
        (to.next != nullptr ? (to.next->*link).previous : last_) = &with;
    }

    // The first element, taken out; nullptr when there is none.
    T* pop_front() {
        T* item = first_;
        if (item != nullptr) remove(*item);
        return item;
    }

private:
    T* first_ = nullptr;
    T* last_ = nullptr;
    size_t size_ = 0;
};

}  // namespace weft
