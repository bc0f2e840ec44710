#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What fetch.sh measured, as tables. fetch_report.py RAW: files WARM.VARIANT.PODS.WORKERS (a round: the lines of load.c, then "- TICKS") and
COLD.GROUP, and calls.GROUP with the number of upstream calls; FIRST.KIND, starts and memory."""
import glob
import os
import statistics
import sys

RAW = sys.argv[1]
VARIANTS = {"direct": "a constant, not redirected", "static": "keys in the file, redirected", "fetched": "fetched and cached, redirected",
            "stock": "the limits of EKS's agent, not redirected"}
TICKS = os.sysconf("SC_CLK_TCK")


def rounds(path):
    """[(requests a second, [ns])], and requests for each second of CPU that the answering process took, 0: not known"""
    found, times, granted, took, all_granted, ticks = [], [], 0, 0, 0, 0
    with open(path, encoding="ascii") as file:
        for line in file:
            if line.startswith("-"):
                found.append((granted / (took / 1e9), times))
                all_granted, ticks = all_granted + granted, ticks + int(line.split()[1])
                times, granted, took = [], 0, 0
                continue
            left, _, right = line.partition("|")
            times += map(int, left.split())
            words = right.split()
            granted, took = granted + int(words[0]), max(took, int(words[2]))
    return found, all_granted / (ticks / TICKS) if ticks else 0


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def warm(suffix):
    print("\n| pods | at a time | | requests/s | of direct | per core of the agent | p50 | p99 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    groups = sorted({tuple(os.path.basename(path).split(".")[2:]) for path in glob.glob(RAW + "/WARM.*")}, key=lambda g: tuple(map(int, g)))
    for pods, workers in groups:
        base = [rate for rate, _ in rounds(f"{RAW}/WARM.direct{suffix}.{pods}.{workers}")[0]]
        for variant, text in VARIANTS.items():
            path = f"{RAW}/WARM.{variant}{suffix}.{pods}.{workers}"
            if not os.path.exists(path):
                continue
            all_rounds, core = rounds(path)
            times = [ns for _, each in all_rounds for ns in each]
            ratio = statistics.median(rate / other for (rate, _), other in zip(all_rounds, base))
            rate = statistics.median(rate for rate, _ in all_rounds)
            print(f"| {pods} | {workers} | {text} | {rate:,.0f} | {ratio:.2f} | {f'{core:,.0f}' if core else ''} | "
                  f"{quantile(times, 0.5) / 1000:,.0f} µs | {quantile(times, 0.99) / 1000:,.0f} µs |")


def memory():
    print("\n| pods | " + " | ".join(("serve", "fetch", "resolve")) + " |\n| --- | --- | --- | --- |")
    found = {}
    with open(RAW + "/memory", encoding="ascii") as file:
        for line in file:
            pods, _, kb = line.split()
            found.setdefault(pods, []).append(f"{int(kb) / 1024:.1f} MiB")
    for pods, sizes in found.items():
        print(f"| {pods} | {' | '.join(sizes)} |")


def first():
    print("\n| first credentials of | | p50 | p99 |\n| --- | --- | --- | --- |")
    for name, text in (("call", "a pod, by a call of its own"), ("cached", "a pod whose key is in the cache of fetch")):
        with open(f"{RAW}/FIRST.{name}", encoding="ascii") as file:
            times = [int(word) for line in file for word in line.partition("|")[0].split()]
        print(f"| {text} | {len(times)} pods | {quantile(times, 0.5) / 1e6:,.1f} ms | {quantile(times, 0.99) / 1e6:,.1f} ms |")
    with open(RAW + "/starts", encoding="ascii") as file:
        times = [int(line) for line in file]
    print(f"| the node, from the start of podcred run, which loads its programs first | {len(times)} starts | {quantile(times, 0.5):,} ms | {quantile(times, 0.99):,} ms |")


def cold():
    print("\n| pods that ask at once | upstream calls | p50 | p99 | last | 503 in between |\n| --- | --- | --- | --- | --- | --- |")
    for path in sorted(glob.glob(RAW + "/COLD.*")):
        name = path.rpartition(".")[2]
        times, refused = [], 0
        with open(path, encoding="ascii") as file:
            for line in file:
                left, _, right = line.partition("|")
                times += map(int, left.split())
                refused += int(right.split()[1])
        with open(f"{RAW}/calls.{name}", encoding="ascii") as file:
            calls, what = file.read().strip().split(" ", 1)
        print(f"| {len(times)}, {what} | {calls} | {quantile(times, 0.5) / 1e6:,.0f} ms | {quantile(times, 0.99) / 1e6:,.0f} ms | "
              f"{max(times) / 1e6:,.0f} ms | {refused} |")


print("A connection for each request:")
warm("")
print("\nConnections that are kept for 100 requests:")
warm("-keep")
print("\nAll at once:")
cold()
print("\nOne after another, and after a start:")
first()
print("\nResident memory:")
memory()
