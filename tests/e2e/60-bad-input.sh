#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that people get wrong: one line that names the object, the cause and the next step;
# exit status 1, or 2 for wrong usage; nothing on stdout; nothing left behind.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

AGENT=(--agent "$NODE_V4:$AGENT_PORT")

# rejects STATUS PATTERN WHAT COMMAND...: PATTERN (extended) is the whole line.
rejects() {
  local want=$1 pattern=$2 what=$3 status
  shift 3
  "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"
  status=$?
  if [ $status = "$want" ] && [ ! -s "$ENV_TMP/out" ] && [ "$(wc -l <"$ENV_TMP/err")" = 1 ] &&
    grep -qxE "podcred( [a-z-]+)?: $pattern" "$ENV_TMP/err"; then
    tap_result ok "$what"
  else
    tap_result 'not ok' "$what"
    printf '#   command: %s\n#   status: %s, want %s\n#   want: %s\n' "$*" $status "$want" "$pattern"
    sed 's/^/#   stdout: /' "$ENV_TMP/out"
    sed 's/^/#   stderr: /' "$ENV_TMP/err"
  fi
}
load() { podcred load --agent-cgroup "$AGENT_CGROUP" --kubepods "$KUBEPODS" "$@"; }
nothing_attached() { ! bpftool cgroup tree "$ENV_CGROUP" 2>/dev/null | grep -qE '^ *[0-9]+ '; }
nothing_left() {
  check "$1: nothing is attached" wait_for 5 nothing_attached # a link goes some milliseconds after its last descriptor
  check_not "$1: nothing is pinned" test -e "$PIN_DIR"
}

env_up cgroupfs
pod_add web burstable

# ---- usage ----
rejects 2 'unknown command "laod"; podcred --help lists them' 'unknown command' "$PODCRED" laod
rejects 2 'unknown option "--forec"; podcred load --help lists the options' 'unknown option' \
  "$PODCRED" load --forec
rejects 2 '--agent needs a value; .*--help.*' 'missing value' "$PODCRED" load --agent
rejects 2 'unexpected argument "now"; .*--help.*' 'unexpected argument' "$PODCRED" unload now
rejects 2 '--pods is given twice; .*' 'option given twice' "$PODCRED" resolve --pods a --pods b
rejects 2 'no file given; podcred check-config FILE' 'check-config without a file' \
  "$PODCRED" check-config
for command in load unload run resolve serve fetch status pods peers flows targets features; do
  rejects 2 'unknown option "--nonsense"; .*' "$command refuses unknown options" \
    "$PODCRED" $command --nonsense
done

