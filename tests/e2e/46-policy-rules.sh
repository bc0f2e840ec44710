#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What rules of the policy select by (labels, hostNetwork), what a pod's annotations may do, audit of one
# pod, and IMDSv2: against a real service behind the node, and the agent.
set -u
# shellcheck source=tests/bypass/lib.sh
. "$(dirname "$0")/../bypass/lib.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

V4=169.254.169.254
CLIENT=$ENV_BUILD/tests/client

stat_of() { podcred status --json | jq ".counters.$1"; }
dial() { in_pod "$1" "$CLIENT" "$2" "$3" "${4:-80}" 2>&1 | sed -E 's/ uid=.*//'; }
real() { echo "peer=$1:80 REAL service"; }
mine() { echo "peer=$V4:80 pod=$1"; }
pod_of() { podcred pods --json | jq -r ".[] | select(.name == \"$1\")"; }
policy_of() { pod_of "$1" | jq -r '"\(.policy) \(.policyLine)"'; }
is_policy() { [ "$(policy_of "$1")" = "$2" ]; }
becomes() { # becomes WHAT POD POLICY: when the resolver has read the list
  env_podlist "$PODS"
  check "$1" wait_for 10 is_policy "$2" "$3" || policy_of "$2"
}
note_of() { podcred pods | awk -v pod="$1" '$3 == pod' | sed -E 's/^.*[0-9a-f]{12} +//'; }
reached() {
  python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
print(int.from_bytes(s.recv(8), sys.byteorder))' "$BYPASS_COUNTER"
}
settled() {
  local last now
  now=$(reached)
  while last=$now && sleep 0.2 && now=$(reached) && [ "$now" != "$last" ]; do :; done
  echo "$now"
}
arrive() { # how many packets arrived while a command ran
  local before
  before=$(settled)
  "$@" >/dev/null 2>&1
  echo $(($(settled) - before))
}
datagram() {
  in_pod "$1" python3 -c '
import socket
try:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("169.254.169.254", 123))
    print(s.send(b"x"))
except OSError as e:
    print(e.errno)'
}

bypass_up
PODS=$ENV_TMP/pods.json
cat >"$ENV_TMP/config.yaml" <<'YAML'
policy:
  - namespace: shop
    podSelector:
      matchLabels: {tier: node}
    action: exempt
  - podSelector:
      matchExpressions:
        - {key: tier, operator: In, values: [locked, closed]}
    action: deny
  - namespace: shop
    serviceAccount: trusted
    action: audit
  - hostNetwork: true
    action: deny
  - action: redirect
    imdsv2: required
    annotations: tighten
YAML
bypass_load
kill "$RESOLVE_PID"
wait "$RESOLVE_PID"
POD_META[other]='"labels":{"app":"cni","tier":"node"}'
env_resolve --config "$ENV_TMP/config.yaml"
bypass_agent

# ---- labels ----
same 'label: exempt' 'exempt 2' "$(policy_of other)"
same 'label: reaches the real address' "$(real $V4)" "$(dial other plain $V4)"
same 'without it: redirected' "$(mine web)" "$(dial web plain $V4)"
POD_META[other]='"labels":{"app":"cni","tier":"nodes"}'
becomes 'another value: as all others' other 'redirect 15'
same 'another value: redirected' "$(mine other)" "$(dial other plain $V4)"
POD_META[other]='"labels":{"tier":"closed"}'
becomes 'a set of values: deny' other 'deny 6'
same 'a set of values: refused' errno=EACCES "$(dial other plain $V4)"

# Of labels that cannot be read nobody is exempt, nor escapes a rule; the others are served.
POD_META[other]='"labels":{"tier":"node","tier":"node"}'
becomes 'labels that cannot be read: the strictest that may be meant' other 'deny 6'
same 'labels that cannot be read: refused' errno=EACCES "$(dial other plain $V4)"
same 'labels that cannot be read: it is said' 'deny by line 6, IMDS with a session token alone, its labels are not known' \
  "$(note_of other)"
same 'labels that cannot be read: by explain, too' \
  'deny by line 6, IMDS with a session token alone, its labels are not known' \
  "$(podcred explain --pod shop/other --json | jq -r '[.destinations[0].steps[] | select(.about == "policy").text][0]')"
same 'labels that cannot be read: no pod is skipped' 0 "$(podcred status --json | jq .list.skipped)"
same 'labels that cannot be read: another pod is served' "$(mine web)" "$(dial web plain $V4)"

