#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What podcred explain says, against what then happens: the reason that is counted, the errno that
# the pod gets, and who answers. The real address is a host behind the node's uplink.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

IMDS=169.254.169.254
IMDS6=fd00:ec2::254
CLIENT=$ENV_BUILD/tests/client
WHO=$ENV_BUILD/tests/who
REAL=$ENV_ID-real

counters() { podcred status --json | jq -c .counters; }

# The reasons that were counted since $1, without those that follow from them or may be anybody's:
# the resolver's question after the agent's health is an unstamped_node at any moment.
counted_since() {
  jq -rn --argjson before "$1" --argjson after "$(counters)" \
    '[$after | to_entries[] | select(.value > $before[.key]) | .key]
    - ["claimed", "carried", "unstamped", "unstamped_node", "audited", "event_lost", "cgroup_event_lost"]
    | join(" ")'
}

raw_packet() {
  python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(sys.argv[2]))
try:
    s.sendto(b"podcred", (sys.argv[1], 0))
    print("sent")
except OSError as e:
    print("errno=" + __import__("errno").errorcode[e.errno])' "$@"
}

# try POD PROTOCOL ADDRESS PORT ; "agent", "real", "sent" or "errno=..."
try() {
  local output
  case $2 in
  tcp) output=$(in_pod "$1" timeout 20 "$CLIENT" plain "$3" "$4" 2>&1) ;;
  udp) output=$(in_pod "$1" timeout 20 "$CLIENT" udp-sendto "$3" "$4" 2>&1) ;;
  *) output=$(in_pod "$1" bash -c "$(declare -f raw_packet); raw_packet $3 $2") ;;
  esac
  case $output in
  *error=ENOPROTOOPT*) echo real ;;
  *" pod="* | *direct=1*) echo agent ;;
  *) echo "$output" ;;
  esac
}

# what explain says, in the words of try
promised() {
  jq -r --arg protocol "$2" '.destinations[0] |
    if .outcome == "redirected" or .outcome == "direct" then "agent"
    elif .outcome == "refused" then "errno=" + .errno
    elif .outcome == "dropped" then "sent"
    elif $protocol == "tcp" then "real" else "sent" end' <<<"$1"
}

# The packets that end a connection come after its note is gone, so some are dropped and counted.
# The other end would send its own again and again, into the cases that follow.
end_of_connection() {
  in_netns "$REAL" ss -Kt state connected >/dev/null
  tr ' ' '\n' | grep -vx -e packet_forwarded -e packet_socket | xargs
}

# agree POD PROTOCOL ADDRESS PORT OUTCOME REASON ; REASON "" where none is counted
agree() {
  local to=$3 what said before counted
  [ "$4" = 0 ] || to=$(case $3 in *:*) echo "[$3]:$4" ;; *) echo "$3:$4" ;; esac)
  what="$1 to $to/$2"
  said=$(podcred explain --pod "shop/$1" --to "$to" --protocol "$2" --json)
  same "$what: explained as $5 $6" "$5 $6" \
    "$(jq -r '.destinations[0] | "\(.outcome) \(.reason // "")"' <<<"$said")"
  before=$(counters)
  same "$what: so it happens" "$(promised "$said" "$2")" "$(try "$1" "$2" "$3" "$4")"
  counted=$(counted_since "$before")
  [ "$2-$5" != tcp-passed ] || counted=$(end_of_connection <<<"$counted")
  same "$what: and is counted" "$6" "$counted"
}

uplink_up() {
  ip netns add "$REAL"
  in_node ip link add up0 type veth peer name eth0 netns "$REAL"
  in_node ip addr add 10.98.0.1/24 dev up0
  in_node ip -6 addr add fd98::1/64 dev up0 nodad
  in_node ip link set up0 up
  in_netns "$REAL" ip link set lo up
  in_netns "$REAL" ip addr add 10.98.0.2/24 dev eth0
  in_netns "$REAL" ip addr add $IMDS/32 dev lo
  in_netns "$REAL" ip addr add 192.0.2.7/32 dev lo
  in_netns "$REAL" ip link set eth0 up
  in_netns "$REAL" ip route add 10.99.0.0/16 via 10.98.0.1
  in_node ip route add $IMDS/32 via 10.98.0.2
  in_node ip route add 192.0.2.0/24 via 10.98.0.2
  in_node bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
  in_cgroup "$ENV_CGROUP/host" "$REAL" "$WHO" 0.0.0.0 80 0.0.0.0 81 0.0.0.0 82 >"$ENV_TMP/real.log" 2>&1 &
}