# ---- the agent's address ----
bad_agent() {
  local text=${1//[/\\[} # as a pattern
  rejects 1 "agent \"$text\" $2; (write|give) .*" "load --agent $1" load --agent "$1"
  rejects 1 "agent \"$text\" $2; (write|give) .*" "serve --agent $1" podcred_serve --agent "$1"
}
podcred_serve() { "$PODCRED" serve --associations "$ENV_TMP/associations.yaml" "$@"; }
env_associations >"$ENV_TMP/associations.yaml"
chmod 600 "$ENV_TMP/associations.yaml"
bad_agent localhost:80 'is not ADDRESS:PORT'
bad_agent 10.0.0.1 'is not ADDRESS:PORT'
bad_agent 10.0.0.1: 'is not ADDRESS:PORT'
bad_agent 10.0.0.1:0 'is not ADDRESS:PORT'
bad_agent 10.0.0.1:65536 'is not ADDRESS:PORT'
bad_agent fd00::1:80 'is not ADDRESS:PORT'
bad_agent 127.0.0.1:80 'is a loopback address.*'
bad_agent '[::1]:80' 'is a loopback address.*'
bad_agent 0.0.0.0:80 'is a wildcard.*'
bad_agent '[::]:80' 'is a wildcard.*'
bad_agent 169.254.170.2:80 'is link-local.*'
bad_agent '[fe80::1]:80' 'is link-local.*'
rejects 1 'agent "10.0.0.2:1" is the second of its family; give .*' 'two IPv4 agents' \
  load --agent 10.0.0.1:1 --agent 10.0.0.2:1
rejects 1 'no agent address: .*; give --agent ADDRESS:PORT.*' 'no agent' load
nothing_left 'after bad agents'

# ---- the configuration file ----
config() { cat >"$ENV_TMP/config.yaml"; }
bad_config() {
  rejects 1 "$ENV_TMP/config.yaml:$1" "configuration: $2" load --config "$ENV_TMP/config.yaml"
  rejects 1 "$ENV_TMP/config.yaml:$1" "check-config: $2" "$PODCRED" check-config \
    "$ENV_TMP/config.yaml"
}
rejects 1 "cannot read $ENV_TMP/none.yaml: No such file or directory; check the path and its permissions" \
  'configuration: missing' load --config "$ENV_TMP/none.yaml"
rejects 1 "cannot read $ENV_TMP: Is a directory; check the path.*" \
  'configuration: a directory' load --config "$ENV_TMP"
config <<<$'agent: 10.0.0.1:7777\ndestinations: ['
bad_config '[23]: not YAML: .*' 'not YAML'
config < <(printf 'mode: audit\n' | iconv -t UTF-16)
bad_config '1: this is UTF-16; write YAML in UTF-8' 'UTF-16'
config <<<$'# one\nagnet: 10.0.0.1:7777'
bad_config '2: unknown key "agnet"; known are agent, .*' 'unknown key'
config <<<$'agent: 10.0.0.1:7777\nagent: 10.0.0.2:7777'
bad_config '2: key "agent" is there twice; remove one' 'key twice'
config <<<$'- agent'
bad_config '1: expected a mapping with agent, .*' 'a list'
config <<<$'agent: 10.0.0.1:7777\n\ndestinations: all'
bad_config '3: expected a list .*' 'destinations is no list'
config <<<$'destinations:\n- address: 10.0.0.1\n  ports:\n  - port: http'
bad_config '4: port "http" is not a number from 1 to 65535' 'port is no number'
config <<<$'destinations:\n- address: 10.0.0.1\n  action: forbid'
bad_config '3: action "forbid" is not allow, redirect, deny or audit' 'unknown action'
config <<<$'destinations:\n- address: metadata'
bad_config '2: address "metadata" is neither .*' 'address is none'
config <<<$'destinations:\n- action: deny'
bad_config '2: a destination needs "address"' 'no address'
config <<<$'maxPendingPerPod: [1]'
bad_config '1: maxPendingPerPod "" is not a number from 1 to [0-9]+' 'a list for a number'
config <<<$'maxPendingPerPod: 0'
bad_config '1: maxPendingPerPod "0" is not a number from 1 to [0-9]+' 'zero'
config <<<$'agent:\n- 10.0.0.1:7777\n- 127.0.0.1:1'
bad_config '3: agent "127.0.0.1:1" is a loopback address.*' 'loopback agent'
config <<<$'mode: dry-run'
bad_config '1: mode "dry-run" is not enforce or audit' 'unknown mode'
config <<<$'failureMode: fail'
bad_config '1: failureMode "fail" is not closed or open' 'unknown failure mode'
config <<<$'policy:\n- namespace: shop'
bad_config '2: a policy rule needs "action"' 'policy without action'
config <<<$'policy:\n- namespace: shop\n  action: allow'
bad_config '3: policy action "allow" is not exempt, audit, redirect or deny' 'unknown policy action'
config <<<$'policy:\n- namespace: "*"\n  action: exempt'
bad_config '2: namespace "[*]" is not the name of one .*; correct it, .*' 'wildcard in the policy'
config <<<$'policy:\n- namespace: shop\n  serviceAccount: a..b\n  action: deny'
bad_config '3: serviceAccount "a[.][.]b" is not the name of one .*; correct it, .*' \
  'bad service account in the policy'
config <<<$'policy:\n- action: exempt'
bad_config '2: this rule would exempt every pod; give "namespace"' 'everybody is exempt'
config <<<$'policy:\n- podSelector: {matchLabels: {app: aws-node}}\n  action: exempt'
bad_config '2: pods of any namespace with these labels would be exempt, .*; give "namespace" too' 'exempt by labels alone'
config <<<$'policy:\n- podSelector:\n    app: web\n  action: deny'
bad_config '3: unknown key "app"; known are matchLabels, matchExpressions' 'labels without matchLabels'
config <<<$'policy:\n- namespace: shop\n  action: exempt\n  imdsv2: required'
bad_config '2: imdsv2: required goes with action: redirect alone, .*; remove one' 'IMDSv2 of an exempt pod'
config <<<$'policy:\n- serviceAccount: aws-node\n  action: exempt'
bad_config '2: serviceAccount "aws-node" without a namespace .*; give "namespace" too' \
  'exempt by service account alone'
config <<<$'policy:\n- action: deny\n- namespace: shop\n  action: exempt'
bad_config '3: this rule is never reached: the one in line 2 .*; put it above .*' 'unreachable rule'
config <<<$'policy:\n- {namespace: shop, action: deny}\n- {namespace: shop, action: exempt}'
bad_config '3: this rule selects the same pods as the one in line 2; remove one' 'rule twice'
nothing_left 'after bad configurations'

# ---- cgroups ----
rejects 1 "cannot find cgroup $KUBEPODS-no: No such file or directory; give .* with --kubepods, or make it with --create" \
  'kubepods missing' podcred load "${AGENT[@]}" --kubepods "$KUBEPODS-no"
rejects 1 "$ENV_TMP is not below the cgroup2 mount $CGROUP_MOUNT; give .* with --kubepods" \
  'kubepods is no cgroup' podcred load "${AGENT[@]}" --kubepods "$ENV_TMP"
rejects 1 "cannot find cgroup $ENV_CGROUP/no: No such file or directory; give .* with --cgroup" \
  'guarded cgroup missing' load "${AGENT[@]}" --cgroup "$ENV_CGROUP/no"
rejects 1 "kubepods \($KUBEPODS\) is not below the guarded cgroup $AGENT_CGROUP; .*: give .*" \
  'kubepods outside of the guarded cgroup' load "${AGENT[@]}" --cgroup "$AGENT_CGROUP"
rejects 1 "cannot find cgroup $ENV_CGROUP/no: No such file or directory; give .* --agent-cgroup" \
  'agent cgroup missing' podcred load "${AGENT[@]}" --kubepods "$KUBEPODS" --agent-cgroup \
  "$ENV_CGROUP/no"
rejects 1 "no kubepods directory .*$ENV_CGROUP/host.*; start the kubelet, or give --kubepods DIR" \
  'no kubepods' podcred load "${AGENT[@]}" --cgroup "$ENV_CGROUP/host"
rejects 1 '--create makes what --kubepods names; give both' '--create alone' \
  podcred load "${AGENT[@]}" --create
rejects 1 "$ENV_TMP is not a BPF file system; mount one there: .*" 'pin directory elsewhere' \
  "$PODCRED" load "${AGENT[@]}" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
  --pin-dir "$ENV_TMP/pins"
nothing_left 'after bad cgroups'

# ---- privileges and kernels ----
# The build directory may be out of reach for others.
cp "$PODCRED" "$ENV_TMP/podcred"
chmod 711 "$ENV_TMP"
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all "$@"; }
nobody_load() {
  as_nobody "$ENV_TMP/podcred" load --pin-dir "$PIN_DIR" "${AGENT[@]}" --kubepods "$KUBEPODS" \
    --agent-cgroup "$AGENT_CGROUP"
}
rejects 1 '.*(not permitted|denied).*(root|CAP_).*' 'load as nobody' nobody_load
no_caps() {
  setpriv --inh-caps -all --bounding-set -all "$PODCRED" load --pin-dir "$PIN_DIR" "${AGENT[@]}" \
    --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP"
}
rejects 1 '.*(not permitted|denied).*(root|CAP_).*' 'load as root without capabilities' no_caps
for command in status pods peers flows targets unload; do
  [ $command != unload ] || env_load >/dev/null
  rejects 1 '.*; run (as root|podcred load first).*' "$command as nobody" \
    as_nobody "$ENV_TMP/podcred" $command --pin-dir "$PIN_DIR"
