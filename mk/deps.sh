#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Check for the Debian packages named on the command line. With INSTALL_DEPS set, install what is missing, else
# name it and fail. A package whose command is there from another source (nodejs, npm, a JDK, Go, Rust) counts as present.
set -eu

[ -z "${SKIP_DEPS:-}" ] || exit 0

have() {
  case $1 in
  nodejs) command -v node >/dev/null && return 0 ;;
  npm) command -v npm >/dev/null && return 0 ;;
  cargo) command -v cargo >/dev/null && return 0 ;;
  maven) command -v mvn >/dev/null && return 0 ;;
  golang-go) command -v go >/dev/null && return 0 ;;
  default-jdk-headless) command -v javac >/dev/null && command -v java >/dev/null && return 0 ;;
  esac
  dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "make: no apt on this system; install what these Debian packages hold, then run make with SKIP_DEPS=1: $*" >&2
  exit 1
fi
missing=
for package in "$@"; do
  have "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ -z "${INSTALL_DEPS:-}" ] || [ "$(id -u)" -ne 0 ]; then
  echo "make: missing Debian packages:$missing; run 'make deps' as root" >&2
  exit 1
fi
echo "  APT     $missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
