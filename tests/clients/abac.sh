#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One policy for all namespaces: what pods may do with their credentials follows from the session tags, the external id and the session
# policy that podcred has sent to STS. The policies are those of docs/configuration.md.
#
# moto is STS and S3: it gives out the credentials, checks signatures and keeps the objects. It does not evaluate session
# tags (AssumeRole drops them), session policies (kept, not looked at), nor conditions of trust across accounts. So moto's roles may do
# everything, and policies/aws.mjs before it has iam-simulate decide, by another author, from what AssumeRole was really sent.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/fetch.sh
. "$(dirname "$0")/../lib/fetch.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

PYTHON=$ENV_BUILD/clients/python/bin
MOTO=http://$NODE_V4:5000
FETCH_STS=http://$NODE_V4:5001
HERE=123456789012 # moto's account
THERE=222233334444
PRINTED=("roleArn: arn:aws:iam::$HERE:role/printed" "targetRoleArn: arn:aws:iam::$THERE:role/printed")
CLUSTER=arn:aws:eks:eu-west-1:$HERE:cluster/demo
DOCS=$ENV_ROOT/docs/configuration.md

# ---- who may do what ----

# document N: the Nth policy of the section, with the accounts and names of this test
document() {
  sed -n '/^### One policy for all namespaces/,/^## /p' "$DOCS" |
    awk -v n="$1" '/^```json/ { at++; on = 1; next } /^```/ { on = 0 } on && at == n' |
    sed "s/111122223333/$HERE/g; s|role/podcred|user/podcred|; s|role/app|role/tenant|"
}
statement() { printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",%s}]}' "$1"; }

# printed ROLE-ARN: the trust policy that podcred says it needs, for shop/printed alone
printed() {
  { echo 'associations:' && entry shop printed "${PRINTED[@]}"; } >"$ENV_TMP/printed.yaml"
  "$PODCRED" trust-policy --config "$ENV_TMP/config.yaml" --associations "$ENV_TMP/printed.yaml" \
    --principal "arn:aws:iam::$HERE:user/podcred" "$1"
}

world() { # KEY-ID
  jq -n --argjson printed "$(printed "arn:aws:iam::$HERE:role/printed")" --argjson target "$(printed "arn:aws:iam::$THERE:role/printed")" \
    --arg key "$1" --arg here "$HERE" --arg there "$THERE" --argjson tags "$(document 1)" --argjson trust "$(document 2)" \
    --argjson partner "$(document 3)" --argjson assume "$(statement '"Action":["sts:AssumeRole","sts:TagSession"],"Resource":"*"')" \
    --argjson all "$(statement '"Action":"s3:*","Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]')" \
    --argjson plain "$(statement "\"Action\":\"sts:AssumeRole\",\"Principal\":{\"AWS\":\"arn:aws:iam::$HERE:user/podcred\"}")" '
    def role(account; name): "arn:aws:iam::\(account):role/\(name)";
    {callers: {($key): "arn:aws:iam::\($here):user/podcred"}, buckets: {shared: $here, partner: $there},
     principals: {"arn:aws:iam::\($here):user/podcred": {policy: $assume},
       (role($here; "tenant")): {policy: ($tags * {Statement: ($tags.Statement + $assume.Statement)}), trust: $trust},
       (role($here; "foreign")): {policy: $tags, trust: ($trust | .Statement[0].Condition.StringEquals[] = "arn:aws:eks:eu-west-1:\($here):cluster/other")},
       (role($here; "wide")): {policy: $all, trust: $plain},
       (role($here; "printed")): {policy: $assume, trust: $printed},
       (role($there; "printed")): {policy: ($tags | (.. | strings) |= sub("s3:::shared"; "s3:::partner")), trust: $target},
       (role($there; "partner")): {policy: ($tags | (.. | strings) |= sub("s3:::shared"; "s3:::partner")), trust: $partner}}}'
}

