#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # variables for the scripts that source this
# Connections to the agent that are held open, and what of them crosses the bridge. Sourced after env.sh
# and tap.sh by the tests of the path past the bridge.
#
#   agent_up                        tests/lib/path.py as the agent, of both families
#   hold NAME POD ADDRESS [WORD...] a connection of the pod stays open
#   say NAME COMMAND                the answer to it (path.py); let_go NAME: its end, and the client's
#   once POD ADDRESS COMMAND [WORD...]
#   pod_named UID                   the pod's name
#   bridge_counts; crossed          TCP segments of the agent's port that were on the bridge, since last
#   link_of POD                     the node's end of its interface
#   stat_of COUNTER; forge POD ...; offload POD|node DEV SETTING...
#   said WHAT WANT NAME COMMAND     say, and compare
#   beside WHAT                     of all since the last time nothing was on the bridge or refused;
#                                   beside_again: as if that had been asked
declare -A HELD HELD_LINES
V4=169.254.170.23
V6=fd00:ec2::23
NODE_MAC=02:00:00:00:99:01
PATH_PY=$ENV_ROOT/tests/lib/path.py

stat_of() { podcred status --json | jq ".counters.$1"; }
agent_up() {
  background "$ENV_TMP/agent" ready in_agent python3 "$PATH_PY" agent "$NODE_V4" "$AGENT_PORT" \
    "$NODE_V6" "$AGENT_PORT"
}
pod_named() {
  local name
  for name in "${!POD_UID[@]}"; do
    [ "${POD_UID[$name]}" != "$1" ] || { echo "$name" && return; }
  done
  echo "$1"
}

# The file is open for reading here too: a client that has died is no broken pipe.
hold() {
  rm -f "$ENV_TMP/$1.in" "$ENV_TMP/$1.out" # to the old one its shell may yet say that it was killed
  mkfifo "$ENV_TMP/$1.in"
  exec {fd}<>"$ENV_TMP/$1.in"
  HELD[$1]=$fd HELD_LINES[$1]=1
  in_pod "$2" python3 "$PATH_PY" client "$3" 80 "${@:4}" <"$ENV_TMP/$1.in" >"$ENV_TMP/$1.out" 2>&1 &
  wait_for 20 test -s "$ENV_TMP/$1.out"
}
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
say() {
  HELD_LINES[$1]=$((HELD_LINES[$1] + 1))
  echo "$2" >&"${HELD[$1]}"
  wait_for 20 has_lines "$ENV_TMP/$1.out" "${HELD_LINES[$1]}"
  SAID=$(tail -n 1 "$ENV_TMP/$1.out")
  [ "$2" != who ] || SAID=$(pod_named "$SAID")
}
let_go() {
  fd=${HELD[$1]}
  echo quit >&"$fd"
  exec {fd}>&-
  unset "HELD[$1]"
}
pid_of() { sed -n 's/^ready //p' "$ENV_TMP/$1.out"; }
once() {
  local answer
  answer=$(in_pod "$1" python3 "$PATH_PY" client "$2" 80 "${@:4}" <<<"$3" 2>&1 | tail -n 1)
  [[ $3 != who && $3 != line ]] || answer=$(pod_named "$answer")
  echo "$answer"
}

bridge_counts() {
  in_node nft -f - <<NFT
table bridge seen {
  counter frames { }
  chain prerouting {
    type filter hook prerouting priority -300
    tcp dport $AGENT_PORT counter name frames
    tcp sport $AGENT_PORT counter name frames
  }
  chain output {
    type filter hook output priority -300
    tcp sport $AGENT_PORT counter name frames
  }
}
NFT
  FORGED=$(stat_of packet_forged)
}
crossed() { in_node nft -j reset counters table bridge seen | jq '.nftables[1].counter.packets'; }

forge() { in_pod "$1" python3 "$PATH_PY" forge "${@:2}"; }
offload() {
  if [ "$1" = node ]; then
    in_node python3 "$PATH_PY" offload "${@:2}"
  else
    in_netns "${POD_NETNS[$1]}" python3 "$PATH_PY" offload "${@:2}"
  fi
}

said() {
  say "$3" "$4"
  same "$1" "$2" "$SAID"
}
settled() { ! in_node ss -Htan "( sport = :$AGENT_PORT )" | grep -qv -e ^LISTEN -e ^TIME-WAIT; }
beside_again() { FORGED=$(stat_of packet_forged) && crossed >/dev/null; }
beside() {
  same "$1: nothing of it on the bridge, nothing refused" '0 0' "$(crossed) $(($(stat_of packet_forged) - FORGED))"
  FORGED=$(stat_of packet_forged)
}

link_of() { echo "v${POD_NETNS[$1]##*-p}"; }
index_of() { in_node ip -j link show "$1" | jq '.[0].ifindex'; }
# path_is DEV GATEWAY: the programs know that the interface leads there; '': that it leads nowhere known
path_is() {
  local key index gateway=0 noted
  index=$(index_of "$1")
  [ -z "$2" ] || gateway=$(index_of "$2")
  key=$(printf '%d %d %d %d' $((index & 255)) $((index >> 8 & 255)) 0 0)
  # shellcheck disable=SC2086 # bytes
  noted=$(bpftool -j map lookup pinned "$PIN_DIR/maps/podcred_paths" key $key |
    jq -r '.value[:4] | map(ltrimstr("0x")) | reverse | join("")')
  [[ -n $noted && $((16#$noted)) -eq $gateway ]] || {
    echo "interface $index ($1) leads to interface ${noted:+$((16#$noted))}, not to $gateway (${2:-none})"
    in_node bridge -d vlan show 2>&1
    tail -n 5 "$ENV_TMP/resolve.log"
    return 1
  }
}
