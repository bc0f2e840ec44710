#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the documentation says, against what the program says: commands, options, reasons, links.
# Needs build/podcred and nothing else, not even root.
set -u
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
cd "$(dirname "$0")/../.." || exit 1
PODCRED=${PODCRED:-${O:-build}/podcred}
MAN=user/cli/man/podcred.8
COMPLETION=user/cli/completion/podcred.bash
REASONS_H=bpf/api/podcred_reasons.h
# shellcheck source=user/cli/completion/podcred.bash
. "$COMPLETION"

# Each prints one name a line, sorted.

program_commands() {
  "$PODCRED" --help | awk '/^Commands:/ { on = 1; next } !NF { on = 0 } on { print $1 }' | sort
}

program_options() {
  "$PODCRED" "$1" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' | sort
}

man_commands() {
  sed -n 's/^\.Ss //p' "$MAN" | tr -d ' ' | tr ',' '\n' | sort
}

# A section may be about several commands: ".Ss status , pods".
man_options() {
  awk -v command="$1" '
    /^\.S[hs] / {
      on = 0
      n = split($0, word, /[ ,]+/)
      for (i = 2; $1 == ".Ss" && i <= n; i++) on = on || word[i] == command
    }
    on && /^\.It Fl Fl / { print $4 }' "$MAN" | sort
}

# complete WORD... ; what bash would offer for the last one
complete_words() {
  COMP_WORDS=(podcred "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _podcred
  [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
}

completion_commands() {
  complete_words '' | grep -v '^--' | grep -vx help | sort
}

completion_options() {
  complete_words "$1" -- | sed 's/^--//' | grep -vx help | sort
}

header_reasons() {
  sed -n 's/^[[:space:]]*X(\([0-9]*\), \([a-z_]*\), [a-z]*, \([A-Z0-9]*\),.*/\1 \2 \3/p' "$REASONS_H" | sort
}

# The first table only: the second one is about the agent.
docs_reasons() {
  sed -n 's/^| \([0-9]*\) | \([a-z_]*\) | \([A-Z]*\).*/\1 \2 \3/p' docs/reasons.md | sed 's/ $/ 0/' | sort
}

markdown_files() {
  find . \( -name .git -o -name node_modules -o -name "${O:-build}" \) -prune -o -name '*.md' -print |
    sed 's|^\./||' | sort
}

# "FILE TARGET" of each relative link, anchors included.
links() {
  local file
  while read -r file; do
    grep -o '\](\([^)]*\))' "$file" | sed 's/^](//; s/)$//' |
      grep -vE '^(https?:|mailto:)' | sed "s|^|$file |"
  done < <(markdown_files)
}

# GitHub's name for a heading.
anchors() {
  sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

broken_links() {
  local file target path anchor
  while read -r file target; do
    path=${target%%#*}
    anchor=
    case $target in *'#'*) anchor=${target#*#} ;; esac
    if [ -n "$path" ]; then path=$(dirname "$file")/$path; else path=$file; fi
    if [ ! -e "$path" ] || { [ -n "$anchor" ] && ! anchors "$path" | grep -qxF -- "$anchor"; }; then
      printf '%s: %s\n' "$file" "$target"
    fi
  done < <(links)
}

[ -x "$PODCRED" ] || {
  echo "$PODCRED is not there; run make first" >&2
  exit 1
}
check 'podcred --help lists commands' test "$(program_commands | wc -l)" -gt 5
same 'podcred.8 has every command and no other' "$(program_commands)" "$(man_commands)"
same 'the completion has every command and no other' "$(program_commands)" "$(completion_commands)"
while read -r command; do
  same "podcred.8 has the options of $command" "$(program_options "$command")" "$(man_options "$command")"
  same "the completion has the options of $command" "$(program_options "$command")" \
    "$(completion_options "$command")"
done < <(program_commands)
same 'exit status 2 for an unknown option' 2 "$("$PODCRED" status --nonsense 2>/dev/null || echo $?)"

check 'podcred_reasons.h has reasons' test "$(header_reasons | wc -l)" -gt 10
same 'docs/reasons.md has every reason, its number and errno, and no other' \
  "$(header_reasons)" "$(docs_reasons)"

check 'README names make demo' grep -q 'make demo' README.md
check 'README names make test' grep -q 'make test' README.md
check 'README can be read in ten minutes: under 1,500 words' test "$(wc -w <README.md)" -lt 1500
check 'there are links to check' test "$(links | wc -l)" -gt 10
same 'every relative link leads somewhere' '' "$(broken_links)"

# ---- what is open: each row of the table, in the words of every page that says what is not stopped ----
open_rows() { sed -n '/^## Open/,/^## Not in/s/^- \(.*\): .*/\1/p' docs/bypass.md | sed 's/: .*//'; }
# The phrase by which a page speaks of a row; a row without one here is to be put in those pages first.
phrase_of() {
  case $1 in
  *PACKET_QDISC_BYPASS*) echo PACKET_QDISC_BYPASS ;;
  AF_XDP*) echo AF_XDP ;;
  'forged source'*) echo 'forged source' ;;
  'host process'*) echo 'programs on the node itself' ;;
  'the agent itself') echo 'the agent itself' ;;
  *) echo "no phrase for \"$1\" in tests/e2e/05-docs.sh" ;;
  esac
}
# A page as one line without markup, of what it says about that.
words() { sed -n "$2" "$1" | sed 's/^\.It$//; s/^\.[A-Z][a-z] //; s/\*\*//g' | tr -s '\n ' ' '; }
readme() { words README.md '/^## What it does not stop/,/^## What it needs/p'; }
limits() { words docs/limits.md '/^## What still gets past/,/^## Neighbours/p'; }
security() { words SECURITY.md '/^## What is not/,/^## Advice/p'; }
# shellcheck disable=SC2016 # the last line, to sed
manual() { words "$MAN" '/^\.Sh SECURITY CONSIDERATIONS/,$p'; }
table() { words docs/bypass.md '/^## Open/,/^## Not in/p'; }
check 'docs/bypass.md has open rows' test "$(open_rows | wc -l)" -gt 3
while read -r row; do
  phrase=$(phrase_of "$row")
  for page in limits security manual; do
    check "$page: says that this is open: $row" grep -qiF -- "$phrase" <("$page")
  done
