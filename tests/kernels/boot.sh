#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boot a kernel with an initramfs and show its console. Emulated always: with KVM the result would
# depend on the machine, and nested guests are not to be had everywhere. In the process group of its
# caller, who may end both together.
# usage: tests/kernels/boot.sh KERNEL_DIR INITRAMFS SECONDS [WORD...]   SECONDS: of silence, which end it; words: for the
# command line
set -u
# shellcheck source=tests/lib/guest.sh
. "$(dirname "$0")/../lib/guest.sh"

kernel=$1 initramfs=$2 silence=$3
shift 3
# one virtual CPU: with two, the emulator races with the kernel's patching of its own text
guest_console "$silence" qemu-system-x86_64 -accel tcg,thread=single -cpu max -M q35 -m 1024 -smp 1 \
  -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
  -append "console=ttyS0 panic=-1 mitigations=off quiet $*" \
  -nodefaults -serial stdio -display none -no-reboot
