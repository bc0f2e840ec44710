#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a question costs podcred broker: from its cache, and with an STS that takes 50 ms. One agent, one node, everything on
# this machine. Prints Markdown, asserts nothing.
# usage: broker.sh     PODS: on the node; MS: of each measurement
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"
# shellcheck source=tests/lib/broker.sh
. "$(dirname "$0")/../lib/broker.sh"

PODS=${PODS:-200} MS=${MS:-3000}
ask() { in_node "$ENV_BUILD/bench/ask" "$BROKER_URL/clusters/demo/assume-role-for-pod" "$BROKER_CA" "$@" <"$ENV_TMP/requests"; } # WORKERS MS
row() { # WHAT WORKERS MS
  local rate p50 p99 others
  read -r rate p50 p99 others < <(ask "$2" "$3") || env_fail 'no result'
  printf '| %s | %s | %s | %s | %s | %s |\n' "$1" "$2" "$rate" "$(awk "BEGIN { printf \"%.2f\", $p50 / 1000 }")" \
    "$(awk "BEGIN { printf \"%.2f\", $p99 / 1000 }")" "$others"
}

env_up systemd
broker_world
pod_on n1 agent1 AGENT
role_policy shop '{"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}'
object web arn:aws:iam::111122223333:role/web
for ((i = 0; i < PODS; i++)); do pod_on n1 "web-$i" web; done
broker_up
known() { [ "$(in_node curl -s http://127.0.0.1:9465/metrics | sed -n 's/^podcred_broker_objects{resource="pods"} //p')" -gt "$PODS" ]; }
wait_for 20 known || env_fail 'not all pods are known'
{
  token_of agent1 podcred podcred-broker
  printf '%s\n' "${POD_UIDS[@]}" | grep -vx "${POD_UIDS[agent1]}" | sed 's/.*/{"podUid":"&"}/'
} >"$ENV_TMP/requests"
aws_do '{"fault": {"service": "sts", "do": "delay", "seconds": 0.05, "times": 0}}' >/dev/null
printf '| | at a time | answers/s | median, ms | 99 %%, ms | no credentials |\n| --- | --- | --- | --- | --- | --- |\n'
row 'not cached, STS takes 50 ms' 8 0
row cached 1 "$MS"
row cached 8 "$MS"
[ -z "${KEEP:-}" ] || cp "$ENV_TMP/broker.log" "$KEEP"
printf '\nMemory of the broker with %s pods: %s kB.\n' "$PODS" "$(awk '/^VmRSS/ { print $2 }' "/proc/$BROKER_PID/status")"