done
podcred unload >/dev/null
without_btf() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount bash -c 'mount -t tmpfs none /sys/kernel/btf && exec "$@"' _ "$PODCRED" load \
    --pin-dir "$PIN_DIR" "${AGENT[@]}" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP"
}
rejects 1 '/sys/kernel/btf/vmlinux: No such file .*; podcred needs .*CONFIG_DEBUG_INFO_BTF.*' 'load without BTF' without_btf
without_cgroup2() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount bash -c 'while m=$(awk "\$3 == \"cgroup2\" { print \$2; exit }" /proc/mounts) &&
    [ -n "$m" ]; do umount -l "$m" || exit 125; done; exec "$@"' _ "$PODCRED" load \
    --pin-dir "$PIN_DIR" "${AGENT[@]}"
}
rejects 1 '.*cgroup2.*;.*' 'load without cgroup v2' without_cgroup2
nothing_left 'after loads that could not work'
# An older kernel cannot be had here; what it would be refused for can be read.
features() { "$PODCRED" features --json | jq -e "$1"; }
check 'features: each has a name, a version, an answer and what its lack costs' features \
  'length > 0 and all(.[]; (.feature | length) > 0 and (.since | length) > 0 and
  (.present | type) == "boolean" and (.required | type) == "boolean" and (.without | length) > 0)'
