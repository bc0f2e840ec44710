#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From kube2iam and kiam to associations: their annotations, with what the namespace allows, then the associations, and
# roles that trust nobody but who trust-policy says.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

ROLE=arn:aws:iam::111122223333:role/
NODE=arn:aws:iam::111122223333:role/node
FETCH_UID=$((ENV_UID + 1))
ECS=http://169.254.170.2/v1/credentials

# with_annotations [SPEC]: configuration; SPEC of migration
config() {
  cat <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  objects: true
  region: eu-west-1
  migration: {baseRoleArn: "$ROLE"${1:+, $1}}
  cluster: {name: demo}
  endpoints: {sts: "$STS_URL", imds: "$IMDS_URL"}
YAML
}
serve_start() {
  in_agent "$PODCRED" serve --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/associations.yaml" \
    --user "$ENV_UID" --fetch-socket "$ENV_TMP/fetch.sock" --fetch-user "$FETCH_UID" >>"$ENV_TMP/serve.log" 2>&1 &
  wait_for 10 agent_is_up || env_fail "the agent is not up: $(cat "$ENV_TMP/serve.log")"
}
starts=0
is_connected() { [ "$(grep -c 'connected to the agent' "$ENV_TMP/fetch.log")" = $starts ]; }
# fetch_start MIGRATION
fetch_start() {
  config "$1" >"$ENV_TMP/config.yaml"
  nsenter --net="/run/netns/$NODE_NETNS" env -i PATH="$PATH" HOME=/nonexistent \
    "$PODCRED" fetch --socket "$ENV_TMP/fetch.sock" --config "$ENV_TMP/config.yaml" --kubeconfig "$KUBE/kubeconfig" \
    --associations "$ENV_TMP/associations.yaml" --user "$FETCH_UID" --node n1 >>"$ENV_TMP/fetch.log" 2>&1 &
  FETCH_PID=$!
  starts=$((starts + 1))
  wait_for 10 is_connected || env_fail "fetch is not connected: $(cat "$ENV_TMP/fetch.log")"
}
fetch_stop() { kill "$FETCH_PID" && wait "$FETCH_PID"; }

pod_is_known() { podcred pods --json | jq -e --arg uid "${POD_UID[$1]}" 'any(.. | strings; . == $uid)'; }
# new_pod NAME [ANNOTATIONS]
new_pod() {
  pod_add "$1" burstable
  env_podlist "$ENV_TMP/pods.json"
  api "$(jq -n --arg name "$1" --arg uid "${POD_UID[$1]}" --argjson annotations "${2:-{\}}" \
    '{pod: {name: $name, namespace: "shop", account: $name, uid: $uid, annotations: $annotations}}')"
  wait_for 10 pod_is_known "$1" || env_fail "pod $1 has no name"
}
namespace() {
  api "$(jq -n --argjson annotations "$1" '{put: {kind: "Namespace", apiVersion: "v1", metadata: {name: "shop", annotations: $annotations}}}')"
}
object() { # ACCOUNT SPEC
  api "$(jq -n --arg name "$1" --argjson spec "$2" '{put: {kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1",
    metadata: {name: $name, namespace: "shop"}, spec: $spec}}')"
}
ask() { in_pod "$1" curl -s --max-time 10 -w '\n%{http_code}\n' "$ECS"; }
code() { ask "$1" | head -n 1 | jq -r 'if .AccessKeyId then "granted" else .code end'; }
told() { ask "$1" | head -n 1 | jq -r .message; }
is_told() { told "$1" | grep -qF "$2"; }
last() { aws_calls "map(select(.action == \"AssumeRole\")) | last | $1"; }
calls() { aws_calls 'map(select(.action == "AssumeRole")) | length'; }

env_up systemd
env_load >/dev/null || env_fail 'load failed'
env_resolve
chmod 711 "$ENV_TMP"
aws_up
kubeapi_up
chmod 711 "$KUBE" && chmod 644 "$KUBE"/{kubeconfig,token,ca.crt}
echo 'associations: []' >"$ENV_TMP/associations.yaml"
config >"$ENV_TMP/config.yaml"
serve_start

