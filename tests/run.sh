#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run test programs that print TAP; end with the plain line that CI reads.
# usage: tests/run.sh PROGRAM... [--then PROGRAM...]     PROGRAM: with its arguments, as one word
# V=1 shows passing checks too; JOBS=N runs so many at a time; TEST_SECONDS=N ends a program that hangs, to see what it
# said. What is behind --then waits for what is before it.
set -u

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Each in a process group of its own, to be ended as a whole: in the background it does not hear Ctrl-C.
set -m
end() {
  local group
  for group in $(jobs -p); do kill -TERM -- "-$group" 2>/dev/null; done
  wait
  exit "$1"
}
trap 'end 130' INT
trap 'end 143' TERM

# A program's checks: counted from its TAP; a program that ends badly, or without a plan, fails.
run_one() {
  local program=$1 log=$2 status ok not_ok skips plan started=$SECONDS words
  read -ra words <<<"$program"
  ${TEST_SECONDS:+timeout --foreground -k 20 "$TEST_SECONDS"} "${words[@]}" >"$log" 2>&1
  status=$?
  sed -i 's/^not \(ok [0-9]* # SKIP\)/\1/' "$log" # cmocka's way to say it
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
  printf '%-40s %4d ok %3d failed %3d skipped %4ds\n' "${program##*/}" "$ok" "$not_ok" "$skips" $((SECONDS - started))
  if [ "${V:-0}" = 1 ]; then
    grep -E '^(ok|not ok|#)' "$log" | sed 's/^/  /'
  else
    grep -A 45 '^not ok ' "$log" | grep -E '^(not ok|#)' | sed 's/^/  /'
    grep '^ok .*# SKIP' "$log" | sed 's/^/  /'
  fi
  echo "$ok $not_ok $skips" >>"$work/counts"
}

# What a program comes to is printed when it ends, in one piece.
run_beside() {
  local n=$1 program=$2
  trap : INT TERM # the program hears it too, and cleans up: that is waited for
  run_one "$program" "$work/$n.log" >"$work/$n.out"
  flock "$work/lock" cat "$work/$n.out"
  rm "$work/$n.log" "$work/$n.out"
}

: >"$work/counts"
n=0
for program in "$@"; do
  if [ "$program" = --then ]; then
    wait
    continue
  fi
  n=$((n + 1))
  while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-1}" ]; do wait -n; done
  run_beside "$n" "$program" &
done
wait
read -r passed failed skipped < <(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$work/counts")
[ "$(wc -l <"$work/counts")" -eq "$n" ] || failed=$((failed + 1))
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
