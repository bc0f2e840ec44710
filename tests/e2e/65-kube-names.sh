#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names from the Kubernetes API: how long they hold, and what happens when it is away, or refuses.
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

id_of() { stat -c %i "${POD_CGROUP[$1]}"; }
# account_of ID: the service account by which the kernel knows that cgroup
account_of() { podcred pods --json | jq -r --argjson id "$1" '.[] | select(.cgroupId == $id) | .serviceAccount'; }
is_account() { [ "$(account_of "$1")" = "$2" ]; }
is_gone() { ! podcred pods --json | jq -e --argjson id "$1" 'any(.[]; .cgroupId == $id)'; }
list() { podcred status --json | jq -r "$1"; }
is_list() { [ "$(list "$1")" = "$2" ]; }
logged() { [ "$(grep -c "$2" "$ENV_TMP/resolve.log")" = "$1" ]; }
metric() { podcred metrics | sed -n "s/^$1 //p"; }
# pod_remove NAME: its cgroup goes
pod_remove() { rmdir "${POD_CGROUP[$1]}/container" "${POD_CGROUP[$1]}"; }

# ---- either order ----
api_pod web
kubeapi_resolve
web=$(id_of web)
check 'it holds a token: it leaves no core dump' grep -qE '^Max core file size +0 +0 ' "/proc/$RESOLVE_PID/limits"
check 'a pod that was there before' wait_for 20 is_account "$web" web
pod_add late burstable
late=$(id_of late)
same 'a pod that the API has not told of has no name' '' "$(account_of "$late")"
check 'and explain says why' grep -q '^no name: the API server has not told of it (1 pod of node n1, by https://.*, as of [0-9]* s ago)' \
  <(podcred explain --pod "$late")
api_pod late
check 'then it tells' wait_for 20 is_account "$late" late
check 'both are counted' wait_for 20 is_list .list.pods 2
check 'status says where names come from' grep -qE '^list +2 pods of node n1, by https://127.0.0.1:[0-9]+, as of [0-9]+ s ago$' <(podcred status)
check 'pods says so' grep -qE '^names: 2 pods of node n1, by https://127.0.0.1:[0-9]+, as of [0-9]+ s ago$' <(podcred pods)
same 'and JSON' 'api true true null' "$(list '.names | "\(.kind) \(.current) \(.api.inTouch) \(.trouble)"')"
podcred metrics >"$ENV_TMP/metrics"
check 'metrics: in touch' grep -qx 'podcred_api_in_touch 1' "$ENV_TMP/metrics"
check 'metrics: one list' grep -qx 'podcred_api_lists_total 1' "$ENV_TMP/metrics"
check 'metrics: errors by class' grep -qx 'podcred_api_errors_total{class="unreachable"} 0' "$ENV_TMP/metrics"
check 'metrics: pods' grep -qx 'podcred_list_pods 2' "$ENV_TMP/metrics"

# ---- how long a name holds ----
api_delete late
check 'deleted by force, while its processes run' wait_for 20 is_list .list.pods 1
same 'it keeps its name' late "$(account_of "$late")"
pod_add twin burstable
api "$(jq -n --arg uid "${POD_UID[twin]}" '{pod: {name: "late", namespace: "shop", account: "twin", uid: $uid}}')"
check 'the same name again, with another uid and account: another pod' wait_for 20 is_account "$(id_of twin)" twin
same 'the old one is who it was' late "$(account_of "$late")"
pod_remove late
check 'its cgroup is removed: it is gone' wait_for 20 is_gone "$late"
api "$(jq -n --arg uid "${POD_UID[web]}" '{pod: {name: "web", namespace: "shop", account: "admin", uid: $uid}}')"
check 'an event that would give a uid another account is refused' wait_for 20 logged 1 \
  "pod uid ${POD_UID[web]} is shop/web with service account \"web\", and cannot become shop/web with service account \"admin\""
same 'and stays what it was' web "$(account_of "$web")"
check 'and is counted' wait_for 20 is_list .names.api.refused 1
api_pod web

# ---- the API is away ----
api '{"away": []}'
check 'away: status says so' wait_for 20 is_list .names.current false
check 'with the cause' grep -qE '^names +not in touch with https://127.0.0.1:[0-9]+ for [0-9]+ s: .+' <(podcred status)
pod_add new burstable
new=$(id_of new)
pod_add brief burstable
same 'away: a pod keeps its name' web "$(account_of "$web")"
check 'away: explain says why a new one has none' grep -q '^no name: not in touch with https' <(podcred explain --pod "$new")
check 'away: the log says so' wait_for 20 logged 1 'warning: .*; the names known before stay, new pods get none until it answers'
same 'away: metrics say so' 0 "$(metric podcred_api_in_touch)"
kubeapi_stop KILL
kubeapi_resolve
same 'a resolver that starts meanwhile: the pod keeps its name' web "$(account_of "$web")"
same 'and so does one of the same name' twin "$(account_of "$(id_of twin)")"
check 'it says once that the API is away' wait_for 20 logged 1 'the names known before stay'
check 'and goes on' is_list .resolver.running true
same 'status: no list yet' null "$(list .list)"
twin=$(id_of twin)
pod_remove twin
check 'a cgroup that is removed meanwhile is gone' wait_for 20 is_gone "$twin"
api_pod new
api_delete web
api '{"back": []}'
check 'back: the log says so, once' wait_for 60 logged 1 'names of [0-9]* pods\? of node n1 by https'
check 'back: the new pod has its name' wait_for 20 is_account "$new" new
same 'back: a pod that is in no list any more keeps its name' web "$(account_of "$web")"
same 'back: one that the API never knew has none' '' "$(account_of "$(id_of brief)")"
check 'back: status has no trouble' wait_for 20 is_list .names.trouble null
pod_remove web
check 'its cgroup is removed: it is gone' wait_for 20 is_gone "$web"
api '{"away": []}'
check 'away again: said' wait_for 20 logged 2 'the names known before stay'
api '{"compact": [], "back": []}'
check 'back again, with its history gone: said' wait_for 60 logged 1 'in touch again: [0-9]* pods\? of node n1'
same 'nothing has changed' new "$(account_of "$new")"

