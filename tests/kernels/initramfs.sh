#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest's root file system, in two archives that the kernel unpacks one over the other.
#
#   initramfs.sh system OUT        this system's shell and tools, podcred and its tests as they were
#                                  built here: the same for every kernel
#   initramfs.sh modules DIR OUT   a kernel's modules (DIR: from fetch.sh)
#
# The repository's tests/ and build output are below /podcred; tests/kernels/guest.sh is /init.
set -eu

source=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$source/build}
TOOLS=(awk base64 bash bpftool bridge cat chmod chown cmp cp curl cut date dirname env find flock getent grep head hostname id
  ip ip6tables iptables iptables-legacy ipvsadm jq ln ls mkdir mktemp mkfifo mknod modprobe mount mv nft nsenter ps readlink rm
  rmdir sed seq setpriv sh sleep sort ss stat sync sysctl tail tc tee timeout touch tr umount uname uniq
  unshare wc xargs)
BUILT=(podcred tests/attack tests/bypass tests/client tests/exclusive tests/hammer tests/netdiag
  tests/starve tests/verifier tests/who bpftest/test_logic bpftest/answer.bpf.o)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

pack() { (cd "$root" && find . -print0 | sort -z | cpio --null -o -H newc --quiet -R 0:0 | gzip -1) >"$1"; }

# put FILE [TARGET]: with the libraries that it needs
put() {
  local library
  mkdir -p "$root$(dirname "${2:-$1}")"
  cp -L "$1" "$root${2:-$1}"
  { ldd "$1" 2>/dev/null || :; } | grep -o '/[^ ]*' | while read -r library; do
    [ -e "$root$library" ] || {
      mkdir -p "$root$(dirname "$library")"
      cp -L "$library" "$root$library"
    }
  done
}

system() {
  local tool dir
  for dir in bin sbin lib lib64; do
    mkdir -p "$root/usr/$dir"
    ln -s "usr/$dir" "$root/$dir"
  done
  mkdir -p "$root"/{dev,etc,proc,run,sys,tmp,var,podcred}
  ln -s ../run "$root/var/run"
  for tool in "${TOOLS[@]}"; do put "$(command -v "$tool")"; done
  for dir in /usr/lib/*/xtables /usr/lib/*/nss; do # iptables' matches and targets
    [ ! -d "$dir" ] || { mkdir -p "$root$dir" && cp -L "$dir"/* "$root$dir"; }
  done
  printf 'root:x:0:0:root:/:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  cp /etc/protocols /etc/services "$root/etc/" 2>/dev/null || :
  for tool in "${BUILT[@]}"; do put "$build/$tool" "/podcred/build/$tool"; done
  (cd "$source" && cp -r --parents tests/*/*.sh tests/*.sh user/cli/completion "$root/podcred/")
  ln -s podcred/tests/kernels/guest.sh "$root/init"
}

# What networks are made of; the kernel asks modprobe for them by itself.
modules() {
  local version from to
  version=$(ls "$1/lib/modules")
  from=$1/lib/modules/$version to=$root/usr/lib/modules/$version
  mkdir -p "$to/kernel"
  cp "$from"/modules.{order,builtin,builtin.modinfo} "$to/"
  (cd "$from" && cp -r --parents kernel/net kernel/lib kernel/crypto kernel/arch/*/crypto kernel/fs/fuse "$to/" 2>/dev/null) || :
  (cd "$from" && find kernel/drivers/net -maxdepth 2 \( -name 'veth.*' -o -name 'dummy.*' -o -name 'tun.*' \
    -o -name 'macvlan.*' -o -name 'ipvlan.*' -o -name 'vxlan*' -o -name 'vrf.*' -o -name 'ifb.*' -o -name 'netkit.*' \
    -o -name 'geneve.*' -o -name 'bareudp.*' -o -name 'gtp.*' -o -name 'wireguard.*' \) \
    -exec cp -r --parents {} "$to/" \;)
  depmod -b "$root/usr" "$version"
}

case $1 in
system) system && pack "$2" ;;
modules) modules "$2" && pack "$3" ;;
esac
