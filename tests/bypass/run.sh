#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The bypass suite: every way to a guarded address that we know, tried without podcred (it must
# work, or the row proves nothing), with connect4 alone, and with podcred (nothing may arrive). And every
# way to lead a redirected connection astray, without what stamps and proves it, and with podcred. And what
# a neighbour on the bridge can do to one, without the way past the bridge, and with podcred.
#
#   run.sh [--markdown FILE] [--hole PROGRAM] [--only PATTERN] [--column COLUMN]...
#
# --hole detaches a program after the load, or several with commas between; the suite then has to fail.
# COLUMN: without, connect4, unproved, bridge, podcred.
set -u
# shellcheck source=tests/bypass/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/bypass/setup.sh
. "$(dirname "$0")/setup.sh"

usage() {
  echo 'usage: run.sh [--markdown FILE] [--hole PROGRAM] [--only PATTERN] [--column COLUMN]...' >&2
  exit 2
}

MARKDOWN='' HOLE='' ONLY='' COLUMNS_WANTED=()
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
  --markdown) MARKDOWN=$2 ;;
  --hole) HOLE=$2 ;;
  --only) ONLY=$2 ;;
  --column) COLUMNS_WANTED+=("$2") ;;
  *) usage ;;
  esac
  shift 2
done
[ -z "$HOLE" ] || COLUMNS_WANTED=(podcred)
[ ${#COLUMNS_WANTED[@]} -gt 0 ] || COLUMNS_WANTED=(without connect4 unproved bridge podcred)

declare -A PLACE SETUP KIND WITHOUT WANT OPEN NEEDS NAME OUTCOME
ROWS=()
while IFS=$'\t' read -r n kind place setup without want open needs name; do
  [[ -z $ONLY || $name == *$ONLY* ]] || continue
  ROWS+=("$n")
  PLACE[$n]=$place SETUP[$n]=$setup KIND[$n]=$kind WITHOUT[$n]=$without WANT[$n]=$want
  OPEN[$n]=$open NEEDS[$n]=$needs NAME[$n]=$name
done < <("$BYPASS" list)
[ ${#ROWS[@]} -gt 0 ] || {
  echo "no row is called *$ONLY*" >&2
  exit 2
}

# ---- one column ----

# Rows that begin before the load wait at their gate.
start_older() {
  local n
  for n in "${ROWS[@]}"; do
    [ "${KIND[$n]}" = older ] || continue
    mkfifo "$ENV_TMP/gate$n" || env_fail "no gate"
    bypass_row "${PLACE[$n]}" "$n" "$ENV_TMP/ready$n" "$ENV_TMP/gate$n" >"$ENV_TMP/row$n" 2>&1 &
  done
  for n in "${ROWS[@]}"; do
    [ "${KIND[$n]}" = older ] || continue
    wait_for 10 test -e "$ENV_TMP/ready$n" ||
      env_fail "${NAME[$n]}: not ready: $(cat "$ENV_TMP/row$n")"
  done
}

# The resolver would attach again what it misses.
resolver_down() {
  [ -n "$RESOLVE_PID" ] || return 0
  kill "$RESOLVE_PID"
  wait "$RESOLVE_PID" 2>/dev/null
  RESOLVE_PID=''
}

# Those of interfaces have a link for each. Without a resolver, which would put it back: so rows that make an
# interface of their own find a second hole, and prove nothing of this one.
detach() {
  local link found='' program=podcred_${1#podcred_}
  resolver_down
  for link in "$PIN_DIR/links/$program" "$PIN_DIR/links/$program"_[0-9]*; do
    [ -e "$link" ] || continue
    link_cut "${link##*/}"
    found=1
  done
  [ -n "$found" ] && return
  echo "no program $program is attached; these are: $(cd "$PIN_DIR/links" && echo *)" >&2
  exit 2
}

detach_all_but_connect4() {
  local link
  resolver_down
  for link in "$PIN_DIR"/links/*; do
    case ${link##*/} in
    podcred_conn4 | podcred_sockops | podcred_claim | podcred_getsock | podcred_cg*) ;;
    *) link_cut "${link##*/}" ;;
    esac
  done
}

# Without the way past the bridge podcred is as it was on a bridge that pods share.
detach_path() {
  local ifindex
  detach wayout
  bpftool -j map dump pinned "$PIN_DIR/maps/podcred_paths" | jq -r '.[].key | join(" ")' |
    while read -r ifindex; do
      # shellcheck disable=SC2086 # bytes
      bpftool map delete pinned "$PIN_DIR/maps/podcred_paths" key $ifindex
    done
}

# What a setup says is kept in a file, which goes with the suite. Its last words do not.
exec {LAST_WORDS}>&2
env_fail() {
  printf 'env: %s\n' "$*" >&"$LAST_WORDS"
  exit 1
}

current_setup=-
# The rows of one setup stand together.
change_setup() {
  [ "$1" != "$current_setup" ] || return 0
  [ "$current_setup" = - ] || "undo_$current_setup" >/dev/null || env_fail "undo_$current_setup"
  current_setup=-
  [ "$1" = - ] || "setup_$1" || return
  current_setup=$1
}

run_row() {
  local n=$1 why
  change_setup "${SETUP[$n]}" >"$ENV_TMP/setup" 2>&1
  case $? in
  0) ;;
  77)
    why=$(cat "$ENV_TMP/setup")
    echo "n/a $why"
    return
    ;;
  *) env_fail "setup ${SETUP[$n]}: $(cat "$ENV_TMP/setup")" ;;
  esac
  if [ "${KIND[$n]}" = older ]; then
    : <>"$ENV_TMP/gate$n" # read and write: does not block, should the row be gone
    wait_for 10 test -s "$ENV_TMP/row$n" || echo 'BROKEN it did not end'
    cat "$ENV_TMP/row$n"
  else
    bypass_row "${PLACE[$n]}" "$n" 2>&1
  fi
}

