#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Secrets stay where they belong. All that AWS's stand-in has ever handed out is known; it is looked for in what people and
# programs can read: the log at its most talkative, command lines and environments, metrics, answers that are no grant, what the
# commands print. And in memory, of those that never had it, and after it was needed.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch.sh
. "$(dirname "$0")/../lib/fetch.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

SECRETS=$ENV_ROOT/tests/lib/secrets.py
TOKEN=planted.service-account-token.$RANDOM$RANDOM$RANDOM

part() { pgrep -P "$RUN_PID" -x "podcred-$1"; }
process() { if [ "$1" = run ]; then echo "$RUN_PID"; else part "$1"; fi; }
ask() { in_pod "$1" curl -sS --max-time 10 "${@:2}" http://169.254.170.2/v1/credentials; }
key() { ask "$1" | jq -r .AccessKeyId; }
has_key() { key "$1" | grep -q ^ASIA; }
# One that is not about to be replaced.
lasts() { ask "$1" | jq -e '.Expiration | fromdateiso8601 > now + 600'; }
# What a pod gets and what fetch says, without secrets, when that is not what was waited for.
soon() { # SECONDS CMD...
  wait_for "$@" && return
  for pod in web db static; do ask "$pod" 2>&1 | jq -Rc '. as $raw | try (fromjson | {AccessKeyId, Expiration, code, message}) catch $raw'; done
  in_node curl -sS http://127.0.0.1:7778/metrics | grep '^podcred_agent_\(fetch\|leaves\)'
  aws_do '{"state": []}' && echo
  grep -v 'debug:' "$ENV_TMP/run.log" | grep -v podcred-serve | tail -20 | cut -c1-300
  return 1
}
imds_key() {
  local token
  token=$(in_pod "$1" curl -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  in_pod "$1" curl -sS -H "X-aws-ec2-metadata-token: $token" \
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/$2" | jq -r .AccessKeyId
}
another_key() {
  local now
  now=$(key web)
  [[ $now == ASIA* && $now != "$1" ]]
}
# known FILE: what must not be found; all that there has been, the pod's token, and what the files hold
known() { aws_do '{"secrets": []}' | jq --arg token "$TOKEN" '. + [$token, "secret-of-static-credentials"]' >"$1"; }
known_are() { [ "$(jq length "$1")" -ge "$2" ]; }
search() { "$SECRETS" "$ENV_TMP/known" "$@"; }

env_up systemd
for pod in web db denied static stranger; do pod_add "$pod" burstable; done
aws_up
aws_do "{\"role\": {\"arn\": \"${FETCH_ROLE}denied\", \"deny\": true}}" >"$ENV_TMP/out"
fetch_config 'tokens: {verify: "off"}'
sed -i 's/\[environment\]/[imds]/' "$ENV_TMP/config.yaml"
{
  fetch_associations | grep -vE 'static|stranger'
  printf '  - {namespace: shop, serviceAccount: static, role: s, static: {accessKeyId: AKIASTATIC, secretAccessKey: %s, sessionToken: t}}\n' \
    secret-of-static-credentials
} >"$ENV_TMP/associations.yaml"
aws_do '{"set": {"lifetime": 8}}' >"$ENV_TMP/out"
: >"$ENV_TMP/nothing.env"
fetch_run "$ENV_TMP/nothing.env" --debug --metrics "$ENV_TMP/metrics"
check 'a pod gets credentials that were fetched' soon 10 has_key web

# Everything that can be said, good and bad.
first=$(key web)
imds_key web web >"$ENV_TMP/imds"
ask static >"$ENV_TMP/granted"
for pod in denied stranger; do ask "$pod" -H "Authorization: $TOKEN" >>"$ENV_TMP/refusals"; done
in_pod web curl -sS -H "Authorization: $TOKEN" http://169.254.170.23/v1/credentials >"$ENV_TMP/granted"
in_pod web curl -sS -H "Authorization: $TOKEN" -H 'Host: evil.example' http://169.254.170.23/v1/credentials >>"$ENV_TMP/refusals"
in_pod web curl -sS -H "X-aws-ec2-metadata-token: $TOKEN" http://169.254.169.254/latest/meta-data/iam/info >>"$ENV_TMP/refusals"
aws_do '{"fault": {"service": "sts", "do": "error", "code": "Throttling", "status": 400, "times": 3}}' >"$ENV_TMP/out"
check 'and new ones, after AWS has throttled' soon 60 another_key "$first"
aws_do '{"fault": {"service": "sts", "do": "garbage", "times": 2}}' >"$ENV_TMP/out"
second=$(key web)
check 'and after it has answered nonsense' soon 60 another_key "$second"
aws_do '{"credentials": {"who": "node"}}' | jq '[.secretAccessKey, .sessionToken]' >"$ENV_TMP/known"
check_not "the node's credentials are in the memory of podcred-fetch" search "memory:$(part fetch)"
aws_do '{"expire": {"who": "node"}, "node": {}}' >"$ENV_TMP/out"
third=$(key web)
check 'and with other credentials of the node' soon 60 another_key "$third"
check 'the former ones are not in its memory any more' wait_for 30 search "memory:$(part fetch)"
cp "$ENV_TMP/associations.yaml" "$ENV_TMP/good.yaml"
echo '  - {namespace: shop, serviceAccount: broken, static: {secretAccessKey: secret-of-static-credentials}}' >>"$ENV_TMP/associations.yaml"
kill -HUP "$RUN_PID"
check 'a file with a mistake is refused' wait_for 10 grep -q 'associations.yaml:' "$ENV_TMP/run.log"
cp "$ENV_TMP/good.yaml" "$ENV_TMP/associations.yaml"
{
  for command in status pods peers flows metrics; do podcred "$command"; done
  in_node curl -sS http://127.0.0.1:7778/metrics
} >"$ENV_TMP/printed" 2>&1

known "$ENV_TMP/known"
check 'there are secrets to look for' known_are "$ENV_TMP/known" 10
# What is found where it belongs shows that it would be found elsewhere.
check_not 'they are found where they belong: in the file' search "$ENV_TMP/associations.yaml"
check_not 'and in the memory of the agent' search "memory:$(part serve)"
check 'none in the log' search "$ENV_TMP/run.log"
check 'none in what was refused' search "$ENV_TMP/refusals"
check 'none in what the commands print, and in the metrics' search "$ENV_TMP/printed" "$ENV_TMP/metrics"
for name in serve fetch resolve; do
  check "none in the command line, environment and title of podcred-$name" search "proc:$(part "$name")"
done
check 'none in those of podcred run' search "proc:$RUN_PID"
jq '.[:-1]' "$ENV_TMP/known" >"$ENV_TMP/fetched" && mv "$ENV_TMP/fetched" "$ENV_TMP/known" # run hands the file over
check 'the resolver never had one in its memory' search "memory:$(part resolve)"
check 'nor has podcred run' search "memory:$RUN_PID"

# Nobody but root may look into them.
is_closed() { # NAME
  local pid uid
  pid=$(process "$1")
  uid=$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")
  [ "$(stat -c %u "/proc/$pid/environ")" = 0 ] || { echo "uid $uid may read /proc/$pid/environ" && return 1; }
  [ "$(awk '/^Max core file size/ { print $5 }' "/proc/$pid/limits")" = 0 ] || { grep core "/proc/$pid/limits" && return 1; }
  setpriv --reuid "$uid" --clear-groups --bounding-set -all --inh-caps -all /usr/bin/python3 - "$pid" <<'PY'
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])
for name in ("mem", "environ", "maps"):
    try:
        open(f"/proc/{pid}/{name}", "rb").read(1)
    except PermissionError:
        continue
    sys.exit(f"{name} can be read")
if libc.ptrace(16, pid, 0, 0) == 0:  # PTRACE_ATTACH, which gcore does
    sys.exit("ptrace attaches")
PY
}
for name in serve fetch resolve run; do
  check "podcred $name cannot be looked into, not by its own user" is_closed "$name"
