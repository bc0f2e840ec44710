#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API server of the tests beside a real one: the same questions, the same answers. And the follower of pods
with the real one, which ends, starts again, and forgets.

real.py FOLLOW TOKENS     as TAP; the programs are those of tests/kube/follow.c and tokens.c

etcd and kube-apiserver are those that "make test-cluster" has built, in $CLUSTER_CACHE. They run on 127.0.0.1.
"""
import contextlib
import ctypes
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults  # noqa: E402 pylint: disable=wrong-import-position
import kubeapi  # noqa: E402 pylint: disable=wrong-import-position

PATIENCE = 240
ADMIN, PODCRED, NOBODY = "admin-token", "podcred-token", "nobody-token"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def end_with_us():
    """However we end."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited for {what}")
        time.sleep(0.2)


class Api:
    """Questions to an API server."""

    def __init__(self, port, authority):
        self.port = port
        self.context = ssl.create_default_context(cafile=authority)

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=PATIENCE)

    def ask(self, path, method="GET", body=None, token=ADMIN, kind="application/json", accept="application/json"):
        connection = self.connect()
        headers = {"Content-Type": kind, "User-Agent": "test", "Accept": accept,
                   **({"Authorization": f"Bearer {token}"} if token else {})}
        connection.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def watch(self, path, events, token=ADMIN):
        """The first events of a watch."""
        connection = self.connect()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "User-Agent": "test"})
        answer = connection.getresponse()
        if answer.status != 200:
            found = answer.status, json.loads(answer.read())
        else:
            found = 200, [json.loads(answer.readline()) for _ in range(events)]
        connection.close()
        return found

    def create(self, obj, namespace="default"):
        where = f"/namespaces/{namespace}/" if obj["kind"] == "Pod" else "/"
        return self.ask(f"/api/v1{where}{obj['kind'].lower()}s", "POST", obj)


class Real:
    """etcd, and API servers on it."""

    def __init__(self, folder, programs):
        self.folder, self.programs, self.processes = folder, programs, {}
        self.etcd = free_port()
        self.ports = {}
        self.certificates()
        with open(self.path("tokens.csv"), "w", encoding="ascii") as file:
            file.write(f'{ADMIN},admin,1,"system:masters"\n{PODCRED},podcred,2\n{NOBODY},nobody,3\n')
        self.run("etcd", "etcd", "--data-dir", self.path("etcd"), "--unsafe-no-fsync",
                 "--listen-client-urls", f"http://127.0.0.1:{self.etcd}", "--advertise-client-urls", f"http://127.0.0.1:{self.etcd}",
                 "--listen-peer-urls", f"http://127.0.0.1:{free_port()}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def certificates(self):
        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.folder)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=CA")
        openssl("req", "-x509", *key, "-keyout", "server.key", "-out", "server.crt", "-days", "30", "-subj", "/CN=api",
                "-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1",
                "-addext", "basicConstraints=critical,CA:false")
        openssl("genrsa", "-out", "accounts.key", "2048")

    def run(self, name, program, *args):
        with open(self.path(name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen([os.path.join(self.programs, program), *args], stdout=log, stderr=log,
                                                    start_new_session=True, preexec_fn=end_with_us)

    def start(self, name, *more):
        """Another API server, or the same again. more: flags."""
        port = self.ports.setdefault(name, free_port())
        self.run(name, "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd}", "--service-cluster-ip-range=10.96.0.0/16",
                 "--bind-address=127.0.0.1", "--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none",
                 f"--secure-port={port}", f"--tls-cert-file={self.path('server.crt')}",
                 f"--tls-private-key-file={self.path('server.key')}", f"--cert-dir={self.path(name)}",
                 f"--token-auth-file={self.path('tokens.csv')}", "--service-account-issuer=https://kubernetes.default.svc",
                 f"--service-account-signing-key-file={self.path('accounts.key')}",
                 f"--service-account-key-file={self.path('accounts.key')}", "--authorization-mode=RBAC",
                 "--disable-admission-plugins=ServiceAccount", *more)
        api = Api(port, self.path("ca.crt"))

        def ready():
            if self.processes[name].poll() is not None:
                with open(self.path(name + ".log"), encoding="utf8", errors="replace") as log:
                    raise AssertionError("the API server ended: " + "".join(log.readlines()[-5:]))
            with contextlib.suppress(OSError, http.client.HTTPException):
                return api.ask("/readyz")[0] == 200
            return False

        wait_for("the API server", ready)
        return api

    def kill(self, name):
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def kubeconfig(self, name, token):
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.ports[name]}",
                                                   "certificate-authority": self.path("ca.crt")}}],
            "users": [{"name": "c", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}
        with open(self.path(f"{name}-{token}"), "w", encoding="ascii") as file:
            json.dump(config, file)
        return file.name

    def close(self):
        for name in list(self.processes):
            self.kill(name)


def pod(name, node="n1", **more):
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": more.get("labels", {})},
            "spec": {"nodeName": node, "serviceAccountName": more.get("account", "default"),
                     "containers": [{"name": "c", "image": "pause"}]}}


