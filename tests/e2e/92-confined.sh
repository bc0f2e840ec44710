#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the processes of podcred may do, and who may do something to them: capabilities, user,
# descriptors, seccomp filter; and how podcred run keeps its children.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

NONE=0000000000000000
RESOLVE_CAPS=0000008000001000 # CAP_BPF, CAP_NET_ADMIN
URL=http://169.254.170.2/v1/credentials

key() { in_pod web curl -s --max-time 20 $URL | jq -r .AccessKeyId; }
gives() { [ "$(key)" = "$1" ]; }
# fields PID FIELD...: of /proc/PID/status, in one line
fields() {
  local pid=$1
  shift
  awk -v want=" $* " 'index(want, " " substr($1, 1, length($1) - 1) " ") { $1 = ""; printf "%s", $0 }' \
    "/proc/$pid/status" | sed 's/^ //'
}
children() { pgrep -P "$RUN_PID"; }
# child NAME: of podcred run, by the name that it gave itself
child() {
  local pid
  for pid in $(children); do
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "podcred-$1" ] || echo "$pid"
  done
}
alive() { [ -n "$(child "$1")" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
as_user() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
log_has() { grep -q -e "$1" "$ENV_TMP/run.log"; }
associations() { # KEY
  env_associations | sed "s/AKIAWEB/$1/" >"$ENV_TMP/associations.new"
  chmod 0400 "$ENV_TMP/associations.new"
  mv "$ENV_TMP/associations.new" "$ENV_TMP/associations.yaml"
}

# landlock_create_ruleset(2) says which version it is
has_landlock() { python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)'; }

env_up
pod_add web burstable
env_podlist "$ENV_TMP/pods.json"
umask 077
associations AKIAWEB
ENV_RUN=("$ENV_TMP/podcred") # a copy, to be taken away
cp "$PODCRED" "$ENV_TMP/podcred"
echo secret >"$ENV_TMP/secret"

# ---- what the children are ----
exec 9<"$ENV_TMP/secret" # as a careless service manager leaves it open
env_run --user "$ENV_UID" --token-key "$ENV_TMP/token-key"
exec 9<&-
check 'run hands out credentials from a file of root, mode 0400' wait_for 10 gives AKIAWEB
serve=$(child serve) resolve=$(child resolve)
same 'the agent: no capability in any set' "$NONE $NONE $NONE $NONE $NONE" \
  "$(fields "$serve" CapInh CapPrm CapEff CapBnd CapAmb)"
same 'the agent: a user and a group of its own, and no other group' \
  "$ENV_UID $ENV_UID $ENV_UID $ENV_UID $ENV_UID $ENV_UID $ENV_UID $ENV_UID" "$(fields "$serve" Uid Gid Groups)"
same 'the agent: no_new_privs, seccomp filter, in every thread' '1 2' \
  "$(for task in "/proc/$serve/task/"*; do fields "$serve/task/${task##*/}" NoNewPrivs Seccomp; echo; done | sort -u)"
same 'the agent: no core dump' '0 0' "$(awk '/^Max core/ { print $5, $6 }' "/proc/$serve/limits")"
same 'the resolver: the capabilities that deploy/README.md names' \
  "0000000000000000 $RESOLVE_CAPS $RESOLVE_CAPS $RESOLVE_CAPS $NONE" \
  "$(fields "$resolve" CapInh CapPrm CapEff CapBnd CapAmb)"
same 'the resolver: no_new_privs' 1 "$(fields "$resolve" NoNewPrivs)"

# Kinds of descriptors, without numbers.
open_files() { find "/proc/$1/fd" -mindepth 1 -printf '%l\n' | sed 's/:\[[0-9]*\]//' | sort -u | xargs; }
same 'the agent: no descriptor but those that it needs' \
  "$ENV_TMP/run.log anon_inode:[eventfd] anon_inode:[eventpoll] anon_inode:[signalfd] socket" \
  "$(open_files "$serve" | sed 's|^/dev/null ||; s| /dev/null||; s| pipe||')"
for who in serve resolve; do
  pid=$(child $who)
  check_not "podcred-$who: what run has inherited stays there" \
    grep -q "$ENV_TMP/secret" <(open_files "$pid")
  same "podcred-$who: each started by the same command, no secret in it" "podcred $who" \
    "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -d' ' -f1,2)"
  check_not "podcred-$who: no key in its arguments" grep -qa 'AKIA\|secret-of\|token-of' "/proc/$pid/cmdline"
  check "podcred-$who: the log names it" log_has "^podcred-$who: .* ready"
done
same 'the token key stays readable by root alone' '0 600' "$(stat -c '%u %a' "$ENV_TMP/token-key")"

# ---- who may do something to the agent ----
error=$(LC_ALL=C as_user 65534 /bin/kill -STOP "$serve" 2>&1)
check 'user 65534 may not stop the agent' grep -q 'not permitted' <<<"$error"
check_not 'and it is not stopped' grep -q '^State:.*stopped' "/proc/$serve/status"
for user in 65534 "$ENV_UID"; do
  for file in environ mem maps auxv; do
    check_not "user $user may not read its $file" as_user "$user" head -c 1 "/proc/$serve/$file"
  done
  check_not "user $user may not see its descriptors" as_user "$user" ls "/proc/$serve/fd"
  check_not "user $user may not read the associations" as_user "$user" cat "$ENV_TMP/associations.yaml"
done
in_node "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR" >"$ENV_TMP/doctor"
check 'doctor shows what is in force' grep -q "^ok  *agent-process  *pid $serve, uid $ENV_UID: no capabilities, bounding \
set empty, no_new_privs, seccomp filter, not dumpable, [0-9]* kB of memory locked, .*Landlock" "$ENV_TMP/doctor"
check 'and that there is no fetch' grep -q '^ok  *fetch-process  *not in use' "$ENV_TMP/doctor"
as_user "$ENV_UID" sleep 60 &
other=$!
check 'doctor: another process of its user' \
  wait_for 10 bash -c "nsenter --net='/run/netns/$NODE_NETNS' '$PODCRED' doctor --no-probe --pin-dir '$PIN_DIR' |
    grep -q '^warn  *agent-process .*other process'"
kill $other
wait $other 2>/dev/null

# ---- the associations, again and again ----
associations AKIANEW
kill -HUP "$RUN_PID"
check 'SIGHUP to run: the agent reads the new file, which only root may' wait_for 10 gives AKIANEW
rm "$ENV_TMP/associations.yaml"
kill -HUP "$RUN_PID"
check 'a file that is gone: run warns' wait_for 10 log_has \
  '^podcred: warning: cannot read .*associations.yaml.*; the associations read before stay in force'
same 'and the agent goes on' AKIANEW "$(key)"
kill -HUP "$serve"
check 'SIGHUP to the agent itself: it says whom to send it' wait_for 10 log_has \
  '^podcred-serve: warning: .*send SIGHUP to it'
# The kernel drops the file that it has no descriptor for, and the message comes all the same.
limit_files() {
  setpriv --reuid "$ENV_UID" --regid "$ENV_UID" --clear-groups prlimit --pid "$serve" "$@"
}
files=$(limit_files --nofile --noheadings --raw --output SOFT)
limit_files --nofile=3:
associations AKIALOST
kill -HUP "$RUN_PID"
check 'a file that it has no descriptor for: it says so' wait_for 10 log_has \
  '^podcred-serve: warning: cannot receive the associations: Too many open files; .* stay in force'
limit_files --nofile="$files:"
associations AKIAWEB
kill -HUP "$RUN_PID"
check 'and back' wait_for 10 gives AKIAWEB

# ---- children that end ----
rm "$ENV_TMP/podcred"
kill -KILL "$serve" "$resolve"
check 'the program is gone from the disk: the agent is started again all the same' wait_for 20 gives AKIAWEB
check 'and so is the resolver' wait_for 10 alive resolve
same 'nobody is left behind as a zombie' '' \
  "$(for pid in $(children); do grep -l '^State:.Z' "/proc/$pid/status"; done)"
cp "$ENV_TMP/associations.yaml" "$ENV_TMP/good.yaml"
echo 'nonsense' >"$ENV_TMP/associations.yaml"
kill -KILL "$(child serve)"
check 'one that ends soon is started later each time' wait_for 30 log_has \
  'podcred-serve ended (exit 1) after [0-9]* s; starting it again in 4 s'
mv "$ENV_TMP/good.yaml" "$ENV_TMP/associations.yaml"
check 'until it can run' wait_for 30 gives AKIAWEB

# ---- the end ----
serve=$(child serve) resolve=$(child resolve)
kill -KILL "$RUN_PID"
wait "$RUN_PID" 2>/dev/null
check 'run is killed: the agent ends' wait_for 10 ended "$serve"
check 'and the resolver' wait_for 10 ended "$resolve"
unit_caps() { # as setpriv has them
  sed -n 's/^CapabilityBoundingSet=//p' "$ENV_ROOT/deploy/systemd/podcred.service" |
    tr '[:upper:] ' '[:lower:]\n' | sed 's/^cap_/+/' | paste -sd,
}
ENV_RUN=(setpriv --no-new-privs --bounding-set "-all,$(unit_caps)" "$PODCRED")
env_run --user 60666
check 'run --user, with the capabilities of podcred.service' wait_for 10 gives AKIAWEB
serve=$(child serve)
same 'the agent is that user' '60666 60666 60666 60666' "$(fields "$serve" Uid)"
kill -STOP "$serve"
kill -TERM "$RUN_PID"
wait "$RUN_PID"
same 'a child that does not heed SIGTERM: run ends all the same' 0 $?
check 'and says so' log_has 'podcred-serve does not end within 10 s; killed'
check 'it was killed' ended "$serve"

# ---- serve by itself ----
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve
check 'serve as root: a warning' grep -q 'warning: the agent runs as root.*--user' "$ENV_TMP/serve.log"
same 'but no capability, and the filter' "$NONE $NONE 1 2" \
  "$(fields "$SERVE_PID" CapPrm CapBnd NoNewPrivs Seccomp)"
check 'it answers' gives AKIAWEB
check 'doctor warns' grep -q '^warn  *agent-process .*root' <(in_node "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR")
cgroup_signal "$AGENT_CGROUP" TERM
env_serve --user 60555
same 'serve --user' '60555 60555 60555 60555' "$(fields "$SERVE_PID" Uid)"
check 'it answers' gives AKIAWEB
kill -HUP "$SERVE_PID"
check 'and reads its file again' wait_for 10 grep -q '1 association read again' "$ENV_TMP/serve.log"
cgroup_signal "$AGENT_CGROUP" TERM
serve_fails() { # PATTERN ARG...
  local out
  out=$(in_agent "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" \
    --associations "$ENV_TMP/associations.yaml" "${@:2}" 2>&1)
  [ $? -eq 1 ] && grep -qE "$1" <<<"$out" && return
  note "$out"
  return 1
}
check 'serve --user root is refused' serve_fails 'must not be root' --user root
check 'serve --user of a user that does not exist' serve_fails 'no user "nobody-of-that-name"' \
  --user nobody-of-that-name
PODCRED_RUN_CHANNEL=1 check 'a channel that is none' serve_fails 'PODCRED_RUN_CHANNEL is not a channel'
env_associations >"$ENV_TMP/associations.yaml"
chown 0:4242 "$ENV_TMP/associations.yaml"
chmod 0440 "$ENV_TMP/associations.yaml"
background "$ENV_TMP/serve.log" 'agent ready' in_agent "$PODCRED" serve \
  --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml"
check 'associations that a group of others may read: a warning' \
  grep -q 'warning: .*other users can read it' "$ENV_TMP/serve.log"
cgroup_signal "$AGENT_CGROUP" TERM
chmod 0400 "$ENV_TMP/associations.yaml"
# Files that its user may read, and it may not: nobody has told it of them.
mkdir "$ENV_TMP/elsewhere"
sed 's/AKIAWEB/AKIAELSE/' "$ENV_TMP/associations.yaml" >"$ENV_TMP/elsewhere/associations.yaml"
background "$ENV_TMP/serve.log" 'agent ready' in_agent "$PODCRED" serve \
  --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml"
mv "$ENV_TMP/associations.yaml" "$ENV_TMP/good.yaml"
ln -s elsewhere/associations.yaml "$ENV_TMP/associations.yaml"
cgroup_signal_only() { kill -s "$1" "$(head -n 1 "$AGENT_CGROUP/cgroup.procs")"; }
cgroup_signal_only HUP
check 'a link within the directory of the file is followed' wait_for 10 gives AKIAELSE
cgroup_signal "$AGENT_CGROUP" TERM
rm "$ENV_TMP/associations.yaml"
mkdir "$ENV_TMP/in"
cp "$ENV_TMP/good.yaml" "$ENV_TMP/in/associations.yaml"
background "$ENV_TMP/serve.log" 'agent ready' in_agent "$PODCRED" serve \
  --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/in/associations.yaml"
ln -sf ../elsewhere/associations.yaml "$ENV_TMP/in/associations.yaml"
cgroup_signal_only HUP
if has_landlock; then
  check 'one that leads out of it is not (Landlock)' wait_for 10 grep -q \
    'cannot read .*/in/associations.yaml: Permission denied; .* stay in force' "$ENV_TMP/serve.log"
  same 'and the agent goes on' AKIAWEB "$(key)"
else
  skip 'one that leads out of it is not (Landlock)' 'this kernel has no Landlock'
fi
cgroup_signal "$AGENT_CGROUP" TERM
cp "$ENV_TMP/good.yaml" "$ENV_TMP/associations.yaml"
in_agent "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml" \
  <&- >&- 2>&- &
check 'started without standard descriptors, it answers' wait_for 10 gives AKIAWEB
same 'and no connection became one of them' '/dev/null /dev/null /dev/null' \
  "$(readlink "/proc/$(head -n 1 "$AGENT_CGROUP/cgroup.procs")/fd/"{0,1,2} | xargs)"
tap_done
