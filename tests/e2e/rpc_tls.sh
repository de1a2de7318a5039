#!/bin/bash
# RPC from elsewhere: who gets in, what each role may, what is written down, and that hostile clients disturb nobody.
. "$(dirname "$0")/lib.sh"
pki=$work/pki
mkdir "$pki"
cd "$pki" || exit 1

# The six lines of docs/remote-control.md, as they stand there.
page=$(dirname "$bin")/../../docs/remote-control.md
[ -f "$page" ] || page=$(cd "$OLDPWD" && cd "$(dirname "$0")/../.." && pwd)/docs/remote-control.md
sed -n '/^    openssl /s/^    //p' "$page" >"$work/six-lines.sh"
check "the documents' lines make an authority and certificates" bash -e "$work/six-lines.sh"
certificate() { # NAME CA OPENSSL-OPTIONS...: a client's certificate
    local name=$1 ca=$2
    shift 2
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -subj "/CN=$name" 2>/dev/null |
        openssl x509 -req -CA "$ca.pem" -CAkey "$ca.key" -out "$name.pem" "$@" 2>/dev/null
    chmod 600 "$name.key"
}
authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 30 \
        -subj "/CN=$1" 2>/dev/null
}
for name in bob carol mallory; do certificate "$name" ca -days 30; done
authority other
certificate stranger other -days 30
# A certificate of yesterday: openssl x509 of Debian 12 has no dates to give, `ca` has.
touch index && echo 01 >serial
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' >ca.cnf
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout expired.key -out expired.csr -subj /CN=alice 2>/dev/null
openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in expired.csr -out expired.pem -notext \
    -startdate 20200101000000Z -enddate 20200102000000Z 2>/dev/null
chmod 600 expired.key
cat >roles <<'ROLES'
# who       what
CN=alice    admin
CN=bob      operate
CN=carol    read
ROLES

tls_port=$(free_port)
[ "$tls_port" != "$port" ] || tls_port=$((port + 1))
audit=$work/audit
options=(-r "tls://127.0.0.1:$tls_port" --rpc-tls-cert "$pki/target.pem" --rpc-tls-key "$pki/target.key"
    --rpc-tls-ca "$pki/ca.pem" --rpc-roles "$pki/roles" --audit "$audit")
server=tls://127.0.0.1:$tls_port
as() { # NAME ARGUMENTS...: weft rpc with that certificate
    local name=$1
    shift
    "$bin/weft" rpc -s "$server" --tls-cert "$pki/$name.pem" --tls-key "$pki/$name.key" --tls-ca "$pki/ca.pem" "$@"
}
with() { # OPTION VALUE: weftd with one option changed
    local changed=("${options[@]}") at
    for at in "${!changed[@]}"; do [ "${changed[at]}" != "$1" ] || changed[at + 1]=$2; done
    timeout 10 "$bin/weftd" -r "$sock" "${changed[@]}"
}
audited() { # PATTERN...: the last line of the audit log has all of these, within two seconds
    local tries pattern line
    for tries in $(seq 20); do
        line=$(tail -1 "$audit")
        for pattern in "$@"; do
            grep -qF -- "$pattern" <<<"$line" || continue 2
        done && return 0
        sleep 0.1
    done
    echo "$line"
    return 1
}

# What is wrong with options and files.
refused "no key" "rpc-tls-key FILE is missing" "$bin/weftd" -r "$sock" -r "$server" --rpc-tls-cert x
refused "files without an address" "tls://ADDRESS:PORT, and there is none" "$bin/weftd" -r "$sock" --rpc-roles x
refused "no port" "the port is not" "$bin/weftd" -r tls://127.0.0.1:
refused "no address" "give tls://" "$bin/weftd" -r tls:///tmp/x
refused "plain TCP for everybody, still" "loopback" "$bin/weftd" -r 0.0.0.0:5260
refused "a certificate that is not there" "rpc-tls-cert: .*nowhere" with --rpc-tls-cert "$pki/nowhere"
refused "a certificate that has expired" "expired.pem: the certificate expired at 2020" with --rpc-tls-cert "$pki/expired.pem"
refused "the key of another" "not the key of the certificate" with --rpc-tls-key "$pki/bob.key"
chmod 644 bob.key
refused "a key that all may read" "mode 0644.*chmod 600" with --rpc-tls-key "$pki/bob.key"
chmod 600 bob.key
refused "an authority that is none" "not an authority's" with --rpc-tls-ca "$pki/bob.pem"
echo "CN=alice root" >bad-roles
refused "a role that is none" 'bad-roles: line 1: .root. is no role' with --rpc-roles "$pki/bad-roles"
ln -s "$work/elsewhere" "$work/link"
refused "an audit log behind a symbolic link" "symbolic link" with --audit "$work/link"

