#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long a pod waits for its name, and what a node with many pods takes: the table of docs/scale.md. Prints, asserts
# nothing. SIZES: pods on the node.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

STARTS=${STARTS:-1000}
env_associations() {
  local i
  echo 'associations:'
  for i in {0..7}; do
    printf '  - {namespace: shop, serviceAccount: account%s, role: r, ' "$i"
    printf 'static: {accessKeyId: AKIAACCOUNT%s, secretAccessKey: s, sessionToken: t}}\n' "$i"
  done
}
drive() { # OPTION...
  in_netns "${POD_NETNS[net]}" python3 "$ENV_ROOT/tests/lib/starts.py" --kubepods "$KUBEPODS" --control "$KUBE/control" \
    --map "$PIN_DIR/maps/podcred_pods" "$@"
}
rss() { awk '$1 == "'"$2"':" { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
cpu_ms() { awk '{ print ($14 + $15) * 1000 / '"$(getconf CLK_TCK)"' }' "/proc/$1/stat"; }
since_ms() { echo $((($(date +%s%N) - $1) / 1000000)); }
named() { grep -q "names of $1 pods" "$ENV_TMP/resolve.log"; }

measure() {
  local n=$1 began ready listed before spent
  env_up systemd
  pod_add net burstable
  env_load >/dev/null || env_fail 'load failed'
  kubeapi_up
  drive --count "$n" --live "$n" --rate 0 --keep --unnamed >/dev/null
  began=$(date +%s%N)
  nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
    --kubeconfig "$KUBE/kubeconfig" --node n1 >"$ENV_TMP/resolve.log" 2>&1 &
  RESOLVE_PID=$!
  until grep -q 'resolver ready' "$ENV_TMP/resolve.log"; do sleep 0.01; done
  ready=$(since_ms "$began")
  until named "$n"; do sleep 0.01; done
  listed=$(since_ms "$began")
  env_serve
  before=$(cpu_ms "$RESOLVE_PID")
  drive --count "$STARTS" --live 100 --ask >"$ENV_TMP/starts"
  spent=$(cpu_ms "$RESOLVE_PID")
  jq -r --arg n "$n" --arg ready "$ready" --arg listed "$listed" --arg rss "$(rss "$RESOLVE_PID" VmRSS)" \
    --arg peak "$(rss "$RESOLVE_PID" VmHWM)" --arg agent "$(rss "$SERVE_PID" VmRSS)" --argjson spent "$spent" --argjson before "$before" \
    '"| \($n) | \($ready) ms | \($listed) ms | \(.named.median) ms | \(.named.p99) ms | \(.answered.median) ms | \(.answered.p99) ms | " +
    "\(.right) / \(.wrong) / \(.refused + .failed) | \((($spent - $before) / .started * 100 | round) / 100) ms | \($rss) MB | \($peak) MB | \($agent) MB |"' \
    "$ENV_TMP/starts"
  env_clean
}

echo '| pods | ready | all named | name, median | p99 | answer, median | p99 | right / wrong / refused | CPU a start | resolver | its peak | agent |'
echo '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |'
for n in ${SIZES:-110 1000 5000}; do measure "$n"; done
