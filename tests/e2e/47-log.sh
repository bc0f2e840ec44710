#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is said arrives in whole lines, and nobody waits for whoever reads it.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

STARVE=$ENV_BUILD/tests/starve
V4=169.254.170.23
ask() { in_pod web "$STARVE" ask $V4 80 "$1" new AKIAWEB; }
gives_key() { [ "$(ask 1)" = 'ok=1 failed=0' ]; }
healthy() { in_host curl -sf --max-time 20 "http://$NODE_V4:$AGENT_PORT/healthz"; }
ended() { ! kill -0 "$1"; }
stopped() { grep -q '^State:.T' "/proc/$1/status"; }
signals_pending() { ! grep -q '^ShdPnd:.0*$' "/proc/$1/status"; }
named() { podcred pods --json | jq -e ".[] | select(.name == \"$1\")"; }

# messages FILE CMD: each write(2) to stderr becomes a line of FILE, as a JSON string.
MESSAGES='
import json, signal, socket, subprocess, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
child = subprocess.Popen(sys.argv[2:], stderr=theirs, stdout=theirs)
theirs.close()
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
with open(sys.argv[1], "w", buffering=1) as out:
    while data := ours.recv(1 << 16):
        print(json.dumps(data.decode()), file=out)
sys.exit(child.wait())'
messages() { exec python3 -c "$MESSAGES" "$@"; } # in a shell of its own
# Those of FILE that are not one line each.
torn() { jq -c 'select((endswith("\n") and (rtrimstr("\n") | contains("\n") | not)) | not)' "$1"; }

# ---- streams of a command ----
env_up
"$PODCRED" version >/dev/full 2>"$ENV_TMP/err"
same 'a full disk for the output is an error' 1 $?
same 'which is named, in one line' 'podcred: cannot write the output: No space left on device' "$(cat "$ENV_TMP/err")"
"$PODCRED" version >&- 2>"$ENV_TMP/err"
same 'a closed stdout is an error' 1 $?
check 'which is named' grep -q 'cannot write the output: Bad file descriptor' "$ENV_TMP/err"
same 'without stderr the output is the same' "$("$PODCRED" version)" "$("$PODCRED" version 2>&-)"
"$PODCRED" --help | head -n 1 >/dev/null
same 'a reader that has seen enough is no error' '0 0' "${PIPESTATUS[*]}"

pod_add web burstable
for args in 'bla' 'load --bla' 'load --verbose --kubepods /nonexistent --agent 10.0.0.1:1' 'serve --log-json'; do
  # shellcheck disable=SC2086 # several words
  (messages "$ENV_TMP/said" "$PODCRED" $args)
  check "podcred $args says one line" test "$(wc -l <"$ENV_TMP/said")" -eq 1
  same 'in one write' '' "$(torn "$ENV_TMP/said")"
done
(messages "$ENV_TMP/said" nsenter --net="/run/netns/$NODE_NETNS" prlimit --nofile=16 \
  "$PODCRED" load --verbose --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --agent "$NODE_V4:$AGENT_PORT")
check 'libbpf speaks through the log' grep -q '^"podcred: libbpf: ' "$ENV_TMP/said"
same 'in one write a line' '' "$(torn "$ENV_TMP/said")"

# ---- daemons: one write a line ----
env_podlist "$ENV_TMP/pods.json"
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")
chmod 711 "$ENV_TMP"
for form in '' --log-json; do
  messages "$ENV_TMP/said" nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" run --pin-dir "$PIN_DIR" \
    --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --pods "$ENV_TMP/pods.json" \
    --associations "$ENV_TMP/associations.yaml" --debug $form &
  run=$!
  check "run $form hands out credentials" wait_for 10 gives_key
  kill -TERM $run
  wait $run
  same 'and ends well' 0 $?
  for word in 'agent ready' 'resolver ready' 'granted' 'detached'; do
    check "it said: $word" grep -q "$word" "$ENV_TMP/said"
  done
  same 'each line in one write' '' "$(torn "$ENV_TMP/said")"
done
check 'every line is JSON' jq -e 'fromjson | .time and .level and .program' "$ENV_TMP/said"

# ---- a reader that stalls ----
# Full before anybody says anything, and held open so that the reader sees no end.
reader_stalls() {
  kill -STOP $READER && wait_for 10 stopped $READER
  python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
try:
    while True: os.write(fd, b"#\n")
except BlockingIOError: pass' "$FIFO"
}
start_on_fifo() { "$@" 2>"$FIFO" 9>&- & }
serve_on_fifo() {
  start_on_fifo in_agent "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/deep/associations.yaml"
  check 'an agent starts all the same' wait_for 10 healthy
  SERVE_PID=$(head -n 1 "$AGENT_CGROUP/cgroup.procs")
}
# A line each, and a long one.
reload() {
  for ((i = 0; i < $1; i++)); do
    kill -HUP "$SERVE_PID"
    while signals_pending "$SERVE_PID"; do :; done
  done
}

