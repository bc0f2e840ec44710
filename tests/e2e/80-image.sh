#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The image as the DaemonSet runs it: init containers that attach the guard and install it on the host, then
# resolver and agent as containers of the same pod, each with the capabilities that the DaemonSet gives it
# and under the seccomp profile of a runtime. Nobody tells them which cgroup they are in.
set -u
. "$(dirname "$0")/../lib/env.sh"
. "$(dirname "$0")/../lib/tap.sh"

# What the DaemonSet gives them.
caps_of() {
  "$ENV_ROOT/tests/lib/manifests.py" containers "$ENV_ROOT/deploy/kubernetes/base/daemonset.yaml" |
    sed -n "s/^context $1 [0-9]* //p"
}
LOAD_CAPS=$(caps_of load)
RESOLVE_CAPS=$(caps_of resolve)
MAX_IMAGE_KIB=16384

REAL=169.254.169.254
ECS_URL=http://169.254.170.2/v1/credentials

runc() { command runc --root "$ENV_TMP/runc" "$@"; }

# runc makes its cgroups in the v1 hierarchies of a hybrid machine as well.
image_down() {
  local status=$? id
  for id in resolve fetch serve; do
    [ ! -d "$ENV_TMP/runc/$id" ] || runc delete --force "$id" >/dev/null 2>&1
  done
  find /sys/fs/cgroup -mindepth 2 -maxdepth 2 -type d -name "$ENV_ID" -not -path "$ENV_CGROUP" \
    -exec find {} -depth -type d -delete \;
  (exit "$status")
  env_down
}

digest_of() { jq -r '.manifests[0].digest' "$1/index.json"; }
blob() { echo "$ENV_TMP/oci/blobs/${1/://}"; }

# Layers are plain tar archives, and there is one.
unpack_image() {
  local layer
  mkdir "$ENV_TMP/oci" "$ENV_TMP/rootfs"
  tar -xf "$ENV_TMP/image.tar" -C "$ENV_TMP/oci" || return 1
  MANIFEST=$(blob "$(digest_of "$ENV_TMP/oci")")
  CONFIG=$(blob "$(jq -r .config.digest "$MANIFEST")")
  for layer in $(jq -r '.layers[].digest' "$MANIFEST"); do
    tar -xpf "$(blob "$layer")" -C "$ENV_TMP/rootfs" || return 1
  done
}

