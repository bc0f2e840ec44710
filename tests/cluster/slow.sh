#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# helm's manifests with the time limits of an emulated node, as podcred/kustomization.yaml has them: helm --post-renderer.
# From stdin to stdout.
set -eu
# shellcheck source=tests/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d "$CLUSTER/slow-XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r "$CLUSTER_HERE/podcred/probes" "$work/"
cat >"$work/all.yaml"
printf 'resources: [all.yaml]\ncomponents: [probes]\n' >"$work/kustomization.yaml"
"$CLUSTER_BIN/kubectl" kustomize "$work"
