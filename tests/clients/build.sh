#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Make a client from its pinned packages. What cannot be made on this machine leaves the reason in DIR/missing: that is no
# error, the test says that it is skipped.
# usage: build.sh python|javascript|policies|go1|go2|eksctl|java|rust DIR
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$2

missing() {
  echo "$*" >"$dir/missing"
  exit 0
}
# at_least MINOR VERSION: of 1.x
at_least() { [ "$(cut -d. -f2 <<<"$2")" -ge "$1" ]; }

from_npm() { (cd "$dir" && npm ci --no-audit --no-fund --omit=dev --loglevel=error >/dev/null); }

# The AWS CLI, boto3, the Common Runtime, and moto: in an environment of Debian's Python.
python() {
  /usr/bin/python3 -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r "$here/requirements.txt"
}

javascript() {
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || missing "Node.js $(node -v), and it needs 20"
  cp "$here"/javascript/package*.json "$here/credentials.mjs" "$dir"
  from_npm
}

# What decides about policies in abac.sh.
policies() {
  cp "$here"/policies/package*.json "$here/policies/aws.mjs" "$dir"
  from_npm
}

needs_go() { # MINOR
  local have
  have=$(go env GOVERSION)
  at_least "$1" "$have" || missing "$have, and it needs 1.$1"
}
go_client() {
  needs_go "$2"
  (cd "$here/$1" && GOTOOLCHAIN=local CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags='-s -w' -o "$dir/credentials" .)
}
go1() { go_client go1 19; }
go2() { go_client go2 24; }

# As a tool of a module of our own: it cannot be installed by its name alone, for what it replaces.
eksctl() {
  needs_go 25
  (cd "$here/eksctl" && GOTOOLCHAIN=local go build -mod=readonly -ldflags='-s -w' -o "$dir/eksctl" github.com/weaveworks/eksctl/cmd/eksctl)
}

java() {
  mvn -q -B -C -f "$here/java/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$dir/lib"
  javac -cp "$dir/lib/*" -d "$dir" "$here/java/Credentials.java"
}

rust() {
  local have
  have=$(cargo --version | cut -d' ' -f2)
  at_least 94 "$have" || missing "Rust $have, and it needs 1.94"
  cargo build --quiet --locked --release --manifest-path "$here/rust/Cargo.toml" --target-dir "$dir/target"
  cp "$dir/target/release/credentials" "$dir"
}

rm -rf "$dir"
mkdir -p "$dir"
case $1 in
python | javascript | policies | java | rust | go1 | go2 | eksctl) "$1" ;;
*)
  echo "usage: $0 python|javascript|policies|go1|go2|eksctl|java|rust DIR" >&2
  exit 2
  ;;
esac