FIFO=$ENV_TMP/fifo
mkfifo "$FIFO"
cat "$FIFO" >"$ENV_TMP/log" &
READER=$!
exec 9>"$FIFO"
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")
deep=$ENV_TMP/$(printf 'd%.0s' {1..200})/$(printf 'e%.0s' {1..200})
mkdir -p "$deep"
ln -s "$deep" "$ENV_TMP/deep"
cp "$ENV_TMP/associations.yaml" "$deep"
env_load >/dev/null || env_fail 'load failed'
check 'the reader of stderr stalls' reader_stalls
start_on_fifo nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" resolve --pin-dir "$PIN_DIR" \
  --kubepods "$KUBEPODS" --pods "$ENV_TMP/pods.json" --debug
resolve=$!
check 'a resolver finds the names all the same' wait_for 10 named web
serve_on_fifo
same 'which answers pods' 'ok=400 failed=0' "$(ask 400)"
kill -TERM "$SERVE_PID"
check 'and ends when it is told to' wait_for 10 ended "$SERVE_PID"
serve_on_fifo
rm "$deep/associations.yaml"
same 'more than is kept is said' '' "$(reload 2000)"
same 'and pods are answered' 'ok=100 failed=0' "$(ask 100)"
kill -CONT $READER
check 'once it is read, a line says how many are missing' wait_for 20 \
  grep -qE '^podcred: warning: [0-9]+ log lines were dropped here' "$ENV_TMP/log"
dropped() { sed -n 's/^podcred: warning: \([0-9]*\) log lines were dropped.*/\1/p' "$ENV_TMP/log" | awk '{ n += $1 } END { print n + 0 }'; }
counted() {
  said=$(grep -c 'stay in force$' "$ENV_TMP/log")
  dropped=$(dropped)
  echo "$said said, $dropped dropped"
  [ "$said" -gt 100 ] && [ "$dropped" -gt 100 ]
}
check 'those that found room are there' counted
missing() { # of the agent; the resolver's are among those that were reported
  local n dropped
  dropped=$(dropped)
  n=$(in_host curl -s --max-time 20 http://127.0.0.1:7778/metrics | awk '/^podcred_agent_log_dropped_total/ { print $2 }')
  echo "$n in the metric, $dropped in the log"
  [ "$n" -gt 100 ] && [ "$n" -le "$dropped" ]
}
check 'and those that did not are in a metric' missing
same 'every line is whole' '' "$(grep -vE '^(#|podcred: (warning: )?[^#]*)$' "$ENV_TMP/log")"

# ---- a reader that is gone ----
kill -KILL $READER
wait $READER 2>/dev/null
exec 9>&-
reload 10
same 'without a reader pods are answered' 'ok=100 failed=0' "$(ask 100)"
env_podlist "$ENV_TMP/pods.json"
pod_add late besteffort
env_podlist "$ENV_TMP/pods.json"
check 'and the resolver goes on' wait_for 10 named late
kill -TERM "$SERVE_PID" $resolve
check 'both end when they are told to' wait_for 10 ended "$SERVE_PID"
wait $resolve
same 'and well' 0 $?

# ---- closed streams ----
in_agent "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml" <&- >&- 2>&- &
check 'with all streams closed the agent answers' wait_for 10 gives_key
pid=$(head -n 1 "$AGENT_CGROUP/cgroup.procs")
same 'and nothing that it opens takes their place' '/dev/null /dev/null /dev/null' \
  "$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2" | xargs)"
cgroup_signal "$AGENT_CGROUP" TERM

# ---- podcred run: neither it nor what it starts again waits ----
podcred unload >/dev/null
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")
cat "$FIFO" >"$ENV_TMP/log" &
READER=$!
exec 9>"$FIFO"
check 'the reader of stderr stalls' reader_stalls
start_on_fifo nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" run --pin-dir "$PIN_DIR" \
  --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --pods "$ENV_TMP/pods.json" \
  --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml"
run=$!
check 'run hands out credentials all the same' wait_for 10 gives_key
agent=$(head -n 1 "$AGENT_CGROUP/cgroup.procs")
kill -KILL "$agent"
another() { [ "$(head -n 1 "$AGENT_CGROUP/cgroup.procs")" != "$agent" ] && gives_key; }
check 'and starts an agent again that was killed' wait_for 20 another
kill -TERM $run
check 'and ends when it is told to' wait_for 10 ended $run
wait $run
same 'and well' 0 $?
kill -KILL $READER
wait $READER 2>/dev/null
exec 9>&-
tap_done
