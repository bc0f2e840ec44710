#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The agent of EKS with podcred broker in place of EKS: its own token gives it keys, and it signs with them.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"
# shellcheck source=tests/lib/broker.sh
. "$(dirname "$0")/../lib/broker.sh"

ROLE=arn:aws:iam::111122223333:role

ANYWHERE=arn:aws:rolesanywhere:eu-west-1:111122223333 ID=01234567-89ab-cdef-0123-456789abcdef

stock() { in_node /usr/bin/python3 "$ENV_ROOT/tests/lib/stock_agent.py" "$BROKER_URL" "$BROKER_CA" demo eu-west-1 "$@" 2>&1; } # OWN POD [FAULT]
result() { stock "$@" | jq -r 'if .error then "\(.status)/\(.error)/\(.reason // "")" else .assumedRoleUser.arn | split("/")[1] end'; }
is() { [ "$(result "${@:2}")" = "$1" ]; }

env_up systemd
broker_world
node_new n2
pod_on n1 agent1 AGENT
pod_on n1 web
pod_on n2 till
role_policy shop '{"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}'
object web "$ROLE/web"
object till "$ROLE/till"
printf '# sealing keys\n2 %s\n1 %s\n' "$(head -c 32 /dev/urandom | base64)" "$(head -c 32 /dev/urandom | base64)" >"$ENV_TMP/sealing"
chmod 644 "$ENV_TMP/sealing"
broker_up --sealing-keys "$ENV_TMP/sealing"
a1=$(token_of agent1 podcred podcred-broker)
web=$(token_of web shop pods.eks.amazonaws.com)
till=$(token_of till shop pods.eks.amazonaws.com)

check 'credentials for the token of a pod' wait_for 10 is web "$a1" "$web"
stock "$a1" "$web" >"$ENV_TMP/answer"
same 'all members that EKS answers with' 'assumedRoleUser audience credentials podIdentityAssociation subject' \
  "$(jq -r 'keys | join(" ")' "$ENV_TMP/answer")"
same 'the caller is the pod of its token' 'granted agent1 n1' \
  "$(brokered 'map(select(.pod == "web")) | last | [.result, .caller_pod, .node] | join(" ")')"
same "another node's pod" 403/AccessDeniedException/other_node "$(result "$a1" "$till")"
same 'the same request again, within a minute: the same credentials' web "$(result "$a1" "$web" replay)"
same 'signed an hour ago' 403/InvalidSignatureException/clock "$(result "$a1" "$web" skew)"
same 'a body that was changed' 403/InvalidSignatureException/bad_signature "$(result "$a1" "$web" body)"
same 'for another region' 403/InvalidSignatureException/bad_signature "$(result "$a1" "$web" region)"
same 'with the id of other keys' 403/UnrecognizedClientException/caller_refused "$(result "$a1" "$web" key)"
same "no keys for a pod's token" '403/InvalidIdentityToken/' "$(result "$web" "$web")"
same "nor for a pod's token for the broker" '403/AccessDenied/' "$(result "$(token_of web shop podcred-broker)" "$web")"
check_not 'no secret is in the log' grep -qF -e "$(jq -r .credentials.secretAccessKey "$ENV_TMP/answer")" -e "$a1" "$ENV_TMP/broker.log"

# what was sealed with a key that is gone opens nothing; and there are no keys of AWS, but a certificate
broker_stop
sed -i 2d "$ENV_TMP/sealing"
aws_do "{\"anchor\": {\"file\": \"$BROKER_CA\"}}" >/dev/null
broker_config | sed "s|nodeCredentials: .*|nodeCredentials: [rolesAnywhere: {certificate: $ENV_TMP/certs/client.pem, key: $ENV_TMP/certs/client.key,\
    trustAnchorArn: '$ANYWHERE:trust-anchor/$ID', profileArn: '$ANYWHERE:profile/$ID', roleArn: '$ROLE/broker'}]|
  s|endpoints: {|&rolesAnywhere: \"$ROLES_ANYWHERE_URL\", |" >"$ENV_TMP/broker.yaml"
broker_up --sealing-keys "$ENV_TMP/sealing"
aws_since
check 'with the other key alone' wait_for 10 is web "$a1" "$web"
same 'as whom IAM Roles Anywhere lets it be' "CreateSession AssumeRole arn:aws:sts::111122223333:assumed-role/broker" \
  "$(aws_calls '"\(map(.action) | join(" ")) \(last | .caller | sub("/[0-9]*$"; ""))"')"
api '{"delete": ["pods", "podcred", "agent1"]}'
check 'keys end with the pod of the agent' wait_for 10 is '403/InvalidIdentityToken/' "$a1" "$web"
tap_done
