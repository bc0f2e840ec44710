# SPDX-License-Identifier: Apache-2.0
"""HTTP for the services, the log of calls, and faults."""
import contextlib
import email.utils
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import uuid

import signature
from refused import Cut, Refused

BODY_LIMIT = 64 << 10
KINDS = ("error", "answer", "delay", "hold", "close", "reset", "mute", "truncate", "cut", "oversize", "garbage", "empty", "without", "drip")


class Request:
    def __init__(self, handler, body):
        self.method, self.target, self.headers, self.body = handler.command, handler.path, handler.headers, body

    def header(self, name):
        return self.headers.get(name)

    def signed(self):
        return signature.Request(self.method, self.target, self.headers.items(), self.body)

    def about(self, service):
        """What faults can be for."""
        form = dict(urllib.parse.parse_qsl(self.body.decode("latin-1"))) if service == "sts" else {}
        action = {"sts": form.get("Action"), "eks-auth": "AssumeRoleForPodIdentity"}.get(service, self.method)
        return {"service": service, "action": action, "role": form.get("RoleArn"), "session": form.get("RoleSessionName"), "path": self.target}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, server_version, sys_version = "HTTP/1.1", "Server", ""
    disable_nagle_algorithm = True
    listener = None
    timeout = 600

    @property
    def service(self):
        return self.listener.service

    @property
    def faults(self):
        return self.listener.faults

    def setup(self):
        self.raw = self.request
        self.number = self.listener.connect(self.raw)
        self.on_connect()
        if self.listener.tls:
            with contextlib.suppress(OSError, ssl.SSLError):
                self.request = self.listener.tls.wrap_socket(self.raw, server_side=True, do_handshake_on_connect=False)
                self.listener.connections[self.number] = self.request
                self.request.settimeout(30)
                self.request.do_handshake()
                self.request.settimeout(self.timeout)
        super().setup()

    def on_connect(self):
        fault = self.faults.take({"service": self.service.name}, "connect")
        if fault.get("do") == "mute":
            with contextlib.suppress(OSError):
                self.silence(self.raw)
        if fault.get("do") == "reset":
            with contextlib.suppress(Cut, OSError):
                self.reset()

    def finish(self):
        self.listener.connections.pop(self.number, None)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def handle(self):
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            super().handle()

    def log_message(self, *_args):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(timestamp or self.service.world.now(), usegmt=True)

    def version_string(self):
        return "EC2ws" if self.service.name == "imds" else "Server"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self):
        call = {"n": 0, "id": str(uuid.uuid4()), "service": self.service.name, "action": "", "caller": None, "connection": self.number,
                "userAgent": self.headers.get("User-Agent"), "host": self.headers.get("Host")}
        try:
            request = Request(self, self.read_body())
            about = request.about(self.service.name)
            self.listener.log.arrive(call, about)
            fault = self.faults.take(about, "request")
            call["fault"] = fault.get("do")
            self.before(fault)
            status, headers, (kind, body) = self.result(request, call, fault)
            call["status"] = status
            self.listener.log.answer(call)
            self.send(status, {**headers, **self.service.request_headers(call)}, kind, body, fault)
        except (Cut, OSError, ssl.SSLError):
            self.listener.log.answer(call)
            self.close_connection = True

    def read_body(self):
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not re.fullmatch("[0-9]{1,9}", length) or int(length) > BODY_LIMIT:
            self.send_error(411 if not re.fullmatch("[0-9]{1,9}", length) else 413)
            raise Cut
        return self.rfile.read(int(length))

    def result(self, request, call, fault):
        if fault.get("do") == "error":
            refused = Refused(fault.get("code", "InternalFailure"), fault.get("message", "made to fail"), fault.get("status", 500),
                              dict(fault.get("headers", {})))
            call["error"] = refused.code
            answer = self.service.write_error(request, refused, call)
            return refused.status, refused.headers, answer
        if fault.get("do") == "answer":
            return fault.get("status", 200), dict(fault.get("headers", {})), (fault.get("type", "text/html"), fault.get("body", "").encode())
        return self.service.answer(request, call)

    # ---- faults ----

    def before(self, fault):
        kind = fault.get("do")
        if kind == "delay":
            time.sleep(fault["seconds"])
        if kind == "hold":
            self.faults.gate.wait()
        if kind == "close":
            raise Cut
        if kind == "reset":
            self.reset()
        if kind == "mute":
            self.silence(self.request)

    def silence(self, sock):
        """Until the client gives up."""
        sock.settimeout(None)
        while sock.recv(4096):
            pass
        raise Cut

    def reset(self):
        """With a RST, and without a TLS alert."""
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.request.detach() if self.request is not self.raw else None
        self.raw.close()
        raise Cut

    def changed(self, body, fault):
        """What a fault makes of a good body."""
        kind = fault.get("do")
        if kind == "cut":
            return body[:fault.get("bytes", len(body) // 2)]
        if kind == "oversize":
            return body.rstrip() + b" " * max(0, fault.get("bytes", 1 << 20) - len(body))
        if kind == "garbage":
            return b"\x00\xff<<<{{{" * 10
        if kind == "empty":
            return b""
        if kind == "without":
            for name in fault["members"]:
                body = re.sub(rb"<%b>.*?</%b>" % (name.encode(), name.encode()), b"", body, flags=re.DOTALL)
                body = re.sub(rb'"%b" ?: ?("[^"]*"|[0-9.]+),? ?' % name.encode(), b"", body)
        return body

    def send(self, status, headers, kind, body, fault):
        body = self.changed(body, fault)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **headers}
        self.send_response_only(status)
        if "Server" not in headers:
            self.send_header("Server", self.version_string())
        self.send_header("Date", self.date_time_string())
        for name, value in headers.items():
            self.send_header(name, value)
        if self.listener.close:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body, fault)

    def send_body(self, body, fault):
        kind = fault.get("do")
        if kind == "truncate":
            self.wfile.write(body[:fault.get("bytes", len(body) // 2)])
            self.wfile.flush()
            raise Cut
        if kind == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(fault.get("seconds", 0.2))
            return
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False
    allow_reuse_address, request_queue_size = True, 512

    def handle_error(self, _request, _client):
        pass


class Listener:
    """One service at one address. away() and back(): nobody listens there, and again."""

    def __init__(self, service, faults, log, address, tls=None):
        self.service, self.faults, self.log, self.tls = service, faults, log, tls
        self.address = address
        self.connections, self.connected, self.close = {}, 0, False
        self.server = None
        self.back()

    @property
    def url(self):
        host, port = self.address[:2]
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def connect(self, sock):
        with self.faults.lock:
            self.connected += 1
            self.connections[self.connected] = sock
            return self.connected

    def back(self):
        handler = type("Bound", (Handler,), {"listener": self})
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        self.server = type("Bound", (Server,), {"address_family": family})(self.address, handler)
        self.address = self.server.server_address[:2]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def away(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        self.drop()

    def drop(self):
        """All connections are reset."""
        for sock in list(self.connections.values()):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.list = []

    def add(self, **fault):
        if fault.get("do") not in KINDS:
            raise ValueError(f"do is one of {', '.join(KINDS)}")
        unknown = set(fault) - {"do", "service", "action", "role", "session", "path", "on", "times", "seconds", "code", "status", "message",
                                "headers", "type", "body", "bytes", "members"}
        if unknown:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        if fault["do"] == "hold":
            self.gate.clear()
        with self.lock:
            self.list.append(dict(fault, times=fault.get("times", 1)))

    def take(self, about, on):
        with self.lock:
            for fault in self.list:
                if fault.get("on", "request") == on and all(
                        fault[name] == about.get(name) for name in ("service", "action", "role", "session", "path") if name in fault):
                    if fault["times"] == 1:
                        self.list.remove(fault)
                    fault["times"] = max(0, fault["times"] - 1)
                    return fault
        return {}

    def clear(self):
        with self.lock:
            self.list.clear()
        self.gate.set()


class Log:
    """A line of JSON for each call, before it is answered."""

    def __init__(self, path, world):
        self.world, self.changed = world, threading.Condition()
        self.file = open(path, "w", encoding="utf-8", buffering=1)  # pylint: disable=consider-using-with
        self.arrived, self.calls, self.pending = [], [], {}

    def arrive(self, call, about):
        with self.changed:
            self.arrived.append(about)
            call["n"] = len(self.arrived)
            self.pending[call["n"]] = about
            self.changed.notify_all()

    def answer(self, call):
        with self.changed:
            if self.pending.pop(call["n"], None) is None:
                return
            call["time"] = round(self.world.now(), 3)
            self.calls.append(call)
            self.file.write(json.dumps(call) + "\n")
            self.changed.notify_all()

    def count(self, answered, which):
        calls = self.calls if answered else self.arrived
        return sum(all(call.get(name) == value for name, value in which.items()) for call in calls)

    def wait(self, calls, seconds=10, answered=False, **which):
        """Until there have been so many calls."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count(answered, which) >= calls, seconds):
                raise ValueError(f"only {self.count(answered, which)} of {calls} calls after {seconds} s")
            return self.count(answered, which)
