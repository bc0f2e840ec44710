#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Interfaces by which packets could leave without being seen: status, doctor and metrics name them.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

in_web() { in_netns "${POD_NETNS[web]}" "$@"; }
status() { in_node "$PODCRED" status --pin-dir "$PIN_DIR" "$@"; }
gaps() { status --json | jq -r --arg kind "${1:-interface}" '.gaps[] | select(.kind == $kind).text'; }
ways() { status --json | jq -r '.path.interfaces | map("\(.interface) \(.path) \(.bridge) \(.gateway)") | join(", ")'; }
ways_are() { [ "$(ways)" = "$1" ]; }
path_gap_is() { [ "$(gaps path)" = "$1" ]; }
complete() { status --json | jq .complete; }
metric() { in_node "$PODCRED" metrics --pin-dir "$PIN_DIR" | sed -n "s/^$1 //p"; }
doctor() { in_node "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR" | grep '^[a-z]* *interfaces'; }
no_gaps() { [ -z "$(gaps)" ]; }
has_gap() { gaps | grep -qxF "$1"; }
no_pods_veth() { echo "interface $1 of a pod has no podcred_veth"; }

env_up
pod_add web burstable
pod_add db guaranteed
env_load >"$ENV_TMP/load" 2>&1 || env_fail "load: $(cat "$ENV_TMP/load")"
in_pod web sleep 1000 & # a network is found by a process in it
in_pod db sleep 1000 &
env_resolve

same 'all interfaces are watched' '' "$(gaps)"
same 'the guard is complete' true "$(complete)"
check 'doctor agrees' grep -q '^ok' <<<"$(doctor)"
same 'both are carried past the bridge' 'v1 carried br0 br0, v2 carried br0 br0' "$(ways)"
check 'in words' grep -qx 'path *2 interfaces of pods carried past a bridge, 0 without a bridge, 0 across one' <(status)
same 'metrics: no gap of that kind' 0 "$(metric 'podcred_guard_gaps{kind="interface"}')"

# ---- a new interface, while nobody follows ----
kill -STOP "$RESOLVE_PID"
in_node ip link add late type veth peer name eth1 netns "${POD_NETNS[web]}"
same 'an interface that is not up is none' '' "$(gaps)"
in_node ip link set late up
same 'the resolver hangs: a new interface of a pod is named' "$(no_pods_veth late)" "$(gaps)"
same 'and not a second time, for its path' '' "$(gaps path)"
same 'the guard is not complete' false "$(complete)"
check_not 'status says so by its status' status
check 'and in words' grep -q 'guard .*INCOMPLETE' <<<"$(status)"
check 'doctor fails' grep -q '^fail .*late' <<<"$(doctor)"
same 'metrics: one gap' 1 "$(metric 'podcred_guard_gaps{kind="interface"}')"
same 'metrics: not complete' 0 "$(metric podcred_guard_complete)"
kill -CONT "$RESOLVE_PID"
check 'the resolver goes on: all are watched' wait_for 10 no_gaps
same 'what is on no bridge is direct' 'late direct null null, v1 carried br0 br0, v2 carried br0 br0' \
  "$(ways | tr ',' '\n' | sed 's/^ //' | sort | paste -sd, | sed 's/,/, /g')"

# ---- from another network namespace ----
elsewhere() { "$PODCRED" "$1" --pin-dir "$PIN_DIR" "${@:2}"; }
elsewhere status --json >"$ENV_TMP/out"
same 'from another network namespace status cannot tell' '3 null interface true' \
  "$? $(jq -r '"\(.complete) \(.gaps[0].kind) \(.gaps[0].unknown)"' "$ENV_TMP/out")"
elsewhere status >"$ENV_TMP/out"
same 'nor in words' 3 $?
check 'but what was not looked at' grep -q '^unknown *the interfaces were not looked at: .* another network namespace .*; run it in' "$ENV_TMP/out"
check 'and not that it is complete' grep -q '^guard *cannot tell: run it in' "$ENV_TMP/out"
same 'the metrics neither' 'podcred_guard_unknown 2' "$(elsewhere metrics | grep '^podcred_guard_\(unknown\|complete\)')"
check_not 'doctor does not call the interfaces good' grep -q '^ok *interfaces' <(elsewhere doctor --no-probe)
check_not 'nor the path' grep -q '^ok *path' <(elsewhere doctor --no-probe)
same 'nor has it an opinion on it' null "$(elsewhere status --json | jq .path)"
check_not 'nor do the metrics' grep podcred_interfaces <(elsewhere metrics)
same 'from its own it is complete' true "$(complete)"

