#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Probes: what a kubelet asks, by HTTP from the node and by "podcred ready" in a container of the agent's pod. Each
# part that fails makes the pod unready, and probes are nobody's unknown callers.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

AGENT=$NODE_V4:$AGENT_PORT
# As a process of the agent's container.
ready() { in_pod agent "$PODCRED" ready --agent "$AGENT" "$@"; }
# not_ready TEXT ARG...
not_ready() {
  local text=$1
  shift
  ready "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"
  same "not ready: $text" 1 $?
  check 'one line says why' grep -q "^podcred: .*$text" "$ENV_TMP/err" || cat "$ENV_TMP/err"
}
load() {
  in_pod agent "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent "$AGENT" >"$ENV_TMP/load.log" 2>&1 ||
    env_fail "$(cat "$ENV_TMP/load.log")"
}
probe() { in_host curl -s -m 5 -o "$ENV_TMP/body" -w '%{http_code}' "http://$AGENT/$1"; }
# Requests of nobody, by the kernel and by the agent.
unknown() { podcred status --json | jq -c '[.counters.unstamped // 0, .counters.unstamped_node // 0]'; }

env_up
pod_add agent burstable host
pod_add cart burstable
uid=${POD_UID[agent]}
not_ready 'no answer of the agent'
load
not_ready 'no answer of the agent'
env_associations >"$ENV_TMP/associations.yaml"
in_pod agent "$PODCRED" serve --agent "$AGENT" --associations "$ENV_TMP/associations.yaml" --pod-uid "$uid" \
  >"$ENV_TMP/serve.log" 2>&1 &
wait_for 10 agent_is_up_at "$NODE_V4" || env_fail "$(cat "$ENV_TMP/serve.log")"
check 'without a resolver a connection arrives with its stamp' ready
not_ready 'does not know yet who this pod is' --pod-uid "$uid"
not_ready 'no resolver follows the pods' --resolver --pin-dir "$PIN_DIR"
env_resolve
is_ready() { ready --pod-uid "$uid"; }
check 'with one, the agent knows this pod by name' wait_for 10 is_ready
same 'ready says so' ready "$(ready --pod-uid "$uid")"
same 'ready --json' '{"ready":true}' "$(ready --json | jq -c .)"
check 'the resolver works' podcred ready --resolver
not_ready 'the agent of another pod answers' --pod-uid "${POD_UID[cart]}"
not_ready 'is not the uid of a pod' --pod-uid nonsense
in_environment() { PODCRED_AGENT=$AGENT PODCRED_POD_UID=$1 in_pod agent "$PODCRED" ready 2>&1; }
same 'address and uid come from the environment, too' ready "$(in_environment "$uid")"
check 'both of them' grep -q 'the agent of another pod answers' <(in_environment "${POD_UID[cart]}")
same 'not asked in a pod: there is no stamp' \
  'podcred: the connection came to the agent without a stamp: run this in the agent'"'"'s pod, and podcred load from there first' \
  "$(in_host "$PODCRED" ready --agent "$AGENT" 2>&1)"

# ---- by HTTP, as a kubelet asks ----
same '/healthz and /readyz from the node' '200 200' "$(probe healthz) $(probe readyz)"
same 'readyz says no more to a caller without a stamp' '{"ready":true,"stamped":false}' "$(jq -c . "$ENV_TMP/body")"
before=$(unknown)
for _ in $(seq 20); do
  probe healthz >/dev/null
  probe readyz >/dev/null
  ready >/dev/null
done
same 'probes are not counted as unknown callers' "$before" "$(unknown)"
probe v1/credentials >/dev/null
check 'others from the node are' [ "$before" != "$(unknown)" ]
check_not 'the log of the agent has nothing of probes' grep -q 'readyz\|healthz' "$ENV_TMP/serve.log"
note "ready takes $({ time -p ready >/dev/null; } 2>&1 | awk '{ printf "%s %s s ", $1, $2 }')"

# ---- what breaks ----
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
check_not 'the resolver has ended: it is not ready' podcred ready --resolver
check 'the agent is, and knows the name still' ready --pod-uid "$uid"
link_cut podcred_getsock
not_ready '503 podcred.s programs are not attached to the cgroup that the agent was started in'
same 'so says /readyz' 503 "$(probe readyz)"
same 'and the agent lives' 200 "$(probe healthz)"
load
check 'load mends it' ready --pod-uid "$uid"
link_cut podcred_claim
not_ready 'no answer of the agent'
load
link_cut podcred_conn4
not_ready 'without a stamp'
load
check 'all is well again' ready --pod-uid "$uid"
tap_done
