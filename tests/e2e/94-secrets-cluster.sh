#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# As 93-secrets.sh, in a cluster: tokens of pods, that pods send and that podcred asks for, the token of podcred at the API
# server, and what credential programs print, also when they go wrong.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

SECRETS=$ENV_ROOT/tests/lib/secrets.py
ROLE=arn:aws:iam::111122223333:role
FETCH_UID=$((ENV_UID + 1))
EKS=http://169.254.170.23/v1/credentials
PRINTED=secret-that-a-program-prints

api_says() { api "$1" && jq -r "${2:-.}" "$ENV_TMP/api.out"; }
# token NAME AUDIENCE [SECONDS]
token() {
  api_says "{\"account_token\": {\"pod\": \"$1\", \"namespace\": \"shop\", \"audience\": \"$2\", \"seconds\": ${3:-3600}}}" |
    tee -a "$ENV_TMP/tokens"
}
ask() { in_pod "$1" curl -sS --max-time 10 "${@:2}"; }
has_key() { ask "$1" http://169.254.170.2/v1/credentials | jq -e '.AccessKeyId | test("^A[SK]IA")'; }
answers() { ask "$2" "${@:3}" | grep -q "$1"; }
search() { "$SECRETS" "$ENV_TMP/known" "$@"; }

programs() {
  printf '#!/bin/sh\necho %s-on-stderr >&2\n' "$PRINTED" >"$ENV_TMP/good"
  cp "$ENV_TMP/good" "$ENV_TMP/broken"
  cp "$ENV_TMP/good" "$ENV_TMP/failing"
  printf 'echo '\''{"Version": 1, "AccessKeyId": "AKIAPROGRAM", "SecretAccessKey": "%s", "SessionToken": "%s"}'\''\n' \
    "$PRINTED" "$PRINTED-token" >>"$ENV_TMP/good"
  printf 'echo '\''{"Version": 1, "AccessKeyId": "AKIAPROGRAM", "SecretAccessKey": %s}'\''\n' "$PRINTED" >>"$ENV_TMP/broken"
  printf 'echo %s; exit 7\n' "$PRINTED" >>"$ENV_TMP/failing"
  chmod 755 "$ENV_TMP"/{good,broken,failing}
}

env_up systemd
for pod in web good broken failing; do pod_add "$pod" burstable; done
env_load >/dev/null || env_fail 'load failed'
chmod 711 "$ENV_TMP"
aws_up
kubeapi_up
chmod 711 "$KUBE" && chmod 644 "$KUBE"/{kubeconfig,token,ca.crt}
aws_do "$(api_says '{"issuer": []}' '{issuer: (. + {audiences: ["sts.amazonaws.com", "pods.eks.amazonaws.com"]})}')" >"$ENV_TMP/out"
for pod in web good broken failing; do
  api "{\"put\": {\"kind\": \"ServiceAccount\", \"apiVersion\": \"v1\", \"metadata\": {\"name\": \"$pod\", \"namespace\": \"shop\"}}}"
  api_pod "$pod"
done
kubeapi_node
kubeapi_resolve
programs
cat >"$ENV_TMP/config.yaml" <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  source: webIdentity
  endpoints: {sts: "$STS_URL", eksAuth: "$EKS_AUTH_URL", imds: "$IMDS_URL"}
YAML
{
  echo 'associations:'
  echo "  - {namespace: shop, serviceAccount: web, roleArn: '$ROLE/web'}"
  for pod in good broken failing; do
    printf '  - {namespace: shop, serviceAccount: %s, role: %s, exec: {command: [%s], environment: {PLANTED: %s-environment}}}\n' \
      "$pod" "$pod" "$ENV_TMP/$pod" "$PRINTED"
  done
} >"$ENV_TMP/associations.yaml"
in_agent "$PODCRED" serve --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/associations.yaml" --debug \
  --user "$ENV_UID" --fetch-socket "$ENV_TMP/fetch.sock" --fetch-user "$FETCH_UID" >"$ENV_TMP/serve.log" 2>&1 &
wait_for 10 agent_is_up || env_fail "the agent is not up: $(cat "$ENV_TMP/serve.log")"
SERVE_PID=$(pgrep -u "$ENV_UID" -x podcred)
background "$ENV_TMP/fetch.log" 'connected to the agent' nsenter --net="/run/netns/$NODE_NETNS" \
  "$PODCRED" fetch --socket "$ENV_TMP/fetch.sock" --config "$ENV_TMP/config.yaml" --kubeconfig "$KUBE/kubeconfig" \
  --associations "$ENV_TMP/associations.yaml" --user "$FETCH_UID" --node n1 --debug
FETCH_PID=$!

check 'a token that podcred asks for makes credentials' wait_for 10 has_key web
check 'a program makes some' wait_for 10 has_key good
for pod in broken failing; do
  check "one that goes wrong does not: $pod" answers '"code":' "$pod" http://169.254.170.2/v1/credentials
  ask "$pod" http://169.254.170.2/v1/credentials >>"$ENV_TMP/refusals"
done
good=$(token web pods.eks.amazonaws.com)
# Keys of the cluster come to the agent a moment after fetch has connected.
check 'a pod shows its token, and gets credentials' wait_for 10 answers '"AccessKeyId"' web -H "Authorization: $good" "$EKS"
for bad in "$(token web elsewhere)" "$(token good pods.eks.amazonaws.com)" "${good%????}AAAA" "$good.x" "Bearer $good"; do
  ask web -w '\n' -H "Authorization: $bad" "$EKS" | tee -a "$ENV_TMP/refusals" >>"$ENV_TMP/bad"
done
same 'with no other token' '5 of 5' "$(grep -c '"code":' "$ENV_TMP/bad") of $(wc -l <"$ENV_TMP/bad")"
aws_do '{"fault": {"service": "sts", "do": "error", "code": "InvalidIdentityToken", "message": "made to fail", "status": 400}}' >"$ENV_TMP/out"
aws_do '{"fault": {"service": "sts", "do": "cut", "bytes": 300}}' >"$ENV_TMP/out"
kill -HUP "$FETCH_PID" "$SERVE_PID"
check 'and again after AWS has misbehaved' wait_for 60 has_key web

aws_do '{"secrets": []}' | jq --arg printed "$PRINTED" --rawfile tokens "$ENV_TMP/tokens" --rawfile api "$KUBE/token" \
  '. + [$printed] + ($tokens | split("\n") | map(select(. != ""))) + [$api | rtrimstr("\n")]' >"$ENV_TMP/known"
check 'there are tokens to look for' [ "$(jq 'map(select(startswith("eyJ"))) | length' "$ENV_TMP/known")" -ge 4 ]
check_not 'they are found where they belong: in the memory of podcred-fetch' search "memory:$FETCH_PID"
for log in serve fetch resolve; do check "none in the log of podcred-$log" search "$ENV_TMP/$log.log"; done
check 'none in what was refused' search "$ENV_TMP/refusals"
check 'none in the metrics' search <(in_host curl -s http://127.0.0.1:7778/metrics)
check 'none in command line, environment and title' search "proc:$SERVE_PID" "proc:$FETCH_PID" "proc:$RESOLVE_PID"
tap_done
