#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred doctor: nothing to say about a healthy node; then each thing is broken for real, and
# exactly the check that is about it must say so.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

EXCLUSIVE=$ENV_BUILD/tests/exclusive
WHO=$ENV_BUILD/tests/who

doctor() { in_node "$PODCRED" doctor --pin-dir "$PIN_DIR" "$@"; }

# Runs it, and keeps report and exit status.
examine() {
  doctor --json "$@" >"$ENV_TMP/report" 2>"$ENV_TMP/err"
  STATUS=$?
}

# "warn ipv6" and the like, of what is not in order. The node of a test is not the real node, which
# network-namespace says each time.
findings() {
  jq -r 'map(select((.result == "fail" or .result == "warn") and .check != "network-namespace") |
    "\(.result) \(.check)") | join(", ")' "$ENV_TMP/report"
}

text_of() { jq -r ".[] | select(.check == \"$1\") | .text" "$ENV_TMP/report"; }

# finds WHAT FINDING TEXT ; and nothing else. Exit status 1 for a failure alone.
finds() {
  local status=0
  examine "${@:4}"
  case $2 in fail*) status=1 ;; esac
  same "$1: $2" "$2" "$(findings)"
  same "$1: exit status $status" $status $STATUS
  check "$1: says $3" grep -q -e "$3" <(text_of "${2#* }") || {
    text_of "${2#* }"
    in_node ss -tane
  } | sed 's/^/#   /'
  check "$1: says what to do" grep -q . <(jq -r ".[] | select(.check == \"${2#* }\") | .next" \
    "$ENV_TMP/report")
}

healthy() {
  examine
  same "$1: nothing to say" '' "$(findings)" || jq -c '.[]' "$ENV_TMP/report" | sed 's/^/#   /'
  same "$1: exit status 0" 0 $STATUS
}

pods_below() { find "$KUBEPODS" -name '*pod????????[-_]*' | wc -l; }
agent_stop() { cgroup_signal "$AGENT_CGROUP" TERM; }

resolver_stop() {
  kill "$RESOLVE_PID"
  wait "$RESOLVE_PID" 2>/dev/null
}

one_layout() {
  env_up "$1"
  pod_add web burstable
  pod_add db guaranteed
  env_load >/dev/null || env_fail 'load failed'
  env_resolve
  env_serve --user "$ENV_UID"
  in_node ip route add 169.254.0.0/16 dev br0
  before=$(pods_below)
  healthy "$1"
  same "$1: every check that needs no other system was made" '' \
    "$(jq -r '[.[] | select(.result == "skip") | .check] | join(" ")' "$ENV_TMP/report")"
  same "$1: the probe's cgroup is gone" "$before" "$(pods_below)"
}

# ---- not loaded, not root ----
env_up
finds 'not loaded' 'fail guard' 'is not there'

# The first load, held in the middle: its maps are pinned, and nothing is attached.
load_held() {
  local tries
  for tries in 1 2 3 4 5 6 7 8 9 10; do
    nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" load --pin-dir "$PIN_DIR" \
      --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:$AGENT_PORT" \
      >"$ENV_TMP/load.log" 2>&1 &
    LOAD_PID=$!
    until [ -e "$PIN_DIR/maps/podcred_config_v2" ] || ! [ -d "/proc/$LOAD_PID" ]; do :; done
    kill -STOP "$LOAD_PID"
    wait_for 10 grep -q '^State:.*stopped' "/proc/$LOAD_PID/status"
    [ -e "$PIN_DIR/links/podcred_claim" ] || return 0
    note "try $tries: too late"
    kill -CONT "$LOAD_PID"
    wait "$LOAD_PID"
    podcred unload >/dev/null
  done
  return 1
}
load_held || env_fail 'the first load cannot be held in the middle'
podcred status >"$ENV_TMP/out" 2>&1
same 'during the first load: status fails' 1 $?
same 'during the first load: in one line' \
  "podcred: $PIN_DIR: nothing is attached yet; a load is running, wait for it to end" \
  "$(cat "$ENV_TMP/out")"
