#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods connect as fast as they can on a bridge on which a neighbour poisons all of them and the node, all the
# time, and hands on what he reads. Two of the pods lose their interfaces over and over, and get new ones with
# each other's addresses. Each connection asks the agent who it is.
#
#   COUNT=N soak.sh       connections of the pods that stay (default 200000); what the two make comes on top
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

HAMMER=$ENV_BUILD/tests/hammer
V4=169.254.170.23
V6=fd00:ec2::23
COUNT=${COUNT:-200000}
STEADY='pod1 pod2 pod3 pod4'
CHURNED='pod5 pod6'
EVIL_MAC=02:00:00:00:95:01

# The ports of a pod are soon all in TIME_WAIT.
pod_tuned() {
  in_netns "${POD_NETNS[$1]}" sysctl -qw net.ipv4.tcp_tw_reuse=1 \
    net.ipv4.ip_local_port_range='1024 65535'
}

# believes NETNS DEVICE ADDRESS: that it is the neighbour's
believes() { in_netns "$1" ip neigh show "$3" dev "$2" | grep -q "lladdr $EVIL_MAC"; }
all_believe() {
  local pod
  for pod in $STEADY; do
    believes "${POD_NETNS[$pod]}" eth0 "$NODE_V4" && believes "${POD_NETNS[$pod]}" eth0 "$NODE_V6" &&
      believes "$NODE_NETNS" br0 "${POD_IP[$pod]}" && believes "$NODE_NETNS" br0 "${POD_IP6[$pod]}" || return
  done
}
# Nobody is told of an address that he does not know.
entries() {
  local pod address
  for pod in $STEADY; do
    for address in "$NODE_V4" "$NODE_V6"; do
      in_netns "${POD_NETNS[$pod]}" ip neigh replace "$address" lladdr 02:00:00:00:99:01 dev eth0 nud stale
    done
    for address in "${POD_IP[$pod]}" "${POD_IP6[$pod]}"; do
      in_node ip neigh replace "$address" lladdr 02:00:00:00:00:01 dev br0 nud stale
    done
  done
}

# load POD COUNT: half of the pods over IPv6
load() {
  local host=$V4
  [ $((${1#pod} % 2)) = 1 ] || host=$V6
  HAMMER_TIMEOUT=5 in_pod "$1" "$HAMMER" client full $host 80 "$2" 4 "${POD_UID[$1]}" >>"$ENV_TMP/client-$1" 2>&1
}

# A new interface, with the other one's addresses.
interface_again() {
  local n=${1#pod} netns=${POD_NETNS[$1]}
  in_node ip link del "v$n"
  in_node ip link add "v$n" type veth peer name eth0 netns "$netns"
  in_node ip link set "v$n" master br0 up
  in_netns "$netns" ip link set eth0 up
  in_netns "$netns" ip addr add "$2/16" dev eth0
  in_netns "$netns" ip -6 addr add "$3/64" dev eth0 nodad
  in_netns "$netns" ip route add default via "$NODE_V4"
}
swap() {
  local a4=${POD_IP[pod5]} a6=${POD_IP6[pod5]}
  POD_IP[pod5]=${POD_IP[pod6]} POD_IP6[pod5]=${POD_IP6[pod6]} POD_IP[pod6]=$a4 POD_IP6[pod6]=$a6
  interface_again pod5 "${POD_IP[pod5]}" "${POD_IP6[pod5]}"
  interface_again pod6 "${POD_IP[pod6]}" "${POD_IP6[pod6]}"
}

answered() { awk -v RS='[ \n]' -F= '$1 == "connected" { n += $2 } $1 == "failed" { n -= $2 } END { print n + 0 }' "$ENV_TMP"/client-*; }
# field NAME FILE...: the sum
field() { awk -v RS='[ \n]' -F= -v name="$1" '$1 == name { n += $2 } END { print n + 0 }' "${@:2}"; }
of() { local what=$1 pod; for pod in $2; do field "$what" "$ENV_TMP/client-$pod"; done | awk '{ n += $1 } END { print n + 0 }'; }

# Until the pods that stay are done. The pause is for the two to be answered in between; nothing waits for it.
churn() {
  local rounds=0
  while kill -0 "$@" 2>/dev/null; do
    swap
    rounds=$((rounds + 1))
    sleep 0.5
  done
  echo "$rounds" >"$ENV_TMP/rounds"
}

env_up
for pod in $STEADY $CHURNED evil; do
  pod_add "$pod" burstable
  pod_tuned "$pod"
done
in_netns "${POD_NETNS[evil]}" ip link set eth0 address "$EVIL_MAC"
for pod in $STEADY $CHURNED; do printf '%s\n' "${POD_IP[$pod]}" "${POD_IP6[$pod]}"; done >"$ENV_TMP/crowd"
env_load >/dev/null || env_fail 'load failed'
env_resolve
background "$ENV_TMP/server" ready in_agent "$HAMMER" server - 8 "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
background "$ENV_TMP/evil" ready in_pod evil "$ENV_BUILD/tests/bypass" crowd "$ENV_TMP/crowd"
entries
check 'the pods that stay and the node believe the neighbour' wait_for 10 all_believe

started=$SECONDS
steady=() churned=()
for pod in $CHURNED; do
  load "$pod" 0 &
  churned+=($!)
done
for pod in $STEADY; do
  load "$pod" $((COUNT / 4)) &
  steady+=($!)
done
churn "${steady[@]}" &
churning=$!
wait "${steady[@]}"
wait $churning
for pod in $CHURNED; do cgroup_signal "${POD_CGROUP[$pod]}/container" TERM; done
wait "${churned[@]}"
check 'and they still do' wait_for 10 all_believe
cgroup_signal "${POD_CGROUP[evil]}/container" TERM
cgroup_signal "$AGENT_CGROUP" TERM

all="$STEADY $CHURNED"
note "$(of connected "$all") connections ($(of connected "$CHURNED") of pods that change) in $((SECONDS - started)) s," \
  "$(cat "$ENV_TMP/rounds") changes, $(of failed "$STEADY") and $(of failed "$CHURNED") failed"
note "server: $(tail -n 1 "$ENV_TMP/server"); neighbour: $(tail -n 1 "$ENV_TMP/evil")"
same 'every connection of the pods that stay was answered' "$((COUNT / 4 * 4)) 0" "$(of connected "$STEADY") $(of failed "$STEADY")"
same 'none as another pod, or as nobody' '0 0 0' "$(for f in wrong unstamped unnamed; do of $f "$all"; done | xargs)"
check 'pods that change were answered in between' test "$(of connected "$CHURNED")" -gt "$(cat "$ENV_TMP/rounds")"
# A SYN that leaves a new interface before the resolver has attached to it may come to him, as a frame. What
# he makes of it is no connection: the agent has not answered it (arrival.bpf.h).
same 'the neighbour has seen no byte' 'asked=0 answered=0' "$(tail -n 1 "$ENV_TMP/evil" | grep -o 'asked=.*')"
tap_done
