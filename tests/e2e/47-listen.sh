#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The agent on a node that lacks something: an address family, or descriptors. It serves what it can,
# says what is missing, and takes it when it comes.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

STARVE=$ENV_BUILD/tests/starve
V4=169.254.170.23
V6=fd00:ec2::23
LATE_V4=10.99.0.77
FILES=256 # of 2560 that the agent needs

# serve_with ADDRESS... [-- COMMAND...]: in the background, COMMAND around it
serve_with() {
  local args=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    args+=(--agent "$1")
    shift
  done
  shift
  in_agent "$@" "$PODCRED" serve "${args[@]}" --associations "$ENV_TMP/associations.yaml" >"$ENV_TMP/serve.log" 2>&1
}
key() { in_pod web curl -sg --max-time 20 "http://$1/v1/credentials" | jq -r .AccessKeyId; }
said() { grep -cE "$1" "$ENV_TMP/serve.log"; }
agent_gone() { [ -z "$(cat "$AGENT_CGROUP/cgroup.procs")" ]; }
agent_stop() { cgroup_signal "$AGENT_CGROUP" TERM; }

env_up cgroupfs
pod_add web burstable
pod_add evil besteffort
env_load >/dev/null || env_fail 'load failed'
env_resolve
(
  umask 077
  env_associations >"$ENV_TMP/associations.yaml"
)

# ---- IPv6 is disabled ----
in_node sysctl -qw net.ipv6.conf.all.disable_ipv6=1
serve_with "$NODE_V4:$AGENT_PORT" "[$NODE_V6]:$AGENT_PORT" -- &
check 'without IPv6 on the node, the agent is there' wait_for 10 agent_is_up_at "$NODE_V4" ||
  sed 's/^/# /' "$ENV_TMP/serve.log"
same 'and serves IPv4' AKIAWEB "$(key $V4)"
check 'it says what is missing' grep -qE \
  "warn.*cannot listen on \[$NODE_V6\]:$AGENT_PORT: .*IPv6 is disabled.*tries again" "$ENV_TMP/serve.log"
same 'what it listens on is ready, and no more' 1 "$(said 'agent ready on')"
in_node sysctl -qw net.ipv6.conf.all.disable_ipv6=0
in_node ip -6 addr add "$NODE_V6/64" dev br0 nodad
check 'IPv6 comes: the agent listens there' wait_for 60 agent_is_up_at "$NODE_V6"
same 'and serves it' AKIAWEB "$(key "[$V6]")"
same 'and says so' 1 "$(said "agent ready on \[$NODE_V6\]")"
same 'it has warned once' 1 "$(said 'cannot listen')"
agent_stop

# ---- the other family ----
serve_with "$LATE_V4:$AGENT_PORT" "[$NODE_V6]:$AGENT_PORT" -- &
check 'without its IPv4 address, the agent serves IPv6' wait_for 10 agent_is_up_at "$NODE_V6"
same 'it says so' 1 "$(said "cannot listen on $LATE_V4:$AGENT_PORT: .*tries again")"
in_node ip addr add "$LATE_V4/32" dev lo
check 'the address comes: the agent listens there' wait_for 60 agent_is_up_at "$LATE_V4"
agent_stop

# ---- neither ----
check_not 'an agent without any address ends' serve_with 10.99.0.78:7 '[fd99::78]:7' --
check 'and says why' grep -qE 'cannot listen on 10.99.0.78:7: ' "$ENV_TMP/serve.log"

# ---- few descriptors ----
serve_with "$NODE_V4:$AGENT_PORT" "[$NODE_V6]:$AGENT_PORT" -- prlimit --nofile=$FILES:$FILES &
check 'with few descriptors, the agent is there' wait_for 10 agent_is_up
same 'and says how many, and what follows' 1 \
  "$(said "no more than $FILES files .* 2560 are needed.* takes 87 connections")"
in_pod evil "$STARVE" hold $V4 80 $((FILES * 2)) >"$ENV_TMP/hold" &
held() { grep -q ready "$ENV_TMP/hold"; }
check 'a pod wants twice as many connections' wait_for 60 held
same 'another is answered' 'ok=20 failed=0' "$(in_pod web "$STARVE" ask $V4 80 20 new AKIAWEB)"
check 'and so is a health check' agent_is_up
agent_stop
check 'it ends' wait_for 10 agent_gone

# The metrics' connections and what the agent has open anyway are part of the limit.
serve_with "$NODE_V4:$AGENT_PORT" "[$NODE_V6]:$AGENT_PORT" -- prlimit --nofile=64:64 &
check 'with 64 descriptors, the agent is there' wait_for 10 agent_is_up
metrics() { in_node curl -sS --interface 127.0.0.2 --max-time 20 http://127.0.0.1:7778/metrics; }
check 'and its metrics' wait_for 10 metrics
nsenter --net="/run/netns/$NODE_NETNS" "$STARVE" hold 127.0.0.1 7778 64 >"$ENV_TMP/hold-metrics" &
held_both() {
  grep -q ready "$ENV_TMP/hold-metrics" &&
    [ "$(in_node ss -Htn state established "sport = :$AGENT_PORT" | wc -l)" -ge 12 ]
}
check 'the pod and a process of the node want more than there are' wait_for 60 held_both
same 'another pod is answered' 'ok=20 failed=0' "$(in_pod web "$STARVE" ask $V4 80 20 new AKIAWEB)"
check 'and so is a health check' agent_is_up
check 'and Prometheus, which has another address' metrics
agent_stop
check 'it ends again' wait_for 10 agent_gone
check_not 'with 32 the agent does not start' serve_with "$NODE_V4:$AGENT_PORT" -- timeout 10 prlimit --nofile=32:32
check 'and says how many it needs' grep -qE \
  'no more than 32 files may be open .*at least 48; raise LimitNOFILE' "$ENV_TMP/serve.log"
tap_done
