#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The user's story, on the real Kubernetes of tests/cluster: one "helm install", one command of the unmodified AWS CLI, and the
# service account has the role. Called by tests/cluster/run.sh, which makes the cluster and takes it away again.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$CLUSTER_ROOT/tests/cluster/parts.sh"
# shellcheck source=tests/cluster/system.sh
. "$CLUSTER_ROOT/tests/cluster/system.sh"

ROLE=arn:aws:iam::111122223333:role/cart-role
SECONDS=0

say() { printf '\n== %s\n' "$*"; }
# run CMD...: what is shown is what one types, but for the options that lead to this cluster (tests/cluster/system.sh)
run() {
  printf '$ %s\n' "$*"
  "$@"
}
kubectl() { k "$@"; }
die() {
  printf '\n%s\ndemo: FAILED\n' "$*"
  exit 1
}
must() { "$@" >"$CLUSTER/said" 2>&1 || die "$*: $(tail -5 "$CLUSTER/said")"; }
# sees POD ANSWER WHAT: what it was told last, once it is that
sees() {
  must wait_for 300 answered "$1" main "$2" "$3"
  printf '%-8s %s\n' "$1" "$(told "$1" | awk -v what="$2" '$2 == what { print $3 }' | grep -E "^($3)\$" | tail -1)"
}

say 'A cluster from nothing: etcd, API server, a node with systemd, containerd and kubelet. It is emulated: this takes minutes'
must network_up
must control_up
must node_boot "$NODE_KERNEL" "$NODE_DRIVER"
must wait_for 1800 node_is_ready
must cloud_up
must names_up
run kubectl get nodes
{ namespace shop; } | k apply -f - >/dev/null

say 'podcred: agents without rights in the cloud, a broker that has them, the API of associations, a webhook'
echo '$ helm install podcred deploy/helm/podcred -n podcred --create-namespace --set mode=broker,cluster.name=demo,cluster.arn=...'
must system_install
run kubectl get pods -n podcred

say 'Two service accounts, cart and till, with a pod each. Neither has a role, and none gets that of the node'
pod cart-1 cart burstable | start
pod till-1 till burstable | start
for pod in cart-1 till-1; do sees "$pod" ecs NoCredentialsAssociated; done

say 'An administrator says which roles the namespace may have, and that alice may associate them'
policy
run kubectl apply -f - <<<"$(policy)"
run kubectl create rolebinding alice -n shop --clusterrole=podcred-associations --user=alice
run kubectl create clusterrolebinding alice --clusterrole=podcred-associations-api --user=alice

say 'alice associates one, with the AWS CLI as it is, through kubectl proxy. No annotation, no OIDC provider, no change of a pod'
must proxy_up
"$AWS_CLI" --version
made=$(aws eks create-pod-identity-association --cluster-name demo --namespace shop --service-account cart --role-arn "$ROLE") ||
  die 'no association was made'
echo "\$ aws eks create-pod-identity-association --cluster-name demo --namespace shop --service-account cart --role-arn $ROLE"
jq . <<<"$made"

say 'The pod that runs already has credentials now, of the role; till has none'
sees cart-1 ecs 'ASIA[A-Z0-9]+'
sees cart-1 imds cart-role
sees till-1 ecs NoCredentialsAssociated
say 'A new pod, as people write it. The webhook gives it the variables that SDKs look for'
plain cart-2 cart burstable | start
sees cart-2 eks 'ASIA[A-Z0-9]+'
run kubectl get pod -n shop cart-2 -o 'jsonpath={range .spec.containers[0].env[*]}{.name}{"\n"}{end}'

say 'STS was told whose session it is, so that one policy can serve all namespaces (aws:PrincipalTag/kubernetes-namespace)'
cloud_calls 'map(select(.sessionName == "shop.cart.cart-2" and .status == 200)) | last | .sessionName, .tags'
run kubectl get podidentityassociations -n shop

say 'The association is deleted: nothing is handed out any more'
echo '$ aws eks delete-pod-identity-association --cluster-name demo --association-id ...'
must aws eks delete-pod-identity-association --cluster-name demo --association-id "$(jq -r .association.associationId <<<"$made")"
must ask_again
for pod in cart-1 cart-2; do
  must wait_for 300 answered_again "$pod" ecs NoCredentialsAssociated
  printf '%-8s %s\n' "$pod" NoCredentialsAssociated
done
printf '\ndemo: ok (%s s)\n' "$SECONDS"
