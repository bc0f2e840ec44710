# SPDX-License-Identifier: Apache-2.0
"""What the services have in common: the clock, who there is, roles and whom they trust, issuers of tokens."""
import base64
import calendar
import dataclasses
import hashlib
import json
import os
import re
import secrets
import string
import threading
import time
import typing

from refused import Refused

ACCOUNT = "111122223333"


@dataclasses.dataclass
class Principal:
    """Somebody with keys: a user, or the session of a role."""

    key: str
    secret: str
    token: typing.Optional[str]
    arn: str
    id: str
    role: typing.Optional[str] = None  # whose session this is
    expires: typing.Optional[float] = None
    tags: dict = dataclasses.field(default_factory=dict)
    transitive: set = dataclasses.field(default_factory=set)
    source: typing.Optional[str] = None  # SourceIdentity
    issued: float = 0

    @property
    def account(self):
        return self.arn.split(":")[4]


def letters(prefix, length):
    return prefix + "".join(secrets.choice(string.ascii_uppercase + string.digits[2:8]) for _ in range(length - len(prefix)))


def role_name(arn):
    return arn.rpartition("/")[2]


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def digest(text):
    """What a secret is called where people read."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def glob(pattern, text):
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


class World:
    """skew: seconds that the clock is ahead; at: or it stands still there. lifetime: seconds of what is handed out, whatever was
    asked for. expiration: a text in its place. token_bytes: about as long is a session token. strict: only roles that were made
    exist; otherwise each role of the account does, and trusts the whole account. chain_limit: of a role session that assumes
    a role. packed_limit: bytes of tags that are 100 percent."""

    def __init__(self, account=ACCOUNT, region="eu-west-1"):
        self.account, self.region = account, region
        self.changed = threading.Condition()
        self.skew, self.at = 0, None
        self.lifetime, self.expiration = None, None
        self.token_bytes = 700
        self.strict, self.chain_limit, self.packed_limit = False, 3600, 1200
        self.principals = {}  # by access key id
        self.handed_out = []  # every secret there has been
        self.roles, self.issuers, self.clusters = {}, {}, {}
        self.forbidden = set()  # (role or user, action)
        self.user = self.add_user("podcred")
        self.node = self.add_node()

    def now(self):
        return (time.time() if self.at is None else self.at) + self.skew

    def arn(self, service, rest, account=None):
        return f"arn:{partition(self.region)}:{service}::{account or self.account}:{rest}"

    # ---- who there is ----

    def add(self, principal):
        with self.changed:
            self.principals[principal.key] = principal
            self.handed_out += [principal.secret] + ([principal.token] if principal.token else [])
        return principal

    def keep_secret(self, text):
        with self.changed:
            self.handed_out.append(text)
        return text

    def add_user(self, name):
        return self.add(Principal(letters("AKIA", 20), new_secret(), None, self.arn("iam", "user/" + name), letters("AIDA", 21)))

    def add_session(self, role, session, seconds, **more):
        name = role_name(role)
        arn = f"arn:{role.split(':')[1]}:sts::{role.split(':')[4]}:assumed-role/{name}/{session}"
        token = "IQoJ" + base64.b64encode(os.urandom(self.token_bytes * 3 // 4)).decode()
        now = self.now()
        return self.add(Principal(letters("ASIA", 20), new_secret(), token, arn, f"{self.role_id(role)}:{session}", role, now + seconds,
                                  issued=now, **more))

    def add_node(self, seconds=21600, role="node", instance="i-0123456789abcdef0"):
        """The credentials that IMDS has for the node."""
        return self.add_session(self.arn("iam", "role/" + role), instance, seconds)

    def role_id(self, role):
        return "AROA" + base64.b32encode(hashlib.sha256(role.encode()).digest()).decode()[:17]

    # ---- roles ----

    def role(self, arn):
        role = self.roles.get(arn)
        if role is None and not self.strict and arn.split(":")[4:5] == [self.account]:
            role = {"arn": arn, "max_session": 3600, "trust": [{"aws": [self.account]}, {"oidc": "*"}, {"service": "pods.eks.amazonaws.com"}]}
        return role

    def may(self, principal, action):
        return not {(who, action) for who in (principal.role, principal.arn)} & self.forbidden

    def trusts(self, role, action, context):
        """Does a statement of the trust policy allow it? context: principals, and what conditions look at."""
        return any(action in statement.get("actions", ("sts:AssumeRole", "sts:TagSession", "sts:AssumeRoleWithWebIdentity",
                                                       "sts:SetSourceIdentity"))
                   and self.statement_names(statement, context) and conditions_hold(statement, context)
                   for statement in role.get("trust", []))

    def statement_names(self, statement, context):
        if "aws" in statement:
            caller = context.get("caller")
            return caller is not None and any(
                name in ("*", caller.account, f"arn:{partition(self.region)}:iam::{caller.account}:root", caller.arn, caller.role)
                for name in statement["aws"])
        if "oidc" in statement:
            return "issuer" in context and glob(statement["oidc"], context["issuer"])
        return "service" in statement and statement["service"] == context.get("service")

    def packed(self, tags, policy, policy_arns):
        """Percent. Nobody outside knows how AWS packs; this grows with what is sent."""
        size = sum(len(k.encode()) + len(v.encode()) for k, v in tags.items()) + len((policy or "").encode()) // 2
        size += sum(len(arn) for arn in policy_arns)
        return -(-size * 100 // self.packed_limit)

    # ---- credentials handed out ----

    def expiration_text(self, principal):
        return stamp(principal.expires) if self.expiration is None else self.expiration

    def seconds(self, asked):
        return asked if self.lifetime is None else self.lifetime

    def find(self, who):
        """A principal: "node", "user", or an access key id."""
        found = {"node": self.node, "user": self.user}.get(who) or self.principals.get(who)
        if found is None:
            raise ValueError(f"nobody is {who}")
        return found


def conditions_hold(statement, context):
    if "external_id" in statement and context.get("external_id") != statement["external_id"]:
        return False
    for name in ("sub", "aud", "session_name"):
        if name in statement and not any(glob(statement[name], value) for value in as_list(context.get(name))):
            return False
    tags = context.get("tags", {})
    return all(tags.get(key) in as_list(value) for key, value in statement.get("request_tags", {}).items())


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def new_secret():
    return base64.b64encode(os.urandom(30)).decode()


def partition(region):
    for prefix, name in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-isob-", "aws-iso-b"), ("us-iso-", "aws-iso"),
                         ("eu-isoe-", "aws-iso-e"), ("us-isof-", "aws-iso-f"), ("eusc-", "aws-eusc")):
        if region.startswith(prefix):
            return name
    return "aws"


def moment(value):
    """Seconds since 1970, from a number or 2026-01-02T03:04:05Z."""
    if isinstance(value, (int, float)):
        return value
    return calendar.timegm(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))


def policy_is_well_formed(text):
    try:
        policy = json.loads(text)
    except ValueError:
        return False
    return isinstance(policy, dict) and policy.get("Version") in ("2012-10-17", "2008-10-17") and bool(policy.get("Statement"))


def check_policy(text, refuse=Refused):
    if text is not None and not policy_is_well_formed(text):
        raise refuse("MalformedPolicyDocument", "The policy is not in the valid JSON format.")
