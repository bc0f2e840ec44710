# SPDX-License-Identifier: Apache-2.0
"""hold.py PID: stops the main thread of a process, and no other, until standard input ends."""
import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid):
    if libc.ptrace(request, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {pid}")


held = int(sys.argv[1])
ptrace(PTRACE_SEIZE, held)
ptrace(PTRACE_INTERRUPT, held)
os.waitpid(held, WALL)
print("held", flush=True)
sys.stdin.read()
ptrace(PTRACE_DETACH, held)
