#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On the node, early at each boot. The kernel's command line has the address (node.address=), the
# pods' network (node.pods=), the gateway (node.gateway=) and the cgroup driver (node.driver=).
# The second disk is a tar archive of files that belong to this one run.
set -eu

word() { sed -n "s/.*\bnode\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

tar -xf /dev/vdb -C /

ip link set lo up
ip address add "$(word address)/24" dev eth0
ip link set eth0 up
ip route add default via "$(word gateway)"

mkdir -p /etc/cni/net.d /etc/containerd
cat >/etc/cni/net.d/10-bridge.conflist <<CNI
{"cniVersion": "1.0.0", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(word pods)"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
CNI

# Both must be told: containerd 1.6 does not say which one it uses.
driver=$(word driver)
systemd=false
[ "$driver" != systemd ] || systemd=true
sed "s/@SYSTEMD@/$systemd/" /etc/kubernetes/containerd.toml >/etc/containerd/config.toml
sed "s/@DRIVER@/$driver/" /etc/kubernetes/kubelet.yaml >/run/kubelet.yaml
echo "NODE_ADDRESS=$(word address)" >/run/node.env
