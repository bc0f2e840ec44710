#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The agent verifies the tokens of EKS Pod Identity: a pod gets its credentials with its own token alone. One that was
# stolen from another pod, forged in any way, or that is too old gives it nothing but a line in the log, without the
# token.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

URL=http://169.254.170.23/v1/credentials
MAKE=$ENV_ROOT/tests/lib/tokens.py

# of POD KEY [PATCH] [HEADER]: a token of that pod, as the cluster signs it with KEY, or as somebody would like to.
of() {
  local pod=$1 own
  own='{"sub":"system:serviceaccount:shop:'$pod'","kubernetes.io":{"pod":{"name":"'$pod'","uid":"'${POD_UID[$pod]}'"},
    "serviceaccount":{"name":"'$pod'"}}}'
  "$MAKE" token "$ENV_TMP/$2.pem" "$(jq -sc '.[0] * .[1]' <<<"$own ${3:-{\}}")" "${4:-{\}}"
}
# from POD TOKEN [OPTION...]: the status of the answer, and the key or the code in it.
from() {
  in_pod "$1" curl -s --max-time 20 -w '\n%{http_code}\n' ${2:+-H "Authorization: $2"} "${@:3}" "$URL" >"$ENV_TMP/answer"
  echo "$(tail -n 1 "$ENV_TMP/answer") $(sed '$d' "$ENV_TMP/answer" | jq -r '.AccessKeyId // .code' 2>/dev/null)"
}
refusals() { grep -c "result=refused reason=$1 .*pod=$2 " "$ENV_TMP/serve.log"; }
refused() { # NAME ANSWER REASON TOKEN: to pod web
  local before
  before=$(refusals "$3" web)
  same "$1 gets nothing" "$2" "$(from web "$4")"
  same "$1: the log says so once" $((before + 1)) "$(refusals "$3" web)"
  [ -z "$4" ] || MADE+=("${4##*.}")
}
has_read() { [ "$(grep -c 'jwks.json: 1 key to verify tokens with' "$ENV_TMP/serve.log")" -eq "$1" ]; }
# How often what a token ends with is in the memory of the agent.
in_memory() {
  python3 - "$SERVE_PID" "$1" <<'PY'
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

env_up
pod_add web burstable
pod_add db burstable
for key in cluster:rsa newer:p256 evil:rsa weak:rsa1024; do "$MAKE" key "$ENV_TMP/${key%:*}.pem" "${key#*:}"; done
"$MAKE" jwks "$ENV_TMP/cluster.pem" "$ENV_TMP/weak.pem" >"$ENV_TMP/jwks.json"
cat >"$ENV_TMP/config.yaml" <<YAML
credentials:
  tokens:
    issuers: [https://kubernetes.default.svc.cluster.local]
YAML
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve --config "$ENV_TMP/config.yaml" --jwks "$ENV_TMP/jwks.json" --log-json
check 'the agent says what it verifies with' grep -q 'jwks.json: 1 key to verify tokens with' "$ENV_TMP/serve.log"
check 'and which key it cannot use' grep -q 'jwks.json: 1 key cannot be used: key 2 has 1024 bits' "$ENV_TMP/serve.log"
kill "$SERVE_PID"
wait_for 10 cgroup_deserted "$AGENT_CGROUP"
env_serve --config "$ENV_TMP/config.yaml" --jwks "$ENV_TMP/jwks.json"

MADE=()
WEB=$(of web cluster) DB=$(of db cluster)
same "a pod's own token gives it its credentials" '200 AKIAWEB' "$(from web "$WEB")"
same 'another pod has another token' '200 AKIADB' "$(from db "$DB")"

refused "another pod's token" '403 AccessDenied' token_other_pod "$DB"
same 'the other way round neither' '403 AccessDenied' "$(from db "$WEB")"
same 'that somebody else tried does not end a token' '200 AKIAWEB' "$(from web "$WEB")"
refused 'no token' '400 InvalidRequest' no_authorization ''
refused 'a word' '400 InvalidRequest' token_malformed word-that-is-none
refused 'a token that ended a second ago' '400 ExpiredToken' token_expired "$(of web cluster '{"exp":'$(($(date +%s) - 1))'}')"
refused 'one of tomorrow' '400 InvalidToken' token_not_yet_valid "$(of web cluster '{"nbf":'$(($(date +%s) + 86400))'}')"
refused 'one for the API server' '400 InvalidToken' token_wrong_audience \
  "$(of web cluster '{"aud":["https://kubernetes.default.svc"]}')"
refused "another cluster's" '400 InvalidToken' token_wrong_issuer "$(of web cluster '{"iss":"https://evil.example"}')"
refused 'one without a pod' '400 InvalidToken' token_not_a_pods "$(of web cluster '{"kubernetes.io":{"pod":null}}')"
refused 'alg none' '400 InvalidToken' token_bad_signature "$(of web cluster '{}' '{"alg":"none"}')"
refused 'HS256 with the public key' '400 InvalidToken' token_bad_signature "$(of web cluster '{}' '{"alg":"HS256"}')"
refused 'a signature of its own' '400 InvalidToken' token_bad_signature \
  "$(of web evil '{}' '{"kid":"'"$(jq -r '.keys[0].kid' "$ENV_TMP/jwks.json")"'"}')"
refused 'a key that is nobodys' '400 InvalidToken' token_unknown_key "$(of web evil)"
refused 'a key that is too weak' '400 InvalidToken' token_unknown_key "$(of web weak)"
refused 'a path for a kid' '400 InvalidToken' token_unknown_key "$(of web evil '{}' '{"kid":"../../../dev/null"}')"
refused '9 kB of token' '400 InvalidRequest' token_malformed \
  "$(of web cluster '{"more":"'"$(head -c 7000 /dev/zero | tr '\0' x)"'"}')"
same 'of two headers none counts' '400 null' "$(from web "$WEB" -H "Authorization: $WEB" | sed 's/InvalidRequest/null/')"
same 'the token is still good' '200 AKIAWEB' "$(from web "$WEB")"

same 'ECS wants no token' AKIAWEB "$(in_pod web curl -s --max-time 20 http://169.254.170.2/v1/credentials | jq -r .AccessKeyId)"
same 'and looks at none' AKIADB \
  "$(in_pod db curl -s --max-time 20 -H "Authorization: $WEB" http://169.254.170.2/v1/credentials | jq -r .AccessKeyId)"

# ---- what becomes of the text ----

# shellcheck disable=SC2016 # expanded by the inner shell
check 'no token is in the log' bash -c '! grep -nF -e "$1" -e "$2" "$3"' _ "${WEB##*.}" "${DB##*.}" "$ENV_TMP/serve.log"
same 'nor the end of any that was refused' '' \
  "$(for end in "${MADE[@]}"; do [ ${#end} -lt 9 ] || grep -F -e "$end" "$ENV_TMP/serve.log"; done)"
# However the connection ends.
from web "$WEB" -H 'Connection: close' >/dev/null
from web "$DB" -H 'Connection: close' >/dev/null
check 'what is in memory is found' test "$(in_memory associations.yaml)" -gt 0
same 'no token is left in memory' 0 "$(in_memory "${WEB##*.}")"
same 'nor one that was refused' 0 "$(in_memory "${DB##*.}")"

# ---- new keys ----

"$MAKE" jwks "$ENV_TMP/newer.pem" >"$ENV_TMP/jwks.json"
refused 'a key that came after the start' '400 InvalidToken' token_unknown_key "$(of web newer)"
echo '{"keys":[]}' >"$ENV_TMP/empty.json"
mv "$ENV_TMP/jwks.json" "$ENV_TMP/good.json"
cp "$ENV_TMP/empty.json" "$ENV_TMP/jwks.json"
kill -HUP "$SERVE_PID"
check 'keys that cannot be used are refused' wait_for 10 grep -q \
  'jwks.json: none of its keys can be used; the keys read before stay in force' "$ENV_TMP/serve.log"
same 'the old ones stay' '200 AKIAWEB' "$(from web "$WEB")"
cp "$ENV_TMP/good.json" "$ENV_TMP/jwks.json"
kill -HUP "$SERVE_PID"
check 'SIGHUP reads the keys again' wait_for 10 has_read 2
same 'the new key counts, of another kind' '200 AKIAWEB' "$(from web "$(of web newer)")"
refused 'the old key' '400 InvalidToken' token_unknown_key "$WEB"

# ---- bad input ----

fails() { # TEXT OPTION...: serve exits with that line
  in_agent "$PODCRED" serve --agent "$NODE_V4:7800" --associations "$ENV_TMP/associations.yaml" "${@:2}" >"$ENV_TMP/out" 2>&1
  same "exits: $1" "1 1" "$? $(grep -c "$1" "$ENV_TMP/out")"
  [ "$(wc -l <"$ENV_TMP/out")" -eq 1 ] || cat "$ENV_TMP/out"
}
fails 'cannot read /nonexistent: No such file or directory; it is what "kubectl get --raw /openid/v1/jwks" prints' \
  --jwks /nonexistent
fails 'empty.json: none of its keys can be used' --jwks "$ENV_TMP/empty.json"
fails 'line 1: not JSON' --jwks "$ENV_TMP/cluster.pem"
printf 'credentials: {tokens: {verify: "off"}}\n' >"$ENV_TMP/off.yaml"
fails 'another word for credentials.tokens.verify' --jwks "$ENV_TMP/jwks.json" --config "$ENV_TMP/off.yaml"
tap_done