for hook in connect4 connect6 sockops getsockopt sendmsg btf; do
  check "features: $hook is required, and here" features \
    "any(.[]; (.feature | test(\"$hook\")) and .required and .present)"
done
check 'features: what is missing says why' features 'all(.[]; .present or (.why | length) > 0)'
# Not to be allowed to try is no answer.
features_of() { "$@" "$PODCRED" features --json >"$ENV_TMP/out"; echo $?; }
unknown() { jq -r '[.[] | select(.present == null) | .feature + ": " + .why] | join("; ")' "$ENV_TMP/out"; }
with_caps() { setpriv --bounding-set="-all,$1" --inh-caps="-all,$1" "${@:2}"; }
same 'features without CAP_PERFMON: exit status 3' 3 "$(features_of with_caps +bpf,+net_admin)"
check 'features without CAP_PERFMON: cannot tell of tcp-sock, and says what it takes' \
  grep -q 'tcp-sock: not permitted: takes CAP_PERFMON' <(unknown)
same 'features without CAP_PERFMON: nothing is called missing' '' \
  "$(jq -r '[.[] | select(.present == false).feature] | join(" ")' "$ENV_TMP/out")"
check 'features without CAP_PERFMON: the rest is there' jq -e \
  '[.[] | select(.feature == "connect4" or .feature == "btf") | .present] == [true, true]' "$ENV_TMP/out"
same 'features without capabilities: exit status 3' 3 "$(features_of with_caps -bpf)"
check 'features without capabilities: btf is read all the same' jq -e \
  '.[] | select(.feature == "btf") | .present' "$ENV_TMP/out"
NO_BPF=(python3 "$ENV_ROOT/tests/lib/deny.py" bpf)
same 'features under a seccomp filter: exit status 3' 3 "$(features_of "${NO_BPF[@]}")"
check 'features under a seccomp filter: says that something forbids it' \
  grep -q 'connect4: not permitted, by a seccomp filter' <(unknown)
rejects 1 'cannot load BPF programs: .*seccomp.*; run as root.*' 'load under a seccomp filter' \
  "${NO_BPF[@]}" "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
  --agent-cgroup "$AGENT_CGROUP" "${AGENT[@]}"
rejects 1 'cannot load BPF programs: .*takes CAP_PERFMON; run as root.*' 'load without CAP_PERFMON' \
  with_caps +bpf,+net_admin "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
  --agent-cgroup "$AGENT_CGROUP" "${AGENT[@]}"
nothing_left 'after loads that were not allowed'

# ---- serve ----
env_load >/dev/null || env_fail 'load failed'
env_resolve
env_serve
rejects 1 "cannot listen on $NODE_V4:$AGENT_PORT: Address already in use; .*" 'port taken' \
  in_node "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" --associations \
  "$ENV_TMP/associations.yaml"
rejects 1 'cannot listen on 10.98.0.1:7777: Cannot assign requested address; .*' \
  'no such address' in_node "$PODCRED" serve --agent 10.98.0.1:7777 --associations \
  "$ENV_TMP/associations.yaml"
rejects 1 "cannot read $ENV_TMP/none: No such file or directory; .*" 'associations missing' \
  "$PODCRED" serve --agent 10.0.0.1:1 --associations "$ENV_TMP/none"
rejects 1 'no associations: .*; give --associations FILE' 'no associations' \
  "$PODCRED" serve --agent 10.0.0.1:1
