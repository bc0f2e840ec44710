#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred control on the loopback, with the stand-in of an API server. Sourced by tests; needs no root.
#
#   control_up             $DIR has the certificates, $KUBE the API server; role policies: namespace shop, account 111122223333
#   control_start [ARG...] podcred control, ready when this returns: $CONTROL_PID, its log is $DIR/control.log
#   control_stop           it has ended well
#   aggregator [USER [GROUP...]]   an API server that passes on what it is asked, for USER: $PROXY
#   api JSON               a command for the API server; its answer is in $DIR/api.out
#   direct ARG...          curl, to control itself: prints "STATUS ERROR-NAME"; the answer is in $DIR/answer
#   passed_on ARG...       the same by the aggregator
#   exchange TOKEN         keys for a token of a service account: prints "200", or the status and the error's code
#   of_keys ELEMENT        of the answer: AccessKeyId, SecretAccessKey, SessionToken
#   control_down           called at exit

CONTROL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CONTROL_BUILD=$(cd "$CONTROL_ROOT" && realpath "${O:-build}")
PODCRED=${PODCRED:-$CONTROL_BUILD/podcred}
PIDS=()

fail() {
  echo "Bail out! $*"
  exit 1
}
eventually() { # SECONDS CMD...
  local end=$((SECONDS + $1 * ${WAIT_FACTOR:-3} + 1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return
    sleep 0.05
  done
}
started() { # LOG PATTERN CMD...
  : >"$1"
  "${@:3}" >"$1" 2>&1 &
  PIDS+=("$!")
  eventually 10 grep -q "$2" "$1" || fail "no '$2' of ${*:3}: $(cat "$1")"
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

api() { curl -sSf --unix-socket "$KUBE/control" -d "$1" http://control/ >"$DIR/api.out" || fail "api: $1: $(cat "$DIR/api.out")"; }
put() { api "{\"put\": $1}"; }

# put_front_proxy ALLOWED: whom control is to believe, as the API server writes it down
put_front_proxy() {
  put "$(jq -n --rawfile ca "$DIR/ca.pem" --arg allowed "$1" '{kind: "ConfigMap", apiVersion: "v1",
    metadata: {name: "extension-apiserver-authentication", namespace: "kube-system"},
    data: {"requestheader-client-ca-file": $ca, "requestheader-allowed-names": $allowed,
      "requestheader-username-headers": "[\"X-Remote-User\"]", "requestheader-group-headers": "[\"X-Remote-Group\"]",
      "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]"}}')"
}

control_down() {
  trap '' INT TERM
  [ ${#PIDS[@]} -eq 0 ] || kill "${PIDS[@]}" 2>/dev/null
  wait
  rm -rf "$DIR"
}

control_up() {
  DIR=$(mktemp -d /tmp/podcred-control-XXXXXX)
  KUBE=$DIR/kube
  trap control_down EXIT
  trap 'exit 1' INT TERM
  "$CONTROL_ROOT/tests/fake/certs.sh" "$DIR"
  started "$DIR/kubeapi.log" '^ready' python3 "$CONTROL_ROOT/tests/kube/kubeapi.py" "$KUBE"
  put_front_proxy '["client"]'
  put '{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "shop"}}'
  put '{"kind": "PodIdentityRolePolicy", "apiVersion": "podcred.io/v1alpha1", "metadata": {"name": "shop"},
    "spec": {"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}}'
  cat >"$DIR/config.yaml" <<YAML
credentials:
  cluster: {name: demo, arn: "arn:aws:eks:eu-west-1:111122223333:cluster/demo"}
YAML
  CONTROL=https://127.0.0.1:$(free_port)
  HEALTH=http://127.0.0.1:$(free_port)
}

is_ready() { curl -sf "$HEALTH/readyz"; }

control_begin() {
  "$PODCRED" control --config "$DIR/config.yaml" --listen "${CONTROL#*//}" --health "${HEALTH#*//}" --certificate "$DIR/ok.pem" \
    --key "$DIR/ok.key" --kubeconfig "$KUBE/kubeconfig" "$@" >"$DIR/control.log" 2>&1 &
  CONTROL_PID=$!
  PIDS+=("$CONTROL_PID")
}

control_start() {
  control_begin "$@"
  eventually 10 is_ready || fail "control is not ready: $(cat "$DIR/control.log")"
}

control_stop() {
  kill "$CONTROL_PID" && wait "$CONTROL_PID"
}

aggregator() {
  started "$DIR/aggregator.log" '^ready' python3 "$CONTROL_ROOT/tests/kube/aggregator.py" "$CONTROL" "$DIR/ca.pem" \
    "$DIR/client.pem" "$DIR/client.key" "$@"
  PROXY=$(sed -n 's/^ready //p' "$DIR/aggregator.log")/apis/eks.podcred.io/v1
}

asked() {
  curl -sS --path-as-is --cacert "$DIR/ca.pem" -D "$DIR/head" -o "$DIR/answer" -w '%{http_code}' "$@" 2>"$DIR/curl.log"
  sed -n 's/^x-amzn-errortype: \([A-Za-z]*\).*/ \1/Ip' "$DIR/head" | tr -d '\n'
}
direct() { asked "${@:1:$#-1}" "$CONTROL${*: -1}"; }
passed_on() { asked "${@:1:$#-1}" "$PROXY${*: -1}"; }

exchange() {
  curl -sS --cacert "$DIR/ca.pem" -o "$DIR/keys.xml" -w '%{http_code}' --data-urlencode "WebIdentityToken=$1" \
    -d Action=AssumeRoleWithWebIdentity -d Version=2011-06-15 -d RoleArn=arn:aws:iam::111122223333:role/x -d RoleSessionName=me "$CONTROL/"
  sed -n 's|.*<Code>\(.*\)</Code>.*| \1|p' "$DIR/keys.xml" | tr -d '\n'
}
of_keys() { sed -n "s|.*<$1>\(.*\)</$1>.*|\1|p" "$DIR/keys.xml"; }
