#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Associate a service account, again and again, and ask all the while from a pod of it.

usage: associate.py CONTROL ACCOUNT URL ROUNDS     run in the pod; CONTROL: the socket of the stand-in API server
Each round has a role of its own. Prints, in milliseconds, the median and the 99th percentile from the object to the first
credentials, then from its deletion to the first answer without.
"""
import http.client
import json
import socket
import statistics
import sys
import time
import urllib.parse

ROLE = "arn:aws:iam::111122223333:role/round-"
LIMIT_S = 60

control, account, url, rounds = sys.argv[1], sys.argv[2], urllib.parse.urlsplit(sys.argv[3]), int(sys.argv[4])


def command(what):
    connection = http.client.HTTPConnection("control")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(control)
    connection.request("POST", "/", json.dumps(what))
    if connection.getresponse().status != 200:
        sys.exit(f"associate.py: refused: {what}")
    connection.close()


def has_credentials():
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=10)
    connection.request("GET", url.path)
    status = connection.getresponse().status
    connection.close()
    return status == 200


def until(wanted):
    """Milliseconds until the answer is of that kind."""
    started = time.monotonic()
    while has_credentials() != wanted:
        if time.monotonic() - started > LIMIT_S:
            sys.exit(f"associate.py: not {'associated' if wanted else 'withdrawn'} within {LIMIT_S} s")
        time.sleep(0.001)
    return (time.monotonic() - started) * 1000


def associate(number):
    command({"put": {"kind": "PodIdentityAssociation", "apiVersion": "podcred.io/v1alpha1",
                     "metadata": {"name": account, "namespace": "shop"}, "spec": {"roleArn": f"{ROLE}{number}"}}})
    return until(True)


def withdraw():
    command({"delete": ["podidentityassociations", "shop", account]})
    return until(False)


def report(took):
    return f"{statistics.median(took):.0f} {statistics.quantiles(took, n=100, method='inclusive')[98]:.0f}"


until(False)
given, gone = zip(*((associate(number), withdraw()) for number in range(rounds)))
print(report(given), report(gone))
