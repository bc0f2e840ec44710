#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fuzz targets, as TAP: each replays its corpus, then looks for new inputs: for FUZZ_SECONDS, or
# FUZZ_RUNS of them, which are the same ones each time that the same code runs.
# usage: tests/fuzz/run.sh [NAME...]   (without names those in FUZZ_TARGETS)
# New inputs of FUZZ_SECONDS go to $O/fuzz/NAME, findings to $O/fuzz/findings.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source-path=SCRIPTDIR
. tests/lib/tap.sh

O=$(realpath "${O:-build}")
seconds=${FUZZ_SECONDS:-60} runs=${FUZZ_RUNS:-} jobs=${FUZZ_JOBS:-2}
[ $# -gt 0 ] || read -ra names <<<"${FUZZ_TARGETS:-}"
[ $# -eq 0 ] || names=("$@")
findings=$O/fuzz/findings
mkdir -p "$findings"
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM

# libFuzzer chooses by addresses of the code too. A container may not be allowed to fix them.
fixed=(setarch -R)
[ -n "$runs" ] && "${fixed[@]}" true 2>/dev/null || fixed=()

# What a target may take for one input before that is a finding: much more than it needs here.
limits=(-timeout=60 -rss_limit_mb=2048)

replay() {
  "$O/fuzz/fuzz_$1" "${limits[@]}" -artifact_prefix="$findings/$1-" "tests/fuzz/corpus/$1"/* >"$findings/$1.replay" 2>&1
}

explore() {
  local how=(-max_len=8192 -print_final_stats=1 -artifact_prefix="$findings/$1-")
  [ ! -e "tests/fuzz/$1.dict" ] || how+=(-dict="tests/fuzz/$1.dict")
  if [ -n "$runs" ]; then
    # in the order of their names, not of the directory
    printf '%s\n' "tests/fuzz/corpus/$1"/* | paste -sd, >"$findings/$1.seeds"
    how+=(-runs="$runs" -seed=1 -seed_inputs=@"$findings/$1.seeds")
  else
    mkdir -p "$O/fuzz/$1"
    how+=(-max_total_time="$seconds" "$O/fuzz/$1" "tests/fuzz/corpus/$1")
  fi
  "${fixed[@]}" "$O/fuzz/fuzz_$1" "${limits[@]}" "${how[@]}" >"$findings/$1.log" 2>&1
}

# The end of a target's output, and how to see it again.
explain() {
  local log=$1 artifact
  grep -avE '^#[0-9]+|^Executed|^ +#[0-9]+ .*(fuzzer::|libc)|^INFO|^stat::' "$log" | tail -30 | sed 's/^/#   /'
  artifact=$(sed -n 's/^artifact_prefix=.*Test unit written to //p' "$log" | tail -1)
  [ -n "$artifact" ] || artifact=$(sed -n 's/^Running: //p' "$log" | tail -1)
  printf '#   see it again: %s %s\n' "$O/fuzz/fuzz_$2" "${artifact:-INPUT}"
}

report() {
  local name=$1 files stats
  files=("tests/fuzz/corpus/$name"/*)
  if [ "$(cat "$findings/$name.replayed")" = 0 ]; then
    tap_result ok "$name: ${#files[@]} files of its corpus"
  else
    tap_result 'not ok' "$name: ${#files[@]} files of its corpus"
    explain "$findings/$name.replay" "$name"
  fi
  stats=$(awk '/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:" || $i == "ft:") v[$i] = $(i + 1) }
    /^stat::number_of_executed_units/ { n = $2 } /^stat::average_exec_per_sec/ { rate = $2 }
    END { printf "%d inputs, %d a second, cov %d, ft %d", n, rate, v["cov:"], v["ft:"] }' "$findings/$name.log")
  if [ "$(cat "$findings/$name.explored")" = 0 ]; then
    tap_result ok "$name: ${runs:-$seconds seconds of} new inputs ($stats)"
  else
    tap_result 'not ok' "$name: new inputs ($stats)"
    explain "$findings/$name.log" "$name"
  fi
}

for name in "${names[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
  {
    replay "$name"
    echo $? >"$findings/$name.replayed"
    explore "$name"
    echo $? >"$findings/$name.explored"
  } &
done
wait
for name in "${names[@]}"; do report "$name"; done
tap_done
