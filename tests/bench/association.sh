#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From an association to the first credentials of a pod that runs, and from its deletion to the first answer without: by the
# real resolver, agent, fetch and broker, beside stand-ins of the API server and of STS. Prints Markdown, asserts nothing.
# usage: association.sh     ROUNDS: associations made and deleted
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch_pods.sh
. "$(dirname "$0")/../lib/fetch_pods.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"
# shellcheck source=tests/lib/broker.sh
. "$(dirname "$0")/../lib/broker.sh"

ROUNDS=${ROUNDS:-100}
config() { # LINE...
  printf 'agent: ["%s:%s", "[%s]:%s"]\ncredentials:\n  cluster: {name: demo}\n' "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
  printf '  %s\n' "$@"
}
row() { # WHAT
  local given given99 gone gone99
  read -r given given99 gone gone99 < <(in_pod web python3 "$ENV_ROOT/tests/bench/associate.py" "$KUBE/control" web "$ECS" "$ROUNDS") ||
    env_fail 'no result'
  printf '| %s | %s | %s | %s | %s |\n' "$1" "$given" "$given99" "$gone" "$gone99"
}

env_up systemd
env_load >/dev/null || env_fail 'load failed'
env_resolve
broker_world
pod_on n1 agent AGENT
role_policy shop '{"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}'
broker_up
token_of agent podcred podcred-broker >"$ENV_TMP/token" && chmod 644 "$ENV_TMP/token"
echo 'associations: []' >"$ENV_TMP/associations.yaml"
config 'source: sts' 'region: eu-west-1' 'objects: true' 'nodeCredentials: [environment]' "endpoints: {sts: \"$STS_URL\"}" >"$ENV_TMP/config.yaml"
serve_start
pod_new web
POD_UIDS[web]=${POD_UID[web]}
pod_on n1 web

printf '| | to credentials: median, ms | 99 %%, ms | to none: median, ms | 99 %%, ms |\n| --- | --- | --- | --- | --- |\n'
mapfile -t node_keys <"$AWS/node.env"
fetch_start "${node_keys[@]}" --kubeconfig "$KUBE/kubeconfig" --node n1
row 'the node asks STS'
fetch_stop
config 'source: broker' 'objects: true' "broker: {url: \"$BROKER_URL\", caBundle: \"$BROKER_CA\", tokenFile: \"$ENV_TMP/token\"}" >"$ENV_TMP/config.yaml"
fetch_start --kubeconfig "$KUBE/kubeconfig" --node n1
row 'the node asks the broker'
