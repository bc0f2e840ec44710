#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# podcred broker on the node of env.sh, with TLS, as a user of its own. Sourced after env.sh, aws.sh and kubeapi.sh, which
# have to be up.
#
#   broker_world                what it needs around it: AWS, an API server whose files it may read, and the node n1
#   broker_config [LINE...]     its configuration; LINE: more of the section broker
#   BROKER_KEYLESS=1            before broker_up: without credentials of AWS
#   broker_up [OPTION...]       ready when this returns; BROKER_URL, BROKER_CA, BROKER_PID; it writes broker.log
#   broker_stop
#   node_new NAME [UID]         a node of that name
#   pod_on NODE NAME [ACCOUNT]  a pod of namespace shop there; AGENT as account: an agent's pod, of namespace podcred. POD_UIDS[NAME]
#   object ACCOUNT ROLE         associates shop/ACCOUNT with that role
#   token_of POD NAMESPACE AUDIENCE [SECONDS]    prints one, as the kubelet projects it
#   brokered FILTER             its audit lines, as one array, through jq -r

declare -A POD_UIDS
BROKER_UID=$((ENV_UID + 2))
BROKER_PORT=8443
BROKER_URL=https://127.0.0.1:$BROKER_PORT

broker_world() {
  chmod 711 "$ENV_TMP"
  aws_up
  kubeapi_up
  chmod 711 "$KUBE" && chmod 644 "$KUBE"/{kubeconfig,token,ca.crt}
  node_new n1
}

broker_config() {
  cat <<YAML
credentials:
  source: sts
  region: eu-west-1
  objects: true
  nodeCredentials: [environment]
  cluster: {name: demo, arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo"}
  endpoints: {sts: "$STS_URL"}
broker:
  agents: [podcred/podcred]
  control: [podcred/podcred-control]
YAML
  [ $# -eq 0 ] || printf '  %s\n' "$@"
}

broker_up() {
  mkdir -p "$ENV_TMP/certs"
  [ -e "$ENV_TMP/certs/ca.pem" ] || "$ENV_ROOT/tests/fake/certs.sh" "$ENV_TMP/certs" || env_fail 'no certificates'
  chmod 755 "$ENV_TMP/certs" && chmod 644 "$ENV_TMP"/certs/*
  BROKER_CA=$ENV_TMP/certs/ca.pem
  [ -e "$ENV_TMP/broker.yaml" ] || broker_config >"$ENV_TMP/broker.yaml"
  set -a
  # shellcheck disable=SC1091 # aws.py writes it
  [ "${BROKER_KEYLESS:-0}" = 1 ] || . "$AWS/node.env"
  set +a
  background "$ENV_TMP/broker.log" 'broker ready' nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" broker \
    --config "$ENV_TMP/broker.yaml" --kubeconfig "$KUBE/kubeconfig" --listen "127.0.0.1:$BROKER_PORT" \
    --certificate "$ENV_TMP/certs/ok.pem" --key "$ENV_TMP/certs/ok.key" --health 127.0.0.1:9465 \
    --user "$BROKER_UID" --log-json "$@"
  BROKER_PID=$!
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
  wait_for 10 broker_is_ready || env_fail "the broker is not ready: $(cat "$ENV_TMP/broker.log")"
}
broker_is_ready() { in_node curl -sSf http://127.0.0.1:9465/readyz; }
broker_stop() {
  kill "$BROKER_PID"
  wait "$BROKER_PID" 2>/dev/null
}

node_new() { api "$(jq -n --arg name "$1" --arg uid "${2:-}" '{put: {kind: "Node", apiVersion: "v1", metadata: ({name: $name} + if $uid == "" then {} else {uid: $uid} end)}}')"; }

pod_on() {
  local namespace=shop account=${3:-$2}
  [ "$account" != AGENT ] || namespace=podcred account=podcred
  POD_UIDS[$2]=${POD_UIDS[$2]:-$(cat /proc/sys/kernel/random/uuid)}
  api "$(jq -n --arg node "$1" --arg name "$2" --arg account "$account" --arg namespace "$namespace" --arg uid "${POD_UIDS[$2]}" \
    '{put: {kind: "ServiceAccount", apiVersion: "v1", metadata: {name: $account, namespace: $namespace}},
      pod: {name: $name, namespace: $namespace, node: $node, account: $account, uid: $uid}}')"
}

object() {
  api "$(jq -n --arg name "$1" --arg role "$2" '{put: {kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1",
    metadata: {name: $name, namespace: "shop"}, spec: {roleArn: $role}}}')"
}

token_of() {
  api "$(jq -n --arg pod "$1" --arg namespace "$2" --arg audience "$3" --argjson seconds "${4:-3600}" \
    '{account_token: {pod: $pod, namespace: $namespace, audience: $audience, seconds: $seconds}}')"
  jq -r . "$ENV_TMP/api.out"
}

brokered() { grep '"brokered"' "$ENV_TMP/broker.log" | jq -rs "$1"; }