# ---- kube2iam ----
fetch_start 'kube2iam: true'
namespace '{}'
new_pod legacy '{"iam.amazonaws.com/role": "team/legacy", "iam.amazonaws.com/external-id": "x/1"}'
same 'an annotation that the namespace does not allow' AccessDenied "$(code legacy)"
check 'the pod is told why' is_told legacy "role ${ROLE}team/legacy is not allowed: namespace shop has no annotation iam.amazonaws.com/allowed-roles"
same 'and nothing was asked of AWS' 0 "$(calls)"
namespace '{"iam.amazonaws.com/allowed-roles": "[\"team/*\"]"}'
new_pod old '{"iam.amazonaws.com/role": "team/legacy", "iam.amazonaws.com/external-id": "x/1"}'
# the namespace is looked at again after ten seconds
granted() { [ "$(code "$1")" = granted ]; }
check 'one that it allows' wait_for 30 granted old
same 'its role, external id and session; no tags, which its trust policy would not let pass' \
  "${ROLE}team/legacy x/1 shop.old.old {}" "$(last '"\(.roleArn) \(.parameters.ExternalId) \(.sessionName) \(.tags // {})"')"
new_pod admin '{"iam.amazonaws.com/role": "admin"}'
same 'another role' AccessDenied "$(code admin)"
new_pod bare
same 'no annotation, no default role' NoCredentialsAssociated "$(code bare)"

# ---- kiam ----
fetch_stop
fetch_start 'kiam: true, kube2iam: true, defaultRole: usual'
namespace '{"iam.amazonaws.com/permitted": "arn:aws:iam::\\d+:role/app-.*"}'
new_pod kiam '{"iam.amazonaws.com/role": "app-1", "iam.amazonaws.com/session-name": "my name"}'
same 'kiam: a role that matches' granted "$(code kiam)"
same 'and the name of the session' "${ROLE}app-1" "$(last .roleArn)"
check 'made one that STS takes' grep -qx 'kiam-my-name-[0-9a-f]*' <(last .sessionName)
new_pod kiam2 '{"iam.amazonaws.com/role": "my-app-1"}'
same 'one that does not match from its beginning' AccessDenied "$(code kiam2)"
new_pod usual
same 'the default role' "granted ${ROLE}usual" "$(code usual) $(last .roleArn)"

# ---- an object comes before ----
api '{"put": {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop", "annotations": {}}}}'
allow_all_roles
object wrong '{"roleArn": "not an ARN"}'
new_pod wrong '{"iam.amazonaws.com/role": "app-1"}'
same 'an object that cannot be used shuts the annotation out' AccessDenied "$(code wrong)"
check 'and is named in the log' wait_for 10 grep -q "1 PodIdentityAssociation object cannot be used: shop/wrong: bad value of 'roleArn'" "$ENV_TMP/fetch.log"
object wrong "{\"roleArn\": \"${ROLE}right\"}"
check 'until it is corrected' wait_for 10 granted wrong
same 'which is then the role' "${ROLE}right" "$(last .roleArn)"

# ---- roles that trust whom trust-policy says ----
# A policy of IAM in the words of the stand-in.
trusts() {
  jq -c --arg arn "$1" '{role: {arn: $arn, trust: [.Statement[] | (.Condition.StringEquals // {}) as $equals | {
    aws: [.Principal.AWS], actions: ([.Action] | flatten),
    external_id: $equals["sts:ExternalId"],
    request_tags: ($equals | with_entries(select(.key | startswith("aws:RequestTag/")) | .key |= ltrimstr("aws:RequestTag/"))),
    session_name: ($equals["sts:RoleSessionName"] // .Condition.StringLike["sts:RoleSessionName"])
  } | with_entries(select(.value != null and .value != {}))]}}'
}
fetch_stop
fetch_start ''
cat >"$ENV_TMP/associations.yaml" <<YAML
associations:
  - {namespace: shop, serviceAccount: one, roleArn: "${ROLE}app", externalId: id-of-one, tags: {team: shop}}
  - {namespace: shop, serviceAccount: two, roleArn: "${ROLE}app", disableSessionTags: true, policy: '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}'}
YAML
policy() { "$PODCRED" trust-policy --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/associations.yaml" --principal "$NODE" "$1"; }
aws_do '{"set": {"strict": true}}' >/dev/null
aws_do "$(policy app | trusts "${ROLE}app")" >/dev/null
kill -HUP "$FETCH_PID"
for name in one two; do
  new_pod $name
  check "$name may have the role" wait_for 10 granted $name
done
same 'three tags of the cluster and its own' 'demo shop one one shop' \
  "$(aws_calls 'map(select(.sessionName == "shop.one.one")) | last | .tags | [."eks-cluster-name", ."kubernetes-namespace",
    ."kubernetes-service-account", ."kubernetes-pod-name", .team] | join(" ")')"
cat >"$ENV_TMP/associations.yaml" <<YAML
associations:
  - {namespace: shop, serviceAccount: three, roleArn: "${ROLE}app", externalId: id-of-one}
  - {namespace: shop, serviceAccount: four, roleArn: "${ROLE}app", disableSessionTags: true}
YAML
kill -HUP "$FETCH_PID"
for name in three four; do
  new_pod $name
  check "$name, which the policy is not for, may not" wait_for 10 is_told $name AccessDenied
done
tap_done
