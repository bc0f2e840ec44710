#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a hostile pod may try. Nothing of it may yield somebody else's identity.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

HAMMER=$ENV_BUILD/tests/hammer
ATTACK=$ENV_BUILD/tests/attack
V4=169.254.170.23
V6=fd00:ec2::23
VICTIM_PORT=40321
ROUNDS=5000
TOLERATED=250 # refused or unstamped under a full-rate attack; 5 in 100

stat_of() { podcred status --json | jq ".counters.$1"; }
# How much a counter grew while a command ran.
grew() {
  local counter=$1 before
  shift
  before=$(stat_of "$counter")
  "$@" >/dev/null 2>&1
  echo $(($(stat_of "$counter") - before))
}
pending_of() {
  bpftool -j map dump pinned "$PIN_DIR/maps/podcred_quota" |
    jq "[.[].formatted | select(.key == $1) | .value.pending] | add // 0"
}
no_flows() { [ "$(podcred flows --json)" = '[]' ]; }
field() { sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$1" | tail -n 1; }
short() { sed -E 's/ uid=.*dialled=([^ ]*).*/ dialled=\1/; s/ v4=.*//'; }

agent_up() { background "$ENV_TMP/agent" ready in_agent "$@"; }
agent_down() { cgroup_signal "$AGENT_CGROUP" TERM; }

env_up systemd
pod_add victim burstable
pod_add evil burstable
pod_add other guaranteed
pod_add node1 burstable host
env_load >/dev/null || env_fail 'load failed'
env_resolve --conflict-seconds 5 # the default is longer than this test
in_victim=${POD_CGROUP[victim]}/container
in_evil=${POD_CGROUP[evil]}/container
host=$ENV_CGROUP/host

# ---- descriptors ----
agent_up "$ENV_BUILD/tests/who" "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
# a socket as seen from: where it was made, where it connects, where it is read
descriptor() {
  in_netns "${POD_NETNS[victim]}" "$ATTACK" descriptor "$1" "$V4" 80 "${@:2}" 2>&1 | short
}
for how in pass move; do
  same "$how: a socket made by the victim, connected by another pod" errno=EACCES \
    "$(descriptor $how "$in_victim" "$in_evil" "$in_evil")"
  same "$how: a socket made by another pod, connected by the victim" errno=EACCES \
    "$(descriptor $how "$in_evil" "$in_victim" "$in_evil")"
  same "$how: a socket made by a pod, connected by a host process" errno=EACCES \
    "$(descriptor $how "$in_victim" "$host" "$host")"
  same "$how: that is counted as cross_pod_socket" 1 \
    "$(grew cross_pod_socket descriptor $how "$in_victim" "$in_evil" "$in_evil")"
  same "$how: within one pod a socket may change containers" "pod=victim dialled=$V4:80" \
    "$(mkdir -p "${POD_CGROUP[victim]}/sidecar" &&
      descriptor $how "$in_victim" "${POD_CGROUP[victim]}/sidecar" "$in_victim")"
  # documented: who holds a connected socket speaks for the pod that connected it
  same "$how: a connected socket keeps the identity of its pod" "pod=victim dialled=$V4:80" \
    "$(descriptor $how "$in_victim" "$in_victim" "$in_evil")"
done

# The socket's cgroup selects the programs: a socket of the host's is not seen at kubepods. Its
# packets are, where they leave the pod.
in_node ip addr add $V4/32 dev lo
background "$ENV_TMP/real" ready in_host "$ENV_BUILD/tests/who" $V4 80
same 'a socket made by the host, connected by a pod: its packets are dropped' errno=EINPROGRESS \
  "$(descriptor pass "$host" "$in_victim" "$in_victim")"
same 'a socket made by the host, connected to the agent by a pod: so they are' errno=EINPROGRESS \
  "$(in_netns "${POD_NETNS[victim]}" "$ATTACK" descriptor pass "$NODE_V4" "$AGENT_PORT" "$host" \
    "$in_victim" "$in_victim" | short)"

# ---- no room for the stamp ----
optmem() { in_pod evil "$ATTACK" optmem "$@" 2>"$ENV_TMP/keys" | short; }
same 'option memory used up: the connect is refused' errno=ENOBUFS "$(optmem $V4 80)"
note "$(cat "$ENV_TMP/keys")"
same 'and that is counted' 1 "$(grew no_storage optmem $V4 80)"
same 'also for the agent itself' errno=ENOBUFS "$(optmem "$NODE_V4" "$AGENT_PORT")"
agent_down

