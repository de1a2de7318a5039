#!/bin/bash
# Weft as the library of another program, as docs/embedding.md says: installed into a prefix of its own, its headers compiled
# one by one, its examples built there by CMake and by pkg-config, and run.
# Release only: it is about files, a build or a tool, not about what the programs do.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$bin/..
if [ "${WEFT_PRESET:-release}" != release ]; then
    echo "skip the installation: it is that of the release build"
    finish
    exit
fi
prefix=$build/install # always the same place, so that ccache finds what it compiled before
rm -rf "$prefix"
cxx="env clang++-19"
if command -v ccache >/dev/null; then
    cxx="ccache clang++-19"
    export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$top} CCACHE_NOHASHDIR=1
fi

check "it is installed" cmake --install "$build" --prefix "$prefix"
check "what is installed names no folder of the source" bash -c "! grep -rIl -e '$top/src' -e '$build/' '$prefix/include' '$prefix'/lib*"
check "headers of tests stay here" bash -c "! find '$prefix/include' -name 'test_*' -o -name 'fake_*' -o -path '*app/cli*' | grep ."

# Each header alone, with what a user has to give: the standard and one folder. Not those that an own x.cc includes before
# all else, which the release build has compiled alone already.
export prefix cxx work
compile_alone() { # HEADER
    local name=${1//\//-}
    printf '#include "%s"\n' "$1" >"$work/$name.cc"
    (cd "$work" && $cxx -std=c++23 -I"$prefix/include/weft" -c "$name.cc" -o "$name.o") || echo "HEADER $1"
}
export -f compile_alone
is_proven() { # HEADER
    local own=$top/src/${1%.h}.cc
    [ -f "$own" ] && [ "$(grep -m1 '^#include' "$own")" = "#include \"$1\"" ]
}
headers=$(cd "$prefix/include/weft" && find . -name '*.h' | sed 's,^\./,,' | sort)
left=$(for header in $headers; do is_proven "$header" || echo "$header"; done)
alone() {
    local said
    said=$(xargs -P 2 -n 1 bash -c 'compile_alone "$0" 2>&1' <<<"$left")
    [ "$(wc -l <<<"$left")" -gt 20 ] && [ -z "$said" ] || { echo "$said"; return 1; }
}
check "each of $(wc -l <<<"$headers") headers compiles alone ($(wc -l <<<"$left") of them here)" alone

# As a user would.
by_cmake() {
    cmake -S "$top/examples" -B "$work/by-cmake" -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_PREFIX_PATH="$prefix" \
        -DCMAKE_CXX_FLAGS=-O1 -DCMAKE_CXX_COMPILER_LAUNCHER="${cxx% clang++-19}" && cmake --build "$work/by-cmake" -j 2
}
check "the examples are built by CMake" by_cmake
by_pkg_config() {
    export PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name weft.pc)")
    $cxx -std=c++23 -O1 $(pkg-config --cflags weft) -c "$top/examples/hello_world.cc" -o "$work/hello_world.o" &&
        clang++-19 "$work/hello_world.o" -o "$work/hello_world" $(pkg-config --libs weft)
}
check "and by pkg-config, with the system's linker" by_pkg_config
if command -v g++ >/dev/null && [ "$(g++ -dumpversion | cut -d. -f1)" -lt 14 ]; then
    refused "an old g++ is refused with the reason" "compiles coroutines wrongly" \
        cmake -S "$top/examples" -B "$work/by-gcc" -DCMAKE_CXX_COMPILER=g++ -DCMAKE_PREFIX_PATH="$prefix"
else
    echo "skip an old g++ is refused with the reason: there is none"
fi

examples=$work/by-cmake/examples
program=$examples/nvmf_example
check "the target runs" start
check "with a device" bash -c "'$bin/weft' rpc -s '$sock' bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 65536"
check "that is exported" export_device Malloc0
for hello in "$examples/hello_world" "$work/hello_world"; do
    check "hello_world says it" "$hello" -r "trtype:TCP traddr:127.0.0.1 trsvcid:$port subnqn:$nqn"
done
check "identify identifies" "$examples/identify" -r "trtype:TCP traddr:127.0.0.1 trsvcid:$port subnqn:$nqn"
check "perf performs" "$examples/perf" -t 1 -r "trtype:TCP traddr:127.0.0.1 trsvcid:$port subnqn:$nqn"
check "the target stops in order" stop
finish
