# SPDX-License-Identifier: Apache-2.0
"""Both ends of connections past the bridge, and what is not one.

path.py agent ADDRESS PORT ...       says "ready", and does what a line of the client says
path.py client ADDRESS PORT [WORD..] the lines of standard input as commands, an answer line for each
path.py forge DEV SOURCE PORT DEST PORT FLAGS MAC [DATA]   one TCP frame by a packet socket
path.py offload DEV NAME=0|1 ...     as ethtool -K
path.py xdp DEV native|generic       says "ready", and passes frames there until it is ended
"""
import array
import ctypes
import errno
import fcntl
import os
import re
import socket
import struct
import sys
import threading
import time

CHUNK = 1 << 16
SOL_PODCRED, PODCRED_PEER = 0x7063, 1
LINGER_NONE = struct.pack("ii", 1, 0)


# ---- the agent ----


def uid_of(peer):
    for _ in range(100):
        try:
            uid = re.search(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", peer.getsockopt(SOL_PODCRED, PODCRED_PEER, 696))
            if uid:
                return uid[0]
        except OSError:
            pass
        time.sleep(0.02)
    return b"nobody"


def serve(peer):
    stream = peer.makefile("rb")
    while line := stream.readline().split():
        if line[0] == b"who":
            peer.sendall(uid_of(peer) + b"\n")
        elif line[0] == b"take":
            left = int(line[1])
            while left and (data := stream.read(min(left, CHUNK))):
                left -= len(data)
            peer.sendall(b"left %d\n" % left)
        elif line[0] == b"give":
            for _ in range(int(line[1]) // CHUNK):
                peer.sendall(bytes(CHUNK))
        elif line[0] == b"bye":
            break
        elif line[0] == b"reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            break
    else:
        peer.sendall(b"end\n")  # half-closed
    stream.close()
    peer.close()


def serve_safely(peer):
    try:
        serve(peer)
    except OSError:
        peer.close()


def listen(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, int(port)), family=family, backlog=256)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 64)
    while True:
        threading.Thread(target=serve_safely, args=(listener.accept()[0],), daemon=True).start()


def agent(*where):
    for address, port in zip(where[::2], where[1::2]):
        threading.Thread(target=listen, args=(address, port), daemon=True).start()
    time.sleep(0.1)
    print("ready", flush=True)
    threading.Event().wait()


# ---- the client ----


def received(s, n):
    got = 0
    while got < n and (data := s.recv(min(n - got, CHUNK))):
        got += len(data)
    return got


def line_of(s):
    line = b""
    while not line.endswith(b"\n") and (data := s.recv(100)):
        line += data
    return line.decode().strip() or "closed"


def dial(address, port, words):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    seconds = 1 if "brief" in words else 20  # for what is not to come
    seconds *= int(os.environ.get("WAIT_FACTOR", 1))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # it still blocks, as Fast Open wants it
        s.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))
    first = None
    for word in words:
        name, _, value = word.partition("=")
        if name == "port":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("::" if ":" in address else "0.0.0.0", int(value)))
        elif name == "options":  # of the IP header
            s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex(value))
        elif name == "dstopts":
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes.fromhex(value))
        elif name == "hopopts":
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes.fromhex(value))
        elif name == "fast":
            first = value.encode() + b"\n"
    if first:
        s.sendto(first, 0x20000000, (address, int(port)))  # MSG_FASTOPEN
    else:
        s.connect((address, int(port)))
    return s


def command(s, verb, n):
    if verb in ("who", "reset"):
        s.sendall(verb.encode() + b"\n")
        return line_of(s)
    if verb == "line":
        return line_of(s)
    if verb == "take":
        s.sendall(b"take %d\n" % n)
        for _ in range(n // CHUNK):
            s.sendall(bytes(CHUNK))
        return line_of(s)
    if verb == "give":
        s.sendall(b"give %d\n" % n)
        return "got %d" % received(s, n)
    if verb == "half":
        s.shutdown(socket.SHUT_WR)
        return line_of(s)
    if verb == "bye":
        s.sendall(b"bye\n")
        return line_of(s)
    if verb == "abort":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    s.close()
    return "done"


def client(address, port, *words):
    try:
        s = dial(address, port, words)
        print("ready", os.getpid(), flush=True)
        for line in sys.stdin:
            verb, _, n = line.strip().partition(" ")
            if verb == "quit":
                break
            print(command(s, verb, int(n or 0)), flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)


# ---- frames of nobody's connection ----


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forge(dev, source, source_port, dest, dest_port, flags, mac, data=""):
    v6 = ":" in dest
    family = socket.AF_INET6 if v6 else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, dest)
    tcp = struct.pack("!HHIIBBHHH", int(source_port), int(dest_port), 1000, 1000, 5 << 4, int(flags), 65000, 0, 0) + data.encode()
    pseudo = ends + (struct.pack("!II", len(tcp), 6) if v6 else struct.pack("!HH", 6, len(tcp)))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    if v6:
        head = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + ends
    else:
        head = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(tcp), 0, 64, 6, 0) + ends
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((dev, 0))
    own = s.getsockname()[4]
    s.send(bytes.fromhex(mac.replace(":", "")) + own + (b"\x86\xdd" if v6 else b"\x08\0") + head + tcp)


# ---- what the hardware is said to do ----

ETHTOOL = {"rx": 0x15, "tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}
SIOCETHTOOL = 0x8946


def offload(dev, *settings):
    s = socket.socket()
    for setting in settings:
        name, _, value = setting.partition("=")
        wanted = array.array("I", [ETHTOOL[name], int(value)])
        fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sP", dev.encode(), wanted.buffer_info()[0]))


# ---- somebody else's program ----

SYS_BPF = {"x86_64": 321, "aarch64": 280}
BPF_PROG_LOAD, BPF_LINK_CREATE = 5, 28
BPF_PROG_TYPE_XDP, BPF_XDP = 6, 37
XDP_PASS = 2
XDP_FLAGS = {"generic": 2, "native": 4}
NAME = b"let_pass"


def bpf(command, attr):
    libc = ctypes.CDLL(None, use_errno=True)
    r = libc.syscall(SYS_BPF[os.uname().machine], command, attr, len(attr))
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r


def xdp(dev, mode):
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, XDP_PASS, 0x95, 0, 0, 0))  # r0 = XDP_PASS; exit
    license = ctypes.create_string_buffer(b"GPL")
    where = (ctypes.addressof(code), ctypes.addressof(license))
    prog = bpf(BPF_PROG_LOAD, struct.pack("=IIQQIIQII16sII", BPF_PROG_TYPE_XDP, 2, *where, 0, 0, 0, 0, 0, NAME, 0, BPF_XDP))
    bpf(BPF_LINK_CREATE, struct.pack("=IIII", prog, socket.if_nametoindex(dev), BPF_XDP, XDP_FLAGS[mode]))
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    {"agent": agent, "client": client, "forge": forge, "offload": offload, "xdp": xdp}[sys.argv[1]](*sys.argv[2:])
