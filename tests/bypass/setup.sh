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
