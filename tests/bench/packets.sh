#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tax on everybody else: what the packet programs cost traffic that is none of podcred's
# business. A pod sends to a machine behind the node, with and without podcred in turns.
set -u
# shellcheck source=tests/bypass/lib.sh
. "$(dirname "$0")/../bypass/lib.sh"

ROUNDS=${ROUNDS:-5}
SECONDS_EACH=2
KERNEL=$ENV_BUILD/bench/kernel
SINK='
import socket
s = socket.create_server(("10.98.0.2", 5001))
print("ready", flush=True)
while True:
    c, _ = s.accept()
    n = 0
    while True:
        data = c.recv(1 << 20)
        if not data: break
        n += len(data)
    c.close()'
BULK='
import socket, sys, time
s = socket.create_connection(("10.98.0.2", 5001))
data, sent, end = bytes(1 << 18), 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    s.sendall(data)
    sent += len(data)
print(sent)'
DATAGRAMS='
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.98.0.2", 5002))
sent, end = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for _ in range(200):
        try:
            s.send(b"x" * 64)
            sent += 1
        except ConnectionRefusedError:
            pass
print(sent)'

run() { in_pod web python3 -c "$1" $SECONDS_EACH; }
stats() { "$KERNEL" progs "$PIN_DIR/progs" >"$ENV_TMP/progs-$1"; }

bypass_up
in_cgroup "$ENV_CGROUP/host" "$ENV_ID-imds" python3 -c "$SINK" >"$ENV_TMP/sink" &
wait_for 10 grep -q ready "$ENV_TMP/sink" || env_fail 'no sink'
in_imds iptables -A INPUT -p udp --dport 5002 -j DROP
for _ in $(seq "$ROUNDS"); do
  run "$BULK" >>"$ENV_TMP/bulk-without"
  run "$DATAGRAMS" >>"$ENV_TMP/datagrams-without"
  bypass_load
  run "$BULK" >>"$ENV_TMP/bulk-with"
  run "$DATAGRAMS" >>"$ENV_TMP/datagrams-with"
  kill "$RESOLVE_PID"
  wait "$RESOLVE_PID" 2>/dev/null
  podcred unload >/dev/null
done
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for what in bulk datagrams; do
  awk -v what=$what -v with="$(median "$ENV_TMP/$what-with")" -v without="$(median "$ENV_TMP/$what-without")" \
    'BEGIN { printf "%-10s with podcred / without: %.3f (medians)\n", what, with / without }'
  echo "           with:    $(sort -n "$ENV_TMP/$what-with" | tr '\n' ' ')"
  echo "           without: $(sort -n "$ENV_TMP/$what-without" | tr '\n' ' ')"
done

# ---- ns per call, one program at a time, on datagrams and on connects elsewhere ----
bypass_load
"$KERNEL" hold >"$ENV_TMP/hold" &
wait_for 5 grep -q on "$ENV_TMP/hold" || env_fail 'no run-time statistics'
stats before
run "$DATAGRAMS" >/dev/null
stats after
echo 'ns per packet on unrelated datagrams:'
join "$ENV_TMP/progs-before" "$ENV_TMP/progs-after" |
  awk '$4 - $2 > 1000 { printf "  %-16s %6.0f ns, %d packets\n", $1, ($5 - $3) / ($4 - $2), $4 - $2 }'
