#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Eight pods connect as fast as they can, in every way that a connection can begin and end. Each
# one that the agent accepts must carry the right identity, and nothing may be left behind.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

HAMMER=$ENV_BUILD/tests/hammer
V4=169.254.170.23
V6=fd00:ec2::23
MODES='full close reset nb-close nb-reset'
PER_MODE=800

no_flows() { [ "$(podcred flows --json)" = '[]' ]; }
no_peers() { [ "$(podcred peers --json)" = '[]' ]; }
stat_of() { podcred status --json | jq ".counters.$1"; }
pending() {
  bpftool -j map dump pinned "$PIN_DIR/maps/podcred_quota" |
    jq '[.[].formatted.value.pending] | map(fabs) | add'
}
nothing_pending() { [ "$(pending)" = 0 ]; }

nothing_left() {
  check "$1: no flow is left" wait_for 10 no_flows || podcred flows
  check "$1: no peer is left" wait_for 10 no_peers || podcred peers
  check "$1: no pod has pending connections on its quota" wait_for 10 nothing_pending ||
    note "pending: $(pending)"
}

field() { sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$1" | awk '{ n += $1 } END { print n + 0 }'; }

server_up() {
  background "$ENV_TMP/server" ready in_agent "$HAMMER" server "$ENV_TMP/expected" 4 "$NODE_V4" \
    "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
}

agent_kill() { cgroup_signal "$AGENT_CGROUP" "$1"; }

env_up cgroupfs
for n in 1 2 3 4 5 6 7 8; do
  pod_add "pod$n" "$([ $((n % 2)) = 0 ] && echo burstable || echo guaranteed)"
  echo "${POD_IP[pod$n]} ${POD_UID[pod$n]}" >>"$ENV_TMP/expected"
  echo "${POD_IP6[pod$n]} ${POD_UID[pod$n]}" >>"$ENV_TMP/expected"
done
env_load >/dev/null || env_fail 'load failed'
env_resolve
server_up

# ---- all modes at once, half of the pods over IPv6 ----
pod_load() {
  local host=$V4 mode
  [ "${1#pod}" -le 4 ] || host=$V6
  for mode in $MODES; do
    in_pod "$1" "$HAMMER" client "$mode" $host 80 $PER_MODE 4 "${POD_UID[$1]}" \
      >>"$ENV_TMP/client-$mode"
  done
}
loads=()
for n in 1 2 3 4 5 6 7 8; do
  pod_load "pod$n" &
  loads+=($!)
done
wait "${loads[@]}"
for mode in $MODES; do
  same "$mode: every connect succeeded" "$((8 * PER_MODE))" \
    "$(field "$ENV_TMP/client-$mode" connected)"
done
same 'each full request was answered with its own pod' '0 0 0 0' \
  "$(for f in failed wrong unstamped unnamed; do field "$ENV_TMP/client-full" $f; done | xargs)"
nothing_left 'after the hammer'
known=$((3 * 8 * PER_MODE))
agent_kill TERM
note "clients: $((8 * 5 * PER_MODE)) connections; server: $(tail -n 1 "$ENV_TMP/server")"
check "the agent accepted all $known whose handshake ended" \
  test "$(field "$ENV_TMP/server" accepted)" -ge $known
same 'no connection was unstamped, unnamed or wrong' '0 0 0' \
  "$(for f in unstamped unnamed wrong; do field "$ENV_TMP/server" $f; done | xargs)"
same 'the kernel agrees' "0 0 0 $(field "$ENV_TMP/server" accepted)" \
  "$(for c in unstamped seal_failed flow_conflict claimed; do stat_of $c; done | xargs)"

# ---- clients killed in the middle ----
background "$ENV_TMP/mute" ready in_agent "$HAMMER" mute "$NODE_V4" "$AGENT_PORT" 0
background "$ENV_TMP/pend" ready in_pod pod1 "$HAMMER" pend $V4 80 100
same '100 connects to a full backlog pend' 100 "$(field "$ENV_TMP/pend" pending)"
check 'and are listed as flows of their pod' test "$(podcred flows --json |
  jq '[.[] | select(.pod == "shop/pod1")] | length')" -gt 80
same 'and are counted on its quota' "$(podcred flows --json | jq length)" "$(pending)"
echo 1 >"${POD_CGROUP[pod1]}/cgroup.kill"
check 'clients killed with their SYN on the way: no flow is left' wait_for 10 no_flows
check 'and no pending connection' wait_for 10 nothing_pending
agent_kill KILL
nothing_left 'after the mute agent was killed'

server_up
background "$ENV_TMP/hold" ready in_pod pod2 "$HAMMER" hold $V4 80 4
same 'connections that stay are peers' 4 "$(podcred peers --json | jq length)"
echo 1 >"${POD_CGROUP[pod2]}/cgroup.kill"
nothing_left 'clients killed while connected'

# abandoned before the answer came: the other side is a black hole
in_pod pod3 ip neigh replace "$NODE_V4" lladdr 02:00:00:00:00:01 dev eth0 nud permanent
in_pod pod3 "$HAMMER" client nb-close $V4 80 500 4 >"$ENV_TMP/abandoned"
same '500 abandoned connects' 500 "$(field "$ENV_TMP/abandoned" connected)"
nothing_left 'abandoned in a black hole'

# ---- the agent dies under live connections ----
background "$ENV_TMP/hold" ready in_pod pod4 "$HAMMER" hold $V4 80 4
agent_kill KILL
nothing_left 'agent killed under live connections'
same 'a connect without an agent is refused' \
  'connected=0 failed=1 wrong=0 unstamped=0 unnamed=0 errno=ECONNREFUSED' \
  "$(in_pod pod5 "$HAMMER" client full $V4 80 1 1)"
nothing_left 'refused'
server_up
same 'a new agent knows its clients at once' \
  'connected=50 failed=0 wrong=0 unstamped=0 unnamed=0 errno=-' \
  "$(in_pod pod5 "$HAMMER" client full $V4 80 50 2 "${POD_UID[pod5]}")"

# ---- a pod's network goes away under its connections ----
background "$ENV_TMP/hold" ready in_pod pod6 "$HAMMER" hold $V4 80 4
ip netns del "${POD_NETNS[pod6]}"
echo 1 >"${POD_CGROUP[pod6]}/cgroup.kill"
check 'network namespace removed: no flow is left' wait_for 10 no_flows
tap_done