# ---- the same questions ----

# Path, and method. Versions are replaced: @now, @old (compacted or long gone), @future.
QUESTIONS = [
    ("/api/v1/pods", "GET"), ("/api/v1/pods?limit=1", "GET"), ("/api/v1/pods?resourceVersion=0&limit=1", "GET"),
    ("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", "GET"), ("/api/v1/pods?fieldSelector=spec.nodeName%3Dnone", "GET"),
    ("/api/v1/pods?fieldSelector=spec.nodeName!%3Dn1", "GET"), ("/api/v1/pods?fieldSelector=spec.node%3Dn1", "GET"),
    ("/api/v1/pods?fieldSelector=spec.nodeName", "GET"), ("/api/v1/pods?labelSelector=a%3Db", "GET"),
    ("/api/v1/pods?labelSelector=a%20in%20(b,c)", "GET"), ("/api/v1/pods?labelSelector=!a", "GET"), ("/api/v1/pods?labelSelector=%3D", "GET"),
    ("/api/v1/pods?limit=x", "GET"), ("/api/v1/pods?resourceVersion=x", "GET"), ("/api/v1/pods?continue=x", "GET"),
    ("/api/v1/pods?resourceVersion=@now", "GET"), ("/api/v1/pods?resourceVersion=@future", "GET"),
    ("/api/v1/pods?resourceVersion=@now&limit=1", "GET"),
    ("/api/v1/pods?resourceVersionMatch=Exact", "GET"), ("/api/v1/pods?resourceVersion=@now&resourceVersionMatch=NotOlderThan", "GET"),
    ("/api/v1/pods?resourceVersion=@now&resourceVersionMatch=Exact", "GET"),
    ("/api/v1/pods?watch=true&resourceVersionMatch=Exact&resourceVersion=@now", "GET"),
    ("/api/v1/pods?watch=true&timeoutSeconds=x", "GET"), ("/api/v1/pods?watch=true&resourceVersion=x", "GET"),
    ("/api/v1/pods", "POST"), ("/api/v1/pods", "PUT"), ("/api/v1/namespaces/default/pods/web", "POST"),
    ("/api/v1/namespaces/default/pods/web", "GET"), ("/api/v1/namespaces/default/pods/none", "GET"),
    ("/api/v1/namespaces/default/pods/none", "DELETE"), ("/api/v1/nodes/n1", "GET"), ("/api/v1/nodes/none", "GET"),
    ("/api/v1/things", "GET"), ("/api/v1/namespaces/default/nodes", "GET"), ("/apis/things/v1/things", "GET"),
]


def describe(answer):
    """What a client sees of it, without what differs between any two servers."""
    code, body = answer
    if not isinstance(body, dict):
        return code, "text"
    if body.get("kind") == "Status":
        return code, "Status", body.get("reason"), body.get("code")
    if "items" in body:
        meta = body["metadata"]
        return (code, body["kind"], [item["metadata"]["name"] for item in body["items"] or []], bool(meta.get("resourceVersion")),
                bool(meta.get("continue")), meta.get("remainingItemCount"), ["kind" in item for item in body["items"] or []])
    return code, body.get("kind"), body["metadata"]["name"]


