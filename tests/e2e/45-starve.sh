#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A job of many processes, then eight pods of one attacker, take all the connections of the agent that
# they can get, and others send it half requests. Every request of another pod must succeed, and so must
# a health check; the lease holds, and the log stays readable.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

STARVE=$ENV_BUILD/tests/starve
V4=169.254.170.23
V6=fd00:ec2::23
ELSEWHERE=10.99.0.9
EVIL='evil1 evil2 evil3 evil4 evil5 evil6 evil7 evil8'
GREED=160  # connections that each of them wants
TOTAL=1024 # of all pods
JOB=1200   # that the processes of one pod keep
HOSTILE=300 # of a process of the node; those without a stamp may have 256

peers_of() { podcred peers --json | jq "[.[] | select((.pod // \"\") | test(\"^shop/$1\"))] | length"; }
hold_all() { [ "$(peers_of "$1")" -ge $((TOTAL - 32)) ]; }
all_ready() { [ "$(cat "$ENV_TMP"/hold.* | grep -c ready)" -eq "$1" ]; }
lines() { grep -c "result=$1 .*pod=$2 " "$ENV_TMP/serve.log"; }
suppressed() {
  sed -n "s/.*result=suppressed count=\([0-9]*\) .*pod=$1 .*/\1/p" "$ENV_TMP/serve.log" |
    awk '{ n += $1 } END { print n + 0 }'
}
health() { in_host curl -sS --max-time 5 -o /dev/null -w '%{http_code}' "http://$NODE_V4:$AGENT_PORT/healthz"; }
ask() { in_pod victim "$STARVE" ask "$1" 80 "$2" "$3" AKIAVICTIM; }
healthy() { # healthy COUNT: how many of them were answered
  local n ok=0
  for ((n = 0; n < $1; n++)); do
    [ "$(health)" != 200 ] || ok=$((ok + 1))
  done
  echo $ok
}

env_up cgroupfs
pod_add victim burstable
pod_add job burstable
for pod in $EVIL; do pod_add "$pod" besteffort; done
echo 'failureMode: open' >"$ENV_TMP/config.yaml"
env_load --config "$ENV_TMP/config.yaml" >/dev/null || env_fail 'load failed'
env_resolve
env_serve
same 'alone, the victim is answered' 'ok=10 failed=0' "$(ask $V4 10 new)"

# ---- a job of many processes ----
in_pod job "$STARVE" hold $V4 80 $JOB keep >"$ENV_TMP/hold.job" &
check 'a job keeps all connections that there are' wait_for 60 hold_all job
same 'its next processes are answered, each at the first try' 'ok=150 failed=0' \
  "$(in_pod job "$STARVE" crowd $V4 80 150 AKIAJOB)"
same 'so is another pod' 'ok=50 failed=0' "$(ask $V4 50 new)"
check 'and all that time the job kept what there is' hold_all job
cgroup_signal "${POD_CGROUP[job]}/container" TERM
note "job: $(tail -n 1 "$ENV_TMP/hold.job")"
rm "$ENV_TMP"/hold.*

# ---- all slots are theirs ----
for pod in $EVIL; do
  in_pod "$pod" "$STARVE" hold $V4 80 $GREED >"$ENV_TMP/hold.$pod" &
done
check 'the attackers connect' wait_for 60 all_ready 8
check 'and hold what there is' wait_for 30 hold_all evil
note "peers: $(peers_of evil) of the attackers"
same 'the victim is answered on new connections' 'ok=100 failed=0' "$(ask $V4 100 new)"
same 'and over IPv6' 'ok=50 failed=0' "$(ask $V6 50 new)"
same 'and on one that it keeps' 'ok=120 failed=0' "$(ask $V4 120 keep)"
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
check 'and all that time the attackers held what there is' hold_all evil

# ---- unknown callers too ----
in_host "$STARVE" hold "$NODE_V4" "$AGENT_PORT" "$HOSTILE" dawdle >"$ENV_TMP/hold.host" &
check 'a host process connects and dawdles' wait_for 60 all_ready 9
same 'the victim is answered' 'ok=50 failed=0' "$(ask $V4 50 new)"
same 'health checks are answered' 10 "$(healthy 10)"
for pod in $EVIL; do
  cgroup_signal "${POD_CGROUP[$pod]}/container" TERM
  note "$pod: $(tail -n 1 "$ENV_TMP/hold.$pod")"
done
cgroup_signal "$ENV_CGROUP/host" TERM
note "host: $(tail -n 1 "$ENV_TMP/hold.host")"
rm "$ENV_TMP"/hold.*

# ---- half requests, from an address that is not the agent's ----
in_node ip addr add $ELSEWHERE/32 dev lo
in_host "$STARVE" flood "$NODE_V4" "$AGENT_PORT" $ELSEWHERE >"$ENV_TMP/flood" &
flooded() { grep -q ready "$ENV_TMP/flood"; }
check 'a flood of them comes' wait_for 60 flooded
same 'health checks are answered' 40 "$(healthy 40)"
same 'the victim is answered' 'ok=50 failed=0' "$(ask $V4 50 new)"
cgroup_signal "$ENV_CGROUP/host" TERM
note "flood: $(tail -n 1 "$ENV_TMP/flood")"
for pod in $EVIL; do
  in_pod "$pod" "$STARVE" hold "$NODE_V4" "$AGENT_PORT" $GREED dawdle >"$ENV_TMP/hold.$pod" &
done
check 'pods dawdle over them, with a stamp' wait_for 60 all_ready 8
same 'health checks are answered' 10 "$(healthy 10)"
same 'the victim is answered' 'ok=20 failed=0' "$(ask $V4 20 new)"
for pod in $EVIL; do cgroup_signal "${POD_CGROUP[$pod]}/container" TERM; done
check_not 'the lease held all the time' grep 'does not answer' "$ENV_TMP/resolve.log"

# ---- a flood of refusals ----
granted=$((10 + 50 + 100 + 50 + 120 + 16 * 20 + 50 + 50 + 20))
pod_add noisy besteffort
env_podlist "$ENV_TMP/pods.json"
noisy_named() { podcred pods | grep -q noisy; }
wait_for 10 noisy_named || env_fail 'the pod gets no name'
same '300 refused requests' 'refused=300 failed=0' "$(in_pod noisy "$STARVE" bad $V4 80 300)"
accounted() { [ $(($(lines refused noisy) + $(suppressed noisy))) -eq 300 ]; }
check 'each is logged or counted' wait_for 10 accounted ||
  note "logged: $(lines refused noisy), counted: $(suppressed noisy)"
check 'most are only counted' test "$(suppressed noisy)" -gt 150
same 'others are granted all the same' 'ok=1 failed=0' "$(ask $V4 1 new)"

# ---- grants: a line for the first, and counts ----
kill -TERM "$SERVE_PID"
ended() { ! kill -0 "$SERVE_PID"; }
check 'the agent ends' wait_for 10 ended
same 'every grant to the victim is in a line or in a count' $((granted + 1)) "$(
  grep -E 'result=granted .*pod=victim ' "$ENV_TMP/serve.log" |
    sed -n 's/.*result=granted count=\([0-9]*\) .*/\1/p; t; s/.*/1/p' | awk '{ n += $1 } END { print n + 0 }'
)"
check 'nearly all in counts' test "$(lines granted victim)" -lt 60 ||
  grep 'pod=victim' "$ENV_TMP/serve.log"
tap_done
