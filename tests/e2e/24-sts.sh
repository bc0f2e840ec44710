#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# STS at an address of podcred's own: real clients give it a token and the ARN of a role, as with IRSA, and get the credentials
# of their pod's association. Whoever shows another pod's token, or wants another role, gets what AWS would say.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/aws.sh
. "$(dirname "$0")/../lib/aws.sh"
# shellcheck source=tests/lib/fetch_pods.sh
. "$(dirname "$0")/../lib/fetch_pods.sh"

STS=http://169.254.170.83
STS6='http://[fd70:6f64:6372::83]'
ROLE=arn:aws:iam::111122223333:role/team
ISSUER=https://kubernetes.default.svc.cluster.local
CLIENTS=$ENV_BUILD/clients
PYTHON=/usr/bin/python3 # Debian's, which has boto3

config() {
  cat <<YAML
agent: ["$NODE_V4:$AGENT_PORT", "[$NODE_V6]:$AGENT_PORT"]
credentials:
  endpoints: {sts: "$STS_URL", eksAuth: "$EKS_AUTH_URL", imds: "$IMDS_URL"}
  tokens: {issuers: [$ISSUER]}
YAML
}

associations() {
  echo 'associations:'
  for name in web db; do
    printf '  - {namespace: shop, serviceAccount: %s, roleArn: "%s/%s"}\n' $name $ROLE $name
  done
  printf '  - {namespace: shop, serviceAccount: fixed, role: fixed, accountId: "111122223333", static: {accessKeyId: %s}}\n' \
    'AKIAFIXED, secretAccessKey: secret-of-fixed, sessionToken: token-of-fixed'
}

# tokens FILE: those of the cluster, and what somebody would like to be one, NAME=TOKEN, by the uids of the pods
tokens() {
  PYTHONPATH=$ENV_ROOT/tests/lib $PYTHON - "$ENV_TMP" "${POD_UID[web]}" "${POD_UID[db]}" "${POD_UID[fixed]}" "${POD_UID[stranger]}" >"$1" <<'PY'
import sys
import time
import tokens

folder, *uids = sys.argv[1:]
uids = dict(zip(("web", "db", "fixed", "stranger"), uids))


def say(name, pod="web", key="cluster", change=None, header=None):
    own = {"aud": ["sts.amazonaws.com"], "sub": f"system:serviceaccount:shop:{pod}",
           "kubernetes.io": {"pod": {"name": pod, "uid": uids[pod]}, "serviceaccount": {"name": pod}}}
    print(f"{name}={tokens.token(f'{folder}/{key}.pem', {**own, **(change or {})}, header)}")


for name in uids:
    say(name, name)
say("eks", change={"aud": ["pods.eks.amazonaws.com"]})
say("expired", change={"exp": int(time.time()) - 1})
say("audience", change={"aud": ["https://kubernetes.default.svc"]})
say("none", header={"alg": "none"})
say("hs256", header={"alg": "HS256"})
say("evil", key="evil")
print("word=word-that-is-none")
PY
}
token() { sed -n "s/^$1=//p" "$ENV_TMP/tokens"; }

