#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The node boots. The kubelet starts all pods at once, podcred's among them, and none of them may reach
# the node's role first.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"

leaked() { on_node 'grep -l NODE-ROLE /var/log/probe/*.log'; }

check 'podcred has installed itself on the host, for the boot' host_podcred
{
  pod boot-cart cart besteffort
  pod boot-till till guaranteed
  pod boot-host till burstable 'hostNetwork: true'
} | sed 's/"10000"/"100"/' | start
for pod in boot-cart boot-till boot-host; do
  check "$pod runs" wait_for 300 answered "$pod" main imds '.*-role'
done
forget
check 'the node boots, and is ready' node_reboot
check 'after it a pod gets its own' wait_for 600 answered boot-cart main imds cart-role
check 'so does another' wait_for 600 answered boot-till main imds till-role
check 'and one on the network of the node' wait_for 600 answered boot-host main imds till-role
same 'before that it was told nothing else' '' "$(strange boot-cart AKIACART cart-role "$AWAY|$NO_NETWORK")"
same 'nor was the other' '' "$(strange boot-till AKIATILL till-role "$AWAY|$NO_NETWORK")"
same 'nor the one on the network of the node' '' "$(strange boot-host AKIATILL till-role "$AWAY|$NO_NETWORK")"
check_not 'no pod at all got the role of the node' leaked
check 'podcred is ready' wait_for 600 podcred_ready
check 'the guard is complete' wait_for 120 podcred_complete
k delete -n shop pod/boot-cart pod/boot-till pod/boot-host --wait=false >/dev/null
tap_done
