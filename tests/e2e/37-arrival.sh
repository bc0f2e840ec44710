#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A redirected connection ends at the agent or nowhere, whatever the node does with its packets: no byte
# of a request comes to anybody else, and no answer of anybody else is read.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

CLIENT=$ENV_BUILD/tests/client
HAMMER=$ENV_BUILD/tests/hammer
V4=169.254.170.23
V6=fd00:ec2::23
URL=http://$V4/v1/credentials

# Answers with credentials of its own before it has read anything, and keeps what it is sent.
cat >"/tmp/$ENV_ID-hijacker.py" <<'PY'
import socket, sys, threading
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"AccessKeyId":"STOLEN"}'
def serve(connection, log):
    connection.sendall(ANSWER)
    while data := connection.recv(4096):
        log.write(data)
        log.flush()
with open(sys.argv[1], "wb") as log:
    server = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0], log), daemon=True).start()
PY

stat_of() { podcred status --json | jq ".counters.$1"; }
# ask POD [URL]: the key that its client gets, or what curl says
ask() {
  in_pod "$1" curl -s -m 10 -H "Authorization: token-of-$1" "${2:-$URL}" >"$ENV_TMP/answer" 2>&1 ||
    { echo "curl $?" && return; }
  jq -r .AccessKeyId "$ENV_TMP/answer"
}
stolen() { wc -c <"$ENV_TMP/stolen"; }
# As hostPort and externalIPs do it: what comes for the agent's port goes to a pod.
nat_on() {
  in_node nft -f - <<NFT
table inet hijack {
  chain prerouting {
    type nat hook prerouting priority dstnat
    fib daddr type local meta nfproto ipv4 tcp dport $AGENT_PORT dnat ip to ${POD_IP[db]}:8080
    fib daddr type local meta nfproto ipv6 tcp dport $AGENT_PORT dnat ip6 to [${POD_IP6[db]}]:8080
  }
  chain output {
    type nat hook output priority -100
    fib daddr type local meta nfproto ipv4 tcp dport $AGENT_PORT dnat ip to ${POD_IP[db]}:8080
    fib daddr type local meta nfproto ipv6 tcp dport $AGENT_PORT dnat ip6 to [${POD_IP6[db]}]:8080
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ct status dnat masquerade
  }
}
NFT
}
nat_off() { in_node nft delete table inet hijack; }

env_up systemd
mv "/tmp/$ENV_ID-hijacker.py" "$ENV_TMP/hijacker.py"
pod_add web burstable
pod_add db guaranteed
pod_add netd besteffort host
pod_add crowd burstable
# The agent is older than the programs: no callback of its listener said that they are there.
env_associations >"$ENV_TMP/associations.yaml"
background "$ENV_TMP/older" ready in_agent "$ENV_BUILD/tests/who" "$NODE_V4" "$AGENT_PORT"
env_load >/dev/null || env_fail 'load failed'
env_resolve
in_node sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.tcp_fastopen=3
check 'an agent that listened before the load is reached' \
  grep -q 'pod=web' <(in_pod web "$CLIENT" plain $V4 80)
cgroup_signal "$AGENT_CGROUP" TERM
env_serve
background "$ENV_TMP/hijacker" ready in_pod db python3 "$ENV_TMP/hijacker.py" "$ENV_TMP/stolen"

same 'without translation the agent answers' 'AKIAWEB AKIANETD' "$(ask web) $(ask netd)"

# ---- translation on the node ----
nat_on
check 'with it, the agent cannot be reached' \
  test "$(in_host curl -s "http://$NODE_V4:$AGENT_PORT/" | jq -r .AccessKeyId)" = STOLEN
own=$(stolen)
for pod in web netd; do
  for url in "$URL" "http://[$V6]/v1/credentials"; do
    before=$(stat_of diverted)
    same "$pod, $url: an error, and no credentials" curl "$(ask $pod "$url" | cut -d' ' -f1)"
    check "$pod, $url: counted as diverted" test "$(stat_of diverted)" -gt "$before"
  done
done
same "the agent's own address, dialled by a pod: an error, too" curl \
  "$(ask web "http://$NODE_V4:$AGENT_PORT/" | cut -d' ' -f1)"
for way in nonblock plain-mapped tfo-send tfo-connect; do
  check_not "$way: no answer is read" grep -q HTTP <(in_pod web "$CLIENT" "$way" $V4 80 2>&1)
done
same 'no byte came to the other pod' "$own" "$(stolen)"

# Many of them: none stays in the pod's quota, and their events leave room for others. Of a pod that has
# had none, so that the first is reported.
trace_into() { exec "$PODCRED" trace --json --pin-dir "$PIN_DIR" >"$ENV_TMP/trace"; }
background "$ENV_TMP/trace.err" tracing trace_into
TRACE_PID=$!
cat >"$ENV_TMP/many.py" <<'PY'
import collections, errno, socket, sys
results = collections.Counter()
for _ in range(int(sys.argv[2])):
    s = socket.socket()
    try:
        s.connect((sys.argv[1], 80))
        s.send(b"token")
        results["connected"] += 1
    except OSError as e:
        results[errno.errorcode[e.errno]] += 1
    s.close()
