#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What some rows need of the network: setup_NAME makes it, undo_NAME takes it away. A setup that
# this kernel cannot make returns 77 and says why. Sourced by run.sh.

in_nested() { in_netns "$ENV_ID-nested" "$@"; }

missing() {
  echo "no $1 in this kernel"
  return 77
}

# ---- rules ----
dnat() {
  local how=$1 in=$2 chain
  for chain in OUTPUT PREROUTING; do
    "$in" iptables -w -t nat "-$how" $chain -d "$SERVICE_V4" -j DNAT \
      --to-destination 169.254.169.254
    "$in" ip6tables -w -t nat "-$how" $chain -d "$SERVICE_V6" -j DNAT \
      --to-destination fd00:ec2::254
  done
}
setup_dnat_pod() { dnat A in_web; }
undo_dnat_pod() { dnat D in_web; }
setup_dnat_node() { dnat A in_node; }
undo_dnat_node() { dnat D in_node; }

snat() {
  in_web iptables -w -t nat "-$1" POSTROUTING -o eth0 -p tcp -j SNAT --to-source 10.99.200.1
}
setup_snat_pod() {
  in_web ip addr add 10.99.200.1/32 dev eth0
  snat A
}
undo_snat_pod() {
  snat D
  in_web ip addr del 10.99.200.1/32 dev eth0
}

rewrite() {
  in_web nft -f - <<NFT
table $1 rewrite {
  chain out {
    type filter hook $2 priority 0;
    ip daddr $SERVICE_V4 ip daddr set 169.254.169.254
  }
}
NFT
}
setup_mangle_pod() { rewrite ip postrouting; }
undo_mangle_pod() { in_web nft delete table ip rewrite; }
setup_egress_pod() { rewrite netdev 'egress device "eth0"' 2>/dev/null || missing 'netdev egress chain'; }
undo_egress_pod() { in_web nft delete table netdev rewrite; }

# ---- what an operator may have switched on ----
source_route() {
  in_node sysctl -qw "net.ipv4.conf.all.accept_source_route=$1" \
    "net.ipv4.conf.br0.accept_source_route=$1"
}
setup_source_route() { source_route 1; }
undo_source_route() { source_route 0; }

segment_routing() {
  in_node sysctl -qw "net.ipv6.conf.all.seg6_enabled=$1" "net.ipv6.conf.br0.seg6_enabled=$1" 2>/dev/null
}
setup_segment_routing() { segment_routing 1 || missing 'segment routing'; }
undo_segment_routing() { segment_routing 0; }

# ---- routes of the pod ----
setup_neighbour() {
  in_web ip route add 169.254.169.254/32 dev eth0
  in_web ip neigh replace 169.254.169.254 lladdr 02:00:00:00:99:01 dev eth0 nud permanent
}
undo_neighbour() {
  in_web ip route del 169.254.169.254/32 dev eth0
  in_web ip neigh del 169.254.169.254 dev eth0
}

seg6_route() {
  in_web ip -6 route add "$OTHER_V6/128" via "$NODE_V6" \
    encap seg6 mode "$1" segs fd00:ec2::254 2>/dev/null || missing 'SRv6 routes'
}
setup_seg6_inline() { seg6_route inline; }
setup_seg6_encap() { seg6_route encap; }
undo_seg6_inline() { in_web ip -6 route del "$OTHER_V6/128" via "$NODE_V6"; }
undo_seg6_encap() { undo_seg6_inline; }

pod_forwards() { in_web sysctl -qw "net.ipv4.ip_forward=$1" "net.ipv6.conf.all.forwarding=$1"; }
setup_pod_forwards() { pod_forwards 1; }
undo_pod_forwards() { pod_forwards 0; }