# ---- a filter that somebody took away ----
index=$(in_node ip -o link show late | cut -d: -f1)
kill -STOP "$RESOLVE_PID"
if [ -e "$PIN_DIR/links/podcred_veth_$index" ]; then
  link_cut "podcred_veth_$index"
else
  in_node tc qdisc del dev late clsact
fi
check 'an interface that lost its program is named' wait_for 10 has_gap "$(no_pods_veth late)"
kill -CONT "$RESOLVE_PID"
in_node ip link del late
check 'an interface that is gone is none' wait_for 10 no_gaps

# ---- somebody else's XDP program ----
xdp_on v1 native
id=$(in_node ip -j -d link show v1 | jq '.[0].xdp.prog.id')
text="native XDP on v1 (program let_pass, id $id) hides whose packets come from the pod there: its connections to the agent are refused as packet_forged"
same 'native XDP is named, with the interface' "$text" "$(gaps)"
check 'doctor fails' grep -qF "$text" <<<"$(doctor)"
check 'and says what to do' grep -q 'generic mode' <(status)
same 'metrics: one gap' 1 "$(metric 'podcred_guard_gaps{kind="interface"}')"
xdp_off
check 'it is gone: all is well' wait_for 10 no_gaps
xdp_on v1 generic
same 'generic XDP hides nothing' '' "$(gaps)"
xdp_off

# ---- a pod's interface whose packets do not come to the node's own ----
if in_node ip link add mv0 link br0 type macvlan mode bridge 2>/dev/null; then
  in_node ip link set mv0 netns "${POD_NETNS[web]}"
  in_web ip link set mv0 up
  text='packets of interface mv0 of pod shop/web never come to the node'
  same 'macvlan on a device without program is named, with its pod' "$text" "$(gaps)"
  check 'doctor fails, too' grep -q '^fail .*mv0 of pod shop/web' <<<"$(doctor)"
  check 'any namespace will do to see that' grep -qF "$text" <<<"$(podcred status)"
  in_node ip route add 169.254.169.254/32 dev br0
  check 'macvlan on an uplink is watched there' wait_for 10 no_gaps
  in_web ip link del mv0
else
  skip 'macvlan' 'no macvlan in this kernel'
fi

# ---- the path past the bridge ----
danger='a neighbour there with CAP_NET_RAW can read and take over connections'
index_of() { in_node ip -o link show "$1" | cut -d: -f1; }
way_out_off() {
  if [ -e "$PIN_DIR/links/podcred_wayout_$(index_of br0)" ]; then
    link_cut "podcred_wayout_$(index_of br0)"
  else
    in_node tc filter del dev br0 egress
  fi
}
# shellcheck disable=SC2046 # bytes
way_forgotten() {
  bpftool map delete pinned "$PIN_DIR/maps/podcred_paths" \
    key $(printf '%08x\n' "$(index_of v1)" | fold -w2 | tac | sed 's/^/0x/')
}
no_path_gaps() { [ -z "$(gaps path)" ]; }
moved() { in_node ip link set v1 "$@" && in_node ip link set v2 "$@"; }

kill -STOP "$RESOLVE_PID"
way_out_off
same 'the way back is not attached: named once' 'br0, which the bridge br0 of pods leads to, has no podcred_wayout' "$(gaps path)"
same 'and the interfaces cross the bridge' 'v1 bridged br0 br0, v2 bridged br0 br0' "$(ways)"
check_not 'status says so by its status' status
check 'and in words' grep -qx 'path *0 interfaces of pods carried past a bridge, 0 without a bridge, 2 across one' <(status)
check 'doctor fails' grep -q '^fail *path .*podcred_wayout' <(in_node "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR")
same 'metrics: not complete, two across' '0 1 2' \
  "$(metric podcred_guard_complete) $(metric 'podcred_guard_gaps{kind="path"}') $(metric 'podcred_interfaces{path="bridged"}')"
kill -CONT "$RESOLVE_PID"
in_node ip link set v2 down
in_node ip link set v2 up
check 'the resolver puts it back' wait_for 10 no_path_gaps
kill -STOP "$RESOLVE_PID"
way_forgotten
same 'a way that is not noted is named' 'the way of interface v1 of a pod to the agent is not in podcred_paths' "$(gaps path)"
moved nomaster
same 'one that is noted wrongly, too' \
  $'the way of interface v1 of a pod to the agent is not in podcred_paths\nthe way of interface v2 of a pod to the agent is not in podcred_paths' \
  "$(gaps path)"
