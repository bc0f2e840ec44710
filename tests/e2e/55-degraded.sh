#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every fallback for a kernel that lacks something, forced on this one: what is lost is said, the rest
# works, and a filter of tc stands in for tcx.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/env.sh
. "$here/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$here/../lib/tap.sh"
# shellcheck source=tests/lib/guest.sh
. "$here/../lib/guest.sh"

URL=http://169.254.170.2/v1/credentials

options() { printf -- '--without %s ' "$@"; }
key_of() { in_pod "$1" curl -s -m 10 "$URL" | jq -r '.AccessKeyId // .code'; }
said() { podcred status --json | jq -r '.without | map(.feature) | join(" ")'; }
has_pod() { podcred pods --json | jq -e ".[] | select(.name == \"$1\")"; }
peer_of() {
  in_pod "$1" python3 -c '
import socket
s = socket.create_connection(("169.254.170.2", 80), 10)
print(s.getpeername()[0])'
}
errno_of() {
  in_pod "$1" python3 -c '
import errno, socket
try: socket.create_connection(("169.254.170.2", 81), 10)
except OSError as e: print(errno.errorcode[e.errno])'
}

# ---- identity ----

# works_without FEATURE...: from the event of a new cgroup to the answer
works_without() {
  local what="without $*"
  env_up
  pod_add web burstable
  pod_add late besteffort
  rmdir "${POD_CGROUP[late]}/container" "${POD_CGROUP[late]}"
  # shellcheck disable=SC2046 # words of a command
  env_load $(options "$@") >"$ENV_TMP/load" 2>&1 || env_fail "load: $(cat "$ENV_TMP/load")"
  env_resolve
  env_serve
  same "$what: status says what the load did without" "$*${ALSO:+ $ALSO}" "$(said)"
  same "$what: a pod gets its credentials" AKIAWEB "$(key_of web)"
  mkdir -p "${POD_CGROUP[late]}/container"
  check "$what: a new pod gets its name" wait_for 10 has_pod late
  same "$what: a refused connection" "$WANT_ERRNO" "$(errno_of web)"
  same "$what: getpeername" "$WANT_PEER" "$(peer_of web)"
  env_clean
}
WANT_ERRNO=EPERM WANT_PEER=169.254.170.2 works_without set-retval
WANT_ERRNO=EACCES WANT_PEER=$NODE_V4 works_without getpeername
for feature in cgroup-egress cgroup-ingress netfilter-link tcx cgroup-tracing; do
  WANT_ERRNO=EACCES WANT_PEER=169.254.170.2 works_without "$feature"
done
ALSO=path WANT_ERRNO=EPERM WANT_PEER=$NODE_V4 works_without set-retval getpeername cgroup-egress \
  cgroup-ingress netfilter-link tcx tc cgroup-tracing

# ---- what is said of the path past the bridge ----

