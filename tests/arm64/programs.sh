#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What was built for arm64: that the BPF object is the one of this machine, and that the programs run.
# Started by tests/arm64/test.sh.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

podcred() { "$O/emulated/podcred" "$@"; }
is_arm64() { readelf -h "$1" | grep -q 'Machine: *AArch64'; }

check 'the BPF object is byte for byte that of this machine' \
  cmp "$NATIVE/bpf/podcred.bpf.o" "$O/bpf/podcred.bpf.o"
if [ -n "$ARM64_SKIP" ]; then
  for what in 'programs for arm64' 'unit tests on arm64' 'a node on arm64'; do skip "$what" "$ARM64_SKIP"; done
  tap_done
  exit
fi
for file in podcred libpodcred.so; do check "$file is for arm64" is_arm64 "$O/$file"; done
same 'podcred version' "$("$NATIVE/podcred" version)" "$(podcred version)"
config=$(mktemp)
trap 'rm -f "$config"' EXIT
echo 'agent: 10.0.0.5:7777' >"$config"
check 'podcred check-config' podcred check-config "$config"
echo 'agent: 10.0.0.5' >"$config"
check_not 'podcred check-config refuses an agent without a port' podcred check-config "$config"
tap_done
