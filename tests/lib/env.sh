#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# A node and its pods, for real: a network namespace that plays the host's, one for each pod,
# cgroups named as the kubelet names them below a cgroup of our own, and podcred on top. Sourced by
# the end-to-end tests, the demo and the benchmark.
#
#   env_up [LAYOUT]           node namespace, bridge, kubepods cgroups (LAYOUT: cgroupfs | systemd)
#   pod_add NAME QOS [host]   QOS: guaranteed burstable besteffort; host: on the node's network
#   pod_end NAME              its cgroup goes; the next PodList does not have it
#   env_podlist FILE          PodList of all pods so far
#   in_pod NAME CMD...        run in the pod's cgroup (a container in it) and network namespace
#   in_agent CMD...           run in the agent's cgroup and the node's network namespace
#   in_node CMD...            run in the node's network namespace
#   resolver_since, resolver_wait SINCE; agent_is_up, agent_is_up_at ADDRESS [PORT]: what is ready
#   env_run [OPTION...]       podcred run on the files in $ENV_TMP, as ENV_RUN says; not waited for
#   wait_for SECONDS CMD...   until CMD succeeds, for at most WAIT_FACTOR (3) times as long; then its last words are shown
#   background FILE WORD CMD  CMD runs on, what it says goes to FILE; returns when WORD is there
#   xdp_on DEV native|generic somebody else's XDP program on an interface of the node; xdp_off
#   link_cut PROGRAM          the program off its hook, and its pin away
#   cgroup_signal DIR SIGNAL  end the processes of a cgroup, and wait for that
#   ENV_EMPTY                 "${ENV_EMPTY[@]}" CMD: without our environment, but for what a build with sanitizers needs
#   env_clean                 everything away, in the middle of a script
#   env_down                  everything away again; also on exit and on Ctrl-C
#
# All that is made carries $ENV_ID; nothing else on the machine is touched.

ENV_ID=pc$$
ENV_UID=$((100000 + $$)) # an agent's that no other test has
ENV_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ENV_BUILD=${O:-$ENV_ROOT/build}
PODCRED=${PODCRED:-$ENV_BUILD/podcred}
NODE_V4=10.99.0.1
NODE_V6=fd99::1
AGENT_PORT=7777
PIN_DIR=${PIN_DIR:-/sys/fs/bpf/podcred-$ENV_ID}

ENV_EMPTY=(env -i PATH="$PATH" HOME=/nonexistent)
for variable in ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS LLVM_PROFILE_FILE; do
  [ -z "${!variable:-}" ] || ENV_EMPTY+=("$variable=${!variable}")
done

declare -A POD_UID POD_CGROUP POD_NETNS POD_IP POD_IP6 POD_HOST POD_CLASS POD_META POD_ACCOUNT POD_NAMESPACE
POD_COUNT=0

note() { printf '# %s\n' "$*"; }

env_fail() {
  printf 'env: %s\n' "$*" >&2
  exit 1
}

cgroup_mount() {
  awk '$3 == "cgroup2" && !found { print $2; found = 1 }' /proc/mounts
}

env_up() {
  [ "$(id -u)" -eq 0 ] || env_fail 'needs root: namespaces, cgroups and BPF'
  ENV_LAYOUT=${1:-cgroupfs}
  CGROUP_MOUNT=$(cgroup_mount)
  [ -n "$CGROUP_MOUNT" ] || env_fail 'no cgroup2 mount'
  ENV_CGROUP=$CGROUP_MOUNT/$ENV_ID
  trap env_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  ENV_TMP=$(mktemp -d)
  case $ENV_LAYOUT in
  cgroupfs) KUBEPODS=$ENV_CGROUP/kubepods ;;
  systemd) KUBEPODS=$ENV_CGROUP/kubepods.slice ;;
  *) env_fail "no layout $ENV_LAYOUT" ;;
  esac
  AGENT_CGROUP=$ENV_CGROUP/agent
  mkdir -p "$KUBEPODS" "$AGENT_CGROUP" "$ENV_CGROUP/host"
  NODE_NETNS=$ENV_ID-node
  ip netns add "$NODE_NETNS"
  in_node ip link set lo up
  # an address of its own: otherwise it changes with each pod, and the others send to the old one
  in_node ip link add br0 address 02:00:00:00:99:01 type bridge
  in_node ip addr add "$NODE_V4/16" dev br0
  in_node ip -6 addr add "$NODE_V6/64" dev br0 nodad
  in_node ip link set br0 up
}

