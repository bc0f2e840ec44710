#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What credentials cost that podcred fetch gets: answers from its cache beside keys in the file, a server that answers a constant
# and one with the limits of EKS's agent (stock.py); pods that ask for the first time, alone and all at once; memory; a start.
# Prints Markdown, asserts nothing.
# usage: fetch.sh [--markdown]   (with the text of docs/bench/fetch.md)
# ROUNDS: of each measurement, of MS milliseconds; PODS: on the node; COLD: pods that ask at once; FIRST: one after another;
# STARTS: of podcred; UPSTREAM_MS: what a call of STS takes.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch.sh
. "$(dirname "$0")/../lib/fetch.sh"

HERE=$(dirname "$0")
ROUNDS=${ROUNDS:-20} MS=${MS:-300} PODS=${PODS:-1 100 2000} COLD=${COLD:-500} FIRST=${FIRST:-200}
STARTS=${STARTS:-10} UPSTREAM_MS=${UPSTREAM_MS:-100}
MOST=${PODS##* }
DIRECT_PORT=9000 STOCK_PORT=9001

associations() {
  local i
  cat <<YAML
associations:
  - {namespace: shop, serviceAccount: static0, role: static, static: {accessKeyId: AKIASTATIC, secretAccessKey: secret-of-static, sessionToken: $(printf 't%.0s' {1..700})}}
  - {namespace: shop, serviceAccount: fetched0, roleArn: "${FETCH_ROLE}fetched", sessionName: serviceAccount, disableSessionTags: true}
YAML
  printf '  - {namespace: shop, serviceAccount: alike0, roleArn: "%salike", sessionName: serviceAccount, disableSessionTags: true}\n' "$FETCH_ROLE"
  printf '  - {namespace: shop, serviceAccount: unlike0, roleArn: "%sunlike"}\n' "$FETCH_ROLE"
  for i in {0..9}; do
    printf '  - {namespace: shop, serviceAccount: shared%s, roleArn: "%sshared%s", sessionName: serviceAccount, disableSessionTags: true}\n' "$i" "$FETCH_ROLE" "$i"
    printf '  - {namespace: shop, serviceAccount: own%s, roleArn: "%sown%s"}\n' "$i" "$FETCH_ROLE" "$i"
  done
}

# load GROUP COUNT ADDRESS PORT WORKERS MS [keep]
load() {
  head -n "$2" "$ENV_TMP/$1.cgroups" |
    in_netns "${POD_NETNS[net]}" "$ENV_BUILD/bench/load" "$3" "$4" /v1/credentials "${@:5}" || env_fail "load $*: $(tail -5 "$ENV_TMP/run.log")"
}
variant() { # VARIANT PODS WORKERS
  local keep=()
  [ "$1" = "${1%-keep}" ] || keep=(keep)
  case $1 in
  direct*) load fetched "$2" "$NODE_V4" "$DIRECT_PORT" "$3" "$MS" "${keep[@]}" ;;
  stock*) load fetched "$2" "$NODE_V4" "$STOCK_PORT" "$3" "$MS" "${keep[@]}" ;;
  *) load "${1%-keep}" "$2" 169.254.170.2 80 "$3" "$MS" "${keep[@]}" ;;
  esac
}

child() { pgrep -P "$RUN_PID" -x "podcred-$1"; }
# Ticks of the process that answers; 0: nobody looks at that.
ticks() { # VARIANT
  local pid
  case $1 in
  static* | fetched*) pid=$(child serve) ;;
  stock*) pid=$STOCK_PID ;;
  *) echo 0 && return ;;
  esac
  awk '{ print $14 + $15 }' "/proc/$pid/stat"
}
memory() { # PODS
  local who
  for who in serve fetch resolve; do
    echo "$1 $who $(awk '/^VmRSS:/ { print $2 }' "/proc/$(child $who)/status")"
  done >>"$ENV_TMP/raw/memory"
}
upstream_takes() { # SECONDS
  aws_do '{"clear": []}' >/dev/null
  [ "$1" = 0 ] || aws_do "{\"fault\": {\"service\": \"sts\", \"do\": \"delay\", \"seconds\": $1, \"times\": 0}}" >/dev/null
}

