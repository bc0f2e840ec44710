#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deny.py WHAT CMD...: run CMD under a seccomp filter that refuses one thing.

bpf      bpf(2), EPERM: as the default profiles of container engines do
watch    a netlink socket that does not block, EMFILE: those are the ones that wait for events
inotify  EMFILE: fs.inotify.max_user_instances are in use
"""
import ctypes
import os
import platform
import struct
import sys

X86 = platform.machine() == "x86_64"
SYS_BPF, SYS_SOCKET, SYS_INOTIFY = (321, 41, 294) if X86 else (280, 198, 26)
AF_NETLINK, SOCK_NONBLOCK = 16, 0o4000
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
EPERM, EMFILE, ERRNO, ALLOW = 1, 24, 0x00050000, 0x7FFF0000
NUMBER, ARGUMENT = 0, 16  # where seccomp_data has them; an argument has 8 bytes, the low half first


def load(offset):
    return struct.pack("HBBI", 0x20, 0, 0, offset)


def unless(opcode, value, skip):
    return struct.pack("HBBI", opcode, 0, skip, value)


def answer(value):
    return struct.pack("HBBI", 0x06, 0, 0, value)


EQUAL, ANY_BIT = 0x15, 0x45
FILTERS = {
    "bpf": load(NUMBER) + unless(EQUAL, SYS_BPF, 1) + answer(ERRNO | EPERM) + answer(ALLOW),
    "inotify": load(NUMBER) + unless(EQUAL, SYS_INOTIFY, 1) + answer(ERRNO | EMFILE) + answer(ALLOW),
    "watch": load(NUMBER) + unless(EQUAL, SYS_SOCKET, 5)
    + load(ARGUMENT) + unless(EQUAL, AF_NETLINK, 3)
    + load(ARGUMENT + 8) + unless(ANY_BIT, SOCK_NONBLOCK, 1)
    + answer(ERRNO | EMFILE) + answer(ALLOW),
}

code = FILTERS[sys.argv[1]]
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
for option in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
    if libc.prctl(*option) != 0:
        sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
