#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Debian cloud kernel of another suite, unpacked, without touching this system's apt.
# usage: tests/kernels/fetch.sh SUITE [ARCH]     prints the directory: vmlinuz, config, lib/modules
#
# apt checks signatures and hashes; its state is kept below $CACHE, and what is there already is not
# fetched again. REFRESH=1 asks for a newer kernel.
set -eu

suite=$1 arch=${2:-amd64}
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podcred}
state=$CACHE/apt/$suite-$arch
target=$CACHE/kernels/$suite-$arch

fail() {
  printf 'fetch.sh: %s-%s: %s\n' "$suite" "$arch" "$*" >&2
  exit 1
}

[ "${REFRESH:-0}" = 1 ] || [ ! -e "$target/vmlinuz" ] || {
  echo "$target"
  exit 0
}

mkdir -p "$state"/{lists/partial,cache/archives/partial,etc/preferences.d} "$CACHE/kernels"
: >"$state/status"
mirror=$(awk '/^URIs:/ { print $2; exit } /^deb / { print $2; exit }' \
  /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || :)
[ -n "$mirror" ] || fail "no Debian mirror in /etc/apt"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
  >"$state/etc/sources.list"
cat >"$state/apt.conf" <<CONF
Dir::State "$state"; Dir::State::status "$state/status"; Dir::State::Lists "$state/lists";
Dir::Cache "$state/cache"; Dir::Etc::SourceList "$state/etc/sources.list";
Dir::Etc::SourceParts "/dev/null"; Dir::Etc::PreferencesParts "$state/etc/preferences.d";
APT::Architecture "$arch"; APT::Architectures {"$arch";}; Acquire::Languages "none";
Acquire::Retries "2"; APT::Sandbox::User "root";
CONF
export APT_CONFIG=$state/apt.conf
apt-get -qq update || fail "cannot read the package lists of $mirror"

# The names move with every upload; the meta package knows the current ones. From 7.x on the kernel
# is split over several packages.
depends() { apt-cache show "$1" 2>/dev/null | sed -n '/^Depends: /{s/^Depends: //p;q}' | tr ',' '\n' | tr '|' '\n' | awk '{ print $1 }'; }
image=$(depends "linux-image-cloud-$arch" | grep "^linux-image-[0-9].*-cloud-$arch\$" | head -1)
[ -n "$image" ] || fail "no kernel in $mirror"
version=${image#linux-image-}
if apt-cache show "$image-unsigned" >/dev/null 2>&1; then
  packages=("$image-unsigned")
else
  packages=("linux-binary-unsigned-$version" "linux-modules-$version" "linux-base-$version")
fi

work=$(mktemp -d "$CACHE/kernels/.$suite-XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -qq download "${packages[@]}") || fail "cannot download ${packages[*]}"
mkdir "$work/root"
for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
mkdir -p "$work/kernel/lib"
modules=$(find "$work/root" -type d -path "*/lib/modules/$version" | head -1)
mkdir "$work/kernel/lib/modules"
mv "$modules" "$work/kernel/lib/modules/"
find "$work/root" "$work/kernel" -type f \( -name "vmlinuz-$version" -o -name 'vmlinuz.unsigned' \) \
  -exec mv {} "$work/kernel/vmlinuz" \;
[ -s "$work/kernel/vmlinuz" ] || fail "no vmlinuz in ${packages[*]}"
rm -rf "$target"
mv "$work/kernel" "$target"
echo "$target"
