#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The admission webhook with a real API server (webhook.py).
set -u
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/kube/webhook.py "${O:-build}/podcred"
