#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# The node and pods of tests/lib/env.sh, and a machine behind the node's uplink that plays the real
# metadata service. Sourced by run.sh.
#
#     pod "web" --- br0 [node] uplink --- eth0 [imds] lo: 169.254.169.254 ...
#     pod "other" --+   | pod "hosted" (hostNetwork), agent, host processes
#     pod "trusted" +     exempt
#     pod "relay" --+     forwards what it is handed
#
#   bypass_up             all of it, nothing loaded
#   bypass_load           podcred load, the resolver
#   bypass_agent          a proxy that says who its caller is
#   bypass_row N [...]    run one row where it wants to be run

# shellcheck source=tests/lib/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

BYPASS=$ENV_BUILD/tests/bypass
GUARDED_V4="169.254.169.254 169.254.170.2 169.254.170.23 169.254.170.83"
GUARDED_V6="fd00:ec2::254 fd00:ec2::23 fd70:6f64:6372::83"
UPLINK_V4=10.98.0.1
UPLINK_V6=fd98::1
OTHER_V4=10.98.0.2
OTHER_V6=fd98::2
SERVICE_V4=10.98.0.77 # no machine: only DNAT leads from there
SERVICE_V6=fd98::77
IMDS_MAC=02:00:00:00:98:02
OTHER_MAC=02:00:00:00:95:01
NODE_MAC=02:00:00:00:99:01 # lib/env.sh
WEB_MAC=02:00:00:00:95:02
RELAY_MAC=02:00:00:00:95:03
TRUSTED_MAC=02:00:00:00:95:04

in_imds() { in_netns "$ENV_ID-imds" "$@"; }
# each COMMAND "words" "words"...
each() {
  local words
  # shellcheck disable=SC2086 # words of a command
  for words in "${@:2}"; do $1 $words || env_fail "$1 $words"; done
}

uplink_up() {
  local addr
  ip netns add "$ENV_ID-imds"
  in_node ip link add uplink type veth peer name eth0 address "$IMDS_MAC" netns "$ENV_ID-imds"
  each in_node "ip addr add $UPLINK_V4/24 dev uplink" \
    "ip -6 addr add $UPLINK_V6/64 dev uplink nodad" "ip link set uplink up"
  each in_imds "ip link set lo up" "ip addr add $OTHER_V4/24 dev eth0" \
    "ip -6 addr add $OTHER_V6/64 dev eth0 nodad" "ip link set eth0 up" \
    "ip route add default via $UPLINK_V4" "ip -6 route add default via $UPLINK_V6"
  for addr in $GUARDED_V4; do
    in_imds ip addr add "$addr/32" dev lo
    in_node ip route add "$addr/32" via "$OTHER_V4"
  done
  for addr in $GUARDED_V6; do
    in_imds ip -6 addr add "$addr/128" dev lo nodad
    in_node ip -6 route add "$addr/128" via "$OTHER_V6"
  done
}

# Forwarding, and nothing that would drop a foreign source: what is left is podcred.
open_up() {
  local device
  for device in all default br0 uplink; do
    in_node sysctl -qw "net.ipv4.conf.$device.rp_filter=0"
  done
  in_node sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
    net.ipv4.tcp_fastopen=3 "net.ipv4.ping_group_range=0 2147483647"
  in_imds sysctl -qw net.ipv4.tcp_fastopen=3 net.ipv4.tcp_synack_retries=0 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
}

pod_up() {
  local netns=${POD_NETNS[$1]}
  in_netns "$netns" ip -6 route add default via "$NODE_V6"
  in_netns "$netns" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv4.conf.eth0.rp_filter=0 "net.ipv4.ping_group_range=0 2147483647"
}

# Neighbours known, in both families: no row is to pay for that.
answered() { "$1" bash -c "exec 3<>/dev/tcp/$2/80 && read -r -t 1 line <&3" 2>/dev/null; }
in_web() { in_netns "${POD_NETNS[web]}" "$@"; }
warm_up() {
  local from to
  for from in in_node in_web; do
    for to in "$OTHER_V4" "$OTHER_V6"; do
      wait_for 10 answered $from "$to" || env_fail "$from does not reach $to"
    done
  done
}

# A pod that knows the way to both ends, and sends no redirect.
relay_up() {
  local netns=${POD_NETNS[relay]}
  pod_up relay
  in_netns "$netns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
  each "in_netns $netns" "ip neigh replace $NODE_V4 lladdr $NODE_MAC dev eth0 nud permanent" \
    "ip neigh replace $NODE_V6 lladdr $NODE_MAC dev eth0 nud permanent" \
    "ip neigh replace ${POD_IP[web]} lladdr $WEB_MAC dev eth0 nud permanent" \
    "ip neigh replace ${POD_IP6[web]} lladdr $WEB_MAC dev eth0 nud permanent"
}

