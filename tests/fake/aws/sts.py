# SPDX-License-Identifier: Apache-2.0
"""STS: AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity."""
import json
import os
import re
import urllib.parse
import uuid

import jwt
import shapes
import signature
import world as worlds
from refused import Refused

VERSION = "2011-06-15"
NAMESPACE = f"https://sts.amazonaws.com/doc/{VERSION}/"
UNSIGNED = ("AssumeRoleWithWebIdentity",)
TAGS_CLAIM = "https://aws.amazon.com/tags"


def published_keys(url, issuer):
    """The key set, found as STS finds it: by the discovery document of the issuer."""
    if "jwks" in issuer:
        return issuer["jwks"]
    with open(os.path.join(issuer["documents"], ".well-known/openid-configuration"), encoding="utf-8") as file:
        discovery = json.load(file)
    if discovery["issuer"] != url or not discovery["jwks_uri"].startswith(url + "/"):
        raise jwt.Bad("the discovery document is another issuer's")
    with open(os.path.join(issuer["documents"], discovery["jwks_uri"][len(url) + 1:]), encoding="utf-8") as file:
        return json.load(file)


def denied(who, action, role):
    return Refused("AccessDenied", f"User: {who} is not authorized to perform: {action} on resource: {role}", 403)


class Sts:
    name = "sts"

    def __init__(self, world):
        self.world = world
        self.model = shapes.load("sts/" + VERSION)
        self.verifier = signature.Verifier("sts", world.region, "query")

    # ---- requests ----

    def answer(self, request, call):
        """Status, headers and body of the answer. call: what is written to the log of it."""
        try:
            result = self.run(request, call)
            return 200, {}, self.write(request, result, call)
        except Refused as refused:
            call["error"] = refused.code
            return refused.status, refused.headers, self.write_error(request, refused, call)

    def run(self, request, call):
        if request.method != "POST" or request.target != "/":
            raise Refused("InvalidAction", f"{request.method} {request.target[:60]} is not POST /")
        kind = request.header("content-type") or ""
        if not re.fullmatch(r"application/x-www-form-urlencoded(; charset=utf-8)?", kind):
            raise Refused("MalformedInput", f"Content-Type is '{kind[:60]}'")
        form = self.form(request.body)
        call["action"] = action = form.pop("Action", "")
        version = form.pop("Version", "")
        if action not in self.model.operation_names or not hasattr(self, "do_" + action) or version != VERSION:
            raise Refused("InvalidAction", f"Could not find operation {action} for version {version}")
        self.describe(form, call)
        caller = None
        if action not in UNSIGNED:
            caller = self.verifier.verify(request.signed(), self.world.now(), self.world.principals)
            call["caller"], call["accessKeyId"] = caller.arn, caller.key
        elif request.header("authorization"):
            raise Refused("MalformedInput", f"{action} is not signed")
        return getattr(self, "do_" + action)(caller, self.parameters(action, form), call)

    def form(self, body):
        try:
            pairs = urllib.parse.parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
        except ValueError as error:
            raise Refused("MalformedInput", f"the body is no form: {error}") from None
        if len(dict(pairs)) != len(pairs):
            raise Refused("MalformedInput", "a parameter is there twice")
        return dict(pairs)

    def describe(self, form, call):
        call["parameters"] = {name: worlds.digest(value) if name == "WebIdentityToken" else value for name, value in form.items()}
        tags = {}
        for name, value in form.items():
            match = re.fullmatch(r"Tags\.member\.(\d+)\.Key", name)
            if match:
                tags[value] = form.get(f"Tags.member.{match[1]}.Value", "")
        call["tags"] = tags
        call["transitive"] = [value for name, value in form.items() if name.startswith("TransitiveTagKeys.member.")]
        call["roleArn"], call["sessionName"] = form.get("RoleArn"), form.get("RoleSessionName")

    def parameters(self, action, form):
        shape = self.model.operation_model(action).input_shape
        reader = shapes.Form(form)
        value = reader.read(shape) if shape else {}
        if reader.left:
            raise Refused("MalformedInput", f"'{sorted(reader.left)[0]}' is no parameter of {action}, or its number leaves a gap")
        checker = shapes.Checker()
        if shape:
            checker.check(shape, value)
        checker.refuse("ValidationError")
        return value

    # ---- actions ----

    def do_GetCallerIdentity(self, caller, _parameters, _call):
        return {"UserId": caller.id, "Account": caller.account, "Arn": caller.arn}

    def do_AssumeRole(self, caller, asked, call):
        arn = self.role_arn(asked["RoleArn"])
        tags = self.tags(asked, caller)
        self.assume_allowed(caller, arn, asked, tags)
        role = self.world.role(arn)
        seconds = self.duration(asked, role, caller)
        packed = self.packed(asked, tags)
        inherited = {key: caller.tags[key] for key in caller.transitive}
        session = self.world.add_session(
            arn, asked["RoleSessionName"], self.world.seconds(seconds), tags={**inherited, **tags},
            transitive=set(caller.transitive) | set(asked.get("TransitiveTagKeys", [])), source=asked.get("SourceIdentity") or caller.source)
        return self.result(session, packed, call)

    def assume_allowed(self, caller, arn, asked, tags):
        role = self.world.role(arn)
        context = {"caller": caller, "external_id": asked.get("ExternalId"), "tags": tags, "session_name": asked["RoleSessionName"]}
        actions = ["sts:AssumeRole"] + (["sts:TagSession"] if tags else []) + (["sts:SetSourceIdentity"] if "SourceIdentity" in asked else [])
        for action in actions:
            if role is None or not self.world.may(caller, action) or not self.world.trusts(role, action, context):
                raise denied(caller.arn, action, arn)

    def do_AssumeRoleWithWebIdentity(self, _caller, asked, call):
        arn = self.role_arn(asked["RoleArn"])
        claims = self.identity(asked["WebIdentityToken"])
        role = self.world.role(arn)
        tags, transitive = self.claimed_tags(claims)
        context = {"issuer": claims["iss"], "sub": claims["sub"], "aud": claims["aud"], "session_name": asked["RoleSessionName"], "tags": tags}
        call["subject"], call["tags"], call["transitive"] = claims["sub"], tags, transitive
        for action in ["sts:AssumeRoleWithWebIdentity"] + (["sts:TagSession"] if tags else []):
            if role is None or not self.world.trusts(role, action, context):
                raise Refused("AccessDenied", f"Not authorized to perform {action}", 403)
        seconds = self.duration(asked, role, None)
        packed = self.packed(asked, tags)
        session = self.world.add_session(arn, asked["RoleSessionName"], self.world.seconds(seconds), tags=tags, transitive=set(transitive))
        provider = self.world.arn("iam", "oidc-provider/" + claims["iss"].partition("://")[2])
        return dict(self.result(session, packed, call), SubjectFromWebIdentityToken=claims["sub"], Provider=provider,
                    Audience=worlds.as_list(claims["aud"])[0])

    def identity(self, token):
        self.world.keep_secret(token)
        try:
            claims = jwt.claims_of(token)
            issuer = self.world.issuers.get(claims.get("iss"))
            if issuer is None:
                raise Refused("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {claims.get('iss')}")
            claims = jwt.verify(token, published_keys(claims["iss"], issuer))
        except (jwt.Bad, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused("InvalidIdentityToken", f"Provided Token cannot be verified: {error}") from None
        now = int(self.world.now())
        if claims.get("exp", 0) <= now:
            raise Refused("ExpiredTokenException", f"Token expired: current date/time {now} must be before the expiration date/time "
                                                   f"{claims.get('exp', 0)}")
        if not set(worlds.as_list(claims.get("aud"))) & set(issuer["audiences"]):
            raise Refused("InvalidIdentityToken", "Incorrect token audience")
        return claims

    def claimed_tags(self, claims):
        """Session tags in the token: each has a list with one value. The limits are those of AssumeRole."""
        claim = claims.get(TAGS_CLAIM, {})
        if not isinstance(claim, dict) or set(claim) - {"principal_tags", "transitive_tag_keys"}:
            raise Refused("InvalidIdentityToken", "The tags in the token are malformed")
        asked = {"Tags": [], "TransitiveTagKeys": claim.get("transitive_tag_keys", [])}
        for key, values in claim.get("principal_tags", {}).items():
            if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], str):
                raise Refused("InvalidIdentityToken", f"The tag {key[:128]} has not one value")
            if not 1 <= len(key) <= 128 or len(values[0]) > 256 or not re.fullmatch(r"[\w .:/=+@-]*", key + values[0]):
                raise Refused("ValidationError", f"The tag {key[:128]} does not fit")
            asked["Tags"].append({"Key": key, "Value": values[0]})
        if len(asked["Tags"]) > 50:
            raise Refused("ValidationError", "more than 50 tags")
        return self.tags(asked, None), asked["TransitiveTagKeys"]

    def role_arn(self, arn):
        if not re.fullmatch(r"arn:[a-z-]+:iam::\d{12}:role/([\x21-\x7e]{1,511}/)?[\w+=,.@-]{1,64}", arn, re.ASCII):
            raise Refused("ValidationError", f"{arn} is invalid")
        return arn

    def tags(self, asked, caller):
        tags = {}
        for tag in asked.get("Tags", []):
            if tag["Key"].lower() in {key.lower() for key in tags}:
                raise Refused("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
            if tag["Key"].lower().startswith("aws:"):
                raise Refused("InvalidParameterValue", "aws: prefixed tag key names are not allowed for external use.")
            if caller is not None and tag["Key"].lower() in {key.lower() for key in caller.transitive}:
                raise Refused("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a "
                                                       "transitive tag key from the calling session.")
            tags[tag["Key"]] = tag["Value"]
        for key in asked.get("TransitiveTagKeys", []):
            if key not in tags:
                raise Refused("InvalidParameterValue", f"The specified transitive tag key {key} must be included in the requested tags.")
        return tags

    def duration(self, asked, role, caller):
        seconds = asked.get("DurationSeconds", 3600)
        if caller is not None and caller.role and self.world.chain_limit and seconds > self.world.chain_limit:
            raise Refused("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role "
                                             "chaining.")
        if seconds > role.get("max_session", 3600):
            raise Refused("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        return seconds

    def packed(self, asked, tags):
        worlds.check_policy(asked.get("Policy"))
        arns = [policy.get("arn", "") for policy in asked.get("PolicyArns", [])]
        if len(arns) > 10:
            raise Refused("LimitExceeded", "The number of managed policies is limited to 10.")
        percent = self.world.packed(tags, asked.get("Policy"), arns)
        if percent > 100:
            raise Refused("PackedPolicyTooLarge", f"Packed policy consumes {percent}% of allotted space, please use smaller policy.")
        return percent if tags or asked.get("Policy") or arns else None

    def result(self, session, packed, call):
        call["issued"], call["expires"] = session.key, self.world.expiration_text(session)
        return {"AssumedRoleUser": {"AssumedRoleId": session.id, "Arn": session.arn}, "PackedPolicySize": packed,
                "Credentials": {"AccessKeyId": session.key, "SecretAccessKey": session.secret, "SessionToken": session.token,
                                "Expiration": self.world.expiration_text(session)}}

    # ---- answers ----

    def wants_json(self, request):
        return (request.header("accept") or "").partition(";")[0].strip() == "application/json"

    def write(self, request, result, call):
        action = call["action"]
        if self.wants_json(request):
            if "Credentials" in result and self.world.expiration is None:
                session = self.world.principals[result["Credentials"]["AccessKeyId"]]
                result["Credentials"] = dict(result["Credentials"], Expiration=float(int(session.expires)))
            return "application/json", json.dumps({action + "Response": {action + "Result": result,
                                                                         "ResponseMetadata": {"RequestId": call["id"]}}}).encode()
        inner = shapes.to_xml(self.model.operation_model(action).output_shape, result, action + "Result")
        return "text/xml", (f'<{action}Response xmlns="{NAMESPACE}">\n  {inner}\n  <ResponseMetadata>\n    <RequestId>{call["id"]}</RequestId>'
                            f"\n  </ResponseMetadata>\n</{action}Response>\n").encode()

    def write_error(self, request, refused, call):
        kind = "Sender" if refused.status < 500 else "Receiver"
        if self.wants_json(request):
            return "application/json", json.dumps({"Error": {"Code": refused.code, "Message": refused.message, "Type": kind},
                                                   "RequestId": call["id"]}).encode()
        error = "".join(f"    <{name}>{escape(text)}</{name}>\n" for name, text in
                        (("Type", kind), ("Code", refused.code), ("Message", refused.message)))
        return "text/xml", (f'<ErrorResponse xmlns="{NAMESPACE}">\n  <Error>\n{error}  </Error>\n'
                            f"  <RequestId>{call['id']}</RequestId>\n</ErrorResponse>\n").encode()

    def request_headers(self, call):
        return {"x-amzn-RequestId": call["id"]}


def escape(text):
    return shapes.xml.sax.saxutils.escape(text)


def new_id():
    return str(uuid.uuid4())
