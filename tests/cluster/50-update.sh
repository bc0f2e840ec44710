#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred is updated, its processes are killed, the kubelet, containerd and the API server go away and
# come back, all while pods ask. They may be refused for a while; they are never told of another's
# credentials or of the node's.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"

serves() { k exec -n shop "$1" -- /probe ask | grep -qx "eks $2"; }
asked() { k exec -n shop "$1" -- /probe ask; }

# after WHAT [PATTERN]: both accounts are served again, and nobody was told anything wrong
after() {
  local other=${2:-$AWAY|$CUT_OFF}
  check "$1: cart is served" wait_for 300 serves busy-cart AKIACART || asked busy-cart | sed 's/^/# /'
  check "$1: till is served" wait_for 300 serves busy-till AKIATILL || asked busy-till | sed 's/^/# /'
  same "$1: cart was told nothing but its own" '' "$(strange busy-cart AKIACART cart-role "$other")"
  same "$1: till was told nothing but its own" '' "$(strange busy-till AKIATILL till-role "$other")"
}

# newcomer NAME [PATTERN]: a pod that starts now gets its own
newcomer() {
  pod "$1" till besteffort | start
  check "a pod that starts then gets its own" wait_for 300 answered "$1" main imds till-role
  same 'and nothing else' '' "$(strange "$1" AKIATILL till-role "${2:-$AWAY|$CUT_OFF}")"
  k delete pod -n shop "$1" --wait=false >/dev/null
}

restarts() {
  k get pod -n podcred -o "jsonpath={.items[0].status.containerStatuses[?(@.name=='$1')].restartCount}"
}
restarted() { [ "$(restarts "$1")" -gt "$2" ] && podcred_ready; }

# kill_one, killed serve|resolve: the kubelet starts it again
kill_one() {
  on_node "for p in \$(pidof podcred); do tr '\\0' ' ' </proc/\$p/cmdline | grep -q '^[^ ]*podcred $1 ' && kill -KILL \$p && exit; done; exit 1"
}

killed() {
  local before
  before=$(restarts "$1")
  check "$1 is killed" kill_one "$1"
  check "and started again" wait_for 300 restarted "$1" "$before"
}

no_api() { ! k get --raw /readyz; }
# shellcheck disable=SC2016 # the node expands it
resolver_runs() { on_node 'for p in $(pidof podcred); do tr "\0" " " </proc/$p/cmdline; echo; done' | grep -E '^[^ ]*podcred resolve '; }
named_again() { answered_again busy-cart imds cart-role && answered_again busy-till imds till-role; }

updated() {
  k rollout restart -n podcred daemonset/podcred && wait_for 600 podcred_ready
}

forget
{
  pod busy-cart cart burstable
  pod busy-till till guaranteed
} | sed 's/"10000"/"100"/' | start
check 'two busy pods are served' wait_for 300 answered busy-cart main imds cart-role
check 'both of them' wait_for 300 answered busy-till main imds till-role

forget
check 'the DaemonSet is updated' updated
after 'an update' "$NOTHING"
podcred status | sed 's/^/# /'
newcomer after-update "$NOT_YET"

killed serve
after 'a killed agent'
killed resolve
after 'a killed resolver'
newcomer after-kill

check 'containerd and the kubelet are restarted' on_node systemctl restart containerd kubelet
check 'the node is ready' wait_for 300 kubelet_has_started
after 'a restart of both'
newcomer after-restart

api_stop
check 'the API server is away' no_api
check 'the resolver is killed meanwhile' kill_one resolve
check 'and started again' wait_for 300 resolver_runs
ask_again
check 'pods keep their names' wait_for 120 named_again
check 'the API server is back' api_up
check 'the node is ready again' wait_for 300 kubelet_has_started
after 'an API server that was away'
newcomer after-api
check 'and the guard is complete' wait_for 120 podcred_complete
k delete -n shop pod/busy-cart pod/busy-till --wait=false >/dev/null
tap_done
