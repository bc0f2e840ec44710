#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The resolver: new pods wait for nothing else that it does, and there is one of it.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

env_up
PAUSE=(env LD_PRELOAD="$ENV_BUILD/tests/pause.so" PAUSE_FIFO="$ENV_TMP/pause" PAUSE_BEGUN="$ENV_TMP/begun")
TWIN=$PIN_DIR-twin
FILE=$ENV_TMP/podcred.prom
ended() {
  local status=$?
  trap - EXIT
  find "$PIN_DIR/links" -mindepth 1 -type d -exec rmdir {} + 2>/dev/null
  [ ! -d "$TWIN" ] || "$PODCRED" unload --pin-dir "$TWIN" >/dev/null 2>&1
  env_clean
  exit $status
}
trap ended EXIT

# is_known NAME: the kernel has it, with its name
is_known() { podcred pods --json | jq -e --arg name "$1" 'any(.[]; .name == $name)'; }
begun() { [ -s "$ENV_TMP/begun" ]; }
# resolve_paused [CMD...]: the resolver, below CMD, whose first pause lasts until resume
resolve_paused() {
  env_podlist "$ENV_TMP/pods.json"
  rm -f "$ENV_TMP/begun" "$FILE"
  mkfifo "$ENV_TMP/pause"
  exec 8<>"$ENV_TMP/pause"
  nsenter --net="/run/netns/$NODE_NETNS" "$@" "${PAUSE[@]}" "$PODCRED" resolve --pin-dir "$PIN_DIR" \
    --kubepods "$KUBEPODS" --pods "$ENV_TMP/pods.json" --metrics "$FILE" >"$ENV_TMP/resolve.log" 2>&1 8>&- &
  RESOLVE_PID=$!
}
resume() { rm "$ENV_TMP/pause" && exec 8>&-; }
resolve_stop() {
  kill -"${1:-TERM}" "$RESOLVE_PID"
  wait "$RESOLVE_PID" 2>/dev/null
}
# Comes and is named while the walk of the metrics lasts.
comes_meanwhile() {
  check "$1: the walk for the metrics has to wait" wait_for 30 begun || cat "$ENV_TMP/resolve.log"
  pod_add "$2" burstable
  env_podlist "$ENV_TMP/pods.json"
  check "$1: a new pod has its name all the same" wait_for 20 is_known "$2"
  check "$1: and the resolver is not taken for dead" grep -q '^resolver *running' <(podcred status)
  check_not "$1: while the walk still lasts" test -e "$FILE"
  resume
  check "$1: which then ends" wait_for 30 test -s "$FILE"
}
metric() { sed -n "s/^$1 //p" "$FILE"; }

# ---- many interfaces without a program ----
pod_add web burstable
env_load >/dev/null || env_fail 'load failed'
for i in {1..20}; do
  in_node ip link add "late$i" type veth peer name "eth$i" netns "${POD_NETNS[web]}"
  in_node ip link set "late$i" up
done
"${PAUSE[@]}" nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" status --pin-dir "$PIN_DIR" --json >"$ENV_TMP/out"
same '20 interfaces without a program: status names each' 20 "$(jq '[.gaps[] | select(.kind == "interface")] | length' "$ENV_TMP/out")"
same 'and has waited for all of them at once, and once more for their ways' 6 "$(wc -l <"$ENV_TMP/begun")"
if podcred features --json 2>/dev/null | jq -e '.[] | select(.feature == "tcx") | .present' >/dev/null; then
  for i in {1..20}; do # a directory where the pin would be: nothing can be attached
    mkdir "$PIN_DIR/links/podcred_veth_$(in_node ip -o link show "late$i" | cut -d: -f1)"
  done
  resolve_paused
  comes_meanwhile '20 interfaces' db
  same '20 interfaces: the metrics count them' 20 "$(metric 'podcred_guard_gaps{kind="interface"}')"
  find "$PIN_DIR/links" -mindepth 1 -type d -exec rmdir {} +
  resolve_stop
else
  skip '20 interfaces: a new pod has its name all the same' 'interfaces have no pins without tcx'
fi
for i in {1..20}; do in_node ip link del "late$i"; done

# ---- another load, which is looked at again and again ----
mkdir -p "$ENV_CGROUP/more/kubepods" "$ENV_CGROUP/more/agent"
in_node "$PODCRED" load --pin-dir "$TWIN" --kubepods "$ENV_CGROUP/more/kubepods" \
  --agent-cgroup "$ENV_CGROUP/more/agent" --agent "$NODE_V4:7778" >/dev/null || env_fail 'load of the twin failed'
# By its configuration it guards what the first does.
read -ra config < <(bpftool -j map lookup pinned "$PIN_DIR/maps/podcred_config_v2" key 0 0 0 0 | jq -r '.value | join(" ")')
bpftool map update pinned "$TWIN/maps/podcred_config_v2" key 0 0 0 0 value "${config[@]}" || env_fail 'no other load'
# Links can be walked with CAP_SYS_ADMIN alone, which a resolver has where there is no CAP_BPF.
resolve_paused setpriv --bounding-set=-bpf
comes_meanwhile 'another load' cache
same 'another load: the metrics tell of it' 1 "$(metric 'podcred_guard_gaps{kind="other-load"}')"
resolve_stop
in_node "$PODCRED" unload --pin-dir "$TWIN" >"$ENV_TMP/out" 2>&1

