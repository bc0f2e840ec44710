#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run test programs that print TAP, one after another; end with the plain line that CI reads.
# usage: tests/run.sh PROGRAM...   (V=1 shows passing checks too)
set -u

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

# A program's checks: counted from its TAP; a program that ends badly, or without a plan, fails.
run_one() {
  local program=$1 status ok not_ok skips plan started=$SECONDS
  "$program" >"$log" 2>&1
  status=$?
  skips=$(grep -c '^ok .*# SKIP' "$log")
  ok=$(($(grep -c '^ok ' "$log") - skips))
  not_ok=$(grep -c '^not ok ' "$log")
  plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
  if [ "$plan" -ne $((ok + not_ok + skips)) ] || [ "$plan" -eq 0 ] ||
    { [ "$status" -ne 0 ] && [ "$not_ok" -eq 0 ]; }; then
    not_ok=$((not_ok + 1))
    printf 'not ok - %s ended early (exit %d, %d of %d checks)\n' "$program" "$status" $((ok + skips)) "$plan"
    tail -30 "$log" | sed 's/^/  /'
  fi
  passed=$((passed + ok)) failed=$((failed + not_ok)) skipped=$((skipped + skips))
  printf '%-40s %4d ok %3d failed %3d skipped %4ds\n' "${program##*/}" "$ok" "$not_ok" "$skips" $((SECONDS - started))
  if [ "${V:-0}" = 1 ]; then
    grep -E '^(ok|not ok|#)' "$log" | sed 's/^/  /'
  else
    grep -A 45 '^not ok ' "$log" | grep -E '^(not ok|#)' | sed 's/^/  /'
    grep '^ok .*# SKIP' "$log" | sed 's/^/  /'
  fi
}

for program in "$@"; do
  run_one "$program"
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
