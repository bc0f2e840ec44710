#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each subcommand under memcheck, with good and with bad arguments and files: memory that was never
# written, which no sanitizer of this build sees, and leaks. The exit status must be the usual one.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

V4=169.254.170.23
SUPPRESSIONS=$ENV_ROOT/tests/san/memcheck.supp
# shellcheck disable=SC2054 # the commas are valgrind's
MEMCHECK=(valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible
  --errors-for-leak-kinds=definite,indirect,possible --track-fds=no --child-silent-after-fork=no
  --suppressions="$SUPPRESSIONS")

# Lines with -- are about bpf(2) commands that valgrind does not know.
quiet() { ! grep -q '^==' "$ENV_TMP/memcheck"; }

# clean STATUS WHAT COMMAND...: exits with STATUS, and memcheck has nothing to say.
clean() {
  local want=$1 what=$2 status
  shift 2
  "$@" >"$ENV_TMP/vg.out" 2>"$ENV_TMP/vg.err"
  status=$?
  if [ $status = "$want" ] && quiet; then
    tap_result ok "$what"
  else
    tap_result 'not ok' "$what"
    printf '#   exit status %s, want %s: %s\n' $status "$want" "$*"
    grep '^==' "$ENV_TMP/memcheck" | head -40 | sed 's/^/#   /'
    tail -5 "$ENV_TMP/vg.err" | sed 's/^/#   /'
  fi
  : >"$ENV_TMP/memcheck"
}
vg() { in_node "${MEMCHECK[@]}" --log-file="$ENV_TMP/memcheck" "$PODCRED" "$@"; }
pinned() { vg "$1" --pin-dir "$PIN_DIR" "${@:2}"; }
load() {
  pinned load --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" --agent "$NODE_V4:$AGENT_PORT" "$@"
}
# A daemon: ready when READY succeeds, told to read its files again, ended.
daemon() {
  local log=$ENV_TMP/daemon.log ready=$1 pid child
  shift
  "$@" >"$log" 2>&1 &
  wait_for 60 eval "$ready" || { cat "$log"; return 1; }
  pid=$! # the innermost: around it are shells
  while child=$(pgrep -P "$pid"); do pid=$child; done
  in_pod web curl -s --max-time 10 "http://$V4/v1/credentials" >/dev/null
  kill -HUP "$pid"
  in_pod web curl -s --max-time 10 "http://$V4/v1/credentials" >/dev/null
  kill -TERM "$pid"
  wait $!
}
env_up cgroupfs
: >"$ENV_TMP/memcheck"
pod_add web burstable
env_podlist "$ENV_TMP/pods.json"
(umask 077 && env_associations >"$ENV_TMP/associations.yaml")

# ---- the tool itself: a planted defect must be seen ----
"${MEMCHECK[@]}" --log-file="$ENV_TMP/planted" "$ENV_BUILD/tests/san-control" overrun
same 'memcheck sees an overrun' 99 $?
"${MEMCHECK[@]}" --log-file="$ENV_TMP/planted" "$ENV_BUILD/tests/san-control" leak
same 'memcheck sees a leak' 99 $?

# ---- without a guard ----
clean 0 'help' vg --help
clean 0 'version' vg version
clean 0 'features' vg features
clean 0 'features --json' vg features --json
clean 2 'an unknown command' vg laod
clean 2 'an unknown option' vg load --forec
for command in status pods peers flows targets; do
  clean 1 "$command, nothing loaded" pinned $command
  clean 1 "$command --json, nothing loaded" pinned $command --json
done
clean 1 'explain, nothing loaded' pinned explain --pod shop/web
clean 1 'trace, nothing loaded' pinned trace --count 1
clean 1 'load with a bad agent' load --agent localhost:80
clean 1 'load with a missing file' load --config "$ENV_TMP/none"

# ---- files ----
config() { printf '%b' "$2" >"$ENV_TMP/$1.yaml"; }
hostile() {
  config "$1" "$2"
  clean 1 "check-config: $1" vg check-config "$ENV_TMP/$1.yaml"
  clean 1 "check-config --associations: $1" vg check-config --associations "$ENV_TMP/$1.yaml"
}
config good 'policy: [{namespace: other, action: deny}, {namespace: web, action: redirect}]\n'
clean 0 'check-config' vg check-config "$ENV_TMP/good.yaml"
clean 0 'check-config --associations' vg check-config --associations "$ENV_TMP/associations.yaml"
cat >"$ENV_TMP/roles.yaml" <<'YAML'
associations:
  - {namespace: shop, serviceAccount: web, roleArn: "arn:aws:iam::111122223333:role/app", tags: {"\u00e4": b, "\u00f6": c}}
  - {namespace: shop, serviceAccount: api, role: r, exec: {command: [/bin/keys, -p], environment: {A: b}}}
  - {namespace: bank, serviceAccount: api, roleArn: "arn:aws:iam::111122223333:role/app", disableSessionTags: true, policy: '{}',
     targetRoleArn: "arn:aws:iam::444455556666:role/there"}
