#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Load, upgrade, fail half-way, be killed, unload: at no moment is a pod unguarded that was guarded
# before, and nothing is ever left over.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

HAMMER=$ENV_BUILD/tests/hammer
EXCLUSIVE=$ENV_BUILD/tests/exclusive
V4=169.254.170.23
V6=fd00:ec2::23

# Loads without a word and keeps both outputs.
load() { env_load "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"; }
complete() { [ "$(podcred status --json | jq .complete)" = true ]; }
programs() { podcred status --json | jq -c '[.links[] | {program, programId}]'; }
program_ids() { podcred status --json | jq '.links[].programId | select(. > 0)'; }
map_ids() { for map in "$PIN_DIR"/maps/*; do bpftool -j map show pinned "$map" | jq .id; done; }
no_object() { ! bpftool "$1" show id "$2" >/dev/null 2>&1; }
# bpffs entries of ours, one a line
pins() { find "$PIN_DIR" 2>/dev/null | sort; }
no_temporary_pins() { ! pins | grep -q _new; }
# Programs on any hook of any cgroup of this test.
attached() { bpftool cgroup tree "$ENV_CGROUP" 2>/dev/null | grep -E '^ *[0-9]+ '; }
nothing_attached() { [ -z "$(attached)" ]; }
foreign_only() { [ "$(attached | grep -vc foreign)" = 0 ]; }
field() { sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$1" | awk '{ n += $1 } END { print n + 0 }'; }

env_up systemd
for n in 1 2 3 4; do
  pod_add "pod$n" burstable
  echo "${POD_IP[pod$n]} ${POD_UID[pod$n]}" >>"$ENV_TMP/expected"
  echo "${POD_IP6[pod$n]} ${POD_UID[pod$n]}" >>"$ENV_TMP/expected"
done

# ---- a first load that fails half-way ----
"$EXCLUSIVE" attach "$KUBEPODS" || env_fail 'cannot attach a foreign program'
load
same 'a hook that somebody else keeps to himself: load fails' 1 $?
same 'with one line on stderr' '1 0' "$(wc -l <"$ENV_TMP/err") $(wc -l <"$ENV_TMP/out")"
check 'that names program, hook, cgroup, cause and next step' grep -q \
  "cannot attach podcred_conn6 (cgroup/connect6) to $KUBEPODS: .*multi flag.*bpftool cgroup tree" \
  "$ENV_TMP/err"
same 'nothing is pinned' '' "$(pins)"
check 'and nothing of podcred is attached' wait_for 10 foreign_only || attached
"$EXCLUSIVE" detach "$KUBEPODS"

# ---- twice ----
check 'the first load' load
same 'attaches 15 programs' '15 programs attached, 0 updated in place' "$(tail -n 1 "$ENV_TMP/out")"
load
same 'the second updates them in place' '0 programs attached, 15 updated in place' \
  "$(tail -n 1 "$ENV_TMP/out")"
check 'and leaves no temporary pin' no_temporary_pins
check 'the guard is complete' complete

# ---- upgrades under load ----
env_resolve
# As busy as the machine allows beside the loads, which are to come to their end.
background "$ENV_TMP/server" ready in_agent nice "$HAMMER" server "$ENV_TMP/expected" 4 \
  "$NODE_V4" "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
clients=$ENV_TMP/clients
for n in 1 2 3 4; do
  mkdir "${POD_CGROUP[pod$n]}/load"
  in_cgroup "${POD_CGROUP[pod$n]}/load" "${POD_NETNS[pod$n]}" nice "$HAMMER" client full \
    "$([ $n -le 2 ] && echo $V4 || echo $V6)" 80 0 1 "${POD_UID[pod$n]}" >"$clients$n" &
done
is_busy() { [ "$(podcred status --json | jq .counters.claimed)" -gt 100 ]; }
wait_for 10 is_busy
failed=0
for _ in $(seq 10); do load || failed=$((failed + 1)); done
same '10 upgrades in a row' 0 $failed
for n in 1 2 3 4; do cgroup_signal "${POD_CGROUP[pod$n]}/load" TERM; done
cgroup_signal "$AGENT_CGROUP" TERM
cat "$clients"[1-4] >"$clients"
note "under 10 upgrades: $(field "$clients" connected) connections; $(tail -n 1 "$ENV_TMP/server")"
check 'the clients were at work' test "$(field "$clients" connected)" -gt 500
same 'no connection failed, none was wrong or unstamped, as the clients see it' '0 0 0 0' \
  "$(for f in failed wrong unstamped unnamed; do field "$clients" $f; done | xargs)"
same 'and as the agent sees it' '0 0 0' \
  "$(for f in unstamped unnamed wrong; do field "$ENV_TMP/server" $f; done | xargs)"
check 'the guard is complete' complete

# ---- an upgrade that fails half-way ----
link_cut podcred_conn6
"$EXCLUSIVE" attach "$KUBEPODS" || env_fail 'cannot attach a foreign program'
before=$(programs) pins_before=$(pins)
load
same 'an upgrade that fails half-way says so' 1 $?
check 'and why' grep -q 'cannot attach podcred_conn6 ' "$ENV_TMP/err"
same 'the old programs stay in their places' "$before" "$(programs)"
same 'and so do the pins' "$pins_before" "$(pins)"
env_serve
same 'and they work' AKIAPOD1 \
  "$(in_pod pod1 curl -s http://$V4/v1/credentials | jq -r .AccessKeyId)"
"$EXCLUSIVE" detach "$KUBEPODS"
check 'with the obstacle gone the next load succeeds' load
check 'and is complete' complete

# A program of the kubepods root's ancestors that allows others stays.
"$EXCLUSIVE" attach "$ENV_CGROUP" multi
check "a neighbour's multi program above is no obstacle" load
"$EXCLUSIVE" detach "$ENV_CGROUP"

# ---- two loaders ----
good=0 odd=0
for _ in $(seq 5); do
  env_load >/dev/null 2>"$ENV_TMP/err1" &
  first=$!
  load
  second_status=$?
  wait $first
  for pair in "$? $ENV_TMP/err1" "$second_status $ENV_TMP/err"; do
    if [ "${pair%% *}" = 0 ]; then
      good=$((good + 1))
    elif ! grep -q 'is locked: another podcred loader is at work' "${pair#* }"; then
      odd=$((odd + 1))
      cat "${pair#* }"
    fi
  done
done
note "two loaders at once, 5 times: $good of 10 loaded"
check 'of two loaders at once one wins' test $good -ge 5
same 'and the other one says why not' 0 $odd
check 'the guard is complete' complete
check 'no temporary pin is left' no_temporary_pins

# ---- kill -9 in the middle ----
# Moments spread over the time that a load takes, in ms.
moments() {
  local before=${EPOCHREALTIME//[.,]/} ms n
  load
  ms=$(((${EPOCHREALTIME//[.,]/} - before) / 1000))
  for n in $(seq 0 15); do echo $((ms * n / 15)); done
}
# killed_after MS: a load that is killed, unless it has ended before
killed_after() {
  local seconds pid
  printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
  nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
    --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT" >/dev/null 2>&1 &
  pid=$!
  sleep "$seconds"
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  [ $? -eq 137 ]
}
killed=0
for ms in $(moments); do
  killed_after "$ms" && killed=$((killed + 1))
  complete || break
done 2>/dev/null
note "$killed loaders killed"
check 'a loader killed during an upgrade leaves a complete guard' complete
check 'the next load succeeds' load
check 'and cleans up' no_temporary_pins
same 'credentials still flow' AKIAPOD2 \
  "$(in_pod pod2 curl -s http://$V4/v1/credentials | jq -r .AccessKeyId)"

# ---- a cgroup goes away under its links ----
cgroup_signal "$AGENT_CGROUP" TERM
rmdir "$AGENT_CGROUP"
status_fails() { ! podcred status >"$ENV_TMP/status"; }
check 'status fails when the agent cgroup is gone' wait_for 10 status_fails
check 'and says what to do' grep -q 'INCOMPLETE: run podcred load again' "$ENV_TMP/status"
check 'and which links are dead' grep -q 'podcred_claim.*dead: its cgroup was removed' \
  "$ENV_TMP/status"
mkdir "$AGENT_CGROUP"
check 'a cgroup of the same name does not help' status_fails
check 'load attaches to the new one' load
note "$(tail -n 1 "$ENV_TMP/out")"
check 'and status is content' podcred status
env_serve
same 'and credentials flow' AKIAPOD3 \
  "$(in_pod pod3 curl -s http://$V4/v1/credentials | jq -r .AccessKeyId)"

# ---- unload ----
kill "$RESOLVE_PID"
wait "$RESOLVE_PID" 2>/dev/null
cgroup_signal "$AGENT_CGROUP" TERM
ids=$(program_ids) maps=$(map_ids)
check 'unload' podcred unload
same 'leaves no pin' '' "$(pins)"
check 'and nothing attached' wait_for 10 nothing_attached || attached
gone() {
  local id
  for id in $ids; do no_object prog "$id" || { echo "program $id" && return 1; }; done
  for id in $maps; do no_object map "$id" || { echo "map $id" && return 1; }; done
}
check "$(wc -w <<<"$ids") programs and $(wc -w <<<"$maps") maps are gone from the kernel" \
  wait_for 10 gone || gone
same 'a second unload has nothing to do' 'nothing was attached' "$(podcred unload)"
# As a container: the first process of its pid namespace, which ignores a signal that it does not wait for.
setsid unshare --pid --fork --kill-child "$PODCRED" unload --wait --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
  >"$ENV_TMP/out" 2>&1 &
waiting=$!
check 'unload --wait says what it did' wait_for 10 grep -qx 'nothing was attached' "$ENV_TMP/out"
inner=$(pgrep -P $waiting)
check 'and stays' kill -0 "$inner"
kill -TERM "$inner"
wait $waiting
same 'until it is ended, which is no failure' 0 $?
check_not 'status without a load fails' podcred status

# ---- unload while somebody else holds a link, or the lock ----
check 'loaded once more' load
exec 7<"$PIN_DIR"
flock 7
podcred unload >"$ENV_TMP/out" 2>"$ENV_TMP/err"
same 'unload beside a loader at work fails' 1 $?
check 'and says what is still attached' grep -q \
  '^podcred: [12][0-9] programs are still attached, and guard: .* is locked: another podcred loader' "$ENV_TMP/err"
check 'and they are' complete
exec 7<&-
mkdir "$PIN_DIR-held"
for program in podcred_conn4 podcred_cgmkdir; do
  bpftool link pin id "$(bpftool -j link show pinned "$PIN_DIR/links/$program" | jq .id)" \
    "$PIN_DIR-held/$program"
done
podcred unload >"$ENV_TMP/out" 2>"$ENV_TMP/err"
same 'a link that cannot be detached and is pinned elsewhere: unload fails' 1 $?
check 'and names it' grep -q 'podcred_cgmkdir is unpinned, but still attached: somebody else holds its link' \
  "$ENV_TMP/err"
check 'all others are gone the moment that it returns, pinned elsewhere or not' nothing_attached
rm -r "$PIN_DIR-held"
same 'unload again' 'nothing was attached' "$(podcred unload)"

# A first load that is killed leaves at most what the next one, or unload, takes away.
for ms in $(moments); do
  podcred unload >/dev/null || break
  killed_after "$ms"
  podcred unload >/dev/null || break
  [ -z "$(pins)" ] || break
done 2>/dev/null
same 'after a first load that was killed, unload leaves no pin' '' "$(pins)"
check 'and nothing attached' wait_for 10 nothing_attached || attached

# ---- --create, and kubepods removed ----
for n in 1 2 3 4; do
  find "${POD_CGROUP[pod$n]}" -depth -type d -exec rmdir {} +
done
find "$KUBEPODS" -depth -type d -exec rmdir {} +
check_not 'load without kubepods fails' load
same 'and leaves no pin' '' "$(pins)"
check 'load --create makes it' load --create
check 'and guards it' podcred status
find "$KUBEPODS" -depth -type d -exec rmdir {} +
check 'status fails when kubepods is gone' wait_for 10 status_fails
check 'and says what to do' grep -q 'kubepods *gone: run podcred load again' "$ENV_TMP/status"
mkdir "$KUBEPODS"
check 'load guards the new one' load
check 'and status is content' podcred status
check 'load --create makes the QoS cgroups too, before a pod may come' \
  sh -c "find '$KUBEPODS' -depth -type d -exec rmdir {} + && '$PODCRED' load --pin-dir '$PIN_DIR' \
    --kubepods '$KUBEPODS' --agent-cgroup '$AGENT_CGROUP' --agent $NODE_V4:$AGENT_PORT --create &&
    test -d '$(qos_dir burstable)' && test -d '$(qos_dir besteffort)'"

# ---- no bpffs: in a mount namespace where it is taken away ----
podcred unload >/dev/null || env_fail 'unload failed'
without_bpffs() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare -m sh -ec 'while umount /sys/fs/bpf 2>/dev/null; do :; done
    "$1" load --kubepods "$2" --agent-cgroup "$3" --agent "$4"
    "$1" status >/dev/null
    "$1" unload' _ "$PODCRED" "$KUBEPODS" "$AGENT_CGROUP" "$NODE_V4:$AGENT_PORT"
}
same 'without bpffs, load mounts one and says so' 'mounted a BPF file system on /sys/fs/bpf' \
  "$(without_bpffs | head -n 1)"
tap_done
