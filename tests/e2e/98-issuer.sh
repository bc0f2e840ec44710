#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred broker as an OIDC issuer: it has no credentials of AWS. STS (the stand-in, by Python's cryptography) verifies its tokens by
# what "podcred issuer" has published.
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

ACCOUNT=111122223333
ROLE=arn:aws:iam::$ACCOUNT:role
URL=https://oidc.example.com/demo
SIX='eks-cluster-arn eks-cluster-name kubernetes-namespace kubernetes-pod-name kubernetes-pod-uid kubernetes-service-account'

new_key() { openssl genpkey -quiet -out "$ENV_TMP/$1.pem" "${@:2}"; }
# use_keys NAME...: the file has these, the first one signs
use_keys() {
  local name files=()
  for name in "$@"; do files+=("$ENV_TMP/$name.pem"); done
  cat "${files[@]}" >"$KEYS.new" && chown "$BROKER_UID" "$KEYS.new" && chmod 400 "$KEYS.new" && mv "$KEYS.new" "$KEYS"
}
publish() { "$PODCRED" issuer --config "$ENV_TMP/broker.yaml" --output "$PUBLIC" >"$ENV_TMP/published" 2>&1; }
kids() { jq -r '[.keys[].kid] | join(" ")' "$1"; }
fetched() { in_node curl -sSf --max-time 10 --cacert "$BROKER_CA" "$BROKER_URL/$1"; }
signs() { fetched keys.json >"$ENV_TMP/fetched" && [ "$(kids "$ENV_TMP/fetched")" = "$1" ]; }
# for_pod NAME: STATUS/ROLE, or STATUS/REASON of a refusal
for_pod() {
  in_node curl -sS --max-time 20 --cacert "$BROKER_CA" -o "$ENV_TMP/answer" -w '%{http_code}/' -H "Authorization: Bearer $agent" \
    -d "{\"podUid\": \"${POD_UIDS[$1]}\"}" "$BROKER_URL/clusters/demo/assume-role-for-pod"
  jq -r '.reason // (.assumedRoleUser.arn | split("/")[1])' "$ENV_TMP/answer"
}
gets() { [ "$(for_pod "$1")" = "$2" ]; }
# tokens: those of the issuer that STS has seen, one a line
tokens() { aws_do '{"secrets": []}' | jq -r '.. | strings' | grep -E '^eyJ[^.]*\.[^.]*\.[^.]*$' | while read -r token; do
  [ "$(claims "$token" | jq -r .iss)" != "$URL" ] || echo "$token"
done; }
claims() { cut -d. -f2 <<<"$1" | tr '_-' '/+' | sed 's/$/==/' | base64 -d 2>/dev/null; }
# trade TOKEN ROLE: what STS says to somebody who has a token
trade() {
  in_node curl -sS --max-time 10 -H 'Accept: application/json' --data-urlencode "WebIdentityToken=$1" -d Action=AssumeRoleWithWebIdentity \
    -d Version=2011-06-15 -d RoleSessionName=thief --data-urlencode "RoleArn=$2" "$STS_URL/" |
    jq -r '.Error.Code // .AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult.Provider'
}
# trusts ROLE ACCOUNT ACTION...
trusts() {
  aws_do "$(jq -n --arg arn "$ROLE/$1" --arg url "$URL" --arg sub "system:serviceaccount:shop:$2" '{role: {arn: $arn, max_session: 43200,
    trust: [{oidc: $url, sub: $sub, aud: "sts.amazonaws.com", actions: $ARGS.positional}]}}' --args "${@:3}")" >/dev/null
}
BOTH=(sts:AssumeRoleWithWebIdentity sts:TagSession)
changed() { [ "$(grep -c 'other keys are in force' "$ENV_TMP/broker.log")" = "$1" ]; }
associated() { # ACCOUNT SPEC
  api "$(jq -n --arg name "$1" --argjson spec "$2" '{put: {kind: "PodIdentityAssociation", apiVersion: "podcred.io/v1alpha1",
    metadata: {name: $name, namespace: "shop"}, spec: $spec}}')"
}
# in_memory NAME: in how many spellings the broker's memory has that private key: as numbers, in either order of bytes, and in the PEM
in_memory() {
  /usr/bin/python3 - "$ENV_ROOT/tests/lib/secrets.py" "$BROKER_PID" "$ENV_TMP/$1.pem" <<'PY'
import importlib.util, sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
spec = importlib.util.spec_from_file_location("lookup", sys.argv[1])
lookup = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lookup)
pem = open(sys.argv[3], "rb").read()
own = load_pem_private_key(pem, None).private_numbers()
numbers = [own.private_value] if hasattr(own, "private_value") else [own.d, own.p, own.q]
spelled = {n.to_bytes((n.bit_length() + 7) // 8, order) for n in numbers for order in ("big", "little")} | {pem.splitlines()[1][8:]}
print(len({text for piece, _ in lookup.memory(sys.argv[2]) for text in spelled if text in piece}))
PY
}
# assumable ACCOUNT: what the control plane is told
assumable() {
  api '{"put": {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "podcred-control", "namespace": "podcred"}},
    "pod": {"name": "control", "namespace": "podcred", "node": "n1", "account": "podcred-control", "uid": "'"$(cat /proc/sys/kernel/random/uuid)"'"}}'
  in_node curl -sS --max-time 20 --cacert "$BROKER_CA" -H "Authorization: Bearer $(token_of control podcred podcred-broker)" \
    -d "{\"namespace\": \"shop\", \"serviceAccount\": \"$1\"}" "$BROKER_URL/clusters/demo/assumable" | jq -r .assumable
}
forgotten() { [ "$(in_memory "$1")" = 0 ]; }
last() { aws_calls 'map(select(.action == "AssumeRoleWithWebIdentity")) | last | '"$1"; }

