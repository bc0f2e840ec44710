#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A test that is ended cleans up after itself, however impatient whoever ends it is.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# A node with pods, which waits to be ended.
cat >"$WORK/test" <<SH
. '$ROOT/tests/lib/env.sh'
env_up systemd
for n in 1 2 3 4; do pod_add pod\$n burstable; done
env_load >/dev/null || env_fail 'load failed'
env_resolve
echo "\$ENV_ID \$ENV_TMP \$PIN_DIR \$ENV_CGROUP" >'$WORK/ready'
sleep infinity &
wait \$!
SH

# ended: told so a hundred times, which lasts longer than it cleans up
ended() {
  local pid
  bash "$WORK/test" >"$WORK/log" 2>&1 &
  pid=$!
  until [ -s "$WORK/ready" ] || ! kill -0 $pid 2>/dev/null; do sleep 0.05; done
  read -r ID TMP PINS CGROUP <"$WORK/ready" || return
  for _ in {1..100}; do
    kill -TERM $pid 2>/dev/null
    sleep 0.01
  done
  wait $pid
}
namespaces() { ip netns | grep "^$ID-"; }

ended
same 'it says how it ended' 143 $? || cat "$WORK/log"
check_not 'no network namespace stays' namespaces
check_not 'nor a cgroup' ls -d "$CGROUP"
check_not 'nor a program' ls -d "$PINS"
check_not 'nor a file' ls -d "$TMP"
tap_done