# ---- hostNetwork ----
same 'hostNetwork: denied' 'deny 13' "$(policy_of hosted)"
same 'hostNetwork: refused' errno=EACCES "$(dial hosted plain $V4)"

# ---- annotations ----
POD_META[web]='"annotations":{"podcred.io/action":"deny"}'
becomes 'annotation: deny' web 'deny 15'
same 'annotation: refused' errno=EACCES "$(dial web plain $V4)"
same 'annotation: it is said' "deny by line 15 and the pod's annotations, IMDS with a session token alone" \
  "$(note_of web)"
POD_META[web]='"annotations":{"podcred.io/action":"redirect"}'
becomes 'annotation: redirect' web 'redirect 15'
POD_META[web]='"annotations":{"podcred.io/action":"exempt"}'
becomes 'annotation: nobody exempts itself' web 'deny 15'
POD_META[trusted]='"annotations":{"podcred.io/action":"deny"}'
POD_META[web]=
becomes 'annotation: gone' web 'redirect 15'
same 'annotation: where the rule does not allow it, it has no effect' 'audit 10' "$(policy_of trusted)"

# ---- audit of one pod ----
same 'audit: redirected like others' "$(mine trusted)" "$(dial trusted plain $V4)"
before=$(stat_of audited)
same 'audit: what would be refused reaches the real address, which has nothing there' errno=ECONNREFUSED \
  "$(dial trusted plain $V4 81)"
check 'audit: and is counted' test "$(stat_of audited)" -gt "$before"
same 'audit: not for others' errno=EACCES "$(dial web plain $V4 81)"
same 'audit: of a network of its own datagrams do not get past the node' '1 0' "$(datagram trusted) $(arrive datagram trusted)"
same 'audit: explain says so' 'dropped packet_forwarded' \
  "$(podcred explain --pod shop/trusted --to $V4:123 --protocol udp --json | jq -r '.destinations[0] | "\(.outcome) \(.reason)"')"
same 'audit: explain of a connection' 'passed denied_destination true' \
  "$(podcred explain --pod shop/trusted --to $V4:81 --json | jq -r '.destinations[0] | "\(.outcome) \(.reason) \(.audited)"')"
same 'audit: another pod gets no datagram out' 13 "$(datagram web)"

# It speaks for no other pod: not on that one's connection, not in the agent's name.
forge() { # forge SOURCE SPORT DEST DPORT: a segment with payload, from a raw socket
  in_pod trusted python3 - "$@" <<'PY'
import socket, struct, sys
source, sport, dest, dport = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
tcp = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 5 << 4, 0x18, 1024, 0, 0) + b"forged"
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, socket.inet_aton(source),
                 socket.inet_aton(dest))
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
s.sendto(ip + tcp, (dest, 0))
PY
}
counted() { [ "$(stat_of "$1")" -gt "$2" ]; }
audited=$(stat_of audited)
before=$(stat_of packet_forged)
forge "${POD_IP[web]}" 40000 "$NODE_V4" "$AGENT_PORT"
check 'audit: a segment on the connection of another is forged all the same' wait_for 10 counted packet_forged "$before"
before=$(stat_of packet_spoofed)
forge "$NODE_V4" "$AGENT_PORT" "${POD_IP[web]}" 40000
check 'audit: one in the name of the agent is spoofed all the same' wait_for 10 counted packet_spoofed "$before"
same 'audit: and neither is let through' "$audited" "$(stat_of audited)"

# ---- who is let through, and why ----
POD_META[other]='"labels":{"tier":"node"}'
becomes 'exempt again' other 'exempt 2'
report() { in_node "$PODCRED" doctor --pin-dir "$PIN_DIR" --no-probe --json | jq -r '.[] | select(.check == "policy") | "\(.result) \(.text)"'; }
same 'doctor: lists them by rule' \
  "warn 2 pods may get the node's role: shop/other (exempt by line 2), shop/trusted (audit by line 10)" "$(report)"
same 'pods: says by which rule' 'exempt by line 2' "$(note_of other)"
same 'explain: says by which rule' 'exempt by line 2' \
  "$(podcred explain --pod shop/other --json | jq -r '.destinations[0].steps[] | select(.about == "policy").text')"
same 'metrics: counts them' 'podcred_policy_pods{action="audit"} 1
podcred_policy_pods{action="deny"} 1
podcred_policy_pods{action="exempt"} 1' "$(podcred metrics | grep '^podcred_policy_pods' | sort)"