# cli POD ARGUMENT...: Debian's aws, in its pod, as whoever configures nothing but what is in ENV
cli() {
  in_pod "$1" env "${ENV[@]}" HOME="$ENV_TMP" AWS_REGION=eu-west-1 AWS_MAX_ATTEMPTS=1 AWS_EC2_METADATA_DISABLED=true \
    /usr/bin/aws "${@:2}" --endpoint-url $STS 2>&1
}
ENV=()
assume() { # POD TOKEN
  cli "$1" sts assume-role-with-web-identity --role-arn "$ROLE/$1" --role-session-name me --web-identity-token "$2" --no-sign-request
}
# boto POD CASE...: boto3's answers, one a line: the session, or the code of the error. CASE: NAME-OF-TOKEN ROLE [PARAMETER=JSON]
boto() {
  in_pod "$1" env HOME="$ENV_TMP" AWS_DEFAULT_REGION=eu-west-1 $PYTHON "$ENV_TMP/boto.py" $STS "$ENV_TMP/tokens" "${@:2}" 2>&1
}
refusals() { grep -c "result=refused reason=$1 .*pod=${2:-web} .*destination=169.254.170.83:80" "$ENV_TMP/serve.log"; }
# What boto3 says of a case in pod web, and what the log says, each once.
CASES=() CODES=() REASONS=()
refused() { # CODE REASON CASE
  CODES+=("$1") REASONS+=("$2") CASES+=("$3")
}
session() { echo "arn:aws:sts::111122223333:assumed-role/$1/shop.$1.$1"; }
# web_identity POD TOKEN ROLE URL CMD...: as a webhook sets it
web_identity() {
  echo -n "$2" >"$ENV_TMP/token-$1"
  in_pod "$1" env HOME="$ENV_TMP" AWS_REGION=eu-west-1 NODE_NO_WARNINGS=1 AWS_EC2_METADATA_DISABLED=true AWS_ROLE_ARN="$3" \
    AWS_WEB_IDENTITY_TOKEN_FILE="$ENV_TMP/token-$1" AWS_ENDPOINT_URL_STS="$4" "${@:5}" 2>&1
}
key_of() { sed -n 's/^accessKeyId=\(\S*\).*/\1/p' <<<"$1"; }
post() { in_pod web curl -s --max-time 5 -d "$1" $STS/; }
write_boto() {
  cat >"$ENV_TMP/boto.py" <<'PY'
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

url, file, *cases = sys.argv[1:]
once = Config(retries={"max_attempts": 0})
sts = boto3.client("sts", endpoint_url=url, config=once)
with open(file, encoding="utf-8") as lines:
    tokens = dict(line.rstrip("\n").split("=", 1) for line in lines)


def identify(keys):
    mine = boto3.client("sts", endpoint_url=url, config=once, aws_access_key_id=keys["AccessKeyId"],
                        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
    try:
        me = mine.get_caller_identity()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return f"{me['Arn']} {me['Account']} {me['UserId'].startswith('AROA')}"


def answer(token, role, *more):
    parameters = {key: json.loads(value) for key, value in (word.split("=", 1) for word in more if "=" in word)}
    try:
        got = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="me", WebIdentityToken=tokens[token],
                                                **parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    text = got.get("AssumedRoleUser", {}).get("Arn")
    return f"{text} {got['Credentials']['AccessKeyId']} {identify(got['Credentials'])}" if "identify" in more else text


for case in cases:
    print(answer(*case.split()))
PY
}
# cut END TEXT: a request that pod web does not end, once the agent has the end of its token in memory. In front of the FIN:
# libmicrohttpd does not see one that comes with the text, and has to be timed out.
cut() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  in_pod web bash -c 'exec 3<>/dev/tcp/169.254.170.83/80 && printf "%b" "$1" >&3 && read -r _ <"$2"' _ "$2" "$ENV_TMP/fifo" &
  check 'half a request is in memory while it lasts' wait_for 10 has_in_memory "$1"
  echo >"$ENV_TMP/fifo"
  wait $!
  check 'the agent is rid of it' wait_for 10 nobody_is_connected
}
has_in_memory() { [ "$(in_memory "$1")" -gt 0 ]; }
is_logged() { tail -n 1 "$ENV_TMP/serve.log" | grep -q 'result=granted .*pod=web '; }
nobody_is_connected() {
  in_host curl -s http://127.0.0.1:7778/metrics | grep -qx 'podcred_agent_connections{owner="pod"} 0'
}
# How often what a token ends with is in the memory of the agent.
in_memory() {
  python3 - "$(head -n 1 "$AGENT_CGROUP/cgroup.procs")" "$1" <<'PY'
import re, sys
pid, text = sys.argv[1], sys.argv[2].encode()
found = 0
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
    for line in maps:
        start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....)", line).groups()
        if rights[1] == "w":
            memory.seek(int(start, 16))
            found += memory.read(int(end, 16) - int(start, 16)).count(text)
print(found)
PY
}

env_up systemd
for pod in web db fixed stranger; do pod_add $pod burstable; done
for key in cluster evil; do "$ENV_ROOT/tests/lib/tokens.py" key "$ENV_TMP/$key.pem" rsa; done
"$ENV_ROOT/tests/lib/tokens.py" jwks "$ENV_TMP/cluster.pem" >"$ENV_TMP/jwks.json"
tokens "$ENV_TMP/tokens" || env_fail 'no tokens'
write_boto
env_load >/dev/null || env_fail 'load failed'
env_resolve
chmod 711 "$ENV_TMP"
aws_up
config >"$ENV_TMP/config.yaml"
associations >"$ENV_TMP/associations.yaml"
chmod 644 "$ENV_TMP"/{config.yaml,associations.yaml,jwks.json}
serve_start --jwks "$ENV_TMP/jwks.json"
fetch_start
WEB=$(token web) DB=$(token db)

# ---- who gets credentials ----

said=$(assume web "$WEB")
same "Debian's aws gets its pod's session" "$(session web)" "$(jq -r .AssumedRoleUser.Arn <<<"$said" 2>/dev/null)" || echo "$said"
same 'with what STS says beside it' "system:serviceaccount:shop:web sts.amazonaws.com $ISSUER" \
  "$(jq -r '"\(.SubjectFromWebIdentityToken) \(.Audience) \(.Provider)"' <<<"$said")"
same 'and the credentials that podcred has for the pod' "$(key web)" "$(jq -r .Credentials.AccessKeyId <<<"$said")"
said=$(web_identity web "$WEB" $ROLE/web $STS node "$CLIENTS/credentials.mjs")
same 'SDK for JavaScript by the variables of IRSA' "$(key web)" "$(key_of "$said")" || echo "$said"
said=$(web_identity db "$DB" $ROLE/db "$STS6/" node "$CLIENTS/credentials.mjs")
same 'another pod, over IPv6' "$(key db)" "$(key_of "$said")" || echo "$said"
same 'boto3, which then asks who it is; a token for EKS Pod Identity is as good' \
  "$(session web) $(key web) $(session web) 111122223333 True|$(session web)" \
  "$(boto web "web $ROLE/web identify" "eks $ROLE/web" | paste -sd '|')"