# ---- poisoning: the victim's own 4-tuple, from elsewhere ----
for pod in victim evil other; do
  echo "${POD_IP[$pod]} ${POD_UID[$pod]}"
done >"$ENV_TMP/expected"
hammer_up() {
  agent_up "$HAMMER" server "$ENV_TMP/expected" 4 "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
}
# The victim connects from one port, again and again, while an attack runs; $1 says which.
under_attack() {
  local what=$1 host=$2 port=$3 line lost
  hammer_up
  in_pod victim "$HAMMER" client full "$host" "$port" $ROUNDS 1 "${POD_UID[victim]}" $VICTIM_PORT \
    >"$ENV_TMP/victim"
  agent_down
  line=$(cat "$ENV_TMP/victim")
  note "$what: victim $line; server $(tail -n 1 "$ENV_TMP/agent")"
  lost=$(field "$ENV_TMP/victim" failed)
  same "$what: the victim tried $ROUNDS times" $ROUNDS \
    $(($(field "$ENV_TMP/victim" connected) + lost))
  [ "$lost" = 0 ] || same "$what: where it was refused, with EHOSTUNREACH" EHOSTUNREACH \
    "$(field "$ENV_TMP/victim" errno)"
  same "$what: no wrong identity, as the victim sees it" '0 0' \
    "$(field "$ENV_TMP/victim" wrong) $(field "$ENV_TMP/victim" unnamed)"
  same "$what: no wrong identity, as the agent sees it" '0 0' \
    "$(field "$ENV_TMP/agent" wrong) $(field "$ENV_TMP/agent" unnamed)"
  lost=$((lost + $(field "$ENV_TMP/agent" unstamped)))
  check "$what: few are refused or unstamped ($lost of $ROUNDS)" test "$lost" -le $TOLERATED
}
attack_ends() {
  cgroup_signal "$attacker" TERM
  note "attacker: $(cat "$ENV_TMP/poison")"
  # a tenth: how the two share a busy machine is the scheduler's business
  check "$1: the attacker was at work" test "$(field "$ENV_TMP/poison" attempts)" -gt $((ROUNDS / 10))
}
attacker=${POD_CGROUP[evil]}/attacker
mkdir "$attacker"

ip netns add "$ENV_ID-cloned"
for command in "link set lo up" "addr add ${POD_IP[victim]}/32 dev lo" "addr add $NODE_V4/32 dev lo"; do
  # shellcheck disable=SC2086 # words of a command
  in_netns "$ENV_ID-cloned" ip $command
done
for host_port in "$V4 80" "$NODE_V4 $AGENT_PORT"; do
  # shellcheck disable=SC2086 # address and port
  set -- $host_port
  in_cgroup "$attacker" "$ENV_ID-cloned" "$ATTACK" poison "${POD_IP[victim]}" $VICTIM_PORT "$1" "$2" >"$ENV_TMP/poison" &
  under_attack "cloned addresses, both dial $1" "$1" "$2"
  attack_ends "cloned addresses, both dial $1"
done

# The frames of the spoofed connects are lost on purpose: what counts is the kernel's hook.
spoofed_are_lost() { in_pod evil iptables -w "$1" OUTPUT -s "${POD_IP[victim]}" -p tcp --dport "$AGENT_PORT" -j DROP; }
spoofed_are_lost -A || env_fail 'no iptables in the pod'
in_cgroup "$attacker" "${POD_NETNS[evil]}" \
  setpriv --inh-caps -all --bounding-set -all,+net_raw \
  "$ATTACK" poison "${POD_IP[victim]}" $VICTIM_PORT $V4 80 transparent >"$ENV_TMP/poison" &
under_attack 'IP_TRANSPARENT with CAP_NET_RAW' $V4 80
attack_ends 'IP_TRANSPARENT with CAP_NET_RAW'
spoofed_are_lost -D
check 'the tombstones are swept' wait_for 40 no_flows || podcred flows
# The sweep and the kernel count without a lock between them; the resolver sets it right.
quota_whole() { [ "$(pending_of "$(stat -c %i "${POD_CGROUP[$1]}")")" -eq 0 ]; }
for pod in victim evil; do
  check "and the quota of $pod is whole again" wait_for 20 quota_whole $pod
