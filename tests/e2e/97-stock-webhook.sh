#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred control writes which service accounts have an association for the webhook of EKS: a ConfigMap with exactly what exists, by two
# replicas that do not fight, and beside what others have there.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/control.sh
. "$(dirname "$0")/../lib/control.sh"

associate() { # NAMESPACE NAME
  put "$(jq -nc --arg namespace "$1" --arg name "$2" '{kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1",
    metadata: {$name, $namespace}, spec: {roleArn: "arn:aws:iam::111122223333:role/app"}}')"
}
read_map() { curl -sS --cacert "$KUBE/ca.crt" -H "Authorization: Bearer $(cat "$KUBE/token")" "$SERVER/api/v1/namespaces/eks/configmaps/identities"; }
config() { read_map | jq -j '.data."config.json"'; }
config_is() { [ "$(config)" = "$1" ]; }
version() { read_map | jq -r .metadata.resourceVersion; }
metric() { curl -sf "${2:-$HEALTH}/metrics" | sed -n "s/^podcred_control_stock_config_$1 //p"; }
metric_is() { [ "$(metric "$2" "${3:-$HEALTH}")" = "$1" ]; }
# accounts NAMESPACE/NAME...: the file that has them
accounts() {
  local one lines=()
  for one; do lines+=("{\"namespace\":\"${one%/*}\",\"serviceAccount\":\"${one#*/}\"}"); done
  printf '{"identities":['
  [ $# -eq 0 ] || printf '\n%s' "${lines[0]}"
  [ $# -lt 2 ] || printf ',\n%s' "${lines[@]:1}"
  printf ']}\n'
}
has() { # WHAT NAMESPACE/NAME...
  check "$1" eventually 10 config_is "$(accounts "${@:2}")" || note "$(read_map)"
}
note() { printf '%s\n' "$1" | sed 's/^/#   /'; }

control_up
SERVER=$(sed -n 's/^ready //p' "$DIR/kubeapi.log")
echo 'webhook: {stockConfigMap: eks/identities}' >>"$DIR/config.yaml"
put '{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "eks"}}'
for one in shop/web bank/web shop/api; do associate "${one%/*}" "${one#*/}"; done
control_start

has 'it is made, with what exists, by name' bank/web shop/api shop/web
same 'and says so' '1 app=podcred' "$(metric 'total{result="written"}') app=$(read_map | jq -r '.metadata.labels."app.kubernetes.io/name"')"
check 'in the log, too' grep -q 'ConfigMap eks/identities: has the 3 service accounts with an association now' "$DIR/control.log"
check "it is JSON as EKS's webhook reads it" jq -e '.identities | length == 3 and all(keys == ["namespace", "serviceAccount"])' <(config)
associate shop new
has 'a new one' bank/web shop/api shop/new shop/web
api '{"delete": ["podidentityassociations", "shop", "api"]}'
has 'one that is deleted' bank/web shop/new shop/web

# ---- others ----
put "$(read_map | jq -c '.kind = "ConfigMap" | .apiVersion = "v1" | .data = {other: "theirs", "config.json": "{}"} | del(.metadata.resourceVersion)')"
associate shop api
has 'what somebody else has written over it comes back' bank/web shop/api shop/new shop/web
same 'and what is theirs stays' theirs "$(read_map | jq -r .data.other)"
api '{"delete": ["configmaps", "eks", "identities"]}'
api '{"delete": ["podidentityassociations", "shop", "api"]}'
has 'one that is deleted is made again' bank/web shop/new shop/web

# ---- two replicas ----
before=$(version)
first=$HEALTH first_pid=$CONTROL_PID
CONTROL=https://127.0.0.1:$(free_port) HEALTH=http://127.0.0.1:$(free_port)
control_start
check 'a second replica finds it right' eventually 10 metric_is 1 current
same 'and writes nothing' "$before 0" "$(version) $(metric 'total{result="written"}')"
for i in 1 2 3 4 5; do associate bank "b$i"; done
has 'both see what is new' bank/b1 bank/b2 bank/b3 bank/b4 bank/b5 bank/web shop/new shop/web
check 'and agree' eventually 10 metric_is 1 current "$first"
settled=$(version)
associate shop api
has 'and go on' bank/b1 bank/b2 bank/b3 bank/b4 bank/b5 bank/web shop/api shop/new shop/web
check_not 'by a write of their own' [ "$settled" = "$(version)" ]
kill "$first_pid" && wait "$first_pid"

# ---- what does not go ----
api '{"fault": {"on": "patch", "times": 1000, "status": 403, "message": "configmaps is forbidden"}}'
associate shop forbidden
check 'who may not write it says so' eventually 10 grep -q 'ConfigMap eks/identities: .*forbidden' "$DIR/control.log"
same 'and in the metric' 0 "$(metric current)"
api '{"set": {"faults": []}}'
associate shop again
has 'and does it when it may' bank/b1 bank/b2 bank/b3 bank/b4 bank/b5 bank/web shop/again shop/api shop/forbidden shop/new shop/web
long=$(printf 'x%.0s' {1..61})
api "$(jq -nc --arg name "$long.$long.$long.$long" --arg namespace "${long}ns" '{copies: [{kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1",
  metadata: {$name, $namespace}, spec: {roleArn: "arn:aws:iam::111122223333:role/app"}}, 3000]}')"
same 'and has said it once' 1 "$(grep -c 'ConfigMap eks/identities: .*forbidden' "$DIR/control.log")"
check 'more than a ConfigMap can hold' eventually 20 grep -q 'ConfigMap eks/identities: .* do not fit into the 1 MiB' "$DIR/control.log"
check 'changes nothing any more' jq -e '.identities | length > 10 and length < 3000' <(config)
control_stop
tap_done
