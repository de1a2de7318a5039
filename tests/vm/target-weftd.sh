# target-weftd.sh - the target under test, as verbs: weftd, driven by `weft rpc`.
#
# Sourced by the runner (weftd on this machine) and by the guest's agent (weftd
# in the guest).  The cases know only the verbs, so a change of option or RPC
# syntax is an edit of this file; target-nvmet.sh has the same verbs for the
# kernel's target.
#
#   target_start               an empty target
#   target_stop                ask it to end; it must, in time and with status 0
#   target_crash               kill -9
#   target_restart             start it again, with the configuration it had
#   target_ram NAME MIB        a RAM disk (512-byte blocks)
#   target_file NAME MIB       a disk in a file (4096-byte blocks)
#   target_device NAME PATH     a disk in a file or block device that is there (512-byte blocks)
#   target_null NAME MIB       a disk that keeps nothing
#   target_grow NAME MIB       give a disk in a file more room
#   target_grow_null NAME MIB  the same for one that keeps nothing
#   target_subsystem NQN       a subsystem that any host may use, listening
#   target_add NQN NSID NAME   add a disk as a namespace
#   target_remove NQN NSID
#   target_paths NQN           a subsystem with two listeners, ports TARGET_PORT and the next, that reports ANA
#   target_path NQN N STATE    the ANA state of the way through the first (0) or second (1) of them
#   target_do METHOD [--PARAMETER VALUE]...  any other RPC, kept for target_restart; weftd only
#   target_do_all              RPCs from standard input, one a line, up to the first that fails; not kept; weftd only
#
# Environment:
#   TARGET_DIR    where socket, disks and the log go; emptied by target_start
#   TARGET_ADDR, TARGET_PORT   where it listens
#   TARGET_EXEC   words in front of the daemon's command line (a network namespace)
#   WEFT_BIN      the directory of weftd and weft
#   WEFTD_ARGS    options of weftd instead of -m 0x1
# shellcheck shell=bash disable=SC2086

target_start() {
    rm -rf "$TARGET_DIR"
    mkdir -p "$TARGET_DIR"
    : >"$TARGET_DIR/configuration"
    target_launch &&
        target_configure nvmf_create_transport --trtype TCP
}

# The daemon and a shell that waits for it: its pid and, when it has ended, its
# status are in files, so that whatever shell runs a verb can find them.
target_launch() {
    local tries
    rm -f "$TARGET_DIR/pid" "$TARGET_DIR/status" "$TARGET_DIR/rpc.sock"
    (
        ${TARGET_EXEC:-} "$WEFT_BIN/weftd" -r "$TARGET_DIR/rpc.sock" ${WEFTD_ARGS:--m 0x1} >>"$TARGET_DIR/log" 2>&1 &
        echo $! >"$TARGET_DIR/pid"
        wait $! && echo 0 >"$TARGET_DIR/status" || echo $? >"$TARGET_DIR/status"
    ) </dev/null >/dev/null 2>&1 &
    for ((tries = 0; tries < 150; tries++)); do
        target_rpc rpc_get_methods >/dev/null 2>&1 && return 0
        [ ! -e "$TARGET_DIR/status" ] || break
        sleep 0.1
    done
    echo "weftd does not answer"
    return 1
}

target_ended() { # seconds to wait for
    local tries
    for ((tries = 0; tries < $1 * 10; tries++)); do
        [ ! -s "$TARGET_DIR/status" ] || return 0
        sleep 0.1
    done
    return 1
}

target_stop() {
    local pid
    [ -e "$TARGET_DIR/pid" ] || return 0
    pid=$(<"$TARGET_DIR/pid")
    kill -TERM "$pid" 2>/dev/null
    if ! target_ended 20; then
        kill -KILL "$pid"
        target_ended 5
        echo "weftd did not end on SIGTERM"
    fi
    rm "$TARGET_DIR/pid"
    [ "$(<"$TARGET_DIR/status")" = 0 ] || { echo "weftd ended with status $(<"$TARGET_DIR/status")"; return 1; }
}

