#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which association a pod gets, as explain says it: of the file, of an object, of annotations. And the trust policy that
# a role needs.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

ROLE=arn:aws:iam::111122223333:role/

env_up systemd
for name in web api; do pod_add $name burstable; done

cat >"$ENV_TMP/associations.yaml" <<YAML
associations:
  - {namespace: shop, serviceAccount: web, roleArn: "${ROLE}web", tags: {team: shop}}
  - {namespace: bank, serviceAccount: api, roleArn: "${ROLE}web"}
YAML
# config MIGRATION... ; a configuration with objects and these
config() {
  printf 'credentials:\n  objects: true\n  migration: {baseRoleArn: "%s"' "$ROLE"
  [ $# -eq 0 ] || printf ', %s' "$@"
  printf '}\n'
}
config >"$ENV_TMP/config.yaml"
config 'irsa: true' 'kube2iam: true' >"$ENV_TMP/migration.yaml"
printf 'credentials: {source: eksAuth, cluster: {name: demo}}\n' >"$ENV_TMP/eks.yaml"

# ---- files alone ----
trust() { in_node "$PODCRED" trust-policy "$@" 2>&1; }
same 'check-config counts them' "$ENV_TMP/associations.yaml: ok, 2 associations" \
  "$("$PODCRED" check-config --associations "$ENV_TMP/associations.yaml" 2>&1)"
same 'and says what a configuration of another source cannot do with them' \
  "podcred: $ENV_TMP/associations.yaml:2: shop/web: 'roleArn' does not go with the source eksAuth, as EKS knows the role; remove it, or name another source" \
  "$("$PODCRED" check-config "$ENV_TMP/eks.yaml" --associations "$ENV_TMP/associations.yaml" 2>&1)"
same 'trust-policy: pair by pair' 'shop/web bank/api' \
  "$(trust --associations "$ENV_TMP/associations.yaml" --principal "${ROLE}node" web | jq -r '[.Statement[].Condition.StringEquals |
    "\(."aws:RequestTag/kubernetes-namespace")/\(."aws:RequestTag/kubernetes-service-account")"] | join(" ")')"
same 'trust-policy without a principal' \
  'podcred: it is not known who assumes the role; give --principal ARN, the role whose credentials podcred uses' \
  "$(trust --associations "$ENV_TMP/associations.yaml" web)"
same 'for several roles, an object' "${ROLE}a ${ROLE}b" \
  "$(trust --principal "${ROLE}node" --service-account shop/x "${ROLE}a" "${ROLE}b" | jq -r 'keys | join(" ")')"
same 'trust-policy with a wildcard' 'podcred: "shop/*" is no service account; write NAMESPACE/NAME, without wildcards' \
  "$(trust --principal "${ROLE}node" --service-account 'shop/*' "${ROLE}a")"
trust --config "$ENV_TMP/eks.yaml" --service-account shop/web "${ROLE}web" >"$ENV_TMP/eks.json"
same 'for EKS Pod Identity' pods.eks.amazonaws.com "$(jq -r '.Statement[0].Principal.Service' "$ENV_TMP/eks.json")"
same 'which can be converted' "$(trust --principal "${ROLE}node" --service-account shop/web "${ROLE}web" |
  jq -cS '.Statement[0].Condition.StringEquals["aws:RequestTag/eks-cluster-name"] = "demo"')" \
  "$(trust --convert "$ENV_TMP/eks.json" --principal "${ROLE}node" | jq -cS .)"
check_not 'only once' "$PODCRED" trust-policy --convert <(trust --convert "$ENV_TMP/eks.json" --principal "${ROLE}node") --principal x
same 'what is no policy' "podcred: $ENV_TMP/config.yaml:1: '[' or '{' expected near 'credentials'; write a trust policy, as JSON" \
  "$(trust --convert "$ENV_TMP/config.yaml" --principal x)"

