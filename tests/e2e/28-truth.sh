#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What load, unload, status, doctor and metrics say when the guard is not what its pins suggest: another
# load is attached as well, or hidden; pods are in another kubepods, or outside of any.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

V4=169.254.170.23

answer() { in_pod web curl -s -o /dev/null -w '%{http_code}' --max-time 20 http://$V4/v1/credentials; }
refused() { in_pod web curl -s -o /dev/null --max-time 20 http://$V4/v1/credentials; [ $? -eq 7 ]; }
# Loads without a word and keeps both outputs.
load() { env_load "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; }
# On the kubepods of this test, whatever others have attached elsewhere at the same time.
# shellcheck disable=SC2086 # words
unload() { in_node ${BARE:-} "$PODCRED" unload --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; }
# shellcheck disable=SC2086 # words
status() { in_node ${BARE:-} "$PODCRED" status --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; }
complete() { status || { head -n 12 "$ENV_TMP/out" "$ENV_TMP/err" && return 1; }; }
# A BPF file system over the one with the pins, as a second mount of /sys/fs/bpf does it.
hide() { mount -t bpf -o mode=700 bpf "$BPFFS" || env_fail 'cannot mount a BPF file system'; }
# A resolver lets go of the file system soon after an unload.
unhide() { wait_for 10 umount "$BPFFS" || env_fail "$BPFFS cannot be unmounted"; }
doctor() { in_node "$PODCRED" doctor --no-probe --json --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" >"$ENV_TMP/report"; }
says() { grep -q -e "$1" "$ENV_TMP/out" "$ENV_TMP/err" || { cat "$ENV_TMP/out" "$ENV_TMP/err" && return 1; }; }
gaps() { podcred status --json | jq -r '[.gaps[].kind] | join(" ")'; }
metric() { podcred metrics | sed -n "s/^$1 //p"; }
# CHECK REGEX ; of the report that doctor left
finds() { jq -re ".[] | select(.check == \"$1\" and .result == \"fail\") | .text + \"; \" + .next" "$ENV_TMP/report" | grep -e "$2" ||
  { jq -c .[] "$ENV_TMP/report" && return 1; }; }
status_has() { podcred status | grep -E "$1"; }
ours_attached() { bpftool cgroup tree "$ENV_CGROUP" 2>/dev/null | grep -c ' podcred_'; }

env_up systemd
BPFFS=/sys/fs/bpf/$ENV_ID-fs
PIN_DIR=$BPFFS/podcred
mkdir "$BPFFS"
ended() {
  local status=$?
  trap - EXIT INT TERM
  ! mountpoint -q "$BPFFS" || umount "$BPFFS"
  env_clean
  rmdir "$BPFFS"
  exit $status
}
trap ended EXIT
pod_add web burstable
pod_add netd besteffort host
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve
same 'a pod gets its credentials' 200 "$(answer)"
check 'nothing keeps the guard from being complete' complete
check 'a program for uplinks, on a node without one, is not called missing' \
  status_has 'podcred_uplink +on no interface '

# ---- a load that knows no path past the bridge ----
rm "$PIN_DIR/maps/podcred_paths"
status
same 'a load of an older version: status fails' '1 path' "$? $(gaps)"
check 'and says what is lost, and what to do' says \
  'interface v1 comes to the agent across br0, as the load is of an older version: .*; run podcred load again'
env_load >/dev/null || env_fail 'load failed'
check 'loaded again: complete' complete

# ---- the pins are hidden: a BPF file system is mounted over them ----
hide
doctor
check 'hidden pins: doctor does not advise to load beside them' finds guard \
  "[0-9]* programs of another podcred load are attached (podcred_.* on .*$ENV_ID.*), pinned where nobody sees it; umount what hides"
status
same 'status fails' 1 $?
check 'and says the same' says "nothing is pinned in $PIN_DIR, but [0-9]* programs of another podcred load"
load
same 'a second load is refused' 1 $?
check 'and names what is attached and what to do' says \
  '[0-9]* programs of another podcred load are attached.*umount what hides its pins.*load --take-over'
check_not 'nothing of it is left' test -e "$PIN_DIR"
same 'and the pods are served as before' 200 "$(answer)"
unload
same 'unload does not say that nothing is guarded' 1 $?
check 'but what still is, and how to end it' says \
  '[0-9]* programs of another podcred load are attached.*podcred unload --others'
BARE='setpriv --bounding-set -sys_admin' unload
same 'nor without CAP_SYS_ADMIN' 3 $?
check 'but that it may not ask' says '^0 programs detached; whether another load is attached.* may not be asked'
same 'JSON has it too' true "$(in_node setpriv --bounding-set -sys_admin "$PODCRED" unload --json \
  --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" | jq .unknown)"
BARE='setpriv --bounding-set -sys_admin' status
same 'status without it fails' 1 $?
check 'and does not advise to load' says "whose [0-9]* programs on $KUBEPODS are may not be asked"
unhide
check 'the mount away: complete as before' complete

# ---- a load that may not see whose programs are there ----
confined_load() { in_node setpriv --bounding-set -sys_admin "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
  --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT" "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; }
unseen() { grep "whether another load" "$ENV_TMP/err"; }
check 'without CAP_SYS_ADMIN, and nothing foreign attached: a load' confined_load
check_not 'has nothing to warn of' unseen
"$ENV_BUILD/tests/exclusive" attach "$KUBEPODS" multi
check 'beside a foreign program, without CAP_SYS_ADMIN' confined_load
same 'it warns in one line that it may be of another load' \
  "podcred: warning: whether another load of podcred is attached could not be seen: whose 1 programs on $KUBEPODS or $AGENT_CGROUP are may not be asked; podcred status tells, with CAP_SYS_ADMIN" "$(unseen)"
confined_load --json
same 'JSON counts them' 1 "$(jq .othersUnknown "$ENV_TMP/out")"
check 'with CAP_SYS_ADMIN' load
check_not 'it has seen that it is none' unseen
bpftool cgroup detach "$KUBEPODS" connect6 id "$(bpftool -j cgroup show "$KUBEPODS" | jq '.[] | select(.name == "foreign").id')" multi

# ---- another pin directory ----
in_node "$PODCRED" load --pin-dir "$PIN_DIR-twin" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --agent "$NODE_V4:$AGENT_PORT" >"$ENV_TMP/out" 2>"$ENV_TMP/err"
same 'another pin directory: refused too' 1 $?
check 'naming the one that has the pins' says "pinned in $PIN_DIR; load with that --pin-dir"
check_not 'and makes none' test -e "$PIN_DIR-twin"
mkdir -p "$ENV_CGROUP/more/kubepods.slice" "$ENV_CGROUP/more/agent"
in_node "$PODCRED" load --pin-dir "$PIN_DIR-twin" --kubepods "$ENV_CGROUP/more/kubepods.slice" \
  --agent-cgroup "$ENV_CGROUP/more/agent" --agent "$NODE_V4:7778" >"$ENV_TMP/out" 2>"$ENV_TMP/err"
check 'on cgroups of its own another load is welcome' says '15 programs attached' || cat "$ENV_TMP/err"
check 'and no concern of the first' complete
"$PODCRED" unload --pin-dir "$PIN_DIR-twin" >/dev/null || env_fail 'unload of the neighbour failed'

# ---- taken over ----
hide
check 'load --take-over' load --take-over
check 'says how many it detached' says '^[0-9]* programs of another load detached; restart podcred resolve'
same 'one set is attached, on each hook' "$(ours_attached)" \
  "$(podcred status --json | jq '[.links[] | select(.cgroupId > 0)] | length')"
kill "$RESOLVE_PID"
wait "$RESOLVE_PID" 2>/dev/null
env_resolve
same 'the pod is served by the new one' 200 "$(answer)"
check 'and the guard is complete' complete
check 'unload' unload
check 'says that nothing is guarded, and it is so' says 'nothing is guarded any more'
same 'nothing is attached' 0 "$(ours_attached)"
unhide
# The dead links of the load that was hidden are in the way of nobody.
check 'a load finds its old pins, and attaches again' load
check 'and is complete' complete

# ---- hidden, and not wanted any more ----
hide
unload --others
same 'unload --others of what is hidden' 0 $?
check 'says so' says '[0-9]* programs detached; nothing is guarded any more'
same 'nothing is attached' 0 "$(ours_attached)"
unhide
check 'unload takes the dead pins away' unload
check_not 'all of them' test -e "$PIN_DIR"

# ---- the empty kubepods, and one with pods ----
LIVE=$ENV_CGROUP/kubepods
mkdir -p "$LIVE/burstable/pod$(cat /proc/sys/kernel/random/uuid)/c"
LIVE_POD=$(dirname "$(find "$LIVE" -name c)")
in_cgroup "$LIVE_POD/c" "$NODE_NETNS" sleep 600 &
runs() { grep -q 'populated 1' "$LIVE_POD/cgroup.events"; }
wait_for 10 runs || env_fail 'no process in the pod'
EMPTY=$ENV_CGROUP/kubepods.slice
find "$EMPTY" -depth -type d -exec rmdir {} +
mkdir "$EMPTY"
choose() { in_node "$PODCRED" load --pin-dir "$PIN_DIR" --cgroup "$ENV_CGROUP" --agent-cgroup "$AGENT_CGROUP" \
  --agent "$NODE_V4:$AGENT_PORT" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; }
load
same 'load --kubepods with an empty one, while another has pods: refused' 1 $?
check 'naming both' says "$EMPTY has no pods, and $LIVE has 1 that run; give that one with --kubepods, or --force"
rmdir "$EMPTY"
load --create
same 'with --create too' 1 $?
check_not 'and the empty one is not even made' test -e "$EMPTY"
check 'with --force it is done' load --create --force
status
same 'status is not content with it' '1 outside' "$? $(gaps)"
check 'and names the other' says "1 pod runs in $LIVE, which is another kubepods; podcred load with that --kubepods"
doctor
check 'doctor too' finds outside "1 pod runs in $LIVE"
same 'the metrics too' '0 1' \
  "$(metric podcred_guard_complete) $(metric 'podcred_guard_gaps{kind="outside"}')"
podcred unload >/dev/null
check 'without --kubepods the one with pods is taken' choose
check 'and said' says "(kubepods $LIVE)"
check 'and complete' complete
podcred unload >/dev/null
mkdir -p "$ENV_CGROUP/kubelet.slice/kubelet-kubepods.slice"
check 'an empty one further down does not matter' choose
podcred unload >/dev/null
mv_pod=$EMPTY/kubepods-pod$(tr - _ </proc/sys/kernel/random/uuid).slice
mkdir "$mv_pod"
in_cgroup "$mv_pod" "$NODE_NETNS" sleep 600 &
both() { grep -q 'populated 1' "$mv_pod/cgroup.events"; }
wait_for 10 both || env_fail 'no process in the other pod'
choose
same 'with running pods in both it asks' 1 $?
check 'naming both and what is in them' says "$LIVE (1 pod, 1 with processes).*$EMPTY\|$EMPTY (1 pod, 1 with processes).*$LIVE"
own() { in_cgroup "$mv_pod" "$NODE_NETNS" "$PODCRED" load --pin-dir "$PIN_DIR" --cgroup "$ENV_CGROUP" \
  --agent "$NODE_V4:$AGENT_PORT" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; }
check 'unless it is a pod of one of them itself' own
check 'and takes that one' says "(kubepods $EMPTY)"
podcred unload >/dev/null
cgroup_signal "$mv_pod" KILL
cgroup_signal "$LIVE_POD/c" KILL
find "$LIVE" "$EMPTY" -depth -type d -exec rmdir {} +
mkdir "$EMPTY"

# ---- the runtime puts containers outside ----
load || env_fail "load failed: $(cat "$ENV_TMP/err")"
check 'nothing is outside' complete
pod_add stray burstable
env_resolve
HEX=$(printf '%064d' 1)
UID1=${POD_UID[stray]}
for stray in "system.slice/containerd.service/kubepods-burstable-pod${UID1//-/_}.slice:cri-containerd:$HEX" \
  "kubepods-besteffort-pod${UID1//-/_}.slice:crio:$HEX" \
  "k8s.io/$HEX" "system.slice/cri-containerd-$HEX.scope" "system.slice/crio-$HEX.scope"; do
  mkdir -p "$ENV_CGROUP/$stray"
  check "an empty ${stray##*/} is nobody" complete
  in_cgroup "$ENV_CGROUP/$stray" "$NODE_NETNS" sleep 600 &
  occupied() { grep -q 'populated 1' "$ENV_CGROUP/$stray/cgroup.events"; }
  wait_for 10 occupied || env_fail "no process in $stray"
  status
  same "a process in $stray: status fails" '1 outside' "$? $(gaps)"
  check 'and names it' says "1 container of pods runs outside of $EMPTY: .*/$stray; .*same cgroup driver"
  doctor
  check 'and doctor' finds outside "1 container of pods runs outside"
  same 'and the metrics' '0 1' \
    "$(metric podcred_guard_complete) $(metric 'podcred_guard_gaps{kind="outside"}')"
  if [[ $stray = system.slice/containerd* ]]; then
    check 'the resolver logs it' wait_for 30 grep -q 'not guarded: 1 container of pods runs outside' "$ENV_TMP/resolve.log"
    check 'and explain does not call it guarded' grep -q "not guarded: processes of it run in .*/$stray, outside" \
      <(podcred explain --pod shop/stray)
    same 'nor in JSON' "$ENV_CGROUP/$stray" "$(podcred explain --pod shop/stray --json | jq -r .outside)"
  fi
  cgroup_signal "$ENV_CGROUP/$stray" KILL
done
same 'explain has nothing to say about it any more' null "$(podcred explain --pod shop/stray --json | jq .outside)"
# ---- the list has running pods, the guarded kubepods has not ----
running() { jq '.items[].status.containerStatuses = [{"state": {"running": {"startedAt": "now"}}}]' "$ENV_TMP/pods.json" >"$ENV_TMP/pods.new" &&
  mv "$ENV_TMP/pods.new" "$ENV_TMP/pods.json"; }
absent() { [ "$(gaps)" = absent ]; }
running
check 'no listed pod runs where it should: status fails' wait_for 60 absent
status
check_not 'and says so' grep -q 'guard *complete' "$ENV_TMP/out"
check 'how many, and where' says "none of 3 pods that run by the pod list has a process in $EMPTY; load with"
check 'the resolver logs it' grep -q "none of 3 pods that run by .*pods.json has a process" "$ENV_TMP/resolve.log"
doctor
check 'doctor fails' finds outside 'none of 3 pods'
mkdir -p "${POD_CGROUP[stray]}/container"
in_cgroup "${POD_CGROUP[stray]}/container" "$NODE_NETNS" sleep 600 &
check 'one of them comes: complete' wait_for 60 complete
cgroup_signal "${POD_CGROUP[stray]}/container" KILL
env_podlist "$ENV_TMP/pods.json"

for other in "docker/$HEX" "system.slice/docker-$HEX.scope" "system.slice/crio-conmon-$HEX.scope" \
  "system.slice/docker-$HEX.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${UID1//-/_}.slice"; do
  mkdir -p "$ENV_CGROUP/$other"
  in_cgroup "$ENV_CGROUP/$other" "$NODE_NETNS" sleep 600 &
  occupied() { grep -q 'populated 1' "$ENV_CGROUP/$other/cgroup.events"; }
  wait_for 10 occupied || env_fail "no process in $other"
  check "$other is no pod of this node" complete
done
tap_done
