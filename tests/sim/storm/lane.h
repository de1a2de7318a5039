// One command after another of a host, each checked against the model of its device.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nvme_host/qpair.h"
#include "sim/storm/storm.h"

namespace weft::sim {

class Lane {
public:
    struct Events {
        std::function<bool()> take_command;  // whether there is one more to do
        std::function<void(size_t device, SectorRange range, RegisterModel::Tick began)>
            lost;  // a write without answer
        std::function<void()> idle;          // does nothing any more
    };
    Lane(Storm& storm, Prng& prng, size_t host, nvme_host::Qpair& qpair, Events events);
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    void start() { next(); }
    [[nodiscard]] bool is_busy() const { return is_busy_; }
    [[nodiscard]] std::string describe() const;

private:
    enum class Kind : uint8_t { read, write, flush, zero, deallocate, compare, wrong_compare };
    void next();
    void choose();
    [[nodiscard]] SectorRange choose_range(uint64_t sectors_max, uint64_t unit);
    void prepare(Kind kind);
    void prepare_deallocate();
    // The buffer for so many bytes, with whatever is left in it.
    MutableBytes take_buffer(size_t bytes);
    void done();
    void succeeded();
    void failed(nvme::Status outcome);
    [[nodiscard]] bool is_write() const {
        return kind_ == Kind::write || kind_ == Kind::zero || kind_ == Kind::deallocate;
    }
    [[nodiscard]] bool has_gone() const;
    [[nodiscard]] bool is_expected(nvme::Status outcome) const;
    [[nodiscard]] bool is_injected(nvme::Status outcome) const;
    void fail(const std::string& what) const;

    Storm& storm_;
    Prng& prng_;
    const size_t host_;
    nvme_host::Qpair& qpair_;
    const Events events_;
    nvme_host::Io io_;
    iovec piece_{};
    std::vector<std::byte> buffer_;
    MutableBytes data_;  // the command's, in the buffer
    Kind kind_ = Kind::read;
    size_t device_ = 0;
    SectorRange range_;
    RegisterModel::Tick began_ = 0;
    env::TimeNs sent_at_ = 0;
    Value value_ = 0;
    bool is_forced_ = false;
    bool is_busy_ = false;
    bool is_comparable_ = false;
};

// Reads a range and checks it. On the queue's thread.
Task<void> read_and_check(Storm& storm, nvme_host::Qpair& qpair, size_t device, SectorRange range);

}  // namespace weft::sim
