// What a command costs of its host's limits: an operation each, and the bytes that it moves or looks at. Zeroes and
// deallocation move none. Reservations and what is refused anyway are free.
#pragma once

#include <cstdint>

namespace weft::nvmf {

struct Request;

struct IoCost {
    bool is_free = false;
    bool is_write = false;
    uint64_t bytes = 0;
};

// Of an I/O command whose parameters, if it has some, are there.
IoCost cost_of(const Request& request);

}  // namespace weft::nvmf
