#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the script that sources this
# The ways from a pod to the node's agent. Each has VARIANT_up, which makes the way, and VARIANT_rules N,
# which adds N rules or targets that have nothing to do with it. Sourced by node.sh.
#
#   direct       the pod dials the agent itself; the floor
#   again        the same once more: what it differs from direct is noise
#   legacy       iptables-legacy, the rule that kube2iam writes, behind N rules of kube-proxy
#   compat       the same by iptables-nft
#   nftables     the same in nftables' own words: N services in a verdict map, as kube-proxy has them
#   podcred      all of podcred, with N targets in its configuration
#   bridged      podcred, whose connections cross the bridge
#   connects     podcred without the packet programs
#   proxied      direct, on a node where kube-proxy has N rules in iptables-legacy
#   neighbours   podcred, on such a node
#   untracked    podcred on such a node, with four rules that spare its connections connection tracking

IMDS=169.254.169.254
SERVER=(index 10)
DIAL=$IMDS
DIAL_PORT=80

is_podcred() {
  case $VARIANT in podcred | bridged | connects | neighbours | untracked) true ;; *) false ;; esac
}

# ---- rules ----

# usage: nat_table REDIRECT N   a table for iptables-restore; REDIRECT: 1 with kube2iam's rule
# kube-proxy puts its jump first; kube2iam appends.
nat_table() {
  echo '*nat'
  if [ "$2" -gt 0 ]; then
    echo ':KUBE-SERVICES - [0:0]'
    echo ':KUBE-SVC - [0:0]'
    echo '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    echo '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
  fi
  [ "$1" -eq 0 ] || echo "-A PREROUTING -p tcp -d $IMDS/32 --dport 80 -i br0 -j DNAT --to-destination $NODE_V4:$AGENT_PORT"
  awk -v n="$2" 'BEGIN {
    for (i = 0; i < n; i++)
      printf "-A KUBE-SERVICES -d 10.96.%d.%d/32 -p tcp -m comment --comment \"ns/svc-%d:https cluster IP\" -m tcp --dport 443 -j KUBE-SVC\n",
        i / 250, i % 250 + 1, i }'
  echo COMMIT
}

restore() { nat_table "$2" "$3" | in_node "iptables-$1-restore" -w; }

# ---- variants ----

direct_up() { DIAL=$NODE_V4 DIAL_PORT=$AGENT_PORT; }
direct_rules() { :; }
again_up() { direct_up; }
again_rules() { :; }

legacy_up() { restore legacy 1 0; }
legacy_rules() { restore legacy 1 "$1"; }
compat_up() { restore nft 1 0; }
compat_rules() { restore nft 1 "$1"; }

nftables_up() { nftables_rules 0; }
nftables_rules() {
  {
    echo 'add table ip bench'
    echo 'delete table ip bench'
    echo 'table ip bench {'
    echo '  map services { type ipv4_addr . inet_proto . inet_service : verdict;'
    [ "$1" -eq 0 ] || awk -v n="$1" 'BEGIN {
      printf "elements = {"
      for (i = 0; i < n; i++)
        printf "%s 10.96.%d.%d . tcp . 443 : goto service", i ? "," : "", i / 250, i % 250 + 1
      print "}" }'
    echo '  }'
    echo '  chain service { }'
    echo '  chain prerouting { type nat hook prerouting priority dstnat;'
    [ "$1" -eq 0 ] || echo '    ip daddr . ip protocol . th dport vmap @services'
    echo "    iifname br0 ip daddr $IMDS tcp dport 80 dnat to $NODE_V4:$AGENT_PORT"
    echo '  }'
    echo '}'
  } | in_node nft -f -
}

# At most 64 destinations of 16 ports: podcred has no room for 10,000, and no use for them.
config() {
  echo 'destinations:'
  printf '  - address: %s\n    ports:\n      - port: 80\n' $IMDS
  awk -v n="$1" 'BEGIN {
    for (i = 0; i < n && i < 63 * 16; i++) {
      if (i % 16 == 0) printf "  - address: 10.200.0.%d\n    ports:\n", i / 16 + 1
      printf "      - port: %d\n", 1000 + i % 16
    } }'
}

podcred_up() {
  SERVER=(peer)
  env_load "$@" || return
  env_resolve
}
podcred_rules() {
  config "$1" >"$ENV_TMP/config.yaml"
  env_load --config "$ENV_TMP/config.yaml"
}

bridged_up() { podcred_up --without path; }
bridged_rules() {
  config "$1" >"$ENV_TMP/config.yaml"
  env_load --config "$ENV_TMP/config.yaml" --without path
}

CONNECTS_ALONE=(--without cgroup-egress --without cgroup-ingress --without netfilter-link --without tcx --without tc)
connects_up() { podcred_up "${CONNECTS_ALONE[@]}"; }
connects_rules() {
  config "$1" >"$ENV_TMP/config.yaml"
  env_load --config "$ENV_TMP/config.yaml" "${CONNECTS_ALONE[@]}"
}

proxied_up() { direct_up; }
proxied_rules() { restore legacy 0 "$1"; }
neighbours_up() { podcred_up; }
neighbours_rules() { restore legacy 0 "$1"; }

untracked_up() {
  in_node iptables-legacy-restore -w <<RAW
*raw
-A PREROUTING -d $NODE_V4/32 -p tcp --dport $AGENT_PORT -j NOTRACK
-A PREROUTING -s $NODE_V4/32 -p tcp --sport $AGENT_PORT -j NOTRACK
-A OUTPUT -s $NODE_V4/32 -p tcp --sport $AGENT_PORT -j NOTRACK
-A OUTPUT -d $NODE_V4/32 -p tcp --dport $AGENT_PORT -j NOTRACK
COMMIT
RAW
  podcred_up
}
untracked_rules() { restore legacy 0 "$1"; }
