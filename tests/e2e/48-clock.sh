#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The wall clock is set while podcred runs, ahead and back (tests/lib/clock.c): nothing waits longer,
# and nothing lives longer. Nor does the lease outlive a process that hangs, or its loop.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

IMDS=http://169.254.169.254/latest
HOUR=3600
ahead() {
  echo "$1" >"$ENV_TMP/ahead.new"
  mv "$ENV_TMP/ahead.new" "$ENV_TMP/ahead"
}
with_clock() {
  export CLOCK_AHEAD=$ENV_TMP/ahead LD_PRELOAD=$ENV_BUILD/tests/clock.so
  "$@"
  local r=$?
  unset CLOCK_AHEAD LD_PRELOAD
  return $r
}
# When the lease ends, in hundredths of a second since boot.
lease_end() {
  awk -v left="$(podcred metrics | awk '$1 == "podcred_lease_seconds" { print $2 }')" \
    '{ printf "%d\n", ($1 + left) * 100 }' /proc/uptime
}
# Renewed N times from now on; the lease of 5 s goes on to be renewed each second.
renewed() {
  local end n
  for ((n = 0; n < $1; n++)); do
    end=$(lease_end)
    wait_for 10 renewed_after "$end" || { podcred metrics | grep lease && return 1; }
  done
}
renewed_after() { [ "$(lease_end)" -gt $(($1 + 50)) ]; }
said() { grep -q "$1" "$ENV_TMP/resolve.log"; }
answers() { in_pod web curl -sf --max-time 20 "$IMDS/meta-data/iam/security-credentials/"; }
token() { in_pod web curl -sf --max-time 20 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: $1" "$IMDS/api/token"; }
# Status of a request with a token, and the seconds that it has left.
with_token() {
  in_pod web curl -s --max-time 20 -o /dev/null -H "X-aws-ec2-metadata-token: $1" \
    -w '%{http_code} %header{x-aws-ec2-metadata-token-ttl-seconds}' "$IMDS/meta-data/iam/security-credentials/"
}
left_of() {
  local got
  got=$(with_token "$1")
  echo "$got"
  [[ $got =~ ^200\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" -le "$2" ]
}

env_up
pod_add web burstable
echo 'failureMode: open' >"$ENV_TMP/config.yaml"
env_load --config "$ENV_TMP/config.yaml" >/dev/null || env_fail 'load failed'
ahead $HOUR
with_clock env_resolve
with_clock env_serve
check 'the agent answers' wait_for 10 answers
check 'the resolver sees it' wait_for 10 said 'the agent is alive' # the first lease, of load, is longer
check 'the lease is renewed' renewed 2
ahead 0
check 'and still is when the clock goes back an hour' renewed 7
ahead $((10 * HOUR))
check 'and when it goes ahead' renewed 2
check_not 'it has not ended meanwhile' said 'lease has ended'
check 'pods are served' answers

# ---- session tokens ----
token=$(token $((6 * HOUR)))
check 'a token made while the clock is ahead is one of 6 hours' left_of "$token" $((6 * HOUR))
ahead 0
check 'and of no more when it is right again' left_of "$token" $((6 * HOUR))
ahead $((20 * HOUR))
check 'nor does it end because of a clock' left_of "$token" $((6 * HOUR))
ahead $((-20 * HOUR))
check 'whichever way it goes' left_of "$token" $((6 * HOUR))
short=$(token 1)
expired() { [[ $(with_token "$short") == 401* ]]; }
ahead $((-40 * HOUR))
check 'and it ends in time' wait_for 10 expired
ahead 0

# ---- the end of a lease is told ----
cgroup_signal "$AGENT_CGROUP" KILL
check 'the agent dies: the resolver sees it' wait_for 10 said 'the agent does not answer'
check 'and says when the lease has ended' wait_for 10 said 'lease has ended'
same 'once' 1 "$(grep -c 'lease has ended' "$ENV_TMP/resolve.log")"
env_serve
check 'redirected again' wait_for 10 renewed 2
: >"$ENV_TMP/resolve.log"
lease_over() { podcred metrics | grep -qx 'podcred_lease_seconds 0.000'; }
kill -STOP "$RESOLVE_PID"
check 'a resolver that hangs: the lease ends' wait_for 20 lease_over
kill -CONT "$RESOLVE_PID"
check 'it says so when it goes on' wait_for 10 said 'lease has ended'
check 'and that it is over' wait_for 10 said 'the agent is alive'

# ---- who hangs has no lease ----
health() { in_host curl -s --max-time 20 -o /dev/null -w '%{http_code}' "http://$NODE_V4:$AGENT_PORT/healthz"; }
is_known() { podcred pods --json | jq -e --arg name "$1" 'any(.[]; .name == $name)'; }
hold() { # hold PID: its main thread alone, until let_go
  mkfifo "$ENV_TMP/hold"
  python3 "$ENV_ROOT/tests/lib/hold.py" "$1" <"$ENV_TMP/hold" >"$ENV_TMP/held" 2>&1 &
  HOLD_PID=$!
  exec 8>"$ENV_TMP/hold"
  wait_for 10 grep -q held "$ENV_TMP/held" || env_fail "cannot hold $1: $(cat "$ENV_TMP/held")"
}
let_go() {
  exec 8>&-
  wait "$HOLD_PID"
  rm "$ENV_TMP/hold"
}

: >"$ENV_TMP/resolve.log"
kill -STOP "$SERVE_PID"
check 'an agent that hangs: the resolver sees it' wait_for 10 said 'the agent does not answer'
pod_add late burstable
env_podlist "$ENV_TMP/pods.json"
check 'and waits for it with nothing else: a new pod has its name' wait_for 5 is_known late
check 'the lease ends' wait_for 20 lease_over
kill -CONT "$SERVE_PID"
check 'until it goes on' wait_for 10 said 'the agent is alive'
check 'and the lease is renewed' renewed 1

: >"$ENV_TMP/resolve.log"
hold "$SERVE_PID"
check "the agent's loop hangs, and its other threads do not: the lease ends" wait_for 20 lease_over
same 'since its health says so' 503 "$(health)"
check 'and the resolver' said 'the agent does not answer'
let_go
check 'it goes on' wait_for 10 renewed 1
same 'and its health says so' 200 "$(health)"

kill -TERM "$RESOLVE_PID"
wait "$RESOLVE_PID"
env_resolve --metrics "$ENV_TMP/podcred.prom"
running() { grep -qx "podcred_resolver_running $1" "$ENV_TMP/podcred.prom"; }
check 'a resolver writes that it runs' wait_for 20 running 1
check 'and renews the lease' wait_for 10 renewed 1
hold "$RESOLVE_PID"
check "the resolver's loop hangs, and its other threads do not: the lease ends" wait_for 20 lease_over
check 'and its metrics tell' wait_for 40 running 0
let_go
check 'it goes on' wait_for 10 renewed 1
tap_done
