// The metric families of weftd, as a table: names, what they mean, and where their samples come from.
#pragma once

#include <span>

#include "app/observe/exposition.h"
#include "app/observe/snapshot.h"

namespace weft::app {

struct Family {
    const char* name;
    const char* type;  // counter, gauge or histogram
    const char* help;
    size_t (*count)(const Snapshot& snapshot);
    // The samples of thing `at` of count().
    void (*write)(const Snapshot& snapshot, size_t at, Exposition& out);
};

std::span<const Family> metric_families();

// All of them for a test; a server writes them piece by piece.
std::string exposition_of(const Snapshot& snapshot);

}  // namespace weft::app
