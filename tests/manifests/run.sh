#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What deploy/ ships, read by the tools that people use: kustomize, helm, the schemas of the Kubernetes API, promtool.
# TOOLS is the folder with them (tests/manifests/tools.sh).
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
cd "$(dirname "$0")/../.." || exit 1
PODCRED=${PODCRED:-${O:-build}/podcred}
CHART=deploy/helm/podcred
MONITORING=deploy/monitoring
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Chart and base are for Kubernetes from 1.30 on; the component is for those before.
NEWEST=1.37
OLDEST=1.30
OLD=1.25

manifests() { tests/lib/manifests.py "$@"; }
strict() { "$TOOLS/validate" tests/lib/manifests.py schema "$@"; }
kustomize() { "$TOOLS/kustomize" build "$@"; }
# Helm says on stderr which files of the chart are symbolic links.
render() { "$TOOLS/helm" template podcred "$CHART" -n podcred --kube-version "$@" 2>"$WORK/err"; }

# An overlay made here, of a folder below deploy/kubernetes and components.
overlay() {
  local dir=deploy/kubernetes/.test-$$ base=$1 component
  shift
  mkdir "$dir"
  {
    printf 'kind: Kustomization\nresources: [../%s]\ncomponents:\n' "$base"
    for component; do echo "- ../components/$component"; done
  } >"$dir/kustomization.yaml"
  kustomize "$dir"
  rm -r "$dir"
}

for tool in helm kustomize promtool validate; do
  [ -x "${TOOLS:-}/$tool" ] || {
    echo "$0: no $tool in TOOLS (${TOOLS:-not set}); run make test-manifests" >&2
    exit 1
  }
done

[ -x "$PODCRED" ] || {
  echo "$0: $PODCRED is not there; run make first" >&2
  exit 1
}

# ---- kustomize ----
for dir in deploy/kubernetes/base deploy/kubernetes/overlays/* deploy/kubernetes/example deploy/kubernetes/uninstall; do
  [ -f "$dir/kustomization.yaml" ] || continue
  name=${dir#deploy/kubernetes/}
  check "$name: kustomize builds it" kustomize "$dir" -o "$WORK/${name//\//-}.yaml"
  for version in $OLDEST $NEWEST; do
    same "$name: strictly valid in Kubernetes $version" '' "$(strict "$version" "$WORK/${name//\//-}.yaml")"
  done
done
check 'the strict schemas find a key that the API does not have' test -n \
  "$(sed 's/hostNetwork:/hostNetworks:/' "$WORK/base.yaml" >"$WORK/bad.yaml"; strict $NEWEST "$WORK/bad.yaml")"
overlay base before-1.30 >"$WORK/old.yaml"
same 'with the component for it, strictly valid in Kubernetes '$OLD '' "$(strict $OLD "$WORK/old.yaml")"
check 'and without it not' test -n "$(strict $OLD "$WORK/base.yaml")"
overlay base ipv6 >"$WORK/ipv6.yaml"
overlay base cri-o >"$WORK/cri-o.yaml"
same 'with the component for CRI-O too' '' "$(strict $NEWEST "$WORK/cri-o.yaml")"
for file in base uninstall ipv6 overlays-bottlerocket; do
  same "$file: no variable is used before it is defined" '' "$(manifests unresolved "$WORK/$file.yaml")"
done

overlay base objects migration token-request token-review >"$WORK/objects.yaml"
same 'with associations as objects and annotations too' '' "$(strict $NEWEST "$WORK/objects.yaml")"
overlay base objects objects-before-1.25 >"$WORK/objects-old.yaml"
check 'the schema of associations has expressions' grep x-kubernetes-validations: "$WORK/objects.yaml"
same 'for an older API server they are taken out' '' "$(grep x-kubernetes-validations: "$WORK/objects-old.yaml")"

overlay base objects control >"$WORK/control.yaml"
overlay base objects control broker ipv6 >"$WORK/broker.yaml"
overlay base objects control broker sealing-keys >"$WORK/sealed.yaml"
overlay base objects control stock-webhook >"$WORK/stock.yaml"
overlay base objects control broker issuer >"$WORK/issuer.yaml"
for name in control broker sealed stock issuer; do
  for version in $OLDEST $NEWEST; do
    same "with $name too, strictly valid in Kubernetes $version" '' "$(strict "$version" "$WORK/$name.yaml")"
  done
  same "$name: no variable is used before it is defined" '' "$(manifests unresolved "$WORK/$name.yaml")"
done

overlay base prometheus >"$WORK/prometheus.yaml"
same 'prometheus: no variable is used before it is defined' '' "$(manifests unresolved "$WORK/prometheus.yaml")"

# ---- helm ----
check 'helm lint' "$TOOLS/helm" lint --strict "$CHART"
render $NEWEST >"$WORK/helm.yaml"
check 'the chart renders' test -s "$WORK/helm.yaml"
same 'with its defaults it makes the objects of the base' '' "$(manifests compare "$WORK/base.yaml" "$WORK/helm.yaml")"
check 'a difference would be seen' test -n "$(
  render $NEWEST --set agent.port=7000 >"$WORK/other.yaml"; manifests compare "$WORK/base.yaml" "$WORK/other.yaml")"
render 1.29 >"$WORK/helm.yaml"
same 'for Kubernetes 1.29, those with the component' '' "$(manifests compare "$WORK/old.yaml" "$WORK/helm.yaml")"
render $NEWEST --set agent.ipFamily=IPv6 >"$WORK/helm.yaml"
same 'for IPv6 too' '' "$(manifests compare "$WORK/ipv6.yaml" "$WORK/helm.yaml")"
render $NEWEST --set monitoring.podMonitor=true >"$WORK/helm.yaml"
same 'for Prometheus too, with a PodMonitor' PodMonitor/podcred \
  "$(manifests compare "$WORK/prometheus.yaml" "$WORK/helm.yaml" | sed 's/:.*//')"
