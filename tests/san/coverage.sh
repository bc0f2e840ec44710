#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run the tests with a build that counts, then print one line for each module of user/ and write an
# HTML report to coverage/ beside the build. The tests' own verdict is printed, but is not the point.
# usage: O=BUILD tests/san/coverage.sh 'UNIT-PROGRAMS' 'END-TO-END-TESTS'
set -u
cd "$(dirname "$0")/../.." || exit 1

raw=$(mktemp -d)
trap 'rm -rf "$raw"' EXIT
trap 'exit 130' INT TERM
chmod 1777 "$raw" # the agent writes as nobody
html=$(dirname "$O")/coverage
data=$O/all.profdata

export LLVM_PROFILE_FILE=$raw/%p-%m%c.profraw CMOCKA_MESSAGE_OUTPUT=TAP
# shellcheck disable=SC2086 # lists
tests/run.sh $1 $2
find "$raw" -name '*.profraw' -size +0 >"$raw/list"
# A process that was killed while its file was made leaves one that cannot be read: a warning.
llvm-profdata-14 merge --failure-mode=all -sparse -f "$raw/list" -o "$data" 2>"$raw/merge.log" || {
  tail -3 "$raw/merge.log" >&2
  exit 1
}
objects=()
for program in $1; do objects+=(-object "$program"); done
args=("$O/podcred" "${objects[@]}" -instr-profile "$data")
rm -rf "$html"
llvm-cov-14 show "${args[@]}" -format html -output-dir "$html" -show-branches=count user/ 2>/dev/null
llvm-cov-14 export "${args[@]}" -summary-only user/ 2>/dev/null >"$O/coverage.json"
python3 - "$O/coverage.json" <<'PY'
import collections, json, sys

modules = collections.defaultdict(lambda: [0, 0, 0, 0])
for file in json.load(open(sys.argv[1]))["data"][0]["files"]:
    if "/gen/" in file["filename"]:
        continue  # the skeleton, which bpftool wrote
    module = file["filename"].split("/user/")[-1].removeprefix("user/").split("/")[0]
    for name in module, "total":
        for i, kind in enumerate(("lines", "branches")):
            modules[name][2 * i] += file["summary"][kind]["covered"]
            modules[name][2 * i + 1] += file["summary"][kind]["count"]
total = modules.pop("total")
print("%-10s %14s %7s %16s" % ("module", "lines", "", "branches"))
for name, (lines, of_lines, branches, of_branches) in [*sorted(modules.items()), ("total", total)]:
    print("%-10s %6d of %5d %5.1f %% %6d of %5d %5.1f %%" % (
        name, lines, of_lines, 100 * lines / max(of_lines, 1),
        branches, of_branches, 100 * branches / max(of_branches, 1)))
PY
echo "report: $html/index.html"
