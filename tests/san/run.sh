#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tests with a build made by SANITIZE=...: reports go to files, as many processes of the tests have
# their stderr in logs that nobody reads, or have become nobody. The files are checked at the end.
# usage: O=BUILD SAN_CONTROLS="DEFECT..." tests/san/run.sh PROGRAM...
set -u
cd "$(dirname "$0")/../.." || exit 1

SAN_REPORTS=$(mktemp -d)
trap 'rm -rf "$SAN_REPORTS"' EXIT
trap 'exit 130' INT TERM
chmod 1777 "$SAN_REPORTS" # the agent writes as nobody
log=log_path=$SAN_REPORTS/report
export ASAN_OPTIONS=$log:detect_leaks=1:strict_string_checks=1:check_initialization_order=1
export UBSAN_OPTIONS=$log:print_stacktrace=1
export TSAN_OPTIONS=$log:second_deadlock_stack=1:history_size=4
export SAN_REPORTS SAN_CONTROLS O
export CONTROL=$O/tests/san-control
tests/run.sh "$@" --then tests/san/reports.sh
