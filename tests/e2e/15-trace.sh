#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred trace: every decision, once, as what it was; and what a pod may try with its own name.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

CLIENT=$ENV_BUILD/tests/client
ATTACK=$ENV_BUILD/tests/attack
V4=169.254.170.23
TRACE_SLOT=4 # PODCRED_RUNTIME_TRACE

counters() { podcred status --json | jq -c .counters; }
trace_slot() { bpftool -j map lookup pinned "$PIN_DIR/maps/podcred_runtime" key $TRACE_SLOT 0 0 0 | jq .formatted.value; }
send() { in_pod web "$CLIENT" udp-sendto "$V4" "$1" >/dev/null; }

trace_start() {
  OUT=$ENV_TMP/trace.out ERR=$ENV_TMP/trace.err # also for what follows
  trace_to "$OUT" "$ERR" "$@"
}
# trace_to OUT ERR ARGUMENT...
trace_to() {
  background "$2" tracing trace_into "$1" "${@:3}"
  TRACE_PID=$!
}
trace_into() { exec "$PODCRED" trace --pin-dir "$PIN_DIR" "${@:2}" >"$1"; }
# The ring buffer keeps the order: what was there before this port is shown before it.
MARK=20000
trace_settle() {
  MARK=$((MARK + 1))
  send $MARK
  wait_for 10 grep -q "$MARK" "$OUT" || env_fail "no mark: $(cat "$OUT" "$ERR")"
}
trace_end() {
  kill -"${1:-TERM}" "$TRACE_PID"
  wait "$TRACE_PID"
}
# Its exit status when it ends by itself; 137 when it does not.
trace_wait() {
  wait_for 10 trace_gone || kill -KILL "$TRACE_PID"
  wait "$TRACE_PID"
}
trace_gone() { ! kill -0 "$TRACE_PID"; }
# The one line of a port or word, its time and pid checked and cut off, blanks squeezed.
line() {
  grep -F -- "$1" "$OUT" | sed -E 's/^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}  //; s/\[[0-9]+\]/[PID]/; s/ +/ /g'
}
lines() { wc -l <"$OUT"; }

# sends to a guarded address over UDP-Lite, which only the packet hooks see
UDPLITE='
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    s.send(b"x")
except OSError as e:
    print(e.errno)'
# under a name that would colour a terminal, begin a line and add columns
HOSTILE='
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, b"\x1b[31m\nx y\xff\x9b", 0, 0, 0)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], int(sys.argv[2])))
except OSError:
    pass'
FLOOD='
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[3])):
    try:
        s.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
    except OSError:
        pass'

# ---- not loaded ----
env_up
trace_fails() { "$PODCRED" trace --pin-dir "$PIN_DIR" "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; echo $?; }
same 'not loaded: trace fails' 1 "$(trace_fails)"
check 'and says what to do' grep -q 'podcred load first' "$ENV_TMP/err"
same 'with --json too' 1 "$(trace_fails --json)"
check 'in one JSON object' jq -e -s 'length == 1 and (.[0].error | test("podcred load first"))' "$ENV_TMP/out"
for count in 0 -1 x 4294967296; do
  same "--count $count is refused" 1 "$(trace_fails --count "$count")"
done

pod_add web burstable
pod_add evil guaranteed
pod_add late burstable
env_load --without tcx --without tc >/dev/null || env_fail 'load failed'
env_resolve
in_agent "$ENV_BUILD/tests/who" "$NODE_V4" "$AGENT_PORT" >"$ENV_TMP/agent" &
wait_for 10 grep -q ready "$ENV_TMP/agent" || env_fail 'the agent did not start'
# the node forwards packets for the guarded address
in_node sh -c 'ip addr add 169.254.170.1/24 dev br0 && echo 1 >/proc/sys/net/ipv4/ip_forward'

# ---- refusals, as lines ----
send 999 # before the trace: the ring buffer has it, and nobody wants it
trace_start
same 'only one trace can run' 1 "$(trace_fails)"
check 'the second one says so' grep -q 'maps is locked: another podcred trace runs' "$ENV_TMP/err"
send 1001
in_pod web "$CLIENT" plain $V4 1002 >/dev/null
in_pod web "$CLIENT" plain $V4 80 >/dev/null
in_netns "${POD_NETNS[web]}" "$ATTACK" descriptor pass $V4 80 "${POD_CGROUP[web]}/container" \
  "${POD_CGROUP[evil]}/container" "${POD_CGROUP[evil]}/container" >/dev/null
same 'UDP-Lite to a guarded address: EPERM' 1 "$(in_pod web python3 -c "$UDPLITE" $V4 1003)"
in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[web]}" python3 -c "$UDPLITE" $V4 1004
in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[web]}" "$CLIENT" plain "$NODE_V4" "$AGENT_PORT" >/dev/null
in_cgroup "$KUBEPODS/burstable" "${POD_NETNS[web]}" "$CLIENT" udp-connect $V4 1005 >/dev/null
in_pod web python3 -c "$HOSTILE" $V4 1006
trace_settle
check_not 'what was decided before the trace is not shown' grep -q ':999/' "$OUT"
same 'a datagram' "shop/web client[PID] sendmsg $V4:1001/udp refused denied_destination" "$(line :1001/)"
same 'a port that is denied' "shop/web client[PID] connect $V4:1002/tcp refused denied_destination" \
  "$(line :1002/)"
