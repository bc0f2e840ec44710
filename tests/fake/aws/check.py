#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is the stand-in of AWS (aws.py) as strict as it says? A real client, Debian's boto3, asks; curl's signatures are tried too. As TAP.

usage: check.py [--only TEXT]
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.dirname(HERE))  # at the end: there is an http.py there
# pylint: disable=wrong-import-position
import aws

import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers
import botocore.utils

ROLE = "arn:aws:iam::111122223333:role/app"
TESTS = []


def test(what):
    def add(function):
        TESTS.append((what, function))
        return function
    return add


class Failed(Exception):
    pass


def same(want, got):
    if want != got:
        raise Failed(f"want: {want}\ngot:  {got}")


class Fixture:
    """A server, and clients of it. Unknown models are looked for in a folder of our own: that is where eks-auth is."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="podcred-aws-")
        self.model = os.path.join(self.folder, "models", "eks-auth", "2023-11-26")
        os.makedirs(self.model)
        shutil.copy(os.path.join(HERE, "eks-auth.json"), os.path.join(self.model, "service-2.json"))
        os.environ.update(AWS_DATA_PATH=os.path.join(self.folder, "models"), HOME=self.folder, AWS_EC2_METADATA_DISABLED="true")
        self.aws = aws.Aws(os.path.join(self.folder, "aws"))
        self.aws.cluster("demo")

    def client(self, service="sts", who="user", region="eu-west-1", attempts=1, **more):
        keys = dict(self.aws.credentials(who), **more.pop("keys", {}))
        config = botocore.config.Config(retries={"total_max_attempts": attempts, "mode": "standard"}, connect_timeout=2, read_timeout=2,
                                        **more.pop("config", {}))
        return boto3.Session().client(
            service, region_name=region, endpoint_url=more.get("url") or self.aws.listeners[service].url, config=config,
            aws_access_key_id=keys["accessKeyId"], aws_secret_access_key=keys["secretAccessKey"], aws_session_token=keys["sessionToken"])

    def who(self, **more):
        return self.client(**more).get_caller_identity()["Arn"]

    def assume(self, who="user", **more):
        return self.client(who=who).assume_role(**{"RoleArn": ROLE, "RoleSessionName": "shop.web", **more})

    def calls(self):
        with open(self.aws.path("calls.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def refused(code, status, function, *args, **more):
    """The client says so. Returns what it was told."""
    try:
        result = function(*args, **more)
    except botocore.exceptions.ClientError as error:
        same((code, status), (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
        return error.response["Error"]["Message"]
    raise Failed(f"want {code}, got {result}")


def broken(kind, function, *args, **more):
    try:
        result = function(*args, **more)
    except kind:
        return
    raise Failed(f"want {kind}, got {result}")


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


# ---- signatures ----


@test("the keys of a user, and those of the node with their session token")
def _(fx):
    same("arn:aws:iam::111122223333:user/podcred", fx.who())
    same("arn:aws:sts::111122223333:assumed-role/node/i-0123456789abcdef0", fx.who(who="node"))


@test("another secret, another session token, none, an unknown key")
def _(fx):
    refused("SignatureDoesNotMatch", 403, fx.who, keys={"secretAccessKey": "x" * 40})
    refused("InvalidClientTokenId", 403, fx.who, who="node", keys={"sessionToken": "x" * 40})
    refused("InvalidClientTokenId", 403, fx.who, who="node", keys={"sessionToken": None})
    refused("InvalidClientTokenId", 403, fx.who, keys={"accessKeyId": "AKIAEXAMPLEEXAMPLE12"})


@test("another region, and the clock of the server 16 minutes ahead or behind")
def _(fx):
    assert "us-east-1" in refused("SignatureDoesNotMatch", 403, fx.who, region="us-east-1")
    fx.aws.set(skew=960)
    assert "Signature expired" in refused("SignatureDoesNotMatch", 403, fx.who)
    fx.aws.set(skew=-960)
    assert "not yet current" in refused("SignatureDoesNotMatch", 403, fx.who)
    fx.aws.set(skew=840)
    fx.who()


@test("expired, revoked and new credentials of the node")
def _(fx):
    old = fx.aws.credentials("node")
    fx.aws.expire("node")
    refused("ExpiredToken", 403, fx.who, who="node")
    fx.aws.node()
    assert fx.aws.credentials("node") != old
    fx.who(who="node")
    fx.aws.revoke("node")


def curl(fx, *args, body="Action=GetCallerIdentity&Version=2011-06-15", scope="aws:amz:eu-west-1:sts", kind="application/x-www-form-urlencoded"):
    keys = fx.aws.credentials("user")
    out = subprocess.run(["curl", "-sS", "--aws-sigv4", scope, "--user", f"{keys['accessKeyId']}:{keys['secretAccessKey']}", "-d", body,
                          "-H", f"Content-Type: {kind}", *args, fx.aws.listeners["sts"].url + "/"], capture_output=True, text=True, check=True).stdout
    return (re.findall("<Code>(.*)</Code>|<Arn>(.*)</Arn>", out) or [(out, "")])[0]


@test("curl signs too; what is not as it must be is refused")
def _(fx):
    same(("", "arn:aws:iam::111122223333:user/podcred"), curl(fx))
    same("SignatureDoesNotMatch", curl(fx, scope="aws:amz:eu-west-1:iam")[0])
    same("MalformedInput", curl(fx, body="Action=GetCallerIdentity&Version=2011-06-15&Extra=1")[0])
    same("MalformedInput", curl(fx, body="Action=GetCallerIdentity&Version=2011-06-15&Version=2011-06-15")[0])
    same("InvalidAction", curl(fx, body="Action=GetCallerIdentity&Version=2010-01-01")[0])
    same("InvalidAction", curl(fx, body="Action=GetSessionToken&Version=2011-06-15")[0])
    same("MalformedInput", curl(fx, kind="text/plain")[0])
    same("ValidationError", curl(fx, body="Action=AssumeRole&Version=2011-06-15&RoleSessionName=ab")[0])
    same("MalformedInput", curl(fx, body="Action=AssumeRole&Version=2011-06-15&RoleSessionName=ab&Tags.member.2.Key=a")[0])


@test("a request that is changed after it was signed")
def _(fx):
    def change(part):
        client = fx.client()
        client.meta.events.register("before-send.sts.AssumeRole", part)
        return client.assume_role(RoleArn=ROLE, RoleSessionName="shop.web")

    def body(request, **_):
        request.body = request.body.replace("shop.web", "shop.db0")

    def header(request, **_):
        request.headers["X-Amz-New"] = "1"

    def unsigned(request, **_):
        del request.headers["Authorization"]

    def half(request, **_):
        request.headers["Authorization"] = request.headers["Authorization"].partition(b", Signature")[0]

    refused("SignatureDoesNotMatch", 403, change, body)
    refused("SignatureDoesNotMatch", 403, change, header)
    refused("MissingAuthenticationToken", 403, change, unsigned)
    refused("IncompleteSignature", 400, change, half)


# ---- AssumeRole ----


@test("AssumeRole: credentials that are good, and a line in the log without secrets")
def _(fx):
    got = fx.assume("node", Tags=tags(team="shop"), TransitiveTagKeys=["team"], DurationSeconds=900)
    same("arn:aws:sts::111122223333:assumed-role/app/shop.web", fx.who(who=got["Credentials"]["AccessKeyId"]))
    call = fx.calls()[-2]
    same(({"team": "shop"}, ["team"], ROLE, "shop.web", got["Credentials"]["AccessKeyId"], 200),
         tuple(call[name] for name in ("tags", "transitive", "roleArn", "sessionName", "issued", "status")))
    with open(fx.aws.path("calls.jsonl"), encoding="utf-8") as file:
        assert not any(secret in file.read() for secret in fx.aws.secrets())


@test("parameters by botocore's model")
def _(fx):
    for wrong in ({"RoleSessionName": "a/b"}, {"RoleSessionName": "x" * 65}, {"DurationSeconds": 899}, {"DurationSeconds": 43201},
                  {"ExternalId": "a b"}, {"Tags": tags(**{"a#b": "c"})}, {"Tags": tags(a="x" * 257)}, {"RoleArn": "arn:aws:iam::1:role/x"},
                  {"TransitiveTagKeys": ["a"] * 51}):
        unchecked = fx.client(config={"parameter_validation": False})
        refused("ValidationError", 400, unchecked.assume_role, **{"RoleArn": ROLE, "RoleSessionName": "ab", **wrong})
    fx.assume(Tags=tags(**{"täg /=+-@": "wért"}))


@test("tags: two that differ by case, aws:, transitive ones that are not there, inherited ones")
def _(fx):
    refused("InvalidParameterValue", 400, fx.assume, Tags=tags(team="a", Team="b"))
    refused("InvalidParameterValue", 400, fx.assume, Tags=tags(**{"aws:x": "a"}))
    refused("InvalidParameterValue", 400, fx.assume, Tags=tags(a="b"), TransitiveTagKeys=["c"])
    first = fx.assume(Tags=tags(team="shop", other="x"), TransitiveTagKeys=["team"])["Credentials"]["AccessKeyId"]
    refused("InvalidParameterValue", 400, fx.assume, first, Tags=tags(Team="shop"))
    second = fx.assume(first, Tags=tags(more="y"))["Credentials"]["AccessKeyId"]
    same({"team": "shop", "more": "y"}, fx.aws.credentials(second)["tags"])


@test("durations: of a chain, and of the role")
def _(fx):
    assert "role chaining" in refused("ValidationError", 400, fx.assume, "node", DurationSeconds=3601)
    assert "MaxSessionDuration" in refused("ValidationError", 400, fx.assume, DurationSeconds=3601)
    fx.aws.role(ROLE, max_session=7200)
    fx.assume(DurationSeconds=7200)
    fx.aws.set(chain_limit=0)
    fx.assume("node", DurationSeconds=7200)


@test("trust: external id, tags, another account, sts:TagSession, a role that trusts nobody")
def _(fx):
    fx.aws.role(ROLE, trust=[{"aws": ["arn:aws:iam::111122223333:role/node"], "external_id": "e/x"}])
    refused("AccessDenied", 403, fx.assume, "node")
    refused("AccessDenied", 403, fx.assume, "user", ExternalId="e/x")
    fx.assume("node", ExternalId="e/x")
    fx.aws.role(ROLE, trust=[{"aws": ["111122223333"], "request_tags": {"namespace": ["shop"]}}])
    refused("AccessDenied", 403, fx.assume, Tags=tags(namespace="other"))
    fx.assume(Tags=tags(namespace="shop"))
    fx.aws.forbid("arn:aws:iam::111122223333:user/podcred", "sts:TagSession")
    assert "sts:TagSession" in refused("AccessDenied", 403, fx.assume, Tags=tags(namespace="shop"))
    refused("AccessDenied", 403, fx.assume, RoleArn="arn:aws:iam::444455556666:role/app")
    fx.aws.role(ROLE, deny=True)
    refused("AccessDenied", 403, fx.assume)
    fx.aws.set(strict=True)
    refused("AccessDenied", 403, fx.assume, RoleArn=ROLE + "2")


@test("policies: malformed, and too large with the tags")
def _(fx):
    refused("MalformedPolicyDocument", 400, fx.assume, Policy="{")
    refused("PackedPolicyTooLarge", 400, fx.assume, Tags=[{"Key": f"k{n}", "Value": "v" * 250} for n in range(6)])
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    assert 0 < fx.assume(Policy=json.dumps(policy))["PackedPolicySize"] < 100


@test("a chosen lifetime and date; JSON on request")
def _(fx):
    fx.aws.set(at="2026-01-02T03:04:05Z", lifetime=60)
    call = dict(fx.aws.command({"state": []}))
    same(1767323045, call["now"])
    fx.aws.set(at=None)
    before = fx.aws.state()["now"]
    assert abs(fx.assume()["Credentials"]["Expiration"].timestamp() - before - 60) < 10
    fx.aws.set(lifetime=None)
    out = curl(fx, "-H", "Accept: application/json", body=f"Action=AssumeRole&Version=2011-06-15&RoleSessionName=ab&RoleArn={ROLE}")
    answer = json.loads(out[0])["AssumeRoleResponse"]["AssumeRoleResult"]
    assert isinstance(answer["Credentials"]["Expiration"], float), answer


# ---- web identity, EKS Auth ----


@test("AssumeRoleWithWebIdentity: a good token; another audience, an old one, a changed one, an unknown issuer, another subject")
def _(fx):
    def ask(token):
        return fx.client().assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="ab", WebIdentityToken=token)

    good = fx.aws.token(audience="sts.amazonaws.com")
    same("system:serviceaccount:shop:web", ask(good)["SubjectFromWebIdentityToken"])
    assert good not in json.dumps(fx.calls())
    refused("InvalidIdentityToken", 400, ask, fx.aws.token(audience="another"))
    refused("ExpiredTokenException", 400, ask, fx.aws.token(audience="sts.amazonaws.com", seconds=-1))
    refused("InvalidIdentityToken", 400, ask, good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"))
    refused("InvalidIdentityToken", 400, ask, aws.jwt.Issuer("https://elsewhere.test").token({"iss": "https://elsewhere.test"}))
    fx.aws.role(ROLE, trust=[{"oidc": aws.ISSUER, "sub": "system:serviceaccount:shop:db", "aud": "sts.amazonaws.com"}])
    refused("AccessDenied", 403, ask, good)


@test("tags in the token: transitive ones are inherited; malformed, too many, too long, not to be passed on twice, without sts:TagSession")
def _(fx):
    def ask(claim):
        token = fx.aws.own.token({"iss": aws.ISSUER, "aud": "sts.amazonaws.com", "sub": "s", "exp": fx.aws.world.now() + 60,
                                  "https://aws.amazon.com/tags": claim})
        return fx.client().assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="ab", WebIdentityToken=token)

    got = ask({"principal_tags": {"team": ["till"], "own": ["x"]}, "transitive_tag_keys": ["team"]})
    same({"team": "till", "own": "x"}, fx.calls()[-1]["tags"])
    assert got["PackedPolicySize"] > 0
    same(["team"], fx.aws.credentials(got["Credentials"]["AccessKeyId"])["transitive"])
    chained = fx.assume(who=got["Credentials"]["AccessKeyId"], RoleSessionName="next")
    same({"team": "till"}, fx.aws.credentials(chained["Credentials"]["AccessKeyId"])["tags"])
    refused("InvalidParameterValue", 400, fx.assume, who=got["Credentials"]["AccessKeyId"], Tags=tags(Team="till"))
    for claim in ([], {"principal_tags": {"team": "till"}}, {"principal_tags": {"team": ["a", "b"]}}, {"tags": {}}):
        refused("InvalidIdentityToken", 400, ask, claim)
    refused("InvalidParameterValue", 400, ask, {"principal_tags": {}, "transitive_tag_keys": ["team"]})
    refused("InvalidParameterValue", 400, ask, {"principal_tags": {"a": ["1"], "A": ["2"]}})
    refused("ValidationError", 400, ask, {"principal_tags": {"k" * 129: ["1"]}})
    refused("ValidationError", 400, ask, {"principal_tags": {"k": ["1" * 257]}})
    refused("ValidationError", 400, ask, {"principal_tags": {f"k{i}": ["1"] for i in range(51)}})
    fx.aws.role(ROLE, trust=[{"oidc": aws.ISSUER, "actions": ["sts:AssumeRoleWithWebIdentity"]}])
    refused("AccessDenied", 403, ask, {"principal_tags": {"team": ["till"]}})
    ask({})


@test("EKS Auth: an association; none, an old token, a changed one, another cluster, a forbidden node, expired keys")
def _(fx):
    def ask(token=None, cluster="demo", **more):
        return fx.client("eks-auth", "node", **more).assume_role_for_pod_identity(clusterName=cluster, token=token or good)

    good = fx.aws.token()
    refused("ResourceNotFoundException", 404, ask)
    fx.aws.associate("demo", "shop", "web", ROLE)
    got = ask()
    same({"namespace": "shop", "serviceAccount": "web"}, got["subject"])
    same(6, len(fx.calls()[-1]["tags"]))
    same(got["assumedRoleUser"]["arn"], fx.who(who=got["credentials"]["accessKeyId"]))
    refused("ExpiredTokenException", 400, ask, fx.aws.token(seconds=-1))
    refused("InvalidTokenException", 400, ask, fx.aws.token(audience="sts.amazonaws.com"))
    refused("InvalidTokenException", 400, ask, "a.b.c")
    refused("ResourceNotFoundException", 404, ask, cluster="other")
    refused("InvalidSignatureException", 403, ask, keys={"secretAccessKey": "x" * 40})
    fx.aws.forbid("arn:aws:iam::111122223333:role/node", "eks-auth:AssumeRoleForPodIdentity")
    refused("AccessDeniedException", 400, ask)
    fx.aws.expire("node")
    refused("ExpiredTokenException", 403, ask)


# ---- IMDS ----


def http(fx, method, path, **headers):
    request = urllib.request.Request(fx.aws.listeners["imds"].url + path, method=method,
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    with contextlib.closing(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)) as answer:
        return answer.read().decode()


def http_code(fx, *args, **headers):
    try:
        http(fx, *args, **headers)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


@test("IMDS: botocore gets the node's credentials")
def _(fx):
    fetcher = botocore.utils.InstanceMetadataFetcher(1, 1, base_url=fx.aws.listeners["imds"].url, env={})
    same(fx.aws.credentials("node")["secretAccessKey"], fetcher.retrieve_iam_role_credentials()["secret_key"])
    fx.aws.command({"node": None})
    same({}, fetcher.retrieve_iam_role_credentials())


@test("IMDS: what is no request for it")
def _(fx):
    ttl = "X_aws_ec2_metadata_token_ttl_seconds"
    for value in ("0", "21601", "x", ""):
        same(400, http_code(fx, "PUT", "/latest/api/token", **{ttl: value}))
    same(403, http_code(fx, "PUT", "/latest/api/token", X_Forwarded_For="10.0.0.1", **{ttl: "60"}))
    same(403, http_code(fx, "PUT", "/2021-01-03/api/token", **{ttl: "60"}))
    same(405, http_code(fx, "GET", "/latest/api/token"))
    same(401, http_code(fx, "GET", "/latest/meta-data/placement/region"))
    token = http(fx, "PUT", "/latest/api/token", **{ttl: "60"})
    same("eu-west-1", http(fx, "GET", "/latest/meta-data/placement/region", X_aws_ec2_metadata_token=token))
    same("", http(fx, "HEAD", "/latest/meta-data/placement/region", X_aws_ec2_metadata_token=token))
    same(404, http_code(fx, "GET", "/latest/nothing", X_aws_ec2_metadata_token=token))
    fx.aws.set(skew=61)
    same(401, http_code(fx, "GET", "/latest/meta-data/placement/region", X_aws_ec2_metadata_token=token))
    fx.aws.set(tokens="optional")
    same(200, http_code(fx, "GET", "/latest/meta-data/placement/region"))


# ---- faults ----


@test("errors on demand, for the calls that are meant, as often as was said")
def _(fx):
    fx.aws.fault(service="sts", do="error", code="Throttling", message="Rate exceeded", status=400, role=ROLE)
    fx.assume(RoleArn=ROLE + "2")
    same("Rate exceeded", refused("Throttling", 400, fx.assume))
    fx.assume()
    fx.aws.fault(service="sts", do="error", status=503, headers={"Retry-After": "1"}, times=2)
    same("arn:aws:iam::111122223333:user/podcred", fx.who(attempts=3))
    same([400, 200, 503, 503, 200], [call["status"] for call in fx.calls()][1:])
    fx.aws.associate("demo", "shop", "web", ROLE)
    fx.aws.fault(service="eks-auth", do="error", code="ThrottlingException", status=429)
    refused("ThrottlingException", 429, fx.client("eks-auth").assume_role_for_pod_identity, clusterName="demo", token=fx.aws.token())


@test("connections that end, answers that are cut off or no answers")
def _(fx):
    parse, gone = botocore.parsers.ResponseParserError, (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)
    for fault, kind in (({"do": "close"}, gone), ({"do": "reset"}, gone),
                        ({"do": "truncate", "bytes": 40}, (botocore.exceptions.HTTPClientError, parse)),
                        ({"do": "cut", "bytes": 40}, parse), ({"do": "garbage"}, parse),
                        ({"do": "answer", "status": 200, "body": "<html>proxy"}, parse),
                        ({"do": "mute"}, botocore.exceptions.ReadTimeoutError),
                        ({"do": "reset", "on": "connect"}, gone),
                        ({"do": "mute", "on": "connect"}, botocore.exceptions.ReadTimeoutError)):
        fx.aws.fault(service="sts", **fault)
        broken(kind, fx.who)
        same(0, fx.aws.state()["faults"])
    fx.aws.fault(service="sts", do="oversize", bytes=100000)
    fx.who()
    fx.aws.fault(service="sts", do="without", members=["SessionToken"])
    assert "SessionToken" not in fx.assume()["Credentials"]


@test("nobody listens, and again; connections that were kept are dropped")
def _(fx):
    client = fx.client()
    client.get_caller_identity()
    fx.aws.away("sts")
    gone = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)
    for _ in range(2):
        broken(gone, client.get_caller_identity)
    fx.aws.back("sts")
    client.get_caller_identity()


@test("a call is held until it is released, and can be waited for")
def _(fx):
    fx.aws.fault(service="sts", do="hold")
    asked = subprocess.Popen(["curl", "-sS", fx.aws.listeners["sts"].url, "-d", "Action=GetCallerIdentity"], stdout=subprocess.PIPE, text=True)
    same(1, fx.aws.wait(calls=1, service="sts"))
    same(1, len(fx.aws.state()["pending"]))
    fx.aws.release()
    same(1, fx.aws.wait(calls=1, service="sts", answered=True))
    assert "InvalidAction" in asked.communicate()[0]


def run(what, function, number):
    fixture = Fixture()
    try:
        function(fixture)
        print(f"ok {number} - aws.py: {what}", flush=True)
        return True
    except Exception as error:  # pylint: disable=broad-exception-caught
        print(f"not ok {number} - aws.py: {what}")
        print("\n".join("#   " + line for line in f"{type(error).__name__}: {error}".splitlines()), flush=True)
        if os.environ.get("TRACE"):
            raise
        return False
    finally:
        shutil.rmtree(fixture.folder, ignore_errors=True)


def main():
    only = sys.argv[2] if sys.argv[1:2] == ["--only"] else ""
    chosen = [(what, function) for what, function in TESTS if only in what]
    good = [run(what, function, number) for number, (what, function) in enumerate(chosen, 1)]
    print(f"1..{len(chosen)}")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
