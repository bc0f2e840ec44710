#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tools that read the manifests, in DIRECTORY/bin: helm and kustomize built from their own source with Debian's Go
# or a newer one, promtool out of Debian's package prometheus (without its server), kubernetes-validate from PyPI, with
# the API's schemas in it. What is there already is kept. The versions are those that Go 1.19 builds.
# "validate" is a Python that has kubernetes_validate.
# usage: tests/manifests/tools.sh DIRECTORY TOOL...   (helm, kustomize, promtool, validate)
set -euo pipefail

HELM=v3.12.3
KUSTOMIZE=v5.0.3
VALIDATE=1.37.0

[ $# -ge 2 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
mkdir -p "$1/bin"
dir=$(cd "$1" && pwd)
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A compiler of its own caches, so that nothing is left outside of DIRECTORY.
go_install() {
  GOBIN=$work GOPATH=$dir/go GOCACHE=$dir/go-build GOFLAGS=-modcacherw nice -n 5 go install "$1"
}

get_helm() { go_install "helm.sh/helm/v3/cmd/helm@$HELM" && mv "$work/helm" "$dir/bin/"; }
get_kustomize() { go_install "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE" && mv "$work/kustomize" "$dir/bin/"; }

get_promtool() {
  # apt downloads as a user of its own where it can
  chmod 0755 "$work"
  (cd "$work" && apt-get download -qq prometheus 2>/dev/null && dpkg -x prometheus_*.deb root)
  mv "$work/root/usr/bin/promtool" "$dir/bin/"
}

get_validate() {
  python3 -m venv "$dir/venv"
  "$dir/venv/bin/pip" install --quiet "kubernetes-validate==$VALIDATE"
  printf '#!/bin/sh\nexec "%s/venv/bin/python3" "$@"\n' "$dir" >"$work/validate"
  chmod +x "$work/validate"
  mv "$work/validate" "$dir/bin/"
}

for tool; do
  [ -x "$dir/bin/$tool" ] && continue
  echo "  GET     $tool" >&2
  "get_$tool" >"$work/log" 2>&1 || { echo "tools.sh: cannot get $tool:" >&2; tail -20 "$work/log" >&2; exit 1; }
done
