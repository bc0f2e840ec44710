#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The user's story. One "helm install" gives the cluster agents without rights, a broker, and EKS's API of associations; the
# AWS CLI associates a role with a service account, and its pods have it, those that run already too; others do not. Without the
# association nothing is handed out any more.
set -u
# shellcheck source=tests/cluster/parts.sh
. "$(dirname "$0")/parts.sh"
# shellcheck source=tests/cluster/system.sh
. "$(dirname "$0")/system.sh"

ROLE=arn:aws:iam::111122223333:role/cart-role
NONE='NoCredentialsAssociated'
ONE=(--cluster-name demo --namespace shop)

own_answers() { answered "$1" main eks 'ASIA[A-Z0-9]+' && answered "$1" main ecs 'ASIA[A-Z0-9]+' && answered "$1" main imds cart-role; }
told_none() { answered "$1" main ecs "$NONE"; }
# pods that were told of NONE before have been asked again
told_none_again() { answered_again "$1" ecs "$NONE" && answered_again "$1" eks "$NONE"; }
condition() { k get podidentityassociation -n shop cart -o "jsonpath={.status.conditions[?(@.type=='$1')].status}"; }
condition_is() { [ "$(condition "$1")" = "$2" ]; }
variables() { k get pod -n shop "$1" -o 'jsonpath={.spec.containers[0].env[*].name}' | tr ' ' '\n' | grep '^AWS_' | sort | tr '\n' ' '; }
tags() { cloud_calls 'map(select(.sessionName == "shop.cart.new" and .status == 200)) | last | .tags | to_entries | map(.key + "=" + .value) | sort | .[]'; }

rights_of_alice() {
  k create rolebinding alice -n shop --clusterrole=podcred-associations --user=alice &&
    k create clusterrolebinding alice --clusterrole=podcred-associations-api --user=alice
}
by_hand() {
  printf 'apiVersion: podcred.io/v1alpha1\nkind: PodIdentityAssociation\nmetadata: {name: till, namespace: shop}\n'
  printf 'spec: {roleArn: "arn:aws:iam::111122223333:role/admin"}\n'
}

k delete pod -n shop --all --wait=false >/dev/null
cloud_up
names_up >/dev/null
check 'one "helm install" brings all of it' system_install || { tap_done; exit; }
check 'the guard is complete' wait_for 120 podcred_complete
pod running cart burstable | start
pod other till burstable | start
for pod in running other; do check "$pod, without an association, has nothing" wait_for 300 told_none "$pod"; done

k apply -f - <<<"$(policy)" >/dev/null
rights_of_alice >/dev/null
proxy_up
since=$SECONDS
made=$(aws eks create-pod-identity-association "${ONE[@]}" --service-account cart --role-arn "$ROLE" 2>"$CLUSTER/aws.err") || sed 's/^/# /' "$CLUSTER/aws.err"
id=$(jq -r .association.associationId <<<"$made")
same 'the AWS CLI makes an association' "demo shop cart $ROLE" \
  "$(jq -r '.association | [.clusterName, .namespace, .serviceAccount, .roleArn] | join(" ")' <<<"$made")"
check 'the pod that runs already gets its credentials' wait_for 120 own_answers running
echo "# $((SECONDS - since)) s after it was asked for; the pod asks every ten, and twice a second while it has none"
plain new cart burstable | start
check 'a new one as well, at the address of EKS Pod Identity, by the token that the webhook gave it' wait_for 300 own_answers new
same 'and the variables' 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_FULL_URI ' "$(variables new)"
check 'who looks at the object sees that it is ready' wait_for 60 condition_is Ready True
same 'STS was told whose session it is' "$(printf '%s\n' "eks-cluster-arn=$CLOUD_CLUSTER_ARN" eks-cluster-name=demo kubernetes-namespace=shop \
  kubernetes-pod-name=new "kubernetes-pod-uid=$(k get pod -n shop new -o 'jsonpath={.metadata.uid}')" kubernetes-service-account=cart)" "$(tags)"

check 'by kubectl, past the API, she writes one for a role that the namespace may not have' alice apply -f - <<<"$(by_hand)"
check 'which the pod does not get' wait_for 120 answered other main ecs RoleNotAllowed
same 'the API refuses it at once' InvalidParameterException \
  "$(aws eks create-pod-identity-association "${ONE[@]}" --service-account x --role-arn "${ROLE%cart-role}admin" 2>&1 | grep -o '[A-Za-z]*Exception')"
same 'the pod of another service account was never told anything else' '' "$(strange other - - "$NONE|RoleNotAllowed|status-40[34]|$NOT_YET")"

check 'the association is deleted' aws eks delete-pod-identity-association --cluster-name demo --association-id "$id"
ask_again
for pod in running new; do check "$pod gets nothing any more" wait_for 120 told_none_again "$pod"; done
pod late cart burstable | start
check 'nor does a pod that comes now' wait_for 300 told_none late
same 'which was never told anything else' '' "$(strange late - - "$NONE|status-40[34]|$NOT_YET")"
check '"helm uninstall" takes it from the cluster' system_uninstall
tap_done
