#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The path past the bridge on networks of other shapes, and through their changes: what can be carried is,
# what cannot goes by the bridge, and every pod is served as itself.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/path.sh
. "$(dirname "$0")/../lib/path.sh"

# link_add POD NAME: an interface of a pod that has none; its end at the node is NAME, and up
link_add() {
  in_node ip link add "$2" type veth peer name eth0 netns "${POD_NETNS[$1]}"
  in_node ip link set "$2" up
  in_netns "${POD_NETNS[$1]}" ip link set eth0 up
}
addresses_add() {
  in_netns "${POD_NETNS[$1]}" ip addr add "${POD_IP[$1]}/$2" dev eth0
  in_netns "${POD_NETNS[$1]}" ip -6 addr add "${POD_IP6[$1]}/$3" dev eth0 nodad
}
path_mac_is() { bpftool -j map dump pinned "$PIN_DIR/maps/podcred_paths" | grep -q "$(sed 's/\(..\):*/"0x\1",*/g; s/,\*$//' <<<"$1")"; }
# carried WHAT POD YES|NO: it is served as itself in both families, by the path or not
carried() {
  local before to
  before=$(stat_of carried)
  for to in $V4 $V6; do
    same "$1: $2 is served, $to" "$2" "$(once "$2" "$to" who)"
  done
  same "$1: carried past the bridge: $3" "$([ "$3" = yes ] && echo 2 || echo 0)" $(($(stat_of carried) - before))
}
hold_both() { hold four "$1" $V4 && hold six "$1" $V6; }
both_go_on() {
  said "$1: the kept connection goes on" "$2" four who
  said "$1: over IPv6 too" "$2" six who
}
let_both_go() { let_go four && let_go six; }
dropped() {
  local what=$1 want=$2 pod=$3 before
  before="$(stat_of packet_forged) $(stat_of packet_spoofed)"
  forge "$pod" eth0 "${@:4}"
  same "$what" "$want" "$(($(stat_of packet_forged) - ${before% *})) $(($(stat_of packet_spoofed) - ${before#* }))"
}

env_up systemd
pod_add web burstable
pod_add db guaranteed
env_load >/dev/null || env_fail 'load failed'
env_resolve
agent_up
bridge_counts
carried 'a bridge' web yes

# ---- the bridge ----
in_node bridge link set dev v1 hairpin on
carried 'hairpin mode' web yes
in_node bridge link set dev v1 hairpin off

hold_both web
in_node ip link set br0 address 02:00:00:00:99:77
check 'the bridge has another address: the programs know it' wait_for 10 path_mac_is 02:00:00:00:99:77
both_go_on 'the bridge has another address' web
carried 'the bridge has another address' web yes
in_node ip link set br0 address $NODE_MAC
check 'and again' wait_for 10 path_mac_is $NODE_MAC
both_go_on 'the bridge has its address back' web
beside 'all that'

# ---- the resolver ----
kill "$RESOLVE_PID" && wait "$RESOLVE_PID" 2>/dev/null
carried 'no resolver' web yes
both_go_on 'no resolver' web
pod_add late burstable
before=$(stat_of carried)
for to in $V4 $V6; do
  same "no resolver: a new pod is served by the bridge, $to" closed "$(once late "$to" bye)"
done
same 'and not carried' "$before" "$(stat_of carried)"
hold early late $V4
env_resolve
check 'a resolver again: it knows the new pod' wait_for 10 path_is "$(link_of late)" br0
carried 'a resolver again' late yes
beside_again
both_go_on 'a resolver again' web
beside 'what was carried before'
said 'and so does what was not: its SYN came by the bridge' late early who
let_go early
env_load >/dev/null || env_fail 'load failed'
both_go_on 'a load in place' web
carried 'a load in place' web yes

# ---- an interface that is made again ----
web_link() {
  link_add web v1
  in_node ip link set v1 master br0
  addresses_add web 16 64
  in_netns "${POD_NETNS[web]}" ip route add default via "$NODE_V4"
}
in_node ip link del v1
web_link
check 'an interface is made again: it is known' wait_for 10 path_is v1 br0
both_go_on 'an interface is made again' web
let_both_go
carried 'an interface is made again' web yes
wait_for 10 settled
beside_again

