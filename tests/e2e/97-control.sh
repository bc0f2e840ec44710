#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred control: EKS's API of associations, asked by the AWS SDK for JavaScript, and by those who have no business there.
# The AWS CLI and boto3 are in make test-clients, a real API server in make test-control.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/lib/control.sh
. "$(dirname "$0")/../lib/control.sh"

ALL=/clusters/demo/pod-identity-associations
create() { jq -nc --arg account "$1" --arg token "${2:-}" --arg role "${3:-app}" '{namespace: "shop", serviceAccount: $account,
  roleArn: "arn:aws:iam::111122223333:role/\($role)"} + if $token == "" then {} else {clientRequestToken: $token} end'; }
id() { jq -r '.association.associationId' "$DIR/answer"; }

control_up
proxy_key=(--cert "$DIR/client.pem" --key "$DIR/client.key")
printf '1 %s\n' "$(head -c 32 /dev/urandom | base64)" >"$DIR/masters"
control_start --sealing-keys "$DIR/masters"
aggregator alice devs

# ---- an unmodified client ----
EACH='CreatePodIdentityAssociation 200 ["arn:aws:iam::111122223333:role/app",true,{"team":"a b"}]
CreatePodIdentityAssociation ResourceInUseException 409 Association already exists: ID
CreatePodIdentityAssociation InvalidParameterException 400 role arn:aws:iam::999922223333:role/app is not in roleArns of any PodIdentityRolePolicy for namespace shop
ListPodIdentityAssociations 200 ["sdk"]
DescribePodIdentityAssociation 200 true
UpdatePodIdentityAssociation 200 ["arn:aws:iam::111122223333:role/b",true,"eu-west-1/111122223333/demo/shop/sdk"]
UpdatePodIdentityAssociation 200 [null]
TagResource 200 {}
ListTagsForResource 200 {"team":"a b","c/d":"e=f"}
UntagResource 200 {}
ListTagsForResource 200 {}
DescribeCluster 200 ["arn:aws:eks:eu-west-1:111122223333:cluster/demo","1.32","-----BEGIN CERTIFICATE-----"]
DescribeClusterVersions 200 [["1.32",true]]
DescribeAddon 200 "ACTIVE"
DescribeAddon ResourceNotFoundException 404 No addon: vpc-cni found in cluster: demo; podcred takes the place of eks-pod-identity-agent and has no others
DeletePodIdentityAssociation 200 "sdk"
DescribePodIdentityAssociation ResourceNotFoundException 404 there is no association with the id ID'
by_sdk() { NODE_EXTRA_CA_CERTS=$DIR/ca.pem node "${O:-build}/clients/associations.mjs" "$@" 2>&1 | sed 's/a-[a-z0-9]\{17\}/ID/'; }
same 'each operation, by the AWS SDK for JavaScript' "$EACH" "$(by_sdk "$PROXY")"

# ---- who asks ----
same 'without the certificate of the proxy its headers are nothing' '403 MissingAuthenticationTokenException' \
  "$(direct -H 'X-Remote-User: admin' -H 'X-Remote-Group: system:masters' "$ALL")"
same 'nor with one of another authority' '403 MissingAuthenticationTokenException' \
  "$(direct --cert "$DIR/ok2.pem" --key "$DIR/ok2.key" -H 'X-Remote-User: admin' "$ALL")"
same 'nor with another name of this authority' '403 MissingAuthenticationTokenException' \
  "$(direct --cert "$DIR/client2.pem" --key "$DIR/client2.key" -H 'X-Remote-User: admin' "$ALL")"
same 'nor with one that has ended' '403 MissingAuthenticationTokenException' \
  "$(direct --cert "$DIR/expired.pem" --key "$DIR/expired.key" -H 'X-Remote-User: admin' "$ALL")"
same 'the proxy has to say who' '403 AccessDeniedException' "$(direct "${proxy_key[@]}" "$ALL")"
same 'and only once' '403 AccessDeniedException' \
  "$(direct "${proxy_key[@]}" -H 'X-Remote-User: alice' -H 'x-remote-user: admin' "$ALL")"
same 'then it is believed' 200 "$(direct "${proxy_key[@]}" -H 'X-Remote-User: alice' "$ALL")"
api '{"set": {"denied_access": ["bob create podidentityassociations shop", "bob list podidentityassociations ", "bob get"]}}'
same 'who may not create may not create' '403 AccessDeniedException' \
  "$(passed_on -H 'X-Test-User: bob' -d "$(create web)" "$ALL")"