# ---- it refuses ----
api '{"set": {"denied": ["list pods", "watch pods"]}, "end_watches": ["cut"], "compact": []}'
check 'no right to list pods: the log names it' wait_for 60 grep -q 'warning: .*403.*pods' "$ENV_TMP/resolve.log"
check 'and doctor' jq -e 'any(.[]; .check == "names" and .result == "warn" and (.text | contains("403")))' <(podcred doctor --no-probe --json)
same 'the names stay' new "$(account_of "$new")"
api '{"set": {"denied": []}}'
check 'the right is back' wait_for 60 is_list .names.current true
kubeapi_stop TERM

# ---- wrong from the start ----
unused=$ENV_TMP/unused.log
# refused WHAT LINE OPTION...: exit status 1, with one line
refused() {
  local what=$1 line=$2
  in_node timeout 60 "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" "${@:3}" >"$unused" 2>&1
  same "$what: exit status" 1 $?
  check "$what: says so" grep -qE "^podcred: $line" "$unused"
  same "$what: in one line" 1 "$(wc -l <"$unused")"
}
sed 's/"token"/"to ken"/; s/"tokenFile"/"tokenFil/' "$KUBE/kubeconfig" >"$ENV_TMP/broken"
refused 'no kubeconfig there' '.*/none: .*No such file' --kubeconfig "$ENV_TMP/none"
refused 'a kubeconfig that is none' ".*$ENV_TMP/broken" --kubeconfig "$ENV_TMP/broken"
refused 'a context that it does not have' '.*"?nowhere"?' --kubeconfig "$KUBE/kubeconfig" --context nowhere
refused 'a node that cannot be one' '.*"Node One" is no name of a node' --kubeconfig "$KUBE/kubeconfig" --node 'Node One'
refused 'a file, too' '--pods and --kubeconfig are both given' --kubeconfig "$KUBE/kubeconfig" --pods "$ENV_TMP/pods.json"
refused 'a node for a file' '--pods and --node are both given' --node n1 --pods "$ENV_TMP/pods.json"
refused 'a context of nothing' '--context names a context of a kubeconfig' --context test
refused 'a node and nobody to ask' '--node, but no Kubernetes API' --node n1
KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=1 \
  refused 'in a pod without a service account' '.*/var/run/secrets/kubernetes.io/serviceaccount'
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")
in_node timeout 60 "$PODCRED" run --pin-dir "$PIN_DIR-run" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:7778" \
  --kubeconfig "$ENV_TMP/broken" --associations "$ENV_TMP/associations.yaml" >"$unused" 2>&1
same 'run with a kubeconfig that is none: exit status' 1 $?
same 'in one line' 1 "$(wc -l <"$unused")"
check_not 'before anything is attached' test -e "$PIN_DIR-run"

kubeapi_resolve n2
check 'a node that the API does not know: the log says so' wait_for 20 logged 1 'warning: .*knows no node "n2"'
check 'status says so' grep -q '^names .*knows no node "n2"' <(podcred status)
same 'the names of before stay, as the pods may be ending' new "$(account_of "$new")"
kubeapi_stop TERM

# ---- in a pod ----
# Its service account is where the kubelet puts it.
# shellcheck disable=SC2016 # the inner shell expands it
in_a_pod='mount -t tmpfs none /var/run && mkdir -p /var/run/secrets/kubernetes.io/serviceaccount &&
  cp "$0/ca.crt" "$0/token" /var/run/secrets/kubernetes.io/serviceaccount && exec "$@"'
port=$(sed -n 's/.*https:..127.0.0.1:\([0-9]*\).*/\1/p' "$KUBE/kubeconfig")
export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=$port NODE_NAME=n1
api_pod brief
background "$ENV_TMP/resolve.log" 'resolver ready' nsenter --net="/run/netns/$NODE_NETNS" unshare --mount sh -c "$in_a_pod" "$KUBE" \
  "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS"
RESOLVE_PID=$!
check 'in a pod, without any option' wait_for 20 is_account "$(id_of brief)" brief
same 'with the right node' n1 "$(list .names.api.node)"
kubeapi_stop TERM
unset KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT NODE_NAME

# ---- podcred run ----
pod_add runs guaranteed
api_pod runs
podcred unload >/dev/null
nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" run --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --kubeconfig "$KUBE/kubeconfig" --node n1 --associations "$ENV_TMP/associations.yaml" --agent "$NODE_V4:$AGENT_PORT" >"$ENV_TMP/run.log" 2>&1 &
RUN_PID=$!
check 'run: the pod has its name' wait_for 30 is_account "$(id_of runs)" runs
kill "$RUN_PID"
wait "$RUN_PID" 2>/dev/null
tap_done
