#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an operator has: status, doctor, explain and pods, by kubectl exec in podcred's own pod, and
# with the binary that podcred has put on the node.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"

# shows PATTERN COMMAND...: its output has a line like that
shows() {
  local output
  output=$("${@:2}" 2>&1)
  grep -qE "$1" <<<"$output" || { echo "$output"; false; }
}

# Warnings are about the node; a line that fails is about podcred.
healthy() {
  local output
  output=$("$@" 2>&1)
  grep -q '^ok ' <<<"$output" && ! grep -E '^fail ' <<<"$output"
}

# every WHERE HOW: each command of podcred, HOW is the function that runs it
every() {
  check "$1: the guard is complete" shows '^guard +complete' "$2" status
  check "$1: status knows each running pod by name" shows '^pods .*[1-9]' "$2" status
  check "$1: doctor finds no fault" healthy "$2" doctor
  check "$1: pods has the pod and its service account" shows 'shop +cart-burstable +cart ' "$2" pods
  check "$1: explain says what becomes of a pod" shows 'cart-burstable' "$2" explain --pod shop/cart-burstable
}

on_host() { on_node "$(host_podcred) $*"; }

every 'kubectl exec' podcred
check 'the names are from the API server' shows '^list .*pods of node node1, by https://10.96.0.1:443' podcred status
for _ in 1 2 3; do
  check 'doctor again, on a node with a kubelet that removes what it does not know' healthy podcred doctor
done
check 'the binary is on the node' host_podcred && every 'on the node' on_host
tap_done