real_answers() { in_host timeout 5 "$CLIENT" plain $IMDS "$1" | grep -q ENOPROTOOPT; }

env_up systemd
for name in plain exempt denied audited; do pod_add $name burstable; done
pod_add hostly guaranteed host
pod_add hostexempt besteffort host
pod_add hostaudited besteffort host
cat >"$ENV_TMP/config.yaml" <<'YAML'
policy:
  - {namespace: shop, serviceAccount: exempt, action: exempt}
  - {namespace: shop, serviceAccount: hostexempt, action: exempt}
  - {namespace: shop, serviceAccount: denied, action: deny}
  - {namespace: shop, serviceAccount: audited, action: audit}
  - {namespace: shop, serviceAccount: hostaudited, action: audit}
destinations:
  - address: 169.254.169.254
    action: deny
    ports:
      - {port: 80, protocol: tcp, action: redirect}
      - {port: 81, protocol: tcp, action: audit}
  - address: fd00:ec2::254
    action: deny
    ports:
      - {port: 80, protocol: tcp, action: redirect}
YAML
check_not 'explain without a load fails' podcred explain --pod shop/plain
env_load --config "$ENV_TMP/config.yaml" >/dev/null || env_fail 'load failed'
env_resolve --config "$ENV_TMP/config.yaml"
uplink_up
in_agent "$WHO" $NODE_V4 $AGENT_PORT $NODE_V6 $AGENT_PORT >"$ENV_TMP/agent.log" 2>&1 &
check 'the real address answers a host process' wait_for 10 real_answers 80
check 'on the other port too' wait_for 10 real_answers 81

agree plain tcp $IMDS 80 redirected redirected
agree plain tcp $IMDS6 80 redirected redirected
agree plain tcp $IMDS 22 refused denied_destination
agree plain tcp $IMDS6 22 refused denied_destination
agree plain tcp $IMDS 81 passed passed_audit
agree plain tcp 192.0.2.7 80 notGuarded ''
agree plain tcp $NODE_V4 $AGENT_PORT direct direct
agree plain udp $IMDS 80 refused denied_destination
agree plain udp 192.0.2.7 80 notGuarded ''
agree plain 253 $IMDS 0 refused packet_socket
agree hostly tcp $IMDS 80 redirected redirected
agree hostly udp $IMDS 53 refused denied_destination
agree hostly 253 $IMDS 0 refused packet_socket
agree denied tcp $IMDS 80 refused denied_policy
agree denied tcp $NODE_V4 $AGENT_PORT refused denied_policy
agree denied tcp $IMDS 81 passed passed_audit
agree denied udp $IMDS 80 refused denied_destination
agree exempt tcp $IMDS 80 passed passed_exempt
agree exempt tcp $NODE_V4 $AGENT_PORT direct direct
agree hostexempt tcp $IMDS 80 passed passed_exempt
agree hostexempt udp $IMDS 80 passed passed_exempt
agree hostexempt 253 $IMDS 0 passed ''
agree audited tcp $IMDS 80 redirected redirected
agree audited tcp $IMDS 82 passed denied_destination
agree audited tcp $NODE_V4 $AGENT_PORT direct direct
agree hostaudited tcp $IMDS 82 passed denied_destination
agree hostaudited 253 $IMDS 0 passed packet_socket

# Audit lets it pass at one hook after the other: each counts.
before=$(counters)
same 'audited, hostNetwork, UDP: explained as passed' 'passed denied_destination true' \
  "$(podcred explain --pod shop/hostaudited --to $IMDS:53 --protocol udp --json |
    jq -r '.destinations[0] | "\(.outcome) \(.reason) \(.audited)"')"
