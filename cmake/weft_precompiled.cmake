# Standard headers compiled once for all targets: a third off the time of a build from nothing. Not in the release
# build, which so proves that every file includes what it uses. Included last: it goes over all targets there are.
#
# Clones of the project on one machine share what ccache has (CMakePresets.json), so nothing that it looks at may hold the
# name of a folder: the targets name the header by a path relative to the build folder, as CMake's own REUSE_FROM does
# not, and beside it stands a checksum that ccache takes for its content (CCACHE_PCH_EXTSUM).

option(WEFT_PRECOMPILED "precompile the standard headers" OFF)
set(WEFT_PRECOMPILED_HEADER CMakeFiles/weft_precompiled.dir/cmake_pch.hxx.pch)

function(weft_precompile_targets_of FOLDER)
  get_property(targets DIRECTORY ${FOLDER} PROPERTY BUILDSYSTEM_TARGETS)
  list(REMOVE_ITEM targets weft_precompiled weft_precompiled_header)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(type MATCHES "^(STATIC_LIBRARY|EXECUTABLE)$")
      target_compile_options(${target} PRIVATE "SHELL:-include-pch ${WEFT_PRECOMPILED_HEADER}")
      add_dependencies(${target} weft_precompiled_header)
    endif()
  endforeach()
  get_property(folders DIRECTORY ${FOLDER} PROPERTY SUBDIRECTORIES)
  foreach(folder IN LISTS folders)
    weft_precompile_targets_of(${folder})
  endforeach()
endfunction()

# The checksum: of all that the header is made of. The compiler and its options are in what ccache looks at anyway.
function(weft_write_checksum_of HEADERS)
  list(TRANSFORM HEADERS REPLACE "(.+)" "#include \\1")
  list(JOIN HEADERS "\n" text)
  set(source ${CMAKE_BINARY_DIR}/CMakeFiles/weft_precompiled_headers.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "${text}\n" @ONLY)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${flags} -std=c++23 -E -P ${source} OUTPUT_VARIABLE expanded
    COMMAND_ERROR_IS_FATAL ANY)
  string(SHA256 checksum "${expanded}")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${WEFT_PRECOMPILED_HEADER}.sum CONTENT "${checksum}\n" @ONLY)
endfunction()

if(WEFT_PRECOMPILED)
  set(headers
    <algorithm> <array> <atomic> <bit> <charconv> <chrono> <coroutine> <cstdint> <cstring> <expected> <functional>
    <map> <memory> <mutex> <optional> <random> <ranges> <set> <span> <string> <string_view> <thread> <tuple>
    <type_traits> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)
  add_library(weft_precompiled OBJECT ${CMAKE_SOURCE_DIR}/cmake/coroutine_check.cc)
  target_link_libraries(weft_precompiled PRIVATE fmt::fmt Threads::Threads)
  # Without the time in it: a header that is made again from the same text is the same.
  target_compile_options(weft_precompiled PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  target_precompile_headers(weft_precompiled PRIVATE ${headers})
  # An OBJECT library's files are there before who depends on it is linked, not before it is compiled.
  add_custom_target(weft_precompiled_header DEPENDS ${CMAKE_BINARY_DIR}/${WEFT_PRECOMPILED_HEADER})
  weft_write_checksum_of("${headers}")
  weft_precompile_targets_of(${CMAKE_SOURCE_DIR})
endif()
