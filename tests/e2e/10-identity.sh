#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who is who: pods of every QoS class in both cgroup layouts, from the kernel's event of a new
# cgroup to the name in an answer.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

URL=http://169.254.170.2/v1/credentials

key_of() { in_pod "$1" curl -s "$URL" | jq -r '.AccessKeyId // .code'; }

# The same, from a cgroup somewhere below the pod's.
key_below() {
  mkdir -p "${POD_CGROUP[$1]}/$2"
  in_cgroup "${POD_CGROUP[$1]}/$2" "${POD_NETNS[$1]}" curl -s "$URL" | jq -r .AccessKeyId
}

pod_cgroup_id() { stat -c %i "${POD_CGROUP[$1]}"; }
pods_entry() { podcred pods --json | jq -e ".[] | select(.cgroupId == $(pod_cgroup_id "$1"))"; }
named() { [ "$(pods_entry "$1" | jq -r .name)" = "$2" ]; }

entry_text() {
  pods_entry "$1" | jq -r '"\(.namespace) \(.name) \(.serviceAccount) \(.uid) \(.hostNetwork)"'
}

check_pod() {
  local name=$1
  same "$ENV_LAYOUT: $name gets its own credentials" "AKIA${name^^}" "$(key_of "$name")"
  same "$ENV_LAYOUT: $name is right in podcred pods" \
    "shop $name $name ${POD_UID[$name]} ${POD_HOST[$name]}" "$(entry_text "$name")"
}

run_layout() {
  env_up "$1"
  pod_add gold guaranteed
  pod_add silver burstable
  pod_add bronze besteffort
  pod_add hostly burstable host
  pod_add late besteffort
  # "late" has associations from the start, but comes to life afterwards
  rmdir "${POD_CGROUP[late]}/container" "${POD_CGROUP[late]}"
  env_load >/dev/null || env_fail 'load failed'
  env_resolve
  env_serve
  for name in gold silver bronze hostly; do check_pod "$name"; done

  same "$1: a container below the runtime's own cgroup is its pod" AKIASILVER \
    "$(key_below silver crio-abc/container)"
  same "$1: so is a deeper one" AKIAGOLD "$(key_below gold container/init.scope/kubepods/podx/y)"
  same "$1: so is a process in the pod's own cgroup" AKIABRONZE "$(key_below bronze .)"

  mkdir -p "${POD_CGROUP[late]}/container"
  check "$1: a pod made after the resolver's start gets its name" wait_for 10 named late late
  check_pod late

  sed 's/"name":"silver"/"name":"silver-2"/' "$ENV_TMP/pods.json" >"$ENV_TMP/pods.new"
  mv "$ENV_TMP/pods.new" "$ENV_TMP/pods.json"
  check "$1: a replaced PodList is read again" wait_for 10 named silver silver-2
  same "$1: the renamed pod keeps its service account" AKIASILVER "$(key_of silver)"

  removed_id=$(pod_cgroup_id late)
  rmdir "${POD_CGROUP[late]}/container" "${POD_CGROUP[late]}"
  check "$1: the entry of a removed pod goes" wait_for 10 no_entry "$removed_id"
}

no_entry() { podcred pods --json | jq -e "all(.[]; .cgroupId != $1)"; }

# The listing itself is shown when the filter does not hold.
listing_has() {
  local json
  json=$(podcred "$1" --json)
  jq -e "$2" <<<"$json" >/dev/null || { echo "$json" && return 1; }
}

unstamped_node() { podcred status --json | jq .counters.unstamped_node; }
no_peers() { listing_has peers 'length == 0'; }

