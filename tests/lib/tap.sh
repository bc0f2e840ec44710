#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Test results as TAP. Sourced by the end-to-end tests.
#
#   check "what must hold" CMD...     ok when CMD succeeds; its output is shown when it does not
#   check_not "what must not" CMD...  ok when CMD fails
#   same "what" WANT GOT              ok when equal
#   skip "what" "why"                 counted and shown; tests/run.sh refuses it for tests that
#                                     must not skip
#   tap_done                          last line of a test; its exit status is the result

TAP_N=0
TAP_FAILED=0

tap_result() {
  TAP_N=$((TAP_N + 1))
  [ "$1" = ok ] || TAP_FAILED=$((TAP_FAILED + 1))
  printf '%s %d - %s\n' "$1" "$TAP_N" "$2"
}

# Of an input without a value, as that of a program that has failed, jq 1.6 -e says that all is well.
jq() {
  local said status
  case ${1:-} in
  -e* | -[a-z]*e*) ;;
  *)
    command jq "$@"
    return
    ;;
  esac
  said=$(command jq "$@")
  status=$?
  printf '%s\n' "$said"
  [ "$status" -eq 0 ] && [ -n "$said" ]
}

check() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then
    tap_result ok "$what"
  else
    tap_result 'not ok' "$what"
    printf '#   command: %s\n' "$*"
    printf '%s\n' "$output" | head -40 | sed 's/^/#   /'
    return 1
  fi
}

check_not() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then
    tap_result 'not ok' "$what"
    printf '#   succeeded: %s\n' "$*"
    printf '%s\n' "$output" | head -40 | sed 's/^/#   /'
    return 1
  else
    tap_result ok "$what"
  fi
}

same() {
  if [ "$2" = "$3" ]; then
    tap_result ok "$1"
  else
    tap_result 'not ok' "$1"
    printf 'want: %s\ngot:  %s\n' "$2" "$3" | sed 's/^/#   /'
    return 1
  fi
}

skip() {
  tap_result ok "$1 # SKIP $2"
}

tap_done() {
  printf '1..%d\n' "$TAP_N"
  [ "$TAP_FAILED" -eq 0 ] && [ "$TAP_N" -gt 0 ]
}
