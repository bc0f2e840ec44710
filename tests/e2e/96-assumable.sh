#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whether AWS gives the role of an association is found out before a pod needs it: control asks the broker, which tries, and
# writes into the status of the object what came of it.
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
CONTROL_HEALTH=127.0.0.1:9470

# tried TOKEN BODY: "STATUS ASSUMABLE REASON", or "STATUS REASON" of a refusal
tried() {
  in_node curl -sS --max-time 20 --cacert "$BROKER_CA" -o "$ENV_TMP/tried" -w '%{http_code} ' -H "Authorization: Bearer $1" -d "$2" \
    "$BROKER_URL/clusters/demo/assumable"
  jq -r '[.assumable, .reason] | map(select(.)) | join(" ")' "$ENV_TMP/tried"
}
of() { printf '{"namespace": "shop", "serviceAccount": "%s"}' "$1"; }
tries() { aws_calls "map(select(.action == \"AssumeRole\" and (.sessionName // \"\" | endswith(\".podcred-check\")))) | $1"; }
status_of() {
  in_node curl -sSf --cacert "$KUBE/ca.crt" -H "Authorization: Bearer $(<"$KUBE/token")" \
    "$(sed -n 's/^ready //p' "$ENV_TMP/kubeapi.log")/apis/podcred.io/v1alpha1/namespaces/shop/podidentityassociations/$1"
}
condition() { # NAME TYPE STATUS REASON
  status_of "$1" | jq -es --arg type "$2" --arg status "$3" --arg reason "$4" \
    'any(.[].status.conditions[]?; .type == $type and .status == $status and .reason == $reason)'
}
control_is_up() { in_node curl -sf "http://$CONTROL_HEALTH/healthz"; }
# control N: one more replica; not by in_node, as the job has to be the process that env_down ends
control() {
  nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" control --config "$ENV_TMP/control.yaml" --listen "127.0.0.1:$((8500 + $1))" --health "127.0.0.1:$((9469 + $1))" \
    --certificate "$ENV_TMP/certs/ok.pem" --key "$ENV_TMP/certs/ok.key" --kubeconfig "$KUBE/kubeconfig" >"$ENV_TMP/control$1.log" 2>&1 &
}
written() { # by all replicas
  local n
  for n in "$@"; do in_node curl -sS "http://127.0.0.1:$((9469 + n))/metrics"; done |
    awk '/^podcred_control_status_total{result="(written|conflict)"}/ { n += $2 } END { print n }'
}

env_up systemd
broker_world
pod_on n1 agent AGENT
api '{"put": {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "podcred-control", "namespace": "podcred"}},
  "pod": {"name": "control", "namespace": "podcred", "node": "n1", "account": "podcred-control", "uid": "'"$(cat /proc/sys/kernel/random/uuid)"'"}}'
role_policy shop '{"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}'
aws_do "{\"role\": {\"arn\": \"$ROLE/locked\", \"deny\": true}}" >/dev/null
object web "$ROLE/web"
object locked "$ROLE/locked"
object foreign arn:aws:iam::999922223333:role/x
broker_up
token=$(token_of control podcred podcred-broker)

same 'AWS gives the role' '200 True granted' "$(tried "$token" "$(of web)")"
check 'and says how much of its room the tags take' jq -e '.packedPercent > 0' "$ENV_TMP/tried"
check_not 'the answer has nothing of the credentials' grep -qi -e key -e "$(tries 'last | .issued')" "$ENV_TMP/tried"
same 'STS was told the association, and a name that no pod has' podcred-check "$(tries 'last | .tags["kubernetes-pod-name"]')"
same 'AWS does not' '200 False denied' "$(tried "$token" "$(of locked)")"
before=$(tries length)
same 'a role that no policy allows is not tried' '200 Unknown not_allowed' "$(tried "$token" "$(of foreign)")"
same 'nor what is not there' '404 no_association' "$(tried "$token" "$(of nobody)")"
same 'STS was asked no more' "$before" "$(tries length)"
same 'a body that says too little' '400 bad_request' "$(tried "$token" '{"namespace": "shop"}')"
same 'an agent may not ask' '403 caller_not_listed' "$(tried "$(token_of agent podcred podcred-broker)" "$(of web)")"

# ---- the status ----
printf '%s' "$token" >"$ENV_TMP/token"
cat >"$ENV_TMP/control.yaml" <<YAML
credentials:
  cluster: {name: demo, arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo"}
  broker: {url: "$BROKER_URL", caBundle: "$BROKER_CA", tokenFile: "$ENV_TMP/token"}
YAML
control 1
wait_for 20 control_is_up || env_fail "control is not up: $(cat "$ENV_TMP/control1.log")"
check 'the status: it can be assumed' wait_for 20 condition web Assumable True Assumed
check 'with the room that is taken' jq -es 'any(.[]; .status.packedPolicySize > 0)' <(status_of web)
check 'and ready' condition web Ready True Ready
check 'one that AWS does not give' wait_for 20 condition locked Assumable False Denied
check 'is not ready' condition locked Ready False NotAssumable
check 'one that was not tried' wait_for 20 condition foreign Assumable Unknown NotKnown
aws_do "{\"role\": {\"arn\": \"$ROLE/other\"}}" >/dev/null
object locked "$ROLE/other"
check 'another role is tried at once' wait_for 20 condition locked Assumable True Assumed
control 2
broker_stop
object web "$ROLE/web2"
check 'without the broker nobody can say' wait_for 30 condition web Assumable Unknown NotKnown
check 'which does not make it unfit' condition web Ready True Ready
check 'what was known stays' condition locked Assumable True Assumed
broker_up
check 'the broker is back' wait_for 60 condition web Assumable True Assumed
same 'two replicas do not fight' ok "$(n=$(written 1 2); [ "$n" -le 16 ] && echo ok || echo "$n writes")"
check_not 'no token is in a log' grep -qF "$token" "$ENV_TMP"/{control1,control2,broker}.log
tap_done
