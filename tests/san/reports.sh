#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The last program of a run under sanitizers: every report that any process left in $SAN_REPORTS,
# whatever became of its exit status and its stderr, is a failed check. Before that, planted
# defects must have been reported, or a clean directory would mean nothing.
# usage: SAN_REPORTS=DIR CONTROL=PROGRAM reports.sh DEFECT...
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

mapfile -t reports < <(find "$SAN_REPORTS" -type f -size +0 | sort)
for report in "${reports[@]}"; do
  tap_result 'not ok' "sanitizer report: $(grep -m 1 -hE 'ERROR|WARNING|runtime error' "$report")"
  grep -vE '^=+$|^$' "$report" | head -40 | sed 's/^/#   /'
done
same 'no process left a sanitizer report' 0 ${#reports[@]}

control_reports() {
  local file
  file=$SAN_REPORTS/$(date +%s%N)
  # In the background, with stderr closed: as the agent runs.
  ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$file UBSAN_OPTIONS=$UBSAN_OPTIONS:log_path=$file \
    TSAN_OPTIONS=$TSAN_OPTIONS:log_path=$file "$CONTROL" "$1" >/dev/null 2>&- &
  wait $!
  grep -qsE 'ERROR|WARNING|runtime error' "$file".* && rm -f "$file".*
}
for defect in $SAN_CONTROLS; do
  check "a planted defect ($defect) of a process of nobody in the background is reported" \
    control_reports "$defect"
done
tap_done
