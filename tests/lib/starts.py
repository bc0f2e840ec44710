#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods that start one after the other, and ask for credentials at once.

starts.py --kubepods DIR --map PIN --control SOCKET [--count 200] [--rate 50] [--live 100] [--accounts 8] [--api-first MS]
          [--late MS] [--sdk SECONDS] [--ask] [--keep] [--unnamed]

For each pod a cgroup is made below DIR, and the stand-in API server (tests/kube/kubeapi.py) is told of the pod, --api-first
milliseconds before (negative: after) that. With --ask a process in the cgroup then asks 169.254.170.2 for credentials, and
compares the key with that of its service account (env_associations: AKIA and the account's name). At most --live pods are
there at a time; then the oldest is removed, as a kubelet would: processes, cgroup, API. --late: the API tells of a pod that
long after it was made. Of 503 a process asks again for --sdk seconds, as SDKs do. --rate 0: as fast as it goes; --keep: the
pods stay; --unnamed: nobody waits for names.

Prints JSON: how many were right, wrong, refused, failed; milliseconds (median, p99, max) from mkdir to the named entry of
podcred_pods (--map), and from mkdir to the answer.
"""
import argparse
import collections
import ctypes
import http.client
import json
import os
import platform
import select
import socket
import statistics
import struct
import sys
import time
import uuid

BPF_MAP_LOOKUP_ELEM, BPF_OBJ_GET = 1, 7
BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
POD_SIZE, POD_FLAGS = 640, 16  # struct podcred_pod
POD_NAMED = 1


class PodsMap:
    """podcred_pods, as the kernel has it."""

    def __init__(self, pin):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.path = ctypes.create_string_buffer(pin.encode())
        self.fd = self.bpf(BPF_OBJ_GET, struct.pack("QIIQ", ctypes.addressof(self.path), 0, 0, 0))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), f"cannot open {pin}")
        self.key, self.value = ctypes.c_uint64(), ctypes.create_string_buffer(POD_SIZE)
        self.lookup = struct.pack("IIQQQ", self.fd, 0, ctypes.addressof(self.key), ctypes.addressof(self.value), 0)

    def bpf(self, command, attr):
        return self.libc.syscall(BPF_SYSCALL, command, attr, len(attr))

    def is_named(self, cgroup_id):
        self.key.value = cgroup_id
        return self.bpf(BPF_MAP_LOOKUP_ELEM, self.lookup) == 0 and \
            struct.unpack_from("I", self.value, POD_FLAGS)[0] & POD_NAMED


class Control(http.client.HTTPConnection):
    """Commands for the stand-in."""

    def __init__(self, path):
        super().__init__("control")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def command(self, **commands):
        self.request("POST", "/", json.dumps(commands))
        answer = self.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(body.decode())


def remove_cgroup(pod):
    """The kernel may need a moment, when processes have just ended."""
    deadline = time.monotonic() + 10
    for path in (pod + "/container", pod):
        while True:
            try:
                os.rmdir(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.002)


class Pod:
    def __init__(self, number, accounts):
        self.uid = str(uuid.uuid4())
        self.name = f"start-{number}"
        self.account = f"account{number % accounts}"
        self.made = self.named = None  # seconds, monotonic
        self.cgroup = self.id = self.child = None

    def make(self, kubepods):
        self.cgroup = f"{kubepods}/kubepods-burstable.slice/kubepods-burstable-pod{self.uid.replace('-', '_')}.slice"
        self.made = time.monotonic()
        os.makedirs(self.cgroup + "/container")
        self.id = os.stat(self.cgroup).st_ino

    def tell(self, control):
        control.command(pod={"name": self.name, "namespace": "shop", "account": self.account, "uid": self.uid})

    def forget(self, control):
        control.command(delete=["pods", "shop", self.name])

    def remove(self):
        remove_cgroup(self.cgroup)


# ---- in the pod ----


def request():
    connection = http.client.HTTPConnection("169.254.170.2", timeout=10)
    try:
        connection.request("GET", "/creds")
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def ask(pod, sdk):
    """right, wrong, refused (503 to the end), or failed."""
    until = time.monotonic() + sdk
    tries = 0
    while True:
        tries += 1
        try:
            status, body = request()
        except OSError as error:
            return {"result": "failed", "why": str(error), "tries": tries}
        if status != 503 or time.monotonic() >= until:
            break
        time.sleep(0.2)
    if status == 503:
        return {"result": "refused", "why": body, "tries": tries}
    if status != 200:
        return {"result": "failed", "why": f"{status} {body}", "tries": tries}
    key = json.loads(body)["AccessKeyId"]
    right = key == "AKIA" + pod.account.upper()
    return {"result": "right" if right else "wrong", "why": key, "tries": tries}


def start_process(pod, sdk):
    """Its answer comes through a pipe, which then ends."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        with open(pod.cgroup + "/container/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")
        answer = ask(pod, sdk)
    except Exception as error:  # pylint: disable=broad-except
        answer = {"result": "failed", "why": repr(error), "tries": 0}
    answer["ms"] = (time.monotonic() - pod.made) * 1000
    os.write(writer, json.dumps(answer).encode())
    os._exit(0)


# ---- the kubelet ----


class Driver:
    def __init__(self, args):
        self.args = args
        self.pods_map = PodsMap(args.map)
        self.control = Control(args.control)
        self.live = collections.deque()
        self.waiting = []  # for a name
        self.asking = {}  # reader: pod
        self.telling = []  # (when, pod)
        self.results = collections.Counter()
        self.notes, self.named_ms, self.answer_ms, self.tries = [], [], [], []

    def start(self, number):
        pod = Pod(number, self.args.accounts)
        ahead = -self.args.late if self.args.late else self.args.api_first
        if ahead >= 0:
            pod.tell(self.control)
            self.pause(ahead / 1000)
            pod.make(self.args.kubepods)
        else:
            pod.make(self.args.kubepods)
            self.telling.append((pod.made - ahead / 1000, pod))
        self.live.append(pod)
        if not self.args.unnamed:
            self.waiting.append(pod)
        if self.args.ask:
            pod.child, reader = start_process(pod, self.args.sdk)
            self.asking[reader] = pod

    def pause(self, seconds):
        until = time.monotonic() + seconds
        while True:
            self.turn()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.0002))

    def turn(self):
        now = time.monotonic()
        while self.telling and self.telling[0][0] <= now:
            self.telling.pop(0)[1].tell(self.control)
        for pod in self.waiting[:]:
            if self.pods_map.is_named(pod.id):
                pod.named = time.monotonic()
                self.named_ms.append((pod.named - pod.made) * 1000)
                self.waiting.remove(pod)
        if self.asking:
            for reader in select.select(list(self.asking), [], [], 0)[0]:
                self.take(reader)

    def take(self, reader):
        data = os.read(reader, 65536)
        pod = self.asking.pop(reader)
        os.close(reader)
        os.waitpid(pod.child, 0)
        answer = json.loads(data or '{"result": "failed", "why": "no answer", "tries": 0, "ms": 0}')
        self.results[answer["result"]] += 1
        self.answer_ms.append(answer["ms"])
        self.tries.append(answer["tries"])
        if answer["result"] != "right":
            self.notes.append(f"{pod.name} {pod.account}: {answer['result']}: {answer['why']}")

    def is_busy(self, pod):
        return pod in self.asking.values() or any(pod is other for _, other in self.telling)

    def retire(self, most):
        while len(self.live) > most:
            pod = self.live[0]
            while self.is_busy(pod):
                self.pause(0.001)
            self.live.popleft()
            if pod in self.waiting:
                self.waiting.remove(pod)
            pod.remove()
            pod.forget(self.control)

    def settle(self, seconds):
        until = time.monotonic() + seconds
        while (self.asking or self.waiting or self.telling) and time.monotonic() < until:
            self.pause(0.001)

    def run(self):
        begin = time.monotonic()
        for number in range(self.args.count):
            if self.args.rate:
                self.pause(begin + number / self.args.rate - time.monotonic())
            self.start(number)
            self.retire(self.args.live)
        took = time.monotonic() - begin
        self.settle(60)
        unnamed = len(self.waiting)
        if not self.args.keep:
            self.retire(0)
        return {"started": self.args.count, "rate": round(self.args.count / took, 1), "unnamed": unnamed,
                **{name: self.results[name] for name in ("right", "wrong", "refused", "failed")},
                "tries": max(self.tries, default=0), "named": summary(self.named_ms), "answered": summary(self.answer_ms),
                "notes": self.notes[:5]}


def summary(values):
    if len(values) < 2:
        return None
    values = sorted(values)
    return {"median": round(statistics.median(values), 2), "p99": round(values[int(len(values) * 0.99)], 2),
            "max": round(values[-1], 2)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubepods", required=True)
    parser.add_argument("--map", required=True)
    parser.add_argument("--control", required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--live", type=int, default=100)
    parser.add_argument("--accounts", type=int, default=8)
    parser.add_argument("--api-first", type=float, default=0)
    parser.add_argument("--late", type=float, default=0)
    parser.add_argument("--sdk", type=float, default=0)
    parser.add_argument("--ask", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--unnamed", action="store_true")
    print(json.dumps(Driver(parser.parse_args()).run()))


if __name__ == "__main__":
    sys.exit(main())