check "a target starts" start "${options[@]}"
check "an administrator gets in" as alice spdk_get_version
check "by environment, too" env WEFT_TLS_CERT="$pki/alice.pem" WEFT_TLS_KEY="$pki/alice.key" WEFT_TLS_CA="$pki/ca.pem" \
    "$bin/weft" rpc -s "$server" spdk_get_version
check "by the name in the certificate" as alice --tls-name target.example spdk_get_version

# Roles.
check "read: asks" as carol bdev_get_bdevs
refused "read: changes nothing" "Method not found: bdev_null_create.*your role, read" as carol bdev_null_create N1 100 512
refused "and cannot tell what there is from what there is not" "Method not found: bdev_nill_create; rpc_get_methods" \
    as carol bdev_nill_create '{}'
check "operate: changes" as bob bdev_null_create N1 100 512
check "it is in the audit log" audited '"who":"CN=bob"' '"method":"bdev_null_create"' '"code":0' '"name":"N1"'
refused "operate: names no file" "not found" as bob bdev_aio_create '{"name":"A","filename":"/etc/passwd","block_size":512}'
check "so is what was refused" audited '"who":"CN=bob"' '"method":"bdev_aio_create"' '"code":-32601' '"role":"operate"'
refused "operate: does not stop the target" "not found" as bob spdk_kill_instance SIGTERM
refused "who is not listed may nothing" "CN=mallory has no role here.*rpc-roles" as mallory spdk_get_version
check "which is noted" audited '"who":"CN=mallory"' '"role":"none"' '"code":-1'
lists() { [ "$(as "$1" rpc_get_methods | grep -c "$2")" = "$3" ]; }
check "carol is shown what she may" lists carol bdev_null_create 0
check "bob is, too" lists bob bdev_null_create 1
check "through the socket: by user and process" bash -c "'$bin/weft' rpc -s '$sock' bdev_null_delete N1"
check "that is noted as such" audited '"who":"uid '"$(id -u)"', pid ' "$sock" '"role":"admin"' '"method":"bdev_null_delete"'
rpc nvmf_create_subsystem --nqn "$nqn" >/dev/null
rpc nvmf_subsystem_add_host --nqn "$nqn" --host nqn.x:h --psk the-secret >/dev/null 2>&1
check "what was a secret is stars" audited '"method":"nvmf_subsystem_add_host"' '"psk":"***"'
is_private() { [ "$(stat -c %a "$audit")" = 600 ] && ! grep -q the-secret "$audit" && ! grep -q bdev_get_bdevs "$audit"; }
check "the audit log is private, and has changes only" is_private
check "it says how it is" as carol weft_get_audit
check "weft apply goes the same way" bash -c "echo '{\"subsystems\":[]}' >'$work/empty.json'; '$bin/weft' apply --dry-run -s '$server' \
    --tls-cert '$pki/alice.pem' --tls-key '$pki/alice.key' --tls-ca '$pki/ca.pem' '$work/empty.json'; [ \$? = 2 ]"
check "and weft top, for who may ask" "$bin/weft" top --once -s "$server" --tls-cert "$pki/carol.pem" \
    --tls-key "$pki/carol.key" --tls-ca "$pki/ca.pem"

# Who does not get in, and what it is told.
refused "a stranger's certificate" "does not know the authority of our certificate" as stranger spdk_get_version
refused "an expired one, seen here" "expired.pem: the certificate expired" as expired spdk_get_version
refused "none" "tls-cert .or WEFT_TLS_CERT. is missing" "$bin/weft" rpc -s "$server" spdk_get_version
refused "a server of another name" "not for other.example" as alice --tls-name other.example spdk_get_version
refused "a server of another authority" "authority that is not known here" "$bin/weft" rpc -s "$server" \
    --tls-cert "$pki/alice.pem" --tls-key "$pki/alice.key" --tls-ca "$pki/other.pem" spdk_get_version
