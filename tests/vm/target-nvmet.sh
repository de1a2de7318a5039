# target-nvmet.sh - the verbs of target-weftd.sh for the kernel's own target
# (nvmet-tcp), in the guest.  With it `run --self` proves the harness: kernel,
# tools and cases work, whatever weftd does.  A crash is the port taken away
# under the hosts' feet.
# shellcheck shell=bash

nvmet=/sys/kernel/config/nvmet

target_start() {
    rm -rf "$TARGET_DIR"
    mkdir -p "$TARGET_DIR"
    modprobe -a nvmet nvmet-tcp
    [ -d $nvmet ] || mount -t configfs configfs /sys/kernel/config
    mkdir $nvmet/ports/1
    echo tcp >$nvmet/ports/1/addr_trtype
    echo ipv4 >$nvmet/ports/1/addr_adrfam
    echo "$TARGET_ADDR" >$nvmet/ports/1/addr_traddr
    echo "$TARGET_PORT" >$nvmet/ports/1/addr_trsvcid
}

target_stop() {
    local dir
    [ -d $nvmet/ports/1 ] || return 0
    target_crash
    rmdir $nvmet/ports/*
    for dir in "$nvmet"/subsystems/*/namespaces/*; do
        [ ! -d "$dir" ] || rmdir "$dir"
    done
    for dir in "$nvmet"/subsystems/*; do
        [ ! -d "$dir" ] || rmdir "$dir"
    done
}

target_crash() { rm -f $nvmet/ports/*/subsystems/*; }

# The port's socket belongs to the network namespace of who opens the port.
target_listen() { # NQN
    ${TARGET_EXEC:-} ln -s "$nvmet/subsystems/$1" $nvmet/ports/1/subsystems/
}

target_restart() {
    local dir
    for dir in "$nvmet"/subsystems/*; do target_listen "${dir##*/}" || return 1; done
}

target_ram() { truncate -s "$2M" "$TARGET_DIR/$1.img"; }
target_null() { truncate -s "$2M" "$TARGET_DIR/$1.img"; }
target_file() { truncate -s "$2M" "$TARGET_DIR/$1.img"; }

target_grow() {
    local dir
    truncate -s "$2M" "$TARGET_DIR/$1.img"
    for dir in "$nvmet"/subsystems/*/namespaces/*; do
        [ "$(<"$dir/device_path")" != "$TARGET_DIR/$1.img" ] || echo 1 >"$dir/revalidate_size"
    done
}

target_grow_null() { target_grow "$@"; }

target_subsystem() {
    mkdir "$nvmet/subsystems/$1" &&
        echo 1 >"$nvmet/subsystems/$1/attr_allow_any_host" &&
        target_listen "$1"
}

target_add() {
    local dir=$nvmet/subsystems/$1/namespaces/$2
    mkdir "$dir" &&
        echo 1 >"$dir/buffered_io" && # the files are in a tmpfs
        echo -n "$TARGET_DIR/$3.img" >"$dir/device_path" &&
        echo 1 >"$dir/enable"
}

target_remove() { rmdir "$nvmet/subsystems/$1/namespaces/$2"; }

# The second port is like the first; its default group is that of every namespace, whatever its id.
target_paths() {
    mkdir $nvmet/ports/2
    echo tcp >$nvmet/ports/2/addr_trtype
    echo ipv4 >$nvmet/ports/2/addr_adrfam
    echo "$TARGET_ADDR" >$nvmet/ports/2/addr_traddr
    echo $((TARGET_PORT + 1)) >$nvmet/ports/2/addr_trsvcid
    target_subsystem "$1" && ${TARGET_EXEC:-} ln -s "$nvmet/subsystems/$1" $nvmet/ports/2/subsystems/
}

target_path() { echo "${3/_/-}" >$nvmet/ports/$(($2 + 1))/ana_groups/1/ana_state; }
