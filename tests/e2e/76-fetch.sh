#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred fetch: credentials of a stand-in of AWS that checks every signature and parameter, through serve, for pods.
# One call for all pods that may share it, refresh ahead, and the designed answer to each fault.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch_pods.sh
. "$(dirname "$0")/../lib/fetch_pods.sh"

ACCOUNT=arn:aws:iam::111122223333
CLUSTER=arn:aws:eks:eu-west-1:111122223333:cluster/demo
SHARERS=(s1 s2 s3 s4 s5)
PYTHON=/usr/bin/python3 # Debian's, which has boto3

# ---- the two processes ----

config() {
  cat <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  cluster: {name: demo, arn: "$CLUSTER"}
  endpoints: {sts: "$STS_URL", eksAuth: "$EKS_AUTH_URL", imds: "$IMDS_URL"}
  imds: {allow: [meta-data/placement/region]}
YAML
}

# entry ACCOUNT LINE...: of the associations file
entry() {
  printf -- '  - namespace: shop\n    serviceAccount: %s\n' "$1"
  printf '    %s\n' "${@:2}"
}

associations() {
  echo 'associations:'
  entry web "roleArn: $ACCOUNT:role/app"
  entry chain "roleArn: $ACCOUNT:role/app" "targetRoleArn: $ACCOUNT:role/target"
  entry shared "roleArn: $ACCOUNT:role/shared" 'sessionName: serviceAccount' 'disableSessionTags: true'
  entry fixed 'role: fixed' \
    'static: {accessKeyId: AKIAFIXED, secretAccessKey: secret-of-fixed, sessionToken: token-of-fixed}'
  entry program 'role: program' "exec: {command: [$ENV_TMP/program, one, two], environment: {WHO: fetch}}"
  entry fault "roleArn: $ACCOUNT:role/fault"
  for name in slow03 slow06 slow2 slow6; do entry $name "roleArn: $ACCOUNT:role/$name"; done
  entry short "roleArn: $ACCOUNT:role/short"
  entry long "roleArn: $ACCOUNT:role/long" 'durationSeconds: 7200'
}

# How it was run is in the key id that it prints, as it may write no file.
write_program() {
  cat >"$ENV_TMP/program" <<'SH'
#!/bin/sh
names=$(env | sed 's/=.*//' | sort | paste -sd _)
touch "${0%/*}/written" 2>/dev/null && written=yes
printf '{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "secret-of-program", "SessionToken": "token-of-program", "Expiration": "%s"}\n' \
  "AKIA_$#_$2_ENV_${names}_FD_$(ls /proc/self/fd | paste -sd _)_WROTE_${written:-no}" "$(date -u -d '+1 hour' +%FT%TZ)"
SH
  chmod 755 "$ENV_TMP/program"
}

# ---- what pods see ----

waiting_are() { in_host curl -s "http://127.0.0.1:7778/metrics" | grep -qx "podcred_agent_requests_waiting $1"; }
clear() { aws_do '{"clear": []}' >/dev/null; }
calls_are() { [ "$(assumed "$2" length)" -ge "$1" ]; }

env_up systemd
for pod in web chain fixed program fault short long late nobody slow03 slow06 slow2 slow6; do pod_add $pod burstable; done
for pod in "${SHARERS[@]}"; do
  pod_add "$pod" besteffort
  POD_ACCOUNT[$pod]=shared
done
env_load >/dev/null || env_fail 'load failed'
env_resolve --fetch-socket "$ENV_TMP/fetch.sock"
chmod 711 "$ENV_TMP"
aws_up
write_program
config >"$ENV_TMP/config.yaml"
associations >"$ENV_TMP/associations.yaml"
chmod 644 "$ENV_TMP/config.yaml" "$ENV_TMP/associations.yaml"
serve_start

# ---- before fetch is there ----
same 'static keys need no fetch' AKIAFIXED "$(key fixed)"
same 'without fetch the others wait, and are told to come again' 503/CredentialsUninitialized "$(status web)/$(key web)"
fetch_start SECRET_IN_ENV=do-not-inherit

# ---- STS ----
check "boto3 gets what STS has made" bash -c "$(declare -f in_pod in_cgroup)
  $(declare -p POD_CGROUP POD_NETNS)
  in_pod web env AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials HOME=/nonexistent \
    $PYTHON '$ENV_ROOT/tests/clients/credentials.py' | grep -x 'accessKeyId=$(wait_for 10 calls_are 1 /app; issued /app) method=container-role'"
same 'it is the pod itself that asks: the session' shop.web.web "$(assumed /app 'last | .sessionName')"
same 'by the role of the node' arn:aws:sts::111122223333:assumed-role/node/i-0123456789abcdef0 \
  "$(assumed /app 'last | .caller')"
