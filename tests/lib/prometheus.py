#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The text exposition format 0.0.4, strictly: each family has HELP and TYPE before its samples, once and
# in one piece, no sample twice, names that fit their type, whole histograms, a newline at the end.
# Reads standard input, prints the samples as JSON.
import json
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r"([a-zA-Z_][a-zA-Z0-9_]*)=\"((?:[^\"\\\n]|\\[\"\\n])*)\""
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
HISTOGRAM = ("_bucket", "_sum", "_count")


class Family:
    def __init__(self, name):
        self.name, self.type, self.samples = name, None, {}

    def owns(self, name):
        return name in ([self.name + s for s in HISTOGRAM] if self.type == "histogram" else [self.name])

    def check_histogram(self):
        series = {}
        for (name, labels), value in self.samples.items():
            rest = tuple(l for l in labels if l[0] != "le")
            part = series.setdefault(rest, {"_bucket": [], "_sum": [], "_count": []})
            part[name[len(self.name):]].append((dict(labels).get("le"), value))
        for labels, part in series.items():
            bounds = [float(le) for le, _ in part["_bucket"]]
            counts = [value for _, value in part["_bucket"]]
            assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf"), (self.name, labels, bounds)
            assert counts == sorted(counts), (self.name, labels, counts)
            assert len(part["_sum"]) == len(part["_count"]) == 1, (self.name, labels)
            assert part["_count"][0][1] == counts[-1], (self.name, labels)

    def check(self):
        assert self.type, f"{self.name}: no TYPE"
        assert (self.type == "counter") == self.name.endswith("_total"), self.name
        assert all(value >= 0 for value in self.samples.values()) or self.type == "gauge", self.name
        if self.type == "histogram":
            self.check_histogram()


def read(text):
    families, family = {}, None
    assert text.endswith("\n"), "no newline at the end"
    for line in text.splitlines():
        if m := re.fullmatch(rf"# HELP ({NAME}) (\S.*)", line):
            assert m[1] not in families, line
            family = families[m[1]] = Family(m[1])
        elif m := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line):
            assert family and m[1] == family.name and not family.type, line
            family.type = m[2]
        else:
            m = re.fullmatch(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({NUMBER})", line)
            assert m and family and family.type and family.owns(m[1]), line
            key = (m[1], tuple(re.findall(LABEL, m[2] or "")))
            assert key not in family.samples, line
            family.samples[key] = float(m[m.lastindex])
    for family in families.values():
        family.check()
    return families


def spell(name, labels):
    text = ",".join(f'{key}="{value}"' for key, value in labels)
    return f"{name}{{{text}}}" if text else name


families = read(sys.stdin.read())
print(json.dumps({spell(*key): value for f in families.values() for key, value in f.samples.items()}))
