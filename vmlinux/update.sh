#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Replace the committed kernel type header with that of a Debian suite.
#
#   vmlinux/update.sh [SUITE]     default: trixie
#
# apt checks the signatures, with a configuration of its own: the machine's sources, lists and
# packages stay as they are. MIRROR is the Debian archive to ask (default: the one that this
# machine's apt knows), KEYRING the keys that must have signed it.
set -eu

suite=${1:-trixie}
package=linux-bpf-dev
file=usr/include/x86_64-linux-gnu/linux/bpf/vmlinux.h
keyring=${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
here=$(cd "$(dirname "$0")" && pwd)
readme=$here/README.md

fail() {
  echo "update.sh: $*" >&2
  exit 1
}

machine_mirror() {
  # shellcheck disable=SC2016 # apt expands it
  apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}

private_apt() {
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/etc/preferences.d"
  : >"$work/state/status"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/etc/sources.list"
  cat >"$work/apt.conf" <<CONF
Dir::State "$work/state";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
Dir::Etc::SourceList "$work/etc/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "$work/etc/preferences.d";
APT::Architectures { "amd64"; };
Acquire::Languages "none";
CONF
  export APT_CONFIG="$work/apt.conf"
  apt-get update -qq
}

sum() {
  sha256sum "$1" | cut -d ' ' -f 1
}

# Leaves the package's header in $header.
fetch() {
  mkdir -p "$work/deb" "$work/tree"
  [ "$(id -u)" -ne 0 ] || chown _apt "$work/deb" # as root, apt downloads as that user
  (cd "$work/deb" && apt-get download -qq "$package:amd64")
  deb=$(echo "$work"/deb/*.deb)
  [ -f "$deb" ] || fail "no $package:amd64 in $suite"
  dpkg-deb -x "$deb" "$work/tree"
  header=$work/tree/$file
  [ -s "$header" ] || fail "no $file in $package:amd64"
}

provenance() {
  echo "Debian package \`$package\` $(dpkg-deb -f "$deb" Version) for amd64, suite $suite."
  printf '\n| file | sha256 |\n| --- | --- |\n'
  # shellcheck disable=SC2016 # backquotes are Markdown
  printf '| the .deb | `%s` |\n| `vmlinux.h`, in the package `%s` | `%s` |\n' \
    "$(sum "$deb")" "$file" "$(sum "$header")"
}

rewrite_readme() {
  provenance >"$work/provenance"
  awk -v block="$work/provenance" '
    /^<!-- provenance: / { print; while ((getline line < block) > 0) print line; skip = 1; seen++ }
    /^<!-- end of provenance -->/ { skip = 0; seen++ }
    !skip { print }
    END { exit seen != 2 }' "$readme" >"$work/README.md" || fail "$readme: markers are missing"
}

mirror=${MIRROR:-$(machine_mirror)}
[ -n "$mirror" ] || fail "apt knows no Debian archive; run apt-get update, or set MIRROR"
[ -r "$keyring" ] || fail "no $keyring; install debian-archive-keyring, or set KEYRING"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$work"

private_apt
fetch
rewrite_readme

# Only now, when all is there, touch the tree.
install -m 644 "$header" "$here/vmlinux.h"
cat "$work/README.md" >"$readme"
cat "$work/provenance"
