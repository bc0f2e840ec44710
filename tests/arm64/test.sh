#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make test-arm64: everything cross-built for arm64, its unit tests and commands emulated one by one,
# then whole in an emulated machine. What cannot be fetched is a skip that says so.
# usage: O=BUILD tests/arm64/test.sh [SUITE...]     Debian releases to boot the kernel of
set -u
cd "$(dirname "$0")/../.." || exit 1

make=${MAKE:-make}
export NATIVE=$O O=$O-arm64 ARM64_SKIP=
export CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podcred}
export ARM64_SYSROOT=${SYSROOT:-$CACHE/sysroot/arm64-dev}

cross() { "$make" --no-print-directory ARCH=arm64 O="$O" CACHE="$CACHE" "$@"; }

build_failed() {
  echo 'not ok - the build for arm64'
  echo '0 passed, 1 failed, 0 skipped'
  exit 1
}

# As programs of their own, so that tests/run.sh can run them.
emulated() {
  local name file
  mkdir -p "$O/emulated"
  for name in "$@"; do
    file=$O/emulated/${name##*/}
    printf '#!/bin/sh\nEMULATED=qemu-user exec qemu-aarch64 -L %s %s "$@"\n' "$ARM64_SYSROOT" "$O/$name" >"$file"
    chmod +x "$file"
  done
}

mkdir -p "$O"
if ! output=$(cross deps-cross 2>&1); then
  ARM64_SKIP=$(grep -v '^make' <<<"$output" | tail -1)
  # the object needs none of that
  O=$O/object
  SKIP_DEPS=1 cross "$O/bpf/podcred.bpf.o" || build_failed
  exec tests/run.sh tests/arm64/programs.sh
fi
cross all test-unit-build "$O/bpftest/test_logic" || build_failed
units=(tests/unit/test_*.c)
units=("${units[@]##*/}")
units=("${units[@]%.c}")
emulated podcred "${units[@]/#/unit/}"
export CMOCKA_MESSAGE_OUTPUT=TAP ARM64_SUITES="$*"
exec tests/run.sh tests/arm64/programs.sh "${units[@]/#/$O/emulated/}" tests/arm64/boot.sh