print(*(f"{k}={v}" for k, v in results.items()))
PY
before=$(stat_of diverted) quota=$(stat_of quota) lost=$(stat_of event_lost) started=$SECONDS
same '1000 connections are severed, and none is in the way of the next' connected=1000 \
  "$(in_pod crowd python3 "$ENV_TMP/many.py" $V4 1000)"
most=$((SECONDS - started + 3))
same 'each is counted' 1000 $(($(stat_of diverted) - before))
same 'and none pends' "[] $quota" "$(podcred flows --json) $(stat_of quota)"
in_pod web "$CLIENT" udp-sendto $V4 4711 >/dev/null
told() { grep -q '"port":4711' "$ENV_TMP/trace"; }
check 'an event of another kind is there' wait_for 10 told || cat "$ENV_TMP/trace"
reported=$(grep -c '"reason":"diverted"' "$ENV_TMP/trace")
check "of the 1000 at most one a second is reported, but some ($reported)" \
  test "$reported" -ge 1 -a "$reported" -le $most
same 'no event was lost' "$lost" "$(stat_of event_lost)"
kill "$TRACE_PID"
wait "$TRACE_PID"
same 'still no byte came to the other pod' "$own" "$(stolen)"

# The other pod answers the SYN with a SYN of its own: two that cross make a connection without a SYN-ACK,
# and the segment that completes it may carry data. Its own kernel must not answer first.
cat >"$ENV_TMP/crossed.py" <<'PY'
import os, socket, struct, sys

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"AccessKeyId":"STOLEN"}'
SYN, ACK, ISN = 2, 16, 1000

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

def send(to, seq, ack, flags, data=b""):
    own, other, port = to
    data += b" " * (len(data) % 2)
    tcp = struct.pack("!HHIIBBHHH", 8080, port, seq, ack, 5 << 4, flags, 65000, 0, 0) + data
    pseudo = own + other + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    out.sendto(tcp, (socket.inet_ntoa(other), 0))

tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
print("ready", os.getpid(), flush=True)
with open(sys.argv[1], "wb") as log:
    while True:
        packet, origin = tap.recvfrom(65536)
        if packet[9] != 6 or origin[2] == socket.PACKET_OUTGOING:
            continue
        length, segment = struct.unpack("!H", packet[2:4])[0], packet[(packet[0] & 15) * 4:]
        source, dest, seq = struct.unpack("!HHI", segment[:8])
        if dest != 8080:
            continue
        to, flags = (packet[16:20], packet[12:16], source), segment[13]
        data = segment[(segment[12] >> 4) * 4:]
        print("SYN" if flags == SYN else "other", flush=True)
        if flags & (SYN | ACK) == SYN:
            send(to, ISN, 0, SYN)
        elif flags & SYN:
            send(to, ISN + 1, seq + 1, ACK, ANSWER)
        elif data:
            log.write(data)
            log.flush()
            send(to, ISN + 1 + len(ANSWER), seq + len(data), ACK)
PY
in_netns "${POD_NETNS[db]}" nft -f - <<'NFT'
table inet quiet {
  chain input {
    type filter hook input priority 0
    tcp dport 8080 drop
  }
}
NFT
background "$ENV_TMP/crossed" ready in_pod db python3 "$ENV_TMP/crossed.py" "$ENV_TMP/crossed.stolen"
before=$(stat_of diverted)
same 'two SYNs that cross: an error, and no credentials' curl "$(ask web | cut -d' ' -f1)"
check 'the SYN was answered so' grep -q '^SYN' "$ENV_TMP/crossed"
check 'and that is counted as diverted' test "$(stat_of diverted)" -gt "$before"
check_not 'and no byte is given away' test -s "$ENV_TMP/crossed.stolen"
crossed=$(sed -n 's/^ready //p' "$ENV_TMP/crossed")
kill "$crossed" # or it answers in what follows, too
wait_for 10 test ! -e "/proc/$crossed"
in_netns "${POD_NETNS[db]}" nft delete table inet quiet

# ---- and without it again ----
nat_off
same 'with the translation gone pods are served at once' 'AKIAWEB AKIANETD' "$(ask web) $(ask netd)"
same 'over IPv6 too' AKIAWEB "$(ask web "http://[$V6]/v1/credentials")"

# ---- mode audit: seen, and let pass ----
echo 'mode: audit' >"$ENV_TMP/config.yaml"
env_load --config "$ENV_TMP/config.yaml" >/dev/null || env_fail 'load failed'
nat_on
before="$(stat_of diverted) $(stat_of audited)"
same 'mode audit: what is diverted passes' STOLEN "$(ask web)"
check 'and is counted' test "$(stat_of diverted) $(stat_of audited)" != "$before"
nat_off
env_load >/dev/null || env_fail 'load failed'

