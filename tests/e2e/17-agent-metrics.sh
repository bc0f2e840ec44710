#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# GET /metrics of the agent: a format that Prometheus reads, right numbers after real requests, and no
# time series that a client makes. It never keeps the agent from giving out credentials.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

STARVE=$ENV_BUILD/tests/starve
AT=127.0.0.1:7778
V4=169.254.170.23
ECS=169.254.170.2
IMDS=169.254.169.254

scrape() { in_host curl -sf --max-time 10 "http://$AT/metrics"; }
samples() { "$ENV_ROOT/tests/lib/prometheus.py"; }
take() { SAMPLES=$(scrape | samples); }
value() { jq --arg key "$1" '.[$key]' <<<"$SAMPLES"; }
requests() { value "podcred_agent_requests_total{service=\"$1\",result=\"$2\"}"; }
refusals() { value "podcred_agent_refusals_total{reason=\"$1\"}"; }
status() { in_pod "$1" curl -s -o /dev/null -w '%{http_code}' --max-time 10 "${@:2}"; }
said() { grep -cE "$1" "$ENV_TMP/serve.log"; }
agent_stop() { cgroup_signal "$AGENT_CGROUP" TERM; }

env_up cgroupfs
pod_add web burstable
pod_add db burstable
env_load >/dev/null || env_fail 'load failed'
env_resolve
unset 'POD_UID[db]' # no association for it, as the file is made of these
env_serve --user 65533
pod_add nameless besteffort # after the list

# ---- format ----
check 'without a configuration it answers on loopback' scrape
check 'the output is in the format' bash -c "$(declare -f scrape in_host in_cgroup samples)
  set -o pipefail; AT=$AT ENV_CGROUP=$ENV_CGROUP NODE_NETNS=$NODE_NETNS ENV_ROOT=$ENV_ROOT; scrape | samples"
# Not a dependency of the tests: its package brings a server, 96 MB. prometheus.py is no less strict.
if command -v promtool >/dev/null; then
  scrape >"$ENV_TMP/scrape"
  # shellcheck disable=SC2016 # the inner shell expands it
  check 'promtool has nothing against it' bash -c 'promtool check metrics <"$1"' - "$ENV_TMP/scrape"
fi
same 'its content type' 'text/plain; version=0.0.4; charset=utf-8' \
  "$(in_host curl -s -o /dev/null -w '%{content_type}' "http://$AT/metrics")"
same 'another path, another method' '404 405' \
  "$(for args in "http://$AT/" "-X POST http://$AT/metrics"; do
    # shellcheck disable=SC2086
    in_host curl -s -o /dev/null -w '%{http_code}\n' $args
  done | xargs)"
take
KEYS=$(jq -cS keys <<<"$SAMPLES")
same 'all is zero, but for the health checks' '[]' "$(jq -c 'with_entries(select(.value > 0 and
  (.key | test("service=\"none\"|connections|build_info|associations") | not))) | keys' <<<"$SAMPLES")"
same 'health checks are requests to no service' true "$(jq '.["podcred_agent_requests_total{service=\"none\",result=\"other\"}"] > 0' <<<"$SAMPLES")"
same 'every reason of the documentation is there' \
  "$(sed -n '/^## Reasons of the agent/,$s/^| \([a-z_]*\(, [a-z_]*\)*\) | .*/\1/p' "$ENV_ROOT/docs/reasons.md" |
    tr -d ' ' | tr , '\n' | grep -v '^reason$' | sort | xargs)" \
  "$(jq -r 'keys[] | capture("refusals_total{reason=\"(?<r>.*)\"}").r' <<<"$SAMPLES" | sort | xargs)"

# ---- numbers ----
same 'requests of all kinds' '200 200 200 404 404 403 200 403' "$(for args in \
  "web http://$V4/v1/credentials" "web http://$V4/v1/credentials" "web http://$ECS/v2/credentials/x" \
  "db http://$V4/v1/credentials" "web http://$IMDS/latest/meta-data/iam/security-credentials/root" \
  "web -H Host:evil http://$V4/v1/credentials" "web http://$IMDS/latest/meta-data/iam/security-credentials/" \
  "web http://$NODE_V4:$AGENT_PORT/v1/credentials"; do
  # shellcheck disable=SC2086
  status $args
  echo
done | xargs)"
take
same 'grants' 3 "$(value podcred_agent_grants_total)"
same 'of Pod Identity: granted, refused' '2 2' "$(requests pod_identity granted) $(requests pod_identity refused)"
same 'of ECS: granted' 1 "$(requests ecs granted)"
same 'of IMDS: refused, other' '1 1' "$(requests imds refused) $(requests imds other)"
same 'by reason' '1 1 1 1' \
  "$(refusals no_association) $(refusals other_role) $(refusals bad_host) $(refusals direct)"
same 'every request has its time' 4 \
  "$(value 'podcred_agent_request_duration_seconds_count{service="pod_identity"}')"
