#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The first request of a pod: pods that start one after the other and ask at once get their own credentials. When the API
# server is late they wait, for a while, and then are told to ask again, which SDKs do.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"

PYTHON=/usr/bin/python3 # Debian's, which has boto3
ACCOUNTS=(account{0..7} sdk)
env_associations() {
  local account
  echo 'associations:'
  for account in "${ACCOUNTS[@]}"; do
    cat <<YAML
  - namespace: shop
    serviceAccount: $account
    role: $account-role
    static: {accessKeyId: "AKIA${account^^}", secretAccessKey: "secret-of-$account", sessionToken: "token-of-$account"}
YAML
  done
}

env_up systemd
pod_add net burstable # the starting pods share its network: they are told apart by their cgroups
env_load >/dev/null || env_fail 'load failed'
kubeapi_up
kubeapi_resolve
env_serve
check 'the API is in touch' wait_for 20 grep -q 'names of 0 pods of node n1' "$ENV_TMP/resolve.log"

# starts OPTION...: into $ENV_TMP/starts
starts() {
  in_netns "${POD_NETNS[net]}" python3 "$ENV_ROOT/tests/lib/starts.py" --kubepods "$KUBEPODS" --map "$PIN_DIR/maps/podcred_pods" \
    --control "$KUBE/control" --ask "$@" >"$ENV_TMP/starts"
}
# outcome WHAT RIGHT REFUSED: nobody else's credentials, and nothing else went wrong
outcome() {
  same "$1" "right $2 wrong 0 refused $3 failed 0 unnamed 0" \
    "$(jq -r '"right \(.right) wrong \(.wrong) refused \(.refused) failed \(.failed) unnamed \(.unnamed)"' "$ENV_TMP/starts")" ||
    jq -r '.notes[]' "$ENV_TMP/starts" | sed 's/^/#   /'
}

starts --count 150 --live 40
outcome '50 pods a second' 150 0
starts --count 100 --live 40 --api-first -20
outcome 'the API tells of each after it was made' 100 0
starts --count 20 --live 20 --late 4000
outcome 'the API is late: each is refused in the end' 0 20
check 'with the reason' jq -e '.notes | length == 5 and all(.[]; contains("PodNotResolved"))' "$ENV_TMP/starts"
starts --count 20 --live 20 --late 4000 --sdk 60
outcome 'and gets its own when it asks again' 20 0
check 'which it did' jq -e '.tries > 1' "$ENV_TMP/starts"
removed() { [ "$(podcred pods --json | jq length)" = 1 ]; }
check 'those that are gone are not known any more' wait_for 20 removed

# ---- an SDK ----
pod_add sdk burstable
in_pod sdk env -i PATH="$PATH" AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds AWS_EC2_METADATA_DISABLED=true \
  $PYTHON "$ENV_ROOT/tests/clients/credentials.py" >"$ENV_TMP/boto" 2>&1 &
boto=$!
check 'botocore asks, and is told to ask again' wait_for 30 grep -q "reason=pod_not_resolved .*pod_cgroup=$(stat -c %i "${POD_CGROUP[sdk]}") " "$ENV_TMP/serve.log"
api_pod sdk
wait $boto
same 'it does: exit status' 0 $?
same 'and has the credentials' 'accessKeyId=AKIASDK method=container-role' "$(cat "$ENV_TMP/boto")"
tap_done