env_up systemd
KEYS=$ENV_TMP/keys.pem
PUBLIC=$ENV_TMP/public
broker_world
pod_on n1 agent AGENT
for pod in web bare untagged chained rotated third; do pod_on n1 $pod; done
role_policy shop '{"namespaces": ["shop"], "roleArns": ["arn:aws:iam::*:role/*"], "targetRoleArns": ["arn:aws:iam::*:role/*"]}'
new_key first -algorithm EC -pkeyopt ec_paramgen_curve:P-256
new_key second -algorithm RSA -pkeyopt rsa_keygen_bits:2048
new_key third -algorithm EC -pkeyopt ec_paramgen_curve:P-256
use_keys first
broker_config "issuer: {url: $URL, keys: $KEYS}" | sed 's/source: sts/source: issuer/; /nodeCredentials/d' >"$ENV_TMP/broker.yaml"

# ---- what is published ----
check 'the documents are written' publish
same 'which names the key that signs' "publish them below $URL; tokens are signed by $(kids "$PUBLIC/keys.json")" "$(tail -n 1 "$ENV_TMP/published")"
thumbprint() { # by another implementation: RFC 7638
  python3 - "$1" <<'PY'
import base64, hashlib, json, sys
for key in json.load(open(sys.argv[1], encoding="ascii"))["keys"]:
    needed = {name: key[name] for name in {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}[key["kty"]]}
    text = json.dumps(needed, sort_keys=True, separators=(",", ":")).encode()
    print(base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("="))
PY
}
same 'by its thumbprint' "$(thumbprint "$PUBLIC/keys.json")" "$(kids "$PUBLIC/keys.json")"
check_not 'and nothing private' jq -e '[.keys[] | has("d")] | any' "$PUBLIC/keys.json"
aws_do "{\"issuer\": {\"url\": \"$URL\", \"documents\": \"$PUBLIC\", \"audiences\": [\"sts.amazonaws.com\"]}}" >/dev/null
BROKER_KEYLESS=1
broker_up
agent=$(token_of agent podcred podcred-broker)
for name in .well-known/openid-configuration keys.json; do
  same "the broker gives the same $name to anybody" "$(cat "$PUBLIC/$name")" "$(fetched $name)"
  same 'below the path of its URL as well' "$(cat "$PUBLIC/$name")" "$(fetched "demo/$name")"
done