# ---- an address that is another pod's now ----
for to in $V4 $V6; do
  hold old db "$to" port=44444
  said "$to: a pod has a connection" db old who
  in_node ip link del v2
  kill -KILL "$(pid_of old)"
  let_go old
  pod_add heir burstable
  env_podlist "$ENV_TMP/pods.json"
  in_netns "${POD_NETNS[heir]}" ip addr flush dev eth0
  POD_IP[heir]=${POD_IP[db]} POD_IP6[heir]=${POD_IP6[db]}
  addresses_add heir 16 64
  same "$to: another has its address, and connects at once" closed "$(once heir "$to" bye)"
  check "$to: its interface is known" wait_for 10 path_is "$(link_of heir)" br0
  same "$to: it has the same port, of which the agent still has a connection" heir "$(once heir "$to" who port=44444)"
  in_node ip link del "$(link_of heir)"
  link_add db v2
  in_node ip link set v2 master br0
  addresses_add db 16 64
  check "$to: the first is back" wait_for 10 path_is v2 br0
done
wait_for 10 settled

# ---- a bridge that gets its address after its ports, or never; a pod that moves there ----
in_node ip link add br1 address 02:00:00:00:98:01 type bridge
in_node ip link set br1 up
hold_both web
in_node ip link set v1 master br1
in_node ip route add "${POD_IP[web]}/32" dev br1
in_node ip -6 route add "${POD_IP6[web]}/128" dev br1
in_node ip -6 addr add fe80::98/64 dev br1 nodad
in_netns "${POD_NETNS[web]}" ip -6 route add "$NODE_V6" via fe80::98 dev eth0
in_netns "${POD_NETNS[web]}" ip neigh flush dev eth0
check 'a bridge without an address leads nowhere known' wait_for 10 path_is v1 ''
carried 'a bridge without an address' web no
both_go_on 'a bridge without an address' web
in_node ip addr add 10.98.0.1/24 dev br1
check 'it gets one: the programs know it' wait_for 10 path_is v1 br1
carried 'a bridge that got its address later' web yes
both_go_on 'a pod that moved to another bridge' web
in_node ip link set v1 master br0
in_node ip link del br1
in_netns "${POD_NETNS[web]}" ip -6 route del "$NODE_V6" via fe80::98 dev eth0
check 'it moves back' wait_for 10 path_is v1 br0
both_go_on 'a pod that moved back' web
let_both_go

# ---- no bridge: a /32, and a gateway that is not there ----
pod_add routed burstable
env_podlist "$ENV_TMP/pods.json"
link=$(link_of routed)
in_node ip link set "$link" nomaster
in_netns "${POD_NETNS[routed]}" ip addr flush dev eth0
in_netns "${POD_NETNS[routed]}" ip link set eth0 up
addresses_add routed 32 128
mac=$(in_node ip -j link show "$link" | jq -r '.[0].address')
in_node ip route add "${POD_IP[routed]}/32" dev "$link"
in_node ip -6 route add "${POD_IP6[routed]}/128" dev "$link"
in_node ip -6 addr add fe80::1/64 dev "$link" nodad
in_netns "${POD_NETNS[routed]}" ip neigh add 169.254.1.1 lladdr "$mac" dev eth0 nud permanent
in_netns "${POD_NETNS[routed]}" ip route add 169.254.1.1 dev eth0 scope link
in_netns "${POD_NETNS[routed]}" ip route add default via 169.254.1.1
in_netns "${POD_NETNS[routed]}" ip -6 route add default via fe80::1 dev eth0
check 'point to point: the interface is known' wait_for 10 path_is "$link" ''
carried 'point to point' routed no
hold_both web
for family in 4 6; do
  victim=POD_IP node=NODE_V$family
  [ $family = 4 ] || victim=POD_IP6
  declare -n victims=$victim
  for what in '2 SYN' '24 data' '4 RST'; do
    dropped "point to point, IPv$family: ${what#* } in another pod's name is dropped" '1 0' routed \
      "${victims[web]}" 4444 "${!node}" $AGENT_PORT "${what% *}" "$mac" "$([[ $what != *data ]] || echo x)"
  done
  dropped "point to point, IPv$family: so is what has the agent's" '0 1' routed \
    "${!node}" $AGENT_PORT "${victims[web]}" 4444 24 "$mac" x
