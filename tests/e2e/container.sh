#!/bin/bash
# packaging/Containerfile without a container engine: that it is well-formed, copies what the build wants, installs what the
# programs are linked to and nothing else, and starts weftd with options that it takes.
# Release only: it is about files, a build or a tool, not about what the programs do.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ "${WEFT_PRESET:-release}" != release ]; then
    echo "skip the Containerfile: it makes the release build"
    finish
    exit
fi
here=$(dirname "${BASH_SOURCE[0]}")
containerfile() { python3 "$here/containerfile.py" "$top" "$@"; }

check "it is well-formed, and each stage and file that it names is there" containerfile form
check "it copies every folder that CMake reads" containerfile folders
check "the Debian package is built with packages that scripts/setup installs" containerfile build-packages
if command -v dpkg-query >/dev/null && grep -q '^12' /etc/debian_version 2>/dev/null; then
    check "it installs the libraries that the programs need" containerfile libraries "$bin/weftd" "$bin/weft"
else
    echo "skip it installs the libraries that the programs need: this is not Debian 12"
fi
# Its command line, in folders and on ports of ours.
mapfile -t words < <(containerfile command | sed -e "s,/var/lib/weft,$work," -e "s/:9200/:$(free_port)/")
check "weftd takes its options" start "${words[@]:1}"
mapfile -t words < <(containerfile health)
check "its health check finds a target that serves" env PATH="$bin:$PATH" "${words[@]:0:2}" -s "$sock" "${words[@]:2}"
check "the target stops" stop
refused "and one that does not" "$sock" env PATH="$bin:$PATH" "${words[@]:0:2}" -s "$sock" "${words[@]:2}"
finish
