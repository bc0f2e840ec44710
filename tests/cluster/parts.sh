#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All that a test on the cluster needs. Sourced.
# shellcheck source=tests/cluster/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/cluster/control.sh
. "$CLUSTER_HERE/control.sh"
# shellcheck source=tests/cluster/node.sh
. "$CLUSTER_HERE/node.sh"
# shellcheck source=tests/cluster/pods.sh
. "$CLUSTER_HERE/pods.sh"
# shellcheck source=tests/cluster/podcred.sh
. "$CLUSTER_HERE/podcred.sh"
# shellcheck source=tests/lib/tap.sh
. "$CLUSTER_ROOT/tests/lib/tap.sh"
