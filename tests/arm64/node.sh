#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: the main job on arm64. Pods in network namespaces of their own ask the well-known
# addresses and get their own credentials; everything else there is refused.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

key_from() { in_pod "$1" curl -s "$2" | jq -r '.AccessKeyId // .code'; }

# The way of the metadata service: a session token first.
key_from_imds() {
  local base=http://169.254.169.254/latest token role
  token=$(in_pod "$1" curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/api/token")
  base=$base/meta-data/iam/security-credentials
  role=$(in_pod "$1" curl -s -H "X-aws-ec2-metadata-token: $token" "$base/")
  in_pod "$1" curl -s -H "X-aws-ec2-metadata-token: $token" "$base/$role" | jq -r .AccessKeyId
}

# refused POD ADDRESS PORT: with EACCES from connect(2)
refused() { in_pod "$1" bash -c "exec 3<>/dev/tcp/$2/$3" 2>&1 | grep "Permission denied"; }

env_up
pod_add cart burstable
pod_add till guaranteed
check 'podcred features' "$PODCRED" features
"$PODCRED" features | sed 's/^/# /'
check 'podcred load' env_load || env_fail 'load failed'
env_resolve
env_serve
podcred status | sed 's/^/# /'
for pod in cart till; do
  same "$pod: Pod Identity, 169.254.170.23" "AKIA${pod^^}" \
    "$(key_from $pod http://169.254.170.23/v1/credentials)"
  same "$pod: ECS, 169.254.170.2" "AKIA${pod^^}" "$(key_from $pod http://169.254.170.2/v1/credentials)"
  same "$pod: metadata service, 169.254.169.254" "AKIA${pod^^}" "$(key_from_imds $pod)"
  same "$pod: from an IPv6 socket, v4-mapped" "AKIA${pod^^}" \
    "$(key_from $pod 'http://[::ffff:169.254.170.23]/v1/credentials')"
  check "$pod: another port is refused" refused $pod 169.254.169.254 81
done
claimed() { podcred status --json | jq -e '.complete and .counters.claimed >= 10'; }
check 'status: complete, and every connection was claimed' claimed
check 'podcred unload' podcred unload
tap_done
