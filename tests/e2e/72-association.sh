#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred association, by a kubeconfig and in a file: what it changes, what it prints, and what it refuses without
# changing anything. No privileges.
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
cat >"$WORK/config.yaml" <<YAML
credentials: {objects: true, cluster: {name: demo, arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo"}}
YAML
mkfifo "$WORK/out"
python3 tests/kube/kubeapi.py "$WORK/kube" >"$WORK/out" &
SERVER=$!
read -r _ <"$WORK/out"
api() { curl -sSf --unix-socket "$WORK/kube/control" -d "$1" http://control/ >/dev/null || echo "api: $1 failed"; }

# pia VERB OPTION... ; by the API
pia() { "$PODCRED" association "$1" --kubeconfig "$WORK/kube/kubeconfig" --config "$WORK/config.yaml" "${@:2}" 2>&1; }
web=(--namespace shop --service-account web)
# object NAME FILTER
object() { kubectl --kubeconfig "$WORK/kube/kubeconfig" get pia -n shop "$1" -o json 2>&1 | jq -cS "$2"; }
line() { "$@" 2>&1 | head -n 1; }

# ---- by the API ----
same 'what no policy allows is written, and said' "podcred: pods get nothing by it yet: role $ROLE/early is not allowed: there is no \
PodIdentityRolePolicy; write one for namespace shop" \
  "$(pia create --namespace shop --service-account early --role-arn "$ROLE/early" | grep ^podcred:)"
api '{"set": {"denied": ["list podidentityrolepolicies"]}}'
same 'but not to those who may not read policies' '' \
  "$(pia update --namespace shop --service-account early --role-arn "$ROLE/late" | grep ^podcred:)"
api '{"set": {"denied": []}, "delete": ["podidentityassociations", "shop", "early"],
  "put": {"kind": "PodIdentityRolePolicy", "apiVersion": "podcred.io/v1alpha1", "metadata": {"name": "all"},
    "spec": {"namespaceSelector": {}, "roleArns": ["arn:aws:iam::*:role/*"]}}}'
api '{"put": {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop"}}}'
pia create "${web[@]}" --cluster-name demo --role-arn "$ROLE/web" --target-role-arn arn:aws:iam::444455556666:role/data \
  --tags team=shop,tier=a --tags 'owner=a b' --duration-seconds 3600 >"$WORK/created"
same 'create prints the association as EKS has it' "demo shop web $ROLE/web arn:aws:iam::444455556666:role/data" \
  "$(jq -r '.association | "\(.clusterName) \(.namespace) \(.serviceAccount) \(.roleArn) \(.targetRoleArn)"' "$WORK/created")"
ID=$(jq -r .association.associationId "$WORK/created")
check 'with an id of that kind' grep -Ex 'a-[0-9a-z]{17}' <<<"$ID"
ARN=$(jq -r .association.associationArn "$WORK/created")
same 'and an ARN' "arn:aws:eks:eu-west-1:111122223333:podidentityassociation/demo/$ID" "$ARN"
same 'and the external id that the target role is asked for with' eu-west-1/111122223333/demo/shop/web \
  "$(jq -r .association.externalId "$WORK/created")"
same 'and no member that the API of EKS does not have' '' "$(jq -r '.association | keys[]' "$WORK/created" | grep -vxE \
  'clusterName|namespace|serviceAccount|roleArn|associationArn|associationId|tags|createdAt|modifiedAt|ownerArn|disableSessionTags|targetRoleArn|externalId|policy')"
same 'the object has what was asked for' \
  "{\"durationSeconds\":3600,\"roleArn\":\"$ROLE/web\",\"tags\":{\"owner\":\"a b\",\"team\":\"shop\",\"tier\":\"a\"},\"targetRoleArn\":\"arn:aws:iam::444455556666:role/data\"}" \
  "$(object web .spec)"
same 'a second one' 'podcred: there is an association of shop/web already; podcred association update changes it' \
  "$(pia create "${web[@]}" --role-arn "$ROLE/other")"
same 'the name of older guides' api "$("$PODCRED" associate-service-account-role --kubeconfig "$WORK/kube/kubeconfig" \
  --namespace shop --service-account api --role-arn "$ROLE/api" | jq -r .association.serviceAccount)"
same 'list' 'api web' "$(pia list | jq -r '[.associations[].serviceAccount] | join(" ")')"
same 'of one namespace and account' "$ID" "$(pia list "${web[@]}" | jq -r '.associations[].associationId')"
same 'of another' '[]' "$(pia list --namespace bank | jq -c .associations)"
same 'describe by id' "$ROLE/web" "$(pia describe --association-id "$ID" | jq -r .association.roleArn)"
same 'and by name' "$ID" "$(pia describe "${web[@]}" | jq -r .association.associationId)"
pia update --association-id "$ID" --role-arn "$ROLE/two" --target-role-arn '' --disable-session-tags --policy '{"Version":"2012-10-17"}' >"$WORK/updated"
same 'update: what is empty is taken away, and what is not given stays' \
  "{\"disableSessionTags\":true,\"durationSeconds\":3600,\"policy\":\"{\\\"Version\\\":\\\"2012-10-17\\\"}\",\"roleArn\":\"$ROLE/two\",\"tags\":{\"owner\":\"a b\",\"team\":\"shop\",\"tier\":\"a\"}}" \
  "$(object web .spec)"
same 'tag' '{}' "$(pia tag --resource-arn "$ARN" --tags team=web,new=1)"
same 'untag' '{}' "$(pia untag --resource-arn "$ARN" --tag-keys owner tier)"
same 'list-tags' '{"new":"1","team":"web"}' "$(pia list-tags --resource-arn "$ARN" | jq -cS .tags)"

# refused TEXT VERB OPTION... ; with one line, and without a change
refused() {
  local before
  before=$(object web .)
  same "refused: $1" "$1" "$(pia "${@:2}")"
  [ "$before" = "$(object web .)" ] || same 'without a change' "$before" "$(object web .)"
}
WANTS='write an ARN as arn:aws:iam::111122223333:role/NAME'
refused "podcred: the association: bad value of 'roleArn'; $WANTS" update "${web[@]}" --role-arn web
refused "podcred: the association: 'policy' goes with disableSessionTags: true only, as both share what little room STS has; add that" \
  update "${web[@]}" --no-disable-session-tags
refused "podcred: the association: a tag has the name of one that podcred sets itself; rename it" \
  tag "${web[@]}" --tags kubernetes-namespace=bank
refused 'podcred: no association has the id a-00000000000000000; podcred association list shows those that there are' \
  describe --association-id a-00000000000000000
HELP='podcred association --help lists the options'
refused "podcred association: --role-arn is missing; $HELP" create "${web[@]}"
refused "podcred association: --service-account is missing, or --association-id; $HELP" delete --namespace shop
refused "podcred association: --policy does not go with list; $HELP" list --policy x
refused "podcred association: \"sh/op\" is not the name of a namespace; $HELP" describe --namespace sh/op --service-account web
refused "podcred association: --tags is \"team\"; write KEY=VALUE, or several with commas, or a JSON object; $HELP" tag "${web[@]}" --tags team
refused "podcred association: --cluster-name is prod, and the configuration's cluster is demo; $HELP" list --cluster-name prod
api '{"set": {"denied": ["patch podidentityassociations", "delete podidentityassociations"]}}'
check 'what the cluster does not allow is said' grep -q 'cannot patch PodIdentityAssociation shop/web: .*cannot patch resource.*; ask for the right' \
  <(pia update "${web[@]}" --role-arn "$ROLE/three")
check_not 'and is no success' pia delete "${web[@]}"
api '{"set": {"denied": []}}'
same 'delete prints what there was' "$ROLE/two" "$(pia delete --association-id "$ID" | jq -r .association.roleArn)"
check 'and it is gone' grep -q 'cannot get PodIdentityAssociation shop/web: .*not found' <(pia describe "${web[@]}")

# ---- in a file ----
FILE=$WORK/associations.yaml
local_pia() { "$PODCRED" association "$1" --file "$FILE" "${@:2}" 2>&1; }
same 'create makes the file' web "$(local_pia create "${web[@]}" --role-arn "$ROLE/web" --tags 'team=a: b' | jq -r .association.serviceAccount)"
check 'which podcred reads' "$PODCRED" check-config --associations "$FILE"
chmod 600 "$FILE"
cat >>"$FILE" <<YAML
  # the API
  - namespace: shop
    serviceAccount: api
    roleArn: $ROLE/api # for now
  - namespace: shop
    serviceAccount: keys
    role: keys
    static: {accessKeyId: AKIDEXAMPLE, secretAccessKey: wJalrXUtnFEMI, sessionToken: token}
YAML
same 'describe: what has to be quoted comes back' 'a: b' "$(local_pia describe "${web[@]}" | jq -r .association.tags.team)"
same 'list' 'web api keys' "$(local_pia list | jq -r '[.associations[].serviceAccount] | join(" ")')"
check_not 'it shows no keys' grep -q wJalr <(local_pia list; local_pia describe --namespace shop --service-account keys)
cp "$FILE" "$WORK/before"
same 'comments that would be lost are asked about' \
  "podcred: $FILE:7: the entry of shop/api has comments, which would be lost; give --discard-comments, or edit the file by hand" \
  "$(local_pia update --namespace shop --service-account api --role-arn "$ROLE/two")"
same 'an entry with keys' "podcred: $FILE:11: shop/keys has no roleArn (its source is static); edit the file by hand" \
  "$(local_pia update --namespace shop --service-account keys --role-arn "$ROLE/two")"
same 'a wrong ARN' "podcred: the association: bad value of 'roleArn'; $WANTS" "$(local_pia create --namespace a --service-account b --role-arn x)"
same 'an id' "podcred association: --file goes without --association-id; associations of a file have no id; $HELP" \
  "$(local_pia describe --association-id "$ID")"
check 'nothing of that has changed the file' cmp "$FILE" "$WORK/before"
local_pia update --namespace shop --service-account api --role-arn "$ROLE/two" --session-name eks --discard-comments >/dev/null
local_pia untag "${web[@]}" --tag-keys team >/dev/null
local_pia delete "${web[@]}" >/dev/null
same 'the rest stays as it is' "$(cat <<YAML
associations:
  # the API
  - namespace: "shop"
    serviceAccount: "api"
    roleArn: $ROLE/two
    sessionName: "eks"
  - namespace: shop
    serviceAccount: keys
    role: keys
    static: {accessKeyId: AKIDEXAMPLE, secretAccessKey: wJalrXUtnFEMI, sessionToken: token}
YAML
)" "$(cat "$FILE")"
check 'and valid' "$PODCRED" check-config --associations "$FILE"
same 'with the rights that it had' 600 "$(stat -c %a "$FILE")"
echo 'associations: [}' >"$WORK/broken.yaml"
check_not 'a file that is not valid is not touched' "$PODCRED" association create --file "$WORK/broken.yaml" "${web[@]}" --role-arn "$ROLE/a"
same 'no verb' 'podcred association: no verb given; write create, list, describe, update, delete, tag, untag or list-tags' "$(line "$PODCRED" association)"
tap_done