# ---- a namespace behind the pod's ----
nested_namespace() {
  ip netns add "$ENV_ID-nested"
  in_nested ip link set lo up
}
undo_nested() {
  ip netns del "$ENV_ID-nested"
  in_web iptables -w -t nat -D POSTROUTING -o eth0 -j MASQUERADE
  pod_forwards 0
}
setup_nested() {
  nested_namespace
  in_web ip link add n0 address 02:00:00:00:96:01 type veth peer name eth0 netns "$ENV_ID-nested"
  each in_web "ip addr add 10.96.0.1/24 dev n0" "ip link set n0 up" \
    "sysctl -qw net.ipv4.conf.n0.rp_filter=0" \
    "iptables -w -t nat -A POSTROUTING -o eth0 -j MASQUERADE"
  each in_nested "ip addr add 10.96.0.2/24 dev eth0" "ip link set eth0 up" \
    "ip route add default via 10.96.0.1"
  pod_forwards 1
}
setup_macvlan() {
  nested_namespace
  in_web ip link add mac0 link eth0 type macvlan mode bridge 2>/dev/null || {
    ip netns del "$ENV_ID-nested"
    missing macvlan
    return
  }
  in_web ip link set mac0 netns "$ENV_ID-nested"
  each in_nested "ip addr add 10.99.0.240/16 dev mac0" "ip link set mac0 up"
}
undo_macvlan() {
  in_nested ip link del mac0
  ip netns del "$ENV_ID-nested"
}

# ---- tunnels that end in the node ----
setup_vxlan() {
  in_node ip link add vx0 address 02:00:00:00:97:01 type vxlan id 7 local "$NODE_V4" \
    dstport 4789 remote "${POD_IP[web]}" 2>/dev/null || {
    missing VXLAN
    return
  }
  each in_node "ip addr add 10.97.0.1/24 dev vx0" "ip link set vx0 up" \
    "sysctl -qw net.ipv4.conf.vx0.rp_filter=0"
  in_web ip link add vx0 address 02:00:00:00:97:09 type vxlan id 7 local "${POD_IP[web]}" \
    dstport 4789 remote "$NODE_V4"
  each in_web "ip addr add 10.97.0.9/24 dev vx0" "ip link set vx0 up" \
    "ip route add 169.254.169.254/32 via 10.97.0.1"
}
undo_vxlan() {
  in_web ip link del vx0
  in_node ip link del vx0
}

# tunnel TYPE WORDS...: the node's end alone
tunnel() {
  in_node ip link add tunnel0 type "$@" 2>/dev/null || {
    missing "$1"
    return
  }
  each in_node "ip addr add 10.97.0.1/24 dev tunnel0" "ip link set tunnel0 up" \
    "sysctl -qw net.ipv4.conf.tunnel0.rp_filter=0"
}
undo_tunnel() { in_node ip link del tunnel0; }
setup_geneve() {
  tunnel geneve id 7 remote "${POD_IP[web]}" || return
  in_node ip link set tunnel0 address 02:00:00:00:97:01
}
undo_geneve() { undo_tunnel; }
setup_ipip() { tunnel ipip local "$NODE_V4" remote "${POD_IP[web]}"; }
undo_ipip() { undo_tunnel; }
setup_gre() { tunnel gre local "$NODE_V4" remote "${POD_IP[web]}"; }
undo_gre() { undo_tunnel; }
setup_sit() { tunnel sit local "$NODE_V4" remote "${POD_IP[web]}"; }
undo_sit() { undo_tunnel; }

# ---- ways past the bridge ----
# A second interface right on the uplink's network, as macvlan and SR-IOV give one.
setup_second_interface() {
  in_node ip link add mv0 link uplink type macvlan mode bridge 2>/dev/null || {
    missing macvlan
    return
  }
  in_node ip link set mv0 netns "${POD_NETNS[web]}"
  each in_web "ip addr add 10.98.0.50/24 dev mv0" "ip link set mv0 up" \
    "ip route add 169.254.169.254/32 via $OTHER_V4 dev mv0"
}
undo_second_interface() { in_web ip link del mv0; }

