#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the agent of EKS (eks-pod-identity-agent) sends, which is written with AWS's SDK for Go, version 2.

stock_agent.py URL CA CLUSTER REGION OWN-TOKEN POD-TOKEN [FAULT]

It gets keys by AssumeRoleWithWebIdentity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ENDPOINT_URL_STS), signs with them, sends cluster
and token only, and gives up after a second. Prints the answer as JSON, or {"error": CODE, "status": N}. FAULT: skew (signed
an hour ago), body (changed after it was signed), region, key (of another id), replay (twice the same).
"""
import datetime
import http.client
import json
import ssl
import sys
import urllib.parse
import uuid
import xml.etree.ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials

SECONDS = 1
NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"


def send(url, authority, method, path, headers, body):
    place = urllib.parse.urlsplit(url)
    context = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPSConnection(place.hostname, place.port, timeout=SECONDS, context=context)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def keys_of(url, authority, token):
    body = urllib.parse.urlencode({
        "Action": "AssumeRoleWithWebIdentity", "RoleArn": "arn:aws:iam::111122223333:role/any", "RoleSessionName": "1764410000000000000",
        "Version": "2011-06-15", "WebIdentityToken": token}).encode()
    status, _, text = send(url, authority, "POST", "/", {
        "Host": urllib.parse.urlsplit(url).netloc, "User-Agent": "aws-sdk-go-v2/1.41.0 os/linux lang/go#1.25 api/sts#1.41.0",
        "Content-Length": str(len(body)), "Amz-Sdk-Invocation-Id": str(uuid.uuid4()), "Amz-Sdk-Request": "attempt=1; max=3",
        "Content-Type": "application/x-www-form-urlencoded", "Accept-Encoding": "gzip"}, body)
    root = xml.etree.ElementTree.fromstring(text)
    found = {e.tag.replace(NAMESPACE, ""): e.text for e in root.iter()}
    if status != 200:
        print(json.dumps({"error": found["Code"], "status": status}))
        sys.exit(0)
    datetime.datetime.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
    return botocore.credentials.Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def sign(url, cluster, region, keys, body, skew):
    request = botocore.awsrequest.AWSRequest("POST", f"{url}/clusters/{cluster}/assume-role-for-pod-identity", data=body, headers={
        "Host": urllib.parse.urlsplit(url).netloc, "User-Agent": "aws-sdk-go-v2/1.41.0 os/linux lang/go#1.25 api/eksauth#1.11.0",
        "Content-Length": str(len(body)), "Amz-Sdk-Invocation-Id": str(uuid.uuid4()), "Amz-Sdk-Request": "attempt=1; max=3",
        "Content-Type": "application/json", "Accept-Encoding": "gzip"})
    signer = botocore.auth.SigV4Auth(keys, "eks-auth", region)
    if skew:
        class Clock(datetime.datetime):
            @classmethod
            def utcnow(cls):
                return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(seconds=skew)

        botocore.auth.datetime = type("Module", (), {"datetime": Clock})
    signer.add_auth(request)
    return request


def main():
    url, authority, cluster, region, own, token, *fault = sys.argv[1:]
    keys = keys_of(url, authority, own)
    body = json.dumps({"token": token}).encode()
    if "key" in fault:
        keys.access_key = keys.access_key[:-1] + ("A" if keys.access_key[-1] != "A" else "B")
    request = sign(url, cluster, "us-east-2" if "region" in fault else region, keys, body, 3600 if "skew" in fault else 0)
    if "body" in fault:
        body = body.replace(b'{"token": ', b'{ "token":')
    for _ in range(2 if "replay" in fault else 1):
        status, headers, text = send(url, authority, "POST", f"/clusters/{cluster}/assume-role-for-pod-identity", dict(request.headers), body)
    answer = json.loads(text)
    if status != 200:
        answer = {"error": headers.get("x-amzn-ErrorType"), "status": status, "reason": answer.get("reason")}
    print(json.dumps(answer))


main()
