#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# /init of the node's initramfs.
# shellcheck shell=dash
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module"; done </order
until [ -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 /dev/vda /disk
$b mount --move /dev /disk/dev
$b umount /proc /sys
exec $b switch_root /disk /sbin/init
