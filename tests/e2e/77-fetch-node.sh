#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The node's own credentials, with which podcred fetch asks STS: each place where they may be, in order; files that change.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch_pods.sh
. "$(dirname "$0")/../lib/fetch_pods.sh"

ACCOUNT=arn:aws:iam::111122223333

config() { # NODE-CREDENTIALS
  cat <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  region: eu-west-1
  endpoints: {sts: "$STS_URL", eksAuth: "$EKS_AUTH_URL", imds: "$IMDS_URL"}
  ${1:+nodeCredentials: $1}
YAML
}

keys_of() { aws_do "{\"credentials\": {\"who\": \"$1\"}}"; }
# ini WHO: as AWS's tools write it
ini() { keys_of "$1" | jq -r '"aws_access_key_id = \(.accessKeyId)\naws_secret_access_key = \(.secretAccessKey)" +
  if .sessionToken then "\naws_session_token = \(.sessionToken)" else "" end'; }
variables() { keys_of "$1" | jq -r '"AWS_ACCESS_KEY_ID=\(.accessKeyId)", "AWS_SECRET_ACCESS_KEY=\(.secretAccessKey)",
  if .sessionToken then "AWS_SESSION_TOKEN=\(.sessionToken)" else empty end'; }
file() { install -o "$FETCH_UID" -m 600 /dev/stdin "$1"; }

pods=0
pod_next() {
  pods=$((pods + 1))
  pod=p$pods
  pod_new $pod web
}
# asks_as WHAT CALLER: a pod gets credentials, for which CALLER has asked
asks_as() {
  pod_next
  same "$1: the pod gets credentials" 200 "$(status $pod)" || tail -n 3 "$ENV_TMP/fetch.log" | sed 's/^/# /'
  same "$1: $2 has asked" "$2" "$(assumed /app 'last | .caller | sub(".*:"; "") | sub("/[^/]*$"; "")')"
}
# with NODE-CREDENTIALS WORD...: fetch anew
with() {
  config "$1" >"$ENV_TMP/config.yaml"
  fetch_start "${@:2}"
}
says() { check "$1" grep -q "$2" "$ENV_TMP/fetch.log"; }

env_up systemd
env_load >/dev/null || env_fail 'load failed'
env_resolve
chmod 711 "$ENV_TMP"
aws_up
config '' >"$ENV_TMP/config.yaml"
printf 'associations:\n  - {namespace: shop, serviceAccount: web, roleArn: "%s:role/app"}\n' $ACCOUNT >"$ENV_TMP/associations.yaml"
chmod 644 "$ENV_TMP/config.yaml" "$ENV_TMP/associations.yaml"
serve_start
ROLE=assumed-role/node USER=$(keys_of user | jq -r '.arn | sub(".*:"; "") | sub("/[^/]*$"; "")')

with ''
asks_as 'without a word of configuration, IMDS' $ROLE
fetch_stop
mapfile -t words < <(variables user)
with '' "${words[@]}"
asks_as 'the environment goes before it' "$USER"
says 'which is in the log' "the node's own credentials: from the environment"
fetch_stop

{ echo '[default]'; ini user; } | file "$ENV_TMP/credentials"
with '' AWS_SHARED_CREDENTIALS_FILE="$ENV_TMP/credentials"
asks_as 'a shared file' "$USER"
{ echo '[default]'; ini node; } | file "$ENV_TMP/credentials"
pod_next
status $pod >/dev/null # this one still with the old ones, while the new ones are read
asks_as 'is read again when it has changed' $ROLE
fetch_stop

{ echo '[default]'; ini node; printf '[podcred]\ncredential_process = %s "one word"\n' "$ENV_TMP/process"; } | file "$ENV_TMP/credentials"
# shellcheck disable=SC2016 # expanded when it runs
printf '#!/bin/sh\n[ "$1" = "one word" ] && cat %s\n' "$ENV_TMP/printed" >"$ENV_TMP/process"
chmod 755 "$ENV_TMP/process"
keys_of user | jq '{Version: 1, AccessKeyId: .accessKeyId, SecretAccessKey: .secretAccessKey}' | file "$ENV_TMP/printed"
with "[{file: {path: $ENV_TMP/credentials, profile: podcred}}]"
asks_as 'the credential_process of a profile' "$USER"
fetch_stop
with "[{exec: {command: [$ENV_TMP/process, one word]}}, imds]"
asks_as 'a program of the configuration' "$USER"
fetch_stop

with '[environment, imds]' AWS_SHARED_CREDENTIALS_FILE="$ENV_TMP/credentials"
asks_as 'a place that is not in the list does not count' $ROLE
fetch_stop

aws_do '{"token": {"namespace": "podcred", "service_account": "podcred", "pod": "podcred", "uid": "u", "audience": "sts.amazonaws.com"}}' |
  jq -r '.. | strings' | file "$ENV_TMP/token"
with '' AWS_WEB_IDENTITY_TOKEN_FILE="$ENV_TMP/token" AWS_ROLE_ARN="$ACCOUNT:role/podcred"
asks_as 'a web identity of podcred itself' assumed-role/podcred
fetch_stop

# ---- none ----
chown root "$ENV_TMP/credentials"
with '[file, imds]' AWS_SHARED_CREDENTIALS_FILE="$ENV_TMP/credentials"
pod_next
check 'a file that may not be read is no reason to take others' wait_for 10 answers 503/ServiceUnavailable $pod
says 'the log says which' "cannot read $ENV_TMP/credentials .*Permission denied"
fetch_stop
with '[environment]'
pod_next
check 'none at all' wait_for 10 answers 503/ServiceUnavailable $pod
says 'the log says so' 'none of the places in nodeCredentials has any'
fetch_stop

aws_do '{"secrets": []}' | jq -r '.. | strings' >"$ENV_TMP/secrets"
check_not 'no secret is in a log' grep -qFf "$ENV_TMP/secrets" "$ENV_TMP"/{fetch,serve}.log
tap_done
