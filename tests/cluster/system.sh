#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The whole system on the cluster, and what it needs around it. Sourced after lib.sh and control.sh.
#
#   cloud_up                  a strict stand-in of AWS in place of metadata.py: STS, and the metadata service with a role
#                             that may assume others
#   cloud_calls FILTER        its log, as one JSON array, through jq -r
#   names_up                  DNS for the cluster's Services
#   names_write               as they are now
#   system_install [OPTION...]   by helm, with nodes that have no rights in the cloud; returns when all of it is ready
#   system_uninstall          by helm
#   policy                    the manifest of a PodIdentityRolePolicy: namespace shop may have the roles cart-*
#   proxy_up                  kubectl proxy, as alice
#   aws ARGUMENT...           the AWS CLI, by it
#   alice ARGUMENT...         kubectl, as her
#
# HELM and AWS_CLI are these programs.

CLOUD_STS=http://$API_ADDRESS:9180
CLOUD_CLUSTER_ARN=arn:aws:eks:eu-west-1:111122223333:cluster/demo

cloud_up() {
  stop metadata
  rm -f "$CLUSTER_LOG/cloud.log"
  run_as cloud python3 "$CLUSTER_ROOT/tests/fake/aws.py" "$CLUSTER/cloud" --address "$API_ADDRESS" --sts "${CLOUD_STS##*:}" \
    --imds "$METADATA_ADDRESS:80"
  wait_for 30 grep -q '^ready' "$CLUSTER_LOG/cloud.log"
}
cloud_calls() { jq -rs "$1" "$CLUSTER/cloud/calls.jsonl"; }

names_up() {
  mkdir -p "$CLUSTER/names"
  run_as names dnsmasq --keep-in-foreground --user=root --pid-file= --log-facility=- --no-resolv --no-hosts \
    --hostsdir="$CLUSTER/names" --local=/cluster.local/ --listen-address="$API_ADDRESS" --bind-interfaces
  k apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: ${SERVICE_NETWORK%.0/*}.10
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-here, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
endpoints: [{addresses: [$API_ADDRESS]}]
YAML
}
names_write() {
  k get services -A -o go-template='{{range .items}}{{.spec.clusterIP}} {{.metadata.name}}.{{.metadata.namespace}}.svc.cluster.local
{{end}}' >"$CLUSTER/names.new" && mv "$CLUSTER/names.new" "$CLUSTER/names/services"
}

helm() { in_net "$HELM" --kubeconfig="$CLUSTER/pki/admin.kubeconfig" --namespace=podcred "$@"; }

system_install() {
  helm install podcred "$CLUSTER_ROOT/deploy/helm/podcred" --create-namespace --set mode=broker \
    --set "cluster.name=demo,cluster.arn=$CLOUD_CLUSTER_ARN,broker.config.credentials.region=eu-west-1" \
    --set "broker.config.credentials.endpoints.sts=$CLOUD_STS" --post-renderer "$CLUSTER_HERE/slow.sh" \
    --wait --timeout 30m "$@" >"$CLUSTER_LOG/helm.log" 2>&1 && names_write && return
  tail -5 "$CLUSTER_LOG/helm.log"
  podcred_said
  false
}
system_uninstall() { helm uninstall podcred --wait --timeout 10m; }

policy() {
  cat <<YAML
apiVersion: podcred.io/v1alpha1
kind: PodIdentityRolePolicy
metadata: {name: shop}
spec: {namespaces: [shop], roleArns: ["arn:aws:iam::111122223333:role/cart-*"]}
YAML
}

alice() { in_net "$CLUSTER_BIN/kubectl" --kubeconfig="$CLUSTER/pki/alice.kubeconfig" "$@"; }
proxy_up() {
  rm -f "$CLUSTER_LOG/proxy.log"
  run_as proxy "$CLUSTER_BIN/kubectl" --kubeconfig="$CLUSTER/pki/alice.kubeconfig" proxy --port=8001
  wait_for 30 grep -q 'Starting to serve' "$CLUSTER_LOG/proxy.log"
}
aws() {
  in_net env -i PATH="$PATH" HOME="$CLUSTER" AWS_DEFAULT_REGION=eu-west-1 AWS_PAGER= "$AWS_CLI" "$@" --output json \
    --no-sign-request --endpoint-url http://127.0.0.1:8001/apis/eks.podcred.io/v1
}