same "another pod's socket" "shop/evil attack[PID] connect $V4:80/tcp refused cross_pod_socket" \
  "$(line cross_pod)"
same 'a packet of a pod' "shop/web - egress $V4:1003/udplite dropped packet_socket" "$(line :1003/)"
same 'a packet from elsewhere, by its source' \
  "${POD_IP[web]} - postrouting $V4:1004/udplite dropped packet_forwarded" "$(line :1004/)"
same 'a caller that the agent cannot know' \
  "${POD_IP[web]} - accept $NODE_V4:$AGENT_PORT/tcp refused unstamped" \
  "$(line unstamped)"
same 'a process in no pod, by its cgroup' \
  "cgroup $(stat -c %i "$KUBEPODS/burstable") client[PID] connect $V4:1005/udp refused no_pod" \
  "$(line :1005/)"
same 'a hostile name is made harmless' \
  "shop/web ?[31m?x?y??[PID] sendmsg $V4:1006/udp refused denied_destination" "$(line :1006/)"
check_not 'no control character, nothing but ASCII' env LC_ALL=C grep -nP '[^\x20-\x7e]' "$OUT"
check_not 'what is allowed is not shown' grep -qE 'redirected|claimed|allowed' "$OUT"
trace_end INT
same 'SIGINT ends it well' 0 $?

# ---- everything, as JSON, against the counters ----
before=$(counters)
started=$(date +%s)
trace_start --allowed --json
check 'while it runs the kernel reports what is allowed' test "$(trace_slot)" -gt 0
in_pod web "$CLIENT" plain $V4 80 >/dev/null
in_pod evil "$CLIENT" plain "$NODE_V4" "$AGENT_PORT" >/dev/null
in_pod web python3 -c "$HOSTILE" $V4 1007
in_pod web python3 -c "$UDPLITE" $V4 1008 >/dev/null
in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[web]}" python3 -c "$UDPLITE" $V4 1009
in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[web]}" "$CLIENT" plain "$NODE_V4" "$AGENT_PORT" >/dev/null
trace_settle
trace_end
same 'SIGTERM ends it well' 0 $?
same 'and the kernel reports refusals alone' 0 "$(trace_slot)"
check 'every line is a JSON object with these keys' jq -e -s 'all(.[];
  has("time") and has("pod") and has("hook") and has("address") and has("port") and has("protocol") and
  has("verdict") and has("reason"))' "$OUT"
check 'and one line each' test "$(jq -c . "$OUT" | wc -l)" -eq "$(lines)"
check 'time is UTC with milliseconds' jq -e -s 'all(.[]; .time |
  test("^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$"))' "$OUT"
