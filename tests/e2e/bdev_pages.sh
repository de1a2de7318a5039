#!/bin/bash
# The pages about bdevs, followed as they stand: every block of commands of docs/bdev.md and docs/bdev/ is run. virtual.md and
# raid.md have scripts of their own, virtual_bdevs.sh and raid.sh.
. "$(dirname "$0")/lib.sh"
docs=$(cd "$(dirname "$0")/../.." && pwd)/docs
examples=${WEFT_EXAMPLES:-$bin/../examples}
mkdir "$work/srv" "$work/keys"
truncate -s 16M "$work/srv/one.img" "$work/srv/two.img"
cd "$work" || exit 1

# commands PAGE: its indented blocks that begin with a command, a command a line; a here-document is one, its lines behind \1.
commands() {
    awk -v programs='^(weft|weftd|hello_bdev|truncate|cat|\\(umask)( |$)' '
        !/^    / { block = 0; next }
        { sub(/^    /, "") }
        !block { block = $0 ~ programs ? 1 : 2 }
        block != 1 { next }
        here != "" { printf "\1%s", $0; if ($0 == here) { here = ""; print "" }; next }
        match($0, /<<[A-Z]+/) { here = substr($0, RSTART + 2, RLENGTH - 2); printf "%s", $0; next }
        { print }' "$1"
}
weft() {
    case $1 in
        rpc) "$bin/weft" rpc -s "$sock" "${@:2}" ;;
        *) "$bin/weft" "$@" ;;
    esac
}
weftd() { # instead of the one that runs
    stop && start "$@"
}
hello_bdev() { "$examples/hello_bdev" "$@"; }
follow() { # PAGE
    local page=$1 line count=0
    while IFS= read -r -u 3 line; do
        count=$((count + 1))
        case $line in
            hello_bdev*) [ -x "$examples/hello_bdev" ] || { echo "skip $page: $line: not built"; continue; } ;;
        esac
        # Other paths, a second instead of ten, and a target that is waited for.
        line=$(tr '\1' '\n' <<<"$line" | sed "s,/srv/,$work/srv/,g; s,/etc/weft/keys/,$work/keys/,g; s/ -t 10$/ -t 1/; s/ &$//")
        # In this shell, since it may start a target.
        if eval "$line" >"$work/said" 2>&1; then ok "$page: ${line%%$'\n'*}"; else not_ok "$page: ${line%%$'\n'*}" "$(cat "$work/said")"; fi
    done 3< <(commands "$docs/$page")
    check "$page has commands" [ $count -gt 1 ]
}
fresh() { # a target without anything
    if [ -e "$work/pid" ]; then check "it stops" stop; fi
    check "it starts" start
}

fresh
follow bdev/disks.md
fresh
follow bdev/accel.md
follow bdev/crypto.md # with the key that is made there
fresh
check "a bdev" rpc bdev_malloc_create -b Malloc0 64 4096
follow bdev/layer.md
fresh
check "transport" rpc nvmf_create_transport -t TCP
check "subsystem" rpc nvmf_create_subsystem nqn.2016-06.io.spdk:cnode1 -a
follow bdev.md
follow bdev/tools.md
check "it stops" stop

# None is left out, neither a page nor a kind of bdev.
others=$(cd "$docs" && ls bdev/*.md | grep -vxE 'bdev/(disks|accel|crypto|layer|tools|virtual|raid)\.md')
is "every page is followed" "" "$others"
methods=$("$bin/weftd" --rpc-reference | sed -n 's/^## `\(\(bdev\|weft\)_[a-z_]*_create\)`$/\1/p')
check "there are kinds of bdevs" [ "$(wc -w <<<"$methods")" -ge 12 ]
for method in $methods; do
    check "a page has a command for $method" grep -qhE "^(    |# )weft rpc $method " "$docs"/bdev.md "$docs"/bdev/*.md
done
finish
