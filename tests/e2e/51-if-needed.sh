#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# load --if-needed, as the agent's unit starts with it: nothing is loaded that is there, and nothing is missed.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

needed() { env_load --if-needed "$@"; }
programs() { podcred status --json | jq -c '[.links[] | {program, programId}]'; }
guards() { podcred status --json | jq -c '[.links[] | select(.program | test("claim|getsock") | not) | .programId]'; }
is_complete() { podcred status --json | jq -e .complete; }

env_up
same 'where nothing is loaded, it is' '15 programs attached, 0 updated in place' "$(needed | tail -n 1)"
before=$(programs)
same 'where all is, nothing is done' 'everything is attached already' "$(needed)"
same 'with --json, too' '{"attached":0}' "$(needed --json | jq -c .)"
same 'the programs are the same' "$before" "$(programs)"
before=$(guards)
rmdir "$AGENT_CGROUP"
mkdir "$AGENT_CGROUP"
same "the agent's cgroup was made anew: only its programs are attached" \
  '2 programs attached to cgroups that were removed and recreated' "$(needed)"
same 'the others are the same' "$before" "$(guards)"
check 'the guard is complete' is_complete
same 'another mode is a whole load' '0 programs attached, 15 updated in place' \
  "$(echo 'mode: audit' >"$ENV_TMP/config.yaml" && needed --config "$ENV_TMP/config.yaml" | tail -n 1)"
same 'and back' '0 programs attached, 15 updated in place' "$(needed | tail -n 1)"
AGENT_PORT=7790
same 'another address of the agent is a whole load' '0 programs attached, 15 updated in place' "$(needed | tail -n 1)"
mkdir "$ENV_CGROUP/agent2"
AGENT_CGROUP=$ENV_CGROUP/agent2
same "so is another cgroup of the agent" '2 programs attached, 13 updated in place' "$(needed | tail -n 1)"
link_cut podcred_conn4
check 'a program of the guard that is gone is attached again' needed
check 'the guard is complete' is_complete
tap_done
