#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job, on this machine: three pods, three real AWS clients, one agent. Everything runs in
# network namespaces and cgroups that the demo makes and takes away again.
set -u

PIN_DIR=/sys/fs/bpf/podcred # the default place: what is shown here is what a node shows
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../tests/lib/env.sh"
CLIENTS=$ENV_BUILD/clients
PYTHON=/usr/bin/python3 # Debian's, which has boto3
BPFTOOL=$(command -v bpftool || echo /usr/sbin/bpftool)
SECONDS=0

say() { printf '\n== %s\n' "$*"; }
run() {
  printf '$ %s\n' "$*" >&2
  "$@"
}
die() {
  printf '\n%s\ndemo: FAILED\n' "$*"
  exit 1
}
# agent_says WHOM: what it gave to whom. The line may come after the answer.
agent_said() { grep -q " credentials .*$1" "$ENV_TMP/run.log"; }
agent_says() {
  wait_for 30 agent_said "$1" || die "the agent says nothing of $1: $(cat "$ENV_TMP/run.log")"
  sed -n "/$1/s/.* credentials //p" "$ENV_TMP/run.log" | tail -1 |
    sed 's/^/the agent says: /; s/ status=.* namespace=/ namespace=/'
}
# expect WHAT PATTERN TEXT
expect() {
  grep -q -- "$2" <<<"$3" || die "expected $1 ($2), got: $3"
}

if [ -d "$PIN_DIR" ]; then
  echo "podcred is loaded on this machine ($PIN_DIR); the demo would take it over: podcred unload first" >&2
  exit 1
fi

say 'A node with three pods: web (Burstable), db (Guaranteed), and netd on the host network'
env_up systemd
pod_add web burstable
pod_add db guaranteed
pod_add netd besteffort host
for pod in web db netd; do
  printf '%-5s address %-10s cgroup ...%s\n' "$pod" "${POD_IP[$pod]}" "${POD_CGROUP[$pod]#"$ENV_CGROUP"}"
done

say 'podcred run: attach to kubepods, resolve pods, serve credentials. Embedded default configuration'
env_podlist "$ENV_TMP/pods.json"
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")
nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" run --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --pods "$ENV_TMP/pods.json" --associations "$ENV_TMP/associations.yaml" \
  >"$ENV_TMP/run.log" 2>&1 &
RUN_PID=$!
wait_for 30 agent_is_up_at "$NODE_V4" || die "the agent is not up: $(cat "$ENV_TMP/run.log")"
wait_for 30 resolver_is_new 0 || die "the resolver is not ready: $(cat "$ENV_TMP/run.log")"
cat "$ENV_TMP/run.log"

say "Pod web, Debian's aws command, container credentials at 169.254.170.2"
out=$(run in_pod web env AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v1/credentials \
  /usr/bin/aws configure list)
echo "$out"
expect 'the key of web' 'access_key .*AWEB.* container-role' "$out"
agent_says pod=web

say 'Pod db, AWS SDK for JavaScript, EKS Pod Identity at 169.254.170.23'
echo -n demo >"$ENV_TMP/token"
out=$(run in_pod db env \
  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials \
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$ENV_TMP/token" NODE_NO_WARNINGS=1 \
  node "$CLIENTS/credentials.mjs")
echo "$out"
expect 'the key of db' 'accessKeyId=AKIADB ' "$out"
agent_says pod=db

say 'Pod netd, boto3, EC2 metadata (IMDSv2) at 169.254.169.254. It shares its address with the node'
out=$(run in_pod netd "$PYTHON" "$CLIENTS/credentials.py")
echo "$out"
expect 'the key of netd' 'accessKeyId=AKIANETD method=iam-role' "$out"
out=$(run in_pod netd curl -sS http://169.254.169.254/latest/meta-data/iam/security-credentials/)
printf 'role: %s\n' "$out"
expect 'the role of netd' '^netd-role$' "$out"
agent_says pod=netd

say 'While connections are open, root sees with bpftool whose they are'
for pod in web db netd; do
  in_pod "$pod" bash -c 'exec 3<>/dev/tcp/169.254.170.2/80; exec sleep 300' &
done
peers_are_there() {
  local list pod
  list=$(podcred peers)
  for pod in web db netd; do grep -q "shop/$pod " <<<"$list" || return; done
}
wait_for 30 peers_are_there || die "not every pod is among the peers: $(podcred peers)"
run "$BPFTOOL" map dump pinned "$PIN_DIR/maps/podcred_peers_v2"
echo
run "$PODCRED" peers
echo
run "$PODCRED" pods

say 'Whoever is not a pod gets nothing, and a guarded address has one open port'
out=$(run in_host curl -sS "http://$NODE_V4:$AGENT_PORT/v1/credentials")
echo "$out"
expect 'a refusal' 'AccessDenied' "$out"
agent_says reason=unknown_caller
out=$(run in_pod web curl -sS --max-time 5 http://169.254.169.254:8080/ 2>&1) && die "port 8080 answered: $out"
echo "$out"
kill -0 "$RUN_PID" || die 'podcred run ended'

say 'Stop: podcred run detaches what it attached'
kill -TERM "$RUN_PID"
wait "$RUN_PID"
tail -1 "$ENV_TMP/run.log"
[ ! -e "$PIN_DIR" ] || die "$PIN_DIR is still there"
printf '\n%d seconds\ndemo: ok\n' "$SECONDS"
