#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# policy, mode and failureMode, against a real service behind the node: who gets there, who does not.
set -u
# shellcheck source=tests/bypass/lib.sh
. "$(dirname "$0")/../bypass/lib.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

V4=169.254.169.254
V6=fd00:ec2::254
NOTES=podcred_passes_v3
CLIENT=$ENV_BUILD/tests/client

stat_of() { podcred status --json | jq ".counters.$1"; }
dial() { in_pod "$1" "$CLIENT" "$2" "$3" "${4:-80}" 2>&1 | sed -E 's/ uid=.*//'; }
real() { echo "peer=$1:80 REAL service"; }
notes() { bpftool -j map dump pinned "$PIN_DIR/maps/$NOTES"; }
passes() { notes | jq length; }
no_passes() { [ "$(passes)" = 0 ]; }
has_policy() { podcred pods --json | jq -e ".[] | select(.name == \"$1\") | .policy == \"$2\""; }
settings() { printf '%s\n' "$@" >"$ENV_TMP/config.yaml"; }
reload() {
  in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
    --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT" --config "$ENV_TMP/config.yaml" \
    >"$ENV_TMP/load" 2>&1 || env_fail "load: $(cat "$ENV_TMP/load")"
}
# send POD KIND PORT [answered]; errno, or 0. An answer to a socket that has gone would bring an ICMP
# error back, which arrives as well: who is answered waits for it.
send() {
  in_pod "$1" python3 -c '
import socket, sys
kinds = {"udp": (socket.SOCK_DGRAM, 0), "udplite": (socket.SOCK_DGRAM, 136), "raw": (socket.SOCK_RAW, 253)}
try:
    s = socket.socket(socket.AF_INET, *kinds[sys.argv[1]])
    s.connect(("169.254.169.254", int(sys.argv[2])))
    s.send(b"x")
    if sys.argv[3:]:
        s.settimeout(10)
        s.recv(64)
    print(0)
except OSError as e:
    print(e.errno)' "${@:2}"
}
reached() {
  python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
print(int.from_bytes(s.recv(8), sys.byteorder))' "$BYPASS_COUNTER"
}
reached_since() { [ "$(reached)" -gt "$1" ]; }
# When nothing arrives any more.
settled() {
  local last now
  now=$(reached)
  while last=$now && sleep 0.2 && now=$(reached) && [ "$now" != "$last" ]; do :; done
  echo "$now"
}
# How many packets arrived while a command ran.
arrive() {
  local before
  before=$(settled)
  "$@" >/dev/null 2>&1
  echo $(($(settled) - before))
}

bypass_up
settings 'policy:' '  - {namespace: shop, serviceAccount: other, action: exempt}' \
  '  - {namespace: shop, serviceAccount: hosted, action: exempt}'
reload
env_resolve --config "$ENV_TMP/config.yaml"
bypass_agent

# ---- exempt ----
for host in $V4 $V6; do
  text=$host
  [ "$host" = $V4 ] || text="[$host]"
  same "exempt: reaches the real $host" "$(real "$text")" "$(dial other plain "$host")"
  same "exempt, hostNetwork: reaches the real $host" "$(real "$text")" "$(dial hosted plain "$host")"
  same "others are redirected from $host" "peer=$text:80 pod=web" "$(dial web plain "$host")"
done
same 'exempt: v4-mapped' "$(real "[::ffff:$V4]")" "$(dial other plain-mapped $V4)"
check 'exempt: counted' test "$(stat_of passed_exempt)" -ge 5
check 'no connection is noted after its end' wait_for 10 no_passes
lingering() { in_imds ss -Htn state last-ack state fin-wait-1 state close-wait | grep -q .; }
all_ended() { ! lingering; }
check 'and the service has seen the end of each' wait_for 10 all_ended
same 'exempt: other kinds of packets are not let through' '1 0' \
  "$(stat_of packet_socket | grep -c .) $(arrive send web udplite 80)"
same 'exempt, hostNetwork: any kind is' 1 "$(arrive send hosted udplite 80 answered)"

# A connection that is not noted: it is older than the load.
cat >"$ENV_TMP/held.py" <<'PY'
import fcntl, socket, struct, sys, termios, time
s = socket.create_connection(("169.254.169.254", 80))
print("open", s.getsockname()[1], flush=True)
sys.stdin.readline()
s.sendall(b"GET / HTTP/1.0\r\n\r\n")
for _ in range(100):
    unsent, = struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, bytes(4)))
    if not unsent:
        break
    time.sleep(0.1)
