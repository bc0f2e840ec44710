#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""no_bpf.py CMD...: run CMD under a seccomp filter that answers bpf(2) with EPERM, as the default
profiles of container engines do."""
import ctypes
import os
import platform
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
EPERM, ERRNO, ALLOW = 1, 0x00050000, 0x7FFF0000

code = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number of the system call
code += struct.pack("HBBI", 0x15, 0, 1, SYS_BPF)  # not bpf: skip one
code += struct.pack("HBBI", 0x06, 0, 0, ERRNO | EPERM)
code += struct.pack("HBBI", 0x06, 0, 0, ALLOW)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
for option in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
    if libc.prctl(*option) != 0:
        sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