done

# The pod is gone: nobody needs its credentials any more.
current() { aws_calls 'map(select(.issued and .roleArn == "'"${FETCH_ROLE}web"'")) | map(.issued) | .[]'; }
secrets_of_web() {
  local id
  for id in $(current); do aws_do "{\"credentials\": {\"who\": \"$id\"}}" | jq '.secretAccessKey, .sessionToken'; done | jq -s .
}
aws_do '{"set": {"lifetime": 3600}}' >"$ENV_TMP/out"
check 'a pod asks until it has some that last' soon 60 lasts web
# Each place that they have passed through is wiped: one copy is what is needed.
copies() { search "memory:$(part "$1")" | sed -n 's/.*as it is, //p' | sort -u; }
aws_calls 'map(select(.issued and .roleArn == "'"${FETCH_ROLE}web"'")) | last.issued' >"$ENV_TMP/last"
aws_do "{\"credentials\": {\"who\": \"$(cat "$ENV_TMP/last")\"}}" | jq '[.secretAccessKey, .sessionToken]' >"$ENV_TMP/known"
for name in serve fetch; do
  same "the credentials of a pod that runs are in memory once: podcred-$name" '1 times' "$(copies "$name")"
done
secrets_of_web >"$ENV_TMP/known"
pod_end web
env_podlist "$ENV_TMP/pods.json"
wiped() { search "memory:$(part "$1")"; }
for name in serve fetch; do
  wait_for 10 wiped "$name" # a search takes its time
  check "and not when it is gone: podcred-$name" wiped "$name"