print("acknowledged" if not unsent else f"{unsent} bytes are lost")
PY
mkfifo "$ENV_TMP/go"
hold() { # hold POD: a connection of it, on $HELD_PORT
  : >"$ENV_TMP/kept"
  in_pod "$1" python3 "$ENV_TMP/held.py" <"$ENV_TMP/go" >"$ENV_TMP/kept" &
  HELD_PID=$!
  exec {go}>"$ENV_TMP/go"
  wait_for 10 grep -q open "$ENV_TMP/kept" || env_fail 'no connection'
  HELD_PORT=$(sed -n 's/^open //p' "$ENV_TMP/kept")
}
goes_on() { # goes_on NAME: what hold has opened
  echo >&"$go"
  wait "$HELD_PID"
  exec {go}>&-
  same "$1" acknowledged "$(tail -n 1 "$ENV_TMP/kept")"
}
forget_notes() {
  notes | jq -r '.[].key | join(" ")' | while read -r key; do
    # shellcheck disable=SC2086 # bytes
    bpftool map delete pinned "$PIN_DIR/maps/$NOTES" key $key
  done
}
hold other
forget_notes
check 'exempt: the connection is not noted any more' no_passes
goes_on 'exempt: it goes on without a note'

# An upgrade from a version that noted in another map.
hold other
same 'upgrade: one is noted' 1 "$(passes)"
bpftool map create "$PIN_DIR/maps/podcred_passes_v2" type lru_hash key 36 value 32 entries 8192 \
  name podcred_passes_
# shellcheck disable=SC2046 # bytes
bpftool map update pinned "$PIN_DIR/maps/podcred_passes_v2" key $(notes | jq -r '.[0].key | join(" ")') \
  value $(notes | jq -r '.[0].value | join(" ")')
forget_notes
check 'upgrade: by an older version only' no_passes
reload
same 'upgrade: a load carries that over' 1 "$(passes)"
check_not 'upgrade: and takes the old map away' test -e "$PIN_DIR/maps/podcred_passes_v2"
goes_on 'upgrade: so the connection goes on'
check 'upgrade: and its end is noticed' wait_for 10 no_passes || notes

# A live connection of the exempt pod, and a neighbour that borrows its addresses.
in_pod other python3 -c '
import socket, sys, time
s = socket.create_connection(("169.254.169.254", 80))
print(s.getsockname()[1], flush=True)
time.sleep(60)' >"$ENV_TMP/held" &
wait_for 10 test -s "$ENV_TMP/held" || env_fail 'no connection to borrow from'
check 'the connection is noted' test "$(passes)" -ge 1
borrow() {
  in_pod web python3 - "$1" "${POD_IP[other]}" "$(cat "$ENV_TMP/held")" <<'PY'
import socket, struct, sys

how, source, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
tcp = struct.pack("!HHIIBBHHH", port, 80, 1, 1, 5 << 4, 0x10, 1024, 0, 0)
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, socket.inet_aton(source),
                 socket.inet_aton("169.254.169.254"))
if how == "raw":
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(ip + tcp, ("169.254.169.254", 0))
else:
    total = sum(struct.unpack("!10H", ip))
    total = (total >> 16) + (total & 0xffff)
    ip = ip[:10] + struct.pack("!H", ~total & 0xffff) + ip[12:]
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    s.sendto(ip + tcp, ("eth0", 0x0800, 0, 1, bytes.fromhex("020000009901")))
PY
}
same 'its addresses, borrowed by a raw socket: nothing arrives' 0 "$(arrive borrow raw)"
same 'its addresses, borrowed by a packet socket: nothing arrives' 0 "$(arrive borrow packet)"
cgroup_signal "${POD_CGROUP[other]}/container" KILL
check 'killed: no connection is noted' wait_for 10 no_passes

# What the pod's kernel has still to say, from no socket of the pod: an acknowledgement in TIME_WAIT, a
# reset. The service asks once more, with an old segment.
end_first() {
  in_pod other python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 80))
