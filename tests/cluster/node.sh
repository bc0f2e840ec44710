#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The node: a machine in QEMU. Sourced after lib.sh and control.sh.
#
#   node_boot KERNEL DRIVER   a new disk, that kernel, that cgroup driver (systemd | cgroupfs)
#   node_is_ready             says the API server
#   node_reboot               by systemd; returns when it is ready again
#   node_put PATH             a file on the node, from stdin

# What belongs to this run alone. A tar archive is padded to whole blocks, so it can be a disk.
node_seed() {
  local seed=$CLUSTER/seed
  rm -rf "$seed"
  mkdir -p "$seed"/{etc/kubernetes,root/.ssh,opt/images}
  cp "$CLUSTER"/pki/{kubelet,kube-proxy}.kubeconfig "$seed/etc/kubernetes/"
  cp "$CLUSTER/pki/ssh.pub" "$seed/root/.ssh/authorized_keys"
  cp "$O/podcred-image.tar" "$seed/opt/images/"
  chmod 700 "$seed/root/.ssh"
  tar -C "$seed" --owner=0 --group=0 --mode=u=rwX,go= -cf "$CLUSTER/seed.img" etc/kubernetes root/.ssh opt/images
}

# Emulated always: with KVM the result would depend on the machine. Changes to the disk are in a
# file without a name, which goes with QEMU.
node_boot() {
  local words="node.address=$NODE_ADDRESS node.gateway=$API_ADDRESS node.pods=$POD_NETWORK node.driver=$2"
  local directory=CLUSTER_KERNEL_$1
  node_seed
  TMPDIR=$CLUSTER run_as qemu qemu-system-x86_64 -accel tcg,thread=single,tb-size=512 -cpu max -M q35 -m 2560 -smp 1 \
    -kernel "${!directory}/vmlinuz" -initrd "${!directory}/initramfs" \
    -append "root=/dev/vda rw console=ttyS0 mitigations=off quiet panic=-1 net.ifnames=0 systemd.hostname=$NODE_NAME $words" \
    -drive "file=$CLUSTER_DISK/node.img,format=raw,if=virtio,cache=unsafe,snapshot=on" \
    -drive "file=$CLUSTER/seed.img,format=raw,if=virtio,readonly=on" \
    -netdev tap,id=net,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=net,romfile= \
    -device virtio-rng-pci -nodefaults -display none -serial "file:$CLUSTER_LOG/console.log"
}

node_is_ready() {
  [ "$(k get node "$NODE_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

node_put() { on_node "cat >$1.new && mv $1.new $1"; }

boot_id() { on_node cat /proc/sys/kernel/random/boot_id; }
booted_since() {
  local now
  now=$(boot_id) && [ -n "$now" ] && [ "$now" != "$1" ]
}

node_reboot() {
  local before
  before=$(boot_id)
  on_node systemctl reboot
  ssh_close
  wait_for 600 booted_since "$before" && wait_for 300 kubelet_has_started
}
# Ready is what the API server last heard; this is the node itself.
kubelet_has_started() { on_node systemctl is-active kubelet && node_is_ready; }
