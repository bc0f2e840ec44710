#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The whole way with the source broker: a pod's request is redirected to serve, which asks fetch, which asks the broker, which
# asks STS. The node has no cloud rights.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch_pods.sh
. "$(dirname "$0")/../lib/fetch_pods.sh"
# shellcheck source=tests/lib/kubeapi.sh
. "$(dirname "$0")/../lib/kubeapi.sh"
# shellcheck source=tests/lib/broker.sh
. "$(dirname "$0")/../lib/broker.sh"

ROLE=arn:aws:iam::111122223333:role
POD_IDENTITY=http://169.254.170.23/v1/credentials

config() { # [LINE...]: more of the section credentials
  cat <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  source: broker
  cluster: {name: demo}
  broker: {url: "$BROKER_URL", caBundle: "$ENV_TMP/certs/ca.pem", tokenFile: "$ENV_TMP/token"}
YAML
  [ $# -eq 0 ] || printf '  %s\n' "$@"
}

# both NAME [ACCOUNT]: a real pod here, which the API knows as well
both() {
  pod_new "$@"
  POD_UIDS[$1]=${POD_UID[$1]}
  pod_on n1 "$@"
}
own_token() { token_of agent podcred podcred-broker >"$ENV_TMP/token.new" && chmod 644 "$ENV_TMP/token.new" && mv "$ENV_TMP/token.new" "$ENV_TMP/token"; }
key_with() { in_pod "$1" curl -s --max-time 10 -H "Authorization: $2" "$POD_IDENTITY" | jq -r '.AccessKeyId // .code'; } # POD TOKEN
role_of() { aws_calls "map(select(.issued == \"$1\")) | last | .roleArn"; }

env_up systemd
env_load >/dev/null || env_fail 'load failed'
env_resolve
broker_world
node_new n2
pod_on n1 agent AGENT
pod_on n2 agent2 AGENT
role_policy shop '{"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}'
object web "$ROLE/web"
broker_up
own_token
config >"$ENV_TMP/config.yaml"
printf 'associations:\n  - {namespace: shop, serviceAccount: static, role: s, static: {accessKeyId: AKIASTATIC0000000000, secretAccessKey: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, sessionToken: x}}\n' \
  >"$ENV_TMP/associations.yaml"
chmod 644 "$ENV_TMP/config.yaml" "$ENV_TMP/associations.yaml"
serve_start
fetch_start --kubeconfig "$KUBE/kubeconfig" --node n1

both web
k=$(key web)
same 'a pod, at an address that asks for no token' "$ROLE/web" "$(role_of "$k")"
same 'the session has the names that the cluster knows' shop.web.web "$(aws_calls 'last | .sessionName')"
both web2 web
token=$(token_of web2 shop pods.eks.amazonaws.com)
k2=$(key_with web2 "$token")
same 'one that sends its token' "$ROLE/web" "$(role_of "$k2")"
same 'the broker has seen both' 'web web2' "$(brokered 'map(select(.result == "granted") | .pod) | unique | join(" ")')"
same 'for which the node needs no rights' 0 "$(grep -c '"source":"sts"' "$ENV_TMP/fetch.log")"
both none
same 'nothing is associated' 404/NoCredentialsAssociated "$(status none)/$(key none)"
object none "$ROLE/none"
check 'and then something is' wait_for 15 key_is_not NoCredentialsAssociated none
both greedy
object greedy arn:aws:iam::999999999999:role/admin
check 'a role that the namespace may not have' wait_for 15 answers 403/RoleNotAllowed greedy
both static
same 'the associations file comes first' AKIASTATIC0000000000 "$(key static)"
api '{"delete": ["podidentityassociations", "shop", "web"]}'
pod_new elsewhere
POD_UIDS[elsewhere]=${POD_UID[elsewhere]}
object elsewhere "$ROLE/elsewhere"
pod_on n2 elsewhere
same 'a pod that runs on another node, as the cluster says' 403/AccessDenied "$(status elsewhere)/$(key elsewhere)"
same 'which the broker has logged' 'other_node n1' "$(brokered 'map(select(.pod_uid == "'"${POD_UID[elsewhere]}"'")) | last | [.result, .node] | join(" ")')"

# ---- without the broker, or without a token for it ----
kill -STOP "$BROKER_PID"
check 'what was given stays while it lives' key_is "$k2" web2
both late web
same 'somebody new has to ask again' 503 "$(status late)"
kill -CONT "$BROKER_PID"
object web "$ROLE/web"
check 'and gets it when the broker is back' wait_for 20 status_is 200 late
rm "$ENV_TMP/token"
both other web
check 'without the own token nobody is asked' wait_for 10 status_is 503 other
check 'and the log says which file is missing' grep -q "podcred's own token for the broker, $ENV_TMP/token" "$ENV_TMP/fetch.log"
own_token
check 'which is read anew for each question' wait_for 40 status_is 200 other

# ---- another authority, as when its Secret was deleted ----
broker_stop
cp "$ENV_TMP/certs/ok2.pem" "$ENV_TMP/certs/ok.pem" && cp "$ENV_TMP/certs/ok2.key" "$ENV_TMP/certs/ok.key"
broker_up
both distrustful web
same 'a broker that is not trusted is told nothing' 503 "$(status distrustful)"
cp "$ENV_TMP/certs/ca2.pem" "$ENV_TMP/certs/ca.pem"
check 'the file that says whom to trust is read anew' wait_for 40 status_is 200 distrustful

# ---- a node that follows the objects itself: their end is the end of what came of them ----
fetch_stop
config 'objects: true' >"$ENV_TMP/config.yaml"
fetch_start --kubeconfig "$KUBE/kubeconfig" --node n1
object live "$ROLE/live"
both live
check 'by an object that the node follows, too' wait_for 15 status_is 200 live
kill -STOP "$BROKER_PID"
api '{"delete": ["podidentityassociations", "shop", "live"]}'
check 'an object that is deleted ends what it gave, and the broker need not be asked' wait_for 15 answers 404/NoCredentialsAssociated live
kill -CONT "$BROKER_PID"
object live "$ROLE/next"
role_is() { [ "$(role_of "$(key "$2")")" = "$1" ]; }
check 'one that is made gives at once' wait_for 15 role_is "$ROLE/next" live
object live "$ROLE/last"
check 'and one that changes, what it says now' wait_for 15 role_is "$ROLE/last" live
both nobody
same 'nothing is associated' 404/NoCredentialsAssociated "$(status nobody)/$(key nobody)"
same 'which the broker was not asked' 0 "$(brokered 'map(select(.pod == "nobody")) | length')"
check_not 'no secret is in a log' grep -qF -e "$token" -e "$(cat "$ENV_TMP/token")" -e "$(ask web | head -n 1 | jq -r .SecretAccessKey)" \
  "$ENV_TMP"/{serve,fetch,broker}.log
tap_done
