#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred run: one process tree, which may lose any of its processes.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

ask() { in_pod web curl -sS --max-time 20 http://169.254.170.2/v1/credentials; }
gives_key() { ask | grep -q '"AccessKeyId":"AKIAWEB"'; }
refused() { in_pod web curl -s --max-time 20 -o /dev/null http://169.254.170.2/; [ $? -eq 7 ]; }
agent_pid() { head -n 1 "$AGENT_CGROUP/cgroup.procs"; }
web_policy() { podcred pods --json | jq -e ".[] | select(.name == \"web\") | .policy == \"$1\""; }
# status_of PID FIELD
status_of() { awk -v field="$2:" '$1 == field { $1 = ""; print substr($0, 2) }' "/proc/$1/status"; }
agent_metrics() { in_node ss -Htln | grep -q ":$1 "; }
# Of the resolver of this run, by its name.
resolver_pid() { pgrep -P "$RUN_PID" -x podcred-resolve; }
resolver_runs() { podcred metrics | grep -q '^podcred_resolver_running 1'; }
agent_gone() { [ -z "$(cat "$AGENT_CGROUP/cgroup.procs")" ]; }

env_up
pod_add web burstable
env_podlist "$ENV_TMP/pods.json"
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")

env_run
check 'run with the embedded default configuration hands out credentials' wait_for 10 gives_key
same 'the agent listens on the first address of the node' \
  "podcred: redirecting to $NODE_V4:7777" "$(grep redirecting "$ENV_TMP/run.log")"
same 'the agent runs as a user of its own' "60777 60777 60777 60777" "$(status_of "$(agent_pid)" Uid)"
same 'the agent holds no capability' 0000000000000000 "$(status_of "$(agent_pid)" CapEff)"

kill -KILL "$(agent_pid)"
check 'an agent that was killed is started again' wait_for 10 gives_key

kill -KILL "$RUN_PID"
wait "$RUN_PID" 2>/dev/null
check 'the agent ends with a supervisor that was killed' wait_for 10 agent_gone
check 'the guard holds with no process of ours: connection refused' refused
check 'and status calls it complete' podcred status
for child in serve resolve; do
  check "podcred-$child says why it ends" \
    wait_for 10 grep -q "^podcred-$child: podcred run is gone; ending" "$ENV_TMP/run.log"
done

env_run
check 'run again takes over what is attached' wait_for 10 gives_key
check 'and has updated it in place' grep -q '(0 programs attached' "$ENV_TMP/run.log"
kill -TERM "$RUN_PID"
wait "$RUN_PID"
same 'run ends well on SIGTERM' 0 $?
check 'what was attached before stays attached' refused

podcred unload >/dev/null
env_run
check 'run once more, from nothing' wait_for 10 gives_key
kill -INT "$RUN_PID"
wait "$RUN_PID"
check_not 'run takes away what it attached itself' test -e "$PIN_DIR"
check 'and says that nothing is guarded any more' grep -q 'nothing is guarded any more' "$ENV_TMP/run.log"
env_run
check 'run, to be stopped beside a loader at work' wait_for 10 gives_key
exec 7<"$PIN_DIR"
flock 7
kill -TERM "$RUN_PID"
wait "$RUN_PID"
same 'run that cannot detach fails' 1 $?
exec 7<&-
check 'and says what is still attached' grep -q 'programs are still attached, and guard: .* is locked' "$ENV_TMP/run.log"
check_not 'and nothing else' grep -q 'nothing is guarded' "$ENV_TMP/run.log"
check 'they are' podcred status
podcred unload >/dev/null
printf 'policy: []\nmetrics: "%s:9100"\n' "$NODE_V4" >"$ENV_TMP/config.yaml"
env_run --keep --config "$ENV_TMP/config.yaml" --metrics "$ENV_TMP/run.prom"
check 'run --keep starts' wait_for 10 gives_key
check 'run --metrics writes the file' wait_for 10 grep -q '^podcred_guard_complete 1' "$ENV_TMP/run.prom"
check 'the agent has its metrics where the configuration says' wait_for 10 agent_metrics 9100
check_not 'and not where they are without one' agent_metrics 7778
check 'without a rule for it a pod is redirected' web_policy redirect
echo 'policy: [{namespace: shop, action: deny}]' >"$ENV_TMP/config.yaml"
kill -HUP "$RUN_PID"
check 'SIGHUP: the resolver of run reads the policy again' wait_for 10 web_policy deny
# A file that is broken by now is of no interest to a child that is started again.
printf 'policy: [\n' >"$ENV_TMP/config.yaml"
AGENT_PID=$(agent_pid)
RESOLVER_PID=$(resolver_pid)
agent_is_another() { [ -n "$(agent_pid)" ] && [ "$(agent_pid)" != "$AGENT_PID" ] && agent_metrics 9100; }
resolver_is_another() { [ -n "$(resolver_pid)" ] && [ "$(resolver_pid)" != "$RESOLVER_PID" ] && resolver_runs; }
kill -KILL "$AGENT_PID" "$RESOLVER_PID"
check 'an agent that is started again has the configuration of before' wait_for 20 agent_is_another
check 'and so has the resolver' wait_for 20 resolver_is_another
check 'the policy of before is in force' wait_for 10 web_policy deny
kill -HUP "$RUN_PID"
check 'SIGHUP: run says what is wrong with the file' \
  wait_for 10 grep -q '^podcred: warning: .*/config.yaml:.*; the configuration read before stays in force' "$ENV_TMP/run.log"
check 'and the policy of before stays in force' web_policy deny
echo 'policy: []' >"$ENV_TMP/config.yaml"
kill -HUP "$RUN_PID"
check 'SIGHUP: a file that is valid again counts' wait_for 10 web_policy redirect
kill -TERM "$RUN_PID"
wait "$RUN_PID"
check 'with --keep the guard stays' refused
tap_done
