#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# The stand-in of AWS (tests/fake/aws.py) on the node of env.sh. Sourced after it.
#
#   aws_up [OPTION...]   it listens on the node's loopback when this returns; its files are in $AWS, and STS_URL, EKS_AUTH_URL,
#                        IMDS_URL are set
#   aws_do JSON          a command; prints the result
#   aws_calls FILTER     the log, as one JSON array, through jq -r: aws_calls 'map(select(.action == "AssumeRole")) | length'
#   aws_since            from here on aws_calls shows only calls that come later

aws_up() {
  AWS=$ENV_TMP/aws AWS_FROM=1
  background "$ENV_TMP/aws.log" '^ready' nsenter --net="/run/netns/$NODE_NETNS" \
    /usr/bin/python3 "$ENV_ROOT/tests/fake/aws.py" "$AWS" "$@"
  # shellcheck disable=SC1091 # it writes that
  . "$AWS/urls"
}

aws_do() {
  curl -sS --fail-with-body --unix-socket "$AWS/control" -d "$1" http://control/ >"$ENV_TMP/aws.out" 2>&1 ||
    env_fail "aws_do $1: $(cat "$ENV_TMP/aws.out")"
  cat "$ENV_TMP/aws.out"
}

aws_calls() { tail -n "+$AWS_FROM" "$AWS/calls.jsonl" | jq -rs "$@"; }
aws_since() { AWS_FROM=$(($(wc -l <"$AWS/calls.jsonl") + 1)); }
