#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What podcred costs. usage: tests/bench/bench.sh [--json]   (make bench builds what it needs)
#
# ROUNDS and CONNECTIONS (per round and way) may be set in the environment. Takes half a minute to a minute.
set -u
. "$(dirname "$0")/../lib/env.sh"

ROUNDS=${ROUNDS:-80}
CONNECTIONS=${CONNECTIONS:-300}
CALLS=${CALLS:-200000}
TOOLS=$ENV_BUILD/bench
HOST_PORT=7778
OTHER_V4=10.99.200.1 # not in the /24 of the agent, as most addresses are not
OPTION_PORT=7779

in_free() { in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[free]}" "$@"; }
in_dnat() { in_cgroup "$ENV_CGROUP/host" "$ENV_ID-dnatpod" "$@"; }

serve() {
  "$1" "$TOOLS/server" "${@:2}" &
  wait_for 5 listening "$1" "$3" || env_fail "no server on $2 port $3"
}
listening() { "$1" ss -Htln "sport = :$2" | grep -q .; }

# The node of the iptables way has a namespace of its own: one nat rule makes the kernel track every
# connection of the namespace, and the other ways must not pay for that.
dnat_up() {
  local node=$ENV_ID-dnat pod=$ENV_ID-dnatpod
  ip netns add "$node" && ip netns add "$pod"
  in_netns "$node" ip link set lo up
  in_netns "$node" ip link add br0 type bridge
  in_netns "$node" ip addr add "$NODE_V4/16" dev br0
  in_netns "$node" ip link set br0 up
  in_netns "$node" ip link add v1 type veth peer name eth0 netns "$pod"
  in_netns "$node" ip link set v1 master br0 up
  in_netns "$pod" ip link set lo up
  in_netns "$pod" ip link set eth0 up
  in_netns "$pod" ip addr add 10.99.1.2/16 dev eth0
  in_netns "$pod" ip route add default via "$NODE_V4"
  in_netns "$node" iptables -t nat -A PREROUTING -d 169.254.170.2 -p tcp --dport 80 \
    -j DNAT --to-destination "$NODE_V4:$HOST_PORT" || env_fail 'no iptables DNAT on this kernel'
}
in_dnat_node() { in_cgroup "$ENV_CGROUP/host" "$ENV_ID-dnat" "$@"; }

up() {
  env_up
  pod_add app burstable
  pod_add free guaranteed # lends its network namespace to a client outside kubepods
  dnat_up
  env_load >/dev/null || env_fail 'podcred load failed'
  env_resolve
  serve in_agent "$NODE_V4" "$AGENT_PORT" peer
  in_node ip addr add "$OTHER_V4/16" dev br0
  serve in_host "$NODE_V4" "$HOST_PORT"
  serve in_host "$OTHER_V4" "$HOST_PORT"
  serve in_dnat_node "$NODE_V4" "$HOST_PORT"
  wait_for 5 in_pod app "$TOOLS/client" 169.254.170.2 80 1 || env_fail 'podcred does not answer'
}

way() {
  case $1 in
  direct) in_free "$TOOLS/client" "$NODE_V4" "$HOST_PORT" "$2" ;;
  podcred) in_pod app "$TOOLS/client" 169.254.170.2 80 "$2" ;;
  dnat) in_dnat "$TOOLS/client" 169.254.170.2 80 "$2" ;;
  other) in_pod app "$TOOLS/client" "$OTHER_V4" "$HOST_PORT" "$2" ;;
  esac
}

# Interleaved, and each round starts with another way: what drifts hits all of them.
latency() {
  local ways=(direct podcred dnat other) round i way
  for ((round = 0; round < ROUNDS; round++)); do
    for ((i = 0; i < ${#ways[@]}; i++)); do
      way=${ways[(round + i) % ${#ways[@]}]}
      way "$way" "$CONNECTIONS" >"$ENV_TMP/latency-$way-$round" || env_fail "client: $way"
    done
  done
}

phase() {
  "$TOOLS/kernel" progs "$PIN_DIR/progs" >"$ENV_TMP/progs-$1-before"
  "${@:2}" >/dev/null || env_fail "client: $1"
  "$TOOLS/kernel" progs "$PIN_DIR/progs" >"$ENV_TMP/progs-$1-after"
}

programs() {
  "$TOOLS/kernel" hold >"$ENV_TMP/hold" &
  local holder=$!
  wait_for 5 grep -q on "$ENV_TMP/hold" || env_fail 'no run-time statistics on this kernel'
  phase matching in_pod app "$TOOLS/client" 169.254.170.2 80 4000 peername
  phase other in_pod app "$TOOLS/client" "$OTHER_V4" "$HOST_PORT" 4000 peername
  phase datagram in_pod app "$TOOLS/client" "$OTHER_V4" 9 20000 udp
  kill "$holder"
  wait "$holder" 2>/dev/null
}

# usage: sockopts WHERE PORT CLIENT...   one connection to a server there, which then asks
sockopts() {
  local where=$1 port=$2
  "$where" timeout 60 "$TOOLS/server" "$NODE_V4" "$port" sockopt "$CALLS" >"$ENV_TMP/sockopt-$where" &
  local server=$!
  wait_for 5 listening "$where" "$port" || env_fail 'no server for getsockopt'
  "${@:3}" || env_fail 'client of getsockopt'
  wait "$server"
}

agent_sockopts() {
  xargs kill <"$AGENT_CGROUP/cgroup.procs"
  wait_for 5 agent_gone || env_fail 'the first agent does not end'
  sockopts in_agent "$AGENT_PORT" in_pod app "$TOOLS/client" 169.254.170.2 80 0 hold
}
agent_gone() { ! listening in_node "$AGENT_PORT"; }

up
latency
programs
sockopts in_host "$OPTION_PORT" in_free "$TOOLS/client" "$NODE_V4" "$OPTION_PORT" 0 hold
agent_sockopts
"$TOOLS/kernel" maps "$PIN_DIR/maps" >"$ENV_TMP/maps"
python3 "$ENV_ROOT/tests/bench/report.py" "$@" "$ENV_TMP"
