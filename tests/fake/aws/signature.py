# SPDX-License-Identifier: Apache-2.0
"""Signature Version 4 as a service checks it. The signature is computed anew by botocore, from what came over the wire."""
import calendar
import collections
import hashlib
import hmac
import re
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from refused import Refused

ALGORITHM = "AWS4-HMAC-SHA256"
# What a refusal is called: by services with the query protocol, and by those with JSON.
CODES = {
    "query": {"missing": ("MissingAuthenticationToken", 403), "incomplete": ("IncompleteSignature", 400),
              "mismatch": ("SignatureDoesNotMatch", 403), "unknown": ("InvalidClientTokenId", 403), "expired": ("ExpiredToken", 403)},
    "json": {"missing": ("MissingAuthenticationTokenException", 403), "incomplete": ("IncompleteSignatureException", 403),
             "mismatch": ("InvalidSignatureException", 403), "unknown": ("UnrecognizedClientException", 403),
             "expired": ("ExpiredTokenException", 403)},
}
Request = collections.namedtuple("Request", "method target headers body")  # headers: (name, value) as they came
Authorization = collections.namedtuple("Authorization", "key date region service signed signature")


class _Signer(botocore.auth.SigV4Auth):
    """Signs just the headers that it is given: which ones those are is for the client to choose."""

    def headers_to_sign(self, request):
        headers = botocore.auth.HTTPHeaders()
        for name, value in request.headers.items():
            headers[name.lower()] = value
        return headers


def iso(seconds):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def from_iso(text):
    return calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ"))


class Verifier:
    """For one service in one region. window: seconds that X-Amz-Date may be off."""

    def __init__(self, service, region, protocol, window=900):
        self.service, self.region, self.codes, self.window = service, region, CODES[protocol], window

    def refuse(self, what, message):
        code, status = self.codes[what]
        raise Refused(code, message, status)

    def verify(self, request, now, principals):
        """The principal who has signed. principals: by access key id."""
        headers = collections.defaultdict(list)
        for name, value in request.headers:
            headers[name.lower()].append(value)
        twice = [name for name, values in headers.items() if len(values) > 1]
        if twice:
            self.refuse("incomplete", f"header {twice[0]} is there twice")
        headers = {name: values[0] for name, values in headers.items()}
        asked = self.parse(headers)
        date = self.date(headers)
        self.scope(asked, date)
        self.headers(asked, headers, request)
        self.fresh(date, now)
        principal = principals.get(asked.key)
        if principal is None or (principal.token or "") != headers.get("x-amz-security-token", ""):
            self.refuse("unknown", "The security token included in the request is invalid.")
        expected = self.sign(request, headers, asked, date, principal)
        if not hmac.compare_digest(expected, asked.signature):
            self.refuse("mismatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                                    "Access Key and signing method. Consult the service documentation for details.")
        if principal.expires is not None and principal.expires <= now:
            self.refuse("expired", "The security token included in the request is expired")
        return principal

    def parse(self, headers):
        text = headers.get("authorization")
        if not text:
            self.refuse("missing", "Missing Authentication Token" if self.service == "eks-auth" else "Request is missing Authentication Token")
        word, _, rest = text.partition(" ")
        if word != ALGORITHM:
            self.refuse("incomplete", f"Authorization header has the algorithm '{word[:40]}'.")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        for name in ("Credential", "SignedHeaders", "Signature"):
            if not parts.pop(name, None):
                self.refuse("incomplete", f"Authorization header requires '{name}' parameter.")
        if parts:
            self.refuse("incomplete", f"Authorization header has an unknown parameter '{sorted(parts)[0][:40]}'.")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        match = re.fullmatch(r"(\w{16,128})/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request", parts["Credential"], re.ASCII)
        if not match:
            self.refuse("incomplete", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
        if not re.fullmatch(r"[0-9a-f]{64}", parts["Signature"]):
            self.refuse("incomplete", "Signature is not 64 digits of lower-case hexadecimal.")
        return Authorization(*match.groups(), parts["SignedHeaders"].split(";"), parts["Signature"])

    def date(self, headers):
        text = headers.get("x-amz-date", "")
        if not re.fullmatch(r"\d{8}T\d{6}Z", text):
            self.refuse("incomplete", f"X-Amz-Date must be an ISO-8601 basic date, it is '{text[:40]}'.")
        try:
            from_iso(text)
        except ValueError:
            self.refuse("incomplete", f"X-Amz-Date is no date: '{text}'.")
        return text

    def scope(self, asked, date):
        if asked.date != date[:8]:
            self.refuse("mismatch", f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                                    f"'{asked.date}' != '{date[:8]}', from '{date}'.")
        if asked.region != self.region:
            self.refuse("mismatch", f"Credential should be scoped to a valid region, not '{asked.region}'. ")
        if asked.service != self.service:
            self.refuse("mismatch", f"Credential should be scoped to correct service: '{self.service}'. ")

    def headers(self, asked, headers, request):
        """Host, everything of Amazon's, and the type of a body must be signed; all that is signed must be there, in order."""
        if asked.signed != sorted(set(asked.signed)):
            self.refuse("mismatch", "SignedHeaders is not sorted, or names a header twice.")
        needed = {"host"} | {name for name in headers if name.startswith("x-amz-")}
        if request.body:
            needed.add("content-type")
        for name in sorted(needed - set(asked.signed)):
            self.refuse("mismatch", f"'{name}' must be a signed header in the Authorization header.")
        for name in asked.signed:
            if name not in headers:
                self.refuse("mismatch", f"The signed header '{name}' is not in the request.")
        digest = headers.get("x-amz-content-sha256")
        if digest is not None and digest != hashlib.sha256(request.body).hexdigest():
            self.refuse("mismatch", "X-Amz-Content-Sha256 is not the hash of the body.")

    def fresh(self, date, now):
        then, limit, minutes = from_iso(date), self.window, self.window // 60
        if then < now - limit:
            self.refuse("mismatch", f"Signature expired: {date} is now earlier than {iso(now - limit)} ({iso(now)} - {minutes} min.)")
        if then > now + limit:
            self.refuse("mismatch", f"Signature not yet current: {date} is still later than {iso(now + limit)} ({iso(now)} + {minutes} min.)")

    def sign(self, request, headers, asked, date, principal):
        signer = _Signer(botocore.credentials.Credentials(principal.key, principal.secret), self.service, self.region)
        again = botocore.awsrequest.AWSRequest(
            method=request.method, url=f"https://{headers['host']}{request.target}", data=request.body,
            headers={name: headers[name] for name in asked.signed})
        again.context["timestamp"] = date
        return signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
