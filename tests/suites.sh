#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run make targets that count checks, one after another, and add up. The last line is "N passed,
# N failed, N skipped"; a target that breaks before it can count, lint too, is one check that failed.
# usage: tests/suites.sh TARGET...
set -u
cd "$(dirname "$0")/.." || exit 1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
jobs=$(($(nproc) * 2)) # beside others who are busy, as many again are more than half of the machine
passed=0 failed=0 skipped=0
summary=

# Adds the line that the target ended with; without one, its exit status is the only check.
run_target() {
  local started=$SECONDS status p f s last
  make -j"$jobs" "$1" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  last=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -1)
  read -r p _ f _ s _ <<<"${last:-0 passed, 0 failed, 0 skipped}"
  if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
    f=1
    echo "not ok - make $1 (exit $status)"
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  printf -v summary '%s%-20s %5d passed %3d failed %3d skipped %5ds\n' "$summary" "$1" "$p" "$f" "$s" $((SECONDS - started))
}

for target in "$@"; do
  run_target "$target"
done
printf '\n%s%d passed, %d failed, %d skipped\n' "$summary" "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