same 'static keys: whose session that is nobody says' 'None AKIAFIXED AccessDenied' \
  "$(boto fixed 'fixed arn:aws:iam::111122223333:role/fixed identify')"
ENV=(AWS_ACCESS_KEY_ID=AKIAOTHER AWS_SECRET_ACCESS_KEY=x)
same 'whose other credentials are is not made up' 1 "$(cli web sts get-caller-identity | grep -c '(InvalidClientTokenId)')"
ENV=()

# ---- who gets nothing ----

refused AccessDenied token_other_pod "db $ROLE/web"
refused AccessDenied other_role "web $ROLE/db"
refused ExpiredTokenException token_expired "expired $ROLE/web"
refused InvalidIdentityToken token_wrong_audience "audience $ROLE/web"
refused InvalidIdentityToken token_bad_signature "none $ROLE/web"
refused InvalidIdentityToken token_bad_signature "hs256 $ROLE/web"
refused InvalidIdentityToken token_unknown_key "evil $ROLE/web"
refused InvalidIdentityToken token_malformed "word $ROLE/web"
refused ValidationError session_policy "web $ROLE/web Policy=\"{}\""
refused ValidationError session_policy "web $ROLE/web PolicyArns=[{\"arn\":\"arn:aws:iam::aws:policy/ReadOnlyAccess\"}]"
same 'what boto3 shows of each refusal' "$(printf '%s\n' "${CODES[@]}")" "$(boto web "${CASES[@]}")"
for reason in $(printf '%s\n' "${REASONS[@]}" | sort -u); do
  same "the log has $reason" "$(printf '%s\n' "${REASONS[@]}" | grep -cx "$reason")" "$(refusals "$reason")"
done
same 'a pod without an association' 'AccessDenied 1' "$(boto stranger "stranger $ROLE/stranger") $(refusals no_association stranger)"
same 'a role of static keys in another account' 'AccessDenied 1' \
  "$(boto fixed 'fixed arn:aws:iam::999922223333:role/fixed') $(refusals other_role fixed)"
said=$(web_identity web "$WEB" $ROLE/db $STS node "$CLIENTS/credentials.mjs")
check 'SDK for JavaScript shows what to write' grep -q "^none: .*associated with the role $ROLE/web, and no other" <<<"$said"
said=$(assume web "$DB")
check "Debian's aws shows that a token was stolen" grep -q '(AccessDenied).*issued to another pod' <<<"$said"
same 'other operations' InvalidAction "$(post "Action=AssumeRole&Version=2011-06-15" | sed -n 's/.*<Code>\(.*\)<.Code>.*/\1/p')"
same 'EKS Pod Identity does not take a token for STS' InvalidToken \
  "$(in_pod web curl -s --max-time 5 -H "Authorization: $WEB" http://169.254.170.23/v1/credentials | jq -r .code)"
same 'no role was assumed but each pod its own' "$ROLE/db db|$ROLE/web web" \
  "$(assumed '' 'map("\(.roleArn) \(.tags."kubernetes-pod-name")") | unique | join("|")')"

# ---- what becomes of the text ----

# In the query, too, however the connection ends.
in_pod web curl -s --max-time 5 -o /dev/null -H 'Connection: close' \
  "$STS/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=me&RoleArn=$ROLE/web&WebIdentityToken=$WEB"
check 'the log has that one, too' wait_for 10 is_logged
check 'what is in memory is found' test "$(in_memory associations.yaml)" -gt 0
same 'no token is left in memory' 0 "$(in_memory "${WEB##*.}")"
same 'nor one that was refused' 0 "$(in_memory "${DB##*.}")"
mkfifo "$ENV_TMP/fifo"
END=$(token eks | sed 's/.*\.//')
cut "$END" "POST / HTTP/1.1\\r\\nHost: 169.254.170.83\\r\\nContent-Length: 9999\\r\\n\\r\\nWebIdentityToken=$(token eks)"
same 'nor one in half a body' 0 "$(in_memory "$END")"
END=$(token evil | sed 's/.*\.//')
cut "$END" "GET /?WebIdentityToken=$(token evil) HTTP/1.1\\r\\nHost: 169"
same 'nor one in a query without an end' 0 "$(in_memory "$END")"
# shellcheck disable=SC2016 # expanded by the inner shell
check 'no token is in a log' bash -c '! grep -nF -e "$1" -e "$2" "$3" "$4"' _ "${WEB##*.}" "${DB##*.}" "$ENV_TMP/serve.log" "$ENV_TMP/fetch.log"
same 'another port is refused' 7 "$(in_pod web curl -s --max-time 5 -o /dev/null http://169.254.170.83:443/; echo $?)"
tap_done
