#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The path past a bridge that filters VLANs: it leads to the device that has the VLAN of the pod's port.
# Many kernels have no VLANs: tests/kernels runs this there, so it uses none but podcred's own tools.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/path.sh
. "$(dirname "$0")/../lib/path.sh"

gateway() { # DEV N: it is the gateway of 10.N.0.0/16 and fdN::/64
  in_node ip addr add "10.$2.0.1/16" dev "$1"
  in_node ip -6 addr add "fd$2::1/64" dev "$1" nodad
  in_node ip link set "$1" up
}
# move POD N VLAN: to that network and that VLAN
move() {
  local ns=${POD_NETNS[$1]} n=${POD_NETNS[$1]##*-p}
  in_netns "$ns" ip addr flush dev eth0
  in_netns "$ns" ip addr add "10.$2.1.$n/16" dev eth0
  in_netns "$ns" ip -6 addr add "fd$2::1:$n/64" dev eth0 nodad
  in_netns "$ns" ip route replace default via "10.$2.0.1"
  in_netns "$ns" ip -6 route replace default via "fd$2::1"
  port_vlan "$(link_of "$1")" 1 "$3"
}
port_vlan() { # DEV OLD NEW
  in_node bridge vlan del dev "$1" vid "$2"
  in_node bridge vlan add dev "$1" vid "$3" pvid untagged
}
carried() { # WHAT POD
  local before to
  before=$(stat_of carried)
  for to in $V4 $V6; do
    check "$1, $to" grep -q "pod=$2 " <(in_pod "$2" "$ENV_BUILD/tests/client" plain "$to" 80)
  done
  same "$1: carried" 2 $(($(stat_of carried) - before))
}

env_up systemd
if ! in_node ip link set br0 type bridge vlan_filtering 1 2>/dev/null; then
  skip 'VLANs' 'the bridge of this kernel does not filter them'
  tap_done
  exit
fi
pod_add plain burstable
pod_add tagged burstable
pod_add cabled burstable
env_load >/dev/null || env_fail 'load failed'
env_resolve
background "$ENV_TMP/agent" ready in_agent "$ENV_BUILD/tests/who" "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
carried 'the VLAN of the bridge itself' plain

if in_node ip link add link br0 name br0.10 type vlan id 10 2>/dev/null; then
  in_node bridge vlan add dev br0 vid 10 self
  gateway br0.10 10
  move tagged 10 10
  check 'a VLAN device on the bridge: the path leads to it' wait_for 10 path_is "$(link_of tagged)" br0.10
  carried 'a VLAN device on the bridge' tagged
else
  skip 'a VLAN device on the bridge' 'this kernel has none'
fi

# As the bridge plugin makes the gateway of a VLAN.
in_node ip link add vgate type veth peer name vport
in_node ip link set vport master br0 up
port_vlan vport 1 20
gateway vgate 20
move cabled 20 20
check 'a cable into the bridge: the path leads to its other end' wait_for 10 path_is "$(link_of cabled)" vgate
carried 'a cable into the bridge' cabled
carried 'and the bridge itself' plain

port_vlan "$(link_of cabled)" 20 1
check "a port's VLAN is all that changes: the path follows" wait_for 10 path_is "$(link_of cabled)" br0
tap_done
