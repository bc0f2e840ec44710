#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# What the cluster's scripts share. Sourced.
#
#   cluster_cache             where what is built once is kept: $CLUSTER_CACHE
#   in_net CMD...             in the network namespace of the cluster
#   k ARGUMENT...             kubectl, as an administrator
#   on_node CMD...            in a shell on the node
#   wait_for SECONDS CMD...   until CMD succeeds; what it said last is shown when it does not
#   cluster_fail WORD...      end with a reason
#
# $CLUSTER is the directory of the one cluster that run.sh has made. All that is made carries its
# name; nothing else on the machine is touched.

CLUSTER_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLUSTER_ROOT=$(cd "$CLUSTER_HERE/../.." && pwd)
O=${O:-$CLUSTER_ROOT/build}
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podcred}
CLUSTER_CACHE=${CLUSTER_CACHE:-$CACHE/cluster}

KUBERNETES_VERSION=$(sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$CLUSTER_HERE/kubernetes/go.mod")
GO_VERSION=go1.24.12 # what that Kubernetes is built with, where this machine's Go is older
NODE_SUITE=bookworm
KERNEL_SUITES='trixie bookworm' # Debian releases whose kernels a node can have

# The cluster's network: a bridge with the API server and the node, the pods behind the node.
API_ADDRESS=10.9.9.1
NODE_NAME=node1
NODE_ADDRESS=10.9.9.11
POD_NETWORK=10.244.1.0/24
SERVICE_NETWORK=10.96.0.0/16
METADATA_ADDRESS=169.254.169.254

cluster_fail() {
  printf 'cluster: %s\n' "$*" >&2
  exit 1
}

in_net() { nsenter --net="/run/netns/$(cat "$CLUSTER/netns")" "$@"; }

k() { in_net "$CLUSTER_BIN/kubectl" --kubeconfig="$CLUSTER/pki/admin.kubeconfig" "$@"; }

on_node() { node_ssh "$*"; }
# One connection for all: the handshake alone takes the node seconds.
node_ssh() {
  in_net ssh -q -F none -i "$CLUSTER/pki/ssh" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=10 -o ServerAliveCountMax=6 \
    -o ControlMaster=auto -o ControlPersist=yes -o ControlPath="$CLUSTER/ssh" \
    "${@:2}" "root@$NODE_ADDRESS" "$1"
}
ssh_close() { node_ssh '' -O exit 2>/dev/null; }

# The emulated node is slow, so limits are generous: they end a test that hangs, and judge nothing.
wait_for() {
  local limit=$((SECONDS + $1 * ${WAIT_FACTOR:-1})) said
  shift
  until said=$("$@" 2>&1); do
    if [ "$SECONDS" -ge "$limit" ]; then
      printf 'gave up after %s: %s\n' "$*" "$said"
      return 1
    fi
    sleep 0.5
  done
}
