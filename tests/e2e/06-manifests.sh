#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What deploy/ ships, against the program: arguments, configuration, rights, metrics. Needs build/podcred, python3-yaml
# and nothing else, not even root. "make test-manifests" has what needs kustomize, helm and promtool.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
cd "$(dirname "$0")/../.." || exit 1
PODCRED=${PODCRED:-${O:-build}/podcred}
BASE=deploy/kubernetes/base
CHART=deploy/helm/podcred
RULES=deploy/monitoring/podcred.rules.yaml
DASHBOARD=deploy/monitoring/podcred.dashboard.json

manifests() { tests/lib/manifests.py "$@"; }
contexts() { manifests containers "$@" | sed -n 's/^context //p'; }
arguments() { manifests containers "$@" | sed -n 's/^arg //p'; }

# The first argument of a container is the command; "install" of "host install" is no option and no command.
unknown_options() {
  local container arg command=
  while read -r container arg; do
    arg=${arg%%=*}
    if [ -z "$command" ] || [ "${command%% *}" != "$container" ]; then
      command="$container $arg"
      "$PODCRED" "$arg" --help >/dev/null 2>&1 || echo "$container: podcred has no command $arg"
    elif [[ $arg == --* ]]; then
      "$PODCRED" "${command#* }" --help | grep -qE "^  $arg( |\$)" || echo "$container: podcred ${command#* } has no $arg"
    fi
  done < <(arguments "$1")
}

# "NAME USER CAPABILITIES" of the table in deploy/README.md.
# shellcheck disable=SC2016 # backticks, to sed
documented_contexts() {
  sed -n '/^| container | user | capabilities/,/^$/p' deploy/README.md | sed '1,2d' |
    sed -n 's/^| \(init: \)\?`\([a-z]*\)[^`]*` | \([0-9]*\) | \([^|]*\) |.*/\2 \3 \4/p' | tr -d ,
}

# Metrics that no line of the program names.
unknown_metrics() {
  local name
  for name in $(manifests metrics "$@"); do
    grep -rqE "\"${name%_bucket}[\"{ ]" user --include='*.c' || echo "$name"
  done
}

known_reasons() {
  sed -n 's/^[[:space:]]*X(\([0-9]*\), \([a-z_]*\),.*/\2/p' bpf/api/podcred_reasons.h
  sed -n '/^## Reasons of the agent/,$s/^| \([a-z_]*\(, [a-z_]*\)*\) | .*/\1/p' docs/reasons.md | tr -d ' ' | tr , '\n'
}

[ -x "$PODCRED" ] || {
  echo "$PODCRED is not there; run make first" >&2
  exit 1
}

WORKLOADS=("$BASE/daemonset.yaml" deploy/kubernetes/uninstall/daemonset.yaml
  deploy/kubernetes/components/control/deployment.yaml deploy/kubernetes/components/broker/deployment.yaml)
check 'the DaemonSet has five containers' test "$(contexts "$BASE/daemonset.yaml" | wc -l)" -eq 5
for file in "${WORKLOADS[@]}"; do
  same "$file: every option is one of the program" '' "$(unknown_options "$file")"
done
same 'users and capabilities are those of the table in deploy/README.md' "$(documented_contexts | sort)" \
  "$(contexts "$BASE/daemonset.yaml" | sort)"
same 'no container is privileged' '' "$(grep -rn 'privileged: true' deploy/kubernetes deploy/helm)"

check 'podcred takes the configuration and the associations of the base' \
  "$PODCRED" check-config $BASE/config.yaml --associations $BASE/associations.yaml
check 'and the configuration of the broker' "$PODCRED" check-config deploy/kubernetes/components/broker/broker.yaml
check 'and the associations of the example' \
  "$PODCRED" check-config --associations deploy/kubernetes/example/associations.yaml
version=$("$PODCRED" version | sed -n '1s/^podcred \([^ ]*\).*/\1/p')
same 'the manifests ask for the image of this version' "localhost/podcred:$version" \
  "$(sed -n 's/^ *image: \(localhost.*\)/\1/p' "${WORKLOADS[@]}" | sort -u)"
same 'and so does the chart' "$version $version" "$(sed -n 's/^\(version\|appVersion\): //p' $CHART/Chart.yaml | xargs)"
check 'the schema of its values is JSON' jq -e .properties $CHART/values.schema.json

for file in $RULES $DASHBOARD; do
  check "$file uses metrics" test "$(manifests metrics "$file" | wc -l)" -gt 5
  same "$file: every metric is one of the program" '' "$(unknown_metrics "$file")"
  check "$file names reasons" test "$(manifests reasons "$file" | wc -l)" -gt 5
  same "$file: every reason is one of the program" '' "$(manifests reasons "$file" | grep -vxFf <(known_reasons))"
done
tap_done