same 'with the six tags of EKS' "$CLUSTER demo shop web web ${POD_UID[web]}" "$(assumed /app 'last | .tags |
  [."eks-cluster-arn", ."eks-cluster-name", ."kubernetes-namespace", ."kubernetes-service-account", ."kubernetes-pod-name",
   ."kubernetes-pod-uid"] | join(" ")')"
same 'all of them transitive' 6 "$(assumed /app 'last | .transitive | length')"
for _ in 1 2 3; do key web >/dev/null; done
same 'asked again, it is the same call' 1 "$(assumed /app length)"
same 'a chain of two roles ends in the second' "$(key chain)" "$(issued /target)"
same 'whose external id is that of EKS' eu-west-1/111122223333/demo/shop/chain \
  "$(assumed /target 'last | .parameters.ExternalId')"
same 'a service account without an association' 404/NoCredentialsAssociated "$(status nobody)/$(key nobody)"

same 'two hours are asked for' "$(key long)" "$(issued /long)"
same 'and an hour, as the node has a role itself' '7200 ValidationError|3600 null' \
  "$(assumed /long 'map("\(.parameters.DurationSeconds) \(.error)") | join("|")')"
pod_new long2 long
same 'which is remembered' "$(key long2)/3600" "$(issued /long)/$(assumed /long 'last | .parameters.DurationSeconds')"
same 'for all pods' 3 "$(assumed /long length)"

# ---- one call for all that may share it ----
aws_do '{"fault": {"do": "hold", "service": "sts", "role": "'"$ACCOUNT:role/shared"'"}}' >/dev/null
for pod in "${SHARERS[@]}"; do key "$pod" >"$ENV_TMP/key.$pod" & sharers+=($!); done
check 'all of them wait' wait_for 10 waiting_are 5
clear
aws_do '{"release": []}' >/dev/null
wait "${sharers[@]}"
same 'five pods of one key get the same credentials' "$(issued /shared)" "$(sort -u "$ENV_TMP"/key.s*)"
same 'by one call' 1 "$(assumed /shared length)"