same 'audited, hostNetwork, UDP: so it happens' sent "$(try hostaudited udp $IMDS 53)"
same 'audited, hostNetwork, UDP: is counted at each hook' 'denied_destination packet_socket' "$(counted_since "$before")"

# The hooks let it go, the node's packet filter does not: two reasons, explain has the last word.
before=$(counters)
same 'exempt, UDP: explained as dropped' 'dropped packet_forwarded' \
  "$(podcred explain --pod shop/exempt --to $IMDS:80 --protocol udp --json |
    jq -r '.destinations[0] | "\(.outcome) \(.reason)"')"
same 'exempt, UDP: leaves the pod' sent "$(try exempt udp $IMDS 80)"
same 'exempt, UDP: dropped on the node' 'packet_forwarded passed_exempt' \
  "$(counted_since "$before" | tr ' ' '\n' | sort | xargs)"

# ---- quota: as if the agent had accepted nothing for a while ----
id=$(stat -c %i "${POD_CGROUP[plain]}")
bytes() { printf '%016x\n' "$1" | fold -w2 | tac | sed 's/^/0x/' | xargs; }
# shellcheck disable=SC2046 # one word each
set_pending() {
  bpftool map update pinned "$PIN_DIR/maps/podcred_quota" key $(bytes "$id") value $(bytes "$1")
}
set_pending 128
agree plain tcp $IMDS 80 refused quota
set_pending 0

# ---- who is meant ----
name_of() { podcred explain --pod "$1" --json | jq -r '.pod | "\(.namespace)/\(.name)"'; }
same 'a pod by its uid' shop/denied "$(name_of "${POD_UID[denied]}")"
same 'a pod by its cgroup id' shop/denied "$(name_of "$(stat -c %i "${POD_CGROUP[denied]}")")"
same 'a pod by the cgroup id of its container' shop/denied \
  "$(name_of "$(stat -c %i "${POD_CGROUP[denied]}/container")")"
same 'without --to: every redirected destination' "$IMDS $IMDS6" \
  "$(podcred explain --pod shop/plain --json | jq -r '[.destinations[].address] | join(" ")')"
podcred explain --pod shop/nobody >"$ENV_TMP/out" 2>"$ENV_TMP/err"
same 'an unknown pod: exit status 1, one line' '1 1 0' \
  "$? $(wc -l <"$ENV_TMP/err") $(wc -l <"$ENV_TMP/out")"
check 'that lists those that are known' grep -q 'no pod "shop/nobody"; known: .*shop/plain' \
  "$ENV_TMP/err"
check_not 'the cgroup of no pod' podcred explain --pod "$(stat -c %i "$ENV_CGROUP/host")"
same 'no --pod is wrong usage' 2 "$(podcred explain 2>/dev/null || echo $?)"
same '--protocol without --to is wrong usage' 2 \
  "$(podcred explain --pod shop/plain --protocol udp 2>/dev/null || echo $?)"
for to in nonsense 1.2.3 "$IMDS:99999"; do
  check_not "--to $to" podcred explain --pod shop/plain --to "$to"
done
check_not '--protocol 256' podcred explain --pod shop/plain --to $IMDS --protocol 256
check_not '--protocol nonsense' podcred explain --pod shop/plain --to $IMDS --protocol nonsense
check 'as text: the verdict comes first' grep -qx \
  "$IMDS:22/tcp: refused with EACCES: denied_destination" \
  <(podcred explain --pod shop/plain --to $IMDS:22)
check 'as text: hostNetwork is said' grep -q '^pod shop/hostly, .*, hostNetwork, ' \
  <(podcred explain --pod shop/hostly)

# ---- how it gets to the agent ----
path_of() { podcred explain --pod "shop/$1" --to "$2" --json | jq -r '.destinations[0].steps[] | select(.about == "path").text'; }
same 'no process, no network: not known' \
  'not known: no process of the pod is in a network that leads to the agent' "$(path_of plain $IMDS)"