same 'associations' 1 "$(value podcred_agent_associations)"

# ---- what waits ----
status nameless "http://$V4/v1/credentials" >"$ENV_TMP/status" &
waits() { take && [ "$(value podcred_agent_requests_waiting)" = 1 ] && echo "$SAMPLES" >"$ENV_TMP/waits"; }
check 'a request of a pod without a name waits' wait_for 5 waits
SAMPLES=$(cat "$ENV_TMP/waits")
same 'and is a connection of a pod' 1 "$(value 'podcred_agent_connections{owner="pod"}')"
wait $!
same 'until its time is up' 503 "$(cat "$ENV_TMP/status")"
take
same 'then nobody waits' '0 1' "$(value podcred_agent_requests_waiting) $(refusals pod_not_resolved)"
same 'it has waited, and is one request all the same' '2 3 0' \
  "$(for result in granted refused aborted; do requests pod_identity $result; done | xargs)"
check 'how long it took is in the histogram' jq -e \
  '.["podcred_agent_request_duration_seconds_sum{service=\"pod_identity\"}"] | . > 1.4 and . < 10' <<<"$SAMPLES"
check 'not among those of a second' jq -e \
  '.["podcred_agent_request_duration_seconds_bucket{service=\"pod_identity\",le=\"1\"}"] < 5' <<<"$SAMPLES"
same 'no client has made a time series' "$KEYS" "$(jq -cS keys <<<"$SAMPLES")"
check_not 'there is no name of a pod, and no secret' grep -qE 'web|shop|AKIA|secret-of|10\.99\.' <(scrape)
agent_stop

# ---- the address is taken ----
background "$ENV_TMP/holder" holds in_host python3 -c '
import socket, signal
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 7778))
s.listen()
print("holds", flush=True)
signal.sigwait([signal.SIGTERM])'
env_serve --user 65533
same 'the address is taken: the agent serves' 200 "$(status web "http://$V4/v1/credentials")"
same 'and says so in one line' '1 1' \
  "$(said "warn.*cannot listen on $AT: Address already in use.*without metrics, and tries again") $(said 'cannot listen')"
cgroup_signal "$ENV_CGROUP/host" TERM
check 'when it is free, the metrics come' wait_for 60 scrape
same 'which is said' 1 "$(said "metrics ready on http://$AT/metrics")"
agent_stop

# ---- where, and whether ----
printf 'metrics: "%s:9100"\n' "$NODE_V4" >"$ENV_TMP/config.yaml"
env_serve --user 65533 --config "$ENV_TMP/config.yaml"
AT=$NODE_V4:9100
check 'another address, from the configuration' scrape
for pod in web db; do in_pod "$pod" "$STARVE" flood "$NODE_V4" 9100 0.0.0.0 >"$ENV_TMP/flood.$pod" & done
flooded() { [ "$(cat "$ENV_TMP"/flood.* | grep -c ready)" = 2 ]; }
check 'pods flood it with half requests' wait_for 60 flooded
same 'every scrape is answered' 40 "$(for n in {1..40}; do scrape | grep -c '^podcred_agent_build_info'; done | grep -c 1)"
same 'and pods get their credentials' 200 "$(status web "http://$V4/v1/credentials")"
for pod in web db; do cgroup_signal "${POD_CGROUP[$pod]}/container" TERM; done
agent_stop
printf 'metrics: off\n' >"$ENV_TMP/config.yaml"
env_serve --user 65533 --config "$ENV_TMP/config.yaml"
same 'off: the agent serves' 200 "$(status web "http://$V4/v1/credentials")"
same 'and listens nowhere else' "$AGENT_PORT" \
  "$(in_node ss -Htln | awk '{ sub(/.*:/, "", $4); print $4 }' | sort -u | xargs)"
same 'without a word about it' 0 "$(said metrics)"
agent_stop

# ---- with what the resolver says about the node ----
AT=127.0.0.1:7778
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
mkdir "$ENV_TMP/run"
env_serve --user 65533 --node-metrics "$ENV_TMP/run/podcred.prom"
take
same 'before the resolver has written anything: 0, and nothing of the node' '0 null' \
  "$(value podcred_agent_node_metrics) $(value podcred_guard_complete)"
env_resolve --metrics "$ENV_TMP/run/podcred.prom"
passed_on() { take && [ "$(value podcred_agent_node_metrics)" = 1 ]; }
check 'what it has written is passed on' wait_for 10 passed_on
take
same 'all of it' "$(samples <"$ENV_TMP/run/podcred.prom" | jq -cS keys)" \
  "$(jq -cS '[keys[] | select(startswith("podcred_agent_") | not)]' <<<"$SAMPLES")"
same 'and the guard is complete' 1 "$(value podcred_guard_complete)"
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
take
same 'without a resolver: 0' '0 null' "$(value podcred_agent_node_metrics) $(value podcred_guard_complete)"
agent_stop

tap_done