check 'and it is right' jq -e -s "all(.[]; .time | sub(\"\\\\..*\"; \"Z\") | fromdate |
  . >= $started and . <= $(date +%s))" "$OUT"
want=$(jq -cn --arg uid "${POD_UID[web]}" --arg a $V4 --argjson pod "$(stat -c %i "${POD_CGROUP[web]}")" \
  --argjson leaf "$(stat -c %i "${POD_CGROUP[web]}/container")" \
  '{pod: "shop/web", hook: "connect", verdict: "allowed", reason: "redirected", podUid: $uid,
    namespace: "shop", name: "web", serviceAccount: "web", podCgroupId: $pod, cgroupId: $leaf,
    uid: 0, command: "client", address: $a, port: 80, protocol: "tcp"}')
same 'with --allowed a redirected connection is shown, and whose it is' "$want" \
  "$(jq -c 'select(.reason == "redirected") | del(.time, .pid)' "$OUT")"
check 'with its pid' jq -e -s 'any(.[]; .reason == "redirected" and .pid > 0)' "$OUT"
same 'the agent claims what was announced' '["shop/web","shop/evil"]' \
  "$(jq -c -s '[.[] | select(.reason == "claimed") | .pod]' "$OUT")"
same 'a packet has source and no command' "[\"${POD_IP[web]}\",\"${POD_IP[web]}\",null]" \
  "$(jq -c 'select(.port == 1009) | [.pod, .sourceAddress, .command]' "$OUT")"
same 'a hostile name is made harmless' '"?[31m?x y??"' "$(jq -c 'select(.port == 1007) | .command' "$OUT")"
for reason in redirected direct claimed denied_destination packet_socket packet_forwarded unstamped; do
  same "as many events as counted: $reason" \
    "$(jq -n --argjson a "$before" --argjson b "$(counters)" --arg r $reason '$b[$r] - $a[$r]')" \
    "$(jq -s --arg r $reason '[.[] | select(.reason == $r)] | length' "$OUT")"
done

# ---- a pod without a name, and none at all ----
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
late_id=$(stat -c %i "${POD_CGROUP[late]}")
read -ra key < <(python3 -c 'import sys; print(*int(sys.argv[1]).to_bytes(8, sys.byteorder))' "$late_id")
bpftool map delete pinned "$PIN_DIR/maps/podcred_pods" key "${key[@]}" || env_fail 'no record of late'
trace_start
in_pod late "$CLIENT" udp-sendto $V4 1010 >/dev/null
trace_settle
same 'a pod that nobody resolved' "cgroup $late_id" "$(line :1010/ | cut -d' ' -f1,2)"
trace_end
since=$(resolver_since)
"$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" >"$ENV_TMP/resolve2.log" 2>&1 &
RESOLVE_PID=$!
resolver_wait "$since" || env_fail "$(cat "$ENV_TMP/resolve2.log")"
trace_start
in_pod late "$CLIENT" udp-sendto $V4 1011 >/dev/null
trace_settle
same 'a pod without a name' "uid ${POD_UID[late]}" "$(line :1011/ | cut -d' ' -f1,2)"
trace_end

# ---- ways to end ----
trace_start --count 2
send 1012
send 1013
send 1014
trace_wait
same '--count 2: ends well' 0 $?
same 'after two lines' '1012 1013' "$(grep -oE ':10[0-9]{2}/' "$OUT" | tr -d ':/' | xargs)"

mkfifo "$ENV_TMP/pipe"
head -n 1 "$ENV_TMP/pipe" >"$ENV_TMP/head" &
head_pid=$!
trace_to "$ENV_TMP/pipe" "$ENV_TMP/err" --allowed
send 1015
check 'into a pipe a line comes at once' wait_for 10 grep -q ':1015/' "$ENV_TMP/head" || kill $head_pid
trace_wait
same 'a reader that has left ends it, and well' 0 $?
same 'and it has cleaned up' 0 "$(trace_slot)"
trace_to /dev/full "$ENV_TMP/err" --count 1
send 1016
trace_wait
same 'an output that is full is an error' 1 $?
check 'which is named' grep -q 'cannot write the output: No space left' "$ENV_TMP/err"