# ---- a pod ----
trusts web web "${BOTH[@]}"
associated web "{\"roleArn\": \"$ROLE/web\", \"durationSeconds\": 43200, \"tags\": {\"team\": \"till\"}}"
check 'a pod gets the role of its association' wait_for 10 gets web 200/web
same 'STS has verified the token, and seen whose it is' system:serviceaccount:shop:web "$(last .subject)"
same 'the six tags and the own one are in it, transitive' "$SIX team" "$(last '.transitive | sort | join(" ")')"
same 'with what they say of the pod' "shop/web/${POD_UIDS[web]}" \
  "$(last '.tags | [."kubernetes-namespace", ."kubernetes-service-account", ."kubernetes-pod-uid"] | join("/")')"
same 'the session may be longer than an hour' true "$(jq ".credentials.expiration - $(date +%s) > 42000" "$ENV_TMP/answer")"
same 'nobody has signed a request to AWS' 0 "$(aws_calls 'map(select(.accessKeyId)) | length')"
same 'for which the broker has no keys' 0 "$(tr '\0' '\n' <"/proc/$BROKER_PID/environ" | grep -cE '^AWS_(ACCESS|SECRET|SESSION|PROFILE|ROLE|WEB)')"
token=$(tokens | tail -n 1)
same 'the token lives for five minutes' 330 "$(claims "$token" | jq '.exp - .iat')"
same 'STS takes it from whoever has it' "arn:aws:iam::$ACCOUNT:oidc-provider/oidc.example.com/demo" "$(trade "$token" "$ROLE/web")"
same 'for the roles that its service account may have' AccessDenied "$(trusts other other "${BOTH[@]}"; trade "$token" "$ROLE/other")"
aws_do '{"set": {"skew": 400}}' >/dev/null
same 'until it ends' ExpiredTokenException "$(trade "$token" "$ROLE/web")"
aws_do "{\"set\": {\"skew\": null}, \"issuer\": {\"url\": \"$URL\", \"documents\": \"$PUBLIC\", \"audiences\": [\"other\"]}}" >/dev/null
same 'and for no other audience' InvalidIdentityToken "$(trade "$token" "$ROLE/web")"
aws_do "{\"issuer\": {\"url\": \"$URL\", \"documents\": \"$PUBLIC\", \"audiences\": [\"sts.amazonaws.com\"]}}" >/dev/null

# ---- a role that does not let anybody bring tags ----
trusts bare bare sts:AssumeRoleWithWebIdentity
associated bare "{\"roleArn\": \"$ROLE/bare\"}"
check 'tags need sts:TagSession' wait_for 10 gets bare 403/denied
trusts untagged untagged sts:AssumeRoleWithWebIdentity
associated untagged "{\"roleArn\": \"$ROLE/untagged\", \"disableSessionTags\": true}"
check 'without tags it is not needed' wait_for 10 gets untagged 200/untagged

# ---- a target role ----
trusts first chained "${BOTH[@]}"
aws_do "{\"role\": {\"arn\": \"arn:aws:iam::444455556666:role/there\", \"trust\": [{\"aws\": [\"$ROLE/first\"]}]}}" >/dev/null
associated chained "{\"roleArn\": \"$ROLE/first\", \"targetRoleArn\": \"arn:aws:iam::444455556666:role/there\"}"
check 'a target role, with the credentials of the first one' wait_for 10 gets chained 200/there
same 'which is asked for without tags' '{}' "$(aws_calls -c 'map(select(.action == "AssumeRole")) | last | .tags')"
same 'and inherits them' "$SIX" \
  "$(aws_do "{\"credentials\": {\"who\": \"$(jq -r .credentials.accessKeyId "$ENV_TMP/answer")\"}}" | jq -r '.. | objects | select(.transitive) | .transitive | join(" ")')"