target_crash() {
    kill -KILL "$(<"$TARGET_DIR/pid")" && target_ended 5
}

# What a state file brought back is not given again.  Listeners come last: a
# host that reconnects before its namespaces are there gets I/O errors.
target_restart() {
    local line
    target_launch || return 1
    ! target_rpc nvmf_get_subsystems | grep -q ':cnode' || return 0
    while read -r -u 3 line; do
        eval "target_rpc $line" || return 1
    done 3< <(
        grep -v add_listener "$TARGET_DIR/configuration"
        grep add_listener "$TARGET_DIR/configuration"
    )
}

target_rpc() { # METHOD --param value ...
    timeout 30 "$WEFT_BIN/weft" rpc -s "$TARGET_DIR/rpc.sock" "$@"
}

target_configure() { # the same, kept for target_restart
    target_rpc "$@" && printf '%q ' "$@" >>"$TARGET_DIR/configuration" && echo >>"$TARGET_DIR/configuration"
}

target_ram() {
    target_configure bdev_malloc_create --name "$1" --block_size 512 --num_blocks $(($2 * 2048))
}

target_file() {
    truncate -s "$2M" "$TARGET_DIR/$1.img" &&
        target_configure bdev_aio_create --name "$1" --filename "$TARGET_DIR/$1.img" --block_size 4096
}

target_device() { target_configure bdev_aio_create --name "$1" --filename "$2" --block_size 512; }

target_null() {
    target_configure bdev_null_create --name "$1" --block_size 512 --num_blocks $(($2 * 2048))
}

target_grow() {
    truncate -s "$2M" "$TARGET_DIR/$1.img" && target_rpc bdev_aio_rescan --name "$1"
}
target_grow_null() { target_configure bdev_null_resize --name "$1" --new_size "$2"; }

target_subsystem() {
    local address="{\"trtype\":\"TCP\",\"adrfam\":\"IPv4\",\"traddr\":\"$TARGET_ADDR\",\"trsvcid\":\"$TARGET_PORT\"}"
    target_configure nvmf_create_subsystem --nqn "$1" --allow_any_host true --serial_number "WEFT${1##*[!0-9]}" &&
        target_configure nvmf_subsystem_add_listener --nqn "$1" --listen_address "$address"
}

# A fixed UUID: a host that reconnects checks that the namespace is the same.
target_add() {
    local uuid
    uuid=$(printf '%s' "$1/$2/$3" | sha256sum | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-4\3-8\4-\5/')
    target_configure nvmf_subsystem_add_ns --nqn "$1" \
        --namespace "{\"nsid\":$2,\"bdev_name\":\"$3\",\"uuid\":\"$uuid\"}"
}

target_remove() {
    target_configure nvmf_subsystem_remove_ns --nqn "$1" --nsid "$2"
}

listen_on() { # PORT
    echo "{\"trtype\":\"TCP\",\"adrfam\":\"IPv4\",\"traddr\":\"$TARGET_ADDR\",\"trsvcid\":\"$1\"}"
}

target_paths() {
    target_configure nvmf_create_subsystem --nqn "$1" --allow_any_host true --ana_reporting true \
        --serial_number "WEFT${1##*[!0-9]}" &&
        target_configure nvmf_subsystem_add_listener --nqn "$1" --listen_address "$(listen_on "$TARGET_PORT")" &&
        target_configure nvmf_subsystem_add_listener --nqn "$1" --listen_address "$(listen_on $((TARGET_PORT + 1)))"
}

target_path() {
    target_configure nvmf_subsystem_listener_set_ana_state --nqn "$1" \
        --listen_address "$(listen_on $((TARGET_PORT + $2)))" --ana_state "$3"
}

target_do() { target_configure "$@"; }
target_do_all() { target_rpc; }
