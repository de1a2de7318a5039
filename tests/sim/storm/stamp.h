// What hosts write: every sector says which device, sector and write it belongs to, and is checked to its last byte. So
// what is torn, misplaced, stale or another host's is seen wherever it is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace weft::sim {

inline constexpr size_t sector_bytes = 512;

// A write of the storm, counted from 1; 0 stands for zeroes.
using Value = uint32_t;
inline constexpr Value zeroes = 0;

// Fills one sector.
void stamp_sector(MutableBytes sector, uint32_t device, uint64_t number, Value value);

// The value of the write that the sector is of, when it is a sector of `device` at `number`, whole. `problem` says what
// is wrong otherwise.
std::optional<Value> read_stamp(Bytes sector, uint32_t device, uint64_t number, std::string& problem);
// Whether it carries a stamp of another device than `device`: data that its reader must never see.
std::optional<uint32_t> foreign_device(Bytes sector, uint32_t device);

}  // namespace weft::sim