# Through another pod, which forwards.
through_other() {
  in_netns "${POD_NETNS[other]}" sysctl -qw "net.ipv4.ip_forward=$1" \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
}
setup_through_other() {
  through_other 1
  in_web ip route add 169.254.169.254/32 via "${POD_IP[other]}"
}
undo_through_other() {
  through_other 0
  in_web ip route del 169.254.169.254/32
}

# ---- a CNI that forwards below netfilter: from the pod's veth straight to the uplink ----
setup_redirect() {
  local words
  in_node tc qdisc add dev v1 clsact
  # the tag is all that is looked at: whatever carries one goes through
  for words in 'ip u32 match ip dst 169.254.0.0/16' 'ipv6 u32 match ip6 dst fd00:ec2::/64' \
    '802.1Q u32 match u32 0 0' '802.1ad u32 match u32 0 0'; do
    # shellcheck disable=SC2086 # words of a command
    in_node tc filter add dev v1 ingress protocol $words action mirred egress redirect dev uplink ||
      env_fail "redirect: $words"
  done
  # a next hop that has the service's link layer address
  each in_web "ip neigh replace 10.99.0.250 lladdr $IMDS_MAC dev eth0 nud permanent" \
    "ip route add 169.254.169.254/32 via 10.99.0.250" \
    "ip -6 neigh replace fd99::250 lladdr $IMDS_MAC dev eth0 nud permanent" \
    "ip -6 route add fd00:ec2::254/128 via fd99::250"
}
undo_redirect() {
  in_node tc qdisc del dev v1 clsact
  each in_web "ip neigh del 10.99.0.250 dev eth0" "ip route del 169.254.169.254/32 via 10.99.0.250" \
    "ip -6 neigh del fd99::250 dev eth0" "ip -6 route del fd00:ec2::254/128 via fd99::250"
}

# ---- what comes to the uplink ----

# Once podcred follows the interfaces: until it has seen that one.
is_watched() {
  local index
  index=$(in_node cat "/sys/class/net/$1/ifindex" 2>/dev/null || in_node ip -o link show "$1" | cut -d: -f1)
  [ -e "$PIN_DIR/links/podcred_uplink_$index" ] ||
    in_node tc filter show dev "$1" egress 2>/dev/null | grep -q podcred_uplink
}
uplink_watched() {
  [ -e "$PIN_DIR/progs/podcred_uplink" ] || return 0 # not loaded, or without
  [ -n "${RESOLVE_PID:-}" ] && kill -0 "$RESOLVE_PID" 2>/dev/null || return 0
  wait_for 10 is_watched "$1" || env_fail "$1 has no program"
}

# Connections of the exempt pod, one of each family, and their ports in $BYPASS_HELD.
setup_exempt() {
  background "$BYPASS_HELD" '^[0-9]* [0-9]' in_pod trusted "$BYPASS" hold
  pod_forwards 1
}
undo_exempt() {
  cgroup_signal "${POD_CGROUP[trusted]}/container" KILL
  pod_forwards 0
}
setup_exempt_ended() {
  setup_exempt
  cgroup_signal "${POD_CGROUP[trusted]}/container" KILL
}
undo_exempt_ended() { pod_forwards 0; }

setup_second_forwards() {
  setup_second_interface || return
  each in_web "ip -6 addr add fd98::50/64 dev mv0 nodad" \
    "ip -6 neigh replace $OTHER_V6 lladdr $IMDS_MAC dev mv0 nud permanent" \
    "ip -6 route add fd00:ec2::254/128 via $OTHER_V6 dev mv0"
  pod_forwards 1
}
undo_second_forwards() {
  pod_forwards 0
  undo_second_interface
}

ipvlan() {
  in_node ip link add iv0 link uplink type ipvlan mode "$1" 2>/dev/null || {
    missing ipvlan
    return
  }
  in_node ip link set iv0 netns "${POD_NETNS[web]}"
  each in_web "ip addr add 10.98.0.50/24 dev iv0" "ip link set iv0 up" \
    "ip route add 169.254.169.254/32 via $OTHER_V4 dev iv0"
  pod_forwards 1
}
undo_ipvlan() {
  pod_forwards 0
  in_web ip link del iv0
}
setup_ipvlan_l2() { ipvlan l2; }
undo_ipvlan_l2() { undo_ipvlan; }
setup_ipvlan_l3() { ipvlan l3; }
undo_ipvlan_l3() { undo_ipvlan; }