qos_dir() {
  case $ENV_LAYOUT-$1 in
  *-guaranteed) echo "$KUBEPODS" ;;
  cgroupfs-*) echo "$KUBEPODS/$1" ;;
  systemd-*) echo "$KUBEPODS/kubepods-$1.slice" ;;
  esac
}

# The kubelet's name for a pod's cgroup.
pod_dir() {
  local qos=$1 uid=$2
  case $ENV_LAYOUT-$qos in
  cgroupfs-*) echo "$(qos_dir "$qos")/pod$uid" ;;
  systemd-guaranteed) echo "$KUBEPODS/kubepods-pod${uid//-/_}.slice" ;;
  systemd-*) echo "$(qos_dir "$qos")/kubepods-$qos-pod${uid//-/_}.slice" ;;
  esac
}

pod_add() {
  local name=$1 qos=$2 mode=${3:-} uid n
  POD_COUNT=$((POD_COUNT + 1))
  n=$POD_COUNT
  uid=$(cat /proc/sys/kernel/random/uuid)
  POD_UID[$name]=$uid
  POD_CLASS[$name]=$qos
  POD_CGROUP[$name]=$(pod_dir "$qos" "$uid")
  mkdir -p "${POD_CGROUP[$name]}/container"
  if [ "$mode" = host ]; then
    POD_HOST[$name]=true POD_NETNS[$name]=$NODE_NETNS POD_IP[$name]=$NODE_V4
    return
  fi
  POD_HOST[$name]=false POD_NETNS[$name]=$ENV_ID-p$n
  POD_IP[$name]=10.99.$((n / 250 + 1)).$((n % 250 + 1)) POD_IP6[$name]=fd99::1:$n
  ip netns add "${POD_NETNS[$name]}"
  in_node ip link add "v$n" type veth peer name eth0 netns "${POD_NETNS[$name]}"
  in_node ip link set "v$n" master br0 up
  in_netns "${POD_NETNS[$name]}" ip link set lo up
  in_netns "${POD_NETNS[$name]}" ip link set eth0 up
  in_netns "${POD_NETNS[$name]}" ip addr add "${POD_IP[$name]}/16" dev eth0
  in_netns "${POD_NETNS[$name]}" ip -6 addr add "${POD_IP6[$name]}/64" dev eth0 nodad
  in_netns "${POD_NETNS[$name]}" ip route add default via "$NODE_V4"
}

pod_end() {
  find "${POD_CGROUP[$1]}" -depth -type d -exec rmdir {} +
  unset "POD_UID[$1]"
}

# Namespace POD_NAMESPACE[NAME], else shop; service account = POD_ACCOUNT[NAME] (empty: none), else the name of the pod. POD_META[NAME]: more of its metadata, as JSON, like
# '"labels":{"app":"web"}'.
env_podlist() {
  local name sep=
  {
    printf '{"kind":"PodList","apiVersion":"v1","items":['
    for name in "${!POD_UID[@]}"; do
      printf '%s{"metadata":{"name":"%s","namespace":"%s","uid":"%s"%s},' \
        "$sep" "$name" "${POD_NAMESPACE[$name]:-shop}" "${POD_UID[$name]}" "${POD_META[$name]:+,${POD_META[$name]}}"
      printf '"spec":{"serviceAccountName":"%s","hostNetwork":%s}}' "${POD_ACCOUNT[$name]-$name}" "${POD_HOST[$name]}"
      sep=,
    done
    printf ']}\n'
  } >"$1.tmp"
  mv "$1.tmp" "$1"
}