finds 'during the first load' 'fail guard' 'nothing is attached yet'
same 'during the first load: the rest is skipped' 'podcred is not loaded' \
  "$(jq -r '.[] | select(.result == "skip") | .text' "$ENV_TMP/report" | sort -u)"
same 'during the first load: but what needs none of it' 'kernel cgroup-namespace pins sysctls' \
  "$(jq -r '[.[] | select(.result == "ok") | .check] | join(" ")' "$ENV_TMP/report")"
kill -KILL "$LOAD_PID"
wait "$LOAD_PID" 2>/dev/null
check 'a load that was killed: status says so' grep -q 'nothing is attached yet; run podcred load' \
  <(podcred status 2>&1)
check 'the next one succeeds' env_load
check 'and status with it' podcred status
env_clean

one_layout systemd
env_clean
one_layout cgroupfs

setpriv --reuid 65534 --regid 65534 --clear-groups "$PODCRED" doctor --pin-dir "$PIN_DIR" \
  >"$ENV_TMP/out" 2>&1
same 'without root: the checks that need it are skipped, and say so' "skip guard needs root" \
  "$(awk '$2 == "guard" { print $1, $2, $3, $4 }' "$ENV_TMP/out")"
# The capabilities of the resolver's container: fewer answers, but no wrong one.
as_resolver() {
  in_node setpriv --bounding-set=-all,+bpf,+net_admin --inh-caps=-all,+bpf,+net_admin \
    "$PODCRED" doctor --pin-dir "$PIN_DIR" --json >"$ENV_TMP/report"
}
check "with the resolver's capabilities: exit status 0" as_resolver
same "with the resolver's capabilities: nothing to say" '' "$(findings)"
same "with the resolver's capabilities: skipped is what they do not allow" \
  'kernel agent-process fetch-process probe-packet' \
  "$(jq -r '[.[] | select(.result == "skip") | .check] | join(" ")' "$ENV_TMP/report")"
check 'and says so' grep -q 'takes CAP_PERFMON' <(text_of kernel)
in_pod web sleep 1000 &
wait_for 10 grep -q . "${POD_CGROUP[web]}/container/cgroup.procs"
as_resolver
check 'a process that may not be looked at is not called none' grep -q 'takes CAP_SYS_PTRACE' \
  <(text_of sandboxes)
cgroup_signal "${POD_CGROUP[web]}/container" KILL
in_node setpriv --bounding-set=-all,+bpf --inh-caps=-all,+bpf "$PODCRED" doctor \
  --pin-dir "$PIN_DIR" --json >"$ENV_TMP/report"
same 'with CAP_BPF alone: nothing to say' '' "$(findings)"
check 'with CAP_BPF alone: of other programs nothing is known' grep -q 'takes CAP_NET_ADMIN' \
  <(text_of foreign-programs)
doctor >"$ENV_TMP/out"
same 'as text: one line for each check' "$(jq length "$ENV_TMP/report")" "$(wc -l <"$ENV_TMP/out")"
examine --no-probe
same '--no-probe: the probes are skipped, and say why' \
  'probe-resolver probe-identity probe-datagram probe-packet' \
  "$(jq -r '[.[] | select(.text == "--no-probe") | .check] | join(" ")' "$ENV_TMP/report")"

# ---- the guard ----
# The resolver would attach it again, unless a loader is at work.
exec 7<"$PIN_DIR"
flock 7
mv "$PIN_DIR/links/podcred_smsg4" "$PIN_DIR/podcred_smsg4"
finds 'a program of ours, by a link that status does not know' 'fail guard' \
  'podcred_smsg4 is not attached'
mv "$PIN_DIR/podcred_smsg4" "$PIN_DIR/links/podcred_smsg4"
link_cut podcred_smsg4
finds 'a pin of a link removed' 'fail guard' 'podcred_smsg4 is not attached'
exec 7<&-
env_load >/dev/null
healthy 'loaded again'

