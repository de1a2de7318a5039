# The compiler, its flags, and a test that it compiles coroutines rightly.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  message(FATAL_ERROR
    "g++ ${CMAKE_CXX_COMPILER_VERSION} destroys lambda and aggregate temporaries of co_await expressions twice, "
    "silently. Use clang++-19 (Debian package clang-19): cmake --preset release")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_COMPILE_OPTIONS_PIC -fPIE)  # our libraries become programs only

# What matters is what the compiler does, not what it is called: run the pattern that went wrong.
if(NOT DEFINED WEFT_COROUTINES_WORK)
  try_run(WEFT_COROUTINE_RUN WEFT_COROUTINE_COMPILED
    ${CMAKE_BINARY_DIR}/coroutine_check ${CMAKE_SOURCE_DIR}/cmake/coroutine_check.cc
    CXX_STANDARD 23 CXX_STANDARD_REQUIRED ON)
  if(NOT WEFT_COROUTINE_COMPILED)
    message(FATAL_ERROR "${CMAKE_CXX_COMPILER} does not compile C++23 coroutines with std::expected; use clang++-19")
  elseif(NOT WEFT_COROUTINE_RUN EQUAL 0)
    message(FATAL_ERROR "${CMAKE_CXX_COMPILER} destroys temporaries of co_await expressions twice; use clang++-19")
  endif()
  set(WEFT_COROUTINES_WORK ON CACHE INTERNAL "the compiler passed the coroutine check")
endif()

set(WEFT_SANITIZE "" CACHE STRING "sanitizers, comma separated: address,undefined or thread")
option(WEFT_FUZZ "build the libFuzzer harnesses" OFF)

# x86-64-v2 (2009 and later); crc and copies look at the CPU when they start.
add_compile_options(-march=x86-64-v2 -fno-omit-frame-pointer)
add_compile_options(
  -Wall -Wextra -Wpedantic -Werror -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Wcast-qual
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Wformat=2 -Wundef
  -Wno-missing-field-initializers -Wno-missing-designated-field-initializers)
add_compile_definitions($<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")  # assertions stay on: no NDEBUG
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
add_link_options(-fuse-ld=lld)

if(WEFT_SANITIZE)
  # -O1: half the time to build, and reports that show the functions as they were written.
  add_compile_options(-O1 -fsanitize=${WEFT_SANITIZE} -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${WEFT_SANITIZE})
  if(WEFT_SANITIZE MATCHES "undefined")
    # What AddressSanitizer reports as well, at a tenth of the time to build.
    add_compile_options(-fno-sanitize=null,object-size)
  endif()
endif()
option(WEFT_MUTANTS "build known bugs in, for weft-sim to find (src/base/mutants.h)" OFF)
if(WEFT_MUTANTS)
  add_compile_definitions(WEFT_MUTANTS)
endif()
if(WEFT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
