#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# EKS Auth grants what a token is good for, whoever shows it. So a pod that shows another one's token gets nothing, also
# where the agent does not verify tokens itself.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"

FETCH_UID=$((ENV_UID + 1))
ROLE=arn:aws:iam::111122223333:role
POD_IDENTITY=http://169.254.170.23/v1/credentials

config() {
  cat <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  source: eksAuth
  cluster: {name: demo}
  tokens: {verify: off}
  endpoints: {sts: "$STS_URL", eksAuth: "$EKS_AUTH_URL", imds: "$IMDS_URL"}
YAML
}

# token_of POD: as a kubelet would have mounted it
token_of() {
  aws_do "{\"token\": {\"namespace\": \"shop\", \"service_account\": \"$1\", \"pod\": \"$1\", \"uid\": \"${POD_UID[$1]}\",
    \"audience\": \"pods.eks.amazonaws.com\"}}" | jq -r '.. | strings'
}

# ask POD TOKEN
ask() { in_pod "$1" curl -s --max-time 10 -H "Authorization: $2" "$POD_IDENTITY" | jq -r '.AccessKeyId // .code'; }
calls() { aws_calls "map(select(.action == \"AssumeRoleForPodIdentity\")) | $1"; }
is_good() { [[ $(ask "$@") == ASIA* ]]; } # is_good POD TOKEN
is_connected() { grep -q 'connected to the agent' "$ENV_TMP/fetch.log"; }

env_up systemd
pod_add cart burstable
pod_add till burstable
env_load >/dev/null || env_fail 'load failed'
env_resolve
chmod 711 "$ENV_TMP"
aws_up
aws_do '{"cluster": {"name": "demo", "issuer": "https://oidc.test/id/FAKE"}}' >/dev/null
for name in cart till; do
  aws_do "{\"associate\": {\"cluster\": \"demo\", \"namespace\": \"shop\", \"service_account\": \"$name\", \"role\": \"$ROLE/$name\"}}" >/dev/null
done
config >"$ENV_TMP/config.yaml"
for name in cart till; do
  printf '  - namespace: shop\n    serviceAccount: %s\n    eksAuth: {}\n' "$name"
done | sed '1i associations:' >"$ENV_TMP/associations.yaml"
chmod 644 "$ENV_TMP/config.yaml" "$ENV_TMP/associations.yaml"
in_agent "$PODCRED" serve --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/associations.yaml" \
  --user "$ENV_UID" --fetch-socket "$ENV_TMP/fetch.sock" --fetch-user "$FETCH_UID" >"$ENV_TMP/serve.log" 2>&1 &
wait_for 10 agent_is_up || env_fail "the agent is not up: $(cat "$ENV_TMP/serve.log")"
nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" fetch --socket "$ENV_TMP/fetch.sock" --config "$ENV_TMP/config.yaml" \
  --associations "$ENV_TMP/associations.yaml" --user "$FETCH_UID" >"$ENV_TMP/fetch.log" 2>&1 &
wait_for 10 is_connected || env_fail "fetch is not connected: $(cat "$ENV_TMP/fetch.log")"

cart=$(token_of cart)
till=$(token_of till)
same "a pod shows another's token first: nothing" InvalidToken "$(ask till "$cart")" || cat "$ENV_TMP/fetch.log"
same 'though EKS Auth has granted it' cart "$(calls 'last | .roleArn | sub(".*/"; "")')"
# a refusal is kept for some seconds, lest a pod makes a call of each token that it invents
check 'its own token is good' wait_for 20 is_good till "$till"
check "and the other pod's for the other" is_good cart "$cart"
same 'for the role of its service account' "$ROLE/cart" "$(calls 'last | .roleArn')"
same "with the other's token it still gets its own" "$(ask till "$till")" "$(ask till "$cart")"
check_not 'no log has a token' grep -qF -e "$cart" -e "$till" "$ENV_TMP/serve.log" "$ENV_TMP/fetch.log"
tap_done
