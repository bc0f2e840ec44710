#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One node of the benchmark: a network namespace that plays the host's, PODS pods, a server, and a
# machine behind the node's uplink. usage: node.sh VARIANT, and then commands on standard input, each
# answered by a line: "ok", or what went wrong and the end.
#
#   client MODE IN FROM   of one pod: waits for turns, with these pipes, until they close
#   first FILE         one connection of each pod, ns each
#   many MS FILE       short connections of all pods at once
#   bulk MS FILE       bytes to the machine behind the node: bytes, ns
#   cpus LIST          servers and clients run there from now on
#   conntrack N FILE   entries that N connections leave in the node
#   rules N            so many unrelated rules or targets
#   pods N             so many pods known to the node
#   programs FILE...   of podcred, what each program costs (see phases)
#   maps FILE          of podcred, memory of the maps
#   slab N FILE        unreclaimable kernel memory per connection, with N of them open
#   lookup N FILE      of podcred, ways to learn who calls
#   sockopt N FILE     what getsockopt(2) costs in the agent's cgroup and outside it
#
# A FILE gets a line more; FILE.cpu the microseconds of CPU time that all processes of the node used
# meanwhile.
set -u
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/bench/variants.sh
. "$(dirname "$0")/variants.sh"

VARIANT=$1
PODS=10
CPUS=0-$(($(nproc) - 1))
TOOLS=$ENV_BUILD/bench
OUTSIDE_V4=10.98.0.2
SINK_PORT=5001
OPTION_PORT=7779

in_outside() { in_cgroup "$ENV_CGROUP/host" "$ENV_ID-out" "$@"; }

# A machine behind the node, for what is none of podcred's business.
outside_up() {
  ip netns add "$ENV_ID-out"
  # addresses of their own: podcred_uplink takes longer where one begins like an IP header (4 or 6)
  in_node ip link add uplink address 02:00:00:00:98:01 type veth \
    peer name eth0 address 02:00:00:00:98:02 netns "$ENV_ID-out"
  in_node ip addr add 10.98.0.1/24 dev uplink
  in_node ip link set uplink up
  in_node sysctl -qw net.ipv4.ip_forward=1
  in_node ip route add default via "$OUTSIDE_V4" # of guarded addresses, too, so podcred watches it
  in_netns "$ENV_ID-out" ip link set eth0 up
  in_netns "$ENV_ID-out" ip addr add "$OUTSIDE_V4/24" dev eth0
  in_netns "$ENV_ID-out" ip route add default via 10.98.0.1
}

listening() { in_netns "$1" ss -Htln "sport = :$2" | grep -q .; }
not_listening() { ! listening "$@"; }

server_up() {
  in_agent taskset -c "$CPUS" "$TOOLS/server" "$NODE_V4" "$AGENT_PORT" "${SERVER[@]}" &
  wait_for 5 listening "$NODE_NETNS" "$AGENT_PORT" || env_fail 'no server'
}
server_down() {
  cgroup_signal "$AGENT_CGROUP" TERM
  wait_for 5 not_listening "$NODE_NETNS" "$AGENT_PORT" || env_fail 'the server stays'
}

node_up() {
  local i
  env_up
  for ((i = 1; i <= PODS; i++)); do pod_add "p$i" burstable; done
  outside_up
  "${VARIANT}_up" >/dev/null || env_fail "cannot set up $VARIANT"
  server_up
  in_outside taskset -c "$CPUS" "$TOOLS/server" "$OUTSIDE_V4" $SINK_PORT sink &
  wait_for 5 listening "$ENV_ID-out" $SINK_PORT || env_fail 'no sink'
}

client() { in_pod "$1" taskset -c "$CPUS" "$TOOLS/client" "${@:2}"; }

# Where a mode goes: to the agent, or to the machine behind the node.
turns() {
  local to=("$DIAL" "$DIAL_PORT")
  case $1 in connect | udp | associate) to=("$OUTSIDE_V4" "$SINK_PORT") ;; esac
  client p1 "${to[@]}" "$1" turns <"$2" >"$3" || env_fail "$VARIANT: $1"
}

cpu_us() { awk '$1 == "usage_usec" { print $2 }' "$ENV_CGROUP/cpu.stat"; }

# measured FILE COMMAND...
measured() {
  local before
  before=$(cpu_us)
  "${@:2}" >"$ENV_TMP/measured" || env_fail "$VARIANT: ${*:2}"
  echo $(($(cpu_us) - before)) >>"$1.cpu"
  tr '\n' ' ' <"$ENV_TMP/measured" >>"$1"
  echo >>"$1"
}

cpus() {
  local pid pids
  CPUS=$1
  mapfile -t pids < <(cat "$AGENT_CGROUP/cgroup.procs" "$ENV_CGROUP/host/cgroup.procs")
  for pid in "${pids[@]}"; do
    taskset -pc "$CPUS" "$pid" >/dev/null || env_fail "$VARIANT: no CPUs $CPUS"
  done
}

# All at once; waits for these alone, the servers are jobs too.
each_pod() {
  local i pids=() status=0
  for ((i = 1; i <= PODS; i++)); do
    client "p$i" "$DIAL" "$DIAL_PORT" for "$1" &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || status=1; done
  return $status
}

first_of_each() {
  local i
  for ((i = 1; i <= PODS; i++)); do client "p$i" "$DIAL" "$DIAL_PORT" visit 1 || return; done
}

# Without those of earlier connections, which end meanwhile.
conntrack_entries() {
  in_node conntrack -F 2>/dev/null || env_fail "$VARIANT: conntrack -F"
  client p1 "$DIAL" "$DIAL_PORT" visit "$1" >/dev/null || env_fail "$VARIANT: conntrack"
  in_node cat /proc/sys/net/netfilter/nf_conntrack_count >>"$2"
}