render $NEWEST --set config.credentials.objects=true,config.credentials.migration.irsa=true,config.credentials.tokens.verify=review \
  >"$WORK/helm.yaml"
same 'for objects and annotations too, with what they need in the configuration' ConfigMap/podcred-config \
  "$(manifests compare "$WORK/objects.yaml" "$WORK/helm.yaml" | sed 's/[.:].*//' | sort -u)"
render $NEWEST --set-json 'associations=[{"namespace":"shop","serviceAccount":"web","roleArn":"arn:aws:iam::111122223333:role/web","webIdentity":{}}]' \
  >"$WORK/helm.yaml"
same 'an association with a web identity brings the right to make tokens' podcred-token-request \
  "$(manifests compare "$WORK/base.yaml" "$WORK/helm.yaml" | sed -n 's/^ClusterRole\/\([a-z-]*\).*/\1/p')"
CLUSTER=cluster.name=demo,cluster.arn=arn:aws:eks:eu-west-1:111122223333:cluster/demo
render $NEWEST --set control.enabled=true,$CLUSTER >"$WORK/helm.yaml"
same 'for the control plane too, with what the nodes have to know' ConfigMap/podcred-config \
  "$(manifests compare "$WORK/control.yaml" "$WORK/helm.yaml" | sed 's/[.:].*//' | sort -u)"
manifests data config.yaml "$WORK/helm.yaml" >"$WORK/config.yaml"
check 'and podcred takes it' "$PODCRED" check-config "$WORK/config.yaml"
render $NEWEST --set control.enabled=true,config.webhook.stockConfigMap=kube-system/podcred-identities,$CLUSTER >"$WORK/helm.yaml"
same "and with EKS's webhook beside it" ConfigMap/podcred-config "$(manifests compare "$WORK/stock.yaml" "$WORK/helm.yaml" | sed 's/[.:].*//' | sort -u)"
render $NEWEST --set mode=broker,agent.ipFamily=IPv6,$CLUSTER >"$WORK/helm.yaml"
same 'for the broker too, with what both have to know' "$(printf 'ConfigMap/podcred-broker-config\nConfigMap/podcred-config')" \
  "$(manifests compare "$WORK/broker.yaml" "$WORK/helm.yaml" | sed 's/[.:].*//' | sort -u)"
for key in config.yaml broker.yaml; do
  manifests data $key "$WORK/helm.yaml" >"$WORK/$key"
  check "and podcred takes its $key" "$PODCRED" check-config "$WORK/$key"
done
render $NEWEST --set mode=broker,existingSealingKeysSecret=podcred-sealing-keys,$CLUSTER >"$WORK/helm.yaml"
same 'and for callers that sign' "$(printf 'ConfigMap/podcred-broker-config\nConfigMap/podcred-config')" \
  "$(manifests compare "$WORK/sealed.yaml" "$WORK/helm.yaml" | sed 's/[.:].*//' | sort -u)"
ISSUER=broker.config.credentials.source=issuer,broker.config.broker.issuer.url=https://oidc.example.com/demo
ISSUER=$ISSUER,broker.config.broker.issuer.keys=/etc/podcred-issuer/keys.pem,broker.existingIssuerKeysSecret=podcred-issuer-keys
render $NEWEST --set mode=broker,$ISSUER,$CLUSTER >"$WORK/helm.yaml"
same 'and with the keys of an issuer' "$(printf 'ConfigMap/podcred-broker-config\nConfigMap/podcred-config')" \
  "$(manifests compare "$WORK/issuer.yaml" "$WORK/helm.yaml" | sed 's/[.:].*//' | sort -u)"