# ---- pins ----
chmod 777 "$PIN_DIR"
finds 'pin directory writable by all' 'fail pins' "others than root can change $PIN_DIR"
chmod 755 "$PIN_DIR"

# ---- other people's programs ----
"$EXCLUSIVE" attach "$ENV_CGROUP"
finds 'an exclusive program above' 'fail foreign-programs' "foreign (id .*connect6 on $ENV_CGROUP)"
"$EXCLUSIVE" detach "$ENV_CGROUP"
"$EXCLUSIVE" attach "$ENV_CGROUP" override
finds 'an overridable program above' 'warn foreign-programs' 'switched off .*foreign (id'
"$EXCLUSIVE" detach "$ENV_CGROUP"
"$EXCLUSIVE" attach "$ENV_CGROUP" multi
healthy 'a program above that shares'
"$EXCLUSIVE" detach "$ENV_CGROUP"
for flag in multi override ''; do
  "$EXCLUSIVE" attach "${POD_CGROUP[web]}" $flag
  finds "a program on a pod, ${flag:-exclusive}" 'warn foreign-programs' \
    "run first: foreign (id .*${POD_CGROUP[web]})"
  "$EXCLUSIVE" detach "${POD_CGROUP[web]}"
done
for hook in egress ingress; do
  "$EXCLUSIVE" attach "${POD_CGROUP[web]}" $hook
  healthy "a packet filter on a pod, as systemd's ($hook)"
  same "a packet filter on a pod, as systemd's ($hook): is counted" 'none in the way, 1 that share' \
    "$(text_of foreign-programs)"
  "$EXCLUSIVE" detach "${POD_CGROUP[web]}" $hook
done
mkdir -p "$ENV_CGROUP/twin/kubepods" "$ENV_CGROUP/twin/agent"
in_node "$PODCRED" load --pin-dir "$PIN_DIR-twin" --kubepods "$ENV_CGROUP/twin/kubepods" \
  --agent-cgroup "$ENV_CGROUP/twin/agent" --agent "$NODE_V4:7778" >/dev/null || env_fail 'load of the twin failed'
bpftool cgroup attach "$KUBEPODS" connect4 pinned "$PIN_DIR-twin/progs/podcred_conn4" multi
finds 'a program of another podcred, attached by hand' 'fail foreign-programs' \
  'another podcred is attached' --no-probe
bpftool cgroup detach "$KUBEPODS" connect4 pinned "$PIN_DIR-twin/progs/podcred_conn4"
"$PODCRED" unload --pin-dir "$PIN_DIR-twin" >/dev/null
rmdir "$ENV_CGROUP/twin/kubepods" "$ENV_CGROUP/twin/agent" "$ENV_CGROUP/twin"

# ---- the agent ----
agent_stop
finds 'agent down' 'fail agent' "nobody listens on $NODE_V4:$AGENT_PORT"
check 'agent down: the probe holds it against the agent' \
  grep -q 'see agent; .*Connection refused' <(text_of probe-identity)
background "$ENV_TMP/outside.log" 'agent ready' in_host "$PODCRED" serve \
  --agent "$NODE_V4:$AGENT_PORT" --agent "[$NODE_V6]:$AGENT_PORT" \
  --associations "$ENV_TMP/associations.yaml" --user "$ENV_UID"
finds 'agent outside its cgroup' 'fail agent' "but in $ENV_CGROUP/host and not in $AGENT_CGROUP"
cgroup_signal "$ENV_CGROUP/host" TERM
background "$ENV_TMP/connection.log" connected in_host python3 -c "
import signal, socket
to = socket.create_server(('$NODE_V4', 0))
s = socket.socket()
s.bind(('$NODE_V4', $AGENT_PORT))
s.connect(to.getsockname())
print('connected', flush=True)
signal.pause()"
finds "a connection from the agent's port" 'fail agent' \
  "nobody can: a connection of python3[0-9.]* (pid [0-9]*) to $NODE_V4:[0-9]* has it"
