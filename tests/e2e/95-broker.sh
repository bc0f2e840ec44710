#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred broker as somebody sees it who has stolen something: a node, an agent's token, a pod's token. And what it gives to
# those who are what they say.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"
# shellcheck source=tests/lib/broker.sh
. "$(dirname "$0")/../lib/broker.sh"

ROLE=arn:aws:iam::111122223333:role
POD_AUDIENCE=pods.eks.amazonaws.com

# post PATH TOKEN BODY: the answer, then the status. TOKEN "": none
post() {
  local auth=()
  [ -z "$2" ] || auth=(-H "Authorization: Bearer $2")
  in_node curl -sS --max-time 20 --cacert "$BROKER_CA" -w '\n%{http_code}\n' "${auth[@]}" -H 'Content-Type: application/json' \
    -d "$3" "$BROKER_URL/clusters/demo/$1"
}
for_pod() { post assume-role-for-pod "$1" "{\"podUid\": \"$2\"${3:+, \"token\": \"$3\"}}"; }   # AGENT-TOKEN UID [POD-TOKEN]
for_token() { post assume-role-for-pod-identity "$1" "{\"token\": \"$2\"}"; } # AGENT-TOKEN POD-TOKEN
# result CMD...: STATUS/REASON, or 200/ROLE
result() {
  local out
  out=$("$@")
  echo "$(tail -n 1 <<<"$out")/$(head -n 1 <<<"$out" | jq -r '.reason // (.assumedRoleUser.arn | split("/")[1])')"
}
is() { [ "$(result "${@:2}")" = "$1" ]; }
last() { brokered "last | $1"; }

env_up systemd
broker_world
node_new n2
pod_on n1 agent1 AGENT
pod_on n2 agent2 AGENT
pod_on n1 web
pod_on n1 web-2 web
pod_on n2 till
pod_on n1 none
role_policy shop '{"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}'
object web "$ROLE/web"
object till "$ROLE/till"
broker_up
a1=$(token_of agent1 podcred podcred-broker)
a2=$(token_of agent2 podcred podcred-broker)
web=$(token_of web shop $POD_AUDIENCE)
till=$(token_of till shop $POD_AUDIENCE)

# ---- those who are what they say ----
check 'a pod of the own node, by its uid' wait_for 10 is 200/web for_pod "$a1" "${POD_UIDS[web]}"
same 'by its token' 200/web "$(result for_token "$a1" "$web")"
same 'by both' 200/web "$(result for_pod "$a1" "${POD_UIDS[web]}" "$web")"
check 'with the id that STS has given the session' grep -qE '^AROA[A-Z0-9]{10,}:shop\.web\.web$' \
  <(for_pod "$a1" "${POD_UIDS[web]}" | head -n 1 | jq -r .assumedRoleUser.assumeRoleId)
same 'the other node, its pod' 200/till "$(result for_pod "$a2" "${POD_UIDS[till]}")"
same 'STS was asked once for each' 2 "$(aws_calls 'map(select(.action == "AssumeRole")) | length')"
same 'with the six tags of EKS, all of them transitive' \
  'eks-cluster-arn eks-cluster-name kubernetes-namespace kubernetes-pod-name kubernetes-pod-uid kubernetes-service-account' \
  "$(aws_calls 'map(select(.action == "AssumeRole")) | last | .transitive | sort | join(" ")')"
same 'nothing is associated' 404/no_association "$(result for_pod "$a1" "${POD_UIDS[none]}")"
same 'the audit line has who, for whom, and what' \
  "granted shop web agent1 n1 $(aws_calls 'map(select(.roleArn == "'$ROLE'/web")) | last | .issued')" \
  "$(brokered 'map(select(.result == "granted" and .pod == "web")) | last | [.result, .namespace, .pod, .caller_pod, .node, .access_key_id] | join(" ")')"

