#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boot a kernel with an initramfs and show its console. Emulated always: with KVM the result would
# depend on the machine, and nested guests are not to be had everywhere. In the process group of its
# caller, who may end both together.
# usage: tests/kernels/boot.sh KERNEL_DIR INITRAMFS SECONDS [WORD...]   words: for the command line
set -u

kernel=$1 initramfs=$2 limit=$3
shift 3
# one virtual CPU: with two, the emulator races with the kernel's patching of its own text
timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread=single -cpu max -M q35 -m 1024 -smp 1 \
  -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
  -append "console=ttyS0 panic=-1 mitigations=off quiet $*" \
  -nodefaults -serial stdio -display none -no-reboot </dev/null | stdbuf -oL tr -d '\r'
exit "${PIPESTATUS[0]}"
