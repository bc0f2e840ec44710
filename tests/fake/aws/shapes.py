# SPDX-License-Identifier: Apache-2.0
"""Requests checked against botocore's model of a service, and answers written by it."""
import gzip
import json
import os
import re
import unicodedata
import xml.sax.saxutils

import botocore
import botocore.model

from refused import Refused

HERE = os.path.dirname(os.path.abspath(__file__))


def load(name):
    """The model of botocore: "sts/2011-06-15". Debian's does not have eks-auth: that one is here."""
    own = os.path.join(HERE, name.partition("/")[0] + ".json")
    path = own if os.path.exists(own) else os.path.join(botocore.BOTOCORE_ROOT, "data", name, "service-2.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            model = json.load(file)
    else:
        with gzip.open(path + ".gz") as file:
            model = json.load(file)
    return botocore.model.ServiceModel(model, name.partition("/")[0])


def matcher(pattern):
    """A pattern of a model, as a function. Python's regular expressions know no \\p{L}."""
    pattern = pattern.replace(r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF")
    match = re.fullmatch(r"\[(.*\\p\{.*)\]([*+])", pattern)
    if not match:
        compiled = re.compile(pattern, re.ASCII)
        return lambda text: compiled.fullmatch(text) is not None
    kinds = tuple(re.findall(r"\\p\{(\w)\}", match[1]))
    others = re.compile("[" + re.sub(r"\\p\{\w\}", "", match[1]) + "]", re.ASCII)
    return lambda text: (bool(text) or match[2] == "*") and all(
        unicodedata.category(c)[0] in kinds or others.fullmatch(c) for c in text)


class Checker:
    """Checks a value against a shape. complaints has all that is wrong, as AWS words it."""

    matchers = {}

    def __init__(self):
        self.complaints = []

    def complain(self, value, path, constraint):
        shown = "null" if value is None else f"'{value}'"
        self.complaints.append(f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}")

    def check(self, shape, value, path=""):
        getattr(self, "check_" + shape.type_name, self.check_other)(shape, value, path)

    def check_structure(self, shape, value, path):
        if not isinstance(value, dict):
            self.complain(value, path, "Member must be a structure")
            return
        prefix = path + "." if path else ""
        for name in sorted(set(value) - set(shape.members)):
            self.complain("***", prefix + name, "Member is not in the model of the service")
        for name, member in shape.members.items():
            at = prefix + name[0].lower() + name[1:]
            if name in value:
                self.check(member, value[name], at)
            elif name in shape.required_members:
                self.complain(None, at, "Member must not be null")

    def check_list(self, shape, value, path):
        if not isinstance(value, list):
            self.complain(value, path, "Member must be a list")
            return
        self.length(shape, len(value), f"[{len(value)} members]", path)
        for number, item in enumerate(value, 1):
            self.check(shape.member, item, f"{path}.{number}.member")

    def check_string(self, shape, value, path):
        if not isinstance(value, str):
            self.complain(value, path, "Member must be a string")
            return
        shown = "***" if shape.metadata.get("sensitive") else value
        self.length(shape, len(value), shown, path)
        pattern = shape.metadata.get("pattern")
        if pattern:
            if pattern not in self.matchers:
                self.matchers[pattern] = matcher(pattern)
            if not self.matchers[pattern](value):
                self.complain(shown, path, f"Member must satisfy regular expression pattern: {pattern}")

    def length(self, shape, length, shown, path):
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and length < least:
            self.complain(shown, path, f"Member must have length greater than or equal to {least}")
        if most is not None and length > most:
            self.complain(shown, path, f"Member must have length less than or equal to {most}")

    def check_integer(self, shape, value, path):
        if not isinstance(value, int) or isinstance(value, bool):
            self.complain(value, path, "Member must be an integer")
            return
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and value < least:
            self.complain(value, path, f"Member must have value greater than or equal to {least}")
        if most is not None and value > most:
            self.complain(value, path, f"Member must have value less than or equal to {most}")

    def check_other(self, shape, value, path):
        self.complain(value, path, f"a {shape.type_name} is not expected here")

    def refuse(self, code):
        if self.complaints:
            count = len(self.complaints)
            raise Refused(code, f"{count} validation error{'s' if count > 1 else ''} detected: " + "; ".join(self.complaints))


# ---- the query protocol ----


class Form:
    """The members of a form, as a structure of the model. What is left over has no place in it."""

    def __init__(self, values):
        self.left = dict(values)

    def read(self, shape, prefix=""):
        return getattr(self, "read_" + shape.type_name, self.read_string)(shape, prefix)

    def present(self, prefix):
        return any(name == prefix or name.startswith(prefix + ".") for name in self.left)

    def read_structure(self, shape, prefix):
        value = {}
        for name, member in shape.members.items():
            at = f"{prefix}.{name}" if prefix else name
            if self.present(at):
                value[name] = self.read(member, at)
        return value

    def read_list(self, shape, prefix):
        value = []
        while self.present(f"{prefix}.member.{len(value) + 1}"):
            value.append(self.read(shape.member, f"{prefix}.member.{len(value) + 1}"))
        return value

    def read_integer(self, _shape, prefix):
        text = self.left.pop(prefix, "")
        if not re.fullmatch(r"-?(0|[1-9][0-9]{0,9})", text):
            raise Refused("MalformedInput", f"'{prefix}' is no integer")
        return int(text)

    def read_string(self, _shape, prefix):
        return self.left.pop(prefix, None)


def to_xml(shape, value, name):
    """An element of an answer."""
    if shape.type_name == "structure":
        inner = "".join(to_xml(member, value[key], key) for key, member in shape.members.items() if value.get(key) is not None)
    elif shape.type_name == "list":
        inner = "".join(to_xml(shape.member, item, "member") for item in value)
    else:
        inner = xml.sax.saxutils.escape(str(value))
    return f"<{name}>{inner}</{name}>"