# runtime_default CAPABILITIES [ALSO]: the filter that a runtime applies with RuntimeDefault to a container with them, from
# the profile that Debian has for podman and CRI-O. containerd's differs in what it also allows to whom.
SECCOMP_CONTAINERD='{"bpf": "CAP_BPF", "perf_event_open": "CAP_PERFMON"}'
SECCOMP_ALSO=$SECCOMP_CONTAINERD
runtime_default() {
  jq --arg caps "$1" --argjson ours "${2:-"{}"}" '
    ($caps | split(" ")) as $caps
    | {defaultAction, defaultErrnoRet, architectures: ["SCMP_ARCH_X86_64"], syscalls: ([
        .syscalls[]
        | select(((.includes.caps // []) - $caps) == [] and ((.excludes.caps // []) - $caps) == (.excludes.caps // []))
        | select((.includes.arches // ["amd64"] | index("amd64")) and (.excludes.arches // [] | index("amd64") | not))
        | .names -= [$ours | to_entries[] | .value as $cap | select($caps | index($cap)) | .key]
        | select(.names != [])
        | {names, action} + (if .errnoRet then {errnoRet} else {} end) + (if .args then {args} else {} end)]
      + [$ours | to_entries[] | .value as $cap | select($caps | index($cap)) | {names: [.key], action: "SCMP_ACT_ALLOW"}])}
  ' /usr/share/containers/seccomp.json
}

# spec NAME UID CAPABILITIES MOUNTS ARG...: a bundle for one container of the agent's pod, as
# containerd makes it: own cgroup and mount namespace, the node's network and pids, read-only root,
# seccomp.
# MOUNTS: "source:target[:ro]..." in one word list.
spec() {
  local name=$1 uid=$2 caps=$3 mounts=$4 dir=$ENV_TMP/$1
  shift 4
  mkdir -p "$dir"
  rm -f "$dir/config.json"
  command runc spec --bundle "$dir" || return 1
  jq --arg root "$ENV_TMP/rootfs" --argjson uid "$uid" --arg caps "$caps" --arg mounts "$mounts" \
    --arg args "$(printf '%s\n' "$@")" \
    --arg cgroup "${POD_CGROUP[podcred]#"$CGROUP_MOUNT"}/$name" --arg netns "/run/netns/$NODE_NETNS" \
    --slurpfile image "$CONFIG" --argjson seccomp "$(runtime_default "$caps" "$SECCOMP_ALSO")" '
    ($caps | split(" ")) as $caps
    | .root = {path: $root, readonly: true}
    | .process.terminal = false
    | .process.user = {uid: $uid, gid: $uid, additionalGids: [60777]}
    | .process.args = $image[0].config.Entrypoint + ($args | split("\n"))
    | .process.noNewPrivileges = true
    | .process.capabilities = {bounding: $caps, effective: $caps, permitted: $caps}
    | del(.process.rlimits)
    | .mounts |= map(select(.destination != "/sys/fs/cgroup"))
    | .mounts += ($mounts | split(" ") | map(split(":") | {source: .[0], destination: .[1],
        type: "bind", options: (["rbind"] + .[2:])}))
    | .linux.seccomp = $seccomp
    | .linux.cgroupsPath = $cgroup
    | .linux.namespaces = ([{type: "network", path: $netns}]
        + (["ipc", "uts", "mount", "cgroup"] | map({type: .})))
  ' <"$dir/config.json" >"$dir/config.new" && mv "$dir/config.new" "$dir/config.json"
}

run_once() {
  spec "$@" || return 1
  runc run --bundle "$ENV_TMP/$1" "$1" >"$ENV_TMP/$1.log" 2>&1
}

run_daemon() {
  spec "$@" || return 1
  runc run --bundle "$ENV_TMP/$1" "$1" >"$ENV_TMP/$1.log" 2>&1 &
}

# log_says NAME TEXT: within ten seconds
log_says() {
  wait_for 10 grep -q "$2" "$ENV_TMP/$1.log" || {
    cat "$ENV_TMP/$1.log"
    return 1
  }
}

# What the host's paths are called inside: the host's /sys/fs/cgroup and bpffs as hostPath volumes.
inside() { echo "/sys/fs/cgroup${1#"$CGROUP_MOUNT"}"; }

load_with() {
  run_once load 0 "$1" "$HOST_MOUNTS $ENV_TMP/keep:/run/podcred-node" load --pin-dir "$PIN_DIR" \
    --kubepods "$(inside "$KUBEPODS")" --agent "$NODE_V4:$AGENT_PORT" --token-key /run/podcred-node/token-key
}
load_container() { load_with "$LOAD_CAPS"; }

env_up
trap image_down EXIT
umask 022
HOST_MOUNTS="$CGROUP_MOUNT:/sys/fs/cgroup /sys/fs/bpf:/sys/fs/bpf"
build=$ENV_ROOT/deploy/container/build.sh
cp "$PODCRED" "$ENV_TMP/podcred"

# ---- the image ----

digest=$("$build" "$ENV_TMP/podcred" "$ENV_TMP/image.tar" localhost/podcred:test 1.2.3)
check 'the image builds without network' [ -n "$digest" ] || { tap_done; exit 1; }
unpack_image || env_fail 'not an OCI archive'
same 'the digest is what the build printed' "$digest" "$(digest_of "$ENV_TMP/oci")"
same 'a second build has the same digest' "$digest" \
  "$("$build" "$ENV_TMP/podcred" "$ENV_TMP/again.tar" localhost/podcred:test 1.2.3)"
same 'in the archive it has the whole name that the kubelet will ask for' localhost/podcred:test \
  "$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$ENV_TMP/oci/index.json")"
for name in podcred podcred:1 library/podcred:1 localhost/podcred; do
  same "a part of a name is refused: $name" '2 1' \
    "$("$build" "$ENV_TMP/podcred" "$ENV_TMP/part.tar" $name 2>"$ENV_TMP/err" >&2
      echo "$?" "$(grep -c "\"$name\" is not a whole name" "$ENV_TMP/err")")"
done
size=$(du -k "$ENV_TMP/image.tar" | cut -f 1)
note "archive $size KiB, unpacked $(du -sk "$ENV_TMP/rootfs" | cut -f 1) KiB"
check "it is smaller than $MAX_IMAGE_KIB KiB" [ "$size" -lt $MAX_IMAGE_KIB ]
same 'unprivileged unless the pod says otherwise' '60777:60777 ["/usr/bin/podcred"] 1.2.3' \
  "$(jq -r '.config | "\(.User) \(.Entrypoint) \(.Labels["org.opencontainers.image.version"])"' "$CONFIG")"
same 'the users that have a container, and no others' 'podcred podcred-fetch root' \
  "$(cut -d: -f1 "$ENV_TMP/rootfs/etc/passwd" | sort | xargs)"
check 'it has the certificate authorities that the system trusts' \
  cmp "/etc/ssl/certs/ca-certificates.crt" "$ENV_TMP/rootfs/etc/ssl/certs/ca-certificates.crt"
same 'no setuid or setgid file, no shell' '' \
  "$(find "$ENV_TMP/rootfs" \( -type f -perm /6000 \) -o -name sh -o -name bash)"

# ---- the agent's pod, piece by piece ----

pod_add podcred burstable host
pod_add cart besteffort
pod_add till guaranteed
env_podlist "$ENV_TMP/pods.json"
mkdir "$ENV_TMP/names" "$ENV_TMP/secret" "$ENV_TMP/keep" "$ENV_TMP/agent"
# as a kubelet makes it: for the group of the pod (fsGroup)
chgrp 60777 "$ENV_TMP/agent"
chmod 2777 "$ENV_TMP/agent"
cp "$ENV_TMP/pods.json" "$ENV_TMP/names"
env_associations >"$ENV_TMP/secret/associations.yaml"
chgrp 60777 "$ENV_TMP/secret/associations.yaml"
chmod 0440 "$ENV_TMP/secret/associations.yaml"

check 'every library is in the image' run_once version 60777 '' '/dev/null:/dev/null' version
check 'init container: load attaches' load_container
check 'init container: the agent is the pod that it runs in' \
  grep -qx "agent cgroup $(inside "${POD_CGROUP[podcred]}")" "$ENV_TMP/load.log"
is_complete() { podcred status --json | jq -e .complete; }
check 'all is attached, seen from the node' is_complete

SECCOMP_ALSO={}
check_not 'a key where none can be made fails' run_once load 0 "$LOAD_CAPS" "$HOST_MOUNTS" load --pin-dir "$PIN_DIR" \
  --kubepods "$(inside "$KUBEPODS")" --agent "$NODE_V4:$AGENT_PORT" --token-key /token-key
check 'with the reason' grep -q 'cannot write /token-key: Read-only file system' "$ENV_TMP/load.log" || cat "$ENV_TMP/load.log"
check_not 'resolve cannot work with the seccomp profile of CRI-O' run_once resolve 0 "$RESOLVE_CAPS" "$HOST_MOUNTS" \
  resolve --pin-dir "$PIN_DIR" --kubepods "$(inside "$KUBEPODS")"
same 'and says in one line what it may not' '1 1' \
  "$(wc -l <"$ENV_TMP/resolve.log") $(grep -c 'Operation not permitted' "$ENV_TMP/resolve.log")" || cat "$ENV_TMP/resolve.log"
SECCOMP_ALSO=$SECCOMP_CONTAINERD
run_daemon resolve 0 "$RESOLVE_CAPS" "$HOST_MOUNTS $ENV_TMP/names:/run/podcred:ro $ENV_TMP/agent:/run/podcred-agent:ro" \
  resolve --pin-dir "$PIN_DIR" --kubepods "$(inside "$KUBEPODS")" --pods /run/podcred/pods.json \
  --fetch-socket /run/podcred-agent/fetch.sock
check 'resolver container starts' log_says resolve 'resolver ready: 3 pods'
same 'in it, status says what it says on the node' "0 $(podcred status --json | jq -c '[.complete, .gaps]')" \
  "$(runc exec resolve /usr/bin/podcred status --pin-dir "$PIN_DIR" --json >"$ENV_TMP/out"
    echo "$? $(jq -c '[.complete, .gaps]' "$ENV_TMP/out")")"
runc exec resolve /usr/bin/podcred doctor --pin-dir "$PIN_DIR" --no-probe >"$ENV_TMP/out"
same 'and doctor fails nothing but the agent, which is not up yet' agent \
  "$(awk '$1 == "fail" { print $2 }' "$ENV_TMP/out")"
same "load has made the agent's key, for its group to read" '440 0 60777 32' \
  "$(stat -c '%a %u %g %s' "$ENV_TMP/keep/token-key")"
serve_container() {
  run_daemon serve 60777 '' \
    "$ENV_TMP/secret:/etc/podcred:ro $ENV_TMP/keep:/run/podcred-node:ro $ENV_TMP/agent:/run/podcred-agent" serve \
    --pod-uid "${POD_UID[podcred]}" --fetch-socket /run/podcred-agent/fetch.sock \
    --agent "$NODE_V4:$AGENT_PORT" --associations /etc/podcred/associations.yaml --token-key /run/podcred-node/token-key
}
serve_container
check 'agent container starts' log_says serve 'agent ready'
pid=$(runc state serve | jq .pid)
same 'agent container: user, capabilities, no_new_privs, seccomp' '60777 0000000000000000 1 2' \
  "$(awk '/^(Uid|CapPrm|NoNewPrivs|Seccomp):/ { printf "%s%s", n++ ? " " : "", $2 }' "/proc/$pid/status")"

run_daemon fetch 60778 '' "$ENV_TMP/secret:/etc/podcred:ro $ENV_TMP/agent:/run/podcred-agent:ro" fetch \
  --socket /run/podcred-agent/fetch.sock --associations /etc/podcred/associations.yaml
check 'fetch container starts, and reaches the agent' log_says fetch 'connected to the agent'
same 'fetch container: user, capabilities, no_new_privs, seccomp' '60778 0000000000000000 1 2' \
  "$(awk '/^(Uid|CapPrm|NoNewPrivs|Seccomp):/ { printf "%s%s", n++ ? " " : "", $2 }' \
    "/proc/$(runc state fetch | jq .pid)/status")"

# ---- does it work ----

key_of() { in_pod "$1" curl -s -m 5 "$ECS_URL" | jq -r '.AccessKeyId // .code'; }
same 'a pod gets its credentials' AKIACART "$(key_of cart)"
same 'another pod gets its own' AKIATILL "$(key_of till)"

imds() { in_pod cart curl -s -m 5 -X "$1" -H "X-aws-ec2-metadata-token${2%%=*}: ${2#*=}" "http://$REAL/latest/$3"; }
token=$(imds PUT -ttl-seconds=300 api/token)
role() { imds GET "=$token" meta-data/iam/security-credentials/; }
same 'with a session token a pod gets its role' cart-role "$(role)"

# The real metadata service of this node.
in_node ip addr add "$REAL/32" dev lo
in_host python3 -c "
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'the real one')
    def log_message(self, *a): pass
http.server.HTTPServer(('$REAL', 80), H).serve_forever()" &
wait_for 10 in_host curl -s -m 2 "http://$REAL/"
real_answer() { in_pod "$1" curl -s -m 5 "http://$REAL/"; }
same "the agent's own pod reaches the real metadata service" 'the real one' "$(real_answer podcred)"
check 'no other pod does' [ "$(real_answer cart)" != 'the real one' ]

# ---- probes, as a kubelet runs them: in the containers, with their rights ----

ready() { runc exec "$1" /usr/bin/podcred ready "${@:2}" 2>&1; }
same "in the agent's container: ready" ready "$(ready serve --agent "$NODE_V4:$AGENT_PORT")"
same "in the resolver's, of the resolver" ready "$(ready resolve --resolver --pin-dir "$PIN_DIR")"

# ---- the guard of the next boot: root without a capability leaves it on the host ----

HOST=$ENV_TMP/node
mkdir -p "$HOST/run/systemd/system" "$HOST/etc/systemd/system"
host_container() {
  run_once host 0 '' "$CGROUP_MOUNT:/sys/fs/cgroup $HOST:/host" host "$@" --root /host
}
check 'init container: host install' host_container install --pin-dir "$PIN_DIR" \
  --kubepods "$(inside "$KUBEPODS")" --agent "$NODE_V4:$AGENT_PORT" || cat "$ENV_TMP/host.log"
same 'the unit loads what this load has' "\"--kubepods\" \"$(inside "$KUBEPODS")\" \"--pin-dir\" \"$PIN_DIR\"" \
  "$(grep -o -m 1 '"--kubepods" [^ ]* "--pin-dir" [^ ]*' "$HOST/etc/systemd/system/podcred-load.service")"
lib=/opt/podcred/current/lib
same "it runs there with the image's libraries alone" "$(cat "$ENV_TMP/version.log")" \
  "$(chroot "$HOST" "$(cd "$HOST" && echo ./$lib/ld-*)" --inhibit-cache --library-path $lib \
    /opt/podcred/current/bin/podcred version)"

# ---- restart, upgrade, death ----

check 'init container again: updates in place' load_container
check 'each of them, able to go back, and none anew' grep -q '^0 programs attached, 15 updated' \
  "$ENV_TMP/load.log"
same 'credentials still flow' AKIACART "$(key_of cart)"
runc kill serve TERM
check 'the agent ends on SIGTERM' wait_for 10 bash -c "! [ -d /proc/$pid ]"
check_not 'without agent the guard still refuses' real_answer cart
runc delete serve
key=$(sha256sum "$ENV_TMP/keep/token-key")
check 'init container again: the key stays' load_container
same 'as it was' "$key" "$(sha256sum "$ENV_TMP/keep/token-key")"
serve_container
check 'agent container starts again' log_says serve 'agent ready'
same 'the session token from before is valid' cart-role "$(role)"
pid=$(runc state serve | jq .pid)
runc kill serve TERM
wait_for 10 bash -c "! [ -d /proc/$pid ]"
runc delete serve
chmod 0400 "$ENV_TMP/keep/token-key"
serve_container
check 'an agent that cannot read the key starts all the same' log_says serve 'agent ready'
check 'and says what that means' log_says serve 'warning: cannot read .*token-key: Permission denied. Session tokens'
same 'a pod gets its credentials then, too' AKIACART "$(key_of cart)"

# ---- away: first from the host, so that a reboot in between does not bring the guard back ----

UNLOAD_CAPS='CAP_BPF CAP_NET_ADMIN CAP_SYS_ADMIN'
check 'host uninstall in a container' host_container uninstall
same 'nothing is left on the host' '' "$(find "$HOST" -type f -o -type l)"
check 'unload in a container, with the rights of the manifest' \
  run_once unload 0 "$UNLOAD_CAPS" "$HOST_MOUNTS" unload --pin-dir "$PIN_DIR" || cat "$ENV_TMP/unload.log"
same 'the kernel has nothing of it any more' '[0-9]* programs detached; nothing is guarded any more' \
  "$(sed 's/^[0-9]*/[0-9]*/' "$ENV_TMP/unload.log")"
check_not 'no pin is left' test -e "$PIN_DIR"
same 'no container left a second cgroup of the pod behind' '' \
  "$(find "${POD_CGROUP[podcred]}" -name 'pod*' -mindepth 1)"
tap_done