kill -CONT "$RESOLVE_PID"
check 'the resolver notes what is now: no bridge' wait_for 10 ways_are 'v1 direct null null, v2 direct null null'
same 'the guard is complete' true "$(complete)"
in_node ip link add br1 type bridge
in_node ip link set br1 up
moved master br1
check 'a bridge without an address of the node: named, with all its pods' wait_for 10 path_gap_is \
  "the pods behind interface v1 and 1 more come to the agent across br1: $danger"
same 'and the interfaces' 'v1 bridged br1 null, v2 bridged br1 null' "$(ways)"
same 'the guard is not complete' false "$(complete)"
check 'and it says what to do' grep -q '^gap .*br1.*; drop NET_RAW from the pods there' <(status)
moved master br0
in_node ip link del br1
check 'back on the first: all is carried' wait_for 10 ways_are 'v1 carried br0 br0, v2 carried br0 br0'
moved nomaster
if in_node ip link add vrf0 type vrf table 77 2>/dev/null; then
  moved master vrf0
  check 'a VRF is no bridge' wait_for 10 ways_are 'v1 direct null null, v2 direct null null'
  in_node ip link del vrf0
else
  skip 'a VRF is no bridge' 'no VRF in this kernel'
fi
moved master br0
check 'back on the bridge' wait_for 10 ways_are 'v1 carried br0 br0, v2 carried br0 br0'

# A pod that reaches the agent by an interface without an end on the node.
if in_node ip link add mv0 link br0 type macvlan mode bridge 2>/dev/null; then
  in_node ip link set mv0 netns "${POD_NETNS[web]}"
  in_web ip link set mv0 up
  check 'macvlan beside the way to the agent: no concern of the path' no_path_gaps
  in_web ip route add "$NODE_V4/32" dev mv0
  same 'macvlan as the way to the agent is named, with its pod' \
    "pod shop/web comes to the agent by its interface mv0, which has no end on the node: $danger" "$(gaps path)"
  in_web ip link del mv0
fi
check 'all is well' no_path_gaps

# An agent that is a pod of its own network, or elsewhere.
in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --agent 10.98.7.7:7777 >"$ENV_TMP/load" 2>&1 || env_fail "load: $(cat "$ENV_TMP/load")"
in_node ip link set v2 down
in_node ip link set v2 up
same "the agent's address is not the node's own: named once" \
  "the pods behind interface v1 and 1 more come to the agent across br0, as the agent's address is not the node's own: $danger" \
  "$(gaps path)"
check 'and what to do' grep -q '^gap .*; give the agent an address of the node' <(status)
check 'the path is off' grep -qx \
  "path *off, as the agent's address is not the node's own: 2 interfaces of pods, 0 without a bridge, 2 across one" <(status)
off_is_said() { grep -q "the agent's address is not the node's own: until it is, connections of pods" "$ENV_TMP/resolve.log"; }
check 'the resolver says so' wait_for 10 off_is_said
in_node ip link set v2 down
in_node ip link set v2 up
no_paths() { [ "$(bpftool -j map dump pinned "$PIN_DIR/maps/podcred_paths" | jq length)" = 0 ]; }
check 'and forgets the ways' wait_for 10 no_paths
same 'and does not say it again' 1 "$(grep -c "not the node's own" "$ENV_TMP/resolve.log")"
in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --agent "$NODE_V4:$AGENT_PORT" --agent '[fd98::7]:7777' >"$ENV_TMP/load" 2>&1 || env_fail "load: $(cat "$ENV_TMP/load")"
in_node ip link set v2 down
in_node ip link set v2 up
check 'one of two addresses is enough' wait_for 10 ways_are 'v1 carried br0 br0, v2 carried br0 br0'
env_load >/dev/null || env_fail 'load failed'
check 'back at the node: carried' wait_for 10 ways_are 'v1 carried br0 br0, v2 carried br0 br0'

# ---- who may not look ----
same 'without the right to enter networks the rest is known' true \
  "$(in_node setpriv --bounding-set=-sys_admin,-sys_ptrace --inh-caps=-sys_admin,-sys_ptrace \
    "$PODCRED" status --pin-dir "$PIN_DIR" --json | jq .complete)"
check 'and doctor says that something is left' grep -q '^skip .*pods' <<<"$(in_node setpriv \
  --bounding-set=-sys_admin,-sys_ptrace --inh-caps=-sys_admin,-sys_ptrace \
  "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR" | grep '^[a-z]* *interfaces')"
tap_done
