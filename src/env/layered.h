// A stream above another one, such as TLS: what a waiter is to watch is at the bottom.
#pragma once

#include "env/network.h"

namespace weft::env {

class Layered {
public:
    Layered() = default;
    Layered(const Layered&) = delete;
    Layered& operator=(const Layered&) = delete;
    virtual ~Layered() = default;
    [[nodiscard]] virtual Stream& below() = 0;
};

// What is at the bottom of `source`.
inline Pollable& bottom_of(Pollable& source) {
    Pollable* at = &source;
    while (auto* layer = dynamic_cast<Layered*>(at)) at = &layer->below();
    return *at;
}

}  // namespace weft::env
