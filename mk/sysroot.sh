#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A directory with Debian packages of another architecture and all that they depend on, unpacked:
# what a cross compiler, or a guest, takes its libraries from.
# usage: mk/sysroot.sh ARCH NAME PACKAGE...     prints the directory
#
# This system's apt and dpkg stay as they are. The mirror is that of this system, the release too, if
# SUITE names no other; apt resolves, downloads, and checks signatures, with a state of its own below $CACHE. What is there
# already is not fetched again; REFRESH=1 looks for newer packages.
set -eu -o pipefail

arch=$1 name=$2
shift 2
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podcred}
SUITE=${SUITE:-}
apt=$CACHE/apt/sysroot-$arch${SUITE:+-$SUITE}
target=$CACHE/sysroot/$arch-$name
KEYRING=${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
stamp="$SUITE $*"

fail() {
  printf 'sysroot.sh: %s %s: %s\n' "$arch" "$name" "$*" >&2
  exit 1
}

# Of what apt complains about, the first error is the cause.
apt_get() {
  apt-get -qq "$@" 2>"$work/err" ||
    fail "apt-get $1: $(sed -n '/^E: /{s/^E: //;s/  */ /g;p;q}' "$work/err")"
}

# Only Debian's own sources: others need not have this architecture.
sources() {
  local from mirror
  mkdir -p "$apt"/{lists/partial,archives/partial,preferences.d,sources}
  for from in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list ''; do
    [ ! -s "$from" ] || break
  done
  [ -n "$from" ] || fail 'no Debian mirror in /etc/apt'
  if [ -n "$SUITE" ]; then
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[.*\] \)\?\([^ ]*\).*/\2/p' "$from" | head -1)
    echo "deb [signed-by=$KEYRING] $mirror $SUITE main" >"$apt/sources/sources.list"
  else
    cp "$from" "$apt/sources/"
  fi
  : >"$apt/status" # nothing is installed: all dependencies are wanted
  cat >"$apt/apt.conf" <<CONF
Dir::State "$apt"; Dir::State::status "$apt/status"; Dir::State::Lists "$apt/lists";
Dir::Cache "$apt"; Dir::Etc::SourceList "$apt/sources/sources.list";
Dir::Etc::SourceParts "$apt/sources"; Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "$apt/preferences.d";
APT::Architecture "$arch"; APT::Architectures { "$arch"; };
APT::Install-Recommends "false"; APT::Sandbox::User "root";
Acquire::Languages "none"; Acquire::Retries "2";
CONF
  export APT_CONFIG=$apt/apt.conf
}

# The names of the files, whether they are in the cache or not.
archives() {
  apt_get install --print-uris -y -o "Dir::Cache::archives=$work/none" "$@"
}

# Packages know no other root than /. A link that leads there would lead to this system's file.
relative_links() {
  local link to
  find "$1" -type l -lname '/*' -print | while read -r link; do
    to=$1$(readlink "$link")
    ln -sfnr "$to" "$link"
  done
}

if [ "${REFRESH:-0}" != 1 ] && [ "$(cat "$target/.packages" 2>/dev/null)" = "$stamp" ]; then
  echo "$target"
  exit 0
fi

mkdir -p "$CACHE/sysroot" "$apt"
exec 9>"$apt/.lock"
flock 9 # one build at a time fills the cache
work=$(mktemp -d "$CACHE/sysroot/.$name-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/none/partial" "$work/root"
sources
apt_get update --error-on=any
archives "$@" >"$work/uris"
awk -F "'" '/^\047/ { split($3, f, " "); print f[1] }' "$work/uris" >"$work/names"
[ -s "$work/names" ] || fail "apt names no file for: $*"
apt_get install --download-only -y "$@"
while read -r deb; do
  [ -s "$apt/archives/$deb" ] || fail "$deb was not downloaded"
  dpkg-deb -x "$apt/archives/$deb" "$work/root"
done <"$work/names"
relative_links "$work/root"
echo "$stamp" >"$work/root/.packages"
rm -rf "$target"
mv "$work/root" "$target"
echo "$target"