# ---- a socket that was severed connects again ----
cat >"$ENV_TMP/again.py" <<'PY'
import ctypes, errno, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
s = socket.socket()
said = []
connect = lambda: s.connect((sys.argv[1], 80))
disconnect = lambda: libc.connect(s.fileno(), bytes(16), 16) # AF_UNSPEC
for step in connect, lambda: s.recv(1), disconnect, connect:
    try:
        said.append("data" if step() else "ok")
    except OSError as e:
        said.append(errno.errorcode[e.errno])
print(*said)
PY
nat_on
before="$(stat_of severed) $(stat_of bound_to_device)"
same 'a socket that was severed connects again: refused' 'ok ETIMEDOUT ok EACCES' \
  "$(in_pod web python3 "$ENV_TMP/again.py" $V4)"
same 'and counted as that' "$((${before% *} + 1)) ${before#* }" "$(stat_of severed) $(stat_of bound_to_device)"
nat_off

# ---- a socket that could not be severed ----
cat >"$ENV_TMP/bound.py" <<'PY'
import errno, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    print("connected")
except OSError as e:
    print(errno.errorcode[e.errno])
PY
for to in "$V4 80" "$NODE_V4 $AGENT_PORT"; do
  before=$(stat_of bound_to_device)
  # shellcheck disable=SC2086 # address and port
  same "a socket bound to an interface: refused ($to)" EACCES "$(in_pod web python3 "$ENV_TMP/bound.py" $to)"
  same 'and counted' $((before + 1)) "$(stat_of bound_to_device)"
done

# ---- every way in which a SYN is answered, and nobody is refused who arrives ----
cgroup_signal "$AGENT_CGROUP" TERM
for pod in web db; do
  printf '%s %s\n' "${POD_IP[$pod]}" "${POD_UID[$pod]}" "${POD_IP6[$pod]}" "${POD_UID[$pod]}"
done >"$ENV_TMP/expected"
cookies() { in_node nstat -az TcpExtSyncookiesSent | awk 'END { print $2 }'; }
hammered() {
  in_pod web "$HAMMER" client full $V4 80 1000 2 "${POD_UID[web]}"
  in_pod db "$HAMMER" client full $V6 80 1000 2 "${POD_UID[db]}"
}
before=$(stat_of diverted)
for mode in 1 2; do
  in_node sysctl -qw "net.ipv4.tcp_syncookies=$mode"
  background "$ENV_TMP/agent" ready in_agent "$HAMMER" server "$ENV_TMP/expected" 2 "$NODE_V4" \
    "$AGENT_PORT" "$NODE_V6" "$AGENT_PORT"
  same "tcp_syncookies=$mode: of 2000 connections none is refused" \
    "$(for _ in 1 2; do echo connected=1000 failed=0 wrong=0 unstamped=0 unnamed=0 errno=-; done)" \
    "$(hammered)"
  cgroup_signal "$AGENT_CGROUP" TERM
done
check "cookies were sent ($(cookies))" test "$(cookies)" -gt 0
for fastopen in --fastopen ''; do
  # shellcheck disable=SC2086 # one word or none
  background "$ENV_TMP/agent" ready in_agent "$ENV_BUILD/tests/who" $fastopen '*' "$AGENT_PORT"
  for mode in 1 2; do
    in_node sysctl -qw "net.ipv4.tcp_syncookies=$mode"
    for to in "plain $V4" "plain-mapped $V4" "plain $V6" "tfo-send $V4" "tfo-send $V4" "tfo-connect $V6"; do
      # shellcheck disable=SC2086 # way and address
      check "a listener of both families, ${fastopen:-no Fast Open}, cookies $mode: $to" \
        grep -q ' pod=web' <(in_pod web "$CLIENT" $to 80 2>&1)
    done
  done
  cgroup_signal "$AGENT_CGROUP" TERM
done
# An empty SYN with a cookie makes the agent's socket before the SYN is answered.
cat >"$ENV_TMP/empty.py" <<'PY'
import socket, sys
def dial(data):
    s = socket.socket()
    s.sendto(data, 0x20000000, (sys.argv[1], 80))  # MSG_FASTOPEN
    return s
dial(b"x").recv(100)
answers = [dial(b"").recv(100) for _ in range(20)]
print(sum(b"pod=web" in a for a in answers))
PY
in_node sysctl -qw net.ipv4.tcp_syncookies=1
background "$ENV_TMP/agent" ready in_agent "$ENV_BUILD/tests/who" --fastopen "$NODE_V4" "$AGENT_PORT"
same 'an empty SYN with a Fast Open cookie: 20 of 20 are served' 20 \
  "$(in_pod web python3 "$ENV_TMP/empty.py" $V4 2>&1)"
check 'and so the agent was ahead of the answer' test \
  "$(in_node nstat -az TcpExtTCPFastOpenPassive | awk 'END { print $2 }')" -gt 0
same 'none of these was diverted' "$before" "$(stat_of diverted)"
same 'and every socket that was diverted could be severed' 0 "$(stat_of not_severed)"
tap_done
