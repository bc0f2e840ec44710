#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The first process of an arm64 guest: mounts what a node has, runs the tests, switches the machine
# off. tests/arm64/boot.sh reads the console.
export PATH=/usr/sbin:/usr/bin HOME=/
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
cd /podcred || exit
export O=/podcred/build WAIT_FACTOR=20 TEST_SECONDS=900 V=1
echo "guest: Linux $(uname -r) $(uname -m)"
# Without this, each pod of the tests would stand in for a kernel message on the console.
echo 1 >/proc/sys/kernel/printk
tests/run.sh build/bpftest/test_logic tests/arm64/node.sh tests/e2e/10-identity.sh
echo 'guest: done'
sync
echo o >/proc/sysrq-trigger
sleep 60
