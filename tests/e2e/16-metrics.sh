#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred metrics, and the file of resolve --metrics: a format that Prometheus reads, right numbers.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

CLIENT=$ENV_BUILD/tests/client
V4=169.254.170.23

samples() { "$ENV_ROOT/tests/lib/prometheus.py"; }
of_command() { podcred metrics | samples; }
of_file() { samples <"$FILE"; }
value() { jq --arg key "$1" '.[$key]' <<<"$SAMPLES"; }
counter() { value "podcred_decisions_total{reason=\"$1\"}"; }

FILE=/nonexistent
env_up
same 'not loaded: metrics fails' 1 "$(podcred metrics >"$ENV_TMP/out" 2>"$ENV_TMP/err"; echo $?)"
same 'with one line on stderr alone' '1 0' "$(wc -l <"$ENV_TMP/err") $(wc -l <"$ENV_TMP/out")"
FILE=$ENV_TMP/metrics/podcred.prom
pod_add web burstable
now() { cut -d' ' -f1 /proc/uptime; }
env_load >/dev/null || env_fail 'load failed'

resolve_fails() {
  "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --metrics "$1" >"$ENV_TMP/out" 2>"$ENV_TMP/err"
  echo $?
}
same 'resolve --metrics in a directory that is not there fails' 1 "$(resolve_fails "$FILE")"
check 'and names it' grep -q "cannot write --metrics $FILE: $ENV_TMP/metrics: No such file" "$ENV_TMP/err"
same 'a directory as the file fails' 1 "$(resolve_fails "$ENV_TMP")"
mkdir "$ENV_TMP/metrics"
env_resolve --metrics "$FILE"
check 'with the resolver ready the file is there' wait_for 10 test -s "$FILE"
same 'anybody may read it' 644 "$(stat -c %a "$FILE")"

in_pod web "$CLIENT" udp-sendto $V4 53 >/dev/null
in_pod web "$CLIENT" plain $V4 81 >/dev/null
check 'the output is in the format' of_command
SAMPLES=$(of_command)
same 'every counter is there and right' "$(podcred status --json | jq -cS '.counters | with_entries(select(.value > 0))')" \
  "$(jq -cS 'with_entries(select((.key | startswith("podcred_decisions_total")) and .value > 0) |
    .key |= capture("reason=\"(?<r>.*)\"").r)' <<<"$SAMPLES")"
same 'zeros too' "$(podcred status --json | jq '.counters | length')" \
  "$(jq '[keys[] | select(startswith("podcred_decisions_total"))] | length' <<<"$SAMPLES")"
same 'two refusals' 2 "$(counter denied_destination)"
same 'pods, flows, peers' '1 0 0' "$(value podcred_pods) $(value podcred_flows) $(value podcred_peers)"
same 'interfaces, by the way that connections take' '1 0 0' \
  "$(value 'podcred_interfaces{path="carried"}') $(value 'podcred_interfaces{path="direct"}') $(value 'podcred_interfaces{path="bridged"}')"
same 'what crosses a bridge would be a gap' 0 "$(value 'podcred_guard_gaps{kind="path"}')"
same 'nothing about it is unknown' 0 "$(value podcred_guard_unknown)"
same 'the guard is complete' 1 "$(value podcred_guard_complete)"
same 'every program is in force' "$(podcred status --json | jq -c '[.links[] | select(.effective) | .program + " " + .hook]')" \
  "$(jq -c '[to_entries[] | select((.key | startswith("podcred_link_effective")) and .value == 1) | .key |
    capture("program=\"(?<p>.*)\",hook=\"(?<h>.*)\"") | .p + " " + .h]' <<<"$SAMPLES")"
same 'the version' 1 "$(value "podcred_build_info{version=\"$("$PODCRED" version | cut -d' ' -f2)\"}")"
same 'no lease while failureMode is closed' null "$(value podcred_lease_seconds)"
printf 'failureMode: open\n' >"$ENV_TMP/open.yaml"
before=$(now)
env_load --config "$ENV_TMP/open.yaml" >/dev/null
granted=$(bpftool -j map lookup pinned "$PIN_DIR/maps/podcred_runtime" key 3 0 0 0 | jq '.formatted.value / 1e9')
check "failureMode open: its first load grants a lease of 30 s ($before to $(now): until $granted)" \
  jq -ne "$granted - 30 | . >= $before - 0.1 and . <= $(now) + 0.1"
