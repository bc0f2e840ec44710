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
gaps() { status --json | jq -r '.gaps[] | select(.kind == "interface").text'; }
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
same 'metrics: no gap of that kind' 0 "$(metric 'podcred_guard_gaps{kind="interface"}')"

# ---- a new interface, while nobody follows ----
kill -STOP "$RESOLVE_PID"
in_node ip link add late type veth peer name eth1 netns "${POD_NETNS[web]}"
same 'an interface that is not up is none' '' "$(gaps)"
in_node ip link set late up
same 'the resolver hangs: a new interface of a pod is named' "$(no_pods_veth late)" "$(gaps)"
same 'the guard is not complete' false "$(complete)"
check_not 'status says so by its status' status
check 'and in words' grep -q 'guard .*INCOMPLETE' <<<"$(status)"
check 'doctor fails' grep -q '^fail .*late' <<<"$(doctor)"
same 'metrics: one gap' 1 "$(metric 'podcred_guard_gaps{kind="interface"}')"
same 'metrics: not complete' 0 "$(metric podcred_guard_complete)"
kill -CONT "$RESOLVE_PID"
check 'the resolver goes on: all are watched' wait_for 10 no_gaps

# ---- from another network namespace ----
elsewhere() { "$PODCRED" "$1" --pin-dir "$PIN_DIR" "${@:2}"; }
elsewhere status --json >"$ENV_TMP/out"
same 'from another network namespace status cannot tell' '3 null interface true' \
  "$? $(jq -r '"\(.complete) \(.gaps[0].kind) \(.gaps[0].unknown)"' "$ENV_TMP/out")"
elsewhere status >"$ENV_TMP/out"
same 'nor in words' 3 $?
check 'but what was not looked at' grep -q '^unknown *the interfaces were not looked at: .* another network namespace .*; run it in' "$ENV_TMP/out"
check 'and not that it is complete' grep -q '^guard *cannot tell: run it in' "$ENV_TMP/out"
same 'the metrics neither' 'podcred_guard_unknown 1' "$(elsewhere metrics | grep '^podcred_guard_\(unknown\|complete\)')"
check_not 'doctor does not call the interfaces good' grep -q '^ok *interfaces' <(elsewhere doctor --no-probe)
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

# ---- who may not look ----
same 'without the right to enter networks the rest is known' true \
  "$(in_node setpriv --bounding-set=-sys_admin,-sys_ptrace --inh-caps=-sys_admin,-sys_ptrace \
    "$PODCRED" status --pin-dir "$PIN_DIR" --json | jq .complete)"
check 'and doctor says that something is left' grep -q '^skip .*pods' <<<"$(in_node setpriv \
  --bounding-set=-sys_admin,-sys_ptrace --inh-caps=-sys_admin,-sys_ptrace \
  "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR" | grep '^[a-z]* *interfaces')"
tap_done