# path_without WANT FEATURE...
path_without() {
  local want=$1 what="without ${*:2}"
  shift
  env_up
  pod_add web burstable
  # shellcheck disable=SC2046 # words of a command
  env_load $(options "$@") >"$ENV_TMP/load" 2>&1 || env_fail "load: $(cat "$ENV_TMP/load")"
  env_resolve
  same "$what: the path" "$want" \
    "$(podcred status --json | jq -r '"\(.path.off // "on") \(.path.interfaces[0].path) \(.complete)"')"
  LOST=$(podcred status --json | jq -r '.without[].lost')
  DOCTOR=$(in_node "$PODCRED" doctor --no-probe --pin-dir "$PIN_DIR" | grep -E '^[a-z]* *path ')
  env_clean
}
path_without 'on carried true' tcx
check_not 'without tcx: it is not lost' grep -q 'a neighbour' <<<"$LOST"
check 'without tcx: doctor agrees' grep -q '^ok' <<<"$DOCTOR"
path_without 'the load did without the feature path bridged true' tcx tc
check 'without tcx tc: the loss is said' grep -q 'connections to the agent cross the bridge .* can read them and take them over' <<<"$LOST"
path_without 'the load did without the feature path bridged true' path
check 'without path: the loss is said' grep -q 'connections to the agent cross the bridge' <<<"$LOST"
check 'without path: doctor warns' grep -q '^warn .*1 interface of pods cross' <<<"$DOCTOR"

# ---- enforcement ----

# stops_without WAYS FEATURE...: those of the bypass suite whose name has these words
stops_without() {
  local ways=$1 log
  shift
  log=$(mktemp)
  BYPASS_LOAD_OPTIONS=$(options "$@") "$here/../bypass/run.sh" --column podcred --only "$ways" >"$log" 2>&1
  check "without $*: $ways" grep -q '^1\.\.[1-9]' "$log" || sed 's/^/# /' "$log"
  guest_relay "without $*" "$log"
  rm -f "$log"
}
stops_without 'port 81' set-retval
stops_without 'raw TCP' cgroup-egress
stops_without 'NAT to another pod, client only reads' cgroup-ingress
stops_without 'AF_PACKET raw' netfilter-link
stops_without 'AF_PACKET' netfilter-link tcx # tc alone
stops_without 'AF_PACKET raw' tcx tc # netfilter alone

# ---- the filters of tc ----

filters() { in_node tc filter show dev v1 ingress | grep -o 'podcred_[a-z]*:' | sort | uniq -c | xargs; }
links() { find "$PIN_DIR/links" -name 'podcred_veth_*' | wc -l; }
one_filter() { [ "$(filters)" = '1 podcred_veth:' ]; }
load() { env_load "$@" >"$ENV_TMP/load" 2>&1; }

env_up
pod_add web burstable
load --without tcx
check 'tc: one filter on the interface of a pod' one_filter

same 'tc: status names the hook' 'tc/ingress 1' \
  "$(in_node "$PODCRED" status --pin-dir "$PIN_DIR" --json | jq -r '.links[] | select(.program == "podcred_veth") | "\(.hook) \(.interfaces)"')"
load --without tcx
check 'tc: one after another load, too' one_filter
env_resolve
in_node tc filter del dev v1 ingress
check 'tc: the resolver puts back what is deleted' wait_for 10 one_filter
in_node tc qdisc del dev v1 clsact
check 'tc: with its qdisc, too' wait_for 10 one_filter
in_node ip link add v9 type veth peer name w9 netns "${POD_NETNS[web]}"
in_node ip link set v9 up
check 'tc: a new interface gets one' wait_for 10 sh -c \
  "nsenter --net=/run/netns/$NODE_NETNS tc filter show dev v9 ingress | grep -q podcred_veth"
kill "$RESOLVE_PID"
wait "$RESOLVE_PID" 2>/dev/null
load
same 'a load with tcx takes the filter away, and makes a link' ' 1' "$(filters) $(links | sed 's/^[1-9].*/1/')"
load --without tcx
same 'one without puts the filter there, and takes the link away' '1 podcred_veth: 0' "$(filters) $(links)"
# A filter that nobody finds: its interface is in another network namespace.
leftover() {
  local id program
  program=$(in_netns "${POD_NETNS[web]}" tc -j filter show dev eth0 ingress | jq '.[] | .options.prog.id // empty')
  for id in $(bpftool -j prog show id "$program" | jq '.map_ids[]'); do
    bpftool -j map show id "$id" | jq -e '.name == "podcred_guard" or .name == "podcred_targets"' >/dev/null || continue
    bpftool -j map dump id "$id" | jq length
  done | awk '{ n++; sum += $1 } END { print n " tables, " (sum ? "rules" : "no rules") }'
}
in_netns "${POD_NETNS[web]}" tc qdisc add dev eth0 clsact
in_netns "${POD_NETNS[web]}" tc filter add dev eth0 ingress bpf object-pinned "$PIN_DIR/progs/podcred_veth" da
same 'a filter elsewhere has its rules' '2 tables, rules' "$(leftover)"
in_node tc filter add dev v1 ingress protocol ip prio 7 bpf object-pinned "$PIN_DIR/progs/podcred_veth" da
in_node "$PODCRED" unload --pin-dir "$PIN_DIR" >/dev/null
same 'unload takes it away, and leaves the filter of somebody else' 7 \
  "$(in_node tc filter show dev v1 ingress | sed -n 's/.* pref \([0-9]*\) bpf.*handle.*/\1/p')"
same 'and a filter elsewhere nothing to guard' '2 tables, no rules' "$(leftover)"
in_node tc qdisc del dev v1 clsact
load
in_node tc qdisc add dev v1 clsact
in_node tc filter add dev v1 ingress protocol all prio 1 handle 0x706f6463 \
  bpf object-pinned "$PIN_DIR/progs/podcred_uplink" da
load --without tcx
check "somebody else's filter at our place is named" grep -q "a tc filter of somebody else" "$ENV_TMP/load"
same 'and stays, as does the link' '1 podcred_uplink: 1' "$(filters) $(links)"

# ---- unload beside a resolver, which puts back what goes ----

in_node tc qdisc del dev v1 clsact
load --without tcx
env_resolve
check 'unload beside a resolver: there is a filter' wait_for 10 one_filter
mkfifo "$ENV_TMP/pause"
exec 8<>"$ENV_TMP/pause"
in_node env LD_PRELOAD="$ENV_BUILD/tests/pause.so" PAUSE_UNLINK=1 PAUSE_FIFO="$ENV_TMP/pause" \
  PAUSE_BEGUN="$ENV_TMP/begun" "$PODCRED" unload --pin-dir "$PIN_DIR" >"$ENV_TMP/unload" 2>&1 8>&- &
UNLOAD_PID=$!
check 'unload beside a resolver: it is at work' wait_for 30 test -s "$ENV_TMP/begun"
check 'unload beside a resolver: the filter was put back' wait_for 30 one_filter
rm "$ENV_TMP/pause" && exec 8>&-
wait "$UNLOAD_PID"
same 'unload beside a resolver: it succeeds, and no filter is left' '0 ' "$? $(filters)" ||
  sed 's/^/#   /' "$ENV_TMP/unload"
kill "$RESOLVE_PID"
wait "$RESOLVE_PID" 2>/dev/null

# ---- what podcred cannot do without ----

check_not 'connect4 is required' load --without connect4
same 'and that is said' 'podcred: podcred cannot do without connect4' "$(tail -1 "$ENV_TMP/load")"
tap_done
