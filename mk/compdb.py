#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands that make would run, on standard input, as compile_commands.json on standard output."""
import json
import os
import shlex
import sys


def entry(line):
    """The entry of a line that compiles one C file, else None."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    sources = [w for w in words if w.endswith(".c") and not w.startswith("-")]
    if "-c" not in words or len(sources) != 1:
        return None
    return {"directory": os.getcwd(), "file": sources[0], "arguments": words}


json.dump([e for e in map(entry, sys.stdin) if e], sys.stdout, indent=1)