done < <(open_rows)
for page in readme limits security manual; do
  check "$page: says that an SR-IOV function is open" grep -qF 'SR-IOV function' <("$page")
done
for page in readme limits security manual table; do
  check "$page: who may open packet sockets on the node's network reads the keys of all" \
    grep -qiE "hostNetwork pod .*CAP_NET_RAW.*(every pod.s keys|keys of every pod)" <("$page")
  check_not "$page: does not claim that raw and packet sockets pass" \
    grep -qiE 'as if (podcred|\.Nm) were not there' <("$page")
done

# Conformance: every check that the page names is there.
# shellcheck disable=SC2016 # no expansion is meant
references() { grep -oE '`[a-z0-9/_-]+\.[a-z]+: [^`]+`' docs/conformance.md | tr -d '\`' | sort -u; }
while IFS= read -r reference; do
  check "docs/conformance.md: there is a check \"${reference#*: }\" in ${reference%%: *}" \
    grep -qF -e "${reference#*: }" "tests/${reference%%: *}"
done < <(references)
# shellcheck disable=SC2016 # nor here
check 'docs/conformance.md names checks in each row' test "$(grep -cE '^\|.*`[a-z0-9/_-]+\.[a-z]+: ' docs/conformance.md)" = \
  "$(grep -E '^\|' docs/conformance.md | grep -cvE '^\| (---|fault \||\| what)')"

if command -v mandoc >/dev/null; then
  # the pages that it refers to need not be installed here
  same 'mandoc has nothing to say about podcred.8' '' \
    "$(mandoc -Tlint "$MAN" 2>&1 | grep -vE 'outdated mandoc.db|referenced manual not found')"
else
  skip 'mandoc has nothing to say about podcred.8' 'mandoc is not installed'
fi
tap_done
