#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cluster from nothing, with one node, $NODE_KERNEL and $NODE_DRIVER. Without podcred its pods get
# the node's role, which is what the tests after this one have to see end.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"

# What is left of the cluster before this one goes first.
up() { cluster_down && network_up && control_up; }
driver() { on_node ls -d /sys/fs/cgroup/kubepods.slice /sys/fs/cgroup/kubepods 2>/dev/null; }

check 'etcd, API server, controller manager and scheduler run' up || { tap_done; exit; }
echo "# $(k version 2>/dev/null | tr '\n' ' ')"
node_boot "$NODE_KERNEL" "$NODE_DRIVER"
check 'a node joins and is ready' wait_for 1800 node_is_ready || {
  tail -20 "$CLUSTER_LOG/console.log" | sed 's/^/# /'
  tap_done
  exit
}
echo "# $(on_node 'uname -rv; cut -d. -f1 /proc/uptime; containerd --version' | tr '\n' ' ')"

{ namespace shop; } | k apply -f - >/dev/null
{
  pod early cart burstable
  pod early-host till burstable 'hostNetwork: true'
} | k apply -f - >/dev/null
check 'pods run' wait_for 300 k wait --for=condition=Ready --timeout=5s -n shop pod/early pod/early-host
check 'without podcred a pod gets the role of the node' wait_for 120 answered early main imds NODE-ROLE
check 'so does one on the network of the node' wait_for 120 answered early-host main imds NODE-ROLE
check 'without podcred there are no credentials of its own' answered early main eks 'E[A-Z]+'
check 'kubectl exec reaches the pod' k exec -n shop early -- /probe ask
check 'and kubectl logs' k logs -n shop early
tap_done