# A CNI that forwards below netfilter gives the pod an interface while nobody looks.
setup_late() {
  [ -z "${RESOLVE_PID:-}" ] || kill -STOP "$RESOLVE_PID" 2>/dev/null
  in_node ip link add vlate type veth peer name late netns "${POD_NETNS[web]}"
  each in_node "ip link set vlate up" "tc qdisc add dev vlate clsact" \
    "tc filter add dev vlate ingress protocol ip u32 match u32 0 0 action mirred egress redirect dev uplink" \
    "tc filter add dev vlate ingress protocol ipv6 u32 match u32 0 0 action mirred egress redirect dev uplink"
  each in_web "ip addr add 10.92.0.9/24 dev late" "ip link set late up" \
    "ip neigh replace 10.92.0.1 lladdr $IMDS_MAC dev late nud permanent" \
    "ip route add 169.254.169.254/32 via 10.92.0.1 dev late" \
    "ip -6 addr add fd92::9/64 dev late nodad" \
    "ip -6 neigh replace fd92::1 lladdr $IMDS_MAC dev late nud permanent" \
    "ip -6 route add fd00:ec2::254/128 via fd92::1 dev late"
  pod_forwards 1
}
undo_late() {
  pod_forwards 0
  in_node ip link del vlate
  [ -z "${RESOLVE_PID:-}" ] || kill -CONT "$RESOLVE_PID" 2>/dev/null
  return 0
}

# The guarded addresses behind another uplink, and back.
uplink_is() {
  each in_node "ip route replace 169.254.169.254/32 dev $1" \
    "ip -6 route replace fd00:ec2::254/128 dev $1"
  uplink_watched "$1"
}
uplink_back() {
  each in_node "ip route replace 169.254.169.254/32 via $OTHER_V4" \
    "ip -6 route replace fd00:ec2::254/128 via $OTHER_V6"
}

setup_tun_uplink() {
  [ -e /dev/net/tun ] || {
    missing '/dev/net/tun'
    return
  }
  background "$ENV_TMP/wire" ready "$BYPASS" wire "/run/netns/$NODE_NETNS" "/run/netns/$ENV_ID-imds"
  WIRE_PID=$!
  each in_imds "ip addr add 10.93.0.2/24 dev tunfar" "ip link set tunfar up"
  each in_node "ip addr add 10.93.0.1/24 dev tunup" "ip link set tunup up"
  uplink_is tunup
}
undo_tun_uplink() {
  uplink_back
  kill "$WIRE_PID"
  wait "$WIRE_PID" 2>/dev/null
  return 0
}

vlan_up() {
  in_node ip link add link uplink name uplink.5 type vlan id 5 2>/dev/null || {
    missing VLAN
    return
  }
  in_imds ip link add link eth0 name eth0.5 type vlan id 5
  each in_imds "ip addr add 10.94.0.2/24 dev eth0.5" "ip link set eth0.5 up"
  each in_node "ip addr add 10.94.0.1/24 dev uplink.5" "ip link set uplink.5 up"
  uplink_is uplink.5
}
setup_vlan_uplink() { vlan_up; }
undo_vlan_uplink() {
  uplink_back
  in_node ip link del uplink.5
  in_imds ip link del eth0.5
}
setup_vlan_plain_uplink() {
  in_node "$BYPASS" txvlan uplink off || {
    missing 'VLAN offload that can be switched off'
    return
  }
  vlan_up || {
    in_node "$BYPASS" txvlan uplink on
    return 77
  }
}
undo_vlan_plain_uplink() {
  undo_vlan_uplink
  in_node "$BYPASS" txvlan uplink on
}

