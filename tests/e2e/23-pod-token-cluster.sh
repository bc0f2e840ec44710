#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tokens of pods in a cluster: podcred fetch asks the API server for its keys, also for newer ones when a token names one
# that is not known, and has it judge tokens where its keys cannot be had. Pods have static credentials here.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

URL=http://169.254.170.23/v1/credentials
FETCH_UID=$((ENV_UID + 1))

# from POD TOKEN: the status of the answer, and the key or the code in it.
from() {
  in_pod "$1" curl -s --max-time 20 -w '\n%{http_code}\n' ${2:+-H "Authorization: $2"} "$URL" >"$ENV_TMP/answer"
  echo "$(tail -n 1 "$ENV_TMP/answer") $(sed '$d' "$ENV_TMP/answer" | jq -r '.AccessKeyId // .code' 2>/dev/null)"
}
from_is() { [ "$(from "$2" "$3")" = "$1" ]; }
of() { # POD: a token that the API server makes now
  api '{"account_token": {"pod": "'"$1"'", "namespace": "shop", "audience": "pods.eks.amazonaws.com"}}'
  jq -r . "$ENV_TMP/api.out"
}
refusals() { grep -c "result=refused reason=$1 .*pod=$2 " "$ENV_TMP/serve.log"; }
new_pod() {
  pod_add "$1" burstable
  api '{"put": {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "'"$1"'", "namespace": "shop"}}}'
  api_pod "$1"
}
config() { printf 'credentials: {tokens: {verify: "%s"}}\n' "$1" >"$ENV_TMP/config.yaml"; }
fetch_start() {
  config "$1"
  : >"$ENV_TMP/fetch.log"
  nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" fetch --socket "$ENV_TMP/fetch.sock" --config "$ENV_TMP/config.yaml" \
    --kubeconfig "$KUBE/kubeconfig" --associations "$ENV_TMP/associations.yaml" --user "$FETCH_UID" --node n1 \
    >"$ENV_TMP/fetch.log" 2>&1 &
  FETCH_PID=$!
  wait_for 10 grep -q 'connected to the agent' "$ENV_TMP/fetch.log" || env_fail "no fetch: $(cat "$ENV_TMP/fetch.log")"
}
fetch_stop() {
  kill "$FETCH_PID"
  wait "$FETCH_PID" 2>/dev/null
}

env_up
kubeapi_up
chmod 711 "$ENV_TMP" "$KUBE"
chmod 644 "$KUBE"/{kubeconfig,token,ca.crt}
new_pod web
new_pod db
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve --user "$ENV_UID" --fetch-socket "$ENV_TMP/fetch.sock" --fetch-user "$FETCH_UID"
chmod 755 "$ENV_TMP/associations.yaml"
WEB=$(of web) DB=$(of db)
same 'before anybody has said how: no token is right yet' '503 CredentialsUninitialized' "$(from web "$WEB")"
same 'the log says why' 1 "$(refusals credentials_pending web)"

# ---- by the cluster's keys ----
fetch_start jwks
check "a pod's own token, once the keys are there" wait_for 10 from_is '200 AKIAWEB' web "$WEB"
check 'they come from the API server' wait_for 10 grep -q "verified by the cluster's keys" "$ENV_TMP/fetch.log"
check "and the agent has them" wait_for 10 grep -q '1 key of the cluster to verify tokens with' "$ENV_TMP/serve.log"
same "another pod's token" '403 AccessDenied' "$(from web "$DB")"
same 'it is logged as such' 1 "$(refusals token_other_pod web)"
same 'none' '400 InvalidRequest' "$(from web '')"
api '{"rotate_keys": {}}'
NEW=$(of web)
same 'the cluster has a new key: try again' '503 CredentialsUninitialized' "$(from web "$NEW")"
check 'it is asked for at once' wait_for 10 from_is '200 AKIAWEB' web "$NEW"
same 'what the old one has signed' '503 CredentialsUninitialized' "$(from db "$DB")"
DB=$(of db)
same 'each has its own again' '200 AKIADB' "$(from db "$DB")"
fetch_stop
check 'the agent knows that fetch is gone' wait_for 10 grep -q 'podcred fetch has gone' "$ENV_TMP/serve.log"
same 'the keys stay without podcred fetch' '200 AKIAWEB 403 AccessDenied' "$(from web "$NEW") $(from web "$DB")"

# ---- by the API server's word ----
fetch_start review
check 'the API server says that it is good' wait_for 10 from_is '200 AKIADB' db "$DB"
same "and whose another one is" '403 AccessDenied' "$(from web "$DB")"
same "a pod's own" '200 AKIAWEB' "$(from web "$NEW")"
same 'one that nobody has made' '400 InvalidToken' "$(from web "${NEW%.*}.AAAA")"
same 'it is logged as such' 1 "$(refusals token_not_accepted web)"
same 'what is no token is not asked about' '400 InvalidRequest' "$(from web 'a.b')"
fetch_stop
api '{"set": {"denied": ["create tokenreviews"]}}'
fetch_start review
check 'without the right to ask' wait_for 10 from_is '503 CredentialsUninitialized' web "$NEW"
check 'which is in the log' test "$(refusals token_not_reviewed web)" -gt 0
fetch_stop

# ---- where the keys cannot be had ----
api '{"set": {"denied": ["get jwks"]}}'
fetch_start jwks
check 'without the right to the keys the API server is asked' wait_for 10 from_is '200 AKIAWEB' web "$NEW"
same 'which is as good' '403 AccessDenied' "$(from web "$DB")"
check 'and said' wait_for 10 grep -q "keys cannot be had.*system:service-account-issuer-discovery" "$ENV_TMP/fetch.log"
fetch_stop

# ---- not at all ----
fetch_start off
check 'if tokens are not verified, none is needed' wait_for 10 from_is '200 AKIAWEB' web ''
same 'and any will do' '200 AKIAWEB' "$(from web "$DB")"
# shellcheck disable=SC2016 # expanded by the inner shell
check 'no token is in a log' bash -c '! grep -nF -e "$1" -e "$2" "$3" "$4"' _ "${NEW##*.}" "${DB##*.}" "$ENV_TMP/serve.log" "$ENV_TMP/fetch.log"
tap_done
