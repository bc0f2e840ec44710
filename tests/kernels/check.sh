#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: what its kernel can do, what its verifier says, what the loader says, then the tests.
# tests/kernels/table.sh reads that from the console.
# usage: tests/kernels/check.sh LIMIT [TEST...]     LIMIT: instructions for one program
cd "$(dirname "$0")/../.." || exit 1
export O=$PWD/build WAIT_FACTOR=20 TEST_SECONDS=900 V=1
echo 1 >/proc/sys/kernel/printk # each new network device would be a line between those of the tests

load() {
  # shellcheck source=tests/lib/env.sh
  . tests/lib/env.sh
  env_up >&2
  env_load 2>&1
}

limit=$1
shift
printf 'features %s\n' "$("$O/podcred" features --json | jq -c .)"
"$O/tests/verifier" "$limit" | sed 's/^/verifier /'
printf 'load %s\n' "$(load | tail -1)"
[ $# -eq 0 ] || tests/run.sh "$@"
