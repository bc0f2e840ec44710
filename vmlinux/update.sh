#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Replace the committed kernel type headers with those of a Debian suite.
#
#   vmlinux/update.sh [SUITE]     default: trixie
#
# apt checks the signatures, with a configuration of its own: the machine's sources, lists and
# packages stay as they are. MIRROR is the Debian archive to ask (default: the one that this
# machine's apt knows), KEYRING the keys that must have signed it.
set -eu

suite=${1:-trixie}
package=linux-bpf-dev
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
APT::Architectures { "amd64"; "arm64"; };
Acquire::Languages "none";
CONF
  export APT_CONFIG="$work/apt.conf"
  apt-get update -qq
}

sum() {
  sha256sum "$1" | cut -d ' ' -f 1
}

# Debian's architecture, its triplet, our folder. Adds two rows to the provenance tables.
fetch() {
  file=usr/include/$2-linux-gnu/linux/bpf/vmlinux.h
  mkdir -p "$work/$1/deb" "$work/$1/tree"
  [ "$(id -u)" -ne 0 ] || chown _apt "$work/$1/deb" # as root, apt downloads as that user
  (cd "$work/$1/deb" && apt-get download -qq "$package:$1")
  set -- "$1" "$2" "$3" "$work/$1/deb/"*.deb
  [ -f "$4" ] || fail "no $package:$1 in $suite"
  dpkg-deb -x "$4" "$work/$1/tree"
  [ -s "$work/$1/tree/$file" ] || fail "no $file in $package:$1"
  version=$(dpkg-deb -f "$4" Version)
  [ "$version" = "${first_version:=$version}" ] ||
    fail "$suite is half updated: $package is $first_version and $version; try again later"
  # shellcheck disable=SC2016 # backquotes are Markdown
  printf '| %s | %s | `%s` |\n' "$1" "$version" "$(sum "$4")" >>"$work/debs"
  # shellcheck disable=SC2016
  printf '| `%s/vmlinux.h` | `%s` | `%s` |\n' "$3" "$file" "$(sum "$work/$1/tree/$file")" \
    >>"$work/headers"
}

provenance() {
  echo "Debian package \`$package\` $first_version, suite $suite."
  printf '\n| package for | version | sha256 of the .deb |\n| --- | --- | --- |\n'
  cat "$work/debs"
  printf '\n| file here | file in the package | sha256 |\n| --- | --- | --- |\n'
  cat "$work/headers"
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
first_version=
fetch amd64 x86_64 x86
fetch arm64 aarch64 arm64
rewrite_readme

# Only now, when all is there, touch the tree.
install -m 644 "$work/amd64/tree/usr/include/x86_64-linux-gnu/linux/bpf/vmlinux.h" \
  "$here/x86/vmlinux.h"
install -m 644 "$work/arm64/tree/usr/include/aarch64-linux-gnu/linux/bpf/vmlinux.h" \
  "$here/arm64/vmlinux.h"
cat "$work/README.md" >"$readme"
cat "$work/provenance"
