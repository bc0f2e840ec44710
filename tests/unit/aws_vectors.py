#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests, and what botocore makes of them: a JSON object to a line. Some are written here, most are made up from a fixed seed."""
import json
import random
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

DATE = "20260102T030405Z"
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FQoExampleSessionToken=="
ARN = "arn%3Aaws%3Aeks%3Aeu-west-1%3A111122223333%3Apodidentityassociation%2Fdemo%2Fa-abcdefghijklmnop1"
LETTERS = "abcXYZ019-_.~"
SPECIAL = "%:/?&=+ ,;@!$'()*\"<>[]{}|^`\u00e9\u4e16"


def vector(name, target, method="GET", headers=(), body="", token=None, service="eks", region="eu-west-1", host="eks.eu-west-1.amazonaws.com"):
    request = botocore.awsrequest.AWSRequest(method=method, url=f"https://{host}{target}", data=body.encode())
    for key, value in headers:
        request.headers.add_header(key, value)
    auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials(KEY, SECRET, token), service, region)
    request.context["timestamp"] = DATE
    auth._modify_request_before_signing(request)  # pylint: disable=protected-access
    canonical = auth.canonical_request(request)
    auth._inject_signature_to_request(request, auth.signature(auth.string_to_sign(request, canonical), request))  # pylint: disable=protected-access
    print(json.dumps({"name": name, "method": method, "target": target, "headers": [["Host", host], *headers], "body": body, "token": token,
                      "service": service, "region": region, "canonical": canonical, "authorization": request.headers["Authorization"]}))


def word(rng, chars, most):
    return "".join(rng.choice(chars) for _ in range(rng.randint(1, most)))


def made_up(seed):
    rng = random.Random(seed)
    path = "".join("/" + rng.choice([urllib.parse.quote(word(rng, LETTERS + SPECIAL, 12), safe=""), word(rng, LETTERS, 8), ".", "..", ""])
                   for _ in range(rng.randint(1, 6)))
    names = [word(rng, LETTERS + SPECIAL, 3) for _ in range(rng.randint(0, 6))]
    query = "&".join(urllib.parse.quote(rng.choice(names), safe="-_.~") + "=" + urllib.parse.quote(word(rng, LETTERS + SPECIAL, 8), safe="-_.~")
                     for _ in names)
    headers = [(rng.choice(["X-Amz-Meta", "x-amz-b", "Content-Type", "X-Other-" + word(rng, "abc", 3), "Zone"]),
                rng.choice(["", " ", "\t"]) + word(rng, LETTERS + " \t,;=", 20) + rng.choice(["", "  "])) for _ in range(rng.randint(0, 5))]
    vector(f"made up, seed {seed}", path + ("?" + query if query else ""), rng.choice(["GET", "POST", "DELETE", "PUT"]), headers,
           word(rng, LETTERS + SPECIAL, 300) if rng.random() < 0.5 else "", TOKEN if rng.random() < 0.5 else None,
           rng.choice(["eks", "sts", "eks-auth", "rolesanywhere"]), rng.choice(["eu-west-1", "us-gov-west-1"]))


vector("no path", "/")
vector("an ARN in one segment", "/tags/" + ARN)
vector("the same, signed away", "/tags/" + ARN + "?tagKeys=x&tagKeys=y%20z", "DELETE", token=TOKEN)
vector("a query out of order", "/clusters/demo/x?serviceAccount=web&namespace=shop&maxResults=1&nextToken=a%2Fb%3D")
vector("names that are the beginning of others", "/?a=1&a-=2&a%3D=3&aa=4&a=0&A=5")
vector("a name without a value", "/?b&a=&c=1")
vector("dots and slashes", "/a/./b//../c/%2e%2e/d/")
vector("up beyond the root", "/../../")
vector("blanks", "/", headers=[("X-Amz-Meta", "  a \t b  c "), ("Zone", "")])
vector("a header three times", "/", headers=[("X-Amz-B", "z"), ("Zone", "1"), ("x-amz-b", " a  b "), ("X-AMZ-B", "")])
vector("headers whose names begin alike", "/", headers=[("X-Amz", "1"), ("X-Amz-A", "2"), ("X-Amz-", "3"), ("X", "4")])
vector("a body", "/clusters/demo/pod-identity-associations", "POST", [("Content-Type", "application/json")], '{"namespace":"shop"}', TOKEN)
vector("a port", "/", host="127.0.0.1:8443")
for number in range(400):
    made_up(number)
