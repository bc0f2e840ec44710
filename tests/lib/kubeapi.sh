#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The stand-in of an API server (tests/kube/kubeapi.py) on the node of env.sh. Sourced after it.
#
#   kubeapi_up       it listens on the node's loopback when this returns; its files are in $KUBE
#   api JSON         a command
#   kubeapi_node     it has the node n1
#   kubeapi_resolve [NODE]   a resolver that asks it, ready when this returns; it writes $ENV_TMP/resolve.log
#   kubeapi_stop SIGNAL      it ends
#   api_pod NAME     the pod of pod_add, as env_podlist has it; api_delete NAME

kubeapi_up() {
  KUBE=$ENV_TMP/kube
  background "$ENV_TMP/kubeapi.log" '^ready' nsenter --net="/run/netns/$NODE_NETNS" \
    python3 "$ENV_ROOT/tests/kube/kubeapi.py" "$KUBE" "$@"
}

api() { curl -sSf --unix-socket "$KUBE/control" -d "$1" http://control/ >"$ENV_TMP/api.out" || env_fail "api: $1: $(cat "$ENV_TMP/api.out")"; }

api_pod() {
  api "$(jq -n --arg name "$1" --arg uid "${POD_UID[$1]}" --argjson host "${POD_HOST[$1]}" \
    '{pod: {name: $name, namespace: "shop", account: $name, uid: $uid, host_network: $host}}')"
}
api_delete() { api "{\"delete\": [\"pods\", \"shop\", \"$1\"]}"; }

kubeapi_node() { api '{"put": {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"}}}'; }

kubeapi_resolve() {
  background "$ENV_TMP/resolve.log" 'resolver ready' nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" resolve \
    --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --kubeconfig "$KUBE/kubeconfig" --node "${1:-n1}"
  RESOLVE_PID=$!
}
kubeapi_stop() {
  kill "-$1" "$RESOLVE_PID"
  wait "$RESOLVE_PID" 2>/dev/null
}

# role_policy NAME SPEC ; without one that allows it, an object gives no role
role_policy() {
  api "$(jq -n --arg name "$1" --argjson spec "$2" '{put: {kind: "PodIdentityRolePolicy", apiVersion: "podcred.io/v1alpha1",
    metadata: {name: $name}, spec: $spec}}')"
}
allow_all_roles() { role_policy all '{"namespaceSelector": {}, "roleArns": ["arn:aws:iam::*:role/*"]}'; }