# ---- other keys ----
use_keys first second
kill -HUP "$BROKER_PID"
publish
check 'a second key is published first' wait_for 10 signs "$(kids "$PUBLIC/keys.json")"
same 'of which there are two' 2 "$(kids "$PUBLIC/keys.json" | wc -w)"
use_keys second first
kill -HUP "$BROKER_PID"
publish
check 'and signs then' wait_for 10 signs "$(kids "$PUBLIC/keys.json")"
trusts rotated rotated "${BOTH[@]}"
associated rotated "{\"roleArn\": \"$ROLE/rotated\"}"
check 'STS takes its tokens' wait_for 10 gets rotated 200/rotated
same 'which are of that key' RS256 "$(tokens | tail -n 1 | cut -d. -f1 | sed 's/$/==/' | base64 -d 2>/dev/null | jq -r .alg)"
same 'and those of the one before, as it is still there' "arn:aws:iam::$ACCOUNT:oidc-provider/oidc.example.com/demo" "$(trade "$token" "$ROLE/web")"
same 'both have their thumbprints as names' "$(thumbprint "$PUBLIC/keys.json" | paste -sd ' ')" "$(kids "$PUBLIC/keys.json")"
echo no key >"$KEYS"
kill -HUP "$BROKER_PID"
check 'a broken file changes nothing' wait_for 10 grep -q "$KEYS: there is no private key in it (PEM); the keys read before stay in force" "$ENV_TMP/broker.log"
same 'as one sees' "$(cat "$PUBLIC/keys.json")" "$(fetched keys.json)"
use_keys third
kill -HUP "$BROKER_PID"
check 'a key that is not published' wait_for 10 changed 3
trusts third third "${BOTH[@]}"
associated third "{\"roleArn\": \"$ROLE/third\"}"
check 'signs in vain' wait_for 10 gets third 503/upstream
same 'as STS says' InvalidIdentityToken "$(aws_calls 'map(select(.roleArn == "'"$ROLE/third"'")) | last | .error')"
publish
check 'until it is' wait_for 15 gets third 200/third
same 'then the old ones are worth nothing' InvalidIdentityToken "$(trade "$token" "$ROLE/web")"
check 'the key that signs is in memory, and found there' test "$(in_memory third)" -gt 0
for name in first second; do check "the $name key was wiped" wait_for 10 forgotten $name; done
same 'the control plane is told that the role can be had' True "$(assumable third)"
same 'or cannot' False "$(assumable bare)"
check_not 'no token is in the log' grep -qF -f <(tokens) "$ENV_TMP/broker.log"

# ---- nodes ----
# With what else they are given none of them could start.
for command in "fetch --socket $ENV_TMP/none" "serve --agent 10.0.0.1:7777 --associations $ENV_TMP/none" \
  "run --agent 10.0.0.1:7777 --associations $ENV_TMP/none --kubepods $ENV_TMP/none --pin-dir $ENV_TMP/none"; do
  # shellcheck disable=SC2086 # words
  in_node timeout -k 1 20 "$PODCRED" $command --config "$ENV_TMP/broker.yaml" >"$ENV_TMP/refused" 2>&1
  same "${command%% *} on a node refuses it: each would have the keys" '1 1 1' \
    "$? $(wc -l <"$ENV_TMP/refused") $(grep -c "the source issuer is podcred broker's" "$ENV_TMP/refused")"
done
sed 's/source: issuer/source: sts/; /issuer:/d' "$ENV_TMP/broker.yaml" >"$ENV_TMP/other.yaml"
check_not 'there is nothing to publish without an issuer' "$PODCRED" issuer --config "$ENV_TMP/other.yaml" --output "$ENV_TMP/nothing"
check_not 'and then nothing is written' test -e "$ENV_TMP/nothing"
same 'the trust policy that a role needs' \
  "arn:aws:iam::$ACCOUNT:oidc-provider/oidc.example.com/demo sts:AssumeRoleWithWebIdentity,sts:TagSession sts.amazonaws.com system:serviceaccount:shop:web" \
  "$("$PODCRED" trust-policy --config "$ENV_TMP/broker.yaml" --service-account shop/web "$ROLE/web" | jq -r '.Statement[0] |
    "\(.Principal.Federated) \(.Action | join(",")) \(.Condition.StringEquals | ."oidc.example.com/demo:aud" + " " + ."oidc.example.com/demo:sub")"')"
tap_done
