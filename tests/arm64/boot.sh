#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's arm64 kernels in an emulated machine, with podcred as it was cross-built. The checks of
# the guest (tests/arm64/guest.sh) are this program's checks.
# Started by tests/arm64/test.sh. ARM64_SUITES: Debian releases to take a kernel from.
# Emulated always, and with one processor: what comes of it must not depend on the machine.
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/../lib/tap.sh"
# shellcheck source=tests/lib/guest.sh
. "$here/../lib/guest.sh"
build=$O
silence=${BOOT_SILENCE:-600} # seconds
GUEST=(bash bpftool coreutils curl jq iproute2 util-linux mount grep sed mawk findutils kmod procps)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# fetch WORDS...: the directory, or "" and a reason in $work/err
fetch() { "$here/../../mk/sysroot.sh" arm64 "$@" 2>"$work/err"; }

boot() {
  guest_console "$silence" qemu-system-aarch64 -M virt -cpu cortex-a76 \
    -accel tcg,thread=single -smp 1 -m 1024 -kernel "$1" -initrd "$2" \
    -append 'console=ttyAMA0 panic=-1 quiet' \
    -nodefaults -serial stdio -display none -no-reboot 2>&1
}

run_suite() {
  local suite=$1 kernel image
  kernel=$(SUITE=$suite fetch "kernel-$suite" linux-image-cloud-arm64)
  [ -n "$kernel" ] || { skip "$suite" "no kernel: $(tail -1 "$work/err")" && return; }
  image=$(find "$kernel/boot" -name 'vmlinuz-*' | head -1)
  check "$suite: initramfs" "$here/initramfs.sh" "$build" "$kernel" "$work/initramfs" "$ARM64_SYSROOT" "$guest" || return
  boot "$image" "$work/initramfs" >"$work/console"
  printf '# %s\n' "$(grep -m 1 '^guest: Linux' "$work/console")"
  guest_relay "$suite" "$work/console"
  check "$suite: the guest ran to its end" grep -q '^guest: done' "$work/console" ||
    tail -30 "$work/console" | sed 's/^/# /'
}

guest=$(fetch guest "${GUEST[@]}")
if [ -z "$guest" ]; then
  skip 'boot' "no guest: $(tail -1 "$work/err")"
else
  for suite in ${ARM64_SUITES:-bookworm}; do run_suite "$suite"; done
fi
tap_done