YAML
printf 'credentials: {cluster: {name: demo}, nodeCredentials: [{exec: {command: [/a]}}, imds], migration: {irsa: true}}\n' >"$ENV_TMP/section.yaml"
clean 0 'check-config: roles' vg check-config "$ENV_TMP/section.yaml" --associations "$ENV_TMP/roles.yaml"
web=(--namespace shop --service-account vg)
clean 0 'association create in a file' vg association create --file "$ENV_TMP/edited.yaml" "${web[@]}" \
  --role-arn arn:aws:iam::111122223333:role/app --tags a=b
clean 0 'association list' vg association list --file "$ENV_TMP/edited.yaml"
clean 1 'association create twice' vg association create --file "$ENV_TMP/edited.yaml" "${web[@]}" --role-arn arn:aws:iam::111122223333:role/b
clean 0 'association untag' vg association untag --file "$ENV_TMP/edited.yaml" "${web[@]}" --tag-keys a
clean 0 'association delete' vg association delete --file "$ENV_TMP/edited.yaml" "${web[@]}"
clean 1 'migrate without a cluster' vg migrate --kubeconfig "$ENV_TMP/none"
clean 0 'trust-policy' vg trust-policy --associations "$ENV_TMP/roles.yaml" --principal arn:x app there
clean 1 'trust-policy without a principal' vg trust-policy --associations "$ENV_TMP/roles.yaml" app
vg trust-policy --source eksAuth --service-account shop/web arn:aws:iam::111122223333:role/app >"$ENV_TMP/policy.json"
clean 0 'trust-policy --convert' vg trust-policy --convert "$ENV_TMP/policy.json" --principal arn:x
clean 0 'trust-policy --convert, for tokens' vg trust-policy --convert "$ENV_TMP/policy.json" --source webIdentity \
  --principal arn:aws:iam::111122223333:oidc-provider/oidc.example.com
hostile binary '\x00\xff\xfe\x01'
hostile unclosed 'policy: [{namespace: "shop'
hostile deep "$(printf '[%.0s' {1..3000})"
hostile alias 'a: &a [x, x]\nb: &b [*a, *a]\npolicy: [*b, *b]\n'
hostile type 'policy: {a: b}\nassociations: 7\n'
hostile unknown 'nonsense: 1\n'
hostile long "policy: [{namespace: $(printf 'x%.0s' {1..5000}), action: deny}]\nassociations: [{namespace: x}]\n"
hostile twice 'policy: []\npolicy: []\nassociations: []\nassociations: []\n'

# ---- with a guard ----
clean 0 'load' load
clean 0 'load again, with a configuration' load --config "$ENV_TMP/good.yaml" --json
clean 0 'load again' load
env_resolve
env_serve
check 'a pod is answered' wait_for 20 in_pod web curl -fs --max-time 5 -o /dev/null "http://$V4/v1/credentials"
for command in status pods peers flows targets; do
  clean 0 "$command" pinned $command
  clean 0 "$command --json" pinned $command --json
done
clean 0 'metrics' pinned metrics
for to in '' $V4:80 "[fd00:ec2::23]:80" 192.0.2.1:80; do
  clean 0 "explain ${to:-all}" pinned explain --pod shop/web ${to:+--to "$to"}
  clean 0 "explain ${to:-all}, JSON" pinned explain --pod shop/web ${to:+--to "$to"} --json
done
clean 0 'explain, with associations' pinned explain --pod shop/web --associations "$ENV_TMP/roles.yaml" --config "$ENV_TMP/section.yaml"
clean 0 'explain, with associations, JSON' pinned explain --pod shop/web --associations "$ENV_TMP/roles.yaml" --json
clean 1 'explain, with a kubeconfig that is none' pinned explain --pod shop/web --config "$ENV_TMP/section.yaml" \
  --kubeconfig "$ENV_TMP/roles.yaml"
clean 1 'explain an unknown pod' pinned explain --pod shop/none
clean 1 'explain a bad address' pinned explain --pod shop/web --to 1.2.3
clean 1 'trace --count 0' pinned trace --count 0
traffic() {
  local n
  for n in {1..60}; do
    in_pod web curl -s --max-time 5 -o /dev/null "http://$V4/v1/credentials"
    in_pod web curl -s --max-time 1 -o /dev/null "http://$V4:81/"
    sleep 0.5
  done
}
traffic & traffic=$!
clean 0 'trace' pinned trace --allowed --count 3
clean 0 'trace --json' pinned trace --allowed --count 3 --json
kill $traffic
# What doctor finds on this machine is not the question here.
either() {
  "$@"
  [ $? -le 1 ]
}
clean 0 'doctor --no-probe' either pinned doctor --no-probe
clean 0 'doctor --json' either pinned doctor --json

# ---- the daemons ----
cgroup_signal "$AGENT_CGROUP" TERM
kill -TERM "$RESOLVE_PID"
wait "$RESOLVE_PID"
clean 0 'resolve' daemon "resolver_is_new $(resolver_since)" pinned resolve --kubepods "$KUBEPODS" --pods "$ENV_TMP/pods.json"
serve() {
  in_agent "${MEMCHECK[@]}" --log-file="$ENV_TMP/memcheck" "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" \
    --associations "$ENV_TMP/associations.yaml"
}
clean 0 'serve' daemon "agent_is_up_at $NODE_V4" serve
clean 0 'unload' pinned unload
clean 1 'status after unload' pinned status
tap_done