rejects 1 'no address to listen on; give --agent ADDRESS:PORT' 'nowhere to listen' podcred_serve

# ---- fetch ----
echo 'associations: []' >"$ENV_TMP/none.yaml"
podcred_fetch() { timeout 10 "$PODCRED" fetch --socket "$ENV_TMP/nobody" --associations "$ENV_TMP/none.yaml" "$@"; }
# fetch_config LINE: of the section credentials
fetch_config() { printf 'credentials:\n  region: eu-west-1\n  %s\n' "$1" >"$ENV_TMP/fetch.yaml"; }
rejects 1 'no agent to work for; give --socket PATH, as podcred serve has --fetch-socket' 'fetch without an agent' \
  "$PODCRED" fetch --associations "$ENV_TMP/none.yaml"
rejects 1 '--socket: the path of a socket has 107 characters at most; give a shorter one' 'fetch: a long path' \
  "$PODCRED" fetch --socket "$(printf '%0120d' 0)" --associations "$ENV_TMP/none.yaml"
rejects 1 'nothing says which role a pod gets; give --associations FILE, .*' 'fetch without associations' \
  "$PODCRED" fetch --socket "$ENV_TMP/nobody"
rejects 1 "cannot read $ENV_TMP/none: No such file or directory; .*" 'fetch: associations missing' \
  "$PODCRED" fetch --socket "$ENV_TMP/nobody" --associations "$ENV_TMP/none"
rejects 1 "cannot read kubeconfig $ENV_TMP/none: No such file or directory" 'fetch: no kubeconfig' \
  podcred_fetch --kubeconfig "$ENV_TMP/none"
rejects 1 'podcred fetch must not be root; give another user by .*' 'fetch as root' podcred_fetch --user 0
fetch_config 'caBundle: /nowhere.pem'
rejects 1 'cannot read caBundle /nowhere.pem: No such file or directory; .*' 'fetch: no authorities' \
  podcred_fetch --config "$ENV_TMP/fetch.yaml"
fetch_config 'objects: true'
rejects 1 'credentials: objects and migration need an API server; give --kubeconfig, .*' 'fetch: objects of nobody' \
  podcred_fetch --config "$ENV_TMP/fetch.yaml"

# A broken file may hold secrets: no message may quote them.
secret=wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY
broken() {
  (umask 077 && cat >"$ENV_TMP/broken.yaml")
  rejects 1 "$ENV_TMP/broken.yaml.*" "associations: $1" \
    "$PODCRED" serve --agent 10.0.0.1:1 --associations "$ENV_TMP/broken.yaml"
  check_not "associations: $1: the secret is not shown" grep -q "$secret\|wJal" "$ENV_TMP/err"
}
entry=$'associations:\n- namespace: shop\n  serviceAccount: web\n  role: r\n  accountId: "111122223333"\n'
static="  static:
    accessKeyId: AKIAX
    secretAccessKey: $secret"
