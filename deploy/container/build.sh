#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The image from a podcred that is built already: the last stage of the Containerfile, with this
# machine's build in place of the first stage. Needs buildah and root, no network, no image store;
# the same input gives the same digest.
# usage: deploy/container/build.sh BINARY ARCHIVE NAME [VERSION]
# ARCHIVE is an oci-archive; prints its digest. NAME is the whole name, with a registry and a tag: a runtime that imports
# "podcred:1" keeps it under that name and looks for docker.io/library/podcred:1.
set -euo pipefail

[ $# -ge 3 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
binary=$1 archive=$2 name=$3 version=${4:-}
[[ $name =~ ^(localhost|[^/]*[.:][^/]*)/.*:[^/:]+$ ]] || {
  echo "build.sh: \"$name\" is not a whole name of an image; write REGISTRY/NAME:TAG, as localhost/podcred:1" >&2
  exit 2
}
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
store push --quiet --digestfile "$work/digest" podcred "oci-archive:$archive:$name"
printf '%s\n' "$(cat "$work/digest")"
