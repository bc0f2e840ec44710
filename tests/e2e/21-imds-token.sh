#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A session token of IMDS is of use to the pod that asked for it, and to no other: not to a neighbour, nor to
# the pod that is created in its place under the same name, with its address.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

IMDS=http://169.254.169.254/latest
CREDENTIALS=meta-data/iam/security-credentials

token_of() { in_pod "$1" curl -sf --max-time 20 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$IMDS/api/token"; }
# with_token POD TOKEN: the status of the answer, and the key in it.
with_token() {
  in_pod "$1" curl -s --max-time 20 -w '\n%{http_code}\n' -H "X-aws-ec2-metadata-token: $2" \
    "$IMDS/$CREDENTIALS/$1-role" >"$ENV_TMP/answer"
  echo "$(tail -n 1 "$ENV_TMP/answer") $(sed '$d' "$ENV_TMP/answer" | jq -r '.AccessKeyId // "no key"' 2>/dev/null || echo 'no key')"
}
refusals_of() { grep -c "reason=imds_token_invalid .*pod=$1 " "$ENV_TMP/serve.log"; }
is_named() { podcred pods --json | jq -e ".[] | select(.uid == \"${POD_UID[$1]}\") | .name == \"$1\""; }

# The same name and address, another pod: as of a StatefulSet.
recreate() {
  local ip=${POD_IP[$1]}
  in_netns "${POD_NETNS[$1]}" ip link del eth0
  rmdir "${POD_CGROUP[$1]}/container" "${POD_CGROUP[$1]}"
  pod_add "$1" "${POD_CLASS[$1]}"
  in_netns "${POD_NETNS[$1]}" ip addr del "${POD_IP[$1]}/16" dev eth0
  in_netns "${POD_NETNS[$1]}" ip addr add "$ip/16" dev eth0
  in_netns "${POD_NETNS[$1]}" ip route add default via "$NODE_V4"
  POD_IP[$1]=$ip
  env_podlist "$ENV_TMP/pods.json"
}

env_up
pod_add web burstable
pod_add db burstable
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve

WEB=$(token_of web)
DB=$(token_of db)
check 'both pods have a token' test -n "$WEB" -a -n "$DB"
same "a pod's own token gives it its credentials" '200 AKIAWEB' "$(with_token web "$WEB")"
same "another pod's token gives it nothing" '401 no key' "$(with_token db "$WEB")"
same 'the other way round neither' '401 no key' "$(with_token web "$DB")"
same 'each refusal is logged, with its reason and who asked' '1 1' "$(refusals_of db) $(refusals_of web)"
same 'that somebody else tried does not end a token' '200 AKIAWEB' "$(with_token web "$WEB")"
same 'its neighbour has its own' '200 AKIADB' "$(with_token db "$DB")"

OLD=${POD_UID[web]}
recreate web
check 'a pod of the same name is another pod' test "$OLD" != "${POD_UID[web]}"
check 'the resolver knows it' wait_for 10 is_named web
same 'the token of the pod before it gives it nothing' '401 no key' "$(with_token web "$WEB")"
same 'it gets one of its own' '200 AKIAWEB' "$(with_token web "$(token_of web)")"
check_not 'no token is in the log' grep -qF -e "$WEB" -e "$DB" "$ENV_TMP/serve.log"
tap_done