# ---- what leads a redirected connection astray ----
# hijack_rules A|D IPTABLES IP6TABLES PORT: to that port of the pod "other"
hijack_rules() {
  local how=$1 v4=$2 v6=$3 port=$4 chain
  for chain in OUTPUT PREROUTING; do
    in_node "$v4" -w -t nat "-$how" $chain -d "$NODE_V4" -p tcp --dport "$AGENT_PORT" -j DNAT \
      --to-destination "${POD_IP[other]}:$port" || return
    [ -z "$v6" ] || in_node "$v6" -w -t nat "-$how" $chain -d "$NODE_V6" -p tcp --dport "$AGENT_PORT" \
      -j DNAT --to-destination "[${POD_IP6[other]}]:$port" || return
  done
}
# The answers of the pod come through the node, where they are translated back.
hijack_route() {
  in_netns "${POD_NETNS[other]}" ip route "$1" "${POD_IP[web]}/32" via "$NODE_V4"
  in_netns "${POD_NETNS[other]}" ip -6 route "$1" "${POD_IP6[web]}/128" via "$NODE_V6"
}
hijack_masquerade() {
  in_node iptables -w -t nat "-$1" POSTROUTING -p tcp -d "${POD_IP[other]}" -j MASQUERADE
  in_node ip6tables -w -t nat "-$1" POSTROUTING -p tcp -d "${POD_IP6[other]}" -j MASQUERADE
}
hijack_to() {
  hijack_route "$1"
  hijack_rules "$2" iptables ip6tables "$3"
}
setup_hijack_dnat() { hijack_to add A 8080; }
undo_hijack_dnat() { hijack_to del D 8080; }
setup_hijack_reads() { hijack_to add A 8081; }
undo_hijack_reads() { hijack_to del D 8081; }
setup_hijack_raw() { hijack_to add A 8082; }
undo_hijack_raw() { hijack_to del D 8082; }
# In the pod's place a program, which answers before the packet comes to a socket.
setup_hijack_softirq() {
  local netns=${POD_NETNS[other]}
  hijack_to add A 8084 &&
    bpftool prog load "$ENV_BUILD/bpftest/answer.bpf.o" "$PIN_DIR-answer" type tc &&
    in_netns "$netns" tc qdisc add dev eth0 clsact &&
    in_netns "$netns" tc filter add dev eth0 ingress bpf object-pinned "$PIN_DIR-answer" da
  local result=$?
  rm -f "$PIN_DIR-answer"
  return $result
}
undo_hijack_softirq() {
  in_netns "${POD_NETNS[other]}" tc qdisc del dev eth0 clsact
  hijack_to del D 8084
}
setup_hijack_masquerade() {
  hijack_rules A iptables ip6tables 8080 && hijack_masquerade A
}
undo_hijack_masquerade() {
  hijack_rules D iptables ip6tables 8080 && hijack_masquerade D
}

hijack_redirect() {
  local chain
  for chain in OUTPUT PREROUTING; do
    in_node iptables -w -t nat "-$1" $chain -d "$NODE_V4" -p tcp --dport "$AGENT_PORT" -j REDIRECT \
      --to-ports 8080
    in_node ip6tables -w -t nat "-$1" $chain -d "$NODE_V6" -p tcp --dport "$AGENT_PORT" -j REDIRECT \
      --to-ports 8080
  done
}
setup_hijack_redirect() { hijack_redirect A 2>/dev/null || missing 'REDIRECT target'; }
undo_hijack_redirect() { hijack_redirect D; }

setup_hijack_legacy() {
  hijack_rules A iptables-legacy '' 8080 2>/dev/null || {
    hijack_rules D iptables-legacy '' 8080 2>/dev/null
    missing 'table of iptables-legacy'
    return
  }
  hijack_route add
}
undo_hijack_legacy() {
  hijack_rules D iptables-legacy '' 8080
  hijack_route del
}

