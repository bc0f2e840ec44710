#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods come and go. A name that is used again belongs to the new pod alone; a pod that is being
# deleted keeps its own credentials until it is gone.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"

uid_of() { k get pod -n shop "$1" -o 'jsonpath={.metadata.uid}'; }
gone() { ! k get pod -n shop "$1"; }
told_to() { on_node "grep ' $2 ' /var/log/probe/$1.log | cut -d' ' -f2,4- | sort -u"; }

# Keys and roles in what pod NAME of that UID was told: exactly these.
keys_of() { told_to "$1" "$2" | grep -oE '(AKIA[A-Z]+|[a-zA-Z]+-(role|ROLE))$' | sort -u | xargs; }

pod twin cart burstable | start
check 'a pod has credentials' wait_for 300 answered twin main eks AKIACART
first=$(uid_of twin)
k delete pod -n shop twin --wait=false >/dev/null
check 'it is deleted' wait_for 120 gone twin
pod twin till besteffort | start
second=$(uid_of twin)
check 'one of the same name, with another service account, gets its own' wait_for 300 answered twin main eks AKIATILL
same 'the first had the keys of its account alone' 'AKIACART cart-role' "$(keys_of twin "$first")"
check 'the second has asked for a role too' wait_for 120 answered twin main imds till-role
same 'the second had the keys of its account alone' 'AKIATILL till-role' "$(keys_of twin "$second")"

# It asks on after SIGTERM, until it is killed.
linger() {
  pod "$1" cart burstable | sed -e 's/"watch", "main", "10000"/"linger", "main", "200"/' -e "s/PeriodSeconds: 1/PeriodSeconds: $2/"
}
after_term() { on_node "sed '1,/ term /d' /var/log/probe/$1.log | cut -d' ' -f4- | sort -u"; }

linger slow 15 | start
linger forced 60 | start
check 'a pod that ends slowly has credentials' wait_for 300 answered slow main imds cart-role
check 'so has one that will be forced' wait_for 300 answered forced main imds cart-role
k delete pod -n shop slow --wait=false >/dev/null
k delete pod -n shop forced --force --grace-period=0 >/dev/null 2>&1
check 'the forced one is no longer there for the API server' wait_for 20 gone forced
check 'the slow one is gone after its time' wait_for 120 gone slow
for pod in slow forced; do
  same "$pod: its own to the end, and nothing else" "ecs AKIACART eks AKIACART imds cart-role" "$(after_term "$pod" | xargs)"
done
k delete -n shop pod/twin --wait=false >/dev/null
tap_done