# As the administrator of an account, whom moto takes at his word until it is told to look: admin KEY-ID SECRET TOKEN WORD...
admin() {
  in_node env AWS_ACCESS_KEY_ID="$1" AWS_SECRET_ACCESS_KEY="$2" AWS_SESSION_TOKEN="$3" AWS_DEFAULT_REGION=eu-west-1 HOME="$ENV_TMP" \
    "$PYTHON/python" "$ENV_ROOT/tests/clients/policies/admin.py" "$MOTO" "${@:4}" >"$ENV_TMP/admin.out" 2>&1 ||
    env_fail "admin.py ${*:4}: $(cat "$ENV_TMP/admin.out")"
}

aws_up() {
  background "$ENV_TMP/moto.log" 'Running on' nsenter --net="/run/netns/$NODE_NETNS" "$PYTHON/moto_server" -H "$NODE_V4" -p 5000
  admin admin admin '' user podcred bucket shared role tenant role foreign role wide role printed session "arn:aws:iam::$THERE:role/admin"
  world "$(jq -r .key.AccessKeyId "$ENV_TMP/admin.out")" >"$ENV_TMP/world.json" || env_fail 'no policies'
  jq -r '.key | "AWS_ACCESS_KEY_ID=\(.AccessKeyId)\nAWS_SECRET_ACCESS_KEY=\(.SecretAccessKey)"' "$ENV_TMP/admin.out" >"$ENV_TMP/user.env"
  mapfile -t there < <(jq -r '.session | .AccessKeyId, .SecretAccessKey, .SessionToken' "$ENV_TMP/admin.out")
  admin "${there[@]}" bucket partner role partner role printed
  in_node curl -sf -H 'Content-Type: text/plain' -d 0 -o "$ENV_TMP/moto.page" "$MOTO/moto-api/reset-auth" ||
    env_fail 'moto does not check signatures'
  background "$ENV_TMP/decisions" '^ready' nsenter --net="/run/netns/$NODE_NETNS" \
    node "$ENV_BUILD/clients/policies/aws.mjs" "$NODE_V4" 5001 "$MOTO" "$ENV_TMP/world.json"
}

# ---- the pods ----

