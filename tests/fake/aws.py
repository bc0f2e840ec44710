#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""STS, EKS Auth, IAM Roles Anywhere and the metadata service of an EC2 node, for tests: strict, and with faults on demand.

aws.py DIR [--address 127.0.0.1] [--sts PORT] [--eks-auth PORT] [--imds [ADDRESS:]PORT] [--tls CERTS] [--region eu-west-1]
           [--account 111122223333] [--strict] [--stdin]

A request is refused as AWS does it: its signature is computed anew (by botocore), the date may be 15 minutes off, every
parameter has to fit botocore's model of the service, a role has to trust the caller, tags and durations follow the rules
of role chaining, tokens are verified by the keys of their issuer. What AWS would ignore, like an unknown parameter, is
refused too (MalformedInput), as it is a mistake of the client.

It says "sts URL", "eks-auth URL", "imds URL", then "ready". --tls: with ok.pem and ok.key in CERTS (certs.sh); the metadata
service never has TLS. --strict: only roles that were made exist; otherwise each role of the account does and trusts the account,
every issuer, and EKS. --stdin: it ends with its standard input. It writes into DIR

  urls                 STS_URL=, EKS_AUTH_URL=, IMDS_URL=, ROLES_ANYWHERE_URL= for the shell
  user.env, node.env   AWS_ACCESS_KEY_ID= and so on: of a user (no token), and of the node's role (as IMDS has them)
  calls.jsonl          a line for each call, written before it is answered: n, id, service, action, caller (ARN), accessKeyId,
                       parameters, roleArn, sessionName, tags, transitive, subject, status, error, issued (the new access key id),
                       expires, fault, connection, userAgent, host, time. Secrets are not in it: a token is "sha256:...".
                       For IMDS the action is "GET /latest/...".
  jwks.json            the keys of an issuer of its own, https://oidc.test/id/FAKE, for the command token
  control              a socket that takes commands as JSON, one or more at once:
      curl -sSf --unix-socket DIR/control -d '{"fault": {"service": "sts", "do": "error", "code": "Throttling", "status": 400}}' http://control/

Commands
  set {skew, at, lifetime, expiration, token_bytes, strict, chain_limit, packed_limit, tokens, close, certificate}
       skew, at: the clock is so many seconds ahead, or stands still at 2026-01-02T03:04:05Z. lifetime: seconds that
       credentials live, whatever was asked for. expiration: a text in place of the date. token_bytes: size of session
       tokens. chain_limit: longest session that a role session may assume (3600; 0: as long as the role allows).
       packed_limit: bytes of tags that make 100 percent. tokens: IMDS tokens are "required" or "optional". close: no
       keep-alive. certificate: of new connections, a name of certs.sh. null: as at the start.
  role {arn, max_session, trust, deny}   trust: [{"aws": [account or ARN or "*"]} | {"oidc": issuer} | {"service": name}, each with
       actions, external_id, request_tags {key: value or values}, session_name, sub, aud (with * and ?)]. deny: it trusts nobody.
  anchor {file}   the authority (PEM) of those who may ask IAM Roles Anywhere, for each role there is
  forbid {who, action}, permit {who, action}     who: ARN of a role or user; action: like "sts:TagSession"
  issuer {url, jwks or jwks_file or documents, audiences}   of service account tokens. documents: a folder as it is published below the
       URL, with .well-known/openid-configuration and the keys that it names; it is read for each token
  token {namespace, service_account, pod, uid, audience, seconds}   one of the issuer of its own
  cluster {name, issuer}; associate {cluster, namespace, service_account, role, target_role, disable_session_tags};
       dissociate {cluster, namespace, service_account}
  node {seconds, role, instance}   IMDS has new credentials, which live so long; "node": null: the node has no role.
       expire {who}, revoke {who}: they are expired, or unknown, from now on; who: node, user, or an access key id
  fault {do, service, action, role, session, path, on, times}   which calls: all that are given must fit. times: how often (1; 0: until
       clear). on: "request", or "connect" (mute and reset: before anything was read). do:
         error {code, message, status, headers}   an error as this service writes it, e.g. headers {"Retry-After": "7"}
         answer {status, type, body, headers}     any answer
         delay {seconds}; hold                    answered late; not before the command release
         close, reset, mute                       no answer: the connection is closed, reset, or stays
         truncate {bytes}, cut {bytes}            less than Content-Length says; or a shorter body
         oversize {bytes}, garbage, empty, without {members}, drip {seconds}
  clear [], release []             no faults any more; what is held goes on
  away {service}, back {service}   nobody listens there; drop {service}: its connections are reset
  wait {calls, seconds, answered, service, action, role, session}   until so many have arrived (or were answered)
  state []     {"calls": {"sts AssumeRole": 3}, "pending": [...], "connections": {"sts": 1}, "faults": 0, "now": ...}
  secrets []   every secret key, session token and IMDS token that there has been, and every service account token that came
  credentials {who}   {"accessKeyId", "secretAccessKey", "sessionToken", "arn", "tags", "transitive", "expiration"}

