#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the API server waits for when a pod is created: an answer of the webhook of podcred control, which knows many
# associations. Prints Markdown, asserts nothing.
# usage: control.sh     ASSOCIATIONS: that there are; MS: of each measurement
set -u
# shellcheck source=tests/lib/control.sh
. "$(dirname "$0")/../lib/control.sh"

ASSOCIATIONS=${ASSOCIATIONS:-2000} MS=${MS:-3000}
row() { # WHAT FILE WORKERS
  local rate p50 p99 others
  read -r rate p50 p99 others < <("$CONTROL_BUILD/bench/ask" "$CONTROL/mutate" "$DIR/ca.pem" "$3" "$MS" <"$2") || fail 'no result'
  printf '| %s | %s | %s | %s | %s | %s |\n' "$1" "$3" "$rate" "$(awk "BEGIN { printf \"%.2f\", $p50 / 1000 }")" \
    "$(awk "BEGIN { printf \"%.2f\", $p99 / 1000 }")" "$others"
}
# reviews ACCOUNT: of pods with three containers, each with a dozen variables, as charts write them
reviews() {
  echo none
  jq -nc --arg account "$1" '
    def container: {name: "c\(.)", image: "registry.example.com/app:1", env: [range(12) | {name: "VARIABLE_\(.)", value: "value \(.)"}],
      volumeMounts: [{name: "data", mountPath: "/data"}], resources: {requests: {cpu: "10m", memory: "16Mi"}}};
    range(100) | {apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: {uid: "u-\(.)", kind: {group: "", version: "v1", kind: "Pod"},
      resource: {group: "", version: "v1", resource: "pods"}, operation: "CREATE", namespace: "shop", object: {apiVersion: "v1", kind: "Pod",
        metadata: {generateName: "app-", namespace: "shop", labels: {app: "app"}},
        spec: {serviceAccountName: $account, containers: [range(3) | container], volumes: [{name: "data", emptyDir: {}}]}}}}'
}

control_up
seq "$ASSOCIATIONS" | jq -c '{put: {kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1", metadata: {name: "a\(.)", namespace: "shop"},
  spec: {roleArn: "arn:aws:iam::111122223333:role/r\(.)"}}}' | while read -r object; do api "$object"; done
control_start
reviews a1 >"$DIR/known"
reviews nobody >"$DIR/unknown"
printf '| | at a time | answers/s | median, ms | 99 %%, ms | not 200 |\n| --- | --- | --- | --- | --- | --- |\n'
row 'a pod that gets the variables' "$DIR/known" 1
row 'the same' "$DIR/known" 8
row 'a pod without an association' "$DIR/unknown" 8
printf '\nMemory of control with %s associations: %s kB.\n' "$ASSOCIATIONS" "$(awk '/^VmRSS/ { print $2 }' "/proc/$CONTROL_PID/status")"