# ---- a pod ----
env_load >/dev/null || env_fail 'load failed'
env_resolve
kubeapi_up
# explained POD OPTION... ; "ORIGIN ROLE SESSION", or why none
explained() {
  podcred explain --pod "shop/$1" --json "${@:2}" 2>&1 |
    jq -r '.error // (.association | if .origin then "\(.origin) \(.roleArn // .role) \(.sessionName // "")" else .why end)'
}
asked() { explained "$1" --config "$ENV_TMP/$2.yaml" --kubeconfig "$KUBE/kubeconfig" "${@:3}"; }
verdicts() {
  podcred explain --pod "shop/$1" --json --config "$ENV_TMP/$2.yaml" --kubeconfig "$KUBE/kubeconfig" "${@:3}" |
    jq -r '[.association.steps[] | "\(.origin)=\(.verdict)"] | join(" ")'
}
put_object() {
  api "$(jq -n --arg name "$1" --argjson spec "$2" '{put: {apiVersion: "podcred.io/v1alpha1", kind: "PodIdentityAssociation",
    metadata: {name: $name, namespace: "shop"}, spec: $spec}}')"
}
# put_pod NAME ANNOTATIONS [UID]
put_pod() {
  api "$(jq -n --arg name "$1" --argjson annotations "$2" --arg uid "${3:-${POD_UID[$1]}}" \
    '{pod: {name: $name, namespace: "shop", account: $name, uid: $uid, annotations: $annotations}}')"
}
# put KIND NAME NAMESPACE ANNOTATIONS
put() {
  api "$(jq -n --arg kind "$1" --arg name "$2" --arg space "$3" --argjson annotations "$4" \
    '{put: {kind: $kind, apiVersion: "v1", metadata: {name: $name, namespace: $space, annotations: $annotations}}}')"
}

same 'explain without files says nothing of associations' null "$(podcred explain --pod shop/web --json | jq .association)"
same 'of the file' "file ${ROLE}web shop.web.web" "$(explained web --associations "$ENV_TMP/associations.yaml")"
same 'none in the file' 'no role is associated with service account shop/api' \
  "$(explained api --associations "$ENV_TMP/associations.yaml")"
same 'what only the API server knows' 'it depends on what the API server says; give --kubeconfig' \
  "$(explained api --config "$ENV_TMP/config.yaml")"
same 'but the file comes first' "file ${ROLE}web shop.web.web" \
  "$(explained web --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/associations.yaml")"
same 'with EKS as the source, EKS is asked' 'eks null ' "$(explained api --config "$ENV_TMP/eks.yaml")"

same 'no object' 'no role is associated with service account shop/api' "$(asked api config)"
put_object api "{\"roleArn\": \"${ROLE}object\", \"sessionName\": \"serviceAccount\"}"
same 'an object whose role nobody allows' "PodIdentityAssociation shop/api: role ${ROLE}object is not allowed: there is no \
PodIdentityRolePolicy; write one for namespace shop" "$(asked api config)"
api '{"set": {"denied": ["list podidentityrolepolicies"]}}'
check 'one of which that cannot be known' grep -q 'cannot list podidentityrolepolicies.podcred.io: not allowed' <(asked api config)
api '{"set": {"denied": []}}'
role_policy shop "{\"namespaceSelector\": {\"matchLabels\": {\"team\": \"web\"}}, \"roleArns\": [\"${ROLE}*\"]}"
api '{"put": {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop", "labels": {"team": "web"}}}}'
same 'an object' "object ${ROLE}object shop.api" "$(asked api config)"
put_object web "{\"roleArn\": \"${ROLE}object\"}"
same 'beside the file' "file ${ROLE}web shop.web.web" "$(asked web config --associations "$ENV_TMP/associations.yaml")"
same 'which explain says' 'file=applies object=shadowed irsa=off kube2iam=off kiam=off eks=off' \
  "$(verdicts web config --associations "$ENV_TMP/associations.yaml")"
