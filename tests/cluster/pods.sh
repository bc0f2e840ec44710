#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# Pods, and what they were told. Sourced after lib.sh.
#
#   pod NAME ACCOUNT CLASS [FIELD...]   the manifest of a pod of namespace shop that asks all the time.
#                                       CLASS: guaranteed | burstable | besteffort; FIELD: more of its spec
#   plain NAME ACCOUNT CLASS            the same as people write it, without the token that webhooks add
#   container NAME CLASS ARGUMENT...    a container of it
#   start                               the manifest on stdin; one pod at a time, then wait for what it does
#   told POD                            every different line of what it was told: CONTAINER WHAT ANSWER
#   answered POD CONTAINER WHAT ANSWER  it was told that at least once (patterns of grep -E)
#   strange POD KEY ROLE [PATTERN]      what it was told beside its own and PATTERN
#   ask_again                           every pod notes its next answers, whatever they were before
#   answered_again POD WHAT ANSWER      since then
#   forget                              what all were told so far
#
# Patterns of what is not wrong at the time. A request that hangs (EINPROGRESS, EAGAIN), or is closed without an answer
# (ENODATA) by an agent that nobody has killed, is wrong always.
#
#   NOTHING                             is
#   NOT_YET                             the pod has no name yet, or the agent no keys
#   AWAY                                the agent is not there, or went in the middle
#   CUT_OFF                             it was killed
#   NO_NETWORK                          neither are the pod's interfaces and programs
#
# A pod's own file is /var/log/probe/POD.log on the node: it outlives the pod, and a reboot.

NOTHING='-'
NOT_YET='PodNotResolved|CredentialsUninitialized|status-503'
AWAY="$NOT_YET|ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH"
CUT_OFF='ENODATA'
NO_NETWORK='EACCES|EPERM|ENETUNREACH'

declare -A RESOURCES=(
  [guaranteed]='{requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 10m, memory: 16Mi}}'
  [burstable]='{requests: {cpu: 10m, memory: 16Mi}}'
  [besteffort]='{}'
)

# container NAME CLASS ARGUMENT...: asks, and notes what it is told
container() {
  local arguments
  printf -v arguments '"%s", ' "${@:3}"
  cat <<YAML
{name: $1, image: "localhost/probe:1", imagePullPolicy: Never, args: [${arguments%, }], resources: ${RESOURCES[$2]},
  env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}],
  volumeMounts: [{name: log, mountPath: /log}, {name: token, mountPath: /var/run/secrets/pods.eks.amazonaws.com/serviceaccount}]}
YAML
}

# The spec of a pod: SERVICE-ACCOUNT, CONTAINERS, FIELD... Its token is where the webhook of EKS puts it. A static pod has
# no service account, and so no token.
spec() {
  local token='emptyDir: {}'
  [ -z "$1" ] || token='projected: {sources: [{serviceAccountToken: {audience: pods.eks.amazonaws.com, path: eks-pod-identity-token}}]}'
  printf '%s\n' "${1:+serviceAccountName: $1}" 'automountServiceAccountToken: false' 'terminationGracePeriodSeconds: 1' \
    "volumes: [{name: log, hostPath: {path: /var/log/probe}}, {name: token, $token}]" "${@:3}" 'containers:' "$2"
}

pod() {
  printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop}\nspec:\n' "$1"
  spec "$2" "- $(container main "$3" watch main 10000)" "${@:4}" | sed 's/^/  /'
}

plain() { pod "$@" | sed -e 's/, {name: token, projected: .*\]}}\]$/]/' -e 's/, {name: token, mountPath: [^}]*}//'; }

namespace() {
  printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n' "$1"
  printf -- '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: %s}\n' cart "$1" till "$1"
}

# A dozen at once take the emulated node an hour, one after the other a few minutes.
start() { k apply -f - >/dev/null; }

told() { on_node "cut -d' ' -f2,4- /var/log/probe/$1.log 2>/dev/null | sort -u"; }
answered() { on_node "grep -qE ' $2 [^ ]+ $3 $4\$' /var/log/probe/$1.log" || { told "$1"; false; }; }

# By default that is NOT_YET.
strange() {
  told "$1" | awk -v key="$2" -v role="$3" -v other="^(${4:-$NOT_YET})\$" \
    '$2 ~ /^(start|term|again)$/ || $3 == key || $3 == role || $3 ~ other { next } { print }'
}

# shellcheck disable=SC2016 # the node expands it
ask_again() { on_node 'kill -USR1 $(pidof probe)'; }
answered_again() {
  on_node "awk '\$4 == \"again\" { found = 0 } \$4 == \"$2\" && \$5 == \"$3\" { found = 1 } END { exit !found }' /var/log/probe/$1.log" ||
    { told "$1"; false; }
}
forget() { on_node 'rm -f /var/log/probe/*.log'; }
