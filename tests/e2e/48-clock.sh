#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The wall clock is set while podcred runs, ahead and back (tests/lib/clock.c): nothing waits longer,
# and nothing lives longer.
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
answers() { in_pod web curl -sf --max-time 5 "$IMDS/meta-data/iam/security-credentials/"; }
token() { in_pod web curl -sf --max-time 5 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: $1" "$IMDS/api/token"; }
# Status of a request with a token, and the seconds that it has left.
with_token() {
  in_pod web curl -s --max-time 5 -o /dev/null -H "X-aws-ec2-metadata-token: $1" \
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
tap_done
