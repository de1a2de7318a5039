#!/bin/bash
# SIGHUP: the configuration file once more, as one transaction, or not at all.
. "$(dirname "$0")/lib.sh"

write_config() { # SIZE-OF-RAM-DISK NAME-OF-NULL-DEVICE
    cat >"$work/config.json" <<JSON
{"subsystems": [{"subsystem": "bdev", "config": [
    {"method": "bdev_malloc_create", "params": {"name": "Malloc0", "block_size": 512, "num_blocks": $1}},
    {"method": "bdev_null_create", "params": {"name": "$2", "block_size": 512, "num_blocks": 100}}]},
  {"subsystem": "nvmf", "config": [
    {"method": "nvmf_create_transport", "params": {"trtype": "TCP"}},
    {"method": "nvmf_create_subsystem", "params": {"nqn": "$nqn", "serial_number": "RELOAD"}}]}]}
JSON
}
devices() { rpc bdev_get_bdevs | sed -n 's/^        "name": "\(.*\)",$/\1/p' | xargs; }

write_config 2048 N1
check "it starts with a file" start -c "$work/config.json"
write_config 2048 N2
check "SIGHUP reads it again" hup "reload: .*config.json: [1-9][0-9]* changes"
is "what changed is changed, what did not is there" "Malloc0 N2" "$(devices)"
echo '{"subsystems": [{"subsystem": "bdev", "config": [{"method": "bdev_null_create"' >"$work/config.json"
check "a file that is cut is refused" hup "reload: .*the target is as it was"
write_config 2048 N2
sed -i 's/"num_blocks": 100/"num_blocks": 0/; s/"N2"/"N3"/' "$work/config.json"
check "so is one whose last part fails" hup "reload: .*the target is as it was"
is "and the target is as it was" "Malloc0 N2" "$(devices)"
check "it stops" stop
check "without a file it starts, too" start
check "SIGHUP says that there is none" hup "started without -c"
check "it stops again" stop
finish
