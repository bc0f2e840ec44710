# SPDX-License-Identifier: Apache-2.0
"""IAM Roles Anywhere: CreateSession, signed by a certificate of an authority that is a trust anchor."""
import base64
import json
import re
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import signature
from refused import Refused

ARN = r"arn:aws[a-z-]*:rolesanywhere:[a-z0-9-]+:\d{12}:%s/[a-f0-9-]{36}"
ALGORITHMS = {"AWS4-X509-RSA-SHA256": "rsa", "AWS4-X509-ECDSA-SHA256": "ec"}


class RolesAnywhere:
    name = "roles-anywhere"

    def __init__(self, world):
        self.world = world
        self.anchor = None  # PEM of the authority

    def answer(self, request, call):
        try:
            return 201, {}, ("application/json", json.dumps(self.run(request, call)).encode())
        except Refused as refused:
            call["error"] = refused.code
            return refused.status, refused.headers, self.write_error(request, refused, call)

    def write_error(self, _request, refused, _call):
        refused.headers["x-amzn-ErrorType"] = refused.code
        return "application/json", json.dumps({"message": refused.message}).encode()

    def request_headers(self, call):
        return {"x-amzn-RequestId": call["id"]}

    def run(self, request, call):
        path, _, query = request.target.partition("?")
        if request.method != "POST" or path != "/sessions":
            raise Refused("UnknownOperationException", f"{request.method} {path[:60]} is no operation", 404)
        call["action"] = "CreateSession"
        asked = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
        body = json.loads(request.body)
        if set(asked) != {"profileArn", "roleArn", "trustAnchorArn"} or set(body) - {"durationSeconds", "roleSessionName"}:
            raise Refused("ValidationException", f"parameters {sorted(asked)}, members {sorted(body)}")
        for name, kind in (("profileArn", "profile"), ("trustAnchorArn", "trust-anchor")):
            if not re.fullmatch(ARN % kind, asked[name]):
                raise Refused("ValidationException", f"{name} is '{asked[name][:80]}'")
        call["parameters"], call["roleArn"] = asked, asked["roleArn"]
        serial = self.verify(request)
        call["subject"] = serial
        session = self.world.add_session(asked["roleArn"], serial[:64], self.world.seconds(body.get("durationSeconds", 3600)))
        call.update(issued=session.key, expires=self.world.expiration_text(session))
        return {"credentialSet": [{
            "assumedRoleUser": {"arn": session.arn, "assumedRoleId": session.id}, "packedPolicySize": 0, "roleArn": asked["roleArn"],
            "credentials": {"accessKeyId": session.key, "secretAccessKey": session.secret, "sessionToken": session.token,
                            "expiration": self.world.expiration_text(session)}}], "subjectArn": "arn:aws:rolesanywhere:::subject/x"}

    def verify(self, request):
        """The decimal serial number of the certificate that has signed."""
        from cryptography import x509  # pylint: disable=import-outside-toplevel
        from cryptography.exceptions import InvalidSignature  # pylint: disable=import-outside-toplevel
        headers = {name.lower(): value for name, value in request.headers.items()}
        match = re.fullmatch(r"(\S+) Credential=(\d+)/(\d{8})/([a-z0-9-]+)/rolesanywhere/aws4_request, SignedHeaders=(\S+), Signature=([0-9a-f]+)",
                             headers.get("authorization", ""))
        if not match or match[1] not in ALGORITHMS or match[4] != self.world.region or match[3] != headers["x-amz-date"][:8]:
            raise Refused("AccessDeniedException", f"Authorization is '{headers.get('authorization', '')[:120]}'", 403)
        if not {"content-type", "host", "x-amz-date", "x-amz-x509"} <= set(match[5].split(";")):
            raise Refused("AccessDeniedException", f"only {match[5]} are signed", 403)
        leaf = x509.load_der_x509_certificate(base64.b64decode(headers["x-amz-x509"], validate=True))
        text = self.to_sign(request, headers, match)
        try:
            check(leaf.public_key(), match[1], bytes.fromhex(match[6]), text)
            check_issuer(x509.load_pem_x509_certificate(self.anchor.encode()), leaf)
        except (InvalidSignature, AttributeError, ValueError) as error:
            raise Refused("AccessDeniedException", f"Untrusted certificate or signature: {type(error).__name__}", 403) from None
        if int(match[2]) != leaf.serial_number or abs(signature.from_iso(headers["x-amz-date"]) - self.world.now()) > 900:
            raise Refused("AccessDeniedException", "the serial number is another one, or the time", 403)
        return str(leaf.serial_number)

    def to_sign(self, request, headers, match):
        signer = signature._Signer(botocore.credentials.Credentials("x", "x"), "rolesanywhere", self.world.region)  # pylint: disable=protected-access
        again = botocore.awsrequest.AWSRequest(method="POST", url=f"https://{headers['host']}{request.target}", data=request.body,
                                               headers={name: headers[name] for name in match[5].split(";")})
        again.context["timestamp"] = headers["x-amz-date"]
        return signer.string_to_sign(again, signer.canonical_request(again)).replace(signature.ALGORITHM, match[1], 1).encode()


def check(key, algorithm, signed, text):
    from cryptography.hazmat.primitives import hashes  # pylint: disable=import-outside-toplevel
    from cryptography.hazmat.primitives.asymmetric import ec, padding  # pylint: disable=import-outside-toplevel
    if ALGORITHMS[algorithm] == "ec":
        key.verify(signed, text, ec.ECDSA(hashes.SHA256()))
    else:
        key.verify(signed, text, padding.PKCS1v15(), hashes.SHA256())


def check_issuer(authority, leaf):
    from cryptography.hazmat.primitives.asymmetric import ec  # pylint: disable=import-outside-toplevel
    authority.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm))
