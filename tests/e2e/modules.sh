#!/bin/bash
# Modules of somebody else's (docs/modules.md): the tutorial followed word for word against an installed Weft, what a module
# may not be, and what becomes of its devices.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$bin/..
module=${WEFT_EXAMPLES:-$build/examples}/dbd.so
mkdir "$work/pool"
truncate -s 16M "$work/pool/lun1"

# The one of this build.
create() { rpc bdev_dbd_create "$work/pool" lun1 512 -u 497a9e48-0b9e-4e2f-8f0c-2f1d3d2c1a11 --name test "$@"; }
size() { rpc bdev_get_bdevs -b "${1:-test}" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["num_blocks"])'; }
check "weftd starts with a module" start --module "$module" --allow-path "$work/pool" --state "$work/state"
is "rpc.py's way to write its parameters works" '"test"' "$(create)"
is "it has the lun's size" 32768 "$(size)"
refused "the lun a second time" "locked" rpc bdev_dbd_create "$work/pool" lun1 512 --name other
truncate -s 1M "$work/pool/lun2"
refused "a name that is taken" "exists" rpc bdev_dbd_create "$work/pool" lun2 512 --name test
refused "a lun that is not there" "No such file" rpc bdev_dbd_create "$work/pool" lun3 512
refused "a lun in another folder" "without a folder" rpc bdev_dbd_create "$work/pool" ../log 512
truncate -s 1M "$work/outside"
refused "a pool that --allow-path leaves out" "ermission|allow-path|outside" rpc bdev_dbd_create "$work" outside 512
refused "blocks of 500 bytes" "block" rpc bdev_dbd_create "$work/pool" lun1 500
check "hosts use it" export_device test
check "what they read is what they wrote" "$bin/weft" io verify "${target[@]}" -n "$nqn" --length 8M
truncate -s 32M "$work/pool/lun1"
check "it grows" rpc bdev_dbd_rescan test
is "and is larger" 65536 "$(size)"
"$bin/weft" perf "${target[@]}" -n "$nqn" -w randrw -q 8 -t 5 >"$work/perf" 2>&1 &
load=$!
sleep 1
check "it is removed under load" rpc bdev_dbd_delete test
wait $load
check "and made again" create
check "weftd stops in order" stop
check "it starts again" start --module "$module" --allow-path "$work/pool" --state "$work/state"
is "the state directory had the device" 65536 "$(size)"
check "weftd stops in order" stop
refused "a state with its device, without the module" "bdev_dbd_create" "$bin/weftd" -r "$sock" --state "$work/state"
reference_names_it() { "$bin/weftd" --module "$module" --rpc-reference | grep '## `bdev_dbd_create`'; }
check "the reference has its methods" reference_names_it

# What is no module, or not for this one. None of its code runs: a constructor would tell.
refused_module() { refused "$1" "$2" "$bin/weftd" -r "$sock" --module "$3"; }
printf 'text' >"$work/text.so"
refused_module "a file that is not there" "No such file" "$work/none.so"
refused_module "a text" "not a shared library" "$work/text.so"
refused_module "a library that is no module" "no module of Weft" "$(ldd "$bin/weftd" | sed -n 's/.*=> \(.*libfmt[^ ]*\).*/\1/p')"
spoil() { sed "$1" "$module" >"$work/$2.so"; }
spoil 's/Weft 0\.1\.0, interface 1/Weft 0.1.0, interface 0/' other
refused_module "one that is built for another version" "interface 0" "$work/other.so"
spoil 's/weft_module/weft_modulX/g' hidden
refused_module "one without an entry point" "has no function weft_module|undefined symbol: weft_modulX" "$work/hidden.so"
spoil 's/bdev10check_size/bdev10check_sizz/g' wants
refused_module "one that wants what is not there" "undefined symbol" "$work/wants.so"
head -c 30000 "$module" >"$work/half.so"
refused_module "half of one" "cut short" "$work/half.so"
cp "$module" "$work/open.so" && chmod o+w "$work/open.so"
refused_module "one that anybody may write" "chmod o-w" "$work/open.so"
refused "the same twice" "there is a module dbd already" "$bin/weftd" -r "$sock" --module "$module" --module "$module"
refused "for the tools, too" "interface 0" "$bin/weft" bdevio -c /dev/null --module "$work/other.so"

