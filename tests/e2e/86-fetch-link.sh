#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What pods get when podcred fetch has to be asked: answers that are away, late, repeated or refused, a fetch that dies,
# and processes that are none. The agent, the kernel and the socket are real; tests/fake/fetch.py answers.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

PYTHON=/usr/bin/python3 # Debian's, which has boto3
ECS=http://169.254.170.2/v1/credentials
IMDS=http://169.254.169.254/latest/meta-data/iam
FETCH_UID=60778

# The file has keys for web alone. It names db, too, with a role that has to be asked for.
env_associations() {
  cat <<'YAML'
associations:
  - namespace: shop
    serviceAccount: web
    role: web-role
    static: {accessKeyId: AKIAWEB, secretAccessKey: secret-of-web, sessionToken: token-of-web}
  - namespace: shop
    serviceAccount: db
    roleArn: arn:aws:iam::111122223333:role/db-role
YAML
}

as_user() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
mode() {
  echo "$*" >"$FETCH/mode.new"
  mv "$FETCH/mode.new" "$FETCH/mode"
}
# fetch_up: as its own user, until it is accepted and has said so
fetch_up() {
  background "$ENV_TMP/fetch.log" ready \
    setpriv --reuid $FETCH_UID --regid $FETCH_UID --clear-groups "$ENV_ROOT/tests/fake/fetch.py" "$SOCKET" "$FETCH"
  FETCH_PID=$!
  wait_for 10 connected 1 || env_fail "the agent does not see fetch: $(cat "$ENV_TMP/serve.log")"
}
fetch_down() {
  kill "$FETCH_PID"
  wait "$FETCH_PID" 2>/dev/null
  wait_for 10 connected 0
}
release() { kill -USR1 "$FETCH_PID"; }
metric() { in_host curl -s --max-time 20 "http://$NODE_V4:9777/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }
connected() { [ "$(metric podcred_agent_fetch_connected)" = "$1" ]; }
waiting() { [ "$(metric podcred_agent_requests_waiting)" = "$1" ]; }
said() { jq -c "select($1)" "$FETCH/said" 2>/dev/null; }
asked() { said ".type == \"credentials\" and .pod == \"$1\"" | wc -l; }
is_asked() { [ "$(asked "$1")" = "$2" ]; }
get() { in_pod "$1" curl -s --max-time 10 -w '\n%{http_code}\n' "${@:3}" "$2"; }
# answer POD URL [OPTION...]: status, and the key without its number, or the code
answer() {
  get "$@" >"$ENV_TMP/answer"
  echo "$(tail -n 1 "$ENV_TMP/answer") $(sed '$d' "$ENV_TMP/answer" | jq -r '.AccessKeyId // .code' 2>/dev/null | sed 's/[0-9]*$//')"
}
key() { get "$1" $ECS | head -n 1 | jq -r .AccessKeyId; }
is_answer() { [ "$(answer "$1" $ECS)" = "$2" ]; }
lines() { grep -c -e "$1" "$ENV_TMP/serve.log"; }

env_up
SOCKET=$ENV_TMP/fetch.sock FETCH=$ENV_TMP/fetch
for pod in web db many mute none gone boto role wait static; do pod_add $pod burstable; done
POD_ACCOUNT[static]='' POD_META[static]="\"annotations\":{\"kubernetes.io/config.mirror\":\"${POD_UID[static]}\"}"
env_load >/dev/null || env_fail 'load failed'
env_resolve --fetch-socket "$SOCKET"
chmod 711 "$ENV_TMP"
mkdir "$FETCH"
chown $FETCH_UID "$FETCH"
cat >"$ENV_TMP/config.yaml" <<'YAML'
credentials:
  imds: {allow: [meta-data/placement/, meta-data/instance-id, dynamic/instance-identity/document]}
YAML
env_serve --config "$ENV_TMP/config.yaml" --fetch-socket "$SOCKET" --metrics-address "$NODE_V4:9777" --log-json
same 'the socket is for the user of fetch, and nobody else' "660 $FETCH_UID" "$(stat -c '%a %u' "$SOCKET")"

# ---- it is not there ----
same 'keys in the file need no fetch' '200 AKIAWEB' "$(answer web $ECS)"
same 'without fetch: wait, and be told to ask again' '503 CredentialsUninitialized' "$(answer db $ECS)"
get db $IMDS/security-credentials/ >"$ENV_TMP/answer"
same 'the same at the metadata service' '503 - CredentialsUninitialized 503' "$(xargs <"$ENV_TMP/answer")"
check 'each is a line with reason and latency' jq -es 'map(select(.reason? == "credentials_pending"))
  | length == 2 and (.[0].latency_ms | tonumber > 1400) and .[0].pod == "db"' <(grep '^{' "$ENV_TMP/serve.log")
mode grant
pod_env=(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials HOME="$ENV_TMP")
in_pod boto env "${pod_env[@]}" $PYTHON "$ENV_ROOT/tests/clients/credentials.py" >"$ENV_TMP/boto" 2>&1 &
boto=$!
check 'an SDK asks meanwhile' wait_for 10 waiting 1
fetch_up
wait $boto
check 'fetch comes: the SDK gets its credentials by asking again, or by waiting' grep -q 'accessKeyId=ASIABOTO' "$ENV_TMP/boto"

# ---- what it says is what pods get ----
same 'a pod whose role is in the file, without keys' '200 ASIADB' "$(answer db $ECS)"
same 'its account is in the answer' 111122223333 "$(sed '$d' "$ENV_TMP/answer" | jq -r .AccountId)"
same 'a pod that the file does not name' '200 ASIAROLE' "$(answer role $ECS)"
same 'the metadata service lists that role' 'role-role 200' "$(get role $IMDS/security-credentials/ | xargs)"
same 'and gives its credentials' '200 ASIAROLE' "$(answer role $IMDS/security-credentials/role-role)"
same 'iam/info has the partition of the role' 'arn:aws-cn:iam::111122223333:instance-profile/role-role' \
  "$(get role $IMDS/info | head -n 1 | jq -r .InstanceProfileArn)"
same 'all of it by one question' 1 "$(asked role)"
same 'in which the kernel says who asks' \
  "{\"namespace\":\"shop\",\"pod\":\"role\",\"uid\":\"${POD_UID[role]}\",\"account\":\"role\",\"token\":null}" \
  "$(said '.pod == "role"' | jq -c '{namespace, pod, uid: .podUid, account: .serviceAccount, token}')"
check 'the log says which role, session and source, and that it was fetched' jq -es '
  map(select(.pod? == "role" and .result == "granted"))[0] |
  .role_arn == "arn:aws-cn:iam::111122223333:role/x/role-role" and .session_name == "shop.role" and
  .source == "sts" and .cache == "miss"' <(grep '^{' "$ENV_TMP/serve.log")
check_not 'no secret is in the log' grep -qE 'secret/|token\+' "$ENV_TMP/serve.log"
same 'a static pod, which has no service account, has no credentials' '404 NoCredentialsAssociated' "$(answer static $ECS)"
same 'which nobody needs to be asked' 0 "$(asked static)"

# ---- slow ----
mode hold
for n in 1 2 3 4 5 6; do get many $ECS >"$ENV_TMP/many.$n" & done
check 'six requests of a pod wait' wait_for 10 waiting 6
check 'for one question' wait_for 10 is_asked many 1
mode grant
release
all_answered() { [ "$(cat "$ENV_TMP"/many.? | grep -c '^200$')" = 6 ]; }
check 'its answer is that of all six' wait_for 10 all_answered
same 'the same one' 1 "$(cat "$ENV_TMP"/many.? | grep -o 'ASIAMANY[0-9]*' | sort -u | wc -l)"
mode hold
same 'an answer that is too late: ask again' '503 CredentialsUninitialized' "$(answer wait $ECS)"
mode grant
release
check 'it is there for who does' wait_for 10 is_answer wait '200 ASIAWAIT'
same 'without another question' 1 "$(asked wait)"

# ---- refused ----
is_refused() { is_answer none "$2" && [ "$(sed '$d' "$ENV_TMP/answer" | jq -r .message)" = "told so: $1" ]; }
refused() { # REASON STATUS CODE
  mode refuse "$1" 0
  check "$1: $2 $3" wait_for 10 is_refused "$1" "$2 $3" # one that was told before holds for a moment
}
refused denied 403 AccessDenied
refused invalid 403 AccessDenied
refused throttled 429 ThrottlingException
refused unavailable 503 ServiceUnavailable
refused node_credentials 503 ServiceUnavailable
refused token_invalid 400 InvalidToken
refused busy 503 ServiceUnavailable
refused internal 500 InternalServerError
mode refuse no_association 60000
check 'no_association: 404' wait_for 10 is_answer none '404 NoCredentialsAssociated'
same 'at the metadata service: no role' '404 - Not Found 404' "$(get none $IMDS/security-credentials/ | xargs)"
n=$(asked none)
for _ in 1 2 3; do answer none $ECS >"$ENV_TMP/again"; done
same 'a refusal holds for a while, without questions' "$n" "$(asked none)"

# ---- older and newer ----
mode grant 0
first=$(key mute)
mode refuse unavailable 0
newer() { [ "$(key mute)" != "$first" ]; }
is_due() { key mute >/dev/null && [ "$(asked mute)" = 2 ]; }
check 'what is due is asked for again' wait_for 10 is_due
same 'until there is something newer, pods get what there is' "$first" "$(key mute)"
mode grant 0
check 'then they get that' wait_for 10 newer
kill -KILL "$FETCH_PID"
wait "$FETCH_PID" 2>/dev/null
check 'fetch is killed' wait_for 10 connected 0
same 'who has credentials keeps them' '200 ASIAROLE' "$(answer role $ECS)"
same 'and nobody else gets any' '503 CredentialsUninitialized' "$(answer gone $ECS)"
get gone $ECS >"$ENV_TMP/later" &
later=$!
check 'a request waits' wait_for 10 waiting 1
fetch_up
wait $later
# whether the request itself was still waiting when the next one came depends on how busy the machine is
check 'what was asked before is asked of the next one' wait_for 10 is_asked gone 1
check 'and the pod gets its credentials' wait_for 10 is_answer gone '200 ASIAGONE'
same 'without another question' 1 "$(asked gone)"

# ---- forgotten ----
echo "${POD_UID[role]}" >"$FETCH/flush"
kill -USR2 "$FETCH_PID"
n=$(asked role)
is_asked_again() { answer role $ECS >/dev/null && [ "$(asked role)" -gt "$n" ]; }
check 'flush of a pod: it is asked about again' wait_for 10 is_asked_again
n=$(asked db)
answer db $ECS >/dev/null
same 'the others are not' "$n" "$(asked db)"
rm "$FETCH/flush"
kill -USR2 "$FETCH_PID"
db_is_asked_again() { answer db $ECS >/dev/null && [ "$(asked db)" -gt "$n" ]; }
check 'flush of all' wait_for 10 db_is_asked_again
check 'the agent keeps something about the pod' wait_for 10 is_answer gone '200 ASIAGONE'
kept=$(metric 'podcred_agent_leaves{state="granted"}')
rmdir "${POD_CGROUP[gone]}/container" "${POD_CGROUP[gone]}"
is_forgotten() { [ "$(metric 'podcred_agent_leaves{state="granted"}')" -lt "$kept" ]; }
check 'until its cgroup is removed' wait_for 30 is_forgotten
is_told() { [ "$(said ".type == \"gone\" and .podUid == \"${POD_UID[gone]}\"" | wc -l)" -ge 1 ]; }
check 'fetch is told, too' wait_for 10 is_told

# ---- the rest of the metadata service ----
mkdir -p "$FETCH/tree/latest/meta-data/placement" "$FETCH/tree/latest/meta-data/iam/security-credentials-extended"
printf eu-west-1 >"$FETCH/tree/latest/meta-data/placement/region"
printf eu-west-1a >"$FETCH/tree/latest/meta-data/placement/availability-zone"
printf i-0123456789 >"$FETCH/tree/latest/meta-data/instance-id"
echo secret >"$FETCH/tree/latest/user-data"
echo secret >"$FETCH/tree/latest/meta-data/iam/security-credentials-extended/node"
document() { get "$1" "http://169.254.169.254$2" --path-as-is "${@:3}" | xargs; }
same 'a document below a tree that is allowed' 'eu-west-1 200' "$(document web /latest/meta-data/placement/region)"
same 'however it is spelled, and for every pod' 'eu-west-1 200' "$(document db '/2021-07-15//meta-data/./placement/%72egion/')"
same 'with a session token' 'i-0123456789 200' "$(document web /latest/meta-data/instance-id -H \
  "X-aws-ec2-metadata-token: $(in_pod web curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)")"
same 'not with a wrong one' '401 - Unauthorized 401' "$(document web /latest/meta-data/instance-id -H 'X-aws-ec2-metadata-token: x')"
same 'one that the real service has not' '404 - Not Found 404' "$(document web /latest/meta-data/placement/nothing)"
same 'boto3 finds its region by it' eu-west-1 "$(in_pod web env HOME="$ENV_TMP" $PYTHON -c '
from botocore.utils import InstanceMetadataRegionFetcher
print(InstanceMetadataRegionFetcher().retrieve_region())' 2>&1)"
for path in /latest/user-data /latest/meta-data/iam/security-credentials-extended/node /latest/meta-data/mac \
  /latest/meta-data/placement/../../user-data /latest/meta-data/placement/%2e%2e/%2e%2e/user-data \
  /latest/meta-data/placement/..%2f..%2fuser-data /latest/meta-data/placement/%252e%252e/iam/info \
  '/latest/meta-data/placement/..;/iam/info' /latest/dynamic/instance-identity/signature /latest/ /; do
  check_not "not given away: $path" grep -q ' 200$' <<<"$(document web "$path")"
done
same 'fetch was asked for documents only once, and for nothing else' \
  '/latest/meta-data/instance-id /latest/meta-data/placement/availability-zone /latest/meta-data/placement/nothing /latest/meta-data/placement/region' \
  "$(said '.type == "metadata"' | jq -r .path | sort | xargs)"

# ---- in numbers ----
in_host curl -s --max-time 20 "http://$NODE_V4:9777/metrics" | python3 "$ENV_ROOT/tests/lib/prometheus.py" >"$ENV_TMP/samples"
check 'the metrics are well formed, and count answers by what they were' jq -e '
  .["podcred_agent_fetch_answers_total{result=\"granted\",cache=\"miss\"}"] >= 8 and
  .["podcred_agent_fetch_answers_total{result=\"throttled\"}"] >= 1 and
  .podcred_agent_leaves_used_total >= 10 and .podcred_agent_documents >= 3 and
  .podcred_agent_fetch_questions_total >= 16' "$ENV_TMP/samples"

# ---- others at the socket ----
dialled() { as_user "$1" $PYTHON "$ENV_ROOT/tests/fake/fetch.py" "$SOCKET" "$FETCH" >"$ENV_TMP/other.log" 2>&1; }
check_not "the agent's socket is closed to other users" dialled $((FETCH_UID + 1))
chmod 666 "$SOCKET"
check_not 'whatever its mode' dialled $((FETCH_UID + 1))
check 'with a line in the log' wait_for 10 grep -q "of user $((FETCH_UID + 1)) at .*: that user may not" "$ENV_TMP/serve.log"
chmod 660 "$SOCKET"
same 'fetch itself is still there' '200 ASIADB' "$(answer db $ECS)"
second() { # PATTERN PATH
  in_agent "$PODCRED" serve --agent "$NODE_V4:7778" --associations "$ENV_TMP/associations.yaml" --metrics-address off \
    --fetch-socket "$2" >"$ENV_TMP/second.log" 2>&1
  [ $? -eq 1 ] && grep -q "$1" "$ENV_TMP/second.log" && return
  note "$(cat "$ENV_TMP/second.log")"
  return 1
}
check 'a second agent cannot take the socket' second "another process listens at $SOCKET" "$SOCKET"
check 'a file is left alone' second 'is not a socket' "$ENV_TMP/associations.yaml"
check 'a place that does not exist' second 'No such file or directory' /nowhere/fetch.sock
same 'the first one still has its fetch' '200 ASIADB' "$(answer db $ECS)"
mode garbage
answer none $ECS >"$ENV_TMP/again"
check 'a fetch that sends nonsense is cut off' wait_for 10 connected 0
same 'with one line' 1 "$(lines 'podcred fetch sent a message that is not JSON')"
same 'the agent goes on' '200 AKIAWEB' "$(answer web $ECS)"
check 'at most one question of a pod was in flight' test "$(metric podcred_agent_fetch_in_flight)" -le 2
check_not 'no secret is in the log' grep -qE 'secret/|token\+' "$ENV_TMP/serve.log"
tap_done
