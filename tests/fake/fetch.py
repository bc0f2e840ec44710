#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A podcred fetch that does as it is told: it answers the agent's questions over the real socket.

usage: fetch.py SOCKET DIR

DIR/mode, read for each question:
  grant [REFRESH_MS [LIFETIME_S]]  credentials, whose access key is ASIA, the pod's name, and a number that grows
  refuse REASON RETRY_MS
  hold                             no answer, until SIGUSR1
  garbage                          a packet that is no message
A document is the file of its path below DIR/tree, whatever the mode; where there is none, it is refused as not_found.
DIR/keys, when it starts: how tokens are verified, as the message says it. DIR/said has each message of the agent, one to a line. SIGUSR1: what is held is answered as DIR/mode says by now.
SIGUSR2: flush, of the pod whose uid is in DIR/flush, or of all. "ready" is printed when the agent has accepted us.
"""
import json
import os
import select
import signal
import socket
import sys
import time

PATIENCE_S = 20

path, folder = sys.argv[1:]
held = []
grants = 0


def mode():
    with open(os.path.join(folder, "mode"), encoding="ascii") as f:
        return f.read().split()


def dial():
    until = time.monotonic() + PATIENCE_S
    while True:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            s.connect(path)
            return s
        except OSError:
            s.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def send(message):
    agent.send(message if isinstance(message, bytes) else json.dumps(message).encode())


def grant(question, refresh_ms="3600000", lifetime_s="3600"):
    global grants
    grants += 1
    pod = question["pod"]
    return {
        "type": "grant", "id": question["id"],
        "accessKeyId": f"ASIA{pod.upper()}{grants}", "secretAccessKey": f"secret/{pod}",
        "sessionToken": f"token+{pod}", "expiration": int(time.time()) + int(lifetime_s),
        "refreshMs": int(refresh_ms), "role": f"{pod}-role",
        "roleArn": f"arn:aws-cn:iam::111122223333:role/x/{pod}-role", "accountId": "111122223333",
        "sessionName": f"shop.{pod}", "source": "sts", "cache": "miss",
    }


def refuse(question, reason, retry_ms):
    return {
        "type": "refusal", "id": question["id"], "reason": reason, "message": f"told so: {reason}",
        "retryMs": int(retry_ms), "source": "sts",
    }


def answer(question):
    how, *rest = mode()
    if how == "hold":
        held.append(question)
    elif how == "garbage":
        send(b"what?")
    else:
        send({"grant": grant, "refuse": refuse}[how](question, *rest))


def document(question):
    try:
        with open(os.path.join(folder, "tree", question["path"].lstrip("/")), encoding="ascii") as f:
            return {"type": "document", "id": question["id"], "body": f.read(), "validMs": 3600000}
    except OSError:
        return refuse(question, "not_found", 60000)


def on_signal(number):
    global held
    if number == signal.SIGUSR1:
        waiting, held = held, []
        for question in waiting:
            answer(question)
        return
    message = {"type": "flush"}
    if os.path.exists(os.path.join(folder, "flush")):
        with open(os.path.join(folder, "flush"), encoding="ascii") as f:
            message["podUid"] = f.read().strip()
    send(message)


def on_packet(packet):
    message = json.loads(packet)
    with open(os.path.join(folder, "said"), "a", encoding="utf-8") as f:
        f.write(json.dumps(message) + "\n")
    if message["type"] == "credentials":
        answer(message)
    elif message["type"] == "metadata":
        send(document(message))


wake_read, wake_write = os.pipe()
os.set_blocking(wake_write, False)
signal.set_wakeup_fd(wake_write)
for n in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(n, lambda *_: None)
agent = dial()
send({"type": "hello", "version": 1, "role": "fetch"})
if os.path.exists(os.path.join(folder, "keys")):
    with open(os.path.join(folder, "keys"), encoding="ascii") as f:
        send({"type": "keys", **json.load(f)})
print("ready", flush=True)
while True:
    ready, _, _ = select.select([agent, wake_read], [], [])
    if wake_read in ready:
        for n in os.read(wake_read, 64):
            on_signal(n)
    if agent in ready:
        packet = agent.recv(1 << 17)
        if not packet:
            sys.exit("the agent has ended the connection")
        on_packet(packet)