done

# ---- gone at once ----
hammer_up
in_pod evil "$HAMMER" client reset $V4 80 3000 4 >"$ENV_TMP/evil"
in_pod other "$HAMMER" client nb-reset $V4 80 3000 4 >>"$ENV_TMP/evil"
agent_down
note "resets: $(tail -n 1 "$ENV_TMP/agent")"
# One may be reset before the agent's side of the handshake ends: its stamp went with it.
same 'connections reset right after connect: none unidentified that lives' "0 0 0" \
  "$(($(field "$ENV_TMP/agent" unstamped) - $(field "$ENV_TMP/agent" gone))) $(
    for f in unnamed wrong; do field "$ENV_TMP/agent" $f; done | xargs)"
check 'and few went so (1 in 100)' test "$(field "$ENV_TMP/agent" gone)" -le 60

# ---- quota: the agent does not accept on IPv4, and does on IPv6 ----
background "$ENV_TMP/mute" ready in_agent "$HAMMER" mute "$NODE_V4" "$AGENT_PORT" 0
agent_up "$ENV_BUILD/tests/who" "$NODE_V6" "$AGENT_PORT"
before=$(stat_of quota)
background "$ENV_TMP/evil" ready in_pod evil "$HAMMER" pend $V4 80 3000
note "flood: $(head -n 1 "$ENV_TMP/evil")"
limit=$(podcred status --json | jq .maxPendingPerPod)
check 'a flood of pending connections ends at the quota' \
  test "$(field "$ENV_TMP/evil" pending)" -le $((limit + 10))
same 'with EAGAIN' EAGAIN "$(field "$ENV_TMP/evil" errno)"
same 'and the reason quota' "$(field "$ENV_TMP/evil" refused)" $(($(stat_of quota) - before))
same 'the pod at its quota cannot connect elsewhere either' errno=EAGAIN \
  "$(in_pod evil "$ENV_BUILD/tests/client" plain $V6 80 | short)"
same 'another pod connects' "peer=[$V6]:80 pod=other dialled=[$V6]:80" \
  "$(in_pod other "$ENV_BUILD/tests/client" plain $V6 80 | short)"
background "$ENV_TMP/other" ready in_pod other "$HAMMER" pend $V4 80 3
same 'another pod may pend too' 'pending=3 refused=0 errno=-' "$(head -n 1 "$ENV_TMP/other")"
echo 1 >"${POD_CGROUP[other]}/cgroup.kill"
echo 1 >"${POD_CGROUP[evil]}/cgroup.kill"
check 'its flows end with it' wait_for 10 no_flows
same 'and it may connect again' "peer=[$V6]:80 pod=evil dialled=[$V6]:80" \
  "$(in_pod evil "$ENV_BUILD/tests/client" plain $V6 80 | short)"

# A deferred Fast Open passes connect(2) long before its SYN: many connects, then all sends.
cat >"$ENV_TMP/deferred.py" <<'PY'
import socket, sys, time
TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE = 30, 34
sockets, refused = [], 0
for _ in range(600):
    s = socket.socket()
    s.setblocking(False)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    s.connect((sys.argv[1], 80))
    sockets.append(s)
for s in sockets:
    try:
        s.send(b"x")
    except BlockingIOError:
        pass
    except OSError:
        refused += 1
print("ready", len(sockets), refused, flush=True)
time.sleep(60)
PY
before=$(stat_of quota)
in_pod evil python3 "$ENV_TMP/deferred.py" $V4 >"$ENV_TMP/deferred" 2>&1 &
check '600 deferred connects' wait_for 10 grep -q 'ready 600' "$ENV_TMP/deferred" || cat "$ENV_TMP/deferred"
evil_id=$(stat -c %i "${POD_CGROUP[evil]}")
note "deferred: $(pending_of "$evil_id") pending, $(($(stat_of quota) - before)) refused"
check 'are held at the quota when their SYNs go out' test "$(pending_of "$evil_id")" -le $((limit + 10))
check 'and counted' test $(($(stat_of quota) - before)) -gt 0
same 'and the send says so' "$(($(stat_of quota) - before))" \
  "$(sed -n 's/ready 600 //p' "$ENV_TMP/deferred")"
echo 1 >"${POD_CGROUP[evil]}/cgroup.kill"
tap_done
