#!/bin/bash
# What is made from the command line's declarations: manual pages that roff takes without a word, completions that complete.
# Release only: it is about files, a build or a tool, not about what the programs do.
. "$(dirname "$0")/lib.sh"

for program in weft weftd; do
    for page in $("$bin/$program" --page list); do
        "$bin/$program" --page "$page" >"$work/$program-$page" || not_ok "$program --page $page"
    done
done
if command -v groff >/dev/null; then
    for page in "$work"/*-man*; do
        said=$(groff -K utf8 -T utf8 -man -ww "$page" 2>&1 >/dev/null)
        [ -z "$said" ] && ok "roff takes ${page##*/}" || not_ok "roff takes ${page##*/}" "$said"
    done
else
    echo "skip roff takes the pages: no groff"
fi
refused "an unknown page is refused with those that are there" "man, man-apply.*man-top, man-trace, bash, zsh" "$bin/weft" --page nothing

# completes WORDS... = EXPECTED: what bash offers for the last word.
completes() {
    local expected=${*: -1} words=("${@:1:$#-2}") found
    found=$(PATH=$bin:$PATH bash -c '. "$1/weft-bash"; . "$1/weftd-bash"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); "_$1"; echo ${COMPREPLY[*]}' complete "$work" "${words[@]}")
    if [ "$found" = "$expected" ]; then ok "bash completes ${words[*]}"; else not_ok "bash completes ${words[*]}" "with: $found"; fi
}
completes weft p = perf
completes weft perf --disc = --discard
completes weft --vers = --version
completes weft io wr = "write write-zeroes write-uncor"
completes weft io write --fi = --file
completes weft perf -w r = ""
completes weftd --wait = --wait-for-rpc
completes weftd -r weft = ""
if command -v zsh >/dev/null; then
    check "zsh takes its completions" zsh -n "$work/weft-zsh" "$work/weftd-zsh"
else
    echo "skip zsh takes its completions: no zsh"
fi
finish
