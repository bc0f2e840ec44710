#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The console of an emulated machine. For guest_relay source it after tap.sh; the guest's tests were run by tests/run.sh
# with V=1.

# guest_console SECONDS COMMAND...: shows the console that the command has as its output, and kills the command after so
# long a silence. How long a guest takes depends on what else this machine does; one that hangs says nothing any more.
guest_console() {
  local limit=$1 line status guest console
  shift
  exec {console}< <(exec "$@" </dev/null)
  guest=$!
  while IFS= read -r -t "$limit" -u "$console" line; status=$?; [ $status -eq 0 ]; do
    printf '%s\n' "${line%$'\r'}"
  done
  exec {console}<&-
  if [ $status -gt 128 ]; then # the timeout of read
    echo "${1##*/} has said nothing for $limit s; killed"
    kill -KILL "$guest"
  fi
  wait "$guest"
}

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
