#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run a command beside busy loops, as many as there are CPUs: what waits for time to pass shows
# itself.
# usage: tests/busy.sh COMMAND...     e.g. tests/busy.sh make test
set -u

loops=()
stop_loops() { kill "${loops[@]}" 2>/dev/null; }
trap stop_loops EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for _ in $(seq "$(nproc)"); do
  (trap - EXIT INT TERM; while :; do :; done) &
  loops+=($!)
done
"$@"
