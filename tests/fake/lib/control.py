# SPDX-License-Identifier: Apache-2.0
"""A socket for commands to a stand-in: DIR/control takes them as JSON, one or more at once.

The stand-in has path(name), COMMANDS, which are methods of it, and command(commands), for which run() is there.
"""
import contextlib
import http.server
import json
import os
import socketserver


def run(target, commands, whole=()):
    """{"skew": 3, "fault": {...}}: one after the other; arguments are an object or a list, but for those in whole, which have one
    argument. The result is that of the last one."""
    result = None
    for name, args in commands.items():
        if name not in target.COMMANDS:
            raise ValueError(f"no command {name}; there are {', '.join(target.COMMANDS)}")
        method = getattr(target, name)
        if name in whole:
            result = method(args)
        else:
            result = method(**args) if isinstance(args, dict) else method(*args)
    return result


class Handler(http.server.BaseHTTPRequestHandler):
    target = None

    def do_POST(self):  # pylint: disable=invalid-name
        try:
            commands = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code, body = 200, self.target.command(commands)
        except (ValueError, TypeError, KeyError, OSError, AttributeError) as error:
            code, body = 400, {"error": f"{type(error).__name__}: {error}"}
        text = json.dumps(body).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self):
        return "control"

    def log_message(self, *_args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def serve(target):
    """A server, to be run by serve_forever()."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target.path("control"))
    return Server(target.path("control"), type("Bound", (Handler,), {"target": target}))
