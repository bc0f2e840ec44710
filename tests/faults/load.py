#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pod that never rests: connects to guarded addresses, and now and then sends packets around the
hooks. Prints, on SIGTERM, what came of it: tried, ok, wrong,
real, unstamped, failed, and how many packets it could send.

usage: load.py UID connect|attack"""
import signal
import socket
import sys

ADDRESSES = ["169.254.169.254", "169.254.170.23", "fd00:ec2::23"]
UDPLITE = 136
count = dict.fromkeys(["tried", "ok", "wrong", "real", "unstamped", "failed", "sent"], 0)
stop = False


def end(*_):
    global stop
    stop = True


def outcome(data, uid):
    if b"REAL" in data:
        return "real"
    if b"uid=" in data:
        return "ok" if uid in data else "wrong"
    return "unstamped" if data else "failed"


def connect(address, uid):
    count["tried"] += 1
    try:
        with socket.create_connection((address, 80), timeout=1) as connection:
            return outcome(connection.recv(512), uid)
    except OSError:
        return "failed"


def send(*kind, port=80):
    try:
        with socket.socket(socket.AF_INET, *kind) as sender:
            sender.settimeout(0)
            sender.connect(("169.254.169.254", port))
            sender.send(b"around")
            count["sent"] += 1
    except OSError:
        pass


def attack():
    send(socket.SOCK_DGRAM, UDPLITE)
    send(socket.SOCK_RAW, 253)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"around", ("169.254.169.254", 53))
    except OSError:
        pass


signal.signal(signal.SIGTERM, end)
uid = sys.argv[1].encode()
print("ready", flush=True)
while not stop:
    for address in ADDRESSES:
        count[connect(address, uid)] += 1
    if sys.argv[2] == "attack":
        attack()
print(*(f"{key}={value}" for key, value in count.items()), flush=True)