# ---- a node that was taken over ----
same "a pod of another node" 403/other_node "$(result for_pod "$a1" "${POD_UIDS[till]}")"
same "even with that pod's own token" 403/other_node "$(result for_token "$a1" "$till")"
same 'which the log says' "other_node agent1 n1" "$(last '[.result, .caller_pod, .node] | join(" ")')"
same 'a uid with the token of another pod' 403/other_pod "$(result for_pod "$a1" "${POD_UIDS[web]}" "$(token_of web-2 shop $POD_AUDIENCE)")"
same 'a uid that no pod has' 503/pod_unknown "$(result for_pod "$a1" 11111111-2222-3333-4444-555555555555)"

# ---- a stolen token ----
same "a pod's token is no agent's" 403/caller_refused "$(result for_pod "$web" "${POD_UIDS[web]}")"
same "nor is a pod's for the broker" 403/caller_not_listed "$(result for_pod "$(token_of web shop podcred-broker)" "${POD_UIDS[web]}")"
same 'nor none' 403/no_token "$(result for_pod '' "${POD_UIDS[web]}")"
same "an agent's token for somebody else" 403/caller_refused "$(result for_pod "$(token_of agent1 podcred https://kubernetes.default.svc)" "${POD_UIDS[web]}")"
reviews() { in_node curl -s http://127.0.0.1:9465/metrics | sed -n 's/^podcred_broker_reviews_total{result="asked"} //p'; }
asked=$(reviews)
same 'a token that was changed' 403/caller_refused "$(result for_pod "${a1%????}AAAA" "${POD_UIDS[web]}")"
same 'of which the API server hears nothing' "$asked" "$(reviews)"
same 'one that has expired' 403/caller_refused "$(result for_pod "$(token_of agent1 podcred podcred-broker -5)" "${POD_UIDS[web]}")"
same "the pod's, which has expired" 400/pod_token_refused "$(result for_token "$a1" "$(token_of web shop $POD_AUDIENCE -5)")"
same "the pod's, for another audience" 400/pod_token_refused "$(result for_token "$a1" "$(token_of web shop sts.amazonaws.com)")"

# ---- an object that somebody wrote past the rules ----
pod_on n1 greedy
object greedy arn:aws:iam::999999999999:role/admin
check 'a role that no policy lets the namespace have' wait_for 10 is 403/role_not_allowed for_pod "$a1" "${POD_UIDS[greedy]}"
same 'of which STS hears nothing' 0 "$(aws_calls 'map(select(.roleArn // "" | endswith("admin"))) | length')"

# ---- what has ended ----
pod_on n1 gone
object gone "$ROLE/gone"
gone=$(token_of gone shop $POD_AUDIENCE)
check 'a pod that is there' wait_for 10 is 200/gone for_token "$a1" "$gone"
api '{"delete": ["pods", "shop", "gone"]}'
check 'its token is good for nothing when it is gone' wait_for 10 is 503/pod_unknown for_token "$a1" "$gone"
api "$(jq -n --arg uid "${POD_UIDS[web-2]}" '{put: {kind: "Pod", apiVersion: "v1", metadata: {name: "web-2", namespace: "shop", uid: $uid},
  spec: {nodeName: "n1", serviceAccountName: "web", containers: []}, status: {phase: "Succeeded"}}}')"
check 'a pod that has ended' wait_for 10 is 403/pod_ended for_pod "$a1" "${POD_UIDS[web-2]}"
api '{"delete": ["podidentityassociations", "shop", "till"]}'
check 'an association that was deleted' wait_for 10 is 404/no_association for_pod "$a2" "${POD_UIDS[till]}"
api '{"delete": ["pods", "podcred", "agent2"]}'
check "an agent's token, when its pod is gone" wait_for 10 is 403/caller_gone for_pod "$a2" "${POD_UIDS[till]}"

