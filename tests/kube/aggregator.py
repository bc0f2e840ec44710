#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands between kubectl proxy and an aggregated API: an API server that has authenticated somebody.

aggregator.py URL CA CERTIFICATE KEY [USER [GROUP...]]

Listens on the loopback, without TLS, as kubectl proxy does. It says "ready URL", and passes everything on to URL with
the certificate of its front proxy, as kube-apiserver 1.34 does: the path is decoded and escaped again by Go's rules, the
query is escaped anew, Authorization and all headers about users are removed, and those of USER are added. A request may name
another user itself: X-Test-User, and X-Test-Group with commas.
"""
import http.client
import http.server
import ssl
import sys
import urllib.parse

HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length"}
OF_USERS = ("authorization", "x-remote-", "impersonate-", "x-test-")


def escaped_path(path):
    """As Go's URL.EscapedPath does when the escapes that came are not its own."""
    return urllib.parse.quote(urllib.parse.unquote(path), safe="/:@$&+,;=!'()*~-._")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.forward
        raise AttributeError(name)

    def target(self):
        path, _, query = self.path.partition("?")
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        return escaped_path(path) + ("?" + urllib.parse.urlencode(pairs) if pairs else "")

    def passed_on(self):
        headers = [(n, v) for n, v in self.headers.items() if n.lower() not in HOP and not n.lower().startswith(OF_USERS)]
        groups = self.headers["X-Test-Group"].split(",") if self.headers["X-Test-Group"] else self.server.groups
        headers += [("X-Remote-User", self.headers["X-Test-User"] or self.server.user)]
        headers += [("X-Remote-Group", group) for group in groups]
        headers += [("X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id", "JTI=1"), ("X-Forwarded-For", "127.0.0.1")]
        return headers

    def forward(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        connection = http.client.HTTPSConnection(self.server.host, self.server.to_port, context=self.server.tls, timeout=60)
        connection.putrequest(self.command, self.target(), skip_accept_encoding=True)
        for name, value in self.passed_on():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        connection.close()

    def log_message(self, *_args):
        pass


def main():
    url, authority, certificate, key, *who = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    parts = urllib.parse.urlsplit(url)
    server.host, server.to_port = parts.hostname, parts.port
    server.tls = ssl.create_default_context(cafile=authority)
    server.tls.load_cert_chain(certificate, key)
    server.user, server.groups = (who or ["alice"])[0], who[1:] or ["system:authenticated"]
    print("ready", f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
