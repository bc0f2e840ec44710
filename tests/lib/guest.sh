#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The console of an emulated machine whose tests were run by tests/run.sh with V=1. Sourced after
# tap.sh.

# guest_relay NAME CONSOLE: the guest's checks become this program's.
guest_relay() {
  local name=$1 line
  while read -r line; do
    case $line in
    'ok '*) tap_result ok "$name: ${line#* * - }" ;;
    'not ok '*) tap_result 'not ok' "$name: ${line#* * * - }" ;;
    '#'*) printf '%s\n' "$line" ;;
    esac
  done <"$2"
}
