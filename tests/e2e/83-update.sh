#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A DaemonSet is updated while pods ask for credentials without a pause. With maxSurge the new pod loads, and starts
# its resolver and agent, beside the old one, which is then deleted. No request may fail.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

ASKER=$ENV_ROOT/tests/lib/asker.py
URL=http://169.254.170.2/v1/credentials
declare -A SERVE RESOLVE ASKERS

# ---- what the containers of a pod of the DaemonSet do ----
agent_load() {
  in_pod "$1" "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent "$NODE_V4:$AGENT_PORT" "${@:2}" \
    >"$ENV_TMP/load-$1.log" 2>&1
}
agent_resolve() {
  in_pod "$1" "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --pods "$ENV_TMP/pods.json" \
    --standby >"$ENV_TMP/resolve-$1.log" 2>&1 &
  RESOLVE[$1]=$!
}
# begin_serve AGENT [OPTION...]
begin_serve() {
  in_pod "$1" "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml" \
    --user "$ENV_UID" --handover "${@:2}" >"$ENV_TMP/serve-$1.log" 2>&1 &
  SERVE[$1]=$!
}
agent_serve() {
  begin_serve "$1"
  wait_for 10 grep -q 'agent ready' "$ENV_TMP/serve-$1.log" || env_fail "no agent: $(cat "$ENV_TMP/serve-$1.log")"
}
agent_up() {
  agent_load "$@" || env_fail "load: $(cat "$ENV_TMP/load-$1.log")"
  agent_resolve "$1"
  agent_serve "$1"
}
# Deleted, as the kubelet does it: SIGTERM to all, then the cgroup is removed.
agent_delete() {
  cgroup_signal "${POD_CGROUP[$1]}/container" TERM
  wait "${SERVE[$1]}" ${RESOLVE[$1]:+"${RESOLVE[$1]}"} 2>/dev/null
  find "${POD_CGROUP[$1]}" -depth -type d -exec rmdir {} +
}
# Nobody but the root's own threads looks for it.
is_resolving() { grep -q 'resolver ready' "$ENV_TMP/resolve-$1.log"; }
is_complete() { podcred status --json | jq -e .complete; }

# ---- what the pods do ----
# In a cgroup of the pod that is not that of what else is started there.
ask() {
  mkdir -p "${POD_CGROUP[$1]}/$2"
  background "$ENV_TMP/asker-$1-$2" ready in_cgroup "${POD_CGROUP[$1]}/$2" "${POD_NETNS[$1]}" python3 "$ASKER" "$URL" "AKIA${1^^}" "$2"
  ASKERS[$1-$2]=$!
}
askers_end() {
  local name
  for name in "${!ASKERS[@]}"; do cgroup_signal "${POD_CGROUP[${name%-*}]}/${name#*-}" TERM; done
  for name in "${!ASKERS[@]}"; do wait "${ASKERS[$name]}"; done
  sed -n '/^asked/s/^/# /p' "$ENV_TMP"/asker-*
}
# On one connection it has an answer, on the other it asks when the first one ends: a client that has not had the time.
# shellcheck disable=SC2016 # the pod's shell expands it
SLOW='ask() { printf "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n"; }
  exec 3<>/dev/tcp/169.254.170.2/80 4<>/dev/tcp/169.254.170.2/80
  ask >&4; head -c 12 <&4; echo; echo connected
  cat <&4 >/dev/null
  ask >&3; cat <&3'
ask_slowly() {
  background "$ENV_TMP/slow" connected in_pod slow bash -c "$SLOW"
  SLOW_PID=$!
}

