#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests of BPF logic. They are one program that holds all of podcred's, and the verifier of Linux
# 5.10 does not follow it to its end.
cd "$(dirname "$0")/../.." || exit 1
output=$(build/bpftest/test_logic 2>/dev/null)
status=$?
if [[ $output == *'Bail out! cannot load'* && $(uname -r) == 5.10.* ]]; then
  printf 'ok 1 - BPF logic # SKIP too large for this verifier\n1..1\n'
  exit 0
fi
printf '%s\n' "$output"
exit $status