broken 'not YAML' <<<"$entry$static"$'\n  "'
broken 'unknown key' <<<"$entry$static"$'\n    sesionToken: t'
broken 'a secret as a key' <<<"$entry  static: {$secret: x}"
broken 'a secret in place of a mapping' <<<"$entry  static: $secret"
broken 'a list of secrets' <<<"$entry"$'  static:\n    accessKeyId: A\n    secretAccessKey: ['"$secret]"
broken 'no role' <<<$'associations:\n- namespace: shop\n  serviceAccount: web\n'"$static"
broken 'a secret as the file' <<<"$secret"
broken 'empty' </dev/null
broken 'the same service account twice' <<<"$entry$static
${entry#*$'\n'}$static"

# The agent keeps what it has when the file breaks under it.
key() { in_pod web curl -s http://169.254.170.2/v1/credentials | jq -r .AccessKeyId; }
cp "$ENV_TMP/associations.yaml" "$ENV_TMP/good.yaml"
echo "associations: $secret" >"$ENV_TMP/associations.yaml"
kill -HUP "$SERVE_PID"
check 'a file that breaks under the agent: it warns' wait_for 10 grep -q \
  'associations.yaml.*; the associations read before stay in force' "$ENV_TMP/serve.log"
same 'and goes on with what it read before' AKIAWEB "$(key)"
cp "$ENV_TMP/good.yaml" "$ENV_TMP/associations.yaml"
kill -HUP "$SERVE_PID"
check 'and reads it again when it is whole' wait_for 10 grep -q '1 association read again' \
  "$ENV_TMP/serve.log"
same 'credentials are handed out' AKIAWEB "$(key)"
check_not 'no secret is in the log' grep -E "$secret|secret-of|token-of" "$ENV_TMP/serve.log"

# ---- resolve ----
named() { podcred pods --json | jq -e ".[] | select(.name == \"$1\")"; }
cp "$ENV_TMP/pods.json" "$ENV_TMP/pods.good"
printf '{"kind":"PodList","items":[' >"$ENV_TMP/pods.new"
mv "$ENV_TMP/pods.new" "$ENV_TMP/pods.json"
check 'a pods file that breaks: the resolver warns' wait_for 10 grep -q \
  "pods.json.*; the names read before stay in force" "$ENV_TMP/resolve.log"
check 'and keeps the names' named web
rm "$ENV_TMP/pods.json"
check 'a pods file that goes: the resolver warns' wait_for 10 grep -q \
  "pods.json: cannot read.*; the names read before stay in force" "$ENV_TMP/resolve.log"
check 'and keeps the names' named web
sed 's/"name":"web"/"name":"back"/' "$ENV_TMP/pods.good" >"$ENV_TMP/pods.new"
mv "$ENV_TMP/pods.new" "$ENV_TMP/pods.json"
check 'and reads the next good one' wait_for 10 named back
check 'it still runs' kill -0 "$RESOLVE_PID"

# What one tenant writes costs that tenant's pod at most. web takes a new name each time, which shows
# that this very list was read.
uid2=0c9a3c1e-5d0b-4c53-9a57-6c2f1be7f0aa
list_of() { # NAME ITEM: web under NAME, and ITEM
  printf '{"kind":"PodList","apiVersion":"v1","items":[%s,{"metadata":{"name":"%s","namespace":"shop","uid":"%s"},"spec":{"serviceAccountName":"web"}}]}' \
    "$2" "$1" "${POD_UID[web]}"
}
put_list() { cat >"$ENV_TMP/pods.new" && mv "$ENV_TMP/pods.new" "$ENV_TMP/pods.json"; }
in_list() { podcred status --json | jq -e ".list | .pods == $1 and .skipped == $2"; }
beside() { # WHAT NAME PODS SKIPPED ITEM
  list_of "$2" "$5" | put_list
  check "beside $1: others have their names" wait_for 10 named "$2"
  check "beside $1: status counts $3 pods, $4 skipped" in_list "$3" "$4"
  list_of "$2-y" "$5" | sed 's/^/--- /' | put_list
  check "beside $1, in YAML: others have their names" wait_for 10 named "$2-y"
}
odd() { printf '{"metadata":{"namespace":"a","name":"b","uid":"%s"%s}%s}' "$uid2" "$1" "${2:-}"; }
deep=$(printf '[%.0s' {1..300})$(printf ']%.0s' {1..300})
beside 'a NUL in an annotation' nul 2 0 "$(odd ',"annotations":{"n":"a\u0000b"}')"
beside 'a NUL in a key' key 2 0 "$(odd '' ',"spec":{"volumes":[{"csi":{"a\u0000b":"c"}}]}')"
beside 'a key twice' twice 2 0 "$(odd ',"labels":{"x":"1","x":"2"}')"
beside 'deep nesting' deep 2 0 "$(odd '' ",\"x\":$deep")"
beside 'a service account of no name' account 2 0 "$(odd '' ',"spec":{"serviceAccountName":""}')"
beside 'a null' null 1 1 null
beside 'a pod without uid' nouid 1 1 '{"metadata":{"namespace":"a","name":"b"}}'
beside 'a pod of a wrong type' type 1 1 "$(odd '' ',"spec":{"hostNetwork":"yes"}')"
beside 'two pods with one uid' clash 1 2 "$(odd ''),$(odd ',"x":1' ',"spec":{"hostNetwork":true}')"
list_of bytes "$(odd ',"annotations":{"n":"\377\001"}')" | put_list
check 'beside bytes that are no text: others have their names' wait_for 10 named bytes
same 'and credentials' AKIAWEB "$(key)"

said() { grep -c 'skipped, and without credentials' "$ENV_TMP/resolve.log"; }
list_of once "$(odd '' ',"spec":[]')" | put_list
check 'a pod that is skipped' wait_for 10 in_list 1 1
check 'is named in one line of the log' grep -qx \
  "podcred: warning: $ENV_TMP/pods.json: skipped, and without credentials: 1 of 2 pods: \"a/b\": spec is a list; write a mapping" \
  "$ENV_TMP/resolve.log"
before=$(said)
list_of again "$(odd '' ',"spec":[]')" | put_list
check 'the list is read again' wait_for 10 named again
same 'which is not said again' "$before" "$(said)"
check 'metrics count it' grep -qx 'podcred_list_skipped 1' <(podcred metrics)
list_of itself "$(odd ''),{\"metadata\":{\"uid\":\"${POD_UID[web]}\",\"namespace\":\"a\",\"name\":\"b\"}}" | put_list
check 'a pod whose uid another one claims has no name any more' wait_for 10 in_list 1 2
check_not 'not the one it claims' named itself
check_not 'nor its last one' named again
list_of whole "$(odd '')" | put_list
check 'and its name again, when it alone has it' wait_for 10 named whole
check 'which is said' grep -q 'pods.json: every pod in it can be used' "$ENV_TMP/resolve.log"

kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
same 'and ends well' 0 $?
echo '{' >"$ENV_TMP/pods.bad"
since=$(resolver_since)
"$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --pods "$ENV_TMP/pods.bad" \
  >"$ENV_TMP/resolve2.log" 2>&1 &
check 'a broken pods file at the start: the resolver runs' resolver_wait "$since"
check 'and warns, naming file, line and cause' grep -q 'pods.bad: line [0-9]*: not JSON: .*' \
  "$ENV_TMP/resolve2.log"
kill %% && wait %%

# Without events of the interfaces it looks for them itself: no pod's goes without its program.
background "$ENV_TMP/resolve3.log" 'resolver ready' nsenter --net="/run/netns/$NODE_NETNS" \
  python3 "$ENV_ROOT/tests/lib/deny.py" watch "$PODCRED" resolve --pin-dir "$PIN_DIR" \
  --kubepods "$KUBEPODS" --pods "$ENV_TMP/pods.json"
check 'no watch of the interfaces: the resolver says why, and what it does' grep -qx \
  'podcred: warning: cannot watch the network interfaces: Too many open files; .* every two seconds' \
  "$ENV_TMP/resolve3.log"
interfaces() { podcred status --json | jq '[.links[] | select(.program | startswith("podcred_veth")).interfaces] | add'; }
before=$(interfaces)
pod_add late burstable
one_more() { [ "$(interfaces)" = $((before + 1)) ]; }
check "and a new pod's interface has its program" wait_for 10 one_more
kill %% && wait %%

policy() { echo "policy: [{namespace: shop, serviceAccount: web, action: $1}]" >"$ENV_TMP/policy.yaml"; }
policy_of() { podcred pods --json | jq -re '.[] | select(.name == "web") | .policy'; }
has_policy() { [ "$(policy_of)" = "$1" ]; }
policy allow
rejects 1 "$ENV_TMP/policy.yaml:1: policy action \"allow\" is not exempt, audit, redirect or deny" \
  'resolve with a bad policy' "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
  --config "$ENV_TMP/policy.yaml"
policy exempt
env_resolve --config "$ENV_TMP/policy.yaml"
check 'a pod is exempt by policy' wait_for 10 has_policy exempt
policy allow
kill -HUP "$RESOLVE_PID"
check 'a policy that breaks: the resolver warns' wait_for 10 grep -q \
  'policy.yaml:1: .*; the policy read before stays in force' "$ENV_TMP/resolve.log"
same 'and keeps the policy' exempt "$(policy_of)"
policy deny
kill -HUP "$RESOLVE_PID"
check 'and reads the next good one' wait_for 10 has_policy deny
policy redirect
kill -HUP "$RESOLVE_PID"
check 'which also takes exceptions back' wait_for 10 has_policy redirect
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
rejects 1 '.*/none/maps/podcred_config_v2 is not there; run podcred load first' \
  'resolve without a load' "$PODCRED" resolve --pin-dir "$PIN_DIR/none"
tap_done