if [ "${WEFT_PRESET:-release}" != release ]; then
    echo "skip the tutorial: what is installed is the release build"
    finish
    exit
fi
prefix=$build/install-modules # always the same place, so that ccache finds what it compiled before
rm -rf "$prefix"
check "Weft is installed" cmake --install "$build" --prefix "$prefix"
launcher=$(command -v ccache) && export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$top} CCACHE_NOHASHDIR=1
export CMAKE_CXX_COMPILER_LAUNCHER=$launcher

# The blocks of the page: of C++, which are the example as a whole, of CMake, and the commands.
page=$top/docs/modules.md
blocks() { awk -v mark="\`\`\`$1" '$0 == mark { on = 1; next } /^```$/ { on = 0 } on' "$page"; }
check "the page has all of the example" diff <(blocks cpp) "$top/examples/dbd/dbd.cc"
check "and its CMakeLists.txt" diff <(blocks cmake) "$top/examples/dbd/CMakeLists.txt"
mkdir "$work/home"
{
    echo "set -e; cd '$work/home'; mkdir -p dbd"
    # Where the page says a place of the whole machine, the test has its own; files that it tells to write are there.
    blocks sh | sed "s,/opt/weft,$prefix,g; s,/srv/pool,$work/srv,g; s,4420,$port,g; s,^mkdir dbd,true,
        s,^weftd ,weftd -r '$sock' ,; s,^weft rpc ,weft rpc -s '$sock' ,"
    echo wait
} >"$work/tutorial.sh"
blocks cpp >"$work/dbd.cc"
blocks cmake >"$work/CMakeLists.txt"
mkdir -p "$work/home/dbd"
cp "$work/dbd.cc" "$work/CMakeLists.txt" "$work/home/dbd/"
follow() { timeout 300 bash "$work/tutorial.sh" >"$work/tutorial.log" 2>&1 || { tail -20 "$work/tutorial.log"; return 1; }; }
check "the tutorial leads from an empty folder to I/O" follow
check "every request was tried" grep -E '^[0-9]+ ok, 0 failed, ' "$work/tutorial.log"
check "hosts found what they wrote" grep -qiE 'verified|blocks' "$work/tutorial.log"
again() {
    start --module "$work/home/dbd/build/dbd.so" -c "$work/home/dbd/saved.json" && [ "$(size)" = 262144 ] && stop
}
check "what it saved makes all of it again" again

# One that fails in every way there is, as the environment tells it to.
mkdir "$work/bad"
cat >"$work/bad/bad.cc" <<'END'
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include "bdev/module.h"
namespace {
struct None { static constexpr auto fields() { return weft::rpc::fields(); } };
bool is(std::string_view way) { const char* said = std::getenv("BAD_MODULE"); return said != nullptr && way == said; }
class Bad final : public weft::bdev::Module {
public:
    Bad() { if (is("make")) throw std::runtime_error("no licence server"); }
    weft::Result<void> add(const weft::bdev::ModuleContext& context) override {
        if (is("throw")) throw 7;
        if (is("fail")) return weft::fail(weft::Errc::not_found, "no appliance answers at 192.0.2.1");
        context.methods.add<None>({.name = is("taken") ? "bdev_get_bdevs" : "bad_say", .text = "Says"},
            [](None) -> weft::Task<weft::Result<weft::Json>> { co_return weft::Json("I am here"); });
        return {};
    }
};
}  // namespace
WEFT_MODULE(Bad, "bad", "0.1")
END
sed 's/dbd/bad/g' "$work/CMakeLists.txt" >"$work/bad/CMakeLists.txt"
build_bad() {
    cmake -S "$work/bad" -B "$work/bad/build" -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_PREFIX_PATH="$prefix" &&
        cmake --build "$work/bad/build"
}
check "another module is built" build_bad
refused_way() { refused "$1" "$2" env BAD_MODULE="$3" "$bin/weftd" -r "$sock" --module "$work/bad/build/bad.so"; }
refused_way "one that cannot be made" "it threw: no licence server" make
refused_way "one whose methods cannot be added" "it threw something" throw
refused_way "one that fails" "no appliance answers" fail
refused_way "one with a method of another's name" "there is a method bdev_get_bdevs" taken
check "two modules at once" start --module "$work/bad/build/bad.so" --module "$module"
is "the first is there" '"I am here"' "$(rpc bad_say)"
is "the second too" '"test"' "$(create)"
check "they stop in order" stop
finish