# Killed, it cannot clean up; the kernel stops by itself.
trace_start --allowed
trace_end KILL 2>/dev/null
check 'a trace that is killed leaves the switch on' test "$(trace_slot)" -gt 0
trace_start
off() {
  : >"$OUT.now"
  in_pod web "$CLIENT" plain $V4 80 >/dev/null
  MARK=$((MARK + 1))
  send $MARK
  wait_for 10 grep -q ":$MARK/" "$OUT" || return 1
  ! sed -n "/:$((MARK - 1))\//,\$p" "$OUT" | grep -q redirected
}
trace_settle
check 'but not for long' wait_for 20 off
trace_end

# ---- more than fits ----
trace_start
lost_before=$(counters | jq .event_lost)
kill -STOP "$TRACE_PID"
in_pod web python3 -c "$FLOOD" $V4 1017 5000
kill -CONT "$TRACE_PID"
check 'what is lost is reported' wait_for 10 grep -q 'decisions are missing here' "$ERR"
lost=$(($(counters | jq .event_lost) - lost_before))
trace_settle
same 'and what is not lost is shown' 5000 $((lost + $(grep -c ':1017/' "$OUT")))
same 'the number is right' "$lost" "$(grep -oE '[0-9]+ decisions' "$ERR" | awk '{ n += $1 } END { print n }')"
trace_end

# ---- mode audit, and unload ----
echo 'mode: audit' >"$ENV_TMP/audit.yaml"
env_load --without tcx --without tc --config "$ENV_TMP/audit.yaml" >/dev/null || env_fail 'load failed'
trace_start
in_pod web "$CLIENT" plain $V4 80 >/dev/null
send 1018
in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[web]}" python3 -c "$UDPLITE" $V4 1019
trace_settle
same 'mode audit: would refuse' \
  "shop/web client[PID] sendmsg $V4:1018/udp would refuse denied_destination" \
  "$(line :1018/ | grep sendmsg | sed "s|uid ${POD_UID[web]}|shop/web|")"
same 'also a packet' "${POD_IP[web]} - postrouting $V4:1019/udplite would refuse packet_forwarded" \
  "$(line :1019/)"
podcred unload >/dev/null
trace_wait
same 'unloaded meanwhile: trace ends' 1 $?
check 'and says so' grep -q "$PIN_DIR was unloaded: .*run podcred load" "$ERR"
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"

# ---- what a pod sends for the agent by itself, and in its name ----
FORGED='
import socket, struct, sys
tcp = struct.pack("!HHIIBBHHH", 1020, int(sys.argv[2]), 1, 0, 0x50, 2, 1000, 0, 0)
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).sendto(tcp, (sys.argv[1], 0))'
SPOOFED='
import socket, struct, sys
node, victim = map(socket.inet_aton, sys.argv[1:3])
tcp = struct.pack("!HHIIBBHHH", int(sys.argv[3]), 1021, 1, 0, 0x50, 4, 0, 0, 0)
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, node, victim)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
s.send(b"\xff" * 6 + b"\x02" + b"\0" * 5 + b"\x08\0" + ip + tcp)'
env_load >/dev/null || env_fail 'load failed'
env_resolve
trace_start
in_pod web python3 -c "$FORGED" $NODE_V4 $AGENT_PORT
in_pod web python3 -c "$SPOOFED" $NODE_V4 "${POD_IP[evil]}" $AGENT_PORT
trace_settle
same 'a packet for the agent that no connection sent' \
  "shop/web - ingress $NODE_V4:$AGENT_PORT/tcp dropped packet_forged" "$(line packet_forged)"
same 'one that says that it comes from there' \
  "shop/web - ingress ${POD_IP[evil]}/tcp dropped packet_spoofed" "$(line packet_spoofed)"
same 'each is counted' '1 1' "$(counters | jq -r '"\(.packet_forged) \(.packet_spoofed)"')"
trace_end
tap_done
