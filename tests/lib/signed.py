#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests that are signed by botocore, and perhaps changed on their way.

signed.py URL CA KEYS, and on its input a line for each request: METHOD TARGET [BODY] [NAME=VALUE...]

KEYS: a file with the answer of AWS's STS, as XML. BODY has no blanks. NAME: date, seconds to add to the clock; region, service; send, the body
that is sent instead; to, the target that is; drop, a header that is left out of the signature. For each it prints a line, "STATUS NAME" of the error.
"""
import datetime
import re
import ssl
import sys
import http.client
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

REAL = datetime.datetime


class Auth(botocore.auth.SigV4Auth):
    drop = ""

    def headers_to_sign(self, request):
        headers = super().headers_to_sign(request)
        del headers[self.drop]
        return headers


def keys(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return botocore.credentials.Credentials(*(re.search(f"<{name}>(.*?)</{name}>", text).group(1)
                                              for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))


def move_clock(seconds):
    """Of botocore, which asks for the time in one way or another."""
    real = REAL.utcnow
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda *_, **__: real() + datetime.timedelta(seconds=seconds)
    botocore.auth.datetime.datetime = type("Moved", (REAL,), {
        "utcnow": classmethod(lambda cls: real() + datetime.timedelta(seconds=seconds))})


def ask(url, authority, credentials, words):
    method, target, *rest = words
    body = rest[0] if rest and not re.match(r"[a-z]+=", rest[0]) else ""
    change = dict(word.split("=", 1) for word in rest if re.match(r"[a-z]+=", word))
    move_clock(int(change.get("date", 0)))
    request = botocore.awsrequest.AWSRequest(method=method, url=url + target, data=body or None,
                                             headers={"Content-Type": "application/json"} if body else {})
    auth = Auth(credentials, change.get("service", "eks"), change.get("region", "eu-west-1"))
    auth.drop = change.get("drop", "")
    auth.add_auth(request)
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(place.hostname, place.port, context=ssl.create_default_context(cafile=authority))
    connection.request(method, change.get("to", target), change.get("send", body) or None, dict(request.headers))
    answer = connection.getresponse()
    return " ".join([str(answer.status), answer.getheader("x-amzn-ErrorType") or ""]).strip()


def main():
    url, authority, key_file = sys.argv[1:]
    for line in sys.stdin:
        print(ask(url, authority, keys(key_file), line.split()), flush=True)


if __name__ == "__main__":
    main()
