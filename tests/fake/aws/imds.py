# SPDX-License-Identifier: Apache-2.0
"""The instance metadata service of the node."""
import json
import secrets

import world as worlds
from refused import Refused

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
PAGE = ('<?xml version="1.0" encoding="iso-8859-1"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"\n'
        '\t"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">\n'
        " <head>\n  <title>{0}</title>\n </head>\n <body>\n  <h1>{0}</h1>\n </body>\n</html>\n")
TITLES = {400: "400 - Bad Request", 401: "401 - Unauthorized", 403: "403 - Forbidden", 404: "404 - Not Found",
          405: "405 - Method Not Allowed"}
TRAP = "TRAP-no-pod-may-see-this"


class Imds:
    """tokens: required, or optional (then a GET without one is answered: IMDSv1). paths: what else there is, below /latest/."""

    name = "imds"

    def __init__(self, world):
        self.world, self.tokens = world, "required"
        self.sessions = {}  # token: when it expires
        zone = world.region + "a"
        self.paths = {
            "meta-data/placement/region": world.region, "meta-data/placement/availability-zone": zone,
            "meta-data/placement/availability-zone-id": "euw1-az2", "meta-data/instance-id": "i-0123456789abcdef0",
            "meta-data/instance-type": "m7i.large", "meta-data/local-ipv4": "10.0.1.23", "meta-data/mac": "02:00:00:00:00:17",
            "meta-data/hostname": "ip-10-0-1-23.internal", "meta-data/local-hostname": "ip-10-0-1-23.internal",
            "meta-data/ami-id": "ami-0123456789abcdef0", "meta-data/services/partition": worlds.partition(world.region),
            "meta-data/services/domain": "amazonaws.com", "meta-data/instance-life-cycle": "on-demand",
            "dynamic/instance-identity/document": json.dumps({
                "accountId": world.account, "architecture": "x86_64", "availabilityZone": zone, "imageId": "ami-0123456789abcdef0",
                "instanceId": "i-0123456789abcdef0", "instanceType": "m7i.large", "privateIp": "10.0.1.23", "region": world.region,
                "version": "2017-09-30"}, indent=2),
            "user-data": TRAP, "dynamic/instance-identity/pkcs7": TRAP, "dynamic/instance-identity/signature": TRAP,
            "dynamic/instance-identity/rsa2048": TRAP, "meta-data/iam-eks-0/info": TRAP, "meta-data/public-keys/0/openssh-key": TRAP,
            "meta-data/identity-credentials/ec2/security-credentials/ec2-instance": TRAP,
        }

    def answer(self, request, call):
        call["action"] = f"{request.method} {request.target.partition('?')[0][:200]}"
        try:
            headers, body = self.run(request)
            return 200, headers, ("text/plain", body.encode())
        except Refused as refused:
            call["error"] = refused.code
            return refused.status, refused.headers, self.write_error(request, refused, call)

    def write_error(self, _request, refused, _call):
        return "text/html", PAGE.format(TITLES.get(refused.status, str(refused.status))).encode()

    def request_headers(self, _call):
        return {"Server": "EC2ws"}

    def refuse(self, status, why):
        raise Refused(str(status), why, status)

    def run(self, request):
        version, _, path = request.target.partition("?")[0].lstrip("/").partition("/")
        if path == "api/token":
            return self.token(request, version)
        if request.method not in ("GET", "HEAD"):
            self.refuse(405, "only GET and HEAD")
        headers = self.session(request)
        if version != "latest" and not version[:1].isdigit():
            self.refuse(404, "no such version")
        return headers, self.item(path)

    def token(self, request, version):
        if request.method != "PUT":
            self.refuse(405, "the token is for PUT")
        if version != "latest" or request.header("x-forwarded-for") is not None:
            self.refuse(403, "not latest, or forwarded")
        ttl = request.header(TTL) or ""
        if not ttl.isdigit() or not 1 <= int(ttl) <= 21600 or request.body:
            self.refuse(400, "a time to live of 1 to 21600 seconds, and no body")
        token = self.world.keep_secret(secrets.token_urlsafe(40) + "==")
        self.sessions[token] = self.world.now() + int(ttl)
        return {TTL: ttl}, token

    def session(self, request):
        token = request.header("x-aws-ec2-metadata-token")
        if token is None and self.tokens == "optional":
            return {}
        left = self.sessions.get(token, 0) - self.world.now()
        if left <= 0:
            self.refuse(401, "no token, or an old one")
        return {TTL: str(int(left))}

    def item(self, path):
        role = worlds.role_name(self.world.node.role) if self.world.node else None
        if role and path.rstrip("/") == "meta-data/iam/security-credentials":
            return role
        if role and path.rstrip("/") == "meta-data/iam/security-credentials/" + role:
            return self.credentials()
        if role and path.rstrip("/") == "meta-data/iam/info":
            return json.dumps({"Code": "Success", "LastUpdated": worlds.stamp(self.world.node.issued), "InstanceProfileId": "AIPAEXAMPLEEXAMPLE123",
                               "InstanceProfileArn": self.world.arn("iam", "instance-profile/" + role)}, indent=2)
        if path.rstrip("/") in self.paths:
            return self.paths[path.rstrip("/")]
        return self.listing(path)

    def listing(self, path):
        prefix = path.rstrip("/") + "/" if path.rstrip("/") else ""
        below = sorted({name[len(prefix):].partition("/")[0] + ("/" if "/" in name[len(prefix):] else "")
                        for name in self.paths if name.startswith(prefix)})
        if not below:
            self.refuse(404, "no such item")
        return "\n".join(below)

    def credentials(self):
        node = self.world.node
        return json.dumps({
            "Code": "Success", "LastUpdated": worlds.stamp(node.issued), "Type": "AWS-HMAC", "AccessKeyId": node.key,
            "SecretAccessKey": node.secret, "Token": node.token, "Expiration": worlds.stamp(node.expires)}, indent=2)
