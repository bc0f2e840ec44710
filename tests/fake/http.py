#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that can be told to answer badly: the path says how. Bytes are written as they are, without a library
that would put them right.

usage: http.py DIR     with the certificates of certs.sh in it

Listens on 127.0.0.1, and on ::1 where there is IPv6, and prints a line "NAME PORT" for each way to be reached, then "ready". Ends with its standard input, whose other
end the test has, however that ends; DIR is removed then.
"""
import gzip
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import sys
import threading
import zlib

DIR = sys.argv[1]
lock = threading.Lock()
connections = 0  # so far
released = threading.Event()
tokens = {"first"}  # that /auth accepts
refused = 0  # by /auth
certificate = {}  # listener -> name of the files it shows


def head(status=b"200 OK", *lines):
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(x + b"\r\n" for x in lines) + b"\r\n"


def answer(body=b"", status=b"200 OK", *lines):
    return head(status, b"Content-Length: %d" % len(body), *lines) + body


def chunk(data):
    return b"%x\r\n" % len(data) + data + b"\r\n"


class Gone(Exception):
    pass


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.requests, self.rest = sock, number, 0, b""

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.rest += data

    def request(self):
        while b"\r\n\r\n" not in self.rest:
            self.fill()
            if self.rest[0] == 0x16:  # TLS where there is none
                self.send(answer(b"", b"400 Bad Request"))
                self.end()
        text, self.rest = self.rest.split(b"\r\n\r\n", 1)
        first, *lines = text.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = [x.split(": ", 1) if ": " in x else [x.rstrip(":"), ""] for x in lines]
        length = int(self.header("Content-Length") or 0)
        while len(self.rest) < length:
            self.fill()
        self.body, self.rest = self.rest[:length], self.rest[length:]
        self.requests += 1

    def header(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def send(self, data):
        self.sock.sendall(data)

    def end(self):
        raise Gone

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def silence(self):
        """Until the client has closed."""
        while True:
            self.fill()

    # ---- ways to answer ----

    def echo(self, _):
        peer = None
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.getpeercert():
            peer = dict(x[0] for x in self.sock.getpeercert()["subject"])["commonName"]
        seen = {"method": self.method, "target": self.target, "headers": self.headers, "body": self.body.decode(),
                "connection": self.number, "request": self.requests, "client": peer,
                "sni": getattr(self.sock, "sni", None)}
        self.send(answer(json.dumps(seen).encode(), b"200 OK", b"Content-Type: application/json; x=y"))

    def status(self, code):
        self.send(answer(b"no\n", code.encode() + b" Word"))

    def silent(self, _):
        self.silence()

    def half(self, _):
        self.send(b"HTTP/1.1 200 O")
        self.silence()

    def half_body(self, _):
        self.send(head(b"200 OK", b"Content-Length: 100") + b"some")
        self.silence()

    def pieces(self, n):
        """One piece, and the others only when somebody asks for /release."""
        self.send(head(b"200 OK", b"Transfer-Encoding: chunked") + chunk(b"first "))
        released.wait()
        released.clear()
        for i in range(int(n)):
            self.send(chunk(b"%d " % i))
        self.send(b"0\r\n\r\n")

    def release(self, _):
        released.set()
        self.send(answer())

    def gzip(self, size):
        self.send(answer(gzip.compress(b"z" * int(size)), b"200 OK", b"Content-Encoding: gzip"))

    def gzip_cut(self, size):
        self.send(answer(gzip.compress(os.urandom(int(size)))[:-20], b"200 OK", b"Content-Encoding: gzip"))

    def gzip_bad(self, _):
        self.send(answer(b"this is no gzip at all", b"200 OK", b"Content-Encoding: gzip"))

    def encoding(self, name):
        self.send(answer(zlib.compress(b"text"), b"200 OK", b"Content-Encoding: " + name.encode()))

    def chain(self, n):
        body = b"z" * 1000
        for _ in range(int(n)):
            body = gzip.compress(body)
        self.send(answer(body, b"200 OK", *[b"Content-Encoding: gzip"] * int(n)))

    def long_header(self, size):
        self.send(answer(b"", b"200 OK", b"X-Long: " + b"x" * int(size)))

    def many_headers(self, n):
        self.send(answer(b"", b"200 OK", *[b"X-%d: some value" % i for i in range(int(n))]))

    def long_status(self, size):
        self.send(b"HTTP/1.1 200 " + b"x" * int(size) + b"\r\n\r\n")

    def reset_body(self, _):
        self.send(head(b"200 OK", b"Content-Length: 100000") + b"x" * 5000)
        self.reset()

    def cut(self, _):
        self.send(head(b"200 OK", b"Content-Length: 100") + b"x" * 50)
        self.end()

    def cut_chunk(self, _):
        self.send(head(b"200 OK", b"Transfer-Encoding: chunked") + chunk(b"whole") + b"20\r\nhalf")
        self.end()

    def nothing(self, _):
        self.end()

    def once(self, _):
        """Answers, says nothing of it, and closes: the next request meets a dead connection."""
        self.send(answer(b"once"))
        self.end()

    def to_the_end(self, _):
        self.send(b"HTTP/1.0 200 OK\r\n\r\nup to the end")
        self.end()

    def redirect(self, _):
        self.send(answer(b"", b"302 Found", b"Location: /echo"))

    def retry_after(self, value):
        self.send(answer(b"", b"429 Too Many Requests", b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
                         b"Retry-After: " + value.replace("+", " ").encode()))

    def interim(self, _):
        self.send(head(b"103 Early Hints", b"Content-Type: text/early") + answer(b"final", b"200 OK", b"Content-Type: text/late"))

    def trailers(self, _):
        self.send(head(b"200 OK", b"Transfer-Encoding: chunked") + chunk(b"text") + b"0\r\nX-Trailer: yes\r\n\r\n")

    def old(self, _):
        self.send(b"no head at all\n")
        self.end()

    def auth(self, _):
        global refused
        scheme, _, token = (self.header("Authorization") or "").partition(" ")
        with lock:
            good = scheme == "Bearer" and token in tokens
            refused += not good
        if good:
            self.echo(_)
        else:
            self.send(answer(b"Unauthorized", b"401 Unauthorized"))

    def accept(self, token):
        """From now on /auth takes this token only; says how many it has refused so far."""
        global refused
        with lock:
            tokens.clear()
            tokens.add(token)
            body, refused = b"%d" % refused, 0
        self.send(answer(body))

    def show(self, name):
        """From now on the listener "tls" has this certificate."""
        certificate["tls"] = name
        self.send(answer())

    def canned(self):
        """What the test has written for this target, with its status in the first line; and what was asked, for it."""
        try:
            with open(f"{DIR}/answer{self.target.replace('/', '_')}", "rb") as file:
                code, body = file.read().split(b"\n", 1)
        except OSError:
            return False
        with open(f"{DIR}/asked", "wb") as file:
            file.write(f"{self.method} {self.target}\n{self.header('Accept')}\n".encode() + self.body)
        with open(f"{DIR}/asked_type", "w", encoding="ascii") as file:
            file.write(self.header("Content-Type") or "")
        self.send(answer(body, code + b" Word", b"Content-Type: application/json"))
        return True

    def serve(self):
        while True:
            self.request()
            if self.canned():
                continue
            path = self.target.split("/", 3)[3] if self.target.startswith("http://") else self.target.lstrip("/")
            name, _, argument = path.partition("?")[0].partition("/")
            way = getattr(self, name.replace("-", "_"), None)
            if way:
                way(argument)
            else:
                self.send(answer(b"", b"404 Not Found"))


def secure(listener, sock):
    name = certificate[listener]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{DIR}/{name}.pem", f"{DIR}/{name}.key")
    if listener in ("mutual", "tls"):
        context.load_verify_locations(f"{DIR}/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED if listener == "mutual" else ssl.CERT_OPTIONAL
    context.sni_callback = lambda s, host, _: setattr(s, "sni", host)
    return context.wrap_socket(sock, server_side=True)


def handle(listener, sock, number):
    try:
        if listener == "mute":
            Connection(sock, number).silence()
        if listener in certificate:
            sock = secure(listener, sock)
        Connection(sock, number).serve()
    except (Gone, OSError, ValueError):
        pass
    finally:
        sock.close()


def listen(listener):
    def accept():
        global connections
        while True:
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with lock:
                connections += 1
                number = connections
            threading.Thread(target=handle, args=(listener, sock, number), daemon=True).start()

    if listener == "tls6":
        server = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=64)
    else:
        server = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=accept, daemon=True).start()
    print(listener, server.getsockname()[1], flush=True)


certificate.update(tls="ok", name="name", expired="expired", foreign="ok2", mutual="ok", tls6="ok")
for each in ("plain", "mute", *certificate):
    try:
        listen(each)
    except OSError:
        if each != "tls6":
            raise
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.read()
shutil.rmtree(DIR, ignore_errors=True)
