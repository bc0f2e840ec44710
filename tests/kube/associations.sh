#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The API of associations as an aggregated API of a real API server (associations.py).
set -u
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/kube/associations.py "${O:-build}/podcred" "$(realpath "${O:-build}")/clients/python"
