#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred run with a section credentials: a third child gets credentials from a stand-in of AWS. Each child may die.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"

ECS=http://169.254.170.2/v1/credentials
EKS=http://169.254.170.23/v1/credentials
FETCH_UID=$((ENV_UID + 1))

associations() {
  echo 'associations:'
  for account in "$@"; do
    printf -- '  - {namespace: shop, serviceAccount: %s, roleArn: "arn:aws:iam::111122223333:role/%s"}\n' "$account" "$account"
  done
}
child() { pgrep -P "$RUN_PID" -x "podcred-$1"; }
runs() { [ -n "$(child "$1")" ]; }
ask() { in_pod "$1" curl -s --max-time 10 "${2:-$ECS}"; }
key() { ask "$1" | jq -r '.AccessKeyId // .code'; }
issued() { aws_calls "map(select(.action == \"AssumeRole\" and .roleArn == \"arn:aws:iam::111122223333:role/$1\")) | last | .issued"; }
has_issued() { [ "$(issued "$1")" != null ]; }
gives_issued() { has_issued "$1" && [ "$(key "$1")" = "$(issued "$1")" ]; }
asks() { key "$1" | grep -q '^ASIA'; }
user_of() { awk '/^Uid:/ { print $2, $3, $4 }' "/proc/$(child "$1")/status"; }
metric() { in_host curl -s --max-time 20 "http://$NODE_V4:9777/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }
connected() { [ "$(metric podcred_agent_fetch_connected)" = "$1" ]; }
# replaced NAME PID: it runs as another process
replaced() { runs "$1" && [ "$(child "$1")" != "$2" ]; }

env_up
for pod in web db late gone; do pod_add $pod burstable; done
env_podlist "$ENV_TMP/pods.json"
aws_up
umask 077
associations web db gone >"$ENV_TMP/associations.yaml"
cat >"$ENV_TMP/config.yaml" <<YAML
agent: ["$NODE_V4:$AGENT_PORT"]
metrics: "$NODE_V4:9777"
credentials:
  region: eu-west-1
  endpoints: {sts: "$STS_URL", imds: "$IMDS_URL"}
YAML
env_run --config "$ENV_TMP/config.yaml" --user "$ENV_UID" --fetch-user "$FETCH_UID"
check 'a pod gets credentials that were made for it' wait_for 20 asks web
check 'those that STS has issued' gives_issued web
same 'fetch has a user of its own' "$FETCH_UID $FETCH_UID $FETCH_UID" "$(user_of fetch)"
same 'a service account without an association gets none' NoCredentialsAssociated "$(key late)"
same 'nobody asks for tokens where nobody can verify them' "$(key web)" "$(ask web $EKS | jq -r '.AccessKeyId // .code')"

fetch=$(child fetch)
kill -KILL "$fetch"
same 'fetch is killed: who has credentials keeps them' "$(issued web)" "$(key web)"
check 'it is started again' wait_for 20 replaced fetch "$fetch"
check 'and connected' wait_for 20 connected 1
check 'others get theirs' wait_for 20 asks db

serve=$(child serve)
kill -KILL "$serve"
check 'the agent is killed, and started again' wait_for 20 replaced serve "$serve"
check 'the new one has the same fetch' wait_for 20 asks web
same 'which has kept what it had' "$(issued web)" "$(key web)"
check 'the resolver is connected to the new one, too' wait_for 20 asks gone
kept=$(metric 'podcred_agent_leaves{state="granted"}')
rmdir "${POD_CGROUP[gone]}/container" "${POD_CGROUP[gone]}"
is_forgotten() { [ "$(metric 'podcred_agent_leaves{state="granted"}')" -lt "$kept" ]; }
check 'a pod that has ended is forgotten' wait_for 30 is_forgotten

resolve=$(child resolve)
kill -KILL "$resolve"
check 'the resolver is killed, and started again' wait_for 20 replaced resolve "$resolve"

associations web db late >"$ENV_TMP/associations.yaml"
kill -HUP "$RUN_PID"
check 'SIGHUP: a new association counts' wait_for 20 asks late
kill -TERM "$RUN_PID"
wait "$RUN_PID"
same 'all end on SIGTERM' 0 $?
same 'one user for both is refused' 1 "$("$PODCRED" run --pin-dir "$PIN_DIR" --config "$ENV_TMP/config.yaml" \
  --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --pods "$ENV_TMP/pods.json" --associations "$ENV_TMP/associations.yaml" \
  --user 60001 --fetch-user 60001 2>&1 | grep -c "podcred fetch would have the agent's user")"
tap_done
