#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred fetch in a cluster: tokens of pods as a web identity and for EKS Auth, associations as objects and as the
# annotations of IRSA, and the cluster's keys for the agent.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch_pods.sh
. "$(dirname "$0")/../lib/fetch_pods.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

ACCOUNT=arn:aws:iam::111122223333
ISSUER=https://kubernetes.default.svc

config() {
  cat <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  source: $1
  objects: true
  migration: {irsa: true}
  cluster: {name: demo, arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo"}
  endpoints: {sts: "$STS_URL", eksAuth: "$EKS_AUTH_URL", imds: "$IMDS_URL"}
YAML
}

fetch_as() { # SOURCE
  config "$1" >"$ENV_TMP/config.yaml"
  fetch_start --kubeconfig "$KUBE/kubeconfig" --node n1
}

new_pod() { # NAME [ACCOUNT]
  pod_new "$@"
  api "$(jq -n --arg name "$1" --arg account "${POD_ACCOUNT[$1]}" --arg uid "${POD_UID[$1]}" \
    '{put: {kind: "ServiceAccount", apiVersion: "v1", metadata: {name: $account, namespace: "shop"}},
      pod: {name: $name, namespace: "shop", account: $account, uid: $uid}}')"
}

last() { aws_calls "map(select(.action == \"$1\")) | last | $2"; }
object() { # ACCOUNT SPEC
  api "$(jq -n --arg name "$1" --argjson spec "$2" '{put: {kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1",
    metadata: {name: $name, namespace: "shop"}, spec: $spec}}')"
}

env_up systemd
env_load >/dev/null || env_fail 'load failed'
env_resolve
chmod 711 "$ENV_TMP"
aws_up
kubeapi_up
chmod 711 "$KUBE" && chmod 644 "$KUBE"/{kubeconfig,token,ca.crt}
api '{"issuer": []}'
aws_do "$(jq '{issuer: (. + {audiences: ["sts.amazonaws.com", "pods.eks.amazonaws.com"]})}' "$ENV_TMP/api.out")" >/dev/null
cat >"$ENV_TMP/associations.yaml" <<YAML
associations:
  - {namespace: shop, serviceAccount: web, roleArn: "$ACCOUNT:role/app"}
  - {namespace: shop, serviceAccount: both, roleArn: "$ACCOUNT:role/of-the-file"}
YAML
config webIdentity >"$ENV_TMP/config.yaml"
serve_start

# ---- web identity: no credentials of the node ----
aws_do '{"node": null}' >/dev/null
fetch_as webIdentity
new_pod web
same 'a token of the pod, for a role that trusts the cluster' "$(key web)" "$(last AssumeRoleWithWebIdentity .issued)"
same 'it is the pod that asks' "system:serviceaccount:shop:web" "$(last AssumeRoleWithWebIdentity .subject)"
api '{"set": {"denied": ["create serviceaccounts/token"]}}'
new_pod web2 web
check 'without the right to make tokens' wait_for 10 status_is 403 web2
check 'which the pod is told' grep -q 'serviceaccounts/token' <(ask web2)
api '{"set": {"denied": []}}'

# ---- objects ----
new_pod obj
same 'nothing says which role' NoCredentialsAssociated "$(key obj)"
object obj "{\"roleArn\": \"$ACCOUNT:role/of-the-object\"}"
check 'an object alone is not enough' wait_for 10 status_is 403 obj
same 'as nobody lets the namespace have the role' RoleNotAllowed "$(key obj)"
check 'which the pod is told' grep -qF "role $ACCOUNT:role/of-the-object is not allowed: there is no PodIdentityRolePolicy" <(ask obj)
check 'and the log of decisions' wait_for 10 grep -q 'role_not_allowed.*obj' "$ENV_TMP/serve.log"
role_policy shop "{\"namespaces\": [\"shop\"], \"roleArns\": [\"$ACCOUNT:role/of-*\"]}"
check 'once a policy allows it, it counts at once' wait_for 10 status_is 200 obj
same 'its role' "$ACCOUNT:role/of-the-object" "$(last AssumeRoleWithWebIdentity .roleArn)"
object both "{\"roleArn\": \"$ACCOUNT:role/of-the-object\"}"
new_pod both
key both >/dev/null
object obj "{\"roleArn\": \"$ACCOUNT:role/admin\"}"
check 'another role is refused again, whoever has written it' wait_for 10 key_is RoleNotAllowed obj
role_policy shop '{"namespaces": ["bank"], "roleArns": ["arn:aws:iam::*:role/*"]}'
check 'so is the first one without its policy, whatever was granted before' wait_for 10 key_is RoleNotAllowed obj
same 'but not what the file says' "$(key both)" "$(last AssumeRoleWithWebIdentity .issued)"
same 'the file goes before an object' "$ACCOUNT:role/of-the-file" "$(last AssumeRoleWithWebIdentity .roleArn)"
api '{"delete": ["podidentityassociations", "shop", "obj"]}'
check 'an object that is deleted takes its credentials along' wait_for 10 status_is 404 obj

# ---- IRSA ----
api "$(jq -n --arg role "$ACCOUNT:role/of-irsa" '{put: {kind: "ServiceAccount", apiVersion: "v1", metadata: {name: "irsa", namespace: "shop",
  annotations: {"eks.amazonaws.com/role-arn": $role}}}}')"
pod_new irsa
api "$(jq -n --arg uid "${POD_UID[irsa]}" '{pod: {name: "irsa", namespace: "shop", account: "irsa", uid: $uid}}')"
same 'the annotation of IRSA, without its webhook' "$(key irsa)/$ACCOUNT:role/of-irsa" \
  "$(last AssumeRoleWithWebIdentity .issued)/$(last AssumeRoleWithWebIdentity .roleArn)"

# ---- EKS Auth ----
fetch_stop
aws_do '{"node": {"seconds": 3600}}' >/dev/null
fetch_as eksAuth
aws_do "{\"cluster\": {\"name\": \"demo\", \"issuer\": \"$ISSUER\"}, \"associate\": {\"cluster\": \"demo\", \"namespace\": \"shop\",
  \"service_account\": \"eks\", \"role\": \"$ACCOUNT:role/of-eks\"}}" >/dev/null
new_pod eks
same 'EKS Auth, with a token that is made for the pod' "$(key eks)" "$(last AssumeRoleForPodIdentity .issued)"
new_pod eks2 eks
api '{"account_token": {"pod": "eks2", "namespace": "shop", "audience": "pods.eks.amazonaws.com"}}'
jq -r . "$ENV_TMP/api.out" >"$ENV_TMP/token"
api '{"set": {"denied": ["create serviceaccounts/token"]}}'
key=$(ask eks2 http://169.254.170.23/v1/credentials -H "Authorization: $(cat "$ENV_TMP/token")" | head -n 1 | jq -r '.AccessKeyId // .code')
same 'and with the one that the pod sends' "$key" "$(last AssumeRoleForPodIdentity .issued)"
new_pod none
api '{"set": {"denied": []}}'
same 'EKS knows of no association' NoCredentialsAssociated "$(key none)"

check 'the agent was told the keys of the cluster' grep -q 'tokens of pods are verified by the cluster' "$ENV_TMP/fetch.log"
check_not 'no token is in a log' grep -qF "$(cut -d. -f3 "$ENV_TMP/token")" "$ENV_TMP/fetch.log" "$ENV_TMP/serve.log"
tap_done