same 'a list of a namespace is another right than one of all' '403 AccessDeniedException' "$(passed_on -H 'X-Test-User: bob' "$ALL")"
same 'another may' 200 "$(passed_on -d "$(create web)" "$ALL")"
WEB=$(id)
same 'who may not get may not describe' '403 AccessDeniedException' "$(passed_on -H 'X-Test-User: bob' "$ALL/$WEB")"
check_not 'nothing of it is said' grep -qE 'role/app|web|shop' "$DIR/answer"

# ---- the same token again ----
same 'a token' 200 "$(passed_on -d "$(create again t-1)" "$ALL")"
first=$(id)
same 'the same request again makes nothing' "200 $first" "$(passed_on -d "$(create again t-1)" "$ALL") $(id)"
same 'the same token for another request' '400 InvalidRequestException' "$(passed_on -d "$(create again t-1 other)" "$ALL")"
same 'another token' '409 ResourceInUseException' "$(passed_on -d "$(create again t-2)" "$ALL")"

# ---- pages; what somebody else has written; what it has not heard of yet ----
put '{"kind": "PodIdentityAssociation", "apiVersion": "podcred.io/v1alpha1", "metadata": {"name": "kubectl", "namespace": "shop"},
  "spec": {"roleArn": "arn:aws:iam::111122223333:role/app"}}'
listed() { [ "$(passed_on "$ALL?maxResults=100")" = 200 ] && jq -e --arg name "$1" '.associations | any(.serviceAccount == $name)' "$DIR/answer"; }
check 'an object that kubectl has made is in the list' eventually 10 listed kubectl
passed_on "$ALL?maxResults=2" >/dev/null
next=$(jq -r '.nextToken | @uri' "$DIR/answer")
page=$(jq -c '[.associations[].serviceAccount]' "$DIR/answer")
passed_on "$ALL?maxResults=2&nextToken=$next" >/dev/null
same 'pages follow each other' '["again","kubectl"] ["web"] null' \
  "$page $(jq -c '[.associations[].serviceAccount]' "$DIR/answer") $(jq .nextToken "$DIR/answer")"
api '{"set": {"hold": true}}'
put '{"kind": "PodIdentityAssociation", "apiVersion": "podcred.io/v1alpha1", "metadata": {"name": "unheard", "namespace": "shop"},
  "spec": {"roleArn": "arn:aws:iam::111122223333:role/app"}}'
same 'one that the watch has not told yet is found' '200 1' \
  "$(passed_on "$ALL?namespace=shop&serviceAccount=unheard") $(jq '.associations | length' "$DIR/answer")"
api '{"set": {"hold": false}}'

# ---- attacks ----
same 'an ARN that is escaped twice is none' '400 BadRequestException' \
  "$(direct "${proxy_key[@]}" -H 'X-Remote-User: alice' "/tags/arn%253Aaws%253Aeks%253Aeu-west-1%253A111122223333%253Apodidentityassociation%252Fdemo%252F$WEB")"
same 'of another account: none' '404 NotFoundException' \
  "$(passed_on "/tags/arn:aws:eks:eu-west-1:999922223333:podidentityassociation/demo/$WEB")"
same 'a body of 3 MiB' '413 InvalidRequestException' \
  "$(direct "${proxy_key[@]}" -H 'X-Remote-User: alice' -X POST -H 'Content-Length: 3145728' "$ALL")"
same 'a member that is not known' '400 InvalidParameterException' \
  "$(passed_on -d "$(create more | jq -c '. + {boundary: "x"}')" "$ALL")"
slow=()
for _ in $(seq 40); do
  exec {fd}<>"/dev/tcp/127.0.0.1/${CONTROL##*:}"
  printf '\x16\x03\x01' >&"$fd"
  slow+=("$fd")
done
same 'forty who never finish a handshake keep nobody out' 200 "$(passed_on "$ALL/$WEB")"
for fd in "${slow[@]}"; do exec {fd}>&-; done