done

# The keys of a user, by environment: only who fetches needs them.
kill "$RUN_PID" && wait "$RUN_PID"
sed -i 's/\[imds\]/[environment]/' "$ENV_TMP/config.yaml"
# Where everybody may leave a core, as large as it likes.
mkdir -m 1777 "$ENV_TMP/cores"
chmod 711 "$ENV_TMP"
cd "$ENV_TMP/cores" || exit
ulimit -c unlimited
fetch_run "$AWS/user.env"
check 'a pod gets credentials by keys of the environment' soon 60 has_key db
aws_do '{"credentials": {"who": "user"}}' | jq '[.secretAccessKey]' >"$ENV_TMP/known"
check 'podcred-serve does not have these keys' search "proc:$(part serve)" "memory:$(part serve)"

# None leaves a core when it breaks.
cores() { find "$ENV_TMP/cores" -type f; }
ended() { [ ! -e "/proc/$1" ]; }
replaced() { [ -n "$(part "$1")" ] && [ "$(part "$1")" != "$2" ]; }
crash_parts() { # SIGNAL
  local name pids=()
  for name in serve fetch resolve; do pids+=("$(part "$name")"); done
  kill -s "$1" "${pids[@]}"
  for name in serve fetch resolve; do
    check "SIG$1 ends podcred-$name, and it is started again" wait_for 20 replaced "$name" "${pids[0]}"
    pids=("${pids[@]:1}")
  done
}
crash_run() { # SIGNAL
  local pid pids status
  mapfile -t pids < <(pgrep -P "$RUN_PID")
  kill -s "$1" "$RUN_PID"
  wait "$RUN_PID" 2>"$ENV_TMP/out"
  status=$?
  same "SIG$1 ends podcred run" "$1" "$(kill -l $status)"
  for pid in "${pids[@]}"; do wait_for 20 ended "$pid"; done
}
for signal in SEGV ABRT; do
  crash_parts $signal
  crash_run $signal
  same "SIG$signal: no core of podcred" '' "$(cores)"
  [ $signal = ABRT ] || fetch_run "$AWS/user.env"
done
setpriv --reuid 60778 --clear-groups /usr/bin/python3 -c 'import os; os.abort()' 2>"$ENV_TMP/out"
if [ -n "$(cores)" ]; then
  check 'another program would have left one there' true
else
  skip 'another program would have left one there' "$(cat /proc/sys/kernel/core_pattern): cores go elsewhere"
fi
tap_done
