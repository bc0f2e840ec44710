#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All that the agent's threads do, at once: pods that ask on new and on kept connections, one whose
# pod has no name, connections that end early, associations read again and again; then a stop in
# the middle of it. What counts is what the sanitizers say; every answer must be right as well.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

STARVE=$ENV_BUILD/tests/starve
V4=169.254.170.23
V6=fd00:ec2::23
ask() { in_pod "$1" "$STARVE" ask "$2" 80 "$3" "$4" "AKIA${1^^}"; }
status_of() { in_pod "$1" curl -s --max-time 20 -o /dev/null -w '%{http_code}' "http://$V4/v1/credentials"; }
ended() { ! kill -0 "$1" 2>/dev/null; }

env_up cgroupfs
pod_add web burstable
pod_add db guaranteed
pod_add cache besteffort
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve
pod_add late burstable # in no PodList: its requests wait, and time out
check 'a named pod is answered' wait_for 10 ask web $V4 1 new

pids=()
for n in 1 2; do
  for pod in web db cache; do
    ask $pod $V4 40 new >"$ENV_TMP/new.$pod.$n" & pids+=($!)
    ask $pod $V6 40 keep >"$ENV_TMP/keep.$pod.$n" & pids+=($!)
  done
done
for n in 1 2 3 4; do
  status_of late >"$ENV_TMP/late.$n" & pids+=($!)
  # gone before the answer
  in_pod late curl -s --max-time 0.2 "http://$V4/v1/credentials" >/dev/null & pids+=($!)
done
for _ in {1..20}; do
  kill -HUP "$SERVE_PID" "$RESOLVE_PID"
  sleep 0.1
done
wait "${pids[@]}"
for kind in new keep; do
  same "every request on $kind connections was answered" 'ok=40 failed=0' \
    "$(cat "$ENV_TMP/$kind".* | sort -u)"
done
same 'a pod without a name was refused, after the wait' 503 "$(cat "$ENV_TMP"/late.* | sed 's/503/503\n/g' | sort -u | xargs)"
check 'the associations were read again' wait_for 10 grep -q 'associations' "$ENV_TMP/serve.log"

# ---- the end, with connections open and requests suspended ----
in_pod web "$STARVE" hold $V4 80 20 >"$ENV_TMP/hold" & hold=$!
check 'connections are open' wait_for 20 grep -q ready "$ENV_TMP/hold"
status_of late >"$ENV_TMP/last" &
kill -TERM "$SERVE_PID"
check 'the agent ends in the middle of it' wait_for 30 ended "$SERVE_PID"
kill "$hold" 2>/dev/null
kill -TERM "$RESOLVE_PID"
wait "$RESOLVE_PID"
same 'the resolver ends well' 0 $?
tap_done
