#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real AWS clients (matrix.py), each in a pod of its own, ask podcred on a node whose AWS is a stand-in, until the credentials
# that they got first have been renewed.
# usage: run.sh [--markdown FILE] [--only CLIENT]
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch.sh
. "$(dirname "$0")/../lib/fetch.sh"

MATRIX=$ENV_ROOT/tests/clients/matrix.py

setting() {
  local pod pods='{}'
  for pod in "${!POD_UID[@]}"; do
    aws_do "{\"token\": {\"namespace\": \"shop\", \"service_account\": \"$pod\", \"pod\": \"$pod\", \"uid\": \"${POD_UID[$pod]}\"}}" |
      jq -rj . >"$ENV_TMP/token-$pod"
    pods=$(jq --arg pod "$pod" --arg cgroup "${POD_CGROUP[$pod]}/container" --arg netns "/run/netns/${POD_NETNS[$pod]}" \
      --arg token "$ENV_TMP/token-$pod" '.[$pod] = {cgroup: $cgroup, netns: $netns, token: $token}' <<<"$pods")
  done
  jq -n --argjson pods "$pods" --arg clients "$ENV_BUILD/clients" --arg calls "$AWS/calls.jsonl" --arg sts "$STS_URL" --arg log "$ENV_TMP/run.log" \
    --arg home "$ENV_TMP" --arg role "$FETCH_ROLE" '$ARGS.named' >"$ENV_TMP/setting.json"
}

env_up systemd
while read -r pod imds; do
  pod_add "$pod" burstable
  [ "$imds" = IMDSv1 ] || POD_META[$pod]='"labels":{"imds":"v2"}'
done < <("$MATRIX" --pods)
aws_up --address "$NODE_V4"
aws_do '{"set": {"lifetime": 30}}' >/dev/null
fetch_config 'tokens: {verify: "off"}'
printf 'policy:\n  - {podSelector: {matchLabels: {imds: v2}}, action: redirect, imdsv2: required}\n' >>"$ENV_TMP/config.yaml"
fetch_associations >"$ENV_TMP/associations.yaml"
fetch_run "$AWS/node.env"
setting
python3 "$MATRIX" "$ENV_TMP/setting.json" "$@"
