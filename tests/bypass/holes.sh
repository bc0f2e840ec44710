#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The bypass suite can fail: with one program detached, each of these must find the hole.
set -u
here=$(dirname "$0")
# shellcheck source=tests/lib/tap.sh
. "$here/../lib/tap.sh"

# hole PROGRAM ROWS
hole() {
  check "$1 is in force: nothing gets through ($2)" "$here/run.sh" --column podcred --only "$2"
  check_not "$1 detached: the suite fails ($2)" "$here/run.sh" --hole "$1" --only "$2"
}

hole conn4 'connect v4'
hole smsg4 'UDP sendto v4'
hole egress 'raw'
hole post4 'DNAT in the node, TCP'
tap_done