# Not "ip netns exec": that mounts a new /sys, which hides bpffs and the cgroups.
in_netns() { nsenter --net="/run/netns/$1" "${@:2}"; }
in_node() { in_netns "$NODE_NETNS" "$@"; }

in_cgroup() {
  (
    echo 0 >"$1/cgroup.procs" || exit 125
    exec nsenter --net="/run/netns/$2" "${@:3}"
  )
}

in_pod() { in_cgroup "${POD_CGROUP[$1]}/container" "${POD_NETNS[$1]}" "${@:2}"; }
in_agent() { in_cgroup "$AGENT_CGROUP" "$NODE_NETNS" "$@"; }
in_host() { in_cgroup "$ENV_CGROUP/host" "$NODE_NETNS" "$@"; }

# In the node's network namespace: interfaces can be looked at there alone.
podcred() { in_node "$PODCRED" "$1" --pin-dir "$PIN_DIR" "${@:2}"; }

# In the node's network namespace: that is where the packet filter attaches.
env_load() {
  in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
    --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT" "$@"
}

# Since when a resolver follows the pods, by the kernel's word; 0: none does.
resolver_since() {
  podcred status --json | sed -n 's/.*"readyNs": *\([0-9]*\).*/\1/p'
}
resolver_is_new() {
  local since
  since=$(resolver_since)
  [ "${since:-0}" != 0 ] && [ "$since" != "$1" ]
}
# resolver_wait SINCE: a resolver is ready that is not the one of SINCE
resolver_wait() { wait_for 10 resolver_is_new "$1"; }

# The resolver in the background, ready when this returns.
env_resolve() {
  local before
  before=$(resolver_since)
  env_podlist "$ENV_TMP/pods.json"
  nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" resolve --pin-dir "$PIN_DIR" \
    --kubepods "$KUBEPODS" --pods "$ENV_TMP/pods.json" "$@" >"$ENV_TMP/resolve.log" 2>&1 &
  RESOLVE_PID=$!
  resolver_wait "$before" || env_fail "the resolver is not ready: $(cat "$ENV_TMP/resolve.log")"
}

# An associations file that gives pod NAME the role NAME-role and a key that names it.
env_associations() {
  local name
  echo 'associations:'
  for name in "${!POD_UID[@]}"; do
    cat <<YAML
  - namespace: shop
    serviceAccount: $name
    role: $name-role
    accountId: "111122223333"
    static:
      accessKeyId: AKIA${name^^}
      secretAccessKey: secret-of-$name
      sessionToken: token-of-$name
YAML
  done
}

# agent_answers ADDRESS PORT: it says that it is well
agent_answers() {
  local line
  exec {fd}<>"/dev/tcp/$1/$2" || return
  printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&$fd
  IFS= read -r -t 5 line <&$fd
  [[ $line == 'HTTP/1.1 200 '* ]]
}
export -f agent_answers
# shellcheck disable=SC2016 # the inner shell expands it
agent_is_up_at() { in_host bash -c 'agent_answers "$@"' - "$1" "${2:-$AGENT_PORT}"; }
agent_is_up() { agent_is_up_at "$NODE_V4" && agent_is_up_at "$NODE_V6"; }

# The agent in the background, ready when this returns.
env_serve() {
  (
    umask 077
    env_associations >"$ENV_TMP/associations.yaml"
  )
  if [ "${1:-}" = --user ]; then
    chown "$2" "$ENV_TMP/associations.yaml"
    chmod 711 "$ENV_TMP"
  fi
  in_agent "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT" \
    --associations "$ENV_TMP/associations.yaml" "$@" >"$ENV_TMP/serve.log" 2>&1 &
  wait_for 10 agent_is_up || env_fail "the agent is not up: $(cat "$ENV_TMP/serve.log")"
  SERVE_PID=$(head -n 1 "$AGENT_CGROUP/cgroup.procs") # $! is the shell around it
}

# podcred run in the background: RUN_PID, run.log. ENV_RUN: its program, with what goes before it.
ENV_RUN=("$PODCRED")
env_run() {
  nsenter --net="/run/netns/$NODE_NETNS" "${ENV_RUN[@]}" run --pin-dir "$PIN_DIR" \
    --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --pods "$ENV_TMP/pods.json" \
    --associations "$ENV_TMP/associations.yaml" "$@" >"$ENV_TMP/run.log" 2>&1 &
  RUN_PID=$!
}

