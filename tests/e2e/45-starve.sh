#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Eight pods of one attacker take all the connections of the agent that they can get. Every request
# of another pod must succeed, and so must a health check; and the log stays readable.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

STARVE=$ENV_BUILD/tests/starve
V4=169.254.170.23
V6=fd00:ec2::23
EVIL='evil1 evil2 evil3 evil4 evil5 evil6 evil7 evil8'
GREED=96  # connections that each of them wants; it may have 64
TOTAL=512 # of all pods
HOSTILE=300 # of a process of the node; those without a stamp may have 256

peers_of() { podcred peers --json | jq "[.[] | select((.pod // \"\") | test(\"^shop/$1\"))] | length"; }
evil_hold_all() { [ "$(peers_of evil)" -ge $((TOTAL - 32)) ]; }
all_ready() { [ "$(cat "$ENV_TMP"/hold.* | grep -c ready)" -eq "$1" ]; }
lines() { grep -c "result=$1 .*pod=$2 " "$ENV_TMP/serve.log"; }
suppressed() {
  sed -n "s/.*result=suppressed count=\([0-9]*\) .*pod=$1 .*/\1/p" "$ENV_TMP/serve.log" |
    awk '{ n += $1 } END { print n + 0 }'
}
health() { in_host curl -sS --max-time 5 -o /dev/null -w '%{http_code}' "http://$NODE_V4:$AGENT_PORT/healthz"; }
ask() { in_pod victim "$STARVE" ask "$1" 80 "$2" "$3" AKIAVICTIM; }

env_up cgroupfs
pod_add victim burstable
for pod in $EVIL; do pod_add "$pod" besteffort; done
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve
same 'alone, the victim is answered' 'ok=10 failed=0' "$(ask $V4 10 new)"

# ---- all slots are theirs ----
for pod in $EVIL; do
  in_pod "$pod" "$STARVE" hold $V4 80 $GREED >"$ENV_TMP/hold.$pod" &
done
check 'the attackers connect' wait_for 60 all_ready 8
check 'and hold what there is' wait_for 30 evil_hold_all
note "peers: $(peers_of evil) of the attackers"
same 'the victim is answered on new connections' 'ok=200 failed=0' "$(ask $V4 200 new)"
same 'and over IPv6' 'ok=100 failed=0' "$(ask $V6 100 new)"
same 'and on one that it keeps' 'ok=250 failed=0' "$(ask $V4 250 keep)"
same 'and as a whole pool of clients' 'ok=20 failed=0' "$(
  pids=()
  for n in {1..16}; do
    ask $V4 20 keep >"$ENV_TMP/pool.$n" &
    pids+=($!)
  done
  wait "${pids[@]}"
  sort -u "$ENV_TMP"/pool.*
)"
same 'a health check is answered' 200 "$(health)"
check 'and all that time the attackers held what there is' evil_hold_all

# ---- unknown callers too ----
in_host "$STARVE" hold "$NODE_V4" "$AGENT_PORT" "$HOSTILE" dawdle >"$ENV_TMP/hold.host" &
check 'a host process connects and dawdles' wait_for 60 all_ready 9
same 'the victim is answered' 'ok=100 failed=0' "$(ask $V4 100 new)"
for n in 1 2 3 4 5; do
  same "health check $n is answered" 200 "$(health)"
done
for pod in $EVIL; do
  cgroup_signal "${POD_CGROUP[$pod]}/container" TERM
  note "$pod: $(tail -n 1 "$ENV_TMP/hold.$pod")"
done
cgroup_signal "$ENV_CGROUP/host" TERM
note "host: $(tail -n 1 "$ENV_TMP/hold.host")"

# ---- a flood of refusals ----
granted=$((10 + 200 + 100 + 250 + 16 * 20 + 100))
same 'every grant to the victim was logged' $granted "$(lines granted victim)"
pod_add noisy besteffort
env_podlist "$ENV_TMP/pods.json"
noisy_named() { podcred pods | grep -q noisy; }
wait_for 10 noisy_named || env_fail 'the pod gets no name'
same '300 refused requests' 'refused=300 failed=0' "$(in_pod noisy "$STARVE" bad $V4 80 300)"
accounted() { [ $(($(lines refused noisy) + $(suppressed noisy))) -eq 300 ]; }
check 'each is logged or counted' wait_for 10 accounted ||
  note "logged: $(lines refused noisy), counted: $(suppressed noisy)"
check 'most are only counted' test "$(suppressed noisy)" -gt 150
same 'a grant is logged all the same' 'ok=1 failed=0' "$(ask $V4 1 new)"
same 'as one more line' $((granted + 1)) "$(lines granted victim)"
tap_done