SAMPLES=$(of_command)
left=$(value podcred_lease_seconds) now=$(now)
check "failureMode open: what is left of it ($now: $left of $granted)" \
  jq -ne "([$granted - $now, 0] | max) - $left | fabs < 10"
bpftool map update pinned "$PIN_DIR/maps/podcred_runtime" key 3 0 0 0 value 1 0 0 0 0 0 0 0
SAMPLES=$(of_command)
same 'and when it has ended' 0 "$(value podcred_lease_seconds)"
read -ra until < <(python3 -c 'import sys, time
print(*(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + 10**15).to_bytes(8, sys.byteorder))')
bpftool map update pinned "$PIN_DIR/maps/podcred_runtime" key 3 0 0 0 value "${until[@]}" # the lease
SAMPLES=$(of_command)
check 'or how long it holds' jq -e '.podcred_lease_seconds | . > 9e5 and . < 1e6' <<<"$SAMPLES"

# Who may not ask the kernel what it runs does not claim that nothing runs.
SAMPLES=$(in_node setpriv --bounding-set=-all,+bpf --inh-caps=-all,+bpf "$PODCRED" metrics --pin-dir "$PIN_DIR" | samples)
same 'with CAP_BPF alone: counters' 2 "$(counter denied_destination)"
same 'and nothing about the guard' 'null null' \
  "$(value podcred_guard_complete) $(value 'podcred_guard_gaps{kind="program"}')"
check 'but that it is not known' jq -e '.podcred_guard_unknown > 0' <<<"$SAMPLES"
in_node setpriv --bounding-set=-all,+bpf --inh-caps=-all,+bpf "$PODCRED" status --pin-dir "$PIN_DIR" --json >"$ENV_TMP/out"
same 'status cannot tell either' '3 null' "$? $(jq .complete "$ENV_TMP/out")"
check 'nor about programs on cgroups' jq -e \
  '[keys[] | select(test("effective.*cgroup/connect4"))] | length == 0' <<<"$SAMPLES"

# The capabilities of the resolver's container (deploy/README.md), which is where to ask on a node.
as_resolver() { in_node setpriv --bounding-set=-all,+bpf,+net_admin --inh-caps=-all,+bpf,+net_admin "$PODCRED" "$1" --pin-dir "$PIN_DIR" "${@:2}"; }
SAMPLES=$(as_resolver metrics | samples)
same "with the resolver's capabilities: all is known" '1 0' \
  "$(value podcred_guard_complete) $(value podcred_guard_unknown)"
same 'the same samples as root has' "$(of_command | jq -S 'keys')" "$(jq -S keys <<<"$SAMPLES")"
without_age() { sed 's|read [0-9]* s ago|read|'; }
same 'status is the same as for root' "$(podcred status | without_age)" "$(as_resolver status | without_age)"
same 'and its exit status' 0 "$(as_resolver status >/dev/null; echo $?)"

cgroup_signal "$AGENT_CGROUP" TERM
rmdir "$AGENT_CGROUP"
same "the agent's cgroup is gone: status with the resolver's capabilities" 'false 2 1' "$(as_resolver status --json |
  jq -r '"\(.complete) \(.gaps | length)"') $(as_resolver status >/dev/null; echo $?)"
SAMPLES=$(of_command)
same "the agent's cgroup is gone: not complete" 0 "$(value podcred_guard_complete)"
same 'because of two programs' 2 "$(value 'podcred_guard_gaps{kind="program"}')"
same 'status says the same' 'false program 2' "$(podcred status --json |
  jq -r '"\(.complete) \(.gaps | map(.kind) | unique | join(" ")) \(.gaps | length)"')"

# ---- the file follows ----
counts_them() { SAMPLES=$(of_file) && [ "$(counter denied_destination)" = 2 ]; }
check 'the file is written again' wait_for 30 counts_them

podcred unload >/dev/null
incomplete() { SAMPLES=$(of_file) && [ "$(value podcred_guard_complete)" = 0 ] && [ "$(value podcred_pods)" = null ]; }
check 'after an unload it says that nothing guards' wait_for 30 incomplete
same 'no temporary file is left' podcred.prom "$(ls "$ENV_TMP/metrics")"
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
same 'a resolver that ends takes its file away' '' "$(ls "$ENV_TMP/metrics")"
tap_done
