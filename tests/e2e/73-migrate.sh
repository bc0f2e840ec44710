#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred migrate: annotations of IRSA, kube2iam and kiam become associations and role policies, which the API server
# takes as they are, and podcred uses. No privileges.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
cd "$(dirname "$0")/../.." || exit 1
PODCRED=${PODCRED:-${O:-build}/podcred}
WORK=$(mktemp -d)
SERVER=
clean() {
  [ -z "$SERVER" ] || kill "$SERVER" 2>/dev/null
  wait
  rm -rf "$WORK"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ROLE=arn:aws:iam::111122223333:role
mkfifo "$WORK/out"
python3 tests/kube/kubeapi.py "$WORK/kube" >"$WORK/out" &
SERVER=$!
read -r _ <"$WORK/out"
export KUBECONFIG=$WORK/kube/kubeconfig
api() { curl -sSf --unix-socket "$WORK/kube/control" -d "$1" http://control/ >/dev/null || echo "api: $1 failed"; }
# namespace NAME ANNOTATIONS; account NAMESPACE NAME ANNOTATIONS; pod NAMESPACE NAME ACCOUNT ANNOTATIONS
namespace() {
  api "$(jq -n --arg name "$1" --argjson a "$2" '{put: {kind: "Namespace", apiVersion: "v1", metadata: {name: $name, annotations: $a}}}')"
}
account() {
  api "$(jq -n --arg space "$1" --arg name "$2" --argjson a "$3" \
    '{put: {kind: "ServiceAccount", apiVersion: "v1", metadata: {namespace: $space, name: $name, annotations: $a}}}')"
}
pod() {
  api "$(jq -n --arg space "$1" --arg name "$2" --arg account "$3" --argjson a "$4" \
    '{pod: {namespace: $space, name: $name, account: $account, annotations: $a}}')"
}
role() { jq -n --arg role "$1" '{"iam.amazonaws.com/role": $role}'; }

same 'a cluster without annotations' '' "$("$PODCRED" migrate | grep -v '^#')"
pod odd quoted default "$(role 'a"b/c')"
check 'what YAML could take for something else is quoted' grep -qF "roleArn: \"$ROLE/a\\\"b/c\"" \
  <("$PODCRED" migrate --namespace odd --base-role-arn "$ROLE/")
api '{"delete": ["pods", "odd", "quoted"]}'
namespace shop '{"iam.amazonaws.com/allowed-roles": "[\"team/*\"]"}'
namespace bank '{"iam.amazonaws.com/permitted": ".*/pay-.*"}'
namespace 123 '{}'
account shop irsa "{\"eks.amazonaws.com/role-arn\": \"$ROLE/irsa\"}"
account shop broken '{"eks.amazonaws.com/role-arn": "irsa\n- injected"}'
account shop "done" "{\"eks.amazonaws.com/role-arn\": \"$ROLE/done\"}"
pod shop web-1 web "$(role team/web)"
pod shop web-2 web "$(role "$ROLE/team/web")"
pod shop admin admin "$(role admin)"
pod shop two-1 two "$(role team/a)"
pod shop two-2 two "$(role team/b)"
pod shop irsa-1 irsa "$(role team/other)"
pod shop none none '{}'
pod bank pay pay "$(role pay-1 | jq '. + {"iam.amazonaws.com/external-id": "x/1", "iam.amazonaws.com/session-name": "s"}')"
pod 123 numbers default "$(role 'a=b,c/d')"
api "$(jq -n --arg role "$ROLE/done" '{put: {kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1",
  metadata: {namespace: "shop", name: "done"}, spec: {roleArn: $role}}}')"

"$PODCRED" migrate --base-role-arn "$ROLE/" >"$WORK/all.yaml" 2>"$WORK/err"
same 'what cannot be done is counted' 'podcred: 4 left out; the comments say which and why' "$(cat "$WORK/err")"
same 'and named' "# Left out: pod irsa-1 of service account shop/irsa: role $ROLE/team/other, as IRSA comes first
# Left out: pod shop/admin: role $ROLE/admin is not in iam.amazonaws.com/allowed-roles of namespace shop
# Left out: service account shop/broken: eks.amazonaws.com/role-arn of the service account is \"irsa?- injected\", no ARN of a role; correct it" \
  "$(grep '^# Left out' "$WORK/all.yaml" | LC_ALL=C sort)"
same 'two roles of one service account' "# Service account shop/two has pods with several roles; give each role a service account of its own:
#   $ROLE/team/a
#   $ROLE/team/b" "$(grep -A 2 '^# Service account' "$WORK/all.yaml")"
check 'kubectl takes what is printed' kubectl apply --validate=false -f "$WORK/all.yaml"
objects() { kubectl get "$@" -o json | jq -r "$FILTER"; }
FILTER='.items[] | "\(.metadata.namespace)/\(.metadata.name) \(.spec | [.roleArn, .externalId, .disableSessionTags] | map(tostring) | join(" "))"'
same 'associations' "123/default $ROLE/a=b,c/d null true
bank/pay $ROLE/pay-1 x/1 true
shop/done $ROLE/done null null
shop/irsa $ROLE/irsa null null
shop/web $ROLE/team/web null true" "$(objects pia -A)"
FILTER='.items[] | "\(.metadata.name) \(.spec.namespaces[0]) \(.spec.roleArns | join(" "))"'
same 'and policies, with no other role than they need' "123 123 $ROLE/a=b,c/d
bank bank $ROLE/pay-1
shop shop $ROLE/irsa $ROLE/team/web" "$(objects pirp)"
check 'a namespace that nothing restricts is pointed out' grep -B1 -A4 'Nothing restricted this namespace' "$WORK/all.yaml"
same 'afterwards there is nothing left to do but what was left out' '' \
  "$("$PODCRED" migrate --base-role-arn "$ROLE/" 2>/dev/null | grep -v '^#')"
same 'one namespace alone' "  namespace: \"bank\"" "$(kubectl delete pia -n bank pay >/dev/null
  "$PODCRED" migrate --namespace bank --base-role-arn "$ROLE/" | grep 'namespace:')"
check 'without a base ARN, names are left out' grep -q 'no ARN of a role, and there is no baseRoleArn' <("$PODCRED" migrate --namespace bank 2>/dev/null)
api '{"set": {"denied": ["list pods"]}}'
same 'a missing right' 1 "$("$PODCRED" migrate >"$WORK/none" 2>"$WORK/err"; echo $?)"
check 'is said' grep -q '^podcred: cannot list Pod objects: pods is forbidden' "$WORK/err"
same 'and nothing is printed' '' "$(cat "$WORK/none")"
tap_done