same 'trust-policy knows objects too' 'shop/web bank/api shop/api' "$(trust --associations "$ENV_TMP/associations.yaml" \
  --kubeconfig "$KUBE/kubeconfig" --principal "${ROLE}node" web object | jq -r '[.[].Statement[].Condition.StringEquals |
    "\(."aws:RequestTag/kubernetes-namespace")/\(."aws:RequestTag/kubernetes-service-account" | if type == "array" then join("+") else . end)"] | join(" ")')"
put_object api '{"roleArn": "object"}'
same 'an object that cannot be used' \
  "PodIdentityAssociation shop/api cannot be used: shop/api: bad value of 'roleArn'; write an ARN as arn:aws:iam::111122223333:role/NAME" \
  "$(asked api config)"
same 'costs no other one' "object ${ROLE}object shop.web.web" "$(asked web config)"
put_object api "{\"roleArn\": \"${ROLE}object\", \"onlyOnTuesdays\": true}"
check 'nor is a part of it passed over' grep -q '"onlyOnTuesdays" is not known to this version of podcred' <(asked api config)
check 'explain says which policy allows it' grep -q 'object .*shop/web, role .*object, allowed by PodIdentityRolePolicy shop$' \
  <(podcred explain --pod shop/web --config "$ENV_TMP/config.yaml" --kubeconfig "$KUBE/kubeconfig")
same 'nor does something else apply then' 'file=unknown object=refused irsa=absent kube2iam=absent kiam=off eks=off' "$(
  put_pod api '{}'
  put ServiceAccount api shop '{}'
  put Namespace shop '' '{}'
  verdicts api migration
)"
api '{"delete": ["podidentityassociations", "shop", "api"]}'

# ---- annotations ----
put ServiceAccount api shop "{\"eks.amazonaws.com/role-arn\": \"${ROLE}irsa\"}"
put_pod api '{"iam.amazonaws.com/role": "legacy"}'
same 'IRSA' "irsa ${ROLE}irsa shop.api.api" "$(asked api migration)"
same 'off unless the configuration says so' 'no role is associated with service account shop/api' "$(asked api config)"
put ServiceAccount api shop '{}'
same 'kube2iam needs the word of the namespace' \
  "role ${ROLE}legacy is not allowed: namespace shop has no annotation iam.amazonaws.com/allowed-roles" "$(asked api migration)"
put Namespace shop '' '{"iam.amazonaws.com/allowed-roles": "[\"legacy*\"]"}'
same 'kube2iam' "kube2iam ${ROLE}legacy shop.api.api" "$(asked api migration)"
put_pod api '{"iam.amazonaws.com/role": "admin"}'
same 'another role' "role ${ROLE}admin is not in iam.amazonaws.com/allowed-roles of namespace shop" "$(asked api migration)"
put_pod api '{"iam.amazonaws.com/role": "legacy"}' 6f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11
same 'a pod that has taken over the name' 'the API server has another pod of that name by now' "$(asked api migration)"
put_pod api '{"iam.amazonaws.com/role": "legacy"}'
api '{"set": {"whole_objects": true}}'
same 'by a server that cannot send metadata alone' "kube2iam ${ROLE}legacy shop.api.api" "$(asked api migration)"
api '{"set": {"denied": ["get namespaces"]}}'
same 'a missing right is named' \
  'GET /api/v1/namespaces/shop: the API server refuses (HTTP 403); podcred needs the right to get namespaces' "$(asked api migration)"
api '{"set": {"denied": [], "crd": false}}'
check 'and that the definition of objects is missing' grep -q 'cannot list podidentityassociations.podcred.io: .*404' <(asked api config)
api '{"set": {"crd": true}}'
check 'for people, in words' grep -qx "association: ${ROLE}legacy, from kube2iam, source sts, session shop.api.api" \
  <(podcred explain --pod shop/api --config "$ENV_TMP/migration.yaml" --kubeconfig "$KUBE/kubeconfig")
tap_done
