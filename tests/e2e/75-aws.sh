#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real AWS clients, each with its own way to ask, each in a pod of its own: every one gets the
# credentials of its pod, and a pod without an association gets none.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

CLIENTS=$ENV_BUILD/clients
PYTHON=/usr/bin/python3 # Debian's, which has boto3

# has WHAT PATTERN CMD...
has() {
  local what=$1 pattern=$2
  shift 2
  # shellcheck disable=SC2016 # expanded by the inner shell
  check "$what" bash -c 'out=$("${@:2}" 2>&1); echo "$out"; grep -Eq -- "$1" <<<"$out"' _ "$pattern" "$@"
}

# What in_pod does, as a command for has.
pod_command() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  POD_CMD=(bash -c 'echo 0 >"$1" && exec nsenter --net="$2" "${@:3}"' _
    "${POD_CGROUP[$1]}/container/cgroup.procs" "/run/netns/${POD_NETNS[$1]}" env
    AWS_EC2_METADATA_SERVICE_NUM_ATTEMPTS=1 NODE_NO_WARNINGS=1 HOME="$ENV_TMP")
}

env_up systemd
for pod in boto cli js jsv6 imdsjs; do pod_add $pod burstable; done
pod_add netd guaranteed host
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve
pod_add stranger besteffort # after the associations were written: it has none
env_podlist "$ENV_TMP/pods.json"
echo -n a.b.c >"$ENV_TMP/token"

pod_command boto
has 'boto3, container credentials by RELATIVE_URI' 'accessKeyId=AKIABOTO method=container-role' \
  "${POD_CMD[@]}" AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials \
  $PYTHON "$CLIENTS/credentials.py"
has 'boto3, IMDS' 'accessKeyId=AKIABOTO method=iam-role' "${POD_CMD[@]}" $PYTHON "$CLIENTS/credentials.py"
has 'boto3, IMDS over IPv6' 'accessKeyId=AKIABOTO method=iam-role' "${POD_CMD[@]}" \
  AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6 $PYTHON "$CLIENTS/credentials.py"

pod_command cli
has "Debian's aws, container credentials" 'access_key .*ACLI +container-role' "${POD_CMD[@]}" \
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/x /usr/bin/aws configure list
has "Debian's aws, IMDS" 'access_key .*ACLI +iam-role' "${POD_CMD[@]}" /usr/bin/aws configure list

pod_command js
has 'SDK for JavaScript, Pod Identity by FULL_URI and token file' 'accessKeyId=AKIAJS ' "${POD_CMD[@]}" \
  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials \
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$ENV_TMP/token" node "$CLIENTS/credentials.mjs"
pod_command jsv6
has 'SDK for JavaScript, Pod Identity over IPv6' 'accessKeyId=AKIAJSV6 ' "${POD_CMD[@]}" \
  'AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::23]/v1/credentials' \
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$ENV_TMP/token" node "$CLIENTS/credentials.mjs"
pod_command imdsjs
has 'SDK for JavaScript, IMDSv2' 'accessKeyId=AKIAIMDSJS ' "${POD_CMD[@]}" node "$CLIENTS/credentials.mjs"
pod_command netd
has 'SDK for JavaScript on the host network' 'accessKeyId=AKIANETD ' "${POD_CMD[@]}" \
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials node "$CLIENTS/credentials.mjs"

pod_command stranger
has 'boto3 in a pod without an association gets nothing' '^none$' "${POD_CMD[@]}" \
  $PYTHON "$CLIENTS/credentials.py"
has 'and the agent says so' '"code":"NoCredentialsAssociated"' "${POD_CMD[@]}" \
  curl -s http://169.254.170.2/v1/credentials
# Node's HTTP client, as the SDK uses it: it keeps its connection.
pod_command js
coproc KEEP {
  exec "${POD_CMD[@]}" node -e '
    const http = require("http"), agent = new http.Agent({keepAlive: true});
    const ask = () => http.get("http://169.254.170.2/v1/credentials", {agent}, (response) => {
      let body = "";
      response.on("data", (data) => { body += data; });
      response.on("end", () => console.log(JSON.parse(body).AccessKeyId, response.req.reusedSocket ? "kept" : "new"));
    }).on("error", (error) => console.log(error.code));
    ask();
    require("readline").createInterface({input: process.stdin}).on("line", ask);'
}
kept() { read -r -t 20 -u "${KEEP[0]}" && echo "$REPLY"; }
same 'a client that keeps its connection' 'AKIAJS new' "$(kept)"
echo >&"${KEEP[1]}"
same 'asks again over it' 'AKIAJS kept' "$(kept)"
cgroup_signal "$AGENT_CGROUP" TERM
env_serve
echo >&"${KEEP[1]}"
same 'when the agent was started again, the next request makes another connection' 'AKIAJS new' "$(kept)"
eval "exec ${KEEP[1]}>&-"

check_not 'no secret is in the log of the agent' grep -E 'secret-of|token-of' "$ENV_TMP/serve.log"
tap_done
