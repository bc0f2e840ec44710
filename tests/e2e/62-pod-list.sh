#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the pod list may lie, what may happen to it there, and whom it names: the resolver sees every
# change.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

env_up systemd
pod_add web burstable
env_load >/dev/null || env_fail 'load failed'
list=$ENV_TMP/lists/pods.json

named() { podcred pods --json | jq -e --arg name "$1" '.[] | select(.name == $name)'; }
# NAME FILE: a list in which web has that name
put() {
  env_podlist "$2.json"
  sed "s/\"name\":\"web\"/\"name\":\"$1\"/" "$2.json" >"$2.new"
  rm "$2.json"
  mv "$2.new" "$2"
}
sees() { # NAME WHAT
  check "$2 is seen" wait_for 10 named "$1"
}
log() { grep -c "$1" "$ENV_TMP/resolve.log"; }
status_says() { podcred status | grep -qE "$1"; }

# In a mount namespace of its own, so that the test can mount there.
background "$ENV_TMP/resolve.log" 'resolver ready' nsenter --net="/run/netns/$NODE_NETNS" \
  unshare --mount "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --pods "$list"
RESOLVE_PID=$!
check 'before there is a list, status says so' status_says '^list +none read yet'
check 'and so does its JSON' jq -e '.list == null' <(podcred status --json)
mkdir "$ENV_TMP/lists"
touch "$ENV_TMP/lists/other" # its folder is watched now, or will be: either way it is looked at again
put first "$list"
sees first 'a folder that is made after the start'
same 'that there was none is said once' 1 "$(log 'pods.json is not there yet; .* no names')"
same 'and is no warning' 0 "$(log 'warning: .*pods.json')"
check 'status tells of the list' status_says '^list +1 pod, read [0-9]+ s ago$'

put second "$list"
sees second 'a file that is renamed over it'
put third "$ENV_TMP/third"
cat "$ENV_TMP/third" >"$list"
sees third 'a file that is written in place'
rm -r "$ENV_TMP/lists"
mkdir "$ENV_TMP/lists"
put fourth "$list"
sees fourth 'a folder that is removed and made again'
mkdir "$ENV_TMP/next"
put fifth "$ENV_TMP/next/pods.json"
mv -T --exchange "$ENV_TMP/next" "$ENV_TMP/lists" 2>/dev/null || {
  mv "$ENV_TMP/lists" "$ENV_TMP/last"
  mv "$ENV_TMP/next" "$ENV_TMP/lists"
}
sees fifth 'a folder in the place of the other one'
put sixth "$list"
sees sixth 'and what happens in that'
mkdir "$ENV_TMP/far"
put seventh "$ENV_TMP/far/list"
ln -sfT "$ENV_TMP/far/list" "$list"
sees seventh 'a link into another folder'
put eighth "$ENV_TMP/far/list"
sees eighth 'and what happens there'
mount_there() { nsenter --target "$RESOLVE_PID" --mount mount "$@"; }
mkdir "$ENV_TMP/over"
put ninth "$ENV_TMP/over/pods.json"
mount_there --bind "$ENV_TMP/over" "$ENV_TMP/lists"
sees ninth 'a mount over the folder'
put tenth "$ENV_TMP/over/pods.json"
sees tenth 'and what happens in that one'
put eleventh "$ENV_TMP/one"
mount_there --bind "$ENV_TMP/one" "$ENV_TMP/lists/pods.json"
sees eleventh 'a mount over the file'
nsenter --target "$RESOLVE_PID" --mount umount "$ENV_TMP/lists/pods.json"
sees tenth 'and its end'
before=$(log 'cannot read')
rm "$ENV_TMP/over/pods.json"
check 'a file that goes is seen' wait_for 10 grep -q 'pods.json: cannot read' "$ENV_TMP/resolve.log"
touch "$ENV_TMP/over/other"
kill -HUP "$RESOLVE_PID"
said_again() { [ "$(log 'cannot read')" = $((before + 2)) ]; }
check 'SIGHUP reads it again, and says what came of it' wait_for 10 said_again
check 'the names stay' named tenth

kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
list=$ENV_TMP/over/pods.json
put eleventh "$list"
background "$ENV_TMP/resolve.log" 'resolver ready' nsenter --net="/run/netns/$NODE_NETNS" \
  python3 "$ENV_ROOT/tests/lib/deny.py" inotify "$PODCRED" resolve --pin-dir "$PIN_DIR" \
  --kubepods "$KUBEPODS" --pods "$list"
sees eleventh 'without inotify, the list of the start'
check 'that inotify is not to be had is said' grep -qx \
  "podcred: warning: cannot watch the folder of $list: Too many open files; .* twice a second" "$ENV_TMP/resolve.log"
put twelfth "$list"
sees twelfth 'without inotify, a new list'
same 'and said once' 1 "$(log 'cannot watch the folder')"

# A static pod whose manifest has a uid of its own: the API has another one for it.
with_mirror() { # ANNOTATIONS SPEC
  printf '{"kind":"PodList","items":[{"metadata":{"namespace":"kube-system","name":"etcd","uid":"%s","annotations":{%s}},"spec":{%s}}]}' \
    "$(cat /proc/sys/kernel/random/uuid)" "$1" "$2" >"$ENV_TMP/mirror"
  mv "$ENV_TMP/mirror" "$ENV_TMP/over/pods.json"
}
hash="\"kubernetes.io/config.hash\":\"${POD_UID[web]}\""
mirror="\"kubernetes.io/config.mirror\":\"${POD_UID[web]}\""
unnamed() { podcred pods --json | jq -e 'all(.[]; .name == null or .name == "")'; }
with_mirror "$hash,$mirror" ''
sees etcd 'a static pod that has a uid of its own'
with_mirror "$hash" ''
check 'its annotation alone, which anybody may write, names nobody' wait_for 10 unnamed
with_mirror "$hash,$mirror" ''
sees etcd 'the static pod'
with_mirror "$hash,$mirror" '"serviceAccountName":"x"'
check 'one with a service account is none' wait_for 10 unnamed
tap_done
