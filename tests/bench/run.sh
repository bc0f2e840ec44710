#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The benchmark. usage: run.sh DIRECTORY   (make bench builds what it needs)
#
# A node for each variant (variants.sh) stands from beginning to end, and they take turns: each round
# visits all of them, and begins with another one, so that what drifts hits all alike. DIRECTORY gets
# results.json, results.md and plots. ROUNDS=N in the environment scales how long it takes; 250 is right.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$1
ROUNDS=${ROUNDS:-250}
VARIANTS=(direct again legacy compat nftables podcred bridged connects proxied neighbours untracked)
RULES=(0 100 1000 10000)
PODS=(10 110 1000)
LOOKUP_PODS=(10 110 1000 5000)
export MANY_MS=200 # of one round; report.py counts with it
# One pod and its server share a CPU: what is timed is then all the work that was done for it, not how
# soon the other CPU wakes up. Many pods have them all.
ONE_CPU=$(($(nproc) - 1))
ALL_CPUS=0-$ONE_CPU

declare -A IN FROM PID
RAW=$(mktemp -d)

fail() {
  printf 'bench: %s\n' "$*" >&2
  exit 1
}

# A node cleans up after itself when its input ends.
down() {
  local status=$? variant fd
  trap - EXIT INT TERM
  for fd in "${IN[@]}"; do exec {fd}>&-; done
  for variant in "${!PID[@]}"; do wait "${PID[$variant]}"; done
  [ -n "${KEEP_RAW:-}" ] || rm -rf "$RAW"
  exit $status
}
trap down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# No node may hold the other ones' inputs open.
start() {
  local variant=$1 to from fd
  mkfifo "$RAW/$variant.to" "$RAW/$variant.from"
  (
    for fd in "${IN[@]}" "${FROM[@]}"; do exec {fd}>&-; done
    exec "$HERE/node.sh" "$variant" <"$RAW/$variant.to" >"$RAW/$variant.from"
  ) &
  PID[$variant]=$!
  exec {to}>"$RAW/$variant.to" {from}<"$RAW/$variant.from"
  IN[$variant]=$to FROM[$variant]=$from
}

answer() {
  local reply=
  read -r reply <&"${FROM[$1]}"
  [ "$reply" = ok ] || fail "$1: ${reply:-the node is gone}"
}
# ask VARIANT COMMAND...
ask() {
  echo "${@:2}" >&"${IN[$1]}"
  answer "$1"
}
# All nodes at once: only for what is not measured.
ask_all() {
  local variant
  for variant in "${VARIANTS[@]}"; do echo "$@" >&"${IN[$variant]}"; done
  for variant in "${VARIANTS[@]}"; do answer "$variant"; done
}

# Files are RAW/WORKLOAD.VARIANT.RULES.PODS, a line a round.

# rounds ROUNDS WORKLOAD [ARGUMENT]   a process each time: for what takes long, or happens once
rounds() {
  local round i variant
  for ((round = 0; round < $1; round++)); do
    for ((i = 0; i < ${#VARIANTS[@]}; i++)); do
      variant=${VARIANTS[(round + i) % ${#VARIANTS[@]}]}
      ask "$variant" "${@:2}" "$RAW/$2.$variant.$rules.$pods"
    done
  done
}

# turns ROUNDS WORKLOAD N   clients that are there already, for a few milliseconds each: the speed of
# a shared machine changes faster than processes start
turns() {
  local variant clients=()
  for variant in "${VARIANTS[@]}"; do
    mkfifo "$RAW/$2.$variant.to" "$RAW/$2.$variant.from"
    echo client "$2" "$RAW/$2.$variant.to" "$RAW/$2.$variant.from" >&"${IN[$variant]}"
    clients+=("$RAW/$2.$variant.to:$RAW/$2.$variant.from:$variant.$rules.$pods")
  done
  python3 "$HERE/turns.py" "$1" "$3" "$RAW/$2" "${clients[@]}" || fail "$2"
  for variant in "${VARIANTS[@]}"; do answer "$variant"; done
  rm "$RAW"/*.to "$RAW"/*.from
}

say() { printf '%4d s  %s\n' $SECONDS "$*" >&2; }

say "${#VARIANTS[@]} nodes"
for variant in "${VARIANTS[@]}"; do start "$variant"; done
for variant in "${VARIANTS[@]}"; do answer "$variant"; done

rules=0 pods=10
say 'cold: the first request of each pod'
rounds 1 first
say 'one pod: connections, requests on one of them, other traffic'
ask_all cpus "$ONE_CPU"
turns "$ROUNDS" visit 20
turns "$ROUNDS" keep 50
turns "$ROUNDS" connect 20
turns "$ROUNDS" udp 500
turns "$ROUNDS" associate 2000
rounds $((ROUNDS / 40 + 1)) bulk 200
for rules in "${RULES[@]}"; do
  pods=${PODS[0]}
  say "$rules unrelated rules or targets"
  [ "$rules" = 0 ] || ask_all rules "$rules"
  rounds 1 conntrack 100
  for pods in "${PODS[@]}"; do
    ask_all pods "$pods"
    [ "$rules-$pods" = 0-10 ] || turns $((ROUNDS / 4)) visit 20
  done
  pods=${PODS[0]}
  ask_all pods "$pods"
  ask_all cpus "$ALL_CPUS"
  rounds $((ROUNDS / 20 + 1)) many "$MANY_MS"
  ask_all cpus "$ONE_CPU"
done
ask_all rules 0
ask_all pods 10
rules=0 pods=10
say 'memory, programs, getsockopt'
rounds 3 slab 2000
ask podcred maps "$RAW/maps-10"
ask podcred programs "$RAW/programs"
ask podcred sockopt 50000 "$RAW/sockopt"
for pods in "${LOOKUP_PODS[@]}"; do
  say "who calls, among $pods pods"
  ask podcred lookup "$pods" "$RAW/lookup-$pods"
done
ask podcred maps "$RAW/maps-$pods"
mkdir -p "$OUT"
python3 "$HERE/report.py" "$RAW" "$OUT" || fail 'no report'
(cd "$OUT" && gnuplot "$HERE/plot.gp") || fail 'no plots'
say "results in $OUT"
