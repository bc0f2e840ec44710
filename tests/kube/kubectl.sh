#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A kubectl: prints the path of that of this system, else of that of Debian's next release, which is fetched
# once into $CACHE without touching this system's apt. Fails with the reason when there is none.
set -eu

command -v kubectl && exit
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podcred}
suite=trixie
state=$CACHE/apt/kubectl-$suite
target=$CACHE/kubectl

fail() {
  printf 'kubectl.sh: %s\n' "$*" >&2
  exit 1
}

[ ! -x "$target/usr/bin/kubectl" ] || {
  echo "$target/usr/bin/kubectl"
  exit 0
}

mkdir -p "$state"/{lists/partial,cache/archives/partial,etc/preferences.d}
: >"$state/status"
mirror=$(awk '/^URIs:/ { print $2; exit } /^deb / { print $2; exit }' \
  /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || :)
[ -n "$mirror" ] || fail 'no Debian mirror in /etc/apt'
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$state/etc/sources.list"
cat >"$state/apt.conf" <<CONF
Dir::State "$state"; Dir::State::status "$state/status"; Dir::State::Lists "$state/lists";
Dir::Cache "$state/cache"; Dir::Etc::SourceList "$state/etc/sources.list";
Dir::Etc::SourceParts "/dev/null"; Dir::Etc::PreferencesParts "$state/etc/preferences.d";
Acquire::Languages "none"; Acquire::Retries "2"; APT::Sandbox::User "root";
CONF
export APT_CONFIG=$state/apt.conf
apt-get -qq update || fail "cannot read the package lists of $mirror"
work=$(mktemp -d "$CACHE/.kubectl-XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -qq download kubectl) || fail "cannot download kubectl from $mirror $suite"
mkdir "$work/root"
dpkg-deb -x "$work"/kubectl_*.deb "$work/root"
[ -x "$work/root/usr/bin/kubectl" ] || fail 'the package kubectl has no usr/bin/kubectl'
rm -rf "$target"
mv "$work/root" "$target"
echo "$target/usr/bin/kubectl"
