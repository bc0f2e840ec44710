#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred is removed, and nothing of it stays: pods reach the node's role again, which also proves that
# it was there to be reached all the time.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"

programs() { on_node 'bpftool link show; bpftool cgroup tree /sys/fs/cgroup; bpftool net' | grep podcred; }
pins() { on_node 'ls -d /sys/fs/bpf/podcred'; }

pod last cart burstable | start
check 'a pod gets its own' wait_for 300 answered last main imds cart-role
check 'podcred is uninstalled' podcred_uninstall
check 'the pod gets the role of the node' wait_for 120 answered last main imds NODE-ROLE
check_not 'no program of it is attached' programs
check_not 'nothing of it is pinned' pins
same 'nothing of it is on the host' '' "$(host_podcred)"
k delete -n shop pod/last --wait=false >/dev/null
tap_done