As a module: Aws(dir) has the same commands as methods. tests/lib/aws.sh is for the shell.
"""
import contextlib
import json
import os
import ssl
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [os.path.join(HERE, "aws"), os.path.join(HERE, "lib")] + [path for path in sys.path if os.path.abspath(path or ".") != HERE]  # not http.py here
# pylint: disable=wrong-import-position
import control
import eks_auth
import imds
import jwt
import roles_anywhere
import service
import sts
import world as worlds

ISSUER = "https://oidc.test/id/FAKE"
SERVICES = {"sts": sts.Sts, "eks-auth": eks_auth.EksAuth, "imds": imds.Imds, "roles-anywhere": roles_anywhere.RolesAnywhere}


class Aws:
    """Starts at once."""

    def __init__(self, folder, addresses=None, certificates=None, **more):
        self.folder, self.certificates = folder, certificates
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.world = worlds.World(more.get("account", worlds.ACCOUNT), more.get("region", "eu-west-1"))
        self.world.strict = more.get("strict", False)
        self.faults, self.log = service.Faults(), service.Log(self.path("calls.jsonl"), self.world)
        self.tls = None
        self.listeners = {}
        if certificates:
            self.set(certificate="ok")
        for name, kind in SERVICES.items():
            address = (addresses or {}).get(name, ("127.0.0.1", 0))
            self.listeners[name] = service.Listener(kind(self.world), self.faults, self.log, address, None if name == "imds" else self.tls)
        self.own = jwt.Issuer(ISSUER)
        self.issuer(ISSUER, jwks=self.own.jwks())
        self.write_files()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_files(self):
        for who in ("user", "node"):
            self.write_env(who)
        with open(self.path("urls"), "w", encoding="ascii") as file:
            for name, listener in self.listeners.items():
                file.write(f"{name.upper().replace('-', '_')}_URL={listener.url}\n")
        with open(self.path("jwks.json"), "w", encoding="ascii") as file:
            json.dump(self.own.jwks(), file)

    def write_env(self, who):
        principal = self.world.find(who)
        with open(os.open(self.path(who + ".env"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(f"AWS_ACCESS_KEY_ID={principal.key}\nAWS_SECRET_ACCESS_KEY={principal.secret}\n")
            if principal.token:
                file.write(f"AWS_SESSION_TOKEN={principal.token}\n")

    # ---- commands ----

    def set(self, **settings):
        start = worlds.World(self.world.account, self.world.region)
        for name, value in settings.items():
            if name == "tokens":
                self.listeners["imds"].service.tokens = value or "required"
            elif name == "close":
                for listener in self.listeners.values():
                    listener.close = bool(value)
            elif name == "certificate":
                self.use_certificate(value or "ok")
            elif name in ("skew", "at", "lifetime", "expiration", "token_bytes", "strict", "chain_limit", "packed_limit"):
                value = worlds.moment(value) if name == "at" and value is not None else value
                setattr(self.world, name, getattr(start, name) if value is None else value)
            else:
                raise ValueError(f"no setting {name}")

    def use_certificate(self, name):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{self.certificates}/{name}.pem", f"{self.certificates}/{name}.key")
        tls.set_alpn_protocols(["http/1.1"])
        self.tls = tls
        for each, listener in self.listeners.items():
            listener.tls = None if each == "imds" else tls

    def anchor(self, file):
        with open(file, encoding="ascii") as pem:
            self.listeners["roles-anywhere"].service.anchor = pem.read()

    def role(self, arn, max_session=3600, trust=None, deny=False):
        every = [{"aws": [self.world.account]}, {"oidc": "*"}, {"service": eks_auth.AUDIENCE}]
        self.world.roles[arn] = {"arn": arn, "max_session": max_session, "trust": [] if deny else every if trust is None else trust}

    def forbid(self, who, action):
        self.world.forbidden.add((who, action))

    def permit(self, who, action):
        self.world.forbidden.discard((who, action))

    def issuer(self, url, audiences=("sts.amazonaws.com", eks_auth.AUDIENCE), jwks=None, jwks_file=None, documents=None):
        if documents is not None:
            self.world.issuers[url] = {"documents": documents, "audiences": list(audiences)}
            return
        if jwks is None:
            with open(jwks_file, encoding="utf-8") as file:
                jwks = json.load(file)
        self.world.issuers[url] = {"jwks": jwks, "audiences": list(audiences)}

    def token(self, namespace="shop", service_account="web", pod="web-0", uid="5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11", **more):
        now = int(self.world.now())
        return self.world.keep_secret(self.own.token({
            "aud": [more.get("audience", eks_auth.AUDIENCE)], "iss": ISSUER, "iat": now, "nbf": now, "exp": now + more.get("seconds", 3600),
            "kubernetes.io": {"namespace": namespace, "pod": {"name": pod, "uid": uid},
                              "serviceaccount": {"name": service_account, "uid": "0a1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"}},
            "sub": f"system:serviceaccount:{namespace}:{service_account}"}))

    def cluster(self, name, issuer=ISSUER):
        self.world.clusters[name] = {"issuer": issuer, "associations": {}}

    def associate(self, cluster, namespace, service_account, role, **more):
        identifier = "a-" + worlds.letters("", 17).lower()
        self.world.clusters[cluster]["associations"][namespace, service_account] = dict(more, role=role, id=identifier)
        return identifier

    def dissociate(self, cluster, namespace, service_account):
        del self.world.clusters[cluster]["associations"][namespace, service_account]

    def node(self, seconds=21600, role="node", instance="i-0123456789abcdef0"):
        if seconds is None:  # "node": null
            self.no_node()
            return
        self.world.node = self.world.add_node(seconds, role, instance)
        self.write_env("node")

    def no_node(self):
        self.world.node = None

    def expire(self, who):
        self.world.find(who).expires = self.world.now() - 1

    def revoke(self, who):
        self.world.principals.pop(self.world.find(who).key)

    def fault(self, **fault):
        self.faults.add(**fault)

    def clear(self):
        self.faults.clear()

    def release(self):
        self.faults.gate.set()

    def away(self, service):  # pylint: disable=redefined-outer-name
        self.listeners[service].away()

    def back(self, service):  # pylint: disable=redefined-outer-name
        self.listeners[service].back()

    def drop(self, service):  # pylint: disable=redefined-outer-name
        self.listeners[service].drop()

    def wait(self, **what):
        return self.log.wait(**what)

    def state(self):
        with self.log.changed:
            calls = {}
            for call in self.log.arrived:
                name = f"{call['service']} {call['action']}"
                calls[name] = calls.get(name, 0) + 1
            return {"calls": calls, "pending": list(self.log.pending.values()), "faults": len(self.faults.list), "now": self.world.now(),
                    "connections": {name: listener.connected for name, listener in self.listeners.items()}}

    def secrets(self):
        return list(self.world.handed_out)

    def credentials(self, who):
        found = self.world.find(who)
        return {"accessKeyId": found.key, "secretAccessKey": found.secret, "sessionToken": found.token, "arn": found.arn,
                "tags": found.tags, "transitive": sorted(found.transitive),
                "expiration": worlds.stamp(found.expires) if found.expires else None}

    COMMANDS = ("set", "anchor", "role", "forbid", "permit", "issuer", "token", "cluster", "associate", "dissociate", "node", "expire", "revoke", "fault",
                "clear", "release", "away", "back", "drop", "wait", "state", "secrets", "credentials")

    def command(self, commands):
        return control.run(self, commands, ("node",) if commands.get("node", 0) is None else ())


def address_of(text, default):
    host, _, port = text.rpartition(":")
    return host.strip("[]") or default, int(port)


def options(words):
    """The command line: a folder, and what Aws() takes."""
    folder, given, flags = words[0], {}, {"strict": False, "stdin": False}
    rest = iter(words[1:])
    for word in rest:
        if word.lstrip("-") in flags:
            flags[word[2:]] = True
        elif word in ("--address", "--sts", "--eks-auth", "--imds", "--tls", "--region", "--account"):
            given[word[2:]] = next(rest)
        else:
            raise ValueError(word)
    address = given.pop("address", "127.0.0.1")
    addresses = {name: address_of(given.pop(name, "0"), address) for name in SERVICES}
    return folder, flags.pop("stdin"), {"addresses": addresses, "certificates": given.pop("tls", None), **given, **flags}


def main():
    try:
        folder, stdin, more = options(sys.argv[1:])
    except (IndexError, ValueError, StopIteration):
        sys.exit(__doc__)
    aws = Aws(folder, **more)
    server = control.serve(aws)
    for name, listener in aws.listeners.items():
        print(name, listener.url)
    print("ready", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        if stdin:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            sys.stdin.read()
        else:
            server.serve_forever()


if __name__ == "__main__":
    main()
