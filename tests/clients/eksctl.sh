#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# eksctl, unmodified, manages associations of a cluster that is not EKS: with keys for a token of a service account.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/control.sh
. "$(dirname "$0")/../lib/control.sh"

EKSCTL=$CONTROL_BUILD/clients/eksctl
if [ -e "$EKSCTL/missing" ]; then
  echo "ok 1 - eksctl # SKIP $(<"$EKSCTL/missing")"
  echo 1..1
  exit
fi

control_up
printf '1 %s\n' "$(head -c 32 /dev/urandom | base64)" >"$DIR/masters"
control_start --sealing-keys "$DIR/masters"
put '{"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "ci", "namespace": "shop"}}'
api '{"pod": {"name": "runner", "namespace": "shop", "account": "ci"}}'
api '{"account_token": {"pod": "runner", "namespace": "shop", "audience": "podcred-control"}}'
[ "$(exchange "$(jq -r . "$DIR/api.out")")" = 200 ] || fail 'no keys'

# Its own exchange of a token goes to AWS, whatever the endpoint, so it gets the keys.
eksctl() {
  env -i PATH="$PATH" HOME="$DIR" AWS_REGION=eu-west-1 AWS_CA_BUNDLE="$DIR/ca.pem" AWS_ENDPOINT_URL="$CONTROL" AWS_EC2_METADATA_DISABLED=true \
    AWS_ACCESS_KEY_ID="$(of_keys AccessKeyId)" AWS_SECRET_ACCESS_KEY="$(of_keys SecretAccessKey)" AWS_SESSION_TOKEN="$(of_keys SessionToken)" \
    "$EKSCTL/eksctl" "$@" --cluster demo >"$DIR/said" 2>&1
}
said() { tail -n 5 "$DIR/said"; }
web=(--namespace shop --service-account-name web)
role=arn:aws:iam::111122223333:role/app

check 'eksctl create podidentityassociation' eksctl create podidentityassociation "${web[@]}" --role-arn "$role" || said
check 'eksctl get podidentityassociation' eksctl get podidentityassociation -o json || said
same 'lists it' "shop web $role" "$(jq -r '.[] | "\(.Namespace) \(.ServiceAccountName) \(.RoleARN)"' "$DIR/said" 2>&1)"
check_not 'a role that no policy allows' eksctl create podidentityassociation --namespace shop --service-account-name other \
  --role-arn arn:aws:iam::999922223333:role/app
check 'is refused with the reason' grep -q 'not in roleArns of any PodIdentityRolePolicy' "$DIR/said" || said
check 'all of it was the service account' grep -q 'CreatePodIdentityAssociation status=200 user=system:serviceaccount:shop:ci door=sigv4' "$DIR/control.log"
tap_done
