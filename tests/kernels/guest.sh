#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The first process of a guest: mounts what a node has, runs what the kernel's command line asks
# for, and switches the machine off. podcred.run=A,B: scripts below tests/; commas are spaces
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ln -s /proc/self/fd /dev/fd
mkdir -p /run/netns
ip link set lo up
modprobe -q tun # with it comes /dev/net/tun
cd /podcred || exit
read -r line </proc/cmdline
for word in $line; do
  case $word in podcred.run=*) run=${word#*=} ;; esac
done
echo "kernel $(uname -r)"
eval "${run//,/ }"
echo "exit $?"
sync
echo o >/proc/sysrq-trigger
sleep 60