done
both_go_on "another pod's" web
let_both_go
carried 'point to point' routed no

# ---- the gateway is an uplink too, and filters of tc in place of tcx ----
two_at_bridge() {
  if [ "$1" = tcx ]; then
    [ "$(find "$PIN_DIR" -name "podcred_*_$(index_of br0)" | wc -l)" -eq 2 ]
  else
    [ "$(in_node tc filter show dev br0 egress | grep -c 'direct-action.*podcred_')" -eq 2 ]
  fi
}
in_node ip route add 169.254.169.254/32 dev br0
for how in tcx tc; do
  [ $how = tcx ] || env_load --without tcx >/dev/null || env_fail 'load failed'
  check "$how: two programs at the bridge's egress" wait_for 10 two_at_bridge $how
  hold_both web
  carried $how web yes
  beside_again
  both_go_on $how web
  let_both_go
  beside $how
  dropped "$how: what is forged is dropped" '1 0' db "${POD_IP[web]}" 4444 "$NODE_V4" $AGENT_PORT 2 $NODE_MAC
done
in_node ip route del 169.254.169.254/32 dev br0

# ---- somebody else's XDP program at the node's end ----
# refused WHAT: in both families, and counted
refused() {
  local to before
  for to in $V4 $V6; do
    before=$(stat_of packet_forged)
    same "$1: refused, $to" EINPROGRESS "$(once web "$to" who brief)"
    check "$1: and counted, $to" test "$(stat_of packet_forged)" -gt "$before"
  done
}
bulk() {
  said "$1: to the agent" 'left 0' four 'take 1048576'
  said "$1: and from it" 'got 1048576' four 'give 1048576'
}
hold_both web
xdp_on v1 generic
carried 'generic XDP' web yes
both_go_on 'generic XDP' web
bulk 'generic XDP'
same 'generic XDP: the guard is complete' true "$(podcred status --json | jq .complete)"
xdp_off
let_both_go
xdp_on v1 native
refused 'native XDP'
carried 'native XDP at another' db yes
xdp_off
carried 'native XDP is gone' web yes
offload node v1 gro=1
offload web eth0 tso=0
refused "GRO at the node's end without TSO at the pod's"
offload node v1 gro=0
offload web eth0 tso=1
carried 'without that' web yes

# ---- mode audit ----
echo 'mode: audit' >"$ENV_TMP/config.yaml"
env_load --config "$ENV_TMP/config.yaml" >/dev/null || env_fail 'load failed'
before=$(stat_of audited)
dropped 'mode audit: what is forged is counted' '1 0' db "${POD_IP[web]}" 4444 "$NODE_V4" $AGENT_PORT 2 $NODE_MAC
same 'and passes' 1 $(($(stat_of audited) - before))
carried 'mode audit' web yes

# ---- an agent that is a pod of its own network ----
cgroup_signal "$AGENT_CGROUP" TERM
ip netns add "$ENV_ID-agent"
in_node ip link add va type veth peer name eth0 netns "$ENV_ID-agent"
in_node ip link set va master br0 up
in_netns "$ENV_ID-agent" ip link set eth0 up
in_netns "$ENV_ID-agent" ip addr add 10.99.0.50/16 dev eth0
in_netns "$ENV_ID-agent" ip -6 addr add fd99::50/64 dev eth0 nodad
background "$ENV_TMP/agent" ready in_cgroup "$AGENT_CGROUP" "$ENV_ID-agent" python3 "$PATH_PY" agent \
  10.99.0.50 $AGENT_PORT fd99::50 $AGENT_PORT
no_paths() { [ "$(bpftool -j map dump pinned "$PIN_DIR/maps/podcred_paths")" = '[]' ]; }
in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --agent 10.99.0.50:$AGENT_PORT --agent "[fd99::50]:$AGENT_PORT" >/dev/null || env_fail 'load failed'
check "an agent of its own network: no path is known" wait_for 10 no_paths
carried 'an agent of its own network' web no
dropped 'and nothing is dropped on its way' '0 0' db "${POD_IP[web]}" 4444 10.99.0.50 $AGENT_PORT 2 $NODE_MAC
tap_done