# ---- SIGHUP: the same pods, another policy ----
sed -i 's/tier: node}/tier: db}/' "$ENV_TMP/config.yaml"
kill -HUP "$RESOLVE_PID"
check 'another selector: judged anew' wait_for 10 is_policy other 'redirect 15' || policy_of other
sed -i 's/tier: db}/-tier: db}/' "$ENV_TMP/config.yaml"
kill -HUP "$RESOLVE_PID"
check 'a bad selector: the policy read before stays' wait_for 10 grep -q \
  'config.yaml:4: "-tier" is not the key of a label .*; the policy read before stays in force' "$ENV_TMP/resolve.log"
same 'a bad selector: nothing changes' 'redirect 15' "$(policy_of other)"
sed -i 's/-tier: db}/tier: node}/' "$ENV_TMP/config.yaml"
kill -HUP "$RESOLVE_PID"
check 'and back' wait_for 10 is_policy other 'exempt 2' || policy_of other

# ---- a resolver that starts before anybody can tell it of the pods ----
again() { # again PODS: another resolver, with the list in that file
  local before
  kill "$RESOLVE_PID"
  wait "$RESOLVE_PID" 2>/dev/null
  before=$(resolver_since)
  nsenter --net="/run/netns/$NODE_NETNS" "$PODCRED" resolve --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" \
    --pods "$1" --config "$ENV_TMP/config.yaml" >"$ENV_TMP/resolve.log" 2>&1 &
  RESOLVE_PID=$!
  resolver_wait "$before" || env_fail "the resolver is not ready: $(cat "$ENV_TMP/resolve.log")"
}
POD_META[web]='"annotations":{"podcred.io/action":"deny"}'
becomes 'one is denied by its annotation' web 'deny 15'
again "$ENV_TMP/not-there.json"
same 'no list yet: who was exempt by a label still is' 'exempt 2' "$(policy_of other)"
same 'no list yet: who was denied by an annotation still is' 'deny 15' "$(policy_of web)"
same 'no list yet: nobody else is denied, though the labels are not known' 'audit 10' "$(policy_of trusted)"
sed -i 's/tier: node}/tier: db}/; 0,/action: exempt/s//action: redirect/' "$ENV_TMP/config.yaml"
again "$ENV_TMP/not-there.json"
same 'no list yet, and the exemption is gone from the policy: the strictest that may be meant' 'deny 6' "$(policy_of other)"
sed -i 's/tier: db}/tier: node}/; 0,/action: redirect/s//action: exempt/' "$ENV_TMP/config.yaml"
again "$PODS"
check 'with a list: exempt again' wait_for 10 is_policy other 'exempt 2' || policy_of other
POD_META[web]=
becomes 'and the annotation is gone' web 'redirect 15'

# ---- imdsv2 ----
cgroup_signal "$AGENT_CGROUP" KILL
env_serve
CREDS=http://$V4/latest/meta-data/iam/security-credentials/
imds() { in_pod "$1" curl -s -m 10 -o "$ENV_TMP/body" -w '%{http_code}' "${@:2}"; }
token_of() { in_pod "$1" curl -s -m 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://$V4/latest/api/token; }
same 'imdsv2: without a token' 401 "$(imds web "$CREDS")"
check 'imdsv2: the log has the reason' wait_for 10 grep -q 'reason=imds_token_required' "$ENV_TMP/serve.log"
same 'imdsv2: with one' '200 web-role' "$(imds web -H "X-aws-ec2-metadata-token: $(token_of web)" "$CREDS") $(cat "$ENV_TMP/body")"
same 'imdsv2: with that of another pod' 401 "$(imds web -H "X-aws-ec2-metadata-token: $(token_of trusted)" "$CREDS")"
same 'imdsv2: where no rule wants one, none is needed' '200 trusted-role' "$(imds trusted "$CREDS") $(cat "$ENV_TMP/body")"
sed -i 's/imdsv2: required/imdsv2: optional/' "$ENV_TMP/config.yaml"
kill -HUP "$RESOLVE_PID"
optional() { pod_of web | jq -e '.imdsv2 == false'; }
check 'imdsv2: optional again' wait_for 10 optional
same 'imdsv2: then without a token' 200 "$(imds web "$CREDS")"
POD_META[web]='"annotations":{"podcred.io/imdsv2":"required"}'
env_podlist "$PODS"
required() { pod_of web | jq -e .imdsv2; }
check 'imdsv2: by annotation' wait_for 10 required
same 'imdsv2: by annotation, without a token' 401 "$(imds web "$CREDS")"
tap_done
