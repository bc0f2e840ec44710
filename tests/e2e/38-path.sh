#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Connections to the agent are carried past the bridge from the first segment to the last, however they
# are used, and however they end.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/path.sh
. "$(dirname "$0")/../lib/path.sh"

MB=1048576

# time_wait WHERE COUNT: so many sockets of the agent's port are in TIME_WAIT there, in a pod or the node
time_wait() { [ "$(in_netns "$1" ss -Htan state time-wait "( sport = :$AGENT_PORT or dport = :$AGENT_PORT or dport = :80 )" | wc -l)" -eq "$2" ]; }

env_up systemd
pod_add web burstable
pod_add db guaranteed
env_load >/dev/null || env_fail 'load failed'
env_resolve
agent_up
in_node sysctl -qw net.ipv4.tcp_fastopen=3
bridge_counts

# ---- what is carried ----
carried=$(stat_of carried)
for to in $V4 $V6; do
  same "$to: the agent knows who asks" web "$(once web "$to" who)"
done
same 'both connections are counted as carried' 2 $(($(stat_of carried) - carried))
same "the agent's own address, dialled by a pod" web \
  "$(in_pod web python3 "$PATH_PY" client "$NODE_V4" "$AGENT_PORT" <<<who | tail -n 1 | { read -r uid && pod_named "$uid"; })"
wait_for 10 settled
beside 'short connections'

for to in $V4 $V6; do
  hold kept web "$to"
  said "$to, kept: the first request" web kept who
  said "$to, kept: 64 MB to the agent" 'left 0' kept "take $((64 * MB))"
  said "$to, kept: 64 MB from the agent" "got $((64 * MB))" kept "give $((64 * MB))"
  said "$to, kept: one more request" web kept who
  said "$to: half-closed, the agent still answers" end kept half
  let_go kept
done
wait_for 10 settled
beside 'kept connections and large bodies'

# ---- how they end ----
for to in $V4 $V6; do
  hold end web "$to"
  said "$to: the agent's FIN is first" closed end bye
  let_go end
  hold end web "$to"
  said "$to: the client's FIN is first" 'done' end close
  let_go end
  hold end web "$to"
  said "$to: the agent resets" ECONNRESET end reset
  let_go end
  hold end web "$to"
  said "$to: the client resets" 'done' end abort
  let_go end
  hold end web "$to"
  said "$to: a client that is about to be killed" web end who
  kill -KILL "$(pid_of end)"
  let_go end
done
check "the agent's side ends each of them" wait_for 10 settled
check "the node has the TIME_WAIT of the agent's FIN" wait_for 10 time_wait "$NODE_NETNS" 2
check 'and the pod that of its own' test -n "$(in_netns "${POD_NETNS[web]}" ss -Htan state time-wait)"
beside 'every end'

# The last ACK again, by a kernel that has no socket for the connection any more: as if the first was lost.
for side in web node; do
  hold last web $V4
  said "$side is in TIME_WAIT" "$([ $side = node ] && echo closed || echo 'done')" last \
    "$([ $side = node ] && echo bye || echo close)"
  let_go last
done
wait_for 10 settled
beside 'TIME_WAIT'

for to in $V4 $V6; do
  hold killed web "$to"
  said "$to: an agent that is about to be killed" web killed who
  cgroup_signal "$AGENT_CGROUP" KILL
  said "$to: the client sees its end" closed killed line
  let_go killed
  same "$to, no agent: refused at once" ECONNREFUSED "$(once web "$to" who)"
  agent_up
done
wait_for 10 settled
beside 'an agent that is killed, or is not there'

# ---- data in the SYN ----
for to in $V4 $V6; do
  for round in first with-cookie; do
    same "$to, Fast Open, $round" web "$(once web "$to" line fast=who)"
  done
done
wait_for 10 settled
beside 'Fast Open'