print(s.getsockname()[1], flush=True)
s.recv(64)
s.close()' "$1" >"$ENV_TMP/ended" 2>"$ENV_TMP/ended.err"
}
in_time_wait() { in_netns "${POD_NETNS[other]}" ss -Htan state time-wait "sport = :$(cat "$ENV_TMP/ended")" | grep -q .; }
ask_again() {
  in_imds python3 - "$1" "$2" "$(cat "$ENV_TMP/ended")" "$3" <<'PY'
import socket, struct, sys
source, to, port, own = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in source else socket.AF_INET
tcp = bytearray(struct.pack("!HHIIBBHHH", own, port, 1, 1, 5 << 4, 0x11, 1024, 0, 0))
ends = socket.inet_pton(family, source) + socket.inet_pton(family, to)
pseudo = ends + struct.pack("!II", len(tcp), 6) if family == socket.AF_INET6 else ends + struct.pack("!BBH", 0, 6, len(tcp))
total = sum(struct.unpack("!%dH" % ((len(pseudo) + len(tcp)) // 2), pseudo + bytes(tcp)))
while total >> 16:
    total = (total & 0xffff) + (total >> 16)
tcp[16:18] = struct.pack("!H", ~total & 0xffff)
s = socket.socket(family, socket.SOCK_RAW, 6)
s.bind((source, 0))
s.sendto(bytes(tcp), (to, 0))
PY
}
# The service answers an acknowledgement that comes after its own end with a reset: that of ask_again, or
# of a FIN that a busy machine sent twice. That must not end the TIME_WAIT (RFC 1337).
in_netns "${POD_NETNS[other]}" sysctl -qw net.ipv4.tcp_rfc1337=1
for host in $V4 $V6; do
  own=${POD_IP[other]}
  [ "$host" = $V4 ] || own=${POD_IP6[other]}
  end_first "$host"
  check "exempt: its side of a connection to $host is in TIME_WAIT" wait_for 10 in_time_wait || {
    cat "$ENV_TMP/ended" "$ENV_TMP/ended.err"
    in_netns "${POD_NETNS[other]}" ss -Htan
    in_imds ss -Htan
  } | sed 's/^/#   /'
  settled_at=$(settled)
  ask_again "$host" "$own" 80
  check 'and acknowledges from there' wait_for 10 reached_since "$settled_at"
  settled_at=$(settled)
  check 'and stays there' in_time_wait
  ask_again "$host" "$own" 81
  same 'no other port of the service gets a reset' "$settled_at" "$(settled)"
done

# ---- exempt, behind address translation of the node ----
translate() {
  in_node iptables -w -t nat "-$1" POSTROUTING -o uplink -j MASQUERADE
  in_node ip6tables -w -t nat "-$1" POSTROUTING -o uplink -j MASQUERADE
}
translate A
for host in $V4 $V6; do
  text=$host
  [ "$host" = $V4 ] || text="[$host]"
  same "exempt, source translated: reaches the real $host" "$(real "$text")" "$(dial other plain "$host")"
  same "host process, source translated: reaches the real $host" "$(real "$text")" \
    "$(in_host "$CLIENT" plain "$host" 80 | sed -E 's/ uid=.*//')"
done
translate D

# ---- the exemption ends; deny ----
settings 'policy:' '  - {namespace: shop, serviceAccount: other, action: deny}'
kill -HUP "$RESOLVE_PID"
check 'the policy is read again' wait_for 10 has_policy other deny
same 'deny: refused' errno=EACCES "$(dial other plain $V4)"
same 'deny: the agent itself too' errno=EACCES "$(dial other plain "$NODE_V4" "$AGENT_PORT")"
check 'deny: counted' test "$(stat_of denied_policy)" -ge 2
same 'no longer exempt: redirected' "peer=$V4:80 pod=hosted" "$(dial hosted plain $V4)"

# ---- mode audit ----
same 'enforce: a datagram is refused' 13 "$(send web udp 123)"
same 'enforce: a raw packet is refused' 1 "$(send web raw 0)"
settings 'mode: audit'
reload
before=$(stat_of audited)
same 'audit: a datagram passes' '0' "$(send web udp 123)"
same 'audit: a raw packet arrives' 1 "$(arrive send web raw 0)"
same 'audit: redirection stays' "peer=$V4:80 pod=web" "$(dial web plain $V4)"
check 'audit: counted' test "$(stat_of audited)" -gt "$before"
settings ''
reload
same 'enforce again: a raw packet is refused' 1 "$(send web raw 0)"
same 'enforce again: nothing arrives' 0 "$(arrive send web udp 123)"

# ---- action audit ----
settings 'destinations:' '  - address: 169.254.169.254' '    ports:' '      - {port: 80, action: audit}'
reload
same 'action audit: the real address' "$(real $V4)" "$(dial web plain $V4)"
check 'action audit: counted' test "$(stat_of passed_audit)" -ge 1
same 'action audit: other ports are refused' errno=EACCES "$(dial web plain $V4 81)"

# ---- failureMode open ----
# The lease of the first load has ended long ago: nobody renews one while the mode is another.
bpftool map update pinned "$PIN_DIR/maps/podcred_runtime" key 3 0 0 0 value 1 0 0 0 0 0 0 0
kill -STOP "$RESOLVE_PID"
settings 'failureMode: open'
reload
same 'open: not before the resolver had the time to look for the agent' "peer=$V4:80 pod=web" "$(dial web plain $V4)"
kill -CONT "$RESOLVE_PID"
agent_gone() { [ "$(dial web plain $V4)" = "$(real $V4)" ]; }
cgroup_signal "$AGENT_CGROUP" KILL
env_serve
alive() { grep -q 'the agent is alive' "$ENV_TMP/resolve.log"; }
check 'open: the resolver sees the agent' wait_for 10 alive
check_not 'open: while it lives nobody gets past it' agent_gone
cgroup_signal "$AGENT_CGROUP" KILL
check 'open: when it is gone, pods reach the real address' wait_for 20 agent_gone
check 'open: counted' test "$(stat_of passed_open)" -ge 1
# Nobody attaches a program to a new pod's interface.
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
pod_add late burstable
pod_up late
for host in $V4 $V6; do
  text=$host
  [ "$host" = $V4 ] || text="[$host]"
  same "open: without the resolver too, from a new pod to $host" "$(real "$text")" \
    "$(in_pod late timeout 10 "$CLIENT" plain "$host" 80)"
done
env_resolve --config "$ENV_TMP/config.yaml"
same 'open: denied ports stay denied' errno=EACCES "$(dial web plain $V4 81)"

# A pod opens and ends far more connections than anybody may have, and then keeps all that it gets: those
# of its neighbours go on.
cat >"$ENV_TMP/flood.py" <<'PY'
import collections, errno, resource, signal, socket, struct
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
def connect():
    s = socket.socket()
    s.setblocking(False)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return s, errno.errorcode[s.connect_ex(("169.254.170.2", 80))]
ended = collections.Counter()
for _ in range(20000):
    s, result = connect()
    ended[result] += 1
    s.close()
kept, result = [], "EINPROGRESS"
while result == "EINPROGRESS" and len(kept) < 800:
    s, result = connect()
    kept.append(s)
print("ready", *(f"{k}={v}" for k, v in ended.items()), f"kept={len(kept) - 1} then={result}", flush=True)
signal.pause()
PY
FLOODER=$(stat -c %i "${POD_CGROUP[other]}")
open_now() {
  bpftool -j map dump pinned "$PIN_DIR/maps/podcred_pass_quota" |
    jq ".[].formatted | select(.key == $FLOODER) | .value.open"
}
nothing_open() { [ "$(open_now)" = 0 ]; }
ended() {
  bpftool -j map dump pinned "$PIN_DIR/maps/podcred_ended" |
    jq "[.[].formatted.value | select(.pod_cgroup_id == $FLOODER)] | length"
}
in_imds iptables -w -A INPUT -d 169.254.170.2 -j DROP # no answer: they stay open
hold web
before=$(stat_of pass_quota)
background "$ENV_TMP/flood" ready in_pod other python3 "$ENV_TMP/flood.py"
same 'open: a pod may end as many connections as it likes, and have 512' \
  'ready EINPROGRESS=20000 kept=512 then=EAGAIN' "$(cat "$ENV_TMP/flood")"
same 'open: the next is refused, and counted' $((before + 1)) "$(stat_of pass_quota)"
same 'open: explain says so' 'refused pass_quota' "$(podcred explain --pod shop/other --to $V4:80 --json |
  jq -r '.destinations[0] | "\(.outcome) \(.reason)"')"
check "open: of those that have ended few are known ($(ended))" test "$(ended)" -le 1024
same 'open: a neighbour connects all the same' "$(real $V4)" "$(dial web plain $V4)"
goes_on 'open: and the connection that it had goes on'
cgroup_signal "${POD_CGROUP[other]}/container" KILL
check 'open: killed, the pod has nothing open' wait_for 20 nothing_open || open_now
in_imds iptables -w -F INPUT
same 'open: and connects again' "$(real $V4)" "$(dial other plain $V4)"

# Another pod makes a connection with the addresses and ports of that, in a network of its own.
cat >"$ENV_TMP/clone.py" <<'PY'
import errno, socket, sys
s = socket.socket()
s.setblocking(False)
s.bind((sys.argv[1], int(sys.argv[2])))
print(errno.errorcode[s.connect_ex(("169.254.169.254", 80))])
PY
clone() {
  in_pod other unshare -n sh -c "ip link set lo up && ip addr add $1/32 dev lo &&
    ip route add default dev lo src $1 && exec python3 '$ENV_TMP/clone.py' $1 $2" 2>&1
}
hold web
before=$(stat_of pass_conflict)
same 'open: a connection with the addresses and ports of another is refused' EHOSTUNREACH \
  "$(clone "${POD_IP[web]}" "$HELD_PORT")"
same 'open: and counted' $((before + 1)) "$(stat_of pass_conflict)"
goes_on 'open: that of the other goes on'
in_host "$ENV_BUILD/tests/who" "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT" >/dev/null &
sleep 3
check 'open: somebody else on its port does not count' agent_gone
kill %% && wait %%
cgroup_signal "$ENV_CGROUP/host" KILL
env_serve
redirected() { [[ $(dial web plain $V4) != *REAL* ]]; }
check 'open: redirected again when it is back' wait_for 20 redirected
settings ''
reload
cgroup_signal "$AGENT_CGROUP" KILL
sleep 6
check_not 'closed: without the agent nobody gets anywhere' agent_gone
tap_done