refused "a name instead of an address" "tls-name localhost" "$bin/weft" rpc -s tls://localhost:1 spdk_get_version
s_client() { # OPTIONS...: what a foreign client is answered
    (printf '{"jsonrpc":"2.0","id":1,"method":"spdk_get_version"}'; sleep 1) |
        timeout 10 openssl s_client -quiet -connect "127.0.0.1:$tls_port" -CAfile ca.pem "$@" 2>&1
}
check "a foreign client" bash -c "$(declare -f s_client); tls_port=$tls_port; s_client -cert alice.pem -key alice.key -verify_return_error | grep -q '\"result\"'"
check "with TLS 1.2" bash -c "$(declare -f s_client); tls_port=$tls_port; s_client -tls1_2 -cert alice.pem -key alice.key | grep -q '\"result\"'"
not_answered() { ! s_client "$@" | grep -q '"result"'; }
check "but not with TLS 1.1" not_answered -tls1_1 -cipher DEFAULT@SECLEVEL=0 -cert alice.pem -key alice.key
check "nor without a certificate" not_answered
check "nor with an expired one" not_answered -cert expired.pem -key expired.key
check "the log says why" grep -q "RPC client 127.0.0.1:[0-9]*: TLS: the client's certificate has expired" "$work/log"
plain() {
    local answer
    answer=$(printf '{"jsonrpc":"2.0","id":1,"method":"spdk_get_version"}\n' | timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$tls_port; cat >&3; cat <&3" | tr -d '\0')
    ! grep -q jsonrpc <<<"$answer"
}
check "plain text to that port is not answered" plain

# Hostile and idle clients.
twenty_calls() { # prints how many milliseconds they took
    local begin count
    begin=$(date +%s%N)
    for count in $(seq 20); do rpc spdk_get_version >/dev/null || return 1; done
    echo $((($(date +%s%N) - begin) / 1000000))
}
alone=$(twenty_calls)
quick() { # as quick as without them; the machine may have other work meanwhile
    local took
    took=$(twenty_calls) || return 1
    [ "$took" -lt $((5 * alone + 3000)) ] || { echo "$took ms, $alone ms alone"; return 1; }
}
exec 9<>"/dev/tcp/127.0.0.1/$tls_port"
began=$SECONDS
check "garbage" bash -c "head -c 20000 /dev/urandom >/dev/tcp/127.0.0.1/$tls_port || true"
crowd=()
for _ in $(seq 200); do
    exec {client}<>"/dev/tcp/127.0.0.1/$tls_port" && crowd+=("$client")
done
check "200 silent clients disturb nobody" quick
check "and keep nobody out" as carol spdk_get_version
for client in "${crowd[@]}"; do exec {client}>&-; done
printf 'import socket, ssl, sys, time\nc = ssl.create_default_context(cafile="ca.pem")\nc.check_hostname = False\nc.load_cert_chain("carol.pem", "carol.key")\nall = [c.wrap_socket(socket.create_connection(("127.0.0.1", %s))) for _ in range(200)]\nfor s in (all[0], all[199]):\n    s.sendall(b"{\\"jsonrpc\\":\\"2.0\\",\\"id\\":1,\\"method\\":\\"spdk_get_version\\"}")\n    assert b"result" in s.recv(4096)\nprint("there", flush=True)\ntime.sleep(60)\n' "$tls_port" >"$work/idle.py"
coproc idle { exec python3 "$work/idle.py" 2>&1; }
read -r -t 30 line <&"${idle[0]}"
if [ "${line:-}" = there ]; then ok "200 idle clients that were let in"; else not_ok "200 idle clients that were let in" "${line:-nothing}"; fi
check "disturb nobody" quick
check "nor keep others out" as carol spdk_get_version
kill "$idle_PID" 2>/dev/null
check "a handshake that does not end is cut" timeout 15 cat <&9
[ $((SECONDS - began)) -ge 5 ] || not_ok "and not before its time" "$((SECONDS - began)) s"
exec 9>&-

# SIGHUP.
cp roles roles.good
echo "CN=carol nonsense" >roles
check "roles that are wrong change nothing" hup "reload: --rpc-roles .*line 1"
check "the old ones count" as carol spdk_get_version
sed 's/^CN=carol .*/CN=mallory read/' roles.good >roles
mv "$audit" "$audit.1"
check "new ones do" hup "reload: certificates, and roles of 3 names"
refused "carol is out" "no role" as carol spdk_get_version
check "mallory is in" as mallory spdk_get_version
check "the audit log goes on in a new file" audited '"who":"CN=carol"'
openssl x509 -in target.pem -noout -serial >"$work/serial.old"
openssl req -new -key target.key -subj /CN=target 2>/dev/null | openssl x509 -req -CA ca.pem -CAkey ca.key -days 30 \
    -extfile <(echo subjectAltName=DNS:fresh.example) -out target.pem 2>/dev/null
check "a new certificate of the target" hup "reload: certificates"
check "is shown" as alice --tls-name fresh.example spdk_get_version
check "SIGHUP with certificates needs no -c" bash -c "! grep -q 'started without -c' '$work/log'"

check "it stops" stop
rm "$audit"
truncate -s 0 "$work/log"
if mkdir -p "$work/small" && mount -t tmpfs -o size=64k tmpfs "$work/small" 2>/dev/null; then
    audit=$work/small/audit
    check "with an audit log on a small disk it starts" start --audit "$audit"
    head -c 65536 /dev/zero >"$work/small/full" 2>/dev/null
    check "when the disk is full calls go on" rpc bdev_null_create N1 100 512
    lost() { rpc weft_get_audit | grep -q '"lines_lost": [1-9]' && grep -q "loses lines" "$work/log"; }
    sleep 0.3
    check "what was lost is counted and logged" lost
    rm "$work/small/full"
    check "with room again" rpc bdev_null_delete N1
    check "it goes on" audited '"method":"bdev_null_delete"'
    check "it stops in order" stop
else
    echo "skip an audit log on a full disk: mounting needs root"
fi
finish