# ---- what is not a connection of the pod that it says ----
# dropped WHAT FORGED-SPOOFED ARG...: that many are counted, of a frame that db sends
dropped() {
  local what=$1 want=$2 before
  before="$(stat_of packet_forged) $(stat_of packet_spoofed)"
  forge db eth0 "${@:3}"
  same "$what" "$want" "$(($(stat_of packet_forged) - ${before% *})) $(($(stat_of packet_spoofed) - ${before#* }))"
}
for family in 4 6; do
  node=NODE_V$family victim=${POD_IP[web]}
  [ $family = 4 ] || victim=${POD_IP6[web]}
  hold victim web "$([ $family = 4 ] && echo $V4 || echo $V6)"
  port=$(in_netns "${POD_NETNS[web]}" ss -Htn state established | awk '{ sub(/.*:/, "", $3); print $3 }' | head -1)
  dropped "IPv$family: a SYN in another pod's name is dropped" '1 0' "$victim" 4444 "${!node}" $AGENT_PORT 2 $NODE_MAC
  dropped "IPv$family: so is one with data" '1 0' "$victim" 4444 "${!node}" $AGENT_PORT 2 $NODE_MAC data
  dropped "IPv$family: data for its connection" '1 0' "$victim" "$port" "${!node}" $AGENT_PORT 24 $NODE_MAC data
  dropped "IPv$family: a reset for it" '1 0' "$victim" "$port" "${!node}" $AGENT_PORT 4 $NODE_MAC
  dropped "IPv$family: what says it comes from the agent" '0 1' "${!node}" $AGENT_PORT "$victim" "$port" 24 \
    "$(in_netns "${POD_NETNS[web]}" cat /sys/class/net/eth0/address 2>/dev/null || echo $NODE_MAC)" HTTP
  dropped "IPv$family: and to another port" '0 1' "${!node}" 53 "$victim" 53 2 $NODE_MAC
  said "IPv$family: the connection goes on" web victim who
  let_go victim
done
beside_again

# ---- options of the IP header ----
same 'IPv4 options: served' web "$(once web $V4 who options=01010101)"
same 'record route: served' web "$(once web $V4 who options=070704000000000000)"
same 'IPv6 destination options: served' web "$(once web $V6 who dstopts=0000010400000000)"
same 'IPv6 hop-by-hop options: served' web "$(once web $V6 who hopopts=0000010400000000)"
wait_for 10 settled
beside 'IP options'

# ---- what the interfaces do by themselves, and how much they take at once ----
bodies() {
  local to
  for to in $V4 $V6; do
    hold body web "$to"
    said "$1, $to: 8 MB to the agent" 'left 0' body "take $((8 * MB))"
    said "$1, $to: 8 MB from the agent" "got $((8 * MB))" body "give $((8 * MB))"
    let_go body
  done
  wait_for 10 settled
  beside "$1"
}
offload web eth0 tx=0
bodies "no checksum offload at the pod's end"
offload web eth0 tx=1 sg=1 tso=1 gso=1
offload node v1 tx=0
bodies "nor at the node's"
offload node v1 tx=1 sg=1 tso=1 gso=1
offload node br0 tx=0
bodies 'nor at the bridge'
offload node br0 tx=1 sg=1 tso=1 gso=1
offload web eth0 gro=1
offload node v1 gro=1
bodies 'GRO on both ends'
offload web eth0 gro=0 gso=0 tso=0
offload node v1 gro=0 gso=0 tso=0
bodies 'no GSO, TSO or GRO'
offload web eth0 gso=1 tso=1
offload node v1 gso=1 tso=1
mtu() {
  in_netns "${POD_NETNS[web]}" ip link set eth0 mtu "$1"
  in_node ip link set v1 mtu "$1"
  in_node ip link set br0 mtu "$2"
}
small=1280 # IPv6 has no less
mtu 9000 9000 && bodies 'MTU 9000'
mtu 9000 1500 && bodies 'MTU 9000 at the pod, 1500 at the bridge'
mtu $small 9000 && bodies "MTU $small at the pod, 9000 at the bridge"
mtu 1500 1500
# Below 1280 the kernel takes the IPv6 addresses away.
pod_add tiny burstable
in_netns "${POD_NETNS[tiny]}" ip link set eth0 mtu 576
in_node ip link set v3 mtu 576
env_podlist "$ENV_TMP/pods.json"
hold body tiny $V4
said 'MTU 576: 8 MB to the agent' 'left 0' body "take $((8 * MB))"
said 'MTU 576: 8 MB from the agent' "got $((8 * MB))" body "give $((8 * MB))"
let_go body
beside 'MTU 576'
tap_done
