// Identify data as rows to print: the specification's name, what it means, the value as number and as text.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "nvme/identify.h"
#include "nvme/registers.h"
#include "nvme_host/admin.h"

namespace weft::cli {

using nvme_host::block_format;
using nvme_host::BlockFormat;

struct IdentifyField {
    std::string name;   // as nvme-cli prints it: "mdts"
    std::string label;  // "Maximum data transfer size"
    std::variant<uint64_t, std::string> value;
    std::string text;   // the value for a person
};
using IdentifyFields = std::vector<IdentifyField>;

struct ControllerFacts {
    nvme::Capabilities capabilities;
    nvme::Version version;
    nvme::IdentifyController data;
};
IdentifyFields controller_fields(const ControllerFacts& facts);

struct NamespaceFacts {
    uint32_t nsid = 0;
    nvme::IdentifyNamespace data;
    nvme_host::NamespaceIds ids;
};
IdentifyFields namespace_fields(const NamespaceFacts& facts);

// "4.0 KiB", "64.0 MiB", "512 B".
std::string size_text(uint64_t bytes);

}  // namespace weft::cli
