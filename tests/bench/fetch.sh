#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What credentials cost that podcred fetch gets: answers from its cache beside keys in the file and a server that answers a
# constant, and pods that all ask for the first time at once. Prints Markdown, asserts nothing.
# usage: fetch.sh [--markdown]   (with the text of docs/bench/fetch.md)
# ROUNDS: of each measurement, of MS milliseconds; PODS: on the node.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch.sh
. "$(dirname "$0")/../lib/fetch.sh"

HERE=$(dirname "$0")
ROUNDS=${ROUNDS:-20} MS=${MS:-300} PODS=${PODS:-1 100 2000} COLD=${COLD:-500}
MOST=${PODS##* }
DIRECT_PORT=9000

associations() {
  local i
  cat <<YAML
associations:
  - {namespace: shop, serviceAccount: static0, role: static, static: {accessKeyId: AKIASTATIC, secretAccessKey: secret-of-static, sessionToken: $(printf 't%.0s' {1..700})}}
  - {namespace: shop, serviceAccount: fetched0, roleArn: "${FETCH_ROLE}fetched", sessionName: serviceAccount, disableSessionTags: true}
YAML
  for i in {0..9}; do
    printf '  - {namespace: shop, serviceAccount: shared%s, roleArn: "%sshared%s", sessionName: serviceAccount, disableSessionTags: true}\n' "$i" "$FETCH_ROLE" "$i"
    printf '  - {namespace: shop, serviceAccount: own%s, roleArn: "%sown%s"}\n' "$i" "$FETCH_ROLE" "$i"
  done
}

# load GROUP COUNT ADDRESS PORT WORKERS MS
load() {
  head -n "$2" "$ENV_TMP/$1.cgroups" |
    in_netns "${POD_NETNS[net]}" "$ENV_BUILD/bench/load" "$3" "$4" /v1/credentials "$5" "$6" || env_fail "load $*: $(tail -5 "$ENV_TMP/run.log")"
}
variant() { # VARIANT PODS WORKERS
  case $1 in
  direct) load fetched "$2" "$NODE_V4" "$DIRECT_PORT" "$3" "$MS" ;;
  *) load "$1" "$2" 169.254.170.2 80 "$3" "$MS" ;;
  esac
}

# Each round begins with another variant: what drifts hits all alike.
warm() {
  local pods workers round i variants=(direct static fetched)
  for pods in $PODS; do
    for i in static fetched; do load "$i" "$pods" 169.254.170.2 80 4 each >"$ENV_TMP/first"; done
    for workers in 1 4; do
      for ((round = 0; round < ROUNDS; round++)); do
        for i in 0 1 2; do
          set -- "${variants[(round + i) % 3]}"
          { variant "$1" "$pods" "$workers" && echo -; } >>"$ENV_TMP/raw/WARM.$1.$pods.$workers"
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

env_up systemd
pod_add net burstable
mkdir "$ENV_TMP/raw"
aws_up
fetch_config 'tokens: {verify: "off"}'
associations >"$ENV_TMP/associations.yaml"
python3 "$HERE/fetch_pods.py" "$KUBEPODS" "$ENV_TMP" "static:$MOST:1" "fetched:$MOST:1" "shared:$COLD:10" "own:$COLD:10"
env_podlist() { :; } # these are the pods
fetch_run "$AWS/user.env"
in_host "$ENV_BUILD/bench/server" "$NODE_V4" "$DIRECT_PORT" index 1 &
wait_for 10 in_host bash -c "exec 3<>/dev/tcp/$NODE_V4/$DIRECT_PORT"
cold shared '10 service accounts, no session tags'
cold own '10 service accounts, tags and session name of the pod'
warm
[ "${1:-}" != --markdown ] || cat "$HERE/fetch.md"
python3 "$HERE/fetch_report.py" "$ENV_TMP/raw"