# ---- keys for a token of a service account ----
# One signer for all, as it takes seconds to begin.
signer() {
  mkfifo "$DIR/to" "$DIR/from"
  python3 tests/lib/signed.py "$CONTROL" "$DIR/ca.pem" "$DIR/keys.xml" <"$DIR/to" >"$DIR/from" 2>"$DIR/signer.log" &
  PIDS+=("$!")
  exec {TO}>"$DIR/to" {FROM}<"$DIR/from"
}
signed() {
  local got
  echo "$*" >&"$TO"
  read -r -t 60 got <&"$FROM" || got="no answer: $(cat "$DIR/signer.log")"
  echo "$got"
}
token() { api "{\"account_token\": {\"pod\": \"runner\", \"namespace\": \"shop\", \"audience\": \"$1\"}}" && jq -r . "$DIR/api.out"; }
put '{"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "ci", "namespace": "shop"}}'
api '{"pod": {"name": "runner", "namespace": "shop", "account": "ci"}}'
same 'a token for somebody else gets no keys' '400 InvalidIdentityToken' "$(exchange "$(token sts.amazonaws.com)")"
same 'nor does something else' '400 InvalidIdentityToken' "$(exchange 'a b')"
same 'a token for podcred-control gets keys' 200 "$(exchange "$(token podcred-control)")"
keys=$(jq -nc --arg id "$(of_keys AccessKeyId)" --arg secret "$(of_keys SecretAccessKey)" --arg token "$(of_keys SessionToken)" \
  '{accessKeyId: $id, secretAccessKey: $secret, sessionToken: $token}')
same 'with which the SDK signs each operation' "${EACH/'["sdk"]'/'["again","kubectl","sdk","unheard","web"]'}" \
  "$(by_sdk "$CONTROL" "$keys")"
check 'as the service account' grep -q 'CreatePodIdentityAssociation status=200 user=system:serviceaccount:shop:ci door=sigv4' "$DIR/control.log"
who_am_i() { # SECRET
  AWS_ACCESS_KEY_ID=$(of_keys AccessKeyId) AWS_SECRET_ACCESS_KEY=$1 AWS_SESSION_TOKEN=$(of_keys SessionToken) AWS_REGION=eu-west-1 \
    AWS_CA_BUNDLE=$DIR/ca.pem HOME=$DIR /usr/bin/aws sts get-caller-identity --endpoint-url "$CONTROL" --output text 2>&1 | tr '\t' ' '
}
same 'and the CLI says whose they are' \
  '111122223333 arn:aws:sts::111122223333:assumed-role/podcred-control/ci AROAPODCREDCONTROL:ci' "$(who_am_i "$(of_keys SecretAccessKey)")"
check 'with another secret nothing is said' grep -q InvalidSignatureException <(who_am_i wrong)
check 'which the log says' grep -q 'operation=GetCallerIdentity status=200 user=system:serviceaccount:shop:ci door=sts' "$DIR/control.log"
signer
api '{"set": {"denied_access": ["system:serviceaccount:shop:ci get podidentityassociations shop"]}}'
same 'who may do as much as the service account may' '403 AccessDeniedException' "$(signed GET "$ALL/$WEB")"
api '{"set": {"denied_access": []}}'
same 'now it may' 200 "$(signed GET "$ALL/$WEB")"
same 'signed long ago' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" date=-1000)"
same 'signed for later' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" date=1000)"
same 'for another region' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" region=us-east-1)"
same 'for STS' 200 "$(signed POST / 'Action=GetCallerIdentity&Version=2011-06-15' service=sts)"
same 'what is for STS is not for EKS' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" service=sts)"
same 'nor the other way' 403 "$(signed POST / 'Action=GetCallerIdentity&Version=2011-06-15' | cut -d' ' -f1)"
same 'for another service' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" service=eks-auth)"
same 'for another path' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" "to=$ALL")"
same 'with another body' '403 InvalidSignatureException' "$(signed POST "$ALL/$WEB" '{}' "send=$(jq -nc '{disableSessionTags: true}')")"
same 'with a date that is not signed' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" drop=x-amz-date)"
same 'with a token that is not signed' '403 InvalidSignatureException' "$(signed GET "$ALL/$WEB" drop=x-amz-security-token)"
tags=/tags/arn%3Aaws%3Aeks%3Aeu-west-1%3A111122223333%3Apodidentityassociation%2Fdemo%2F$WEB
same 'a path with escapes' 200 "$(signed GET "$tags")"
same 'is another one without them' '403 InvalidSignatureException' \
  "$(signed GET "$tags" "to=/tags/arn:aws:eks:eu-west-1:111122223333:podidentityassociation/demo/$WEB")"
