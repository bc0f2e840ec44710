#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred run with credentials from the stand-in of AWS (aws.sh) or another. Sourced after env.sh.
#
#   fetch_config [LINE...]    the section credentials: of $ENV_TMP/config.yaml; FETCH_STS: where STS is, LINE: more of it
#   fetch_associations        for $ENV_TMP/associations.yaml: pod NAME has the role FETCH_ROLE followed by NAME
#   fetch_run FILE [OPTION...]   podcred run with the node's credentials in FILE (AWS_ACCESS_KEY_ID=...), ready when the agent is

FETCH_ROLE=arn:aws:iam::111122223333:role/

fetch_config() {
  {
    printf 'credentials:\n  source: sts\n  region: eu-west-1\n  nodeCredentials: [environment]\n'
    printf '  endpoints: {sts: "%s", imds: "%s"}\n' "${FETCH_STS:-$STS_URL}" "${IMDS_URL:-http://127.0.0.1:9}"
    [ $# -eq 0 ] || printf '  %s\n' "$@"
  } >"$ENV_TMP/config.yaml"
}

fetch_associations() {
  local name
  echo 'associations:'
  for name in "${!POD_UID[@]}"; do
    printf '  - {namespace: shop, serviceAccount: %s, roleArn: "%s"}\n' "$name" "$FETCH_ROLE$name"
  done
}

# Not as arguments of env(1): those are for all to see.
fetch_run() {
  env_podlist "$ENV_TMP/pods.json"
  set -a
  # shellcheck disable=SC1090 # aws.sh, or the test, writes it
  . "$1"
  set +a
  env_run --config "$ENV_TMP/config.yaml" --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT" "${@:2}"
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
  wait_for 20 agent_is_up || env_fail "the agent is not up: $(cat "$ENV_TMP/run.log")"
}