# ---- one resolver, and no second ----
# Ours alone: other tests may attach meanwhile.
state() {
  local map link
  for map in "$PIN_DIR"/maps/*; do
    case $map in */podcred_cgroups | */podcred_events | */podcred_stats) continue ;; esac
    bpftool -j map dump pinned "$map" 2>&1
  done | md5sum
  for link in "$PIN_DIR"/links/*; do
    bpftool -j link show pinned "$link" | jq -c '{id, prog_id}'
  done
}
# refused WHAT PID CMD...: it fails with one line that names the pid and what to do; nothing has changed
refused() {
  local what=$1 pid=$2 before
  before=$(state)
  ("${@:3}") >"$ENV_TMP/out" 2>"$ENV_TMP/err"
  same "$what: is refused" 1 $?
  same "$what: with one line" "podcred: the pods of $PIN_DIR have a resolver$pid" "$(cat "$ENV_TMP/out" "$ENV_TMP/err")"
  same "$what: nothing has changed" "$before" "$(state)"
}
pid_text() { echo ": pid $1; end that one first (kill $1), or leave them to it"; }
resolve_too() { in_node "${@:2}" timeout 60 "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --metrics "$ENV_TMP/$1.prom"; }
# run_too [CMD...]: on another port, which would be seen if it were attached. Takes the shell's place.
run_too() {
  exec nsenter --net="/run/netns/$NODE_NETNS" "$@" "$PODCRED" run --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
    --agent "$NODE_V4:7779" --pods "$ENV_TMP/pods.json" --associations "$ENV_TMP/associations.yaml"
}
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")

env_resolve --metrics "$FILE"
check 'a resolver' wait_for 20 test -s "$FILE"
kill -STOP "$RESOLVE_PID" # who else writes to the maps is seen
wait_for 10 grep -q '^State:.*stopped' "/proc/$RESOLVE_PID/status"
refused 'a second one' "$(pid_text "$RESOLVE_PID")" resolve_too podcred
check "a second one: the first one's file stays" test -s "$FILE"
refused 'run beside it' "$(pid_text "$RESOLVE_PID")" run_too timeout 60
refused 'from a container' ', in another PID namespace (a container); end that one first, or leave them to it' \
  resolve_too podcred unshare --pid --fork --mount-proc
kill -CONT "$RESOLVE_PID"
check 'an upgrade in place beside it' env_load
pod_add late besteffort
env_podlist "$ENV_TMP/pods.json"
check 'it goes on: a new pod has its name' wait_for 20 is_known late
kill -STOP "$RESOLVE_PID"
wait_for 10 grep -q '^State:.*stopped' "/proc/$RESOLVE_PID/status"
refused 'a second one after the upgrade' "$(pid_text "$RESOLVE_PID")" resolve_too podcred
resolve_stop KILL
env_resolve
check 'after kill -9 the next one starts' is_known late
first=$RESOLVE_PID
podcred unload >/dev/null
env_load >/dev/null || env_fail 'load failed'
env_resolve
check 'unloaded and loaded again: one for what is loaded now starts' is_known late
resolve_stop
kill "$first"
wait "$first" 2>/dev/null

# ---- podcred run ----
runs() { grep -q 'resolver ready' "$ENV_TMP/run.log"; }
run_stop() {
  kill -"$1" "$RUN_PID"
  wait "$RUN_PID" 2>/dev/null
}
deserted() { [ -z "$(cat "$AGENT_CGROUP/cgroup.procs")" ]; }
env_run --keep
check 'run, with no resolver any more' wait_for 20 runs
resolver=$(pgrep -P "$RUN_PID" -x podcred-resolve)
kill -STOP "$resolver"
wait_for 10 grep -q '^State:.*stopped' "/proc/$resolver/status"
refused 'a resolver beside run' "$(pid_text "$RUN_PID")" resolve_too other
refused 'a second run' "$(pid_text "$RUN_PID")" run_too timeout 60
kill -KILL "$resolver" # the lock is not its own
resolver_again() { [ "$(grep -c 'resolver ready' "$ENV_TMP/run.log")" -eq 2 ]; }
check 'its child is started again' wait_for 20 resolver_again
check 'an upgrade in place beside run' env_load
pod_add last besteffort
env_podlist "$ENV_TMP/pods.json"
check 'its resolver goes on: a new pod has its name' wait_for 20 is_known last
run_stop KILL
env_run
check 'after kill -9 the next run starts' wait_for 20 runs
run_stop TERM
check 'the agent has ended' wait_for 10 deserted
podcred unload >/dev/null

# ---- two at once, and nothing is loaded ----
env_run
one=$RUN_PID
two_log=$ENV_TMP/two.log
run_too >"$two_log" 2>&1 &
two=$!
wait -n -p loser "$one" "$two"
same 'two runs at once, from nothing: one of them ends' 1 $?
winner_log=$two_log
[ "$loser" = "$one" ] || winner_log=$ENV_TMP/run.log
check 'the other goes on' wait_for 20 grep -q 'resolver ready' "$winner_log"
port=7777
[ "$loser" = "$two" ] || port=7779
check 'and what is attached is as it wants it' grep -q "^agent .*:$port\$" <(podcred status)
[ "$loser" = "$one" ] || kill "$one"
[ "$loser" = "$two" ] || kill "$two"
wait "$one" "$two" 2>/dev/null
tap_done
