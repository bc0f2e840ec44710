#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Any proxy may ask who connects: in C with the library, in Python without it, and HAProxy, which
# knows nothing of podcred, for the dialled address alone.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

CLIENT=$ENV_BUILD/tests/client
EXAMPLES=$ENV_ROOT/examples
V4=169.254.170.23
V6=fd00:ec2::23

ask() { in_pod "$1" "$CLIENT" plain "${@:2}" 2>&1; }
listens() { [ -n "$(in_node ss -Hltn "sport = :$1")" ]; }
started() { wait_for 10 listens "$1" || env_fail "nothing listens on port $1"; }
pod_line() {
  echo "pod shop/$1 uid ${POD_UID[$1]} sa $1 cgroup $(stat -c %i "${POD_CGROUP[$1]}/container") dialled $2"
}
agent_down() { cgroup_signal "$AGENT_CGROUP" TERM; }

env_up systemd
pod_add web burstable
pod_add db guaranteed
env_load >/dev/null || env_fail 'load failed'
env_resolve

# ---- the examples ----
check 'the C example builds against the library' \
  gcc -std=gnu17 -Wall -Wextra -Werror -I"$ENV_ROOT/user/lib/include" -I"$ENV_ROOT/bpf/uapi" \
  -o "$ENV_TMP/echo_proxy" "$EXAMPLES/echo_proxy.c" "$ENV_BUILD/libpodcred.a" -pthread
proxies() {
  local name=$1
  shift
  in_agent "$@" "$NODE_V4" "$AGENT_PORT" >"$ENV_TMP/proxy.log" 2>&1 &
  in_agent "$@" "$NODE_V6" "$AGENT_PORT" >>"$ENV_TMP/proxy.log" 2>&1 &
  started "$AGENT_PORT"
  both() { [ "$(in_node ss -Hltn "sport = :$AGENT_PORT" | wc -l)" = 2 ]; }
  wait_for 10 both
  same "$name: a pod that dialled IPv4" "peer=$V4:80 $(pod_line web $V4:80)" "$(ask web $V4 80)"
  same "$name: another one" "peer=$V4:80 $(pod_line db $V4:80)" "$(ask db $V4 80)"
  same "$name: a pod that dialled IPv6" "peer=[$V6]:80 $(pod_line db "[$V6]:80")" \
    "$(ask db $V6 80)"
  same "$name: a pod that dialled the proxy itself" \
    "peer=$NODE_V4:$AGENT_PORT $(pod_line web "$NODE_V4:$AGENT_PORT")" \
    "$(ask web "$NODE_V4" "$AGENT_PORT")"
  same "$name: a host process is nobody" \
    "peer=$NODE_V4:$AGENT_PORT nobody: the connection carries no stamp" \
    "$(in_host "$CLIENT" plain "$NODE_V4" "$AGENT_PORT")"
  agent_down
  in_host "$@" "$NODE_V4" 7999 >"$ENV_TMP/outside.log" 2>&1 &
  started 7999
  same "$name: outside of the agent's cgroup nobody is known" \
    "peer=$NODE_V4:7999 nobody: podcred is not attached to this cgroup" \
    "$(ask web "$NODE_V4" 7999)"
  cgroup_signal "$ENV_CGROUP/host" TERM
}
proxies 'C' "$ENV_TMP/echo_proxy"
proxies 'Python' python3 "$EXAMPLES/echo_proxy.py"

if command -v haproxy >/dev/null; then
  BIND_ADDR=$NODE_V4 BIND_PORT=$AGENT_PORT in_agent haproxy -db -f "$EXAMPLES/haproxy.cfg" \
    >"$ENV_TMP/haproxy.log" 2>&1 &
  started "$AGENT_PORT"
  for host in $V4 169.254.170.2 169.254.169.254; do
    same "HAProxy: knows that $host was dialled" "$host:80" "$(in_pod web curl -sS "http://$host/" 2>&1)"
  done
  agent_down
else
  skip 'HAProxy' 'not installed'
fi

# ---- the options themselves ----
background "$ENV_TMP/who" ready in_agent "$ENV_BUILD/tests/who" \
  "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
# The kernel's own errno depends on whether it tracks connections.
no_answer() { sed -E 's/(v[46])=E[A-Z]+/\1=none/g'; }
options() { ask "$@" | grep -o 'v4=.*' | no_answer; }
same 'SO_ORIGINAL_DST over IPv4: what was dialled, in its own family only' \
  "v4=$V4:80 v6=none tcpinfo=ok" "$(options web $V4 80)"
same 'SO_ORIGINAL_DST over IPv6: SOL_IP has no answer' \
  "v4=none v6=[$V6]:80 tcpinfo=ok" "$(options web $V6 80)"
same 'a direct connection: the address of the agent' \
  "v4=$NODE_V4:$AGENT_PORT v6=none tcpinfo=ok" "$(options web "$NODE_V4" "$AGENT_PORT")"
same 'no stamp: ENODATA, and the kernel answers for itself' \
  "peer=$NODE_V4:$AGENT_PORT error=ENODATA v4=none v6=none tcpinfo=ok" \
  "$(in_host "$CLIENT" plain "$NODE_V4" "$AGENT_PORT" | no_answer)"

# With an IPv4 agent alone, IPv6 clients reach it by its mapped address.
podcred load --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --agent "$NODE_V4:$AGENT_PORT" >/dev/null
same 'an IPv6 client on an IPv4 agent: SOL_IP has no answer' \
  "v4=none v6=[$V6]:80 tcpinfo=ok" "$(options web $V6 80)"
same 'and its identity says IPv6' \
  "peer=[$V6]:80 pod=web uid=${POD_UID[web]} sa=web direct=0 dialled=[$V6]:80" \
  "$(ask web $V6 80 | sed -E 's/ pid=[0-9]+//; s/ v4=.*//')"

background "$ENV_TMP/outside" ready in_host "$ENV_BUILD/tests/who" "$NODE_V4" 7999
same "outside of the agent's cgroup: ENOPROTOOPT" \
  "peer=$NODE_V4:7999 error=ENOPROTOOPT v4=none v6=none tcpinfo=ok" \
  "$(ask web "$NODE_V4" 7999 | no_answer)"
tap_done