# By the time since the boot: how long CMD takes counts, and no step of the clock does.
wait_for() {
  local wait_now wait_end
  read -r wait_now _ </proc/uptime
  wait_end=$((${wait_now%.*} + $1 * ${WAIT_FACTOR:-3} + 1))
  shift
  until "$@" >/dev/null 2>&1; do
    read -r wait_now _ </proc/uptime
    if [ "${wait_now%.*}" -ge "$wait_end" ]; then
      "$@" >&2
      return
    fi
    sleep 0.05
  done
}

# Emptied here: CMD does it only when it gets to run, and until then the last one's WORD is there.
background() {
  : >"$1"
  "${@:3}" >"$1" 2>&1 &
  wait_for 10 grep -q "$2" "$1" || env_fail "no '$2' of ${*:3}: $(cat "$1")"
}

xdp_on() {
  background "$ENV_TMP/xdp" ready nsenter --net="/run/netns/$NODE_NETNS" python3 "$ENV_ROOT/tests/lib/path.py" xdp "$@"
  XDP_PID=$!
}
xdp_off() { kill "$XDP_PID" && wait "$XDP_PID"; }

# Only a detach is done when it returns: a link whose last pin goes stays for some milliseconds.
# The tracepoints' (podcred_cg*) know no detach.
link_cut() {
  [[ $1 == podcred_cg* ]] || bpftool link detach pinned "$PIN_DIR/links/$1" || env_fail "link_cut $1"
  rm "$PIN_DIR/links/$1"
}

# Every process right in cgroup DIR gets SIGNAL; returns when they are gone.
cgroup_signal() {
  local pid pids
  mapfile -t pids <"$1/cgroup.procs" # whole before the first is killed: it is read by position
  for pid in "${pids[@]}"; do kill "-$2" "$pid"; done
  wait_for 10 cgroup_deserted "$1" || env_fail "processes of $1 do not end"
}
# A process leaves the listing before its sockets are closed: populated is what counts.
cgroup_deserted() { grep -q '^populated 0' "$1/cgroup.events"; }

cgroup_empty() { [ -z "$(find "$ENV_CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; }

# cgroup.kill came with Linux 5.14.
env_kill() {
  local pids
  if [ -e "$ENV_CGROUP/cgroup.kill" ]; then
    echo 1 >"$ENV_CGROUP/cgroup.kill"
    return
  fi
  while mapfile -t pids < <(find "$ENV_CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null) && [ ${#pids[@]} -gt 0 ]; do
    kill -KILL "${pids[@]}" 2>/dev/null
    sleep 0.05
  done
}

# Everything away, and ready for another env_up.
env_clean() {
  local job ns
  for job in $(jobs -p); do kill "$job" 2>/dev/null; done
  if [ -d "${ENV_CGROUP:-}" ]; then
    env_kill
    wait_for 5 cgroup_empty
  fi
  wait 2>/dev/null
  [ ! -d "$PIN_DIR" ] || "$PODCRED" unload --pin-dir "$PIN_DIR" >/dev/null
  [ ! -d "${ENV_CGROUP:-}" ] || find "$ENV_CGROUP" -depth -type d -exec rmdir {} +
  for ns in /run/netns/"$ENV_ID"-*; do
    [ ! -e "$ns" ] || ip netns del "${ns##*/}"
  done
  [ -z "${ENV_TMP:-}" ] || rm -rf "$ENV_TMP"
  POD_UID=() POD_CGROUP=() POD_NETNS=() POD_IP=() POD_IP6=() POD_HOST=() POD_CLASS=() POD_META=() POD_ACCOUNT=() POD_NAMESPACE=()
  POD_COUNT=0
}

env_down() {
  local status=$?
  trap - EXIT
  trap '' INT TERM # who is impatient must not end this half-way
  env_clean
  exit $status
}
