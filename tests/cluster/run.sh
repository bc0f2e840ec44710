#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make test-cluster: podcred on a real Kubernetes. README.md has the picture.
#
#   O=BUILD HELM=PROGRAM AWS_CLI=PROGRAM [NODES='KERNEL-DRIVER...'] run.sh [FILE...]
#   ... run.sh --demo    demo/cluster.sh in place of the tests, on the first of them
#
# FILE: one of the numbered tests, without path and .sh (default: all of them). 10-up comes first
# always. NODES: machines to run them on, one after the other. The cluster is gone when this ends,
# however it does; logs stay in $O/cluster. HOLD=1: not before Ctrl-C.
set -u
# shellcheck source=tests/cluster/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/cluster/control.sh
. "$CLUSTER_HERE/control.sh"
cd "$CLUSTER_ROOT" || exit 1

NODES=${NODES:-trixie-systemd bookworm-cgroupfs}
[ "$(id -u)" -eq 0 ] || cluster_fail 'needs root: a network namespace, and a tap device for the node'

CLUSTER=$(mktemp -d "${TMPDIR:-/tmp}/cluster-XXXXXX")
CLUSTER_LOG=$O/cluster
rm -rf "$CLUSTER_LOG"
mkdir -p "$CLUSTER_LOG"
echo "podcred-cluster-$$" >"$CLUSTER/netns"
export CLUSTER CLUSTER_LOG

clean() {
  local group
  trap '' INT TERM
  for group in $(jobs -p); do kill -TERM -- "-$group" 2>/dev/null; done
  wait
  cluster_down
  rm -rf "$CLUSTER"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Where build.sh has put what: CLUSTER_BIN, CLUSTER_DISK, CLUSTER_KERNEL_<suite>.
built() {
  local line name
  "$CLUSTER_HERE/build.sh" >"$CLUSTER/built" || cluster_fail 'the parts of a cluster are not all there'
  while IFS='=' read -r name line; do
    case $name in
    kubernetes) export CLUSTER_BIN=$line ;;
    node-disk) export CLUSTER_DISK=$line ;;
    kernel-*) export "CLUSTER_KERNEL_${name#kernel-}=$line" ;;
    esac
  done <"$CLUSTER/built"
}

# For a look around: until Ctrl-C.
hold() {
  cat <<TEXT
The cluster stays until Ctrl-C. In another shell:
  export CLUSTER=$CLUSTER CLUSTER_BIN=$CLUSTER_BIN; . tests/cluster/lib.sh
  k get pods -A
  on_node journalctl -u kubelet
TEXT
  sleep infinity &
  wait $!
}

# As programs of their own, so that tests/run.sh can run a test on each node.
programs=()
program() {
  local file=$CLUSTER/$1-$2
  printf '#!/bin/sh\nNODE_KERNEL=%s NODE_DRIVER=%s exec %s/%s.sh\n' "${1%-*}" "${1##*-}" "$CLUSTER_HERE" "$2" >"$file"
  chmod +x "$file"
  programs+=("$file")
}

tests() {
  local all files node file
  all=("$CLUSTER_HERE"/[0-9]*.sh)
  all=("${all[@]##*/}")
  files=("$@")
  [ $# -gt 0 ] || files=("${all[@]%.sh}")
  for node in $NODES; do
    [ "${files[0]}" = 10-up ] || program "$node" 10-up
    for file in "${files[@]}"; do program "$node" "$file"; done
  done
  JOBS=1 tests/run.sh "${programs[@]}" &
  wait $!
}

demo() {
  local node=${NODES%% *}
  export CLUSTER_ROOT NODE_KERNEL=${node%-*} NODE_DRIVER=${node##*-}
  "$CLUSTER_ROOT/demo/cluster.sh" &
  wait $!
}

built
"$CLUSTER_HERE/pki.sh"
set -m # in a process group of its own: in the background of ours it would not hear Ctrl-C
if [ "${1:-}" = --demo ]; then demo; else tests "$@"; fi
result=$?
[ "${HOLD:-0}" != 1 ] || hold
[ "$result" -eq 0 ]
