// The version of Weft. CMakeLists.txt has it too (project()); packaging/ refuses to differ.
#pragma once

namespace weft {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;
inline constexpr const char* version_text = "0.1.0";

}  // namespace weft