in_pod plain sleep 1000 &
wait_for 10 grep -q . "${POD_CGROUP[plain]}/container/cgroup.procs"
for to in $IMDS "[$IMDS6]:80" "$NODE_V4:$AGENT_PORT"; do
  same "the interface of the pod is named, to $to" 'by interface v1 to the node and back, past the bridge br0' \
    "$(path_of plain "$to")"
done
same 'in JSON too' 'v1 carried br0 br0' \
  "$(podcred explain --pod shop/plain --json | jq -r '.path | "\(.interface) \(.path) \(.bridge) \(.gateway)"')"
same 'what does not go there has none' '' "$(path_of plain 192.0.2.7)"
same 'a hostNetwork pod has none' "on the node's own network: no bridge" "$(path_of hostly $IMDS)"
in_node ip link set v1 nomaster
in_node ip addr add 10.97.0.1/32 dev v1
by_itself() { [ "$(path_of plain $IMDS)" = 'by interface v1 to the node: nobody is in between' ]; }
check 'an interface without a bridge' wait_for 10 by_itself
in_node ip link add br1 type bridge
in_node ip addr del 10.97.0.1/32 dev v1
in_node ip link set v1 master br1
crosses() { [ "$(path_of plain $IMDS)" = 'by interface v1 across br1: a neighbour there with CAP_NET_RAW can read and take over its connections' ]; }
check 'one on a bridge that does not lead to the node' wait_for 10 crosses
same 'and in JSON' 'v1 bridged br1 null' \
  "$(podcred explain --pod shop/plain --json | jq -r '.path | "\(.interface) \(.path) \(.bridge) \(.gateway)"')"
in_node ip link set v1 master br0
in_node ip link del br1
same 'who may not enter its network is told so' \
  "not to be seen here (root, hostPID: true, the node's network)" \
  "$(in_node setpriv --bounding-set=-sys_admin,-sys_ptrace --inh-caps=-sys_admin,-sys_ptrace "$PODCRED" explain \
    --pin-dir "$PIN_DIR" --pod shop/plain --to $IMDS --json | jq -r '.destinations[0].steps[] | select(.about == "path").text')"
cgroup_signal "${POD_CGROUP[plain]}/container" KILL

# ---- other modes ----
sed 's/^policy:/mode: audit\n&/' "$ENV_TMP/config.yaml" >"$ENV_TMP/audit.yaml"
env_load --config "$ENV_TMP/audit.yaml" >/dev/null || env_fail 'load with mode audit failed'
said=$(podcred explain --pod shop/plain --to $IMDS:80 --protocol udp --json)
same 'mode audit: what would be refused passes' 'passed denied_destination true' \
  "$(jq -r '.destinations[0] | "\(.outcome) \(.reason) \(.audited)"' <<<"$said")"
same 'mode audit: so it happens' sent "$(try plain udp $IMDS 80)"
agree plain tcp $IMDS 80 redirected redirected

sed 's/^policy:/failureMode: open\n&/' "$ENV_TMP/config.yaml" >"$ENV_TMP/open.yaml"
env_load --config "$ENV_TMP/open.yaml" >/dev/null || env_fail 'load with failureMode open failed'
bpftool map update pinned "$PIN_DIR/maps/podcred_runtime" key 3 0 0 0 value 1 0 0 0 0 0 0 0 # no lease
agree plain tcp $IMDS 80 passed passed_open
agree plain tcp $IMDS 22 refused denied_destination

# ---- a program that the kernel does not run ----
env_load --config "$ENV_TMP/config.yaml" >/dev/null || env_fail 'load failed'
kill "$RESOLVE_PID" # it would attach again what it misses
wait "$RESOLVE_PID" 2>/dev/null
link_cut podcred_conn4
same 'connect4 gone: explained as stopped by the packet filter' 'dropped packet_socket' \
  "$(podcred explain --pod shop/plain --to $IMDS:80 --json |
    jq -r '.destinations[0] | "\(.outcome) \(.reason)"')"
before=$(counters)
check_not 'connect4 gone: the pod does not get there' in_pod plain timeout 3 "$CLIENT" plain $IMDS 80
same 'connect4 gone: and is counted' packet_socket "$(counted_since "$before")"
tap_done