# ---- another node of the same name ----
api '{"delete": ["nodes", "", "n1"]}'
node_new n1 99999999-0000-0000-0000-000000000001
check "the old node's agent" wait_for 10 is 403/node_replaced for_pod "$a1" "${POD_UIDS[web]}"
pod_on n1 agent3 AGENT
a3=$(token_of agent3 podcred podcred-broker)
check 'the new one' wait_for 10 is 200/web for_pod "$a3" "${POD_UIDS[web]}"
same "with a token that the old one's pod had" 403/other_node "$(result for_token "$a3" "$web")"

# ---- before Kubernetes 1.30 tokens say nothing of nodes ----
api '{"set": {"node_claims": false}}'
pod_on n2 agent4 AGENT
a4=$(token_of agent4 podcred podcred-broker)
check 'the node is where the pod of the token is' wait_for 10 is 403/other_node for_pod "$a4" "${POD_UIDS[web]}"
same 'for its own pods too' 404/no_association "$(result for_pod "$a4" "${POD_UIDS[till]}")"

# ---- how it is confined ----
confined() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$BROKER_PID/status"; }
same 'a user of its own, no capability, no new privileges, a seccomp filter' "$BROKER_UID 0000000000000000 1 2" \
  "$(confined Uid) $(confined CapEff) $(confined NoNewPrivs) $(confined Seccomp)"

# ---- what is no request ----
same 'another cluster' 404/other_cluster "$(result post ../../clusters/prod/assume-role-for-pod "$a3" '{"podUid": "'"${POD_UIDS[web]}"'"}' --path-as-is)"
same 'a member that nobody knows' 400/bad_request "$(result post assume-role-for-pod "$a3" '{"podUid": "'"${POD_UIDS[web]}"'", "policy": "{}"}')"
same 'no JSON' 400/bad_request "$(result post assume-role-for-pod "$a3" 'podUid: x')"
same 'another operation' 404/no_operation "$(result post become-root "$a3" '{}')"
head -c 20000 /dev/zero | tr '\0' x >"$ENV_TMP/large"
same 'too much' 413/too_large "$(result post assume-role-for-pod "$a3" "@$ENV_TMP/large")"
check_not 'plain HTTP' in_node curl -sf --max-time 20 "http://127.0.0.1:$BROKER_PORT/healthz"
check_not 'somebody who does not trust its certificate' in_node curl -s --max-time 20 "$BROKER_URL/healthz"
check 'counters' grep -q 'podcred_broker_requests_total{result="other_node"} [1-9]' <(in_node curl -s http://127.0.0.1:9465/metrics)
check_not 'no secret is in the log' grep -qF -e "$a1" -e "$web" -e "$(jq -r .secretAccessKey <<<"$(for_pod "$a3" "${POD_UIDS[web]}" | head -n 1)")" "$ENV_TMP/broker.log"

# ---- the API server is away ----
broker_stop
api '{"set": {"node_claims": true}}'
broker_config 'whenApiIsAway: jwks' >"$ENV_TMP/broker.yaml"
broker_up
keys_are_there() { grep -q 'verified by the cluster' "$ENV_TMP/broker.log"; }
check 'the keys of the cluster are known' wait_for 10 keys_are_there
web=$(token_of web shop $POD_AUDIENCE)
a3=$(token_of agent3 podcred podcred-broker)
pod_on n2 agent5 AGENT
a5=$(token_of agent5 podcred podcred-broker)
api '{"away": []}'
check 'tokens are believed by its keys' wait_for 10 is 200/web for_token "$a3" "$web"
same 'which the log says' jwks "$(last .verified)"
life() { for_token "$a3" "$web" | head -n 1 | jq "(.credentials.expiration - $(date +%s)) < 910"; }
same 'and for a quarter of an hour' true "$(life)"
same 'another node gets nothing all the same' 403/other_node "$(result for_token "$a5" "$web")"
same "nor does a pod's token" 403/caller_refused "$(result for_pod "$web" "${POD_UIDS[web]}")"
broker_stop
api '{"back": []}'
broker_config >"$ENV_TMP/broker.yaml"
broker_up
api '{"away": []}'
check 'or refused, as the configuration says' wait_for 10 is 503/api_away for_token "$a3" "$web"
tap_done
