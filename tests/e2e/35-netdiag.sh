#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# user/net: connections that were there before the guard are ended, those of pods and no others;
# listeners, namespaces and interfaces are seen.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

NETDIAG=$ENV_BUILD/tests/netdiag
V4=169.254.169.254
V6=fd00:ec2::254
SILENT=169.254.170.2 # on the node's network, answers nothing
OTHER=10.99.0.1      # reachable and not guarded

field() { sed -n "s/.*\b$2=\([^ ]*\).*/\1/p;" <<<"$1" | head -n 1; }
id_of() { stat -c %i "$1"; }
netns_of() { stat -Lc %i "/run/netns/$1"; }

# hold LABEL RUNNER... WAY ADDRESS PORT: in the background; what it says is in $ENV_TMP/hold-LABEL
hold() {
  local label=$1
  background "$ENV_TMP/hold-$label" held "${@:2:$#-4}" "$NETDIAG" hold "${@: -3}"
}
end_of() { tail -n +2 "$ENV_TMP/hold-$1" | sort -u; }
ended() { [ -n "$(end_of "$1")" ]; }
reset() {
  in_host "$NETDIAG" reset "$KUBEPODS" "${1:--}" $V4 80 $V6 80 $SILENT 80
}

env_up systemd
pod_add a burstable
pod_add b guaranteed
pod_add exempt besteffort
pod_add node1 burstable host
in_node ip addr add $V4/32 dev lo
in_node ip -6 addr add $V6/128 dev lo nodad
# a neighbour that does not exist: SYNs to it get no answer, and no ICMP error either
in_node ip addr add 169.254.170.1/24 dev br0
in_node ip neigh add $SILENT lladdr 02:00:00:00:99:02 nud permanent dev br0
background "$ENV_TMP/listen" ready in_host "$NETDIAG" listen $V4 80 $V6 80 $OTHER 80 $V4 81
for pod in a b exempt; do in_netns "${POD_NETNS[$pod]}" ip -6 route add default via $NODE_V6; done

# ---- namespaces ----
same 'the namespaces of an empty kubepods: none' '' "$(in_host "$NETDIAG" netns "$KUBEPODS")"

# ---- reset ----
expect_dead=()
while read -r way address; do
  hold "a-$way-$address" in_pod a "$way" "$address" 80
  expect_dead+=("a-$way-$address")
done <<WAYS
tcp $V4
tcp $V6
tcp-mapped $V4
fin $V4
mptcp $V4
udp $V4
udp $V6
udp-mapped $V4
reuse $V4
reuse $V6
reuse-mapped $V4
WAYS
hold b in_pod b tcp $V4 80
hold b-syn in_pod b syn $SILENT 80
hold node1-tcp in_pod node1 tcp $V4 80
hold node1-udp in_pod node1 udp $V6 80
hold node1-syn in_pod node1 syn $SILENT 80
expect_dead+=(b b-syn node1-tcp node1-udp node1-syn)
# Linux lists UDP-Lite sockets, but cannot destroy them
hold a-lite in_pod a udplite $V4 80
hold a-lite6 in_pod a udplite $V6 80
hold a-lite-mapped in_pod a udplite-mapped $V4 80
LITE=3

hold a-other in_pod a tcp $OTHER 80
hold a-port in_pod a tcp $V4 81
hold exempt in_pod exempt tcp $V4 80
hold exempt-udp in_pod exempt udp-mapped $V4 80
hold host-tcp in_host tcp $V4 80
hold host-tcp6 in_host tcp $V6 80
hold host-udp in_host udp-mapped $V4 80
hold host-udplite in_host udplite $V4 80
hold host-syn in_host syn $SILENT 80
# a host process in the pod's network, as kubectl port-forward
hold host-in-a in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[a]}" tcp $V4 80
expect_alive=(a-lite a-lite6 a-lite-mapped a-other a-port exempt exempt-udp host-tcp host-tcp6 host-udp host-udplite host-syn host-in-a)