bypass_environment() {
  export BYPASS_COUNTER=$ENV_TMP/reached BYPASS_COLUMN=podcred
  export BYPASS_OTHER_CGROUP=${POD_CGROUP[other]}/container
  export BYPASS_OWN_IP=${POD_IP[web]} BYPASS_OWN_IP6=${POD_IP6[web]} BYPASS_OTHER_IP=${POD_IP[other]}
  export BYPASS_TRUSTED_IP=${POD_IP[trusted]} BYPASS_TRUSTED_IP6=${POD_IP6[trusted]}
  export BYPASS_HELD=$ENV_TMP/held
  export BYPASS_NEIGHBOUR=$ENV_TMP/neighbour BYPASS_AGENT_CGROUP=$AGENT_CGROUP
  export BYPASS_HOST_CGROUP=$ENV_CGROUP/host
  export BYPASS_KUBEPODS=$KUBEPODS BYPASS_QOS_CGROUP
  BYPASS_QOS_CGROUP=$(dirname "${POD_CGROUP[web]}")
  export BYPASS_NODE_NETNS=/run/netns/$NODE_NETNS
  export BYPASS_NESTED_NETNS=/run/netns/$ENV_ID-nested
}

bypass_up() {
  env_up
  pod_add web burstable
  pod_add other burstable
  pod_add hosted burstable host
  pod_add trusted burstable
  pod_add relay burstable
  uplink_up
  open_up
  pod_up web
  pod_up other
  pod_up trusted
  each in_netns "${POD_NETNS[other]} ip link set eth0 address $OTHER_MAC" \
    "${POD_NETNS[web]} ip link set eth0 address $WEB_MAC" \
    "${POD_NETNS[relay]} ip link set eth0 address $RELAY_MAC" \
    "${POD_NETNS[trusted]} ip link set eth0 address $TRUSTED_MAC"
  relay_up
  bypass_environment
  mkdir "$ENV_CGROUP/imds"
  background "$ENV_TMP/imds" ready in_cgroup "$ENV_CGROUP/imds" "$ENV_ID-imds" "$BYPASS" imds
  warm_up
}

# In the node's network namespace: what guards packets is attached where the loader is.
bypass_load() {
  # shellcheck disable=SC2086 # words of a command
  in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
    --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:$AGENT_PORT" \
    --agent "[$NODE_V6]:$AGENT_PORT" ${BYPASS_LOAD_OPTIONS:-} >"$ENV_TMP/load" 2>&1 ||
    env_fail "load: $(cat "$ENV_TMP/load")"
  printf '%s\n' 'policy:' '  - {namespace: shop, serviceAccount: trusted, action: exempt}' \
    >"$ENV_TMP/policy.yaml"
  env_resolve --config "$ENV_TMP/policy.yaml"
}

bypass_agent() {
  background "$ENV_TMP/who" ready in_agent "$ENV_BUILD/tests/who" --fastopen \
    --again "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
}

# On the bridge as the pods are, with CAP_NET_RAW.
bypass_neighbour() {
  background "$ENV_TMP/neighbour-log" ready in_pod other "$BYPASS" neighbour
}

# Somebody else in the agent's place: in another pod, whose answers come back through the node, and in a
# pod of the node's network.
bypass_hijacker() {
  export BYPASS_HIJACKED=$ENV_TMP/hijacked
  # what is forwarded cannot ask for it before br0 has its link-local address
  in_node ip -6 neigh replace "${POD_IP6[other]}" lladdr "$OTHER_MAC" dev br0 nud permanent
  each in_node "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0"
  in_netns "${POD_NETNS[other]}" sysctl -qw net.ipv4.tcp_fastopen=0x603
  in_node sysctl -qw net.ipv4.tcp_fastopen=0x603
  background "$ENV_TMP/hijacker" ready in_pod other "$BYPASS" hijacker
  background "$ENV_TMP/hosted-hijacker" ready in_pod hosted "$BYPASS" hijacker
}

# bypass_row PLACE N [READY GATE]
bypass_row() {
  local pod=web
  [ "$1" != hostpod ] || pod=hosted
  export BYPASS_POD=$pod BYPASS_POD_CGROUP=${POD_CGROUP[$pod]}/container
  case $1 in
  pod | hostpod) in_pod "$pod" "$BYPASS" row "${@:2}" ;;
  host) in_host "$BYPASS" row "${@:2}" ;;
  agent) in_agent "$BYPASS" row "${@:2}" ;;
  guest) in_cgroup "$ENV_CGROUP/host" "${POD_NETNS[web]}" "$BYPASS" row "${@:2}" ;;
  *) env_fail "no place $1" ;;
  esac
}