manifests data broker.yaml "$WORK/helm.yaml" >"$WORK/broker-config.yaml"
check 'whose configuration podcred takes' "$PODCRED" check-config "$WORK/broker-config.yaml"
render $NEWEST --set mode=eks,cluster.name=demo >"$WORK/helm.yaml"
same 'with EKS, its own service, and the right to make tokens for it' eksAuth,podcred-token-request \
  "$(manifests data config.yaml "$WORK/helm.yaml" | sed -n 's/^ *source: //p'),$(sed -n 's/^  name: \(podcred-token-request\)$/\1/p' "$WORK/helm.yaml" | sort -u)"
"$TOOLS/helm" template podcred "$CHART" -n elsewhere --set mode=broker,$CLUSTER >"$WORK/helm.yaml" 2>"$WORK/err"
same 'in another namespace nothing refers to the one of the manifests' '' \
  "$(grep -nE 'namespace: podcred$|podcred\.svc|, podcred\]|podcred/podcred' "$WORK/helm.yaml")"
render $NEWEST --set containerRuntime=cri-o >"$WORK/helm.yaml"
same 'for CRI-O too' '' "$(manifests compare "$WORK/cri-o.yaml" "$WORK/helm.yaml")"
render $NEWEST --set seLinuxType=super_t --set hostInstall=false --set-json \
  'affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"eks.amazonaws.com/compute-type","operator":"NotIn","values":["fargate"]}]}]}}}' \
  >"$WORK/helm.yaml"
same 'with the values for Bottlerocket, those of its overlay' '' \
  "$(manifests compare "$WORK/overlays-bottlerocket.yaml" "$WORK/helm.yaml")"
render $NEWEST --set hostInstall=false --set hostCgroupPath=/host/sys/fs/cgroup >"$WORK/helm.yaml"
same 'with the value for kind, those of its overlay' '' "$(manifests compare "$WORK/overlays-kind.yaml" "$WORK/helm.yaml")"
render $NEWEST -f tests/manifests/values.yaml >"$WORK/helm.yaml"
same 'every value set: no variable is used before it is defined' '' "$(manifests unresolved "$WORK/helm.yaml")"
same 'every value set: strictly valid, but for what the API server does not know itself' \
  "$(printf 'PodMonitor/podcred: no schema in %s\nPrometheusRule/podcred: no schema in %s' $NEWEST $NEWEST)" \
  "$(strict $NEWEST "$WORK/helm.yaml" | sort)"
manifests data config.yaml "$WORK/helm.yaml" >"$WORK/config.yaml"
manifests data associations.yaml "$WORK/helm.yaml" >"$WORK/associations.yaml"
check 'and files that podcred takes' "$PODCRED" check-config "$WORK/config.yaml" --associations "$WORK/associations.yaml"

# refused VALUE TEXT: what the schema says about it
refused() {
  render $NEWEST --set "$1" >/dev/null
  check "refused by the schema: $1" grep -F "$2" "$WORK/err"
}
refused agent.port=0 'agent.port: Must be greater than or equal to 1'
refused mode=broker 'Must validate at least one schema'
refused mode=both 'mode must be one of the following'
refused cluster.arn=demo 'cluster.arn: Does not match pattern'
refused control.replicas=0 'control.replicas: Must be greater than or equal to 1'
refused broker.replica=1 'replica'
refused agent.prot=7777 'Additional property prot is not allowed'
refused image.repository=podcred 'image.repository: Does not match pattern'
refused config.agent=10.0.0.1:7777 'config: Must not validate the schema'
refused config.metrics=off 'config: Must not validate the schema'
refused config.mode=off 'config.mode must be one of the following'
refused config.credentials.source=iam 'config.credentials.source must be one of the following'
refused config.credentials.objects=yes 'config.credentials.objects: Invalid type'
refused maxSurge=0 'maxSurge'
refused 'associations[0].namespace=shop' 'serviceAccount is required'
refused resources.load.requests.cpu=null 'cpu is required'

# ---- Prometheus ----
check 'promtool: the rules' "$TOOLS/promtool" check rules $MONITORING/podcred.rules.yaml
check 'promtool: when each alert fires' "$TOOLS/promtool" test rules tests/manifests/rules_test.yaml
same 'every alert is tested' "$(sed -n 's/^ *- alert: //p' $MONITORING/podcred.rules.yaml | sort)" \
  "$(grep -o 'alertname="[A-Za-z]*", [a-z]*="[^"]*"' tests/manifests/rules_test.yaml | cut -d'"' -f2 | sort -u)"
manifests rules $MONITORING/podcred.dashboard.json >"$WORK/dashboard.yaml"
check 'promtool: the expressions of the dashboard' "$TOOLS/promtool" check rules "$WORK/dashboard.yaml"

tap_done