# ---- until all of them are gone ----
granted() { in_host curl -s "http://127.0.0.1:7778/metrics" | sed -n 's/^podcred_agent_leaves{state="granted"} //p'; }
granted_are() { [ "$(granted)" = "$1" ]; }
# What serve has forgotten it has passed on, before the next question.
pods_end() {
  local left=$(($(granted) - $#)) pod
  for pod; do pod_end "$pod"; done
  check "$# pods end, and the agent forgets them" wait_for 10 granted_are $left || note "$(granted), not $left"
}
shared=$(key s5)
aws_do '{"credentials": {"who": "'"$shared"'"}}' | jq '[.secretAccessKey, .sessionToken]' >"$ENV_TMP/shared"
has_forgotten() { "$ENV_ROOT/tests/lib/secrets.py" "$ENV_TMP/shared" "memory:$1"; }
pods_end s1 s2 s3 s4
pod_new s6 shared
same 'as long as one is left, others of its account get the same' "$shared 1" "$(key s6) $(assumed /shared length)"
check_not 'which fetch has' has_forgotten "$FETCH_PID"
pods_end s5 s6
pod_new s7 shared
new=$(key s7)
same 'after the last one, there are new ones' "$(issued /shared) 2" "$new $(assumed /shared length)"
check_not 'others than before' [ "$new" = "$shared" ]
check 'and the old ones are wiped: fetch' has_forgotten "$FETCH_PID"
check 'and serve' has_forgotten "$(head -n 1 "$AGENT_CGROUP/cgroup.procs")"

# ---- a program ----
# the last descriptor is that of ls
same 'a program of the association: its arguments, an environment of its own, no descriptor of ours, no file to write' \
  AKIA_2_two_ENV_HOME_PATH_PWD_WHO_FD_0_1_2_3_WROTE_no "$(key program)"

# ---- metadata ----
imds_token() { in_pod web curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token; }
imds() { in_pod web curl -s -w ' %{http_code}' -H "X-aws-ec2-metadata-token: $(imds_token)" "http://169.254.169.254/latest/$1"; }
same 'a path of IMDS that is allowed' 'eu-west-1 200' "$(imds meta-data/placement/region)"
check_not 'and one that is not' grep -q ' 200$' <(imds user-data)

# ---- refresh ahead ----
aws_do '{"set": {"lifetime": 8}}' >/dev/null
short=$(key short)
check 'credentials are refreshed before they end, while nobody asks' wait_for 10 calls_are 2 /short
check 'and the pod gets the new ones' wait_for 10 key_is "$(issued /short)" short
check_not 'which are others' [ "$short" = "$(issued /short)" ]
aws_do '{"set": {"lifetime": null}}' >/dev/null

# ---- faults ----
fault() { aws_do "{\"fault\": {\"service\": \"sts\", \"role\": \"$ACCOUNT:role/fault\", \"times\": 0, $1}}" >/dev/null; }
# A pod of its own for each fault: no failure is kept of the one before.
faulty=0
new_pod() {
  faulty=$((faulty + 1))
  pod=f$faulty
  pod_new $pod fault
}
designed() {
  local what=$1 want=$2
  new_pod
  check "$what: $want" wait_for 15 answers "$want" "$pod" ||
    echo "# got $(status "$pod")/$(key "$pod")"
  clear
}
fault '"do": "error", "code": "AccessDenied", "status": 403'
designed 'STS denies' 403/AccessDenied
fault '"do": "error", "code": "ValidationError", "status": 400'
designed 'STS finds it invalid' 403/AccessDenied
fault '"do": "error", "code": "Throttling", "status": 400'
designed 'STS throttles' 429/ThrottlingException
fault '"do": "error", "code": "ThrottlingException", "status": 429'
designed 'STS throttles, with status 429' 429/ThrottlingException
fault '"do": "error", "code": "ServiceUnavailable", "status": 503'
designed 'STS is too busy' 503/ServiceUnavailable
fault '"do": "error", "code": "InternalFailure", "status": 500'
designed 'STS is in trouble' 503/ServiceUnavailable
fault '"do": "reset"'
designed 'STS resets' 503/ServiceUnavailable
fault '"do": "mute"'
designed 'STS says nothing' 503/CredentialsUninitialized
check 'but credentials come when it speaks again' wait_for 30 status_is 200 $pod
fault '"do": "truncate", "bytes": 100'
designed 'STS breaks off' 503/ServiceUnavailable
fault '"do": "oversize", "bytes": 2000000'
designed 'STS sends too much' 503/ServiceUnavailable
aws_do '{"away": {"service": "sts"}}' >/dev/null
designed 'nobody listens' 503/ServiceUnavailable
aws_do '{"back": {"service": "sts"}}' >/dev/null
aws_do '{"set": {"skew": 1200}}' >/dev/null
new_pod
same "this node's clock is twenty minutes behind: it is corrected by that of STS" 200 "$(status $pod)"
aws_do '{"set": {"skew": 0}}' >/dev/null
new_pod
check 'and so it is when it is right again' wait_for 10 status_is 200 $pod
# All at once: each has a role of its own.
slow_pods=()
for delay in 0.3 0.6 2 6; do
  pod=slow${delay/./}
  aws_do "{\"fault\": {\"service\": \"sts\", \"role\": \"$ACCOUNT:role/$pod\", \"do\": \"delay\", \"seconds\": $delay}}" >/dev/null
  status "$pod" >"$ENV_TMP/status.$delay" & slow_pods+=($!)
done
wait "${slow_pods[@]}"
for delay in 0.3 0.6; do
  same "an answer after $delay s is waited for" 200 "$(cat "$ENV_TMP/status.$delay")"
done
for delay in 2 6; do
  same "an answer after $delay s is not" 503 "$(cat "$ENV_TMP/status.$delay")"
  check 'but is given out when it has come' wait_for 15 status_is 200 slow$delay
done
same 'by the same call' 1 "$(assumed /slow2 length)"
check 'which is made again after five seconds' wait_for 10 calls_are 2 /slow6
clear

# ---- the node's own credentials ----
aws_since
aws_do '{"expire": {"who": "node"}}' >/dev/null
aws_do '{"node": {"seconds": 3600}}' >/dev/null
new_pod
same "the node's credentials have ended: others are got for the same call" 200 "$(status $pod)"
same 'by one more call' '["ExpiredToken",null]' "$(assumed /fault 'map(select(.sessionName == "shop.fault.'$pod'") | .error) | tojson')"

# ---- the old value while it lives ----
aws_do '{"set": {"lifetime": 40}}' >/dev/null
aws_since
new_pod
old=$(key $pod)
aws_do '{"away": {"service": "sts"}}' >/dev/null
check 'a refresh fails' wait_for 30 grep -q "result=unavailable .*pod=$pod " "$ENV_TMP/fetch.log"
same 'the old credentials are given out' "$old" "$(key $pod)"
aws_do '{"back": {"service": "sts"}}' >/dev/null
check 'until there are new ones' wait_for 30 key_is_not "$old" $pod
aws_do '{"set": {"lifetime": null}}' >/dev/null

# ---- associations that change ----
entry late "roleArn: $ACCOUNT:role/late" >>"$ENV_TMP/associations.yaml"
kill -HUP "$FETCH_PID"
check 'SIGHUP: an association that was added' wait_for 10 key_is_not NoCredentialsAssociated late

# ---- fetch goes, and comes back ----
web=$(key web)
fetch_stop
same 'without fetch pods have what they were told' "$web" "$(key web)"
fetch_start
new_pod
same 'and once it is back, others are told as well' 200 "$(status $pod)"

# ---- confinement ----
PROC=/proc/$FETCH_PID
same 'it has a user of its own' "$FETCH_UID $FETCH_UID $FETCH_UID $FETCH_UID" "$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "$PROC/status")"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
  same "no capability: $set" 0000000000000000 "$(awk -v set="$set:" '$1 == set { print $2 }' "$PROC/status")"
done
same 'no new privileges, a seccomp filter' '1 2' "$(awk '/^NoNewPrivs:|^Seccomp:/ { print $2 }' "$PROC/status" | paste -sd ' ')"
check_not 'its own user cannot read its memory' setpriv --reuid "$FETCH_UID" --clear-groups cat "$PROC/environ"
# shellcheck disable=SC2016 # awk's
check 'its secrets are not swapped out' awk '/^VmLck:/ { exit $2 < 64 }' "$PROC/status"
same 'it dumps no core' '0 0' "$(awk '/core file size/ { print $5, $6 }' "$PROC/limits")"
doctor() { in_node "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR" | sed -n 's/^\([a-z]*\)  *fetch-process  */\1 /p'; }
CONFINED='no capabilities, bounding set empty, no_new_privs, seccomp filter, not dumpable, [1-9][0-9]* kB of memory locked, .*Landlock'
# doctor_is LINE: an extended regular expression
doctor_is() { grep -qxE "$1.*" <(doctor) || { note "$(doctor)" && false; }; }
check 'doctor shows what is in force' doctor_is "ok pid $FETCH_PID, uid $FETCH_UID: $CONFINED"
setpriv --reuid "$FETCH_UID" --regid "$FETCH_UID" --clear-groups sleep 60 &
other=$!
check 'and another process of its user' wait_for 10 doctor_is "warn pid $FETCH_PID, uid $FETCH_UID: shares its user with 1 other process;"
kill $other
wait $other 2>/dev/null

# ---- podcred run: all of it ----
fetch_stop
check 'doctor: there is no fetch' doctor_is 'warn no podcred fetch is connected to the agent; start podcred fetch'
cgroup_signal "$AGENT_CGROUP" TERM
kill "$RESOLVE_PID" && wait "$RESOLVE_PID"
env_run --config "$ENV_TMP/config.yaml" --user "$ENV_UID" --fetch-user "$FETCH_UID"
check 'podcred run starts it, and connects it with the agent' wait_for 20 grep -q 'podcred-fetch.*connected to the agent' "$ENV_TMP/run.log"
wait_for 20 agent_is_up
same 'pods get their credentials' 200 "$(status web)"
run_fetch_pid() { pgrep -u "$FETCH_UID" -x podcred-fetch; }
before=$(run_fetch_pid)
check 'doctor finds it there as well' doctor_is "ok pid $before, uid $FETCH_UID: $CONFINED"
kill -KILL "$before"
fetch_is_another() { [ "$(run_fetch_pid)" != "$before" ] && [ -n "$(run_fetch_pid)" ]; }
check 'one that was killed is started again' wait_for 20 fetch_is_another
new_pod
check 'and answers' wait_for 20 status_is 200 $pod
sed -i 's/name: demo, arn/arn/; s|cluster/demo|cluster/other|' "$ENV_TMP/config.yaml"
before=$(run_fetch_pid)
kill -HUP "$RUN_PID"
check 'a new configuration starts it again' wait_for 20 fetch_is_another
new_pod
check 'and is in force' wait_for 20 status_is 200 $pod
same 'the tags say so' arn:aws:eks:eu-west-1:111122223333:cluster/other "$(assumed /fault 'last | .tags."eks-cluster-arn"')"

# ---- secrets ----
aws_do '{"secrets": []}' | jq -r '.. | strings' >"$ENV_TMP/secrets"
printf '%s\n' secret-of-fixed token-of-fixed secret-of-program token-of-program >>"$ENV_TMP/secrets"
check 'there are secrets to look for' [ "$(wc -l <"$ENV_TMP/secrets")" -gt 20 ]
check_not 'none is in a log' grep -qFf "$ENV_TMP/secrets" "$ENV_TMP"/{fetch,serve,run}.log
check 'each call is there with its role, session and latency' grep -Eq \
  'fetched result=granted .*pod=late .*source=sts role_arn=arn:aws:sts::111122223333:assumed-role/late/shop.late.late session_name=shop.late.late .*latency_ms=[0-9]+' \
  "$ENV_TMP/fetch.log"
tap_done