def fill(api):
    for obj in (pod("web", labels={"a": "b"}), pod("api"), pod("far", node="n2", labels={"a": "c"})):
        assert api.create(obj)[0] == 201, api.create(obj)
    assert api.create({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"}})[0] == 201


def ask_all(api):
    version = int(api.ask("/api/v1/pods")[1]["metadata"]["resourceVersion"])
    answers = {}
    for path, method in QUESTIONS:
        asked = path.replace("@now", str(version)).replace("@future", str(version + 100000))
        answers[f"{method} {path}"] = describe(api.ask(asked, method))
    answers["no token"] = describe(api.ask("/api/v1/pods", token="wrong"))
    answers["list, not allowed"] = describe(api.ask("/api/v1/pods", token=NOBODY))
    answers["watch, not allowed"] = describe(api.ask("/api/v1/pods?watch=true", token=NOBODY))
    return answers


def message(api, path, token=NOBODY):
    return re.sub(r'"(system:[^"]*|nobody)"', "USER", api.ask(path, token=token)[1]["message"])


def events_of(api):
    """Of pods of a node, from a version on: what comes when one is made, changed, and deleted. Without its status."""
    version = api.ask("/api/v1/pods")[1]["metadata"]["resourceVersion"]
    space = "/api/v1/namespaces/default/pods"
    api.create(pod("made"))
    api.create(pod("elsewhere", node="n2"))
    api.ask(f"{space}/made", "PATCH", {"metadata": {"labels": {"x": "y"}}}, kind="application/merge-patch+json")
    api.ask(f"{space}/made?gracePeriodSeconds=0", "DELETE")
    code, events = api.watch(f"/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn1&resourceVersion={version}", 4)
    api.ask(f"{space}/elsewhere?gracePeriodSeconds=0", "DELETE")
    return code, [(e["type"], e["object"]["kind"], e["object"]["metadata"]["name"], sorted(e)) for e in events]


def pages_of(api):
    """Names page by page, while a pod is made that none of them may have."""
    names, path = [], "/api/v1/pods?limit=2"
    while path:
        body = api.ask(path)[1]
        names.append([item["metadata"]["name"] for item in body["items"]])
        token = body["metadata"].get("continue")
        path = f"/api/v1/pods?limit=2&continue={token}" if token else None
        if len(names) == 1:
            with_version = api.ask(f"{path}&resourceVersion=1")
            api.create(pod("zz-late"))
    api.ask("/api/v1/namespaces/default/pods/zz-late?gracePeriodSeconds=0", "DELETE")
    return names, describe(with_version)


# ---- podcred's own objects ----

ROLE = "arn:aws:iam::111122223333:role/app"
SPECS = [  # what the definition lets in, and what not
    {"roleArn": ROLE},
    {"roleArn": ROLE, "targetRoleArn": ROLE, "externalId": "a/b", "tags": {"a b": ""}, "durationSeconds": 3600, "sessionName": "eks"},
    {"roleArn": ROLE, "policy": "{}", "disableSessionTags": True},
    {"roleArn": ROLE, "role": "x", "tags": {}, "exec": {"command": ["/bin/sh"]}},
    {}, None, {"roleArn": ""}, {"roleArn": "app"}, {"roleArn": 1}, {"roleArn": "arn:aws:iam::1:role/app"},
    {"roleArn": ROLE, "policy": "{}"}, {"roleArn": ROLE, "policy": "{}", "disableSessionTags": False},
    {"roleArn": ROLE, "disableSessionTags": "true"}, {"roleArn": ROLE, "externalId": "a"}, {"roleArn": ROLE, "externalId": "a b"},
    {"roleArn": ROLE, "durationSeconds": 899}, {"roleArn": ROLE, "durationSeconds": 43201}, {"roleArn": ROLE, "durationSeconds": 43200},
    {"roleArn": ROLE, "durationSeconds": 3601, "targetRoleArn": ROLE}, {"roleArn": ROLE, "durationSeconds": "900"},
    {"roleArn": ROLE, "sessionName": "random"}, {"roleArn": ROLE, "tags": {"a": 1}}, {"roleArn": ROLE, "tags": ["a"]},
    {"roleArn": ROLE, "tags": {f"t{i}": "v" for i in range(51)}}, {"roleArn": ROLE, "tags": {"a": "v" * 257}},
    {"roleArn": ROLE, "policy": "p" * 2049, "disableSessionTags": True},
]
ARNS = ["arn:aws:iam::111122223333:role/app", "arn:aws*:iam::1111*:role/a/*"]
POLICIES = [
    {"namespaces": ["shop"], "roleArns": ARNS}, {"namespaceSelector": {}, "roleArns": [], "targetRoleArns": ARNS, "deny": ["x"]},
    {"namespaceSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "t", "operator": "In", "values": ["a"]}]}, "roleArns": ARNS},
    {"roleArns": ARNS}, {"namespaces": ["shop"]}, {"namespaces": [], "roleArns": ARNS}, {"namespaces": ["*"], "roleArns": ARNS},
    {"namespaces": "shop", "roleArns": ARNS}, {"namespaces": ["a"], "roleArns": ["*"]}, {"namespaces": ["a"], "roleArns": ["arn:aws:iam::1:role/a"]},
    {"namespaces": ["a"], "roleArns": ["arn:aws:iam::111122223333:user/abcde"]}, {"namespaces": ["a"], "roleArns": [1]},
    {"namespaceSelector": {"matchExpressions": [{"key": "t", "operator": "Near"}]}, "roleArns": ARNS},
    {"namespaceSelector": {"matchExpressions": [{"operator": "Exists"}]}, "roleArns": ARNS}, None,
]
GROUP = "/apis/podcred.io/v1alpha1"


def define(api):
    """As kubectl apply would."""
    import yaml  # pylint: disable=import-outside-toplevel
    for name in kubeapi.GROUPS:
        with open(os.path.join(kubeapi.CRDS, f"{name}.yaml"), encoding="utf-8") as file:
            code, body = api.ask("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldValidation=Strict", "POST", yaml.safe_load(file))
        assert code == 201, body
        wait_for("the definition", lambda name=name: api.ask(f"{GROUP}/{name}")[0] == 200)


def association(name, spec):
    obj = {"apiVersion": "podcred.io/v1alpha1", "kind": "PodIdentityAssociation", "metadata": {"name": name}}
    return obj if spec is None else dict(obj, spec=spec)


def associations(api):
    """What becomes of each, and what a reader sees."""
    space, answers = f"{GROUP}/namespaces/default/podidentityassociations", {}
    for i, spec in enumerate(SPECS):
        code, body = api.ask(space, "POST", association(f"a{i}", spec))
        answers[f"made: {json.dumps(spec)[:100]}"] = (code, body.get("spec"), body.get("reason"))
    answers["list"] = describe(api.ask(f"{GROUP}/podidentityassociations"))
    answers["twice"] = describe(api.ask(space, "POST", association("a0", SPECS[0])))
    answers["of no such group"] = describe(api.ask("/apis/podcred.io/v1/podidentityassociations"))
    answers["of the core"] = describe(api.ask("/api/v1/podidentityassociations"))
    answers["not allowed"] = message(api, f"{GROUP}/podidentityassociations")
    code, body = api.ask("/api/v1/namespaces/default/pods/web",
                         accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json")
    answers["metadata alone"] = code, body["kind"], body["apiVersion"], sorted(set(body) - {"metadata"}), body["metadata"]["name"]
    version = api.ask(f"{GROUP}/podidentityassociations")[1]["metadata"]["resourceVersion"]
    api.ask(f"{space}/a0", "PATCH", {"spec": {"durationSeconds": 900}}, kind="application/merge-patch+json")
    api.ask(f"{space}/a0", "DELETE")
    code, events = api.watch(f"{GROUP}/podidentityassociations?watch=true&resourceVersion={version}", 2)
    answers["events"] = code, [(e["type"], e["object"]["kind"], e["object"]["spec"]) for e in events]
    return answers


def policies(api):
    answers = {}
    for i, spec in enumerate(POLICIES):
        obj = {"apiVersion": "podcred.io/v1alpha1", "kind": "PodIdentityRolePolicy", "metadata": {"name": f"p{i}"}, "spec": spec}
        code, body = api.ask(f"{GROUP}/podidentityrolepolicies", "POST", {k: v for k, v in obj.items() if v is not None})
        answers[f"made: {json.dumps(spec)[:100]}"] = code, body.get("spec"), body.get("reason")
    return answers


def writes(api):
    """What each way to write changes, and how it is refused."""
    space, answers = f"{GROUP}/namespaces/default/podidentityassociations", {}
    condition = {"type": "Ready", "status": "True", "reason": "Usable", "message": "yes", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    kinds = {"merge": "application/merge-patch+json", "json": "application/json-patch+json", "apply": "application/apply-patch+yaml",
             "strategic": "application/strategic-merge-patch+json"}

    def did(what, path, method, body=None, kind="application/json", show=("spec", "status")):
        code, answer = api.ask(path, method, body, kind=kind)
        causes = (answer.get("details") or {}).get("causes", [])
        fields = sorted({cause["field"] for cause in causes if cause.get("field", "<nil>") != "<nil>"})  # that is of no member
        answers[what] = code, answer.get("reason"), fields, *([answer.get(part) for part in show] if code < 300 else []), \
            answer.get("metadata", {}).get("generation")
        return answer

    made = did("status is not made", f"{space}?fieldManager=t", "POST", dict(association("w", {"roleArn": ROLE}), status={"associationId": "a"}))
    did("nor changed with the spec", f"{space}/w", "PATCH", {"spec": {"durationSeconds": 900}, "status": {"associationId": "b"}}, kinds["merge"])
    did("status alone", f"{space}/w/status", "PATCH", {"spec": {"durationSeconds": 1000}, "status": {"conditions": [condition]}}, kinds["merge"])
    did("no condition of ours", f"{space}/w/status", "PATCH", {"status": {"conditions": [dict(condition, status="Yes")]}}, kinds["merge"])
    did("the spec keeps it", f"{space}/w", "PATCH", [{"op": "test", "path": "/spec/durationSeconds", "value": 900},
                                                   {"op": "replace", "path": "/spec/durationSeconds", "value": 901}], kinds["json"])
    did("a test that fails", f"{space}/w", "PATCH", [{"op": "test", "path": "/spec/durationSeconds", "value": 1}], kinds["json"])
    did("a stale version", f"{space}/w", "PATCH", {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}, kinds["merge"])
    did("a strategic patch", f"{space}/w", "PATCH", {}, kinds["strategic"])
    did("a wrong value", f"{space}/w", "PATCH", {"spec": {"durationSeconds": 1, "roleArn": "x"}}, kinds["merge"])
    did("strict", f"{space}?fieldValidation=Strict", "POST", association("s", {"roleArn": ROLE, "exec": "x"}))
    did("applied", f"{space}/n?fieldManager=t", "PATCH", association("n", {"roleArn": ROLE}), kinds["apply"])
    did("applied again", f"{space}/n?fieldManager=t", "PATCH", association("n", {"roleArn": ROLE, "sessionName": "eks"}), kinds["apply"])
    did("applied by nobody", f"{space}/n", "PATCH", association("n", {"roleArn": ROLE}), kinds["apply"])
    did("another one's deletion", f"{space}/w", "DELETE", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "x"}})
    did("its deletion", f"{space}/w", "DELETE", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": made["metadata"]["uid"]}},
        show=("kind", "status"))
    code, review = api.ask("/apis/authorization.k8s.io/v1/subjectaccessreviews", "POST", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": "somebody", "groups": ["system:masters"], "resourceAttributes": {"verb": "get", "resource": "pods"}}})
    answers["an access review"] = code, review["kind"], review["status"]["allowed"]
    return answers


# ---- the follower, with the real one ----


class Known:
    """Stands for the server in a Follower: what pods there are."""

    def __init__(self, api):
        self.api, self.requests = api, []
        self.store = self

    def snapshot(self, _resource):
        items = self.api.ask("/api/v1/pods")[1]["items"]
        return {(o["metadata"]["namespace"], o["metadata"]["name"]): o for o in items}

    def path(self, _name):
        return ""


def follow(program, real, admin, name, token=PODCRED):
    return faults.Follower(program, Known(admin), kubeconfig=real.kubeconfig(name, token))


def churn(api, n=3):
    for i in range(n):
        api.create(pod(f"c{i}-{time.monotonic_ns()}", account=f"a{i}"))
        api.create(pod(f"d{i}-{time.monotonic_ns()}", node="n2"))
    items = [o["metadata"]["name"] for o in api.ask("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")[1]["items"]]
    victim = next(name for name in items if name.startswith("c"))
    code = api.ask(f"/api/v1/namespaces/default/pods/{victim}?gracePeriodSeconds=0", "DELETE")[0]
    assert code == 200, code


def grant(api):
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}, {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    base = "/apis/rbac.authorization.k8s.io/v1"
    assert api.ask(f"{base}/clusterroles", "POST", {"metadata": {"name": "podcred"}, "rules": rules})[0] == 201
    assert api.ask(f"{base}/clusterrolebindings", "POST", {
        "metadata": {"name": "podcred"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "podcred"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "podcred"}]})[0] == 201


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    @contextlib.contextmanager
    def check(self, what):
        self.n += 1
        try:
            yield
            print(f"ok {self.n} - {what}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            self.failed += 1
            print(f"not ok {self.n} - {what}")
            for line in f"{type(error).__name__}: {error}".splitlines()[:60]:
                print(f"#   {line}", flush=True)

    def same(self, what, real, fake):
        with self.check(what):
            assert real == fake, f"\nreal {real}\nours {fake}"

    def done(self):
        print(f"1..{self.n}")
        sys.exit(bool(self.failed))


def compare(tap, admin, folder):
    server = kubeapi.Server(folder)
    server.tokens = {ADMIN: "admin", PODCRED: "podcred", NOBODY: "nobody"}
    server.denied_users = {"nobody"}
    fake = Api(server.port, server.path("ca.crt"))
    fill(fake)
    fill(admin)
    real_answers, fake_answers = ask_all(admin), ask_all(fake)
    for question, answer in real_answers.items():
        tap.same(f"as a real API server: {question}", answer, fake_answers[question])
    for path in ("/api/v1/pods", "/api/v1/pods?watch=true", "/api/v1/namespaces/default/pods", "/api/v1/nodes/n1"):
        tap.same(f"the same words for what is not allowed: {path}", message(admin, path), message(fake, path))
    tap.same("the same events", events_of(admin), events_of(fake))
    tap.same("the same pages", pages_of(admin), pages_of(fake))
    with tap.check("it takes the definition of podcred's objects"):
        define(admin)
    real_answers, fake_answers = associations(admin), associations(fake)
    for question, answer in real_answers.items():
        tap.same(f"associations, {question}", answer, fake_answers[question])
    for title, ask in (("role policies", policies), ("writing", writes)):
        real_answers, fake_answers = ask(admin), ask(fake)
        for question, answer in real_answers.items():
            tap.same(f"{title}, {question}", answer, fake_answers[question])
    server.away()


def real_faults(tap, program, real, admin):
    with tap.check("not allowed by RBAC, and then allowed: it goes on by itself"):
        f = follow(program, real, admin, "one")
        f.says('cannot list pods: not allowed (HTTP 403): pods is forbidden: User "podcred" cannot list resource "pods" in API group '
               '"" at the cluster scope; let a ClusterRole grant list and watch on pods')
        grant(admin)
        f.agrees()
    with tap.check("pods come, change and go"):
        churn(admin)
        f.agrees()
    with tap.check("the API server is killed, and starts again"):
        real.kill("one")
        f.until("that it is away", lambda: f.state.startswith("away"))
        real.start("one")
        f.agrees()
        churn(admin)
        f.agrees()
    with tap.check("it starts again after pods have come and gone by another one: the watch has expired"):
        real.kill("one")
        for _ in range(3):
            churn(admin)
        real.start("one")
        f.counts(expired=1)
        f.agrees()
    with tap.check("a token that is not known: said"):
        wrong = follow(program, real, admin, "one", token="wrong")
        wrong.says("does not accept the credentials (HTTP 401)")
        wrong.stop()
    with tap.check("a node that does not exist: said"):
        none = faults.Follower(program, Known(admin), node="none", kubeconfig=real.kubeconfig("one", PODCRED))
        none.says('the API server knows no node "none"')
        none.stop()
    with tap.check("it ends as it should"):
        f.stop()


# ---- tokens of service accounts ----


def bind(api, role, name=None):
    assert api.ask("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "POST", {
        "metadata": {"name": name or role}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "podcred"}]})[0] == 201


def ask_about_tokens(program, real, name, uid):
    done = subprocess.run([program, real.kubeconfig(name, PODCRED), "default", "web", "bound", uid, "pods.eks.amazonaws.com"],
                          check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def tokens(tap, program, real, admin):
    space = "/api/v1/namespaces/default/serviceaccounts"
    code, account = admin.ask(space, "POST", {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "web"}})
    assert code == 201, account
    code, made = admin.create(pod("bound", account="web"))
    assert code == 201, made
    uid = made["metadata"]["uid"]
    with tap.check("without the right to it, it is said what is missing"):
        lines = ask_about_tokens(program, real, "one", uid)
        assert "system:service-account-issuer-discovery" in lines[0] and "serviceaccounts/token" in lines[1], lines
    rules = [{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]
    assert admin.ask("/apis/rbac.authorization.k8s.io/v1/clusterroles", "POST", {"metadata": {"name": "tokens"}, "rules": rules})[0] == 201
    for role in ("tokens", "system:service-account-issuer-discovery", "system:auth-delegator"):
        bind(admin, role, role.replace(":", "-"))
    good = ["keys 1 0 https://kubernetes.default.svc", f"verified system:serviceaccount:default:web {uid}",
            f"review default/web bound {uid} n1"]
    with tap.check("keys, a token of a pod, its signature, and the API server's verdict: RS256"):
        lines = ask_about_tokens(program, real, "one", uid)
        assert lines == good, lines
    with tap.check("the same with a key of another kind: ES256"):
        real.kill("one")
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", real.path("accounts.key")], check=True)
        real.start("one")
        lines = ask_about_tokens(program, real, "one", uid)
        assert lines == good, lines


def find_programs():
    cache = os.environ.get("CLUSTER_CACHE") or os.path.join(
        os.environ.get("CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "podcred"), "cluster")
    found = sorted(glob.glob(os.path.join(cache, "kubernetes-*", "kube-apiserver")), key=os.path.getmtime)
    return os.path.dirname(found[-1]) if found else None


def main():
    tap = Tap()
    programs = find_programs()
    if not programs:
        print("ok 1 - beside a real API server # SKIP none was built; make test-cluster builds one\n1..1")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="kubereal-")
    real = None
    try:
        real = Real(folder, programs)
        real.start("one")
        admin = real.start("two")
        compare(tap, admin, os.path.join(folder, "fake"))
        real_faults(tap, sys.argv[1], real, admin)
        tokens(tap, sys.argv[2], real, admin)
    finally:
        if real:
            real.close()
        shutil.rmtree(folder)
    tap.done()


if __name__ == "__main__":
    main()
