#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All faults of an API server (faults.py), which a real kubectl has found to be one, and which answers as a real
# API server does (real.py) where one was built.
# usage: tests/kube/faults.sh [--short] [--only TEXT]
set -u
cd "$(dirname "$0")/../.." || exit 1

KUBECTL=$(tests/kube/kubectl.sh) || KUBECTL=
export KUBECTL
status=0
python3 tests/kube/faults.py "${O:-build}/tests/follow" "$@" || status=1
[ $# -gt 0 ] || python3 tests/kube/real.py "${O:-build}/tests/follow" "${O:-build}/tests/tokens" || status=1
exit $status
