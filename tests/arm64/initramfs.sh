#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The root file system of an arm64 guest: Debian's shell and tools, podcred and its tests as they
# were cross-built, and a kernel's modules.
# usage: tests/arm64/initramfs.sh BUILD KERNEL OUT ROOT...
# KERNEL and ROOTs are made by mk/sysroot.sh; tools and libraries are looked for in the ROOTs.
# Below /podcred is what the tests need of the repository; tests/arm64/guest.sh is the first process.
set -eu

source=$(cd "$(dirname "$0")/../.." && pwd)
build=$1 kernel=$2 out=$3
shift 3
roots=("$@")
TOOLS=(awk bash bpftool cat chmod cp curl cut date dirname env find flock grep head id ip jq kill ln ls mkdir mkfifo
  mknod mktemp mount mv nsenter ps readlink rm rmdir sed seq sleep sort stat sync tail timeout touch tr
  umount uname uniq wc xargs)
BUILT=(podcred bpftest/test_logic)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

# find_in DIRECTORIES FILE
find_in() {
  local from dir
  for from in "${roots[@]}"; do
    for dir in $1; do
      [ ! -e "$from/$dir/$2" ] || { echo "$from/$dir/$2" && return; }
    done
  done
  echo "initramfs.sh: no $2 in ${roots[*]}" >&2
  return 1
}

# put FILE TARGET: with the libraries that it needs
put() {
  local library from
  mkdir -p "$root$(dirname "$2")"
  cp -L "$1" "$root$2"
  { readelf -d "$1" 2>/dev/null || :; } | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
    [ ! -e "$root/usr/lib/aarch64-linux-gnu/$library" ] || continue
    from=$(find_in 'lib/aarch64-linux-gnu usr/lib/aarch64-linux-gnu lib usr/lib' "$library")
    put "$from" "/usr/lib/aarch64-linux-gnu/$library"
  done
}

tools() {
  local tool dir
  for dir in bin sbin lib; do
    mkdir -p "$root/usr/$dir"
    ln -s "usr/$dir" "$root/$dir"
  done
  mkdir -p "$root"/{dev,etc,proc,run,sys,tmp,podcred}
  put "$(find_in 'lib usr/lib' ld-linux-aarch64.so.1)" /usr/lib/ld-linux-aarch64.so.1
  for tool in "${TOOLS[@]}"; do
    [ "$tool" != awk ] || tool=mawk
    put "$(find_in 'bin usr/bin sbin usr/sbin' "$tool")" "/usr/bin/$tool"
  done
  ln -s mawk "$root/usr/bin/awk"
  ln -s bash "$root/usr/bin/sh"
  put "$(find_in 'bin usr/bin' kmod)" /usr/bin/kmod
  ln -s ../bin/kmod "$root/usr/sbin/modprobe"
  printf 'root:x:0:0:root:/:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
}

# What networks are made of; the kernel asks modprobe for them by itself.
modules() {
  local from version
  from=$(find "$kernel/lib/modules" "$kernel/usr/lib/modules" -mindepth 1 -maxdepth 1 2>/dev/null | head -1)
  version=${from##*/}
  mkdir -p "$root/usr/lib/modules/$version"
  (cd "$from" && cp -r --parents modules.{order,builtin,builtin.modinfo} kernel/net kernel/lib \
    kernel/drivers/net/veth.* kernel/drivers/net/dummy.* "$root/usr/lib/modules/$version/")
  depmod -b "$root/usr" "$version"
}

tools
for file in "${BUILT[@]}"; do put "$build/$file" "/podcred/build/$file"; done
(cd "$source" && cp -r --parents tests/run.sh tests/lib/*.sh tests/e2e/10-identity.sh tests/arm64/*.sh "$root/podcred/")
ln -s podcred/tests/arm64/guest.sh "$root/init"
modules
(cd "$root" && find . -print0 | sort -z | cpio --null -o -H newc --quiet -R 0:0 | gzip -1) >"$out.tmp"
mv "$out.tmp" "$out"
