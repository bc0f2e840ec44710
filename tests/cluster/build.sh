#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that a cluster is made of and that does not change from run to run, once, below
# $CLUSTER_CACHE: Kubernetes and etcd, the node's disk, and for each kernel an initramfs.
#
#   build.sh     prints what is where: NAME=PATH
#
# Each part is named after what it was made from, so a change makes a new one and leaves the old.
# A part appears whole or not at all.
set -eu
# shellcheck source=tests/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

PACKAGES=systemd,systemd-sysv,dbus,udev,kmod,procps,util-linux,mount,bash,ca-certificates
PACKAGES=$PACKAGES,iproute2,iptables,conntrack,ethtool,socat,openssh-server,bpftool,busybox-static
PACKAGES=$PACKAGES,containerd,runc,containernetworking-plugins

mkdir -p "$CLUSTER_CACHE"
exec 9>"$CLUSTER_CACHE/lock"
flock 9 # one build at a time; a second one finds it done
work=$(mktemp -d "$CLUSTER_CACHE/.build-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '  CLUSTER  %s\n' "$*" >&2; }
key() { cat "$@" | sha256sum | cut -c1-12; }
mirror() { awk '/^URIs:/ { print $2; exit } /^deb / { print $2; exit }' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null; }

# part NAME FUNCTION ARGUMENT...: FUNCTION makes the directory $work/part, unless it is there
part() {
  local target=$CLUSTER_CACHE/$1
  if [ ! -d "$target" ]; then
    say "$1"
    rm -rf "$work/part"
    mkdir "$work/part"
    "${@:2}" >&2
    mv "$work/part" "$target"
  fi
  printf '%s=%s\n' "${2//_/-}" "$target"
}

# A Go that can build it: this machine's, or the one that the module proxy has.
go_command() {
  local version module directory
  version=$(go env GOVERSION)
  if [ "$(printf '%s\n' "$GO_VERSION" "$version" | sort -V | head -1)" = "$GO_VERSION" ]; then
    echo go
    return
  fi
  module=golang.org/toolchain@v0.0.1-$GO_VERSION.linux-$(go env GOARCH)
  directory=$(cd "$work" && go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",*/\1/p')
  [ -n "$directory" ] || cluster_fail "no $module"
  chmod -R u+w "$directory" && chmod +x "$directory"/bin/* "$directory"/pkg/tool/*/*
  echo "$directory/bin/go"
}

# From the sources of the module proxy, etcd as well; kubernetes/go.sum says which they are.
kubernetes() {
  local go package flags=-s
  go=$(go_command)
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags="$flags -X $package.gitVersion=$KUBERNETES_VERSION -X $package.gitMajor=1"
    flags="$flags -X $package.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION")"
  done
  (cd "$CLUSTER_HERE/kubernetes" &&
    CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false' GOTOOLCHAIN=local \
      nice -n 5 "$go" build -p "$(nproc)" -trimpath -ldflags "$flags" -o "$work/part/" tool)
  mv "$work/part/server" "$work/part/etcd" # go.etcd.io/etcd/server/v3
}

node_root() {
  debootstrap --variant=minbase --include="$PACKAGES" "$NODE_SUITE" "$work/part/root" "$(mirror)" >"$work/log" 2>&1 ||
    cluster_fail "debootstrap: $(tail -1 "$work/log")"
  rm -rf "$work/part/root/var/cache/apt/archives" "$work/part/root/var/lib/apt/lists"
}

# One program is all that runs in the pods.
containers() {
  local name
  gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -static -s -o "$work/probe" "$CLUSTER_HERE/probe.c"
  ! unshare --net "$work/probe" ask 2>/dev/null || cluster_fail 'the probe asks outside of the node, too'
  for name in pause probe; do
    rm -rf "$work/context"
    mkdir "$work/context"
    cp "$work/probe" "$work/context/$name"
    printf 'FROM scratch\nCOPY %s /\nENTRYPOINT ["/%s"]\n' $name $name >"$work/context/Containerfile"
    store build --isolation chroot --timestamp 0 --quiet -t "localhost/$name:1" "$work/context" >/dev/null
    store push --quiet "localhost/$name:1" "docker-archive:$work/part/$name.tar:localhost/$name:1"
  done
  cp "$work/probe" "$work/part/"
}
store() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }

# The disk: Debian, Kubernetes, the pods' images, the modules of each kernel. What differs from one
# run to the next (keys, podcred) comes on a second disk.
node_disk() {
  local root=$work/root kernel
  cp -a --reflink=auto "$node_root/root" "$root"
  cp "$kubernetes"/{kubelet,kube-proxy} "$root/usr/local/bin/"
  cp "$containers/probe" "$root/usr/local/bin/"
  mkdir -p "$root/opt/images" "$root/etc/containerd" "$root/etc/kubernetes/manifests" "$root/var/log/probe" "$root/usr/lib/modules"
  cp "$containers"/*.tar "$root/opt/images/"
  for kernel in "${kernels[@]}"; do cp -a "$kernel"/lib/modules/* "$root/usr/lib/modules/"; done
  for kernel in "$root"/usr/lib/modules/*; do depmod -b "$root/usr" "${kernel##*/}"; done
  install -m 755 "$CLUSTER_HERE/node-setup.sh" "$root/usr/local/sbin/node-setup"
  install -m 644 "$CLUSTER_HERE"/node/*.service "$root/etc/systemd/system/"
  install -m 644 "$CLUSTER_HERE"/node/{containerd.toml,kubelet.yaml} "$root/etc/kubernetes/"
  printf 'veth\nbr_netfilter\noverlay\nnf_conntrack\n' >"$root/etc/modules-load.d/cluster.conf"
  printf 'net.ipv4.ip_forward=1\nnet.bridge.bridge-nf-call-iptables=1\n' >"$root/etc/sysctl.d/90-cluster.conf"
  : >"$root/etc/machine-id"
  : >"$root/etc/resolv.conf"
  echo '/dev/vda / ext4 rw,noatime 0 1' >"$root/etc/fstab"
  node_units "$root"
  truncate -s 4G "$work/part/node.img"
  mke2fs -q -t ext4 -O ^has_journal -d "$root" "$work/part/node.img"
  rm -rf "$root"
}

node_units() {
  systemctl --root="$1" -q enable node-setup.service images.service kubelet.service kube-proxy.service containerd.service ssh.service
  systemctl --root="$1" -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
    dpkg-db-backup.timer fstrim.timer systemd-timesyncd.service getty@tty1.service systemd-resolved.service
}

# Finds the disk, and hands over to its systemd.
initramfs() {
  local kernel=$1 root=$work/initramfs version module file
  version=$(ls "$kernel/lib/modules")
  rm -rf "$root"
  mkdir -p "$root"/{bin,dev,proc,sys,disk,modules}
  cp "$node_root/root/bin/busybox" "$root/bin/"
  depmod -b "$kernel" "$version"
  for module in virtio_pci virtio_blk ext4; do
    modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '/^insmod/ { print $2 }'
  done | awk '!seen[$0]++' | while read -r file; do
    module=$(basename "$file" .xz)
    case $file in *.xz) xz -dc "$file" ;; *) cat "$file" ;; esac >"$root/modules/$module"
    echo "$module"
  done >"$root/order"
  install -m 755 "$CLUSTER_HERE/node-init.sh" "$root/init"
  (cd "$root" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) >"$work/part/initramfs"
  cp "$kernel/vmlinuz" "$work/part/"
}

kernels=()
for suite in $KERNEL_SUITES; do kernels+=("$("$CLUSTER_ROOT/tests/kernels/fetch.sh" "$suite")"); done
here=$CLUSTER_HERE
kubernetes=$CLUSTER_CACHE/kubernetes-$KUBERNETES_VERSION-$(key "$here"/kubernetes/go.*)
node_root=$CLUSTER_CACHE/root-$(key <(echo "$NODE_SUITE $PACKAGES"))
containers=$CLUSTER_CACHE/containers-$(key "$here/probe.c")
modules=$(printf '%s\n' "${kernels[@]/%//lib/modules/*}")
# shellcheck disable=SC2086 # patterns
disk=$CLUSTER_CACHE/disk-$(key "$here"/node/* "$here/node-setup.sh" "$0" <(echo "$kubernetes $node_root $containers" $modules))
part "${kubernetes##*/}" kubernetes
part "${node_root##*/}" node_root
part "${containers##*/}" containers
part "${disk##*/}" node_disk
for kernel in "${kernels[@]}"; do
  part "initramfs-$(key "$here/node-init.sh" <(ls -d "$kernel"/lib/modules/*))" initramfs "$kernel" | sed "s|^initramfs=|kernel-$(basename "$kernel" | cut -d- -f1)=|"
done
