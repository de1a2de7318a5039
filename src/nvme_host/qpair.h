// A pair of submission and completion queue, whatever transport carries it. Lives on one thread, on which all of
// it is called; destroyed after close(), never from inside an Io's `done`.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "nvme_host/io.h"
#include "reactor/task.h"

namespace weft::nvme_host {

class Qpair {
public:
    Qpair() = default;
    Qpair(const Qpair&) = delete;
    Qpair& operator=(const Qpair&) = delete;
    virtual ~Qpair() = default;

    // Takes any number of commands; those beyond depth() wait inside, in order.
    virtual void submit(Io& io) = 0;
    // Ends the connection at once and waits until every command inside is done.
    virtual Task<void> close() = 0;

    [[nodiscard]] virtual uint32_t depth() const = 0;
    [[nodiscard]] virtual Thread& thread() const = 0;
    // Why it is of no more use; nullptr while it is.
    [[nodiscard]] virtual const Error* failure() const = 0;
};

// co_await Execute(qpair, io): goes on, from the loop of the qpair's thread, when `io` is done. For the control
// path; `io.done` and `io.context` are taken by it.
class Execute : public Message {
public:
    Execute(Qpair& qpair, Io& io) : qpair_(qpair), io_(io) {
        run = [](Message& message) { static_cast<Execute&>(message).handle_.resume(); };
    }
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        handle_ = handle;
        io_.context = this;
        // By message: what goes on may destroy the qpair, which is about to call others.
        io_.done = [](Io& io) {
            auto& self = *static_cast<Execute*>(io.context);
            self.qpair_.thread().post(self);
        };
        qpair_.submit(io_);
    }
    static void await_resume() noexcept {}

private:
    Qpair& qpair_;
    Io& io_;
    std::coroutine_handle<> handle_;
};

}  // namespace weft::nvme_host
