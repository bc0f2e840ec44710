#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An AWS that others wrote (moto: STS, IAM and S3, which check signatures and policies): podcred assumes a role there, a pod
# gets the credentials and uses them, and what the role may not do, or is signed wrongly, is refused.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/fetch.sh
. "$(dirname "$0")/../lib/fetch.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

PYTHON=$ENV_BUILD/clients/python/bin
MOTO=http://$NODE_V4:5000
FETCH_ROLE=arn:aws:iam::123456789012:role/ # moto's account
FETCH_STS=$MOTO

# As the administrator, whom moto takes at his word until it is told to look.
admin() {
  in_node env AWS_ACCESS_KEY_ID=admin AWS_SECRET_ACCESS_KEY=admin AWS_DEFAULT_REGION=eu-west-1 HOME="$ENV_TMP" \
    "$PYTHON/aws" --endpoint-url "$MOTO" "$@" >"$ENV_TMP/admin.out" 2>&1 || env_fail "aws $*: $(cat "$ENV_TMP/admin.out")"
}
allow() { printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%s],%s}]}' "$1" "$2"; }

moto_up() {
  nsenter --net="/run/netns/$NODE_NETNS" "$PYTHON/moto_server" -H "$NODE_V4" -p 5000 >"$ENV_TMP/moto.log" 2>&1 &
  wait_for 30 in_node curl -sf -o "$ENV_TMP/moto.page" "$MOTO/moto-api/" || env_fail "moto: $(cat "$ENV_TMP/moto.log")"
  admin iam create-user --user-name podcred
  admin iam put-user-policy --user-name podcred --policy-name assume \
    --policy-document "$(allow '"sts:AssumeRole","sts:TagSession"' '"Resource":"*"')"
  admin iam create-role --role-name reader \
    --assume-role-policy-document "$(allow '"sts:AssumeRole","sts:TagSession"' '"Principal":{"AWS":"*"}')"
  admin iam put-role-policy --role-name reader --policy-name notes \
    --policy-document "$(allow '"s3:GetObject","s3:PutObject"' '"Resource":"arn:aws:s3:::shop/*"')"
  admin s3api create-bucket --bucket shop --create-bucket-configuration LocationConstraint=eu-west-1
  admin iam create-access-key --user-name podcred
  jq -r '.AccessKey | "AWS_ACCESS_KEY_ID=\(.AccessKeyId)\nAWS_SECRET_ACCESS_KEY=\(.SecretAccessKey)"' "$ENV_TMP/admin.out" >"$ENV_TMP/user.env"
  in_node curl -sf -H 'Content-Type: text/plain' -d 0 -o "$ENV_TMP/moto.page" "$MOTO/moto-api/reset-auth" ||
    env_fail 'moto does not check signatures'
}

env_up systemd
pod_add reader burstable
moto_up
fetch_config 'tokens: {verify: "off"}'
fetch_associations >"$ENV_TMP/associations.yaml"
fetch_run "$ENV_TMP/user.env"
in_pod reader env HOME="$ENV_TMP" "$PYTHON/python" "$ENV_ROOT/tests/clients/s3.py" "$MOTO" shop >"$ENV_TMP/s3" 2>&1
does() { same "$1" "$2 $3" "$(grep "^$2 " "$ENV_TMP/s3" || cat "$ENV_TMP/s3" "$ENV_TMP/run.log")"; }
does "the pod's credentials write an object" put 'done'
does 'and read it' get 'from the pod'
does 'what the role may not do is refused' delete AccessDenied
does 'a signature with another secret is refused' secret SignatureDoesNotMatch
does 'so is another session token' token InvalidToken
does 'and none' no-token InvalidAccessKeyId
tap_done
