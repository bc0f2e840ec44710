#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred on the cluster. Sourced after lib.sh.
#
#   podcred_install           the manifests; returns when the DaemonSet is ready
#   podcred_uninstall         from cluster and node
#   podcred_ready             every pod of it is up to date and ready
#   podcred_complete          says status
#   podcred ARGUMENT...       a command in the container of the resolver
#   host_podcred              the binary that it has put on the host; nothing when it has not

PODCRED_OVERLAY=${PODCRED_OVERLAY:-$CLUSTER_HERE/podcred}

podcred_install() {
  k apply -k "$PODCRED_OVERLAY" || return
  wait_for 600 podcred_ready && return
  podcred_said
  false
}

# As docs/operations.md says it.
podcred_uninstall() {
  local uninstall=$CLUSTER_ROOT/deploy/kubernetes/uninstall
  k delete -k "$PODCRED_OVERLAY" || return
  k apply -k "$uninstall" || return
  wait_for 600 k rollout status -n podcred-uninstall daemonset/podcred-uninstall --timeout=5s || {
    k describe pod -n podcred-uninstall | tail -25
    return 1
  }
  k delete -k "$uninstall"
}

podcred_ready() { k rollout status -n podcred daemonset/podcred --timeout=5s; }

# For a failed check: what the API server and the containers say.
podcred_said() {
  k describe pod -n podcred | tail -25
  k logs -n podcred -l app.kubernetes.io/name=podcred --all-containers --prefix --tail=8
}


podcred() { k exec -n podcred daemonset/podcred -c resolve -- podcred "$@"; }

host_podcred() { on_node 'ls /opt/podcred/current/podcred 2>/dev/null'; }

podcred_complete() { podcred status | grep -E '^guard +complete'; }
