#!/bin/bash
# docs/rpc.md is what weftd says of its methods.
. "$(dirname "$0")/lib.sh"
reference=$(cd "$(dirname "$0")/../.." && pwd)/docs/rpc.md
"$bin/weftd" --rpc-reference >"$work/rpc.md"
check "docs/rpc.md is fresh (else: weftd --rpc-reference >docs/rpc.md)" diff "$reference" "$work/rpc.md"
finish
