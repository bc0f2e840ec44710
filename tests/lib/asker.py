#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ask for credentials without a pause until SIGTERM, and say what came.

usage: asker.py URL KEY fresh|kept
fresh: a new connection for each request, none of which may fail. kept: one connection for as long as it lasts, as
SDKs have it; a request on one that was closed meanwhile is sent again on a new connection, as they all do.
"""
import http.client
import json
import signal
import sys
import time
import urllib.parse

TIMEOUT_S = 10

url = urllib.parse.urlsplit(sys.argv[1])
key, kept = sys.argv[2], sys.argv[3] == "kept"
count = {"asked": 0, "failed": 0, "wrong": 0, "again": 0}
first_failure = ""
longest = 0.0
going = True
connection = None


def stop(*_):
    global going
    going = False


def ask_once():
    global connection
    connection = connection or http.client.HTTPConnection(url.hostname, url.port or 80, timeout=TIMEOUT_S)
    connection.request("GET", url.path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise OSError(f"{answer.status} {body[:200]!r}")
    return json.loads(body)["AccessKeyId"]


def hang_up():
    global connection
    if connection:
        connection.close()
    connection = None


def ask():
    used = connection is not None
    try:
        return ask_once()
    except (OSError, http.client.HTTPException):
        hang_up()
        if not used:
            raise
        count["again"] += 1
        return ask_once()


signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while going:
    started = time.monotonic()
    count["asked"] += 1
    try:
        count["wrong"] += ask() != key
    except (OSError, http.client.HTTPException) as error:
        count["failed"] += 1
        first_failure = first_failure or repr(error)
        hang_up()
    longest = max(longest, time.monotonic() - started)
    if not kept:
        hang_up()
    time.sleep(0.002)
print(*(f"{name}={n}" for name, n in count.items()), f"longest_ms={longest * 1000:.0f}", first_failure)
