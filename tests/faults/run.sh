#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The fault suite: podcred's parts die, come back and are replaced while pods connect and attack.
# Nobody may get another pod's identity, and no packet may reach the real metadata service.
#
#   run.sh [--markdown FILE] [--hole PROGRAM]
set -u
# A BPF file system of its own: one fault is about that.
BPFFS=$(mktemp -d)
mount -t bpf bpf "$BPFFS" || exit 1
PIN_DIR=$BPFFS/podcred
# shellcheck source=tests/bypass/lib.sh
. "$(dirname "$0")/../bypass/lib.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

LOAD=$ENV_ROOT/tests/faults/load.py
PREVIOUS=6063f33 # the last one whose configuration map had another layout
MARKDOWN='' HOLE=''
while [ $# -ge 2 ]; do
  case $1 in
  --markdown) MARKDOWN=$2 ;;
  --hole) HOLE=$2 ;;
  *) env_fail "unknown option $1" ;;
  esac
  shift 2
done
declare -A ROW
ROWS=()

faults_down() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  [ "$(grep -c " $BPFFS " /proc/mounts)" -lt 2 ] || umount "$BPFFS"
  env_clean
  umount "$BPFFS"
  rmdir "$BPFFS"
  rm -rf "${previous:-}"
  exit "$status"
}
trap faults_down EXIT
nodes_up() {
  bypass_up
  trap faults_down EXIT
}

# ---- the load, and what came of it ----
reached() {
  python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
print(int.from_bytes(s.recv(8), sys.byteorder))' "$BYPASS_COUNTER"
}

load_up() {
  local pod
  rm -f "$ENV_TMP"/load-*
  for pod in web other hosted; do
    in_pod $pod python3 "$LOAD" "${POD_UID[$pod]}" "$1" >"$ENV_TMP/load-$pod" 2>&1 &
  done
  for pod in web other hosted; do
    wait_for 10 grep -q ready "$ENV_TMP/load-$pod" || env_fail "load: $(cat "$ENV_TMP/load-$pod")"
  done
}

load_down() {
  local pod
  for pod in web other hosted; do cgroup_signal "${POD_CGROUP[$pod]}/container" TERM; done
}

total() { cat "$ENV_TMP"/load-* | grep -o "\b$1=[0-9]*" | awk -F= '{ n += $2 } END { print n + 0 }'; }

# fault NAME COMMAND... ; under the load, with the figures checked
fault() {
  local name=$1 before packets
  shift
  before=$(reached)
  load_up "${LOAD_KIND:-attack}"
  "$@"
  load_down
  packets=$(($(reached) - before))
  note "$name: $(total tried) tried, $(total ok) ok, $(total failed) failed," \
    "$(total unstamped) unstamped, $(total wrong) wrong, $packets packets arrived"
  check "$name: pods connected" test "$(total tried)" -gt 10 # a second each where all is dropped
  same "$name: nobody got another pod's identity" 0 "$(total wrong)"
  same "$name: nobody arrived without an identity" 0 "$(total unstamped)"
  same "$name: no connection to the real service" 0 "$(total real)"
  same "$name: no packet reached it" 0 "$packets"
  ROWS+=("$name")
  ROW[$name]="$(total tried) | $(total ok) | $(total wrong) | $packets"
}

# ---- the parts ----
load_start() {
  in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
    --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:$AGENT_PORT" \
    --agent "[$NODE_V6]:$AGENT_PORT" "$@" >"$ENV_TMP/load" 2>&1
}
load_again() { check "$1" load_start || note "$(cat "$ENV_TMP/load")"; }

loader_dies() {
  local pid
  for _ in $(seq "${1:-12}"); do
    nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" load --pin-dir "$PIN_DIR" \
      --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:$AGENT_PORT" \
      --agent "[$NODE_V6]:$AGENT_PORT" >/dev/null 2>&1 &
    pid=$!
    sleep "0.$((RANDOM % 30 + 10))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
  done
}
resolver_dies() {
  kill -9 "$RESOLVE_PID" 2>/dev/null
  wait "$RESOLVE_PID" 2>/dev/null
}
agent_dies() { cgroup_signal "$AGENT_CGROUP" KILL; }
times() { for _ in $(seq "$1"); do "${@:2}"; done; }

resolver_again() {
  resolver_dies
  sleep 0.5
  env_resolve
}
agent_again() {
  agent_dies
  sleep 0.5
  bypass_agent
}
two_die() {
  for part in "$@"; do "${part}_dies" 3; done
  sleep 0.5
  for part in "$@"; do
    case $part in
    resolver) env_resolve ;;
    agent) bypass_agent ;;
    loader) load_again 'the loader, after it was killed' ;;
    esac
  done
}
all_dead() {
  resolver_dies
  agent_dies
  loader_dies 3
  sleep 2
}
two_loaders() {
  local loaded=0
  for _ in $(seq 10); do
    load_start &
    load_start && loaded=$((loaded + 1))
    wait $! && loaded=$((loaded + 1))
  done
  check "two loaders at once: one of them loads ($loaded of 20)" test $loaded -ge 10
}

# ---- cgroups removed and recreated ----
pods_gone() {
  local pod
  for pod in web other hosted; do echo 1 >"${POD_CGROUP[$pod]}/cgroup.kill"; done
  for pod in web other hosted; do wait_for 5 cgroup_deserted "${POD_CGROUP[$pod]}"; done
  find "$KUBEPODS" -depth -type d -exec rmdir {} +
}
pods_back() {
  local pod
  mkdir -p "$KUBEPODS/burstable"
  for pod in web other hosted; do mkdir -p "${POD_CGROUP[$pod]}/container"; done
}
guard_again() { podcred status --json | jq -e .complete; }
kubepods_again() {
  pods_gone
  sleep 0.2
  pods_back
}

