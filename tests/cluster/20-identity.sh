#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred is installed by its manifests. From then on every kind of pod gets its own credentials, and
# none gets the node's.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"

# own POD CONTAINER KEY ROLE: at all three addresses, sooner or later
own_answers() { answered "$1" "$2" eks "$3" && answered "$1" "$2" ecs "$3" && answered "$1" "$2" imds "$4"; }
own() { wait_for 300 own_answers "$@"; }

job() {
  printf -- '---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: %s, namespace: shop}\nspec:\n  template:\n    spec:\n' "$1"
  spec "$2" "- $(container main burstable once main)" 'restartPolicy: Never' | sed 's/^/      /'
}

two_containers() {
  pod two cart burstable "initContainers: [$(container init burstable once init)]"
  echo "  - $(container second burstable watch second)"
}

exec_probe() {
  pod probed till burstable | sed 's|^  - {name: main,|&\n    readinessProbe: {exec: {command: [/probe, once, exec]}, periodSeconds: 30, timeoutSeconds: 60},|'
}

check 'the manifests install podcred' podcred_install || { tap_done; exit; }
check 'a pod from before is cut off from the role of the node' own early main AKIACART cart-role
check 'so is one on the network of the node' own early-host main AKIATILL till-role

for account in cart till; do
  for class in guaranteed burstable besteffort; do
    pod "$account-$class" $account $class | start
    check "$account, $class: its own" own "$account-$class" main "AKIA${account^^}" "$account-role"
  done
done
pod host till burstable 'hostNetwork: true' | start
check 'on the network of the node: its own' own host main AKIATILL till-role
two_containers | start
check 'an init container' own two init AKIACART cart-role
check 'the first of two containers' own two main AKIACART cart-role
check 'the second of two containers' own two second AKIACART cart-role
exec_probe | start
check 'an exec probe of the kubelet' own probed exec AKIATILL till-role
job job cart | start
check 'a job that ends at once' wait_for 300 k wait --for=condition=Complete --timeout=5s -n shop job/job
job=$(k get pod -n shop -l job-name=job -o 'jsonpath={.items[0].metadata.name}')
check 'had its own' own_answers "$job" main AKIACART cart-role

for pod in cart-guaranteed cart-burstable cart-besteffort two "$job"; do
  same "$pod was never told anything else" '' "$(strange "$pod" AKIACART cart-role)"
done
for pod in till-guaranteed till-burstable till-besteffort host probed; do
  same "$pod was never told anything else" '' "$(strange "$pod" AKIATILL till-role)"
done
pod static '' burstable | node_put /etc/kubernetes/manifests/static.yaml
check 'a static pod, without an association, has none' wait_for 300 answered "static-$NODE_NAME" main ecs NoCredentialsAssociated
check 'it has no token either' answered "static-$NODE_NAME" main eks InvalidRequest
check_not 'and never the role of the node' answered "static-$NODE_NAME" main imds NODE-ROLE
# Few pods stay: each of them starts anew when the node boots.
k delete -n shop job/job pod/early pod/early-host pod/host pod/two pod/probed pod/cart-guaranteed pod/cart-besteffort \
  pod/till-burstable pod/till-besteffort pod/till-guaranteed --wait=false >/dev/null
tap_done