sum() { sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" "$ENV_TMP"/asker-* | awk '{ n += $1 } END { print n + 0 }'; }
asked() { podcred status --json | jq '.counters.claimed'; }
asked_more() { [ "$(asked)" -gt $(($1 + 50)) ]; }
# Until the pods have asked some more.
keep_asking() {
  local before
  before=$(asked)
  wait_for 20 asked_more "$before" || note 'nobody asks'
}

env_up
for n in 0 1 2 3 4 5 6; do pod_add "agent$n" burstable host; done
pod_add cart burstable
pod_add till besteffort
pod_add late guaranteed
pod_add slow burstable
env_podlist "$ENV_TMP/pods.json"
env_associations >"$ENV_TMP/associations.yaml"
chown "$ENV_UID" "$ENV_TMP/associations.yaml"
chmod 711 "$ENV_TMP"
agent_up agent0
wait_for 10 is_resolving agent0
check 'the first pod of the DaemonSet is complete' is_complete

# ---- updates ----
for pod in cart till; do
  ask "$pod" fresh
  ask "$pod" kept
done
keep_asking
for n in 1 2; do
  agent_load "agent$n" || cat "$ENV_TMP/load-agent$n.log"
  check "update $n: with the new pod loaded, the old agent has its programs still" \
    test -e "$PIN_DIR/links/podcred_claim_before"
  keep_asking
  agent_resolve "agent$n"
  check 'the new resolver stands by' wait_for 10 grep -q 'standing by' "$ENV_TMP/resolve-agent$n.log"
  agent_serve "agent$n"
  keep_asking
  agent_delete "agent$((n - 1))"
  check 'and follows the pods when the old one has ended' wait_for 10 is_resolving "agent$n"
  [ $n != 2 ] || ask late fresh
  keep_asking
  check 'the guard is complete' is_complete
done

# ---- a new pod that never gets ready: the update is taken back ----
agent_load agent3
keep_asking
find "${POD_CGROUP[agent3]}" -depth -type d -exec rmdir {} +
keep_asking
check 'the new pod goes before its agent has come: the old one is the agent again' wait_for 10 is_complete
is_alone() { ! test -e "$PIN_DIR/links/podcred_claim_before"; }
check 'there is no agent before it' wait_for 30 is_alone # its pin goes after that
ask_slowly
agent_up agent4
keep_asking
agent_delete agent2
wait "$SLOW_PID"
check 'an agent that ends answers who was connected and had not asked yet' grep -q AKIASLOW "$ENV_TMP/slow" ||
  sed 's/^/# /' "$ENV_TMP/slow"
wait_for 10 is_resolving agent4
keep_asking
check 'the next update succeeds' is_complete
check_not 'no agent had to end before that' grep -h 'without an answer' "$ENV_TMP"/serve-*.log
askers_end
note "$(sum asked) requests through three updates; $(sum again) sent again on a new connection"
check 'the pods have asked' test "$(sum asked)" -gt 500
same 'no request failed' 0 "$(sum failed)"
same 'none was answered with the credentials of another pod' 0 "$(sum wrong)"

# ---- failureMode: open: the agent before counts as alive until the new one has come ----
lease() { bpftool -j map lookup pinned "$PIN_DIR/maps/podcred_runtime" key 3 0 0 0 | jq -c .value; }
lease_is_new() { [ "$(lease)" != "$granted" ]; }
printf 'failureMode: open\n' >"$ENV_TMP/open.yaml"
agent_load agent4 --config "$ENV_TMP/open.yaml"
agent_load agent5 --config "$ENV_TMP/open.yaml"
for _ in 1 2; do
  granted=$(lease)
  check 'while the new agent has not come yet, the lease is renewed for the old one' wait_for 10 lease_is_new
done

# ---- with podcred fetch: the new agent listens when it can answer as the old one does ----
FETCH=$ENV_TMP/fetch FETCH_UID=60778
mkdir "$FETCH"
chown $FETCH_UID "$FETCH"
fetch_up() {
  background "$ENV_TMP/fetch.log" ready \
    setpriv --reuid $FETCH_UID --regid $FETCH_UID --clear-groups "$ENV_ROOT/tests/fake/fetch.py" "$ENV_TMP/fetch.sock" "$FETCH"
  FETCH_PID=$!
}
said() { # TEXT [AGENT]
  grep -q "$1" "$ENV_TMP/serve-${2:-agent5}.log" || { sed 's/^/# /' "$ENV_TMP/serve-${2:-agent5}.log"; false; }
}
begin_serve agent5 --fetch-socket "$ENV_TMP/fetch.sock"
check 'an agent without fetch lets the old one answer' wait_for 10 said 'another agent answers pods'
fetch_up
check 'fetch has come' wait_for 10 said 'podcred fetch is there'
check_not 'but does not know yet how tokens are verified' grep 'agent ready' "$ENV_TMP/serve-agent5.log"
check 'the old one answers' grep -q AKIACART <(in_pod cart curl -s --max-time 10 "$URL")
kill $FETCH_PID
wait $FETCH_PID 2>/dev/null
echo '{"verify": "review", "audience": "pods.eks.amazonaws.com"}' >"$FETCH/keys"
fetch_up
check 'with that, it takes over' wait_for 10 said 'agent ready'
agent_delete agent4
check 'and answers' grep -q AKIACART <(in_pod cart curl -s --max-time 10 "$URL")
agent_load agent6
begin_serve agent6 --fetch-socket "$ENV_TMP/fetch6.sock"
check 'the next one waits too' wait_for 10 said 'another agent answers pods' agent6
agent_delete agent5
check 'but not for an agent that has gone' wait_for 10 said 'agent ready' agent6
tap_done