same 'the headers of the proxy are nothing here' 200 "$(signed GET "$ALL/$WEB")"
sed -i 's|<SessionToken>..|<SessionToken>AA|' "$DIR/keys.xml"
same 'a token that was changed' '403 UnrecognizedClientException' "$(signed GET "$ALL/$WEB")"
check_not 'no key is in the log' grep -qF -e "$(jq -r .secretAccessKey <<<"$keys")" -e "$(jq -r .sessionToken <<<"$keys")" "$DIR/control.log"

# ---- the status, by two replicas ----
condition() { # NAME TYPE STATUS REASON
  curl -sS --cacert "$KUBE/ca.crt" -H "Authorization: Bearer $(<"$KUBE/token")" \
    "$(sed -n 's/^ready //p' "$DIR/kubeapi.log")/apis/podcred.io/v1alpha1/namespaces/shop/podidentityassociations/$1" |
    jq -e --arg type "$2" --arg status "$3" --arg reason "$4" \
      '.status.conditions | any(.type == $type and .status == $status and .reason == $reason)'
}
writes() { # ADDRESS ; of the status, tried or done
  curl -sS "$1/metrics" | sed -n 's/^podcred_control_status_total{.*} //p' | paste -sd+ | bc
}
SECOND=http://127.0.0.1:$(free_port)
started "$DIR/second.log" 'serving cluster' "$PODCRED" control --config "$DIR/config.yaml" --listen "127.0.0.1:$(free_port)" \
  --health "${SECOND#*//}" --certificate "$DIR/ok.pem" --key "$DIR/ok.key" --kubeconfig "$KUBE/kubeconfig"
put '{"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "irsa", "namespace": "shop",
  "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/app"}}}'
put '{"kind": "PodIdentityAssociation", "apiVersion": "podcred.io/v1alpha1", "metadata": {"name": "irsa", "namespace": "shop"},
  "spec": {"roleArn": "arn:aws:iam::111122223333:role/app"}}'
check 'Ready' eventually 10 condition web Ready True Ready
check 'Shadowed by an annotation of IRSA' eventually 10 condition irsa Shadowed True IRSA
check 'and so not ready' condition irsa Ready False Shadowed
put '{"kind": "PodIdentityRolePolicy", "apiVersion": "podcred.io/v1alpha1", "metadata": {"name": "shop"},
  "spec": {"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/other"]}}'
check 'the policy allows it no more' eventually 10 condition web RoleAllowed False NotAllowed
check 'and so it is not ready' condition web Ready False RoleNotAllowed
objects=$(curl -sS "$HEALTH/metrics" | sed -n 's/^podcred_control_objects{kind="associations"} //p')
check 'two replicas do not fight' test "$(($(writes "$HEALTH") + $(writes "$SECOND")))" -le "$((objects * 2 * 4 + 8))"

# ---- without an API server ----
api '{"away": []}'
same 'without the API server nobody knows who may do what' '500 ServerException' "$(passed_on "$ALL/$WEB")"
check 'but it stays ready, with what it knows' curl -sf "$HEALTH/readyz"
api '{"back": []}'
answers() { [ "$(passed_on "$ALL/$WEB")" = 200 ]; }
check 'and goes on when it is back' eventually 30 answers
check 'metrics count it' grep -q 'podcred_control_requests_total{operation="DescribePodIdentityAssociation",result="ok"} [1-9]' <(curl -sS "$HEALTH/metrics")
check 'each write has a line in the log' grep -q \
  'association_api operation=CreatePodIdentityAssociation status=200 user=alice door=aggregated .*service_account=web association_id=a-' "$DIR/control.log"
control_stop
same 'it ends well' 0 $?

# ---- whom to believe cannot be read ----
put_front_proxy '"client'
control_begin
check 'names that are no list are said' eventually 10 grep -q 'requestheader-allowed-names of ConfigMap .* is no list' "$DIR/control.log"
same 'and are not everybody' '403 MissingAuthenticationTokenException' \
  "$(direct "${proxy_key[@]}" -H 'X-Remote-User: alice' "$ALL")"
put_front_proxy '["client"]'
check 'until they are mended' eventually 10 is_ready
tap_done