# An emulated machine can miss a row's clock: no answer in time is then asked for once more.
too_slow() {
  [ -n "${WAIT_FACTOR:-}" ] && [ "$1" = podcred ] && [ "${KIND[$2]}" != older ] && [ "$3" = D ] && ! as_wanted "$2" D
}

is_in_column() {
  case $1 in
  podcred) return 0 ;;
  unproved) [ "${KIND[$2]}" = hijacked ] ;;
  bridge) [ "${KIND[$2]}" = neighbour ] ;;
  *) [[ ${KIND[$2]} != hijacked && ${KIND[$2]} != neighbour ]] ;;
  esac
}

run_column() {
  local column=$1 n program outcome
  bypass_up
  BYPASS_COLUMN=$column
  bypass_hijacker
  bypass_neighbour
  start_older
  sleep 0.3 # their last acknowledgements
  [ "$column" = without ] || bypass_load
  [ "$column" != connect4 ] || detach_all_but_connect4
  [ "$column" != unproved ] || { detach_path && detach sockops; } # the path takes only what sockops announced
  [ "$column" != bridge ] || detach_path
  for program in ${HOLE//,/ }; do detach "$program"; done
  [ "$column" != podcred ] || read_features
  bypass_agent
  for n in "${ROWS[@]}"; do
    is_in_column "$column" "$n" || continue
    run_row "$n" >"$ENV_TMP/outcome"
    outcome=$(<"$ENV_TMP/outcome")
    if too_slow "$column" "$n" "$outcome"; then
      run_row "$n" >"$ENV_TMP/outcome"
      outcome=$(<"$ENV_TMP/outcome")
    fi
    OUTCOME[$column,$n]=$outcome
    judge "$column" "$n" "$outcome"
  done
  change_setup -
  env_clean
}

# ---- what must be ----

# What this kernel has and the load was to use. A link that is detached later is not a feature less.
FEATURES=''
read_features() {
  local options=" ${BYPASS_LOAD_OPTIONS:-} " name
  for name in $(in_node "$PODCRED" features --json | jq -r '.[] | select(.present).feature'); do
    [[ $options == *" --without $name "* ]] || FEATURES+=" $name "
  done
}
has_feature() { [[ $FEATURES == *" $1 "* ]]; }

# Whether one of those that the row names is there.
has_needed() {
  local one
  local IFS='|'
  for one in ${NEEDS[$1]}; do [ "$one" != - ] && ! has_feature "$one" || return 0; done
  return 1
}

# WANTED: the errors as this kernel can give them. Not printed: a process for each row is much in an emulator.
wanted_here() {
  WANTED=${WANT[$1]}
  has_feature set-retval || WANTED=${WANTED//EACCES/EPERM}
  has_feature cgroup-egress || WANTED=${WANTED//EPERM/EPERM|D}
}

# is_one_of OUTCOME LIST
is_one_of() {
  local one
  local IFS='|'
  for one in $2; do [ "$1" != "$one" ] || return 0; done
  return 1
}

# without podcred, or what would stop it: as the row says
as_without() { is_one_of "$2" "${WITHOUT[$1]}"; }

# with podcred: what the row wants; never the real address, nor another pod's identity
as_wanted() {
  case $2 in
  BROKEN* | WRONG*) return 1 ;;
  R* | H*) [ "${OPEN[$1]}" != - ] || ! has_needed "$1" ;;
  *)
    case ${WANT[$1]} in
    -) return 0 ;;
    stop) [[ $2 == D || $2 == E* ]] ;;
    *) wanted_here "$1" && is_one_of "$2" "$WANTED" ;;
    esac
    ;;
  esac
}

judge() {
  local column=$1 n=$2 outcome=$3 want
  case $column:$outcome in
  *:n/a*)
    skip "$column: ${NAME[$n]}" "${outcome#n/a }"
    return
    ;;
  connect4:*) return ;; # to compare with
  without:* | unproved:* | bridge:*)
    want=${WITHOUT[$n]}
    as_without "$n" "$outcome"
    ;;
  podcred:*)
    wanted_here "$n"
    want=$WANTED
    [ "$want" != - ] || want='not to arrive'
    as_wanted "$n" "$outcome"
    ;;
  esac || {
    tap_result 'not ok' "$column: ${NAME[$n]}: $outcome"
    note "  want: $want"
    return
  }
  if [ "$column" = podcred ] && [[ $outcome == [RH]* ]] && ! has_needed "$n"; then
    outcome+=" (without ${NEEDS[$n]//|/ or })"
  fi
  tap_result ok "$column: ${NAME[$n]}: $outcome"
}

# reached COLUMN [OUTCOME]: how many
reached() {
  local n count=0
  for n in "${ROWS[@]}"; do [[ ${OUTCOME[$1,$n]:-} != ${2:-R}* ]] || count=$((count + 1)); done
  echo "$count"
}

for column in "${COLUMNS_WANTED[@]}"; do
  run_column "$column"
  note "$column: $(reached "$column") reach the real address, $(reached "$column" H) a hijacker or a neighbour"
done
# shellcheck source=tests/bypass/table.sh
[ -z "$MARKDOWN" ] || . "$(dirname "$0")/table.sh"
tap_done