slab_kb() { awk '$1 == "SUnreclaim:" { print $2 }' /proc/meminfo; }
slab() {
  local before
  sleep 0.5 # what was freed before this is given back by then
  before=$(slab_kb)
  mkfifo "$ENV_TMP/hold"
  client p1 "$DIAL" "$DIAL_PORT" hold "$1" <"$ENV_TMP/hold" >"$ENV_TMP/held" &
  exec 9>"$ENV_TMP/hold"
  wait_for 10 grep -q ready "$ENV_TMP/held" || env_fail "$VARIANT: $1 connections"
  echo $((($(slab_kb) - before) * 1024 / $1)) >>"$2"
  exec 9>&-
  wait $!
  rm "$ENV_TMP/hold"
}

# More pods than run: what the node knows of them, not their interfaces.
pods() {
  if is_podcred; then
    extra_pods "$1"
    env_podlist "$ENV_TMP/pods.json"
    wait_for 30 names_known "$1" || env_fail "the resolver does not know $1 pods"
  else
    SERVER=(index "$1")
  fi
  server_down
  server_up
}
names_known() { [ "$(podcred pods --json | grep -c '"name"')" -eq "$1" ]; }

extra_pods() {
  local i uid dirs=()
  for ((i = PODS + 1; i <= $1 || i <= POD_COUNT; i++)); do
    printf -v uid '00000000-0000-4000-8000-%012d' "$i"
    if [ "$i" -gt "$POD_COUNT" ]; then
      POD_UID[q$i]=$uid POD_HOST[q$i]=false
      dirs+=("$KUBEPODS/burstable/pod$uid")
    elif [ "$i" -gt "$1" ]; then
      unset "POD_UID[q$i]" "POD_HOST[q$i]"
      dirs+=("$KUBEPODS/burstable/pod$uid")
    fi
  done
  [ ${#dirs[@]} -eq 0 ] || if [ "$1" -gt "$POD_COUNT" ]; then mkdir "${dirs[@]}"; else rmdir "${dirs[@]}"; fi
  POD_COUNT=$1
}

# ---- podcred alone ----

# Between two lines of the program that holds the statistics open: what each program cost.
phase() {
  local name=$1 when
  for when in before after; do
    [ $when = before ] || "${@:2}" >/dev/null || env_fail "phase $name"
    "$TOOLS/kernel" progs "$PIN_DIR/progs" >"$PROGRAMS-$name-$when"
    echo >&8
    head -n 2 <&7 >>"$PROGRAMS-$name-$when"
  done
}

programs() {
  PROGRAMS=$1
  mkfifo "$ENV_TMP/ask" "$ENV_TMP/tell"
  stdbuf -i0 -oL "$TOOLS/kernel" hold "$KUBEPODS" <"$ENV_TMP/ask" >"$ENV_TMP/tell" &
  exec 8>"$ENV_TMP/ask" 7<"$ENV_TMP/tell"
  read -r <&7 || env_fail 'no run-time statistics on this kernel'
  phase redirected client p1 "$DIAL" "$DIAL_PORT" peername 4000
  phase connect client p1 "$OUTSIDE_V4" $SINK_PORT connect 4000
  phase datagram client p1 "$OUTSIDE_V4" $SINK_PORT udp 20000
  phase bulk client p1 "$OUTSIDE_V4" $SINK_PORT bulk 500
  exec 8>&- 7<&-
  wait $!
  rm "$ENV_TMP/ask" "$ENV_TMP/tell"
}

lookup() {
  pods "$1"
  server_down
  in_agent "$TOOLS/lookup" "$NODE_V4" "$AGENT_PORT" "$1" "$PIN_DIR" "$KUBEPODS" >"$2" &
  local lookup=$!
  wait_for 5 listening "$NODE_NETNS" "$AGENT_PORT" || env_fail 'no lookup'
  client p1 "$DIAL" "$DIAL_PORT" hold 1 </dev/null >/dev/null || env_fail 'client of lookup'
  wait $lookup || env_fail 'lookup'
  server_up
}

# options WHERE PORT FILE CLIENT...
options() {
  "$1" "$TOOLS/server" "$NODE_V4" "$2" sockopt "$CALLS" >"$3" &
  local server=$!
  wait_for 5 listening "$NODE_NETNS" "$2" || env_fail 'no server for getsockopt'
  "${@:4}" </dev/null >/dev/null || env_fail 'client of getsockopt'
  wait $server
}

sockopt() {
  CALLS=$1
  server_down
  options in_agent "$AGENT_PORT" "$2-agent" client p1 "$DIAL" "$DIAL_PORT" hold 1
  options in_host $OPTION_PORT "$2-outside" in_host "$TOOLS/client" "$NODE_V4" $OPTION_PORT hold 1
  server_up
}

node_up
echo ok
while read -r -a words; do
  set -- "${words[@]:1}"
  case ${words[0]} in
  client) turns "$@" ;;
  bulk) measured "$2" client p1 "$OUTSIDE_V4" $SINK_PORT bulk "$1" ;;
  many) measured "$2" each_pod "$1" ;;
  first) measured "$1" first_of_each ;;
  rules) "${VARIANT}_rules" "$1" >/dev/null || env_fail "$VARIANT: rules $1" ;;
  maps) "$TOOLS/kernel" maps "$PIN_DIR/maps" >"$1" || env_fail "$VARIANT: maps" ;;
  conntrack) conntrack_entries "$@" ;;
  cpus | slab | pods | programs | lookup | sockopt) "${words[@]}" ;;
  *) env_fail "no command ${words[0]}" ;;
  esac
  echo ok
done