nodes_up
# Without podcred all of it arrives, or the zeros below would say nothing.
before=$(reached)
load_up attack
sleep 1
load_down
check 'without podcred: connections reach the real service' test "$(total real)" -gt 50
check 'without podcred: and so do packets' test $(($(reached) - before)) -gt 100
note "without podcred: $(total sent) attacks sent, $(($(reached) - before)) packets arrived"
bypass_load
bypass_agent
[ -z "$HOLE" ] || link_cut "podcred_${HOLE#podcred_}"
fault 'no fault' sleep 2
check 'connections do reach the agent' test "$(total ok)" -gt 50
fault 'loader killed, 12 times' loader_dies
load_again 'and loads after that'
fault 'resolver killed, 3 times' times 3 resolver_again
fault 'agent killed, 3 times' times 3 agent_again
fault 'loader and resolver killed' two_die loader resolver
fault 'loader and agent killed' two_die loader agent
fault 'resolver and agent killed' two_die resolver agent
fault 'all dead' all_dead
env_resolve
bypass_agent
fault 'two loaders at once, 10 times' two_loaders
load_again 'and one after them'

# The load ends with the pods, and begins again in the new ones: before anybody has attached there.
kubepods_again
fault 'kubepods recreated' sleep 2
check 'kubepods recreated: guarded again' wait_for 10 guard_again
resolver_dies
kubepods_again
fault 'kubepods recreated, no resolver running' sleep 2
same 'kubepods recreated, nobody there: nobody was served' 0 "$(total ok)"
env_resolve
check 'and the resolver attaches when it is back' wait_for 10 guard_again
agent_dies
rmdir "$AGENT_CGROUP"
mkdir "$AGENT_CGROUP"
check "the agent's cgroup recreated: covered" wait_for 10 guard_again
bypass_agent
fault "agent's cgroup recreated" sleep 1
check "agent's cgroup recreated: pods are served" test "$(total ok)" -gt 20

# ---- programs of others, that share the hook ----
foreign_programs() {
  "$ENV_BUILD/tests/exclusive" attach "$KUBEPODS" multi
  "$ENV_BUILD/tests/exclusive" attach "$ENV_CGROUP" multi
  load_again 'loads beside programs of others'
  sleep 0.5
  foreign_gone
}
# Of one cgroup, the program that is not ours.
foreign_gone() {
  local id dir
  for dir in "$KUBEPODS" "$ENV_CGROUP"; do
    id=$(bpftool -j cgroup show "$dir" | jq -r '.[] | select(.name == "foreign") | .id')
    check "the foreign program of ${dir##*/} goes" bpftool cgroup detach "$dir" connect6 id "$id"
  done
}
fault 'programs of others come and go' foreign_programs

# ---- bpffs ----
check 'another bpffs over the pins' mount -t bpf bpf "$BPFFS"
fault 'another bpffs mounted over the pins' sleep 1
umount "$BPFFS"
load_again 'loads after that'
env_clean

# ---- upgrade from the last release of the other layout ----
# LOAD_KIND: that one has no packet filter, so there is nothing to say about attacks.
previous_build() {
  git -C "$ENV_ROOT" archive "$PREVIOUS" 2>/dev/null | tar -x -C "$1" 2>/dev/null &&
    make -s -C "$1" -j2 O=build build/podcred >"$1/log" 2>&1
}
previous=$(mktemp -d)
if previous_build "$previous"; then
  nodes_up
  PODCRED=$previous/build/podcred load_start || env_fail "the previous one: $(cat "$ENV_TMP/load")"
  # it does not say in the kernel that it is there, as the present one does
  env_podlist "$ENV_TMP/pods.json"
  background "$ENV_TMP/resolve.log" 'resolver ready' nsenter --net="/run/netns/$NODE_NETNS" \
    "$previous/build/podcred" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
    --pods "$ENV_TMP/pods.json"
  RESOLVE_PID=$!
  bypass_agent
  upgrade() {
    sleep 0.5
    load_again 'upgrade over another layout'
    sleep 0.5
  }
  LOAD_KIND=connect fault 'upgrade from the previous layout' upgrade
  check 'the upgrade: nothing of the old one is left' test ! -e "$PIN_DIR/maps/podcred_config"
  LOAD_KIND=connect fault 'after the upgrade' sleep 1
  check 'after the upgrade: pods are served' test "$(total ok)" -gt 20
  env_clean
else
  skip 'upgrade from the previous layout' "commit $PREVIOUS cannot be built here: a shallow clone?"
fi

markdown() {
  local row
  cat <<MD
# Faults

Generated by \`make docs/faults.md\`; the tests are in \`tests/faults\`. While three pods, one of them
hostNetwork, connected to guarded addresses as fast as they could and sent packets that bypass the socket hooks,
podcred was subjected to these faults. *Served* connections reached the agent with the right identity;
the rest failed. *Wrong* connections had another pod's identity, and *arrived* packets reached
the real metadata service. Both must be 0.

| fault | connections tried | served | wrong | arrived |
| --- | --- | --- | --- | --- |
MD
  for row in "${ROWS[@]}"; do echo "| $row | ${ROW[$row]} |"; done
  cat <<'MD'

One fault is not in the table, because nothing protects against it: when the pins are removed, or the BPF file
system that has them is unmounted for good, the programs are gone at once. They have no other reference.
MD
}
[ -z "$MARKDOWN" ] || markdown >"$MARKDOWN"
tap_done