# What only one layout need show.
run_listings() {
  local id
  id=$(pod_cgroup_id gold)
  pod_add nameless burstable
  same 'a pod that no PodList names gets no credentials' PodNotResolved "$(key_of nameless)"
  check 'and is listed by its uid, without a name' \
    listing_has pods ".[] | select(.uid == \"${POD_UID[nameless]}\" and .name == \"\")"
  check 'the refusal is logged, with its reason' wait_for 10 grep -q \
    "result=refused reason=pod_not_resolved .*pod_cgroup=$(pod_cgroup_id nameless) " \
    "$ENV_TMP/serve.log"

  check 'targets: the credential services are redirected' listing_has targets \
    'map(select(.action == "redirect") | "\(.address):\(.port)/\(.protocol)") | sort ==
    ["169.254.169.254:80/tcp", "169.254.170.23:80/tcp", "169.254.170.2:80/tcp",
     "169.254.170.83:80/tcp", "fd00:ec2::23:80/tcp", "fd00:ec2::254:80/tcp", "fd70:6f64:6372::83:80/tcp"]'
  check 'targets: everything else on those addresses is denied' listing_has targets \
    'map(select(.action == "deny" and (has("port") | not)).address) | sort ==
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.170.83",
     "fd00:ec2::23", "fd00:ec2::254", "fd70:6f64:6372::83"]'
  check "targets: the agent's own address is stamped" listing_has targets \
    "map(select(.action == \"stamp\") | \"\(.address):\(.port)\") | sort ==
    [\"$NODE_V4:$AGENT_PORT\", \"$NODE_V6:$AGENT_PORT\"]"

  wait_for 10 no_peers
  in_pod gold bash -c 'exec 3<>/dev/tcp/169.254.169.254/80; echo connected; read -r' \
    <"$ENV_TMP/hold" >"$ENV_TMP/holder" &
  exec 9>"$ENV_TMP/hold"
  wait_for 10 grep -q connected "$ENV_TMP/holder"
  check 'peers: a live connection, with the pod and what it dialled' listing_has peers \
    "length == 1 and (.[0] | .pod == \"shop/gold\" and .podCgroupId == $id and
    .dialled == \"169.254.169.254:80\" and .agent == \"$NODE_V4:$AGENT_PORT\" and
    (.client | startswith(\"${POD_IP[gold]}:\")) and .uid == 0 and .pid > 0 and
    .netnsCookie > 0 and (.direct | not))"
  check 'peers: the cgroup is the container, not only the pod' listing_has peers \
    ".[0].cgroupId == $(stat -c %i "${POD_CGROUP[gold]}/container")"
  check 'flows: nothing pends' listing_has flows 'length == 0'
  exec 9>&-
  check 'peers: the entry goes when the client does' wait_for 10 no_peers
  check 'status --json is complete' listing_has status \
    ".complete and .flows == 0 and (.links | length) == 18 and .counters.claimed > 0"

  # The kubelet's probes are no finding; whoever wants more of the agent is.
  asks() { in_host curl -s -o /dev/null -w '%{http_code}\n' "http://$1$2"; }
  before=$(unstamped_node)
  same 'a process of the node: the agent is alive' '200 200 200' \
    "$(asks "$NODE_V4:$AGENT_PORT" /healthz) $(asks "[$NODE_V6]:$AGENT_PORT" /healthz) $(in_host curl -sI \
      -o /dev/null -w '%{http_code}' "http://$NODE_V4:$AGENT_PORT/healthz")"
  same 'which is not counted' "$before" "$(unstamped_node)"
  same 'and gets nothing else' '403 403' \
    "$(asks "$NODE_V4:$AGENT_PORT" /v1/credentials) $(asks "[$NODE_V6]:$AGENT_PORT" /)"
  same 'which is' $((before + 2)) "$(unstamped_node)"

  # More than the kernel hands out at once.
  local i rest value
  printf -v rest ' 0%.0s' {1..34}
  printf -v value ' 0%.0s' {1..80}
  for i in {0..599}; do
    echo "map update pinned $PIN_DIR/maps/podcred_peers_v2 key $((i % 256)) $((i / 256))$rest value$value"
  done >"$ENV_TMP/many"
  bpftool batch file "$ENV_TMP/many" >/dev/null || env_fail 'podcred_peers_v2 cannot be written'
  same 'a map of many entries is listed whole, each once' '600 600' \
    "$(podcred peers --json | jq '"\(length) \([.[].client] | unique | length)"' -r)"
  sed 's/update/delete/; s/ value.*//' "$ENV_TMP/many" >"$ENV_TMP/none"
  bpftool batch file "$ENV_TMP/none" >/dev/null

  for command in pods peers flows targets status; do
    check "podcred $command prints a table" grep -q . <(podcred "$command")
  done
}

run_layout systemd
env_clean
run_layout cgroupfs
mkfifo "$ENV_TMP/hold"
run_listings
tap_done
