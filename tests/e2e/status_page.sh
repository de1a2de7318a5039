#!/bin/bash
# The status page in a browser without a screen, drawn while a host is connected whose name wants to be markup.
# Release only: it is about files, a build or a tool, not about what the programs do.
# Alone: it draws rates, by the clock.
. "$(dirname "$0")/lib.sh"
browser=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$browser" ]; then
    echo "skip the status page: chromium is not installed (scripts/setup test)"
    finish
    exit
fi
metrics_port=$(free_port)
hostile='nqn.2014-08.org.evil:<img src=x onerror="document.title=666"><script>document.title=667</script>&lt;b&gt;'

check "weftd serves the page" start -m 0x1 --metrics "$metrics_port"
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 4096 --num_blocks 4096
check "is exported" export_device Malloc0
"$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn "$hostile" -q 2 -o 4096 -w randrw -t 60 >"$work/perf" 2>&1 &
load_pid=$!

# browse OPTIONS...: opens the page, lets five seconds of its time pass, and does what the options say.
browse() {
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
        --user-data-dir="$work/browser" --window-size=1280,720 --virtual-time-budget=7000 "$@" \
        "http://127.0.0.1:$metrics_port/" 2>"$work/browser.log"
}
sleep 0.5
dom=$(browse --dump-dom)
holds() { grep -qF -- "$2" <<<"$dom" && ok "$1" || not_ok "$1" "$(tail -c 3000 <<<"$dom")"; } # NAME TEXT
holds "it is live" '>live</div>'
holds "it draws the host by its whole name" '>nqn.2014-08.org.evil:&lt;img src=x onerror="document.title=666"&gt;&lt;script&gt;document.title=667&lt;/script&gt;&amp;lt;b&amp;gt;</div>'
holds "and nothing of that is markup" '<title>Weft</title>'
holds "the subsystem" ">$nqn</div>"
holds "the device" '>Malloc0</div>'
grep -q '<img' <<<"$dom" && not_ok "no element of the host's" "$(grep '<img' <<<"$dom")" || ok "no element of the host's"
[ "$(grep -o '<path' <<<"$dom" | wc -l)" -ge 4 ] && ok "joined by lines" || not_ok "joined by lines"
[ "$(grep -o 'class="busy"' <<<"$dom" | wc -l)" -ge 2 ] && ok "those with I/O stand out" || not_ok "those with I/O stand out"
grep -qE '<span>[0-9.]+( [kMG])?/s</span>' <<<"$dom" && ok "with rates" || not_ok "with rates"
for scheme in 0:dark 1:light; do
    check "a picture, ${scheme#*:}" browse --blink-settings=preferredColorScheme="${scheme%:*}" --screenshot="$work/${scheme#*:}.png"
done
# Were the scheme ignored, the two would be the same but for the figures: look at the first pixels' colour.
check "dark is dark and light is light" python3 - "$work/dark.png" "$work/light.png" <<'PYTHON'
import struct, sys, zlib
def corner(path):  # red of the pixel at 2, 2: the ground
    data, at, packed, width, kind = open(path, "rb").read(), 8, b"", 0, 0
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if name == b"IHDR":
            width, _, depth, kind = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and kind in (2, 6), (depth, kind)
        if name == b"IDAT":
            packed += body
        at += length + 12
    size = 3 if kind == 2 else 4
    raw, previous = zlib.decompress(packed), bytearray(width * size)
    for line in range(3):
        start = line * (width * size + 1)
        filter_type, row = raw[start], bytearray(raw[start + 1:start + 1 + width * size])
        for i in range(len(row)):
            a, b, c = (row[i - size] if i >= size else 0), previous[i], (previous[i - size] if i >= size else 0)
            p = a + b - c
            paeth = min((a, b, c), key=lambda v: abs(p - v))
            row[i] = (row[i] + [0, a, b, (a + b) // 2, paeth][filter_type]) & 255
        previous = row
    return previous[2 * size]
dark, light = corner(sys.argv[1]), corner(sys.argv[2])
assert dark < 60 and light > 200, (dark, light)
PYTHON
[ -z "${WEFT_PICTURES:-}" ] || cp "$work/dark.png" "$work/light.png" "$WEFT_PICTURES/"
kill "$load_pid" 2>/dev/null
wait "$load_pid" 2>/dev/null
check "stops" stop
finish