setup_hijack_ipvs() {
  in_node ipvsadm -A -t "$NODE_V4:$AGENT_PORT" 2>/dev/null || {
    echo 'no IPVS in this kernel, or no ipvsadm on this machine'
    return 77
  }
  in_node ipvsadm -a -t "$NODE_V4:$AGENT_PORT" -r "${POD_IP[other]}:8080" -m || return
  hijack_route add
}
undo_hijack_ipvs() {
  in_node ipvsadm -C
  hijack_route del
}

# As a CNI's programs on packets do it. PORT, and what else the packet must be.
hijack_stateless() {
  in_node nft -f - <<NFT || return
table ip astray {
  chain in {
    type filter hook prerouting priority raw - 1
    ip daddr $NODE_V4 tcp dport $AGENT_PORT $2 notrack tcp dport set $1 ip daddr set ${POD_IP[other]}
    ip saddr ${POD_IP[other]} tcp sport $1 notrack
  }
  chain out {
    type filter hook postrouting priority 300
    ip saddr ${POD_IP[other]} tcp sport $1 tcp sport set $AGENT_PORT ip saddr set $NODE_V4
  }
}
NFT
  hijack_route add
}
undo_hijack_stateless() {
  in_node nft delete table ip astray
  hijack_route del
}
setup_hijack_stateless() { hijack_stateless 8080 ''; }
# The copy has another TTL. The agent's answer to it is lost.
setup_hijack_copy() {
  hijack_stateless 8083 'ip ttl 64' &&
    in_node nft "add chain ip astray local { type filter hook output priority 0; }" &&
    in_node nft add rule ip astray local ip daddr "${POD_IP[web]}" tcp sport "$AGENT_PORT" drop
}
undo_hijack_copy() { undo_hijack_stateless; }

# As Istio and Linkerd do it: what the pod sends goes to a process of its own.
hijack_sidecar() {
  in_web iptables -w -t nat "-$1" OUTPUT -p tcp -d "$NODE_V4" --dport "$AGENT_PORT" -j REDIRECT --to-ports 8080
}
setup_hijack_sidecar() {
  hijack_sidecar A 2>/dev/null || {
    missing 'REDIRECT target'
    return
  }
  background "$ENV_TMP/sidecar" ready in_pod web "$BYPASS" hijacker
}
undo_hijack_sidecar() {
  hijack_sidecar D
  cgroup_signal "${POD_CGROUP[web]}/container" TERM
}

setup_hijack_connect4() {
  background "$ENV_TMP/connect4" ready "$BYPASS" connect4 "$ENV_CGROUP" "${POD_IP[other]}"
  CONNECT4_PID=$!
  hijack_route add
}
undo_hijack_connect4() {
  kill "$CONNECT4_PID"
  wait "$CONNECT4_PID" 2>/dev/null
  hijack_route del
}

# ---- a hostile neighbour on the bridge ----
# neighbour_knows NETNS DEVICE LLADDR STATE ADDRESS...
neighbour_knows() {
  local address
  for address in "${@:5}"; do
    in_netns "$1" ip neigh replace "$address" lladdr "$3" dev "$2" nud "$4"
  done
}
node_knows_web() { neighbour_knows "$NODE_NETNS" br0 "$1" "$2" "${POD_IP[web]}" "${POD_IP6[web]}"; }
# Entries that can be poisoned, and back.
setup_neighbour_poison() {
  node_knows_web "$WEB_MAC" stale &&
    neighbour_knows "${POD_NETNS[web]}" eth0 "$NODE_MAC" stale "$NODE_V4" "$NODE_V6"
}
undo_neighbour_poison() { setup_neighbour_poison; }

# What the node sends to the victim goes to a pod that drops it.
setup_neighbour_hole() { node_knows_web "$TRUSTED_MAC" permanent; }
undo_neighbour_hole() { node_knows_web "$WEB_MAC" stale; }

# As when the bridge has forgotten the victim, or its table is full.
setup_neighbour_flood() { in_node ip link set v1 type bridge_slave learning off fdb_flush; }
undo_neighbour_flood() { in_node ip link set v1 type bridge_slave learning on; }
