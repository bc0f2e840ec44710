#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose pods come and go, and ask for credentials: are they their own?

churn.py --kubepods DIR --control SOCKET --netns PREFIX --rival ADDRESS:PORT --seed N [--seconds 1800] [--pods 500]
         [--rate 10] [--ask-every 10] [--report 1]

Plays scheduler, kubelet and CNI plugin. --pods pods are there at a time, --rate of them a second end and are replaced. Half
of them are deleted, the others end by themselves. A pod has a name that others had before, a new UID, and a random service
account. The stand-in API server (tests/kube/kubeapi.py) is told of it; then it gets a cgroup, one of the network namespaces
PREFIXc1, PREFIXc2, ... (the node's is PREFIXnode), and the address that was given back last. Its process asks at once, and
then every --ask-every seconds on average: podcred, at 169.254.170.2, and beside it whoever knows pods by source address
(by_address.py), at --rival. Credentials are compared by service account. Of 503 the process asks podcred again, as SDKs do. A
pod that ends before its answer has come is not counted.

A kubelet looks at its containers every --report seconds. That is how late the API server hears of a pod's address, or of its
end, at most; half of it on average.

Prints JSON.
"""
import argparse
import ctypes
import fcntl
import heapq
import http.client
import itertools
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
import uuid
from collections import Counter, deque

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import starts  # pylint: disable=wrong-import-position

ACCOUNTS = 64
SDK_S = 60  # how long an SDK may go on asking
START_RATE = 50  # pods a second, until all are there
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFHWADDR, SIOCSARP = 0x8914, 0x8916, 0x891C, 0x8924, 0x8955
IFF_UP, ARPHRD_ETHER, ATF_COM, ATF_PERM = 1, 1, 2, 4
NODE_ADDRESS, NODE_MAC = "10.99.0.1", bytes.fromhex("020000009901")  # env.sh

libc = ctypes.CDLL(None, use_errno=True)


def setns(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def mac_of(address):
    return b"\x0a\x58" + socket.inet_aton(address)


class Network:
    """The addresses of a device in a network namespace."""

    def __init__(self, name, device):
        self.fd, self.device = os.open("/run/netns/" + name, os.O_RDONLY), device
        setns(self.fd)
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def up(self):
        for device in (b"lo", self.device):
            fcntl.ioctl(self.control, SIOCSIFFLAGS, struct.pack("16sH22x", device, IFF_UP))

    def set(self, what, address):
        fcntl.ioctl(self.control, what, struct.pack("16sHH4s16x", self.device, socket.AF_INET, 0, socket.inet_aton(address)))

    def add(self, address):
        """The MAC address follows from the address: nobody has to learn a new one."""
        fcntl.ioctl(self.control, SIOCSIFHWADDR, struct.pack("16sH6s16x", self.device, ARPHRD_ETHER, mac_of(address)))
        self.set(SIOCSIFADDR, address)
        self.set(SIOCSIFNETMASK, "255.255.0.0")
        self.knows(NODE_ADDRESS, NODE_MAC)

    def remove(self):
        self.set(SIOCSIFADDR, "0.0.0.0")

    def knows(self, address, mac):
        """A neighbour for good. The kernel's table of all others is small, and the whole machine shares it."""
        fcntl.ioctl(self.control, SIOCSARP, struct.pack("HH4s8xH6s8xi16x16s", socket.AF_INET, 0, socket.inet_aton(address),
                                                       ARPHRD_ETHER, mac, ATF_COM | ATF_PERM, self.device))


class Pod:
    QOS = ("", "kubepods-burstable.slice", "kubepods-besteffort.slice")

    def __init__(self, number, name, rng):
        self.number, self.name = number, name
        self.uid = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        self.account = f"account{rng.randrange(ACCOUNTS)}"
        self.is_job = rng.random() < 0.5  # it ends by itself; others are deleted
        self.qos = rng.choice(self.QOS)
        self.netns = self.address = self.child = None
        self.gone = False

    def directory(self, kubepods):
        slices = self.qos.removesuffix(".slice") or "kubepods"
        return os.path.join(kubepods, self.qos, f"{slices}-pod{self.uid.replace('-', '_')}.slice")

    def object(self, ending=False, **status):
        return {"kind": "Pod", "apiVersion": "v1",
                "metadata": {"name": self.name, "namespace": "shop", "uid": self.uid,
                             **({"deletionTimestamp": "2026-01-02T03:04:06Z"} if ending else {})},
                "spec": {"nodeName": "n1", "serviceAccountName": self.account,
                         "containers": [{"name": "main", "image": "pause"}]},
                "status": status}


# ---- in the pod ----


class Asker:
    def __init__(self, pod, args, writer):
        self.pod, self.args, self.writer = pod, args, writer
        self.rng = random.Random(f"{args.seed} {pod.number}")

        self.is_first = True

    def tell(self, who, **what):
        said = {"who": who, "pod": f"{self.pod.name} {self.pod.account}", "first": self.is_first, **what}
        os.write(self.writer, json.dumps(said).encode() + b"\n")

    def ask(self):
        """Both at the same time."""
        host, port = self.args.rival.split(":")
        rival = http.client.HTTPConnection(host, int(port), timeout=30)
        rival.request("GET", "/")
        answer = starts.ask(self.pod, SDK_S)
        self.tell("podcred", **answer)
        answer = rival.getresponse()
        body = answer.read().decode()
        rival.close()
        if answer.status != 200:
            self.tell("address", result="refused", why=body)
            return
        right = json.loads(body)["account"] == self.pod.account
        self.tell("address", result="right" if right else "wrong", why=body)

    def run(self):
        while True:
            try:
                self.ask()
            except OSError as error:
                self.tell("address", result="failed", why=repr(error))
            self.is_first = False
            time.sleep(self.rng.expovariate(1 / self.args.ask_every))


def start_process(pod, cgroup, args, writer):
    child = os.fork()
    if child:
        return child
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with open(cgroup + "/container/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")
        setns(pod.netns.fd)
        Asker(pod, args, writer).run()
    finally:
        os._exit(1)


# ---- the node ----


class Node:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.control = starts.Control(args.control)
        self.numbers = itertools.count()
        self.live = []
        self.names = deque(f"web-{n}" for n in range(args.pods + args.rate * 4))
        self.addresses = [f"10.99.{128 + n // 250}.{n % 250 + 1}" for n in range(args.pods + 4)]
        self.netns = deque(Network(f"{args.netns}c{n + 1}", b"eth0") for n in range(args.pods + 4))
        for network in self.netns:
            network.up()
        bridge = Network(args.netns + "node", b"br0")
        for address in self.addresses:
            bridge.knows(address, mac_of(address))
        self.due = []  # (when, number, what)
        self.reader, self.writer = os.pipe()
        self.rest = b""
        self.results = {"podcred": Counter(), "address": Counter()}
        self.notes = {"podcred": [], "address": []}
        self.again = 0
        self.had = {"address": set(), "name": set()}
        self.reused = Counter()

    def later(self, what):
        """When the kubelet looks next."""
        heapq.heappush(self.due, (time.monotonic() + self.rng.uniform(0, self.args.report), next(self.numbers), what))

    def count_reuse(self, pod):
        for what in self.had:
            value = getattr(pod, what)
            self.reused[what] += value in self.had[what]
            self.had[what].add(value)

    def start(self):
        pod = Pod(next(self.numbers), self.names.popleft(), self.rng)
        self.control.command(put=pod.object(phase="Pending"))
        cgroup = pod.directory(self.args.kubepods)
        os.makedirs(cgroup + "/container")
        pod.netns, pod.address = self.netns.popleft(), self.addresses.pop()
        self.count_reuse(pod)
        pod.netns.add(pod.address)
        pod.child = start_process(pod, cgroup, self.args, self.writer)
        self.live.append(pod)
        self.later(lambda: self.report(pod))

    def report(self, pod):
        if not pod.gone:
            self.control.command(put=pod.object(phase="Running", podIP=pod.address))

    def end(self):
        """What is left of it in the API is its object, until the kubelet looks next."""
        pod = self.live.pop(self.rng.randrange(len(self.live)))
        pod.gone = True
        if not pod.is_job:
            self.control.command(put=pod.object(ending=True, phase="Running", podIP=pod.address))
        os.kill(pod.child, signal.SIGKILL)
        os.waitpid(pod.child, 0)
        starts.remove_cgroup(pod.directory(self.args.kubepods))
        pod.netns.remove()
        self.netns.append(pod.netns)
        self.addresses.append(pod.address)
        self.later(lambda: (self.finish if pod.is_job else self.forget)(pod))

    def finish(self, pod):
        self.control.command(put=pod.object(phase="Succeeded", podIP=pod.address))
        self.later(lambda: self.forget(pod))

    def forget(self, pod):
        self.control.command(delete=["pods", "shop", pod.name])
        self.names.append(pod.name)

    def take(self):
        *lines, self.rest = (self.rest + os.read(self.reader, 65536)).split(b"\n")
        for line in lines:
            said = json.loads(line)
            who = said["who"]
            self.results[who][said["result"]] += 1
            self.results[who]["wrong_first"] += said["first"] and said["result"] == "wrong"
            self.again += said.get("tries", 1) - 1
            if said["result"] != "right" and len(self.notes[who]) < 5:
                self.notes[who].append(f"{said['pod']}: {said['result']}: {said['why']}")

    def pause(self, until):
        while True:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                heapq.heappop(self.due)[2]()
            wake = min(until, self.due[0][0]) if self.due else until
            left = wake - time.monotonic()
            if select.select([self.reader], [], [], max(left, 0))[0]:
                self.take()
            elif time.monotonic() >= until:
                return

    def run(self):
        begin = time.monotonic()
        for n in range(self.args.pods):
            self.pause(begin + n / START_RATE)
            self.start()
        full = time.monotonic()
        for n in itertools.count():
            self.pause(full + n / self.args.rate)
            if time.monotonic() - begin >= self.args.seconds:
                break
            self.end()
            self.start()
        took = time.monotonic() - begin
        started = len(self.live) + n
        while self.live:
            self.end()
        while select.select([self.reader], [], [], 0)[0]:
            self.take()
        return {"seed": self.args.seed, "seconds": round(took), "live": self.args.pods, "pods": started,
                "addresses_reused": self.reused["address"], "names_reused": self.reused["name"],
                "podcred": self.figures("podcred", retried=self.again), "address": self.figures("address")}

    def figures(self, who, **more):
        results = self.results[who]
        figures = {name: results[name] for name in ("right", "wrong", "refused", "failed")}
        return {"requests": sum(figures.values()), **figures, "wrong_first": results["wrong_first"], **more,
                "notes": self.notes[who]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubepods", required=True)
    parser.add_argument("--control", required=True)
    parser.add_argument("--netns", required=True)
    parser.add_argument("--rival", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--pods", type=int, default=500)
    parser.add_argument("--rate", type=int, default=10)
    parser.add_argument("--ask-every", type=float, default=10)
    parser.add_argument("--report", type=float, default=1)
    print(json.dumps(Node(parser.parse_args()).run()))


if __name__ == "__main__":
    main()