# Each round begins with another variant: what drifts hits all alike.
warm() {
  local pods workers round i before variants=(direct static fetched stock direct-keep fetched-keep stock-keep)
  for pods in $PODS; do
    for i in static fetched; do load "$i" "$pods" 169.254.170.2 80 4 each >"$ENV_TMP/first"; done
    memory "$pods"
    for workers in 1 4; do
      for ((round = 0; round < ROUNDS; round++)); do
        for i in "${!variants[@]}"; do
          set -- "${variants[(round + i) % ${#variants[@]}]}"
          before=$(ticks "$1")
          { variant "$1" "$pods" "$workers" && echo "- $(($(ticks "$1") - before))"; } >>"$ENV_TMP/raw/WARM.$1.$pods.$workers"
        done
      done
    done
  done
}

cold() { # GROUP TEXT
  aws_since
  load "$1" "$COLD" 169.254.170.2 80 1 once >"$ENV_TMP/raw/COLD.$1"
  echo "$(aws_calls 'map(select(.action == "AssumeRole")) | length') $2" >"$ENV_TMP/raw/calls.$1"
}
cold_stock() {
  local before=0
  [ ! -e "$ENV_TMP/stock.calls" ] || before=$(cat "$ENV_TMP/stock.calls")
  load shared "$COLD" "$NODE_V4" "$STOCK_PORT" 1 once >"$ENV_TMP/raw/COLD.stock"
  echo "$(($(cat "$ENV_TMP/stock.calls") - before)) the limits of EKS's agent" >"$ENV_TMP/raw/calls.stock"
}

# From the start of podcred until a pod has credentials, in ms.
has_credentials() { in_pod net curl -sf --max-time 5 http://169.254.170.2/v1/credentials; }
starts() {
  local i begin
  for ((i = 0; i < STARTS; i++)); do
    kill "$RUN_PID" && wait "$RUN_PID"
    begin=$(date +%s%N)
    run
    until has_credentials >"$ENV_TMP/first"; do :; done
    echo $((($(date +%s%N) - begin) / 1000000)) >>"$ENV_TMP/raw/starts"
  done
}
run() {
  set -a
  # shellcheck disable=SC1091 # aws.sh writes it
  . "$AWS/user.env"
  set +a
  env_run --config "$ENV_TMP/config.yaml" --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT"
}

env_up systemd
pod_add net burstable
mkdir "$ENV_TMP/raw"
aws_up
fetch_config 'tokens: {verify: "off"}'
associations >"$ENV_TMP/associations.yaml"
python3 "$HERE/fetch_pods.py" "$KUBEPODS" "$ENV_TMP" "static:$MOST:1" "fetched:$MOST:1" "shared:$COLD:10" "own:$COLD:10" \
  "alike:$FIRST:1" "unlike:$FIRST:1"
jq --arg uid "${POD_UID[net]}" '.items += [{metadata: {name: "net", namespace: "shop", uid: $uid},
  spec: {serviceAccountName: "fetched0", hostNetwork: false}}]' "$ENV_TMP/pods.json" >"$ENV_TMP/pods.new"
mv "$ENV_TMP/pods.new" "$ENV_TMP/pods.json"
env_podlist() { :; } # these are the pods
fetch_run "$AWS/user.env"
in_host "$ENV_BUILD/bench/server" "$NODE_V4" "$DIRECT_PORT" index 1 &
wait_for 10 in_host bash -c "exec 3<>/dev/tcp/$NODE_V4/$DIRECT_PORT"
nsenter --net="/run/netns/$NODE_NETNS" "$HERE/stock.py" "$NODE_V4" "$STOCK_PORT" "$UPSTREAM_MS" "$ENV_TMP/stock.calls" &
STOCK_PID=$!
wait_for 10 in_host bash -c "exec 3<>/dev/tcp/$NODE_V4/$STOCK_PORT"
upstream_takes "$(awk -v ms="$UPSTREAM_MS" 'BEGIN { print ms / 1000 }')"
cold shared '10 service accounts, no session tags'
cold own '10 service accounts, tags and session name of the pod'
cold_stock
load unlike "$FIRST" 169.254.170.2 80 1 each >"$ENV_TMP/raw/FIRST.call"
load alike 1 169.254.170.2 80 1 each >"$ENV_TMP/first"
load alike "$FIRST" 169.254.170.2 80 1 each >"$ENV_TMP/raw/FIRST.cached"
upstream_takes 0
warm
starts
[ "${1:-}" != --markdown ] || cat "$HERE/fetch.md"
python3 "$HERE/fetch_report.py" "$ENV_TMP/raw"
