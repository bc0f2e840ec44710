#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What fetch.sh measured, as tables. fetch_report.py RAW: files WARM.VARIANT.PODS.WORKERS (a round: the lines of load.c, then "-") and
COLD.GROUP, and calls.GROUP with the number of upstream calls."""
import glob
import os
import statistics
import sys

RAW = sys.argv[1]
VARIANTS = {"direct": "a constant, not redirected", "static": "keys in the file, redirected", "fetched": "fetched and cached, redirected"}


def rounds(path):
    """[(requests a second, [ns])]"""
    found, times, granted, took = [], [], 0, 0
    with open(path, encoding="ascii") as file:
        for line in file:
            if line.strip() == "-":
                found.append((granted / (took / 1e9), times))
                times, granted, took = [], 0, 0
                continue
            left, _, right = line.partition("|")
            times += map(int, left.split())
            words = right.split()
            granted, took = granted + int(words[0]), max(took, int(words[2]))
    return found


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def warm():
    print("| pods | at a time | | requests/s | of direct | p50 | p99 |\n| --- | --- | --- | --- | --- | --- | --- |")
    groups = sorted({tuple(os.path.basename(path).split(".")[2:]) for path in glob.glob(RAW + "/WARM.*")}, key=lambda g: tuple(map(int, g)))
    for pods, workers in groups:
        base = [rate for rate, _ in rounds(f"{RAW}/WARM.direct.{pods}.{workers}")]
        for variant, text in VARIANTS.items():
            all_rounds = rounds(f"{RAW}/WARM.{variant}.{pods}.{workers}")
            times = [ns for _, each in all_rounds for ns in each]
            ratio = statistics.median(rate / other for (rate, _), other in zip(all_rounds, base))
            rate = statistics.median(rate for rate, _ in all_rounds)
            print(f"| {pods} | {workers} | {text} | {rate:,.0f} | {ratio:.2f} | {quantile(times, 0.5) / 1000:,.0f} µs | "
                  f"{quantile(times, 0.99) / 1000:,.0f} µs |")


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


warm()
cold()
