#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every way in which programs connect, and who the agent then sees. The agent here is a proxy of a
# few lines (who.c) that knows only what the accepted socket tells.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

V4=169.254.170.23
V6=fd00:ec2::23
CLIENT=$ENV_BUILD/tests/client

# A connection that nobody redirects may meet a black hole: the limit is there for that alone.
try() { in_pod "$1" timeout 20 "$CLIENT" "${@:2}" 2>&1; }

# What the agent must have answered pod $1 that dialled $2, seen by its client as $3.
answer() {
  local direct=${4:-0}
  echo "peer=$3 pod=$1 uid=${POD_UID[$1]} sa=$1 direct=$direct dialled=$2"
}

# Without the process id, and without what only 70-libpodcred looks at.
seen() { try "$@" | sed -E 's/ pid=[0-9]+//; s/ v4=.*//'; }

connects() {
  local way=$1 host=$2 text=$3 peer=${4:-$3:80} pod
  for pod in web db; do
    same "$way to $text from $pod" "$(answer "$pod" "$text:80" "$peer")" \
      "$(seen "$pod" "$way" "$host" 80)"
  done
}

stat_of() { podcred status --json | jq ".counters.$1"; }

env_up systemd
pod_add web burstable
pod_add db guaranteed
pod_add node1 besteffort host
pod_add node2 burstable host
env_load >/dev/null || env_fail 'load failed'
env_resolve
in_node sysctl -qw net.ipv4.tcp_fastopen=3
background "$ENV_TMP/who" ready in_agent "$ENV_BUILD/tests/who" --fastopen \
  "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"

for way in plain nonblock fork thread tfo-send tfo-connect again twice; do
  connects "$way" "$V4" "$V4"
  connects "$way" "$V6" "[$V6]"
done
for way in plain-mapped nonblock-mapped tfo-send-mapped again-mapped; do
  connects "$way" "$V4" "$V4" "[::ffff:$V4]:80"
done
connects v6only "$V6" "[$V6]"
connects plain 169.254.169.254 169.254.169.254
connects plain-mapped 169.254.170.2 169.254.170.2 '[::ffff:169.254.170.2]:80'

# The first one gets a cookie, the others would send data in their SYN: before anything says that the
# agent gets it.
fast_opens() { in_node nstat -az TcpExtTCPFastOpenPassive | awk 'END { print $2 }'; }
same 'no fast open carried data in its SYN' 0 "$(fast_opens)"

# getpeername runs on the MPTCP socket and the stamp is on its subflow: it shows the agent.
if [ "$(try web mptcp "$V4" 80)" = 'no MPTCP' ]; then
  skip 'MPTCP' 'not in this kernel'
else
  connects mptcp "$V4" "$V4" "$NODE_V4:$AGENT_PORT"
  connects mptcp-mapped "$V4" "$V4" "[::ffff:$NODE_V4]:$AGENT_PORT"
fi

for way in udp-connect udp-sendto udp-sendmsg; do
  for port in 53 80; do
    same "$way to $V4 port $port is refused" errno=EACCES "$(try web $way $V4 $port)"
    same "$way to $V6 port $port is refused" errno=EACCES "$(try web $way $V6 $port)"
    same "$way-mapped port $port is refused" errno=EACCES "$(try web $way-mapped $V4 $port)"
  done
done
for port in 81 443 "$AGENT_PORT"; do
  same "port $port of $V4 is refused" errno=EACCES "$(try web plain $V4 "$port")"
  same "port $port of $V6 is refused" errno=EACCES "$(try web plain $V6 "$port")"
  same "port $port v4-mapped is refused" errno=EACCES "$(try web plain-mapped $V4 "$port")"
done
same 'each refusal is counted' 27 "$(stat_of denied_destination)"
same "another port of the agent's address is not podcred's business" errno=ECONNREFUSED \
  "$(try web plain "$NODE_V4" 9)"

same 'direct to the agent is stamped and marked' \
  "$(answer web "$NODE_V4:$AGENT_PORT" "$NODE_V4:$AGENT_PORT" 1)" \
  "$(seen web plain "$NODE_V4" "$AGENT_PORT")"
same 'direct to the agent over IPv6 too' \
  "$(answer db "[$NODE_V6]:$AGENT_PORT" "[$NODE_V6]:$AGENT_PORT" 1)" \
  "$(seen db plain "$NODE_V6" "$AGENT_PORT")"

# Two hostNetwork pods have one address: the same 4-tuple, one right after the other.
reuse() {
  local round pod line wrong=0
  for round in $(seq 25); do
    for pod in "$@"; do
      line=$(seen "$pod" from-port "$V4" 80 40123)
      [ "$line" = "$(answer "$pod" "$V4:80" "$V4:80")" ] || { echo "$round: $line" && wrong=1; }
    done
  done
  return $wrong
}
check 'one source port, two hostNetwork pods in turn: each keeps its identity' reuse node1 node2
check 'one source port, two pods with addresses of their own' reuse web db

background "$ENV_TMP/elsewhere" ready in_host "$ENV_BUILD/tests/who" "$NODE_V4" 7999
same 'a socket that was redirected once and goes elsewhere carries nothing along' \
  "peer=$NODE_V4:7999 error=ENOPROTOOPT" "$(seen web elsewhere "$NODE_V4" 7999)"

host_line=$(in_host "$CLIENT" plain "$NODE_V4" "$AGENT_PORT")
same 'a host process reaches the agent, unstamped' \
  "peer=$NODE_V4:$AGENT_PORT error=ENODATA" "${host_line%% v4=*}"
in_node ip addr add 169.254.169.254/32 dev lo
background "$ENV_TMP/real" ready in_host "$ENV_BUILD/tests/who" 169.254.169.254 80
same 'a host process reaches the real service' 'peer=169.254.169.254:80 error=ENOPROTOOPT' \
  "$(in_host "$CLIENT" plain 169.254.169.254 80 | sed 's/ v4=.*//')"
same 'so does the agent itself' 'peer=169.254.169.254:80 error=ENOPROTOOPT' \
  "$(in_agent "$CLIENT" plain 169.254.169.254 80 | sed 's/ v4=.*//')"
same 'a hostNetwork pod does not' \
  "$(answer node1 169.254.169.254:80 169.254.169.254:80)" "$(seen node1 plain 169.254.169.254 80)"

same 'one came from the node itself, unstamped' 1 "$(stat_of unstamped_node)"
if command -v java >/dev/null && command -v javac >/dev/null; then
  env_associations >"$ENV_TMP/associations.yaml"
  in_agent "$PODCRED" serve --agent "$NODE_V4:7778" --associations "$ENV_TMP/associations.yaml" \
    >"$ENV_TMP/serve.log" 2>&1 &
  wait_for 10 agent_is_up_at "$NODE_V4" 7778 || env_fail "$(cat "$ENV_TMP/serve.log")"
  podcred load --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:7778" \
    >/dev/null
  java=$(in_pod web java "$(dirname "$0")/Client.java" "http://$V4/v1/credentials" 2>&1)
  same 'a Java program gets the credentials of its pod' AKIAWEB \
    "$(jq -r .AccessKeyId <<<"$java" 2>/dev/null || echo "$java")"
else
  skip 'a Java program gets the credentials of its pod' 'no java and javac here'
fi

same 'no connection of a pod arrived unstamped' 0 "$(stat_of unstamped)"
same 'no connection pends' '[]' "$(podcred flows --json)"
tap_done
