#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A tenant's pod that says it is the mirror of another pod: that one keeps its name, whatever is listed
# first, when the resolver is restarted too.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

who() { podcred pods --json | jq -r '.[] | "\(.namespace)/\(.name) \(.serviceAccount)"' | sort; }
knows() { [ "$(podcred pods --json | jq "[.[] | select(.namespace != \"\")] | length")" = "$1" ]; }

# Ready, and all that was listed is known.
resolve() {
  kubeapi_resolve
  wait_for 20 grep -q 'names of' "$ENV_TMP/resolve.log"
}

# forge POD: a pod of a namespace that is listed before all others
forge() {
  api "$(jq -n --arg pod "$1" --arg hash "${POD_UID[$1]}" '{put: {kind: "Pod", metadata: {name: "forged-\($pod)", namespace: "aaa",
    annotations: {"kubernetes.io/config.mirror": $hash}}, spec: {nodeName: "n1", serviceAccountName: ""},
    test_unusable: true}}')"
}

env_up systemd
pod_add web burstable
pod_add api guaranteed
env_load >/dev/null || env_fail 'load failed'
kubeapi_up
kubeapi_node

api_pod web
forge web
resolve
same 'listed before the pod, from nothing: it keeps its name' 'shop/web web' "$(who | grep -v '^/')"

kubeapi_stop TERM
resolve
same 'and when the resolver is restarted' 'shop/web web' "$(who | grep -v '^/')"

forge api
api_pod api
check 'the other pod is named, too' wait_for 20 knows 2
same 'by its own name, although the forged one was there before' "shop/api api
shop/web web" "$(who)"

tap_done
