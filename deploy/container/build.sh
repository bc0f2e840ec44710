#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The image from a podcred that is built already: the last stage of the Containerfile, with this
# machine's build in place of the first stage. Needs buildah and root, no network, no image store;
# the same input gives the same digest.
# usage: deploy/container/build.sh BINARY ARCHIVE [VERSION]   (ARCHIVE: oci-archive; prints its digest)
set -euo pipefail

[ $# -ge 2 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
binary=$1 archive=$2 version=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

store() {
  buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"
}

mkdir "$work/context"
"$here/rootfs.sh" "$binary" "$work/context/rootfs"
awk '/^FROM scratch/ { last = 1 } last { sub("--from=build /rootfs/", "rootfs/"); print }' \
  "$here/Containerfile" >"$work/Containerfile"
store build --isolation chroot --timestamp 0 --identity-label=false --squash --quiet \
  ${version:+--build-arg VERSION="$version"} -f "$work/Containerfile" -t podcred "$work/context" >/dev/null
rm -f "$archive"
store push --quiet --digestfile "$work/digest" podcred "oci-archive:$archive:podcred:${version:-latest}"
printf '%s\n' "$(cat "$work/digest")"
