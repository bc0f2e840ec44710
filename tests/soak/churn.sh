#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Churn: pods come and go all the time, on addresses and under names that others have just had, and ask for their credentials.
# Each answer of podcred is compared with what that pod should have. Beside it, for the same requests, pods are told apart by
# their source address, as kube2iam does it. That has to show errors: otherwise the soak proves nothing.
#
#   SOAK_SECONDS=1800 SOAK_PODS=500 SOAK_RATE=10 SOAK_ASK_EVERY=10 SOAK_SEED=N SOAK_JSON=FILE churn.sh
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

PODS=${SOAK_PODS:-500}
SEED=${SOAK_SEED:-$RANDOM$RANDOM}
RIVAL_PORT=8181
env_associations() {
  local n
  echo 'associations:'
  for n in {0..63}; do
    cat <<YAML
  - namespace: shop
    serviceAccount: account$n
    role: account$n-role
    static: {accessKeyId: "AKIAACCOUNT$n", secretAccessKey: "secret-of-$n", sessionToken: "token-of-$n"}
YAML
  done
}

# namespaces N: as many as pods can be there, all on the node's bridge
namespaces() {
  local n
  for ((n = 1; n <= $1; n++)); do echo "netns add $ENV_ID-c$n"; done >"$ENV_TMP/batch"
  ip -batch "$ENV_TMP/batch" || env_fail 'cannot make the network namespaces'
  for ((n = 1; n <= $1; n++)); do
    echo "link add c$n type veth peer name eth0 netns $ENV_ID-c$n"
    echo "link set c$n master br0 up"
  done >"$ENV_TMP/batch"
  in_node ip -batch "$ENV_TMP/batch" || env_fail 'cannot connect the network namespaces'
}

# row NAME KEY: of the table
row() {
  jq -r ".$2 | \"\(.requests) \(.right) \(.wrong) \(.wrong_first) \(.refused) \(.failed)\"" "$ENV_TMP/result" |
    awk -v name="$1" '{ printf "# %-15s %9s %9s %7s %8s %8s %7s\n", name, $1, $2, $3, $4, $5, $6 }'
}
of() { jq -r "$1" "$ENV_TMP/result"; }

note "seed $SEED"
env_up systemd
namespaces $((PODS + 4))
env_load >/dev/null || env_fail 'load failed'
kubeapi_up
kubeapi_resolve
env_serve
check 'the API is in touch' wait_for 20 grep -q 'names of 0 pods of node n1' "$ENV_TMP/resolve.log"
background "$ENV_TMP/rival" ready nsenter --net="/run/netns/$NODE_NETNS" python3 "$ENV_ROOT/tests/soak/by_address.py" \
  "$KUBE/kubeconfig" "$NODE_V4" $RIVAL_PORT n1

# Waited for in the background, so that Ctrl-C is heard at once.
python3 "$ENV_ROOT/tests/soak/churn.py" --kubepods "$KUBEPODS" --control "$KUBE/control" --netns "$ENV_ID-" \
  --rival "$NODE_V4:$RIVAL_PORT" --seed "$SEED" --seconds "${SOAK_SECONDS:-1800}" --pods "$PODS" \
  --rate "${SOAK_RATE:-10}" --ask-every "${SOAK_ASK_EVERY:-10}" >"$ENV_TMP/result" 2>"$ENV_TMP/churn.log" &
wait $! || env_fail "the soak ended early: $(tail -n 20 "$ENV_TMP/churn.log")"

note "$(of '"\(.pods) pods in \(.seconds) s, \(.live) at a time; \(.addresses_reused) got an address and \(.names_reused) a name that others had before"')"
note 'told apart by    requests     right   wrong at start  refused  failed'
row podcred podcred
row 'source address' address
note "podcred: $(of .podcred.retried) answers were 503, and the pod asked again"
note "$(jq -c 'del(.podcred.notes, .address.notes)' "$ENV_TMP/result")"
[ -z "${SOAK_JSON:-}" ] || cp "$ENV_TMP/result" "$SOAK_JSON"

same 'podcred: nobody got credentials of another' 0 "$(of .podcred.wrong)" || of '.podcred.notes[]' | sed 's/^/#   /'
same 'podcred: everybody got credentials in the end' '0 0' "$(of '"\(.podcred.refused) \(.podcred.failed)"')" ||
  of '.podcred.notes[]' | sed 's/^/#   /'
check 'podcred: they asked' jq -e '.podcred.requests > .pods / 2' "$ENV_TMP/result"
check 'the source address names others' jq -e '.address.wrong > 0' "$ENV_TMP/result"
check 'addresses and names were used again' jq -e '.addresses_reused > 0 and .names_reused > 0' "$ENV_TMP/result"
tap_done
