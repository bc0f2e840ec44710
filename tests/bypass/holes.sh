#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The bypass suite can fail: with one program detached, each of these must find the hole.
set -u
here=$(dirname "$0")
# shellcheck source=tests/lib/tap.sh
. "$here/../lib/tap.sh"

# Rows fail: not the suite, for want of something else.
fails() {
  "$here/run.sh" "$@"
  [ $? -eq 1 ]
}
# hole PROGRAM[,PROGRAM]... ROWS; several where each alone would do
hole() {
  check "$1 is in force: nothing gets through ($2)" "$here/run.sh" --column podcred --only "$2"
  check "$1 detached: the suite fails ($2)" fails --hole "$1" --only "$2"
}

hole conn4 'connect v4'
hole smsg4 'UDP sendto v4'
hole egress 'raw TCP'
hole post4,uplink 'DNAT in the node, TCP'
hole uplink 'AF_PACKET that says IPv6'
hole ingress 'answers in the softirq'
tap_done
