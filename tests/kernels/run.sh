#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred, as it was built here, on the kernels of Debian's releases, emulated. The guest's checks are
# this program's checks. A kernel that cannot be fetched is a skip.
#
#   run.sh [--verifier] [SUITE...]     without a SUITE those of $KERNELS
#
# --verifier: no tests, but also this machine's kernel. Consoles are kept as $O/kernels/SUITE.log.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/../lib/tap.sh"
# shellcheck source=tests/lib/guest.sh
. "$here/../lib/guest.sh"

limit=${VERIFIER_LIMIT:-600000} # instructions for one program; the kernel's own limit is a million
silence=${BOOT_SILENCE:-1000} # seconds: more than one test may take (TEST_SECONDS), as it shows what it did at its end
tests=(tests/kernels/logic.sh tests/e2e/10-identity.sh tests/e2e/39-path-vlans.sh tests/kernels/enforcement.sh)
consoles=${O:-$here/../../build}/kernels
rm -rf "$consoles"
mkdir -p "$consoles"
work=$(mktemp -d)

clean() {
  local group
  for group in $(jobs -p); do kill -- "-$group"; done
  wait
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

verdict() {
  local bad
  bad=$(awk -F'\t' -v limit="$limit" '/^verifier / && $2 != "left-out" { n++ }
    /^verifier / && ($2 == "refused" || ($2 == "ok" && $3 + 0 > limit)) { print; b++ }
    END { if (!n) print "no program was asked for"; exit !(b || !n) }' "$2")
  same "$1: the verifier takes every program, within $limit instructions" '' "$bad"
}

# Works, or refuses in words that name what is missing.
loads() {
  local said
  said=$(sed -n 's/^load //p' "$2")
  check "$1: podcred load: $said" grep -qE '^(podcred: )?(loaded|attached|[0-9]+ )|this kernel lacks' <<<"$said"
}

# boot SUITE KERNEL_DIR
boot() {
  local image=$work/$1.initramfs run="tests/kernels/check.sh $limit ${tests[*]}"
  "$here/initramfs.sh" modules "$2" "$work/$1.modules"
  cat "$work/system" "$work/$1.modules" >"$image"
  "$here/boot.sh" "$2" "$image" "$silence" "podcred.run=${run// /,}"
  rm "$image" "$work/$1.modules"
}

# A guest keeps one CPU of this machine busy: as many at a time as it has.
boot_all() {
  local suite kernel
  set -m # a process group each, to be ended as a whole
  for suite in "$@"; do
    if ! kernel=$("$here/fetch.sh" "$suite" 2>"$work/err"); then
      skip "$suite" "no kernel: $(tail -1 "$work/err")"
      continue
    fi
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    boot "$suite" "$kernel" >"$consoles/$suite.log" 2>&1 &
  done
  wait
  set +m
}

judge_guest() {
  local suite=$1 log=$consoles/$1.log
  verdict "$suite" "$log"
  loads "$suite" "$log"
  guest_relay "$suite" "$log"
  check "$suite: the guest ran to its end" grep -q '^exit 0' "$log" || tail -30 "$log" | sed 's/^/# /'
}

run_here() {
  local log=$consoles/here.log
  {
    echo "kernel $(uname -r)"
    "$O/tests/verifier" "$limit" | sed 's/^/verifier /'
  } >"$log" 2>&1
  verdict 'this kernel' "$log"
}

if [ "${1:-}" = --verifier ]; then
  shift
  tests=()
  run_here
fi
[ $# -gt 0 ] || read -ra suites <<<"${KERNELS:-}"
[ $# -eq 0 ] || suites=("$@")
"$here/initramfs.sh" system "$work/system"
boot_all "${suites[@]}"
for suite in "${suites[@]}"; do [ ! -e "$consoles/$suite.log" ] || judge_guest "$suite"; done
tap_done
