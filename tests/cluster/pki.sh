#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Keys of one cluster, in $CLUSTER/pki: a CA, the API server's certificates, the key that signs
# service account tokens, a token and a kubeconfig for each component and for alice, who has no rights, and a key for ssh.
set -eu
# shellcheck source=tests/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

kubeconfig() {
  cat <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$API_ADDRESS:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: test, user: {token: $1}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
YAML
}

# component NAME USER [GROUP]
component() {
  local token
  token=$(openssl rand -hex 16)
  echo "$token,$2,$1${3:+,\"$3\"}" >>tokens.csv
  kubeconfig "$token" >"$1.kubeconfig"
}

umask 077
mkdir -p "$CLUSTER/pki"
cd "$CLUSTER/pki"
ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${ec[@]}" -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca 2>/dev/null
openssl req "${ec[@]}" -keyout api.key -out api.csr -subj /CN=kube-apiserver 2>/dev/null
names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
printf 'subjectAltName=%s,IP:%s,IP:%s\n' "$names" "${SERVICE_NETWORK%.0/*}.1" "$API_ADDRESS" >api.ext
openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out api.crt -extfile api.ext 2>/dev/null
# by which the API server shows an aggregated API that it is the API server
openssl req -x509 "${ec[@]}" -keyout front.key -out front.crt -days 2 -subj /CN=front-proxy-ca 2>/dev/null
openssl req "${ec[@]}" -keyout proxy.key -out proxy.csr -subj /CN=front-proxy-client 2>/dev/null
openssl x509 -req -in proxy.csr -CA front.crt -CAkey front.key -CAcreateserial -days 2 -out proxy.crt 2>/dev/null
openssl genrsa -out service-accounts.key 2048 2>/dev/null
component admin admin system:masters
component alice alice
component kube-controller-manager system:kube-controller-manager
component kube-scheduler system:kube-scheduler
component kube-proxy system:kube-proxy
component kubelet "system:node:$NODE_NAME" system:nodes
ssh-keygen -q -t ed25519 -N '' -f ssh
