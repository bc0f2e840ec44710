#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Are secrets where they must not be? secrets.py LIST WHERE...

LIST: a file with a JSON list of them. WHERE: proc:PID (command line, environment, title), memory:PID (all that it has in memory),
or a file. Each is looked for as it is, percent-encoded, in base64, in hexadecimal, and by its first 16 characters. Says
"WHERE: secret N (abcd...) as it is, K times" for what is found, and then exits with 1. A process that is gone is an error: 2.
"""
import base64
import json
import os
import sys
import urllib.parse

OVERLAP = 8192  # of pieces of memory: no secret is longer, in whatever spelling
LARGEST = 1 << 40  # bytes of a mapping: a larger one is the shadow of ASan, which has nothing of what it shadows
SHORTEST = 16  # nothing shorter is a secret; a prefix of this length gives one away


def spellings(secret):
    raw = secret.encode()
    found = {"as it is": raw, "percent-encoded": urllib.parse.quote(secret, safe="").encode(), "in hexadecimal": raw.hex().encode(),
             "in base64": base64.b64encode(raw)[:len(raw) // 3 * 4], "its beginning": raw[:SHORTEST]}
    return {how: text for how, text in found.items() if len(text) >= SHORTEST and (how in ("as it is", "its beginning") or text != raw)}


def memory(pid):
    """Each mapping that can be read, a piece at a time, and how much of it is not in the next one as well."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            words = line.split()
            if "r" not in words[1] or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(part, 16) for part in words[0].split("-"))
            if end - start > LARGEST:
                continue
            yield from pieces(mem, start, end)


def pieces(mem, start, end, size=1 << 18):
    """But for those in which nothing was ever written: stacks are mostly such."""
    nothing = bytes(size + OVERLAP)
    for at in range(start, end, size):
        try:
            mem.seek(at)
            piece = mem.read(min(size + OVERLAP, end - at))
        except (OSError, OverflowError):
            return
        if piece != nothing[:len(piece)]:
            yield piece, size


def places(where):
    """Name and bytes of what is to be searched, and before where it is to begin."""
    kind, _, pid = where.partition(":")
    if kind == "memory" and pid.isdigit():
        yield from ((where, *piece) for piece in memory(pid))
    elif kind == "proc" and pid.isdigit():
        for name in ("cmdline", "environ", "comm", "status"):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                data = file.read()
                yield f"{where} {name}", data, len(data)
    else:
        with open(where, "rb") as file:
            data = file.read()
            yield where, data, len(data)


def search(secrets, where):
    """{(place, number of the secret, spelling): times}"""
    found = {}
    for place, data, own in places(where):
        for number, secret in enumerate(secrets):
            for how, text in spellings(secret).items():
                times = data.count(text, 0, own + len(text) - 1)
                if times:
                    found[place, number, how] = found.get((place, number, how), 0) + times
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        secrets = json.load(file)
    if not secrets or any(len(secret) < SHORTEST for secret in secrets):
        sys.exit("secrets.py: no secrets, or a short one")
    bad = False
    for where in sys.argv[2:]:
        try:
            found = search(secrets, where)
        except OSError as error:
            print(f"{where}: {error}")
            sys.exit(2)
        for (place, number, how), times in found.items():
            print(f"{place}: secret {number} ({secrets[number][:4]}...) {how}, {times} times")
            bad = True
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    assert os.geteuid() == 0, "only root may look into processes"
    main()
