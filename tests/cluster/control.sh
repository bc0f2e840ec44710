#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cluster's network and its control plane, run on this machine. Sourced after lib.sh.
#
#   network_up            the namespace: a bridge, the node's tap device, the cloud's metadata service
#   control_up            etcd, API server, controller manager, scheduler; returns when they answer
#   api_up, api_stop      the API server alone
#   cluster_down          every process in the namespace, and the namespace

# run_as NAME CMD...: in the namespace, and on after this script; log and pid are kept
run_as() {
  local name=$1
  shift
  mkdir -p "$CLUSTER/pids"
  # not in_net: a function in the background is a shell of its own, and $! the pid of that
  nsenter --net="/run/netns/$(cat "$CLUSTER/netns")" setsid "$@" </dev/null >>"$CLUSTER_LOG/$name.log" 2>&1 &
  echo $! >"$CLUSTER/pids/$name"
}

# stop NAME [SIGNAL]: returns when it has ended
stop() {
  local pid
  pid=$(cat "$CLUSTER/pids/$1" 2>/dev/null) || return 0
  kill "-${2:-KILL}" "$pid" 2>/dev/null
  wait_for 60 ended "$pid"
  rm "$CLUSTER/pids/$1"
}
# A process that has ended and that nobody has waited for is still there, as Z.
ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

network_up() {
  ip netns add "$(cat "$CLUSTER/netns")"
  in_net ip link set lo up
  in_net ip link add br0 type bridge
  in_net ip address add "$API_ADDRESS/24" dev br0
  in_net ip address add "$METADATA_ADDRESS/32" dev br0
  in_net ip link set br0 up
  in_net ip tuntap add dev tap0 mode tap
  in_net ip link set tap0 master br0 up
  in_net ip route add "$POD_NETWORK" via "$NODE_ADDRESS"
  run_as metadata python3 "$CLUSTER_HERE/metadata.py" "$METADATA_ADDRESS"
}

api_up() {
  run_as kube-apiserver "$CLUSTER_BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    --service-cluster-ip-range="$SERVICE_NETWORK" --advertise-address="$API_ADDRESS" --secure-port=6443 \
    --tls-cert-file="$CLUSTER/pki/api.crt" --tls-private-key-file="$CLUSTER/pki/api.key" \
    --client-ca-file="$CLUSTER/pki/ca.crt" --token-auth-file="$CLUSTER/pki/tokens.csv" \
    --service-account-issuer=https://kubernetes.default.svc --api-audiences=https://kubernetes.default.svc \
    --service-account-signing-key-file="$CLUSTER/pki/service-accounts.key" \
    --service-account-key-file="$CLUSTER/pki/service-accounts.key" --authorization-mode=Node,RBAC \
    --requestheader-client-ca-file="$CLUSTER/pki/front.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --enable-aggregator-routing=true \
    --proxy-client-cert-file="$CLUSTER/pki/proxy.crt" --proxy-client-key-file="$CLUSTER/pki/proxy.key" \
    --enable-admission-plugins=NodeRestriction --allow-privileged=true --kubelet-preferred-address-types=InternalIP
  wait_for 120 k get --raw /readyz
}
# It takes a minute to end by itself.
api_stop() { stop kube-apiserver; }

# controller NAME OPTION...
controller() {
  local config=$CLUSTER/pki/$1.kubeconfig
  run_as "$1" "$CLUSTER_BIN/$1" --kubeconfig="$config" --authentication-kubeconfig="$config" \
    --authorization-kubeconfig="$config" --leader-elect=false "${@:2}"
}

control_up() {
  run_as etcd "$CLUSTER_BIN/etcd" --data-dir "$CLUSTER/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
  api_up || return
  controller kube-controller-manager --service-account-private-key-file="$CLUSTER/pki/service-accounts.key" \
    --root-ca-file="$CLUSTER/pki/ca.crt" --use-service-account-credentials=true
  controller kube-scheduler
}

netns_deserted() { [ -z "$(ip netns pids "$1")" ]; }

cluster_down() {
  local netns
  netns=$(cat "$CLUSTER/netns" 2>/dev/null) || return 0
  [ -e "/run/netns/$netns" ] || return 0
  ip netns pids "$netns" | xargs -r kill -KILL 2>/dev/null
  wait_for 60 netns_deserted "$netns"
  ip netns del "$netns"
  rm -rf "$CLUSTER/etcd" "$CLUSTER/pids"
}
