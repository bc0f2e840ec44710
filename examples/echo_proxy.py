#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""echo_proxy in Python, without libpodcred: one getsockopt tells which pod connected.

    echo_proxy.py ADDRESS PORT

A real proxy closes the connection of "nobody"; this one goes on, so that the difference can be
looked at.
"""
import errno
import ipaddress
import os
import socket
import struct
import sys
import threading
import time

# podcred_uapi.h, struct podcred_peer.
SOL_PODCRED = 0x7063
PODCRED_PEER = 1
PODCRED_PEER_NAMED = 1
PEER = struct.Struct("=IIQQQQQIIHH16s4s40s64s256s256s")
assert PEER.size == 696

NAME_TIMEOUT = 2.0  # seconds


class Peer:
    def __init__(self, data):
        (self.size, self.flags, self.cgroup_id, self.pod_cgroup_id, self.netns_cookie,
         self.connect_time_ns, self.generation, self.tgid, self.uid, self.family, self.port,
         address, _, *names) = PEER.unpack(data)
        self.pod_uid, self.pod_namespace, self.pod_name, self.service_account = (
            name.split(b"\0", 1)[0].decode() for name in names)
        if self.family == socket.AF_INET:
            self.address = str(ipaddress.IPv4Address(address[12:]))
        else:
            self.address = f"[{ipaddress.IPv6Address(address)}]"


def peer_of(connection):
    """Who connected. OSError when nobody vouches for the caller."""
    data = connection.getsockopt(SOL_PODCRED, PODCRED_PEER, PEER.size)
    if len(data) < PEER.size:
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
    return Peer(data)


def named_peer_of(connection):
    """The same, and wait a moment for the name of a pod that has just started."""
    deadline = time.monotonic() + NAME_TIMEOUT
    peer = peer_of(connection)
    while not peer.flags & PODCRED_PEER_NAMED and time.monotonic() < deadline:
        time.sleep(0.01)
        peer = peer_of(connection)
    return peer


def describe(connection):
    try:
        peer = named_peer_of(connection)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return "nobody: the connection carries no stamp"
        if error.errno in (errno.ENOPROTOOPT, errno.EOPNOTSUPP):
            return "nobody: podcred is not attached to this cgroup"
        return f"nobody: {os.strerror(error.errno)}"
    return (f"pod {peer.pod_namespace or '-'}/{peer.pod_name or '-'} uid {peer.pod_uid or '-'} "
            f"sa {peer.service_account or '-'} cgroup {peer.cgroup_id} "
            f"dialled {peer.address}:{peer.port}")


def serve(connection):
    with connection:
        try:
            data = describe(connection).encode() + b"\n"
            while data:
                connection.sendall(data)
                data = connection.recv(4096)
        except ConnectionError:
            pass  # the client is gone


def main():
    if len(sys.argv) != 3 or not sys.argv[2].isdecimal():
        print("usage: echo_proxy.py ADDRESS PORT", file=sys.stderr)
        return 2
    address, port = sys.argv[1], int(sys.argv[2])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family)
    except (OSError, OverflowError) as error:
        print(f"echo_proxy.py: {address} port {port}: {error}", file=sys.stderr)
        return 1
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
