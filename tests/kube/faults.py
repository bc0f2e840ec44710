#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an API server does when it does not do well, and whether a follower of its pods still knows them.

faults.py FOLLOW [--short] [--only TEXT]      as TAP; FOLLOW is the program (tests/kube/follow.c)

In each test the server has pods of two nodes, and one fault or several. In the end the follower has to know
exactly the pods of its node that the server has, and to have said what was wrong. Nothing waits for time to
pass: what is waited for is a line of the follower or a request to the server.
"""
import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kubeapi  # noqa: E402 pylint: disable=wrong-import-position

PATIENCE = 120  # seconds, for a machine that is busy
TESTS = []


def test(what, short=False):
    def add(function):
        TESTS.append((what, short, function))
        return function
    return add


class Follower:
    """The program, and what it knows by what it has said."""

    def __init__(self, program, server, node="n1", idle=60000, kubeconfig=None):
        self.server, self.node = server, node
        self.pods, self.lines, self.state, self.errors = {}, [], "", {}
        self.queue = queue.Queue()
        self.process = subprocess.Popen([program, kubeconfig or server.path("kubeconfig"), node, str(idle), "5", "40"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.queue.put(line.rstrip("\n"))
        self.queue.put(None)

    def take(self, line):
        if line is None:
            self.give_up("the follower ended")
        self.lines.append(line)
        word, _, rest = line.partition(" ")
        if word == "put":
            uid, name = rest.split()[:2]
            self.pods[uid] = rest[len(uid) + 1:]
            assert name
        elif word == "gone":
            del self.pods[rest]  # it was never put: an error
        elif word == "state":
            self.state = rest
            self.errors = {k: int(v) for k, v in re.findall(r" ([a-z]+)=(\d+)", rest.split("|")[0])}

    def until(self, what, condition):
        """Read lines until it holds; or fail, and say what was seen."""
        end = time.monotonic() + PATIENCE
        self.take_waiting()
        while not condition():
            try:
                self.take(self.queue.get(timeout=0.2))
            except queue.Empty:  # the condition may be about the server, or about counters
                if time.monotonic() > end:
                    self.give_up(f"waited for: {what}")
                self.process.stdin.write(".")
                self.process.stdin.flush()
            self.take_waiting()

    def take_waiting(self):
        with contextlib.suppress(queue.Empty):
            while True:
                self.take(self.queue.get_nowait())

    def give_up(self, what):
        raise AssertionError("\n".join([what, "pods it knows:", *sorted(self.pods.values()), "pods there are:",
                                        *sorted(self.wanted().values()), "it said last:", *self.lines[-12:], "requests:",
                                        *(f'{r["verb"]} {r["query"]}' for r in self.server.requests[-6:])]))

    def wanted(self):
        return {o["metadata"]["uid"]: f'{space}/{name} {o["spec"]["serviceAccountName"]}'
                for (space, name), o in self.server.store.snapshot("pods").items()
                if o["spec"]["nodeName"] == self.node and "uid" in o["metadata"] and usable(o)}

    def knows_all(self):
        return self.state.startswith("touch") and self.pods == self.wanted()

    def agrees(self):
        """It knows what there is, and still does when everything on its way has arrived."""
        self.until("the pods of the server", self.knows_all)

    def says(self, text):
        self.until(f"a state with {text!r}", lambda: any(text in line for line in self.lines if line.startswith("state")))

    def counts(self, **want):
        self.until(f"counters {want}", lambda: all(self.errors.get(k, 0) >= v for k, v in want.items()))

    def rss_kb(self, what="VmHWM"):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(rf"{what}:\s+(\d+)", file.read())[1])

    def stop(self):
        self.process.stdin.close()
        status = self.process.wait(timeout=PATIENCE)
        assert status == 0, f"the follower ended with {status}"


def usable(obj):
    return not obj.get("test_unusable")


class Bench:
    """A server and a follower, which start with four pods."""

    def __init__(self, program, folder):
        self.program = program
        self.server = kubeapi.Server(folder)
        self.followers = []
        for name in ("web", "api"):
            self.server.pod(name)
            self.server.pod(name, namespace="other", node="n2")
        self.server.put({"kind": "Node", "metadata": {"name": "n1"}})

    def follow(self, **options):
        self.followers.append(Follower(self.program, self.server, **options))
        return self.followers[-1]

    def followed(self, **options):
        """It has listed, and watches."""
        follower = self.follow(**options)
        follower.agrees()
        return follower

    def churn(self, n=3):
        """Some come, some change, some go."""
        for i in range(n):
            self.server.pod(f"new-{i}-{self.server.store.version}", account=f"a{i}")
            self.server.pod(f"far-{i}", node="n2")
        self.server.pod("web", labels={"version": str(self.server.store.version)})
        names = [name for space, name in self.server.store.snapshot("pods") if name.startswith("new-")]
        self.server.delete("pods", "default", names[0])

    def requests(self, verb, **query):
        with self.server.store.changed:
            return [r for r in self.server.requests if r["verb"] == verb and all(r["query"].get(k) == v for k, v in query.items())]

    def asked(self, follower, n, verb, **query):
        follower.until(f"{n} requests {verb} {query}", lambda: len(self.requests(verb, **query)) >= n)

    def stop(self):
        """The followers end as they should, without leaks where that is looked at."""
        for follower in self.followers:
            follower.stop()

    def close(self):
        for follower in self.followers:
            if follower.process.poll() is None:
                follower.process.kill()
                follower.process.wait()
        self.server.away()


# ---- nothing is wrong ----


@test("pods come, change and go; bookmarks move the version", short=True)
def _(bench):
    f = bench.followed()
    bench.churn()
    f.agrees()
    bench.server.store.bump(50)
    bench.server.bookmark()
    f.until("a bookmark", lambda: "bookmarks=1" in f.state)
    version = str(bench.server.store.version)
    bench.server.end_watches()
    bench.asked(f, 1, "watch", resourceVersion=version)
    bench.churn()
    f.agrees()
    assert len(bench.requests("list")) == 1, bench.requests("list")
    first = bench.requests("list")[0]["query"]
    assert first == {"fieldSelector": "spec.nodeName=n1", "limit": "500", "resourceVersion": "0"}, first
    assert all(r["query"]["allowWatchBookmarks"] == "true" and 300 <= int(r["query"]["timeoutSeconds"]) <= 600
               for r in bench.requests("watch"))


@test("a pod recreated under its name has another uid, and the old one is gone")
def _(bench):
    f = bench.followed()
    old = bench.server.pod("web")["metadata"]["uid"]
    bench.server.delete("pods", "default", "web")
    new = bench.server.pod("web", account="other")["metadata"]["uid"]
    f.agrees()
    assert old != new and old not in f.pods and f.pods[new] == "default/web other", f.pods


@test("a mirror pod has the hash of its manifest, which names its cgroup")
def _(bench):
    digest = "2732ca68f6358eba7703fb6f82a25c94"
    bench.server.put({"kind": "Pod", "metadata": {
        "name": "static-n1", "namespace": "kube-system",
        "annotations": {"kubernetes.io/config.hash": digest, "kubernetes.io/config.mirror": digest}},
        "spec": {"nodeName": "n1", "serviceAccountName": ""}, "test_unusable": True})
    f = bench.follow()
    f.until("the mirror pod", lambda: f"kube-system/static-n1 - {digest}" in f.pods.values())


@test("a list in pages, from a server that has no cache", short=True)
def _(bench):
    for i in range(23):
        bench.server.pod(f"p{i:02}")
    bench.server.set(page=5)
    f = bench.followed()
    assert len(bench.requests("list")) == 5, bench.server.state()["requests"]
    bench.churn()
    f.agrees()


# ---- watches that end ----


@test("watches end cleanly, again and again: no list, no loss")
def _(bench):
    f = bench.followed()
    for _ in range(20):
        bench.churn(1)
        f.agrees()
        bench.server.end_watches()
        bench.churn(1)
    f.agrees()
    assert len(bench.requests("list")) == 1


@test("a watch that ends as soon as it begins: it is not asked for in a tight loop")
def _(bench):
    bench.server.fault(on="watch", end=True, times=6)
    f = bench.follow()
    f.says("ends as soon as it begins")
    bench.asked(f, 7, "watch")
    bench.churn()
    f.agrees()


@test("connections reset, while nothing and while much happens", short=True)
def _(bench):
    f = bench.followed()
    for how in ("cut", "half", "cut", "half"):
        bench.server.end_watches(how)
        bench.churn()
        f.agrees()
    f.until("trouble was counted", lambda: f.errors.get("unreachable", 0) + f.errors.get("malformed", 0) > 0)


@test("every answer is cut off after some bytes, at each place of a list and of events", short=True)
def _(bench):
    f = bench.followed()
    for cut in [*range(0, 900, 37), *range(900, 3000, 211)]:
        bench.server.fault(on="list", cut=cut)
        bench.server.fault(on="watch", cut=cut)
        bench.churn(1)
        f.until("faults used up", lambda: bench.server.end_watches("expired") or not bench.server.faults)
    f.agrees()


@test("an answer ends within an event, as if it were complete")
def _(bench):
    f = bench.followed()
    bench.server.fault(on="watch", lines='{"type":"MODIFIED","object":{"kind":"Pod","meta')
    bench.server.end_watches()
    f.says("ends too early")
    bench.churn()
    f.agrees()


@test("the version of a watch has expired, as an event", short=True)
def _(bench):
    f = bench.followed()
    bench.server.away()
    bench.churn()
    bench.server.compact()
    bench.server.back()
    f.counts(expired=1)
    f.agrees()
    assert len(bench.requests("list")) == 2
    assert "limit" not in bench.requests("list")[1]["query"], "a limit makes the version an exact one"


@test("the version of a watch has expired, as a status")
def _(bench):
    bench.server.set(stale_watch="status")
    f = bench.followed()
    bench.server.away()
    bench.churn()
    bench.server.compact()
    bench.server.back()
    f.counts(expired=1)
    f.agrees()


@test("an expired event in the middle of a watch")
def _(bench):
    f = bench.followed()
    for _ in range(3):
        bench.server.end_watches("expired")
        bench.churn()
        f.agrees()
    f.counts(expired=3)


@test("the version of the list has expired as well: a list of now", short=True)
def _(bench):
    f = bench.followed()
    bench.server.fault(on="list", status=410, message="The resourceVersion for the provided list is too old.")
    bench.server.end_watches("expired")
    f.counts(expired=2)
    f.agrees()
    assert "resourceVersion" not in bench.requests("list")[-1]["query"]


@test("pages expire while they are read: the list comes in one piece")
def _(bench):
    for i in range(12):
        bench.server.pod(f"p{i:02}")
    bench.server.set(page=5, expire_pages=True)
    f = bench.followed()
    f.counts(expired=1)
    assert "limit" not in bench.requests("list")[-1]["query"]
    bench.churn()
    f.agrees()


@test("etcd was restored from a backup: the known version is from the future", short=True)
def _(bench):
    f = bench.followed()
    bench.churn()
    f.agrees()
    bench.server.away()
    bench.server.restore(101)
    bench.server.back()
    bench.server.end_watches("expired")
    bench.server.fault(on="watch", status=410)
    f.agrees()
    assert set(f.pods.values()) == {"default/web default"}, f.pods
    bench.churn()
    f.agrees()


# ---- trouble with the server ----


@test("the API server is away, and pods come and go meanwhile", short=True)
def _(bench):
    f = bench.followed()
    known = dict(f.pods)
    bench.server.away()
    f.until("that it is away", lambda: f.state.startswith("away"))
    f.counts(unreachable=4)
    assert f.pods == known, "what was known stays known"
    bench.churn()
    bench.server.back()
    f.agrees()


@test("the API server is not there yet")
def _(bench):
    bench.server.away()
    f = bench.follow()
    f.counts(unreachable=3)
    bench.server.back()
    f.agrees()


@test("429 with Retry-After, 503 and 500, for lists and for watches", short=True)
def _(bench):
    for on in ("list", "watch"):
        bench.server.fault(on=on, status=429, message="Too many requests, please try again later.", headers={"Retry-After": "1"})
        bench.server.fault(on=on, status=503)
        bench.server.fault(on=on, status=500)
        bench.server.fault(on=on, status=504, message="Timeout: request did not complete within the allotted timeout")
    f = bench.followed()
    f.counts(busy=4, status=4)
    bench.churn()
    f.agrees()


@test("403 for the list: the rule that is missing is named, and it goes on by itself", short=True)
def _(bench):
    bench.server.set(denied=["list pods"])
    f = bench.follow()
    f.says('cannot list pods: not allowed (HTTP 403): pods is forbidden: User "system:serviceaccount:podcred:podcred" cannot list '
           'resource "pods" in API group "" at the cluster scope; let a ClusterRole grant list and watch on pods')
    bench.server.set(denied=["watch pods"])
    f.says("cannot watch pods: not allowed (HTTP 403): pods is forbidden")
    assert f.pods == f.wanted() and not f.state.startswith("touch")
    bench.server.set(denied=[])
    f.agrees()


@test("401: the token was replaced, and its file is read again", short=True)
def _(bench):
    f = bench.followed()
    bench.server.new_token()
    bench.server.end_watches()
    bench.churn()
    f.agrees()


@test("401 with every token that there is: said, and it goes on by itself")
def _(bench):
    f = bench.followed()
    tokens, bench.server.tokens = bench.server.tokens, {}
    bench.server.end_watches("cut")
    f.counts(unauthorized=2)
    f.says("401")
    bench.server.tokens = tokens
    bench.churn()
    f.agrees()


@test("half open: the connection is there, and nothing comes any more", short=True)
def _(bench):
    f = bench.followed(idle=1500)
    bench.server.end_watches("mute")
    bench.churn()
    f.agrees()
    bench.asked(f, 2, "watch")


@test("a proxy that swallows what comes on watches: the list tells")
def _(bench):
    bench.server.fault(on="watch", mute=True, times=3)
    f = bench.followed(idle=1500)
    bench.churn()
    f.agrees()
    assert len(bench.requests("list")) >= 2


@test("requests that are never answered", short=True)
def _(bench):
    bench.server.fault(on="list", hang=True, times=2)
    bench.server.fault(on="watch", hang=True, times=2)
    f = bench.followed(idle=1500)
    bench.churn()
    f.agrees()


@test("connections that are reset before the answer")
def _(bench):
    bench.server.fault(on="any", reset=True, times=5)
    f = bench.followed()
    bench.churn()
    f.agrees()


@test("a login page, an empty answer, and a list of something else, each with status 200")
def _(bench):
    for on in ("list", "watch"):
        bench.server.fault(on=on, body="<html><body>Please log in</body></html>\n")
        bench.server.fault(on=on, body="")
        bench.server.fault(on=on, body='{"kind":"Status","code":200}\n', type="application/json")
        bench.server.fault(on=on, body="\0\0\0{]\n")
    bench.server.fault(on="list", body='{"kind":"Pod","metadata":{"resourceVersion":"1"},"items":[]}')
    f = bench.followed()
    f.counts(malformed=7)
    bench.churn()
    f.agrees()


# ---- odd answers ----


@test("every byte comes by itself", short=True)
def _(bench):
    bench.server.set(step=1)
    f = bench.followed()
    bench.churn()
    f.agrees()
    assert not any(f.errors.get(k) for k in ("malformed", "unreachable")), f.state


@test("lists in another order, with other space and unknown members")
def _(bench):
    bench.server.set(odd_lists=True, step=7)
    f = bench.followed()
    bench.server.end_watches("expired")
    bench.churn()
    f.agrees()
    assert not f.errors.get("malformed"), f.state


@test("compressed lists", short=True)
def _(bench):
    bench.server.set(gzip_from=0)
    for i in range(200):
        bench.server.pod(f"p{i}", pad=2000)
    f = bench.followed()
    bench.server.end_watches("expired")
    f.counts(expired=1)
    f.agrees()
    assert bench.server.compressed >= 2, "the client did not ask for gzip"


@test("events come twice", short=True)
def _(bench):
    bench.server.set(duplicate=True)
    f = bench.followed()
    for _ in range(5):
        bench.churn()
    f.agrees()


@test("events come in the wrong order, and old ones again", short=True)
def _(bench):
    f = bench.followed()
    for _ in range(5):
        bench.server.set(hold=True)
        old = bench.server.pod("web", labels={"n": "1"})
        bench.churn()
        bench.server.pod("web", account="late")
        bench.server.set(hold=False, reverse=True)
        bench.server.send("MODIFIED", old)
        f.agrees()


@test("a pod of 1 MB, and one of 5 MB, which no API server would take", short=True)
def _(bench):
    f = bench.followed()
    bench.server.pod("large", pad=1 << 20)
    f.agrees()
    huge = bench.server.pod("huge", pad=5 << 20)
    huge["test_unusable"] = True
    bench.server.pod("after")
    f.agrees()
    f.says("larger than 4 MiB")
    bench.server.end_watches("expired")
    bench.churn()
    f.agrees()
    f.until("one is counted", lambda: "unusable=1 " in f.state + " ")


@test("pods that cannot be decoded cost themselves only, and are named", short=True)
def _(bench):
    bad = [
        {"metadata": {"name": "no-uid", "namespace": "default", "uid": "not a uid"}},
        {"metadata": {"name": "bad-account", "namespace": "default"}, "spec": {"nodeName": "n1", "serviceAccountName": 7}},
        {"metadata": {"name": "bad-space", "namespace": "de/fault"}},
        {"metadata": {"name": "no-node", "namespace": "default"}, "spec": {}},
    ]

    def add(items):
        for obj in items:
            obj.setdefault("spec", {"nodeName": "n1"})
            bench.server.put({"kind": "Pod", "test_unusable": True, **obj})

    add(bad[:2])
    f = bench.followed()
    f.until("two are counted", lambda: "unusable=2" in f.state)
    f.says('"default"/"no-uid": metadata.uid is "not a uid"')
    add(bad[2:3])
    f.until("three are counted", lambda: "unusable=3" in f.state)
    bench.churn()
    f.agrees()
    bench.server.delete("pods", "default", "no-uid")
    f.until("two are left", lambda: "unusable=2" in f.state)
    f.agrees()


@test("the server's clock is years ahead, or behind")
def _(bench):
    bench.server.set(skew=10 * 365 * 86400)
    bench.server.fault(on="list", status=429, headers={"Retry-After": "1"})
    f = bench.followed()
    bench.server.set(skew=-10 * 365 * 86400)
    bench.server.end_watches("expired")
    bench.churn()
    f.agrees()


@test("a node that does not exist is said, with what to do; it may come", short=True)
def _(bench):
    f = bench.follow(node="n9")
    f.says('the API server knows no node "n9"')
    bench.server.pod("late", node="n9")
    f.agrees()
    f.until("nothing is wrong", lambda: "|  |" in f.state)


@test("a server that ignores the fieldSelector: no pod of another node is taken")
def _(bench):
    bench.server.set(ignore_fields=True)
    f = bench.followed()
    f.says('spec.nodeName is "n2", not n1')
    bench.churn()
    f.agrees()


# ---- much at once ----


@test("everything at once: two hundred random faults while pods come and go")
def _(bench):
    import random
    dice = random.Random(17)
    f = bench.followed(idle=1500)
    faults = [{"status": 429, "headers": {"Retry-After": "0"}}, {"status": 500}, {"status": 410}, {"reset": True}, {"cut": 700},
              {"cut": 10}, {"step": 3}, {"body": "no"}, {"end": True}]
    for _ in range(200):
        bench.server.fault(on=dice.choice(["list", "watch", "any"]), **dice.choice(faults))
        bench.churn(1)
        if dice.random() < 0.5:
            bench.server.end_watches(dice.choice(["clean", "cut", "half", "expired"]))
        if dice.random() < 0.2:
            bench.server.compact()
        f.take_waiting()
    f.until("faults used up", lambda: bench.server.end_watches() or not bench.server.faults)
    bench.churn()
    f.agrees()


@test("a list of 5,000 pods of 100 kB each: memory is bounded")
def _(bench):
    for i in range(5000):
        bench.server.pod(f"p{i:04}", pad=100_000)
    f = bench.follow()
    f.agrees()
    print(f"# 5,000 pods of 100 kB: RSS {f.rss_kb('VmRSS')} kB, at most {f.rss_kb()} kB")
    assert f.rss_kb() < 64 << 10, "an eighth of the list"
    bench.server.end_watches("expired")
    bench.churn()
    f.agrees()
    print(f"# after a second list: RSS {f.rss_kb('VmRSS')} kB, at most {f.rss_kb()} kB")
    assert f.rss_kb() < 64 << 10


# ---- the server itself ----


@test("kubectl gets on with the server: it is one, for those who know", short=True)
def _(bench):
    kubectl = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not kubectl:
        return "no kubectl (tests/kube/kubectl.sh gets one)"
    env = dict(os.environ, KUBECONFIG=bench.server.path("kubeconfig"), HOME=bench.server.folder)

    def run(*args, ok=True, text=None):
        done = subprocess.run([kubectl, *args], env=env, capture_output=True, text=True, timeout=PATIENCE, input=text, check=False)
        assert (done.returncode == 0) == ok, f"kubectl {args}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout + done.stderr

    assert run("get", "pods", "-o", "name").split() == ["pod/api", "pod/web"]
    assert run("get", "pods", "-A", "--field-selector", "spec.nodeName=n2", "-o", "name").split() == ["pod/api", "pod/web"]
    for i in range(7):
        bench.server.pod(f"p{i}", labels={"n": str(i)})
    assert len(run("get", "pods", "-A", "--chunk-size=2", "-o", "name").split()) == 11
    assert run("get", "pods", "-l", "n in (1,3), n!=3", "-o", "name").split() == ["pod/p1"]
    assert "field label not supported" in run("get", "pods", "--field-selector", "spec.image=x", ok=False)
    assert "not found" in run("get", "pod", "nobody", ok=False)
    run("create", "--validate=false", "-f", "-", text='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"made","namespace":"default"},"spec":{"nodeName":"n1"}}')
    assert "already exists" in run("create", "--validate=false", "-f", "-", ok=False,
                                   text='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"made","namespace":"default"}}')
    association = ('{"apiVersion":"podcred.io/v1alpha1","kind":"PodIdentityAssociation","metadata":{"name":"web","namespace":"default"},'
                   '"spec":{"roleArn":"ROLE"}}')
    role = "arn:aws:iam::111122223333:role/app"
    run("create", "--validate=false", "-f", "-", text=association.replace("ROLE", role))
    refused = run("create", "--validate=false", "-f", "-", ok=False, text=association.replace("web", "api"))
    assert "is invalid" in refused and "spec.roleArn: " in refused, refused
    assert run("get", "pia", "-A", "-o", "jsonpath={.items[*].spec.roleArn}") == role
    run("label", "pod", "made", "a=b")
    watch = subprocess.Popen([kubectl, "get", "pods", "-A", "--watch", "--output-watch-events", "--no-headers",
                              "-o", "custom-columns=T:.type,N:.object.metadata.name"], env=env,
                             stdout=subprocess.PIPE, text=True)
    end = threading.Timer(PATIENCE, watch.kill)  # then its output ends
    end.start()
    try:
        seen = [watch.stdout.readline().split() for _ in range(12)]
        assert ["ADDED", "made"] in seen, seen
        run("delete", "pod", "made", "--wait=false")
        assert watch.stdout.readline().split() == ["MODIFIED", "made"]
        run("delete", "pod", "made", "--wait=false", "--force")
        assert [watch.stdout.readline().split() for _ in range(2)] == [["MODIFIED", "made"], ["DELETED", "made"]]
    finally:
        end.cancel()
        watch.kill()
        watch.wait()
    bench.server.set(denied=["list pods"])
    assert 'cannot list resource "pods"' in run("get", "pods", ok=False)
    bench.server.new_token()
    return None


@test("what a real server refuses is refused")
def _(bench):
    import json
    import ssl
    import urllib.error
    import urllib.request
    context = ssl.create_default_context(cafile=bench.server.path("ca.crt"))
    token = next(iter(bench.server.tokens))

    def ask(path, method="GET", token=token):
        request = urllib.request.Request(bench.server.url() + path, method=method, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, context=context, timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            assert json.load(error)["kind"] == "Status"
            return error.code

    bench.server.compact()
    for path, want in {
        "/api/v1/pods": 200, "/api/v1/pods?limit=1": 200, "/api/v1/pods?resourceVersion=0&limit=1": 200, "/api/v1/nodes/n1": 200,
        "/api/v1/pods?limit=x": 400, "/api/v1/pods?resourceVersion=x": 400, "/api/v1/pods?watching=true": 400,
        "/api/v1/pods?fieldSelector=spec.node%3Dn1": 400, "/api/v1/pods?limit=1&limit=2": 400, "/api/v1/pods?continue=x": 400,
        "/api/v1/pods?limit=1&resourceVersion=100": 410, "/api/v1/pods?resourceVersion=100": 200,
        "/api/v1/pods?resourceVersion=9999": 504, "/api/v1/pods?watch=true&timeoutSeconds=x": 400, "/api/v1/things": 404,
        "/api/v1/nodes/n2": 404, "/api/v1/namespaces/x/nodes": 404,
    }.items():
        assert ask(path) == want, f"{path}: {ask(path)}, not {want}"
    assert ask("/api/v1/pods", method="POST") == 405
    assert ask("/api/v1/namespaces/default/pods/web", method="POST") == 405
    assert ask("/api/v1/pods", token="") == 401
    assert ask("/api/v1/pods", token="x") == 401


def run(what, function, program, number):
    folder = tempfile.mkdtemp(prefix="kubeapi-")
    bench = Bench(program, folder)
    try:
        skipped = function(bench)
        bench.stop()
        print(f"ok {number} - {what}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
        return True
    except Exception as error:  # pylint: disable=broad-except
        print(f"not ok {number} - {what}")
        for line in f"{type(error).__name__}: {error}".splitlines()[:40]:
            print(f"#   {line}", flush=True)
        return False
    finally:
        bench.close()
        shutil.rmtree(folder)


def main():
    args = sys.argv[1:]
    short = "--short" in args
    only = args[args.index("--only") + 1] if "--only" in args else ""
    chosen = [(what, function) for what, is_short, function in TESTS if (is_short or not short) and only in what]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = sum(not run(what, function, args[0], i + 1) for i, (what, function) in enumerate(chosen))
    print(f"1..{len(chosen)}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
