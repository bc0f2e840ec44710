#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The resolver, with an API server that does not do well: after each fault the kernel knows the pods that the API has, and
# a pod that was there all the time was never without its name.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

env_up systemd
pod_add web burstable
env_load >/dev/null || env_fail 'load failed'
kubeapi_up
kubeapi_node
api_pod web
kubeapi_resolve

kernel_pods() { podcred pods --json | jq -r '.[] | select(.name) | "\(.uid) \(.namespace)/\(.name)"' | sort; }
api_pods() {
  api '{"state": []}'
  jq -r '.pods[]' "$ENV_TMP/api.out" | sort
}
agrees() { diff <(api_pods) <(kernel_pods); }

check 'the first list' wait_for 30 agrees
# Whoever has lost its name for a moment has another generation now.
generation() { podcred pods --json | jq '.[] | select(.name == "web") | .generation'; }
web=$(generation)
check 'the pod has a record' [ "${web:-0}" -gt 0 ]

n=0
# One comes and one goes, in the API and on the node.
churn() {
  n=$((n + 1))
  pod_add "p$n" burstable
  api_pod "p$n"
  [ "$n" -gt 1 ] || return 0
  api_delete "p$((n - 1))"
  pod_remove "p$((n - 1))"
}
pod_remove() { rmdir "${POD_CGROUP[$1]}/container" "${POD_CGROUP[$1]}"; }

# fault WHAT COMMANDS...: each is JSON for the server; "churn" between them
fault() {
  local what=$1 command
  shift
  for command in "$@" churn; do
    if [ "$command" = churn ]; then churn; else api "$command"; fi
  done
  check "$what" wait_for 90 agrees || tail -5 "$ENV_TMP/resolve.log" | sed 's/^/#   /'
}
END='"end_watches": ["clean"]'
CUT='"end_watches": ["cut"]'
EXPIRE='"end_watches": ["expired"]'

fault 'no fault'
fault 'the watch ends' "{$END}"
fault 'the connection ends' "{$CUT}"
fault 'within an event' '{"end_watches": ["half"]}'
fault 'the version has expired, as an event' "{$EXPIRE}"
fault 'the version has expired, as a status' '{"fault": {"on": "watch", "status": 410}}' "{$END}"
fault 'that of the list, too' '{"fault": {"on": "list", "status": 410}}' "{$EXPIRE}"
fault 'history gone while the server is away' '{"away": []}' churn '{"compact": [], "back": []}'
fault '429 with Retry-After' '{"fault": {"on": "watch", "status": 429, "headers": {"Retry-After": "1"}}}' "{$END}"
fault '503, three times' '{"fault": {"on": "any", "status": 503, "times": 3}}' "{$CUT}"
fault 'connections are reset' '{"fault": {"on": "any", "reset": true, "times": 2}}' "{$CUT}"
fault 'a login page' '{"fault": {"on": "watch", "body": "<html>log in</html>\n"}}' "{$END}"
fault 'a list that is cut off' '{"fault": {"on": "list", "cut": 400, "times": 2}}' "{$EXPIRE}"
fault 'every byte by itself' '{"set": {"step": 1}}' "{$EXPIRE}"
fault 'compressed' '{"set": {"step": 0, "gzip_from": 0}}' "{$EXPIRE}"
fault 'each event twice' '{"set": {"duplicate": true}}'
fault 'events in the wrong order' '{"set": {"duplicate": false, "hold": true}}' churn churn '{"set": {"hold": false, "reverse": true}}'
fault 'another token' '{"new_token": {}}' "{$CUT}"
fault 'a clock that is ten years ahead' '{"set": {"skew": 315360000}}' "{$EXPIRE}"
fault 'a pod of 1 MB' '{"pod": {"name": "large", "pad": 1048576}, "delete": ["pods", "default", "large"]}'
api '{"put": {"kind": "Pod", "metadata": {"name": "bad", "namespace": "default"}, "spec": {"nodeName": "n1", "hostNetwork": "no"}}}'
check 'a pod that cannot be decoded is named' wait_for 30 grep -q 'skipped, and without credentials: 1 of .*"default"/"bad": spec.hostNetwork' "$ENV_TMP/resolve.log"
api '{"delete": ["pods", "default", "bad"]}'
fault 'and costs nobody else anything'
same 'the pod that was there all the time never lost its name' "$web" "$(generation)"
tap_done