check "which serve's own hint shows" grep -q 'ss -tanp' <(in_agent "$PODCRED" serve --user "$ENV_UID" \
  --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml" 2>&1)
cgroup_signal "$ENV_CGROUP/host" KILL
in_host "$WHO" $NODE_V4 $AGENT_PORT >"$ENV_TMP/squatter" 2>&1 &
wait_for 10 in_node bash -c "exec 3<>/dev/tcp/$NODE_V4/$AGENT_PORT"
finds "somebody else on the agent's port" 'fail agent' \
  "$NODE_V4:$AGENT_PORT is taken by who (pid [0-9]*) in $ENV_CGROUP/host"
cgroup_signal "$ENV_CGROUP/host" KILL
background "$ENV_TMP/moved" ready in_host "$WHO" $NODE_V4 $AGENT_PORT "$NODE_V6" $AGENT_PORT
read -r moved <"$ENV_CGROUP/host/cgroup.procs"
echo "$moved" >"$AGENT_CGROUP/cgroup.procs"
finds 'an agent that listened before it came into its cgroup' 'fail agent' "in $ENV_CGROUP/host"
agent_stop
env_serve --user "$ENV_UID"
healthy 'the agent is back'

# ---- IPv6 ----
in_node bash -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
finds 'IPv6 switched off' 'fail ipv6' 'switched off'
in_node bash -c 'echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
in_node ip -6 addr add "$NODE_V6/64" dev br0 nodad
in_node "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --agent "$NODE_V4:$AGENT_PORT" >/dev/null
finds 'no IPv6 address for the agent' 'warn ipv6' 'the agent has not'
env_load >/dev/null

# ---- the path past the bridge ----
in_node ip link add br1 type bridge
in_node ip link set v1 master br1
crosses() { podcred status --json | jq -e 'any(.gaps[]; .kind == "path")'; }
wait_for 10 crosses
finds 'a bridge that does not lead to the node' 'fail path' \
  'the pod behind interface v1 comes to the agent across br1: a neighbour there with CAP_NET_RAW'
in_node ip link set v1 master br0
in_node ip link del br1
wait_for 10 podcred status
healthy 'the pod is back on its bridge'
same 'the path, in words' 'connections to the agent: 2 interfaces past a bridge, 0 without one' "$(text_of path)"

# ---- sysctls ----
source_route() { in_node bash -c "echo $2 >/proc/sys/net/ipv4/conf/$1/accept_source_route"; }
source_route br0 1
source_route all 1
finds 'source routes accepted' 'warn sysctls' 'accept_source_route is on (.*br0'
source_route all 0

# ---- pods ----
cp /bin/sleep "$ENV_TMP/runsc"
in_pod web "$ENV_TMP/runsc" 1000 &
wait_for 10 grep -q . "${POD_CGROUP[web]}/container/cgroup.procs"
wait_for 10 bash -c "readlink /proc/\$(head -n 1 ${POD_CGROUP[web]}/container/cgroup.procs)/exe |
  grep -q runsc"
finds 'a sandboxed runtime' 'warn sandboxes' 'runsc (pid [0-9]*)'
cgroup_signal "${POD_CGROUP[web]}/container" KILL
# A pod on the node's network that may open packet sockets, if only after an exec.
in_pod web sleep 1000 &
pod_add netd besteffort host
env_podlist "$ENV_TMP/pods.json"
# What a runtime starts first for each pod, with the capabilities that it gives by default. paused CGROUP
cp /bin/sleep "$ENV_TMP/pause"
is_paused() { sed 's|.*|/proc/&/comm|' "${POD_CGROUP[netd]}/$1/cgroup.procs" | xargs grep -q '^pause$'; }
paused() {
  mkdir -p "${POD_CGROUP[netd]}/$1"
  in_cgroup "${POD_CGROUP[netd]}/$1" "$NODE_NETNS" "$ENV_TMP/pause" 1000 &
  wait_for 10 is_paused "$1"
}
paused sandbox
in_pod netd setpriv --inh-caps=-all --bounding-set=-all sleep 1000 &
wait_for 10 grep -q . "${POD_CGROUP[netd]}/container/cgroup.procs"
wait_for 10 grep -q '^CapBnd:.*0000000000000000' \
  "/proc/$(head -n 1 "${POD_CGROUP[netd]}/container/cgroup.procs")/status"
netd_known() { podcred pods --json | jq -e 'any(.[]; .name == "netd")'; }
wait_for 10 netd_known
healthy 'a hostNetwork pod without CAP_NET_RAW but for its sandbox, another pod with it'
paused late
finds 'what only calls itself pause, with CAP_NET_RAW' 'warn sniffers' 'CAP_NET_RAW: shop/netd; '
cgroup_signal "${POD_CGROUP[netd]}/late" KILL
rmdir "${POD_CGROUP[netd]}/late"
in_pod netd setpriv --inh-caps=-all --bounding-set=-all,+net_raw --reuid 65534 --clear-groups sleep 1000 &
bounded() {
  sed 's|.*|/proc/&/status|' "${POD_CGROUP[netd]}/container/cgroup.procs" |
    xargs grep -h '^CapBnd:' | grep -q '2000$'
}
wait_for 10 bounded
finds 'a hostNetwork pod that may have CAP_NET_RAW' 'warn sniffers' 'CAP_NET_RAW: shop/netd; '
# There may be as many as a node has agents.
sniffers=(csi dns flow logs node proxy)
for name in "${sniffers[@]}"; do
  pod_add "$name" besteffort host
  in_pod "$name" sleep 1000 &
  wait_for 10 grep -q . "${POD_CGROUP[$name]}/container/cgroup.procs"
done
examine
same 'those without a name are listed by their cgroup' 6 \
  "$(text_of sniffers | grep -o 'besteffort/pod[0-9a-f-]*/container' | wc -l)"
env_podlist "$ENV_TMP/pods.json"
named() { podcred pods --json | jq -e 'any(.[]; .name == "proxy")'; }
wait_for 10 named
examine
same 'all of them are listed' "$(printf 'shop/%s\n' netd "${sniffers[@]}" | sort | xargs)" \
  "$(text_of sniffers | grep -o 'shop/[a-z]*' | sort | xargs)"
for name in "${sniffers[@]}"; do
  cgroup_signal "${POD_CGROUP[$name]}/container" KILL
  rmdir "${POD_CGROUP[$name]}/container" "${POD_CGROUP[$name]}"
  unset "POD_UID[$name]" "POD_CGROUP[$name]"
done
cgroup_signal "${POD_CGROUP[netd]}/container" KILL
cgroup_signal "${POD_CGROUP[netd]}/sandbox" KILL
cgroup_signal "${POD_CGROUP[web]}/container" KILL
rmdir "${POD_CGROUP[netd]}/container" "${POD_CGROUP[netd]}/sandbox" "${POD_CGROUP[netd]}"
unset 'POD_UID[netd]' 'POD_CGROUP[netd]'
env_podlist "$ENV_TMP/pods.json"
pod_add nameless burstable
finds 'a pod that no list names' 'warn resolver' "1 of 3 pods have no name.*${POD_UID[nameless]}"
env_podlist "$ENV_TMP/pods.json"
healthy 'now it is named'
resolver_stop
finds 'resolver down' 'fail probe-resolver' 'a new pod is not noticed'
pod_add unknown guaranteed
examine
same 'resolver down, and a new pod: two findings' 'fail interfaces, fail resolver' "$(findings)"
check 'resolver down, and a new pod: it is not known' \
  grep -q "1 of 4 pods are not known.*${POD_UID[unknown]}" <(text_of resolver)
check 'nor is its interface watched' grep -q 'interface v[0-9]* of a pod has no podcred_veth' <(text_of interfaces)
env_resolve
healthy 'the resolver is back'

# ---- a kubelet, which removes cgroups of pods that it does not know ----
KUBELET=$ENV_ROOT/tests/lib/kubelet.py
kubelet() {
  background "$ENV_TMP/kubelet.log" 'kubelet ready' python3 "$KUBELET" "$KUBEPODS" "$@"
  KUBELET_PID=$!
}
kubelet_stop() {
  kill "$KUBELET_PID" 2>/dev/null
  wait "$KUBELET_PID" 2>/dev/null
}
kill -STOP "$RESOLVE_PID" # so that the probe has to wait
kubelet 2 "$RESOLVE_PID"
healthy "the probe's cgroup is removed twice"
same "the probe's cgroup is removed twice: every probe has its answer" 'ok ok ok ok' \
  "$(jq -r '[.[] | select(.check | startswith("probe-")) | .result] | join(" ")' "$ENV_TMP/report")"
kubelet_stop
kill -CONT "$RESOLVE_PID" # if it has not done so
kubelet
for round in 1 2 3 4 5; do
  healthy "the probe's cgroup is removed at once, round $round"
done
resolver_stop
finds 'resolver down, and no probe lasts' 'fail probe-resolver' 'no resolver runs'
env_resolve
kubelet_stop
same "no probe's cgroup is left" "$(pods_below)" "${#POD_CGROUP[@]}"

# ---- ended in the middle ----
resolver_stop
before=$(pods_below)
more_pods() { [ "$(pods_below)" -gt "$before" ]; }
nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" doctor --pin-dir "$PIN_DIR" >"$ENV_TMP/out" &
DOCTOR_PID=$!
check 'the probe has its cgroup' wait_for 20 more_pods
kill -TERM "$DOCTOR_PID"
wait "$DOCTOR_PID"
same 'ended by a signal' 143 $?
same 'its cgroup is gone all the same' "$before" "$(pods_below)"
env_resolve

# ---- modes ----
echo 'mode: audit' >"$ENV_TMP/audit.yaml"
env_load --config "$ENV_TMP/audit.yaml" >/dev/null || env_fail 'load with mode audit failed'
healthy 'mode audit'
same 'mode audit: refuses nothing, so nothing is probed' 'skip skip' \
  "$(jq -r '[.[] | select(.check == "probe-datagram" or .check == "probe-packet") | .result] |
    join(" ")' "$ENV_TMP/report")"
env_load >/dev/null

# ---- cgroup v1 ----
V1=$(awk '$3 == "cgroup" && !found { print $2; found = 1 }' /proc/mounts)
if [ -n "$V1" ]; then
  mkdir -p "$V1/$ENV_ID/kubepods/pod${POD_UID[web]}"
  healthy 'a pod that v1 and v2 both have'
  stray=$(cat /proc/sys/kernel/random/uuid)
  mkdir "$V1/$ENV_ID/kubepods/pod$stray"
  finds 'a pod that only v1 has' 'fail cgroup-v1' "not guarded: $stray ($V1)"
  find "$V1/$ENV_ID" -depth -type d -exec rmdir {} +
else
  skip 'a pod that only v1 has' 'no cgroup v1 hierarchy is mounted here'
fi

# ---- kubepods recreated: the guard dies with it ----
resolver_stop
find "$KUBEPODS" -depth -type d -exec rmdir {} +
mkdir "$KUBEPODS"
dead() { podcred status --json | jq -e '[.links[] | select(.alive | not)] | length > 0'; }
check 'the links die' wait_for 10 dead
finds 'kubepods recreated' 'fail guard' 'is dead, its cgroup was removed'
# A link is detached some time after its pin, and even its id, have gone. Until then its program notices.
recreated() {
  rmdir "$KUBEPODS"
  mkdir "$KUBEPODS"
  examine
  findings
  [ "$(findings)" = 'fail guard, fail kubepods' ]
}
rm "$PIN_DIR/links/podcred_cgmkdir"
check 'and again, with nobody to notice' wait_for 20 recreated
check 'which says so' grep -q 'is not the one that was loaded' <(text_of kubepods)
tap_done