same 'the namespaces below kubepods, each once' \
  "$(for ns in "${POD_NETNS[a]}" "${POD_NETNS[b]}" "${POD_NETNS[exempt]}" "$NODE_NETNS"; do
    echo "$(netns_of "$ns") entered"
  done | sort)" "$(in_host "$NETDIAG" netns "$KUBEPODS" | sort)"

report=$(reset "$(pod_dir besteffort "${POD_UID[exempt]}")")
note "$report"
want=$((${#expect_dead[@]} + 3 * 2)) # "reuse" has three sockets
same 'all connections of pods are found' $((want + LITE)) "$(field "$report" found)"
same 'and destroyed' $want "$(field "$report" destroyed)"
same 'but for UDP-Lite' $LITE "$(field "$report" failed)"
same 'which is named' $LITE "$(grep -c '^protocol=136 .*:80 cgroup=.* EOPNOTSUPP' <<<"$report")"
same 'every namespace was looked at' '4 0' \
  "$(field "$report" namespaces) $(field "$report" unreachable)"
same 'sixteen examples' 16 "$(grep -c ^protocol= <<<"$report")"
for label in "${expect_dead[@]}"; do
  wait_for 10 ended "$label"
  same "$label: ended by the kernel" ECONNABORTED "$(end_of "$label")"
done
for label in "${expect_alive[@]}"; do
  same "$label: lives on" '' "$(end_of "$label")"
done

report=$(reset "$(pod_dir besteffort "${POD_UID[exempt]}")")
same 'a second time there is nothing else to do' "$LITE 0 $LITE" \
  "$(field "$report" found) $(field "$report" destroyed) $(field "$report" failed)"
report=$(reset)
same 'the exempt pod, not exempted' "$((LITE + 2)) 2 $LITE" \
  "$(field "$report" found) $(field "$report" destroyed) $(field "$report" failed)"
wait_for 10 ended exempt
same 'the exempt pod: ended now' ECONNABORTED "$(end_of exempt)"
same 'an example names the cgroup' "$(id_of "${POD_CGROUP[exempt]}/container")" \
  "$(field "$(grep destroyed$ <<<"$report")" cgroup)"
same 'an example names the namespace' "$(netns_of "${POD_NETNS[exempt]}")" \
  "$(field "$(grep destroyed$ <<<"$report")" netns)"

check_not 'a kubepods that is not there: refused' \
  in_host "$NETDIAG" reset "$KUBEPODS/none" - $V4 80

# Without CAP_SYS_ADMIN no namespace can be entered; without CAP_NET_ADMIN nothing be destroyed.
cgroup_signal "${POD_CGROUP[a]}/container" TERM # with the sockets that cannot be destroyed
hold again in_pod b tcp $V4 80
hold again-host in_pod node1 tcp $V4 80
report=$(in_host setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$NETDIAG" reset \
  "$KUBEPODS" - $V4 80)
note "$report"
same 'namespaces that cannot be entered are counted' '1 1' \
  "$(field "$report" namespaces) $(field "$report" unreachable)"
check 'and the report says why' grep -q 'net:\[[0-9]*\]: Operation not permitted' <<<"$report"
same 'the own namespace is done all the same' '1 1' \
  "$(field "$report" found) $(field "$report" destroyed)"
report=$(in_host setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$NETDIAG" reset \
  "$KUBEPODS" - $V4 80)
note "$report"
check 'what cannot be destroyed is counted and named' \
  grep -q "$V4:80 .* EPERM" <<<"$report"
same 'the connection lives' '' "$(end_of again)"
report=$(in_host unshare --pid --fork "$NETDIAG" reset "$KUBEPODS" - $V4 80)
# its /proc is the old one: pids of cgroup.procs read 0 there
check 'without the PID namespace of the node: an error that says so' \
  grep -q 'error: .*hostPID' <<<"$report"

# ---- who listens ----
listener() { in_node "$NETDIAG" listener "$@"; }
same 'a listener on just this address' "$V4:80 cgroup=$(id_of "$ENV_CGROUP/host")" "$(listener $V4 80)"
same 'IPv6' "[$V6]:80 cgroup=$(id_of "$ENV_CGROUP/host")" "$(listener $V6 80)"
same 'nobody on that port' ENOENT "$(listener $V4 82)"
same 'nobody on that address' ENOENT "$(listener 10.99.9.9 80)"
background "$ENV_TMP/listen6" ready in_agent "$NETDIAG" listen :: 90
background "$ENV_TMP/listen4" ready in_agent "$NETDIAG" listen 0.0.0.0 91
same 'a listener on all addresses takes IPv4' "[::]:90 cgroup=$(id_of "$AGENT_CGROUP")" "$(listener $V4 90)"
same 'and IPv6' "[::]:90 cgroup=$(id_of "$AGENT_CGROUP")" "$(listener $V6 90)"
same 'one on all IPv4 addresses takes IPv4' "0.0.0.0:91 cgroup=$(id_of "$AGENT_CGROUP")" \
  "$(listener $V4 91)"
same 'and no IPv6' ENOENT "$(listener $V6 91)"

# ---- interfaces ----
same "a pod's veth: the other end is elsewhere" 'is v1 kind=veth up=1 elsewhere=1 master=br0' \
  "$(in_node "$NETDIAG" links | grep ' v1 ')"
same 'a bridge' 'is br0 kind=bridge up=1 elsewhere=0 master=-' \
  "$(in_node "$NETDIAG" links | grep ' br0 ')"
same 'loopback has no kind' 'is lo kind= up=1 elsewhere=0 master=-' \
  "$(in_node "$NETDIAG" links | grep ' lo ')"
same 'the route to a pod' br0 "$(in_node "$NETDIAG" route "${POD_IP[a]}")"
same 'the route to an own address' lo "$(in_node "$NETDIAG" route $V6)"
same 'no route' ENETUNREACH "$(in_node "$NETDIAG" route 192.0.2.1)"
same 'no route, IPv6' ENETUNREACH "$(in_node "$NETDIAG" route 2001:db8::1)"
same 'no default route, no uplink' '' "$(in_node "$NETDIAG" uplinks)"
same "a pod's uplink, once for IPv4 and IPv6" eth0 \
  "$(in_netns "${POD_NETNS[a]}" "$NETDIAG" uplinks)"

events=$ENV_TMP/events
background "$events" watching in_host "$NETDIAG" watch
in_node ip link add t0 type veth peer name t1 netns "${POD_NETNS[b]}"
check 'a new veth is seen' wait_for 10 grep -q '^new t0 kind=veth .* elsewhere=1' "$events"
in_node ip link set t0 master br0 up
check 'its bridge is seen' wait_for 10 grep -q '^new t0 .*up=1 .*master=br0' "$events"
in_node ip link set t0 nomaster
check 'it leaves the bridge' wait_for 10 \
  sh -c "sed -n '/master=br0/,\$p' '$events' | grep -q '^new t0 .*master=-'"
check_not 'which is not taken for its end' grep -q '^gone t0' "$events"
in_netns "${POD_NETNS[b]}" ip link del t1 # as when a pod's namespace goes
check 'its end is seen' wait_for 10 grep -q '^gone t0 kind=veth' "$events"
in_node ip link add t2 type veth peer name t3
check 'both ends here: not elsewhere' wait_for 10 grep -q '^new t2 .* elsewhere=0' "$events"
in_node ip link set t2 netns "${POD_NETNS[b]}"
check 'moved away: gone' wait_for 10 grep -q '^gone t2' "$events"
check 'and the end that stays leads elsewhere' \
  sh -c "ip netns exec '$NODE_NETNS' '$NETDIAG' links | grep -q 't3 .* elsewhere=1'"

mkfifo "$ENV_TMP/go"
in_host "$NETDIAG" overflow <"$ENV_TMP/go" >"$ENV_TMP/lost" &
exec 9>"$ENV_TMP/go"
wait_for 10 grep -q watching "$ENV_TMP/lost"
for n in 1 2 3 4 5; do
  in_node ip link add "d$n" type bridge
  in_node ip link del "d$n"
done
exec 9>&-
check 'events that were lost are reported' wait_for 10 grep -q ENOBUFS "$ENV_TMP/lost"

tap_done