pod() { # NAME NAMESPACE ACCOUNT
  pod_add "$1" burstable
  POD_NAMESPACE[$1]=$2 POD_ACCOUNT[$1]=$3
}
entry() { # NAMESPACE ACCOUNT LINE...
  printf '  - namespace: %s\n    serviceAccount: %s\n' "$1" "$2"
  printf '    %s\n' "${@:3}"
}
associations() {
  local tenant="roleArn: arn:aws:iam::$HERE:role/tenant" wide="roleArn: arn:aws:iam::$HERE:role/wide" namespace
  echo 'associations:'
  for namespace in shop bank; do
    entry $namespace web "$tenant"
    entry $namespace partner "$tenant" "targetRoleArn: arn:aws:iam::$THERE:role/partner"
    entry $namespace printed "${PRINTED[@]}"
  done
  entry shop untagged "$tenant" 'disableSessionTags: true'
  entry shop foreign "roleArn: arn:aws:iam::$HERE:role/foreign"
  entry shop wide "$wide" 'disableSessionTags: true'
  entry shop narrow "$wide" 'disableSessionTags: true' \
    "policy: '$(statement '"Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/shop/*"')'"
}

# does POD WORD...: what comes of it, by objects.py
does() {
  wait_for 30 told "$1"
  in_pod "$1" env HOME="$ENV_TMP" AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials \
    "$PYTHON/python" "$ENV_ROOT/tests/clients/policies/objects.py" "$FETCH_STS" "${@:2}" 2>&1
}
# The agent says yes or no, and not that it does not know yet.
told() { [ "$(in_pod "$1" curl -s --max-time 10 -o "$ENV_TMP/told" -w '%{http_code}' http://169.254.170.2/v1/credentials)" -lt 500 ]; }
refused() { # POD
  wait_for 30 told "$1"
  jq -r '.code // "credentials"' "$ENV_TMP/told"
}
# issued SESSION FILTER: of the AssumeRole that has given it
issued() { grep '^{"issued"' "$ENV_TMP/decisions" | jq -rs --arg session "$1" "map(select(.session | endswith(\$session))) | last | $2"; }
lines() { printf '%s\n' "$@"; }

env_up systemd
pod web-shop shop web
pod web-bank bank web
pod partner-shop shop partner
pod partner-bank bank partner
pod printed-shop shop printed
pod printed-bank bank printed
for account in untagged foreign wide narrow; do pod $account shop $account; done
fetch_config 'tokens: {verify: "off"}' "cluster: {name: demo, arn: \"$CLUSTER\"}"
associations >"$ENV_TMP/associations.yaml"
aws_up
fetch_run "$ENV_TMP/user.env"

# ---- one role, one policy, two namespaces ----
same 'a pod of namespace shop has its own part of the bucket, and no other' \
  "$(lines 'put:shared/shop/note done' 'get:shared/shop/note from a pod' 'list:shared/shop/ shop/note' 'put:shared/bank/note AccessDenied' \
    'put:shared/shop-2/note AccessDenied' 'list:shared/bank/ AccessDenied' 'list:shared/ AccessDenied' 'delete:shared/shop/note AccessDenied')" \
  "$(does web-shop put:shared/shop/note get:shared/shop/note list:shared/shop/ put:shared/bank/note put:shared/shop-2/note \
    list:shared/bank/ list:shared/ delete:shared/shop/note)"
same 'one of bank, by the same role and policy, has that of bank' \
  "$(lines 'put:shared/bank/note done' 'list:shared/bank/ bank/note' 'get:shared/shop/note AccessDenied' 'list:shared/shop/ AccessDenied')" \
  "$(does web-bank put:shared/bank/note list:shared/bank/ get:shared/shop/note list:shared/shop/)"
same 'it is the tags that differ' 'shop web web-shop|bank web web-bank' "$(for pod in shop.web.web-shop bank.web.web-bank; do
  issued "role/tenant/$pod" '.tags | [."kubernetes-namespace", ."kubernetes-service-account", ."kubernetes-pod-name"] | join(" ")'
done | paste -sd '|')"
same 'without tags the trust policy gives no session' AccessDenied "$(refused untagged)"
same 'nor does one that names another cluster' AccessDenied "$(refused foreign)"

# ---- a role of another account ----
same 'the target role of another account, which has the tags of the first' \
  "$(lines 'put:partner/shop/note done' 'get:partner/shop/note from a pod' 'put:partner/bank/note AccessDenied' 'get:shared/shop/note AccessDenied')" \
  "$(does partner-shop put:partner/shop/note get:partner/shop/note put:partner/bank/note get:shared/shop/note)"
same 'by its external id' "eu-west-1/$HERE/demo/shop/partner" "$(issued role/partner/shop.partner.partner-shop .externalId)"
same 'the same account in another namespace has another one, which its trust policy refuses' AccessDenied "$(refused partner-bank)"

# ---- podcred trust-policy ----
same 'trust policies that podcred prints, of both roles' "$(lines 'put:partner/shop/printed done' 'get:shared/shop/note AccessDenied')" \
  "$(does printed-shop put:partner/shop/printed get:shared/shop/note)"
same 'are for nobody else' AccessDenied "$(refused printed-bank)"

# ---- a session policy ----
same 'a role that may do everything' "$(lines 'put:shared/shop/wide done' 'get:shared/bank/note from a pod')" \
  "$(does wide put:shared/shop/wide get:shared/bank/note)"
same 'may read one part only by a session policy' \
  "$(lines 'get:shared/shop/wide from a pod' 'put:shared/shop/wide AccessDenied' 'get:shared/bank/note AccessDenied')" \
  "$(does narrow get:shared/shop/wide put:shared/shop/wide get:shared/bank/note)"

same 'nothing has failed on the way' '' "$(grep -m 1 '^{"failed"' "$ENV_TMP/decisions")"
tap_done
