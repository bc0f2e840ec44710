#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# The agent and podcred fetch on the node of env.sh, each as a user of its own. Sourced after env.sh and aws.sh. They read
# $ENV_TMP/config.yaml and associations.yaml, and write serve.log and fetch.log there.
#
#   serve_start [OPTION...]          the agent, ready when this returns
#   fetch_start [WORD...]            fetch, connected when this returns; WORD: variables of its environment, NAME=VALUE, and
#                                    options. FETCH_PID
#   fetch_stop
#   pod_new NAME [ACCOUNT]           a pod of that service account, which has its name when this returns
#   ask POD [URL [CURL-OPTION...]]   its request for credentials: body, then status
#   status POD, key POD              status; the access key id, or the code of the error
#   answers STATUS/CODE POD, status_is STATUS POD, key_is KEY POD, key_is_not KEY POD   for wait_for
#   assumed ROLE FILTER              calls of AssumeRole for roles that end with ROLE, as one array through jq
#   issued ROLE                      the access key id that the last of them gave

FETCH_UID=$((ENV_UID + 1))
ECS=http://169.254.170.2/v1/credentials
FETCH_STARTS=0

serve_start() {
  in_agent "$PODCRED" serve --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/associations.yaml" \
    --user "$ENV_UID" --fetch-socket "$ENV_TMP/fetch.sock" --fetch-user "$FETCH_UID" "$@" >>"$ENV_TMP/serve.log" 2>&1 &
  wait_for 10 agent_is_up || env_fail "the agent is not up: $(cat "$ENV_TMP/serve.log")"
}

fetch_is_connected() { [ "$(grep -c 'connected to the agent' "$ENV_TMP/fetch.log")" = $FETCH_STARTS ]; }
fetch_start() {
  local variables=() options=() word
  for word; do
    if [[ $word == [A-Z]*=* ]]; then variables+=("$word"); else options+=("$word"); fi
  done
  nsenter --net="/run/netns/$NODE_NETNS" "${ENV_EMPTY[@]}" "${variables[@]}" "$PODCRED" fetch --socket "$ENV_TMP/fetch.sock" \
    --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/associations.yaml" --user "$FETCH_UID" "${options[@]}" \
    >>"$ENV_TMP/fetch.log" 2>&1 &
  FETCH_PID=$!
  FETCH_STARTS=$((FETCH_STARTS + 1))
  wait_for 10 fetch_is_connected || env_fail "fetch is not connected: $(cat "$ENV_TMP/fetch.log")"
}
fetch_stop() { kill "$FETCH_PID" && wait "$FETCH_PID"; }

pod_is_known() { podcred pods --json | jq -e --arg uid "${POD_UID[$1]}" 'any(.. | strings; . == $uid)'; }
pod_new() {
  pod_add "$1" burstable
  POD_ACCOUNT[$1]=${2:-$1}
  env_podlist "$ENV_TMP/pods.json"
  wait_for 10 pod_is_known "$1" || env_fail "pod $1 has no name"
}

ask() { in_pod "$1" curl -s --max-time 10 -w '\n%{http_code}\n' "${@:3}" "${2:-$ECS}"; }
status() { ask "$1" | tail -n 1; }
key() { ask "$1" | head -n 1 | jq -r '.AccessKeyId // .code'; }
answers() { [ "$(status "$2")/$(key "$2")" = "$1" ]; }
status_is() { [ "$(status "$2")" = "$1" ]; }
key_is() { [ "$(key "$2")" = "$1" ]; }
key_is_not() { [ "$(key "$2")" != "$1" ]; }

assumed() { aws_calls "map(select(.action == \"AssumeRole\" and (.roleArn // \"\" | endswith(\"$1\")))) | $2"; }
issued() { assumed "$1" 'last | .issued'; }
