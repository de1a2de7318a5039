// Known bugs, to prove that the simulation would find them (docs/reliability.md). A build of the product has none of
// them: on() is false there at compile time. In the simulation's build (-D WEFT_MUTANTS=ON) one can be switched on:
// weft-sim --mutant NAME.
//
// A mutant is a line here and an `if` where the bug would be.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weft::mutant {

// Not a class: mutant::on(mutant::fua_ignored) reads well enough.
enum Mutant : uint8_t {
    none,
#define WEFT_MUTANT(name, what) name,
#include "base/mutants.inc"
#undef WEFT_MUTANT
};

struct Description {
    Mutant mutant;
    std::string_view name;
    std::string_view what;
};

inline constexpr auto all = std::to_array<Description>({
#define WEFT_MUTANT(name, what) {name, #name, what},
#include "base/mutants.inc"
#undef WEFT_MUTANT
});

#ifdef WEFT_MUTANTS
inline constexpr bool are_built = true;
inline Mutant switched_on = none;
[[nodiscard]] inline bool on(Mutant mutant) { return switched_on == mutant; }
#else
inline constexpr bool are_built = false;
[[nodiscard]] constexpr bool on(Mutant /*mutant*/) { return false; }
#endif

}  // namespace weft::mutant
