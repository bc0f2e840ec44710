#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A resolver that starts again does not take anybody's name away, and a map that is full is no secret.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

env_up systemd
pod_add web burstable
pod_add ending besteffort
env_load >/dev/null || env_fail 'load failed'
list=$ENV_TMP/lists/pods.json
mkdir "$ENV_TMP/lists"

name_of() { podcred pods --json | jq -r --argjson id "$1" '.[] | select(.cgroupId == $id) | .name'; }
id_of() { stat -c %i "${POD_CGROUP[$1]}"; }
is_named() { [ "$(name_of "$1")" = "$2" ]; }
unknown() { [ -z "$(name_of "$1")" ]; }
# resolve [OPTION...]: in the background, ready when this returns
resolve() {
  background "$ENV_TMP/resolve.log" 'resolver ready' nsenter --net="/run/netns/$NODE_NETNS" \
    "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" "$@"
  RESOLVE_PID=$!
}
stop() { # SIGNAL
  kill "-$1" "$RESOLVE_PID"
  wait "$RESOLVE_PID" 2>/dev/null
}

env_podlist "$list"
resolve --pods "$list"
web=$(id_of web) ending=$(id_of ending)
check 'a pod has its name' wait_for 10 is_named "$web" web
generation() { podcred pods --json | jq --argjson id "$web" '.[] | select(.cgroupId == $id) | .generation'; }
before=$(generation)

for signal in TERM KILL; do
  stop "$signal"
  rm -f "$list"
  pod_add "new$signal" burstable
  resolve --pods "$list"
  same "$signal: the next resolver has no list, and the pod keeps its name" web "$(name_of "$web")"
  same "$signal: its record is as it was" "$before" "$(generation)"
  check_not "$signal: a pod that nobody has named has none" is_named "$(id_of "new$signal")" "new$signal"
  check "$signal: the log says that there is no list" \
    grep -q "pods.json is not there yet; .* were named before keep their names" "$ENV_TMP/resolve.log"
done

# A pod that is removed, and made again, while no resolver runs.
stop KILL
rmdir "${POD_CGROUP[web]}/container" "${POD_CGROUP[web]}"
mkdir -p "${POD_CGROUP[web]}/container"
again=$(id_of web)
resolve --pods "$list"
check 'a cgroup that went meanwhile is not known any more' unknown "$web"
same 'one that was made meanwhile has no name, although the uid had one' '' "$(name_of "$again")"
same 'the others keep theirs' ending "$(name_of "$ending")"
unset 'POD_UID[ending]'
env_podlist "$list"
check 'the first list that is read counts' wait_for 10 is_named "$again" web
same 'and a pod that is not in it has no name' '' "$(name_of "$ending")"

stop TERM
resolve
check 'without any list nobody has a name' unknown "$again"
same 'and it is said' 1 "$(grep -c 'warning: no --pods FILE, no --kubeconfig FILE' "$ENV_TMP/resolve.log")"
check 'status says so' grep -q '^names  *podcred resolve has nobody to ask' <(podcred status)
check 'and its JSON' jq -e '.names.kind == "none" and (.names.trouble | startswith("podcred resolve"))' <(podcred status --json)
stop TERM

# ---- more pods than there is room for ----
fill() { # FROM TO
  local i
  for ((i = $1; i <= $2; i++)); do
    printf '%s/kubepods-besteffort.slice/kubepods-besteffort-pod%08x_0000_4000_8000_000000000000.slice\0' "$KUBEPODS" "$i"
  done
}
known() { podcred pods --json | jq length; }
is_known() { [ "$(known)" = "$1" ]; }
full() { podcred status --json | jq -r .names.trouble; }
# logged TIMES LINE
logged() { [ "$(grep -c "$2" "$ENV_TMP/resolve.log")" = "$1" ]; }
room=$(sed -n 's/^#define PODCRED_PODS_MAX \([0-9]*\)$/\1/p' "$ENV_ROOT/bpf/api/podcred_maps.h")
fill 1 $((room - $(find "$KUBEPODS" -mindepth 2 -maxdepth 2 -name '*-pod*' | wc -l))) | xargs -0 mkdir
env_podlist "$list"
resolve --pods "$list"
check "$room pods: all of them are known" wait_for 20 is_known "$room"
same 'and nobody complains' null "$(full)"
fill 100001 100003 | xargs -0 mkdir
check 'three more: the log says so' wait_for 20 logged 1 'podcred: podcred_pods is full: [1-3] pods\? get no'
is_full() { full | grep -q "^podcred_pods is full: $1 of"; }
check 'status says so' wait_for 10 is_full 3
check 'metrics say so' grep -qx 'podcred_pods_refused 3' <(podcred metrics)
check 'doctor says so' jq -e 'any(.[]; .check == "names" and .result == "fail" and (.text | startswith("podcred_pods is full")))' \
  <(podcred doctor --json --no-probe)
same 'those that were there before are as they were' web "$(name_of "$again")"
fill 1 3 | xargs -0 rmdir
check 'three go: the others are known' wait_for 20 logged 1 'every pod is in podcred_pods again'
same 'all of them' "$room" "$(known)"
check 'it was said once' logged 1 'podcred_pods is full'
tap_done
