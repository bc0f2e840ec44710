#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An API server that does not do well, and whether its pods are known all the same: the short ones of
# make test-cluster-faults.
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/kube/faults.py "${O:-build}/tests/follow" --short
