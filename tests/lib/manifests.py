#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Questions about Kubernetes manifests and what belongs to them.
#   manifests.py containers FILE...     "NAME USER CAPABILITIES" of each container, "NAME ARG" of each argument
#   manifests.py unresolved FILE...     "NAME VARIABLE" where $(VARIABLE) does not become its value
#   manifests.py compare FILE FILE      objects and fields that differ, after what only one of two packagers adds
#   manifests.py data KEY FILE          what ConfigMaps and Secrets hold under this key
#   manifests.py metrics FILE...        the names of metrics in rules and dashboards
#   manifests.py reasons FILE...        the values of the label "reason" in them
#   manifests.py rules DASHBOARD        the expressions of a dashboard, as a rule file
#   manifests.py schema VERSION FILE    what the API's strict schema has against it (needs kubernetes_validate)
import base64
import json
import re
import sys

import yaml


def objects(path):
    with open(path) as f:
        return [d for d in yaml.safe_load_all(f) if d]


def pod_spec(obj):
    return obj["spec"]["template"]["spec"]


def workloads(paths):
    return [o for p in paths for o in objects(p) if o["kind"] in ("DaemonSet", "Job", "Deployment")]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def print_containers(paths):
    for obj in workloads(paths):
        for c in containers(pod_spec(obj)):
            context = c["securityContext"]
            caps = " ".join(sorted("CAP_" + cap for cap in context["capabilities"].get("add", [])))
            print("context", c["name"], context["runAsUser"], caps or "none")
            for arg in c["args"]:
                print("arg", c["name"], arg)


def held(obj, key):
    text = obj["data"][key]
    return base64.b64decode(text).decode() if obj["kind"] == "Secret" else text


def data(key, path):
    return [held(o, key) for o in objects(path) if key in o.get("data", {})]


def unresolved(paths):
    """A variable can refer to those before it, an argument to all."""
    for obj in workloads(paths):
        for c in containers(pod_spec(obj)):
            known = set()
            texts = [(e["name"], e.get("value", "")) for e in c.get("env", [])] + [(None, a) for a in c["args"]]
            for name, text in texts:
                yield from (f"{c['name']} {v}" for v in re.findall(r"\$\((\w+)\)", text) if v not in known)
                known.add(name)


# ---- comparison ----

# kustomize gives generated objects the hash of their contents; helm annotates the pod with one instead.
HASHED = re.compile(r"^(podcred-[a-z-]+)-[a-z0-9]{10}$")
OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "app.kubernetes.io/version",
           "helm.sh/resource-policy",
           "checksum/config", "checksum/associations")


def decoded(obj):
    """A Secret's data as what it means, ordered."""
    for key in obj.get("data", {}):
        text = held(obj, key)
        obj["data"][key] = yaml.safe_load(text) if key.endswith(".yaml") else text
    return obj


# Lists whose order means nothing (for env, where unresolved() finds nothing). It does for initContainers and args.
SETS = ("containers", "env", "volumes", "volumeMounts")


def plain(value):
    """Without what only one packager adds."""
    if isinstance(value, dict):
        out = {k: plain(v) for k, v in value.items() if k not in OF_HELM}
        for key in SETS:
            if isinstance(out.get(key), list):
                out[key].sort(key=lambda v: v["name"])
        return {k: v for k, v in out.items() if v not in ({}, None)}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        found = HASHED.match(value)
        return found.group(1) if found else value
    return value


def inventory(path):
    found = {}
    for obj in objects(path):
        obj = plain(decoded(obj))
        if obj["kind"] != "Namespace":
            found[obj["kind"], obj["metadata"]["name"]] = obj
    return found


def differences(a, b, where):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            yield from differences(a.get(key), b.get(key), f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            name = x["name"] if isinstance(x, dict) and "name" in x else i
            yield from differences(x, y, f"{where}[{name}]")
    elif a != b:
        yield f"{where}: {json.dumps(a)} and {json.dumps(b)}"


def compare(left, right):
    a, b = inventory(left), inventory(right)
    for key in sorted(set(a) | set(b)):
        yield from differences(a.get(key), b.get(key), "/".join(key))


# ---- rules and dashboards ----

def expressions(path):
    with open(path) as f:
        doc = yaml.safe_load(f)
    if "groups" in doc:
        return [rule["expr"] for group in doc["groups"] for rule in group["rules"]]
    found = []

    def walk(value):
        if isinstance(value, dict):
            for key, v in value.items():
                if key == "expr" or (key == "query" and isinstance(v, str) and "(" in v):
                    found.append(v)
                else:
                    walk(v)
        elif isinstance(value, list):
            for v in value:
                walk(v)
    walk(doc)
    return found


def metrics(paths):
    return sorted({name for p in paths for e in expressions(p) for name in re.findall(r"\bpodcred_[a-z0-9_]+", e)})


def reasons(paths):
    return sorted({r for p in paths for e in expressions(p)
                   for text in re.findall(r'reason(?:=~?|!~?)"([^"]*)"', e) for r in text.split("|")})


def as_rules(path):
    """Grafana's variables stand for something that PromQL can read."""
    rules = []
    for i, expr in enumerate(expressions(path)):
        found = re.match(r"label_values\((.*), *[a-z_]+\)$", expr)
        expr = found.group(1) if found else expr
        expr = expr.replace("$__rate_interval", "5m").replace("$__range", "1h")
        rules.append({"record": f"dashboard:expression:{i}", "expr": re.sub(r"\$\{?[a-z]+\}?", ".*", expr)})
    return {"groups": [{"name": "dashboard", "rules": rules}]}


# ---- the API's own schemas ----

def schema(version, path):
    import kubernetes_validate
    for obj in objects(path):
        try:
            kubernetes_validate.validate(obj, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{obj['kind']}/{obj['metadata']['name']}: no schema in {version}"
        except kubernetes_validate.ValidationError as e:
            yield f"{obj['kind']}/{obj['metadata']['name']}: {'.'.join(map(str, e.path))}: {e.message}"


def main():
    command, args = sys.argv[1], sys.argv[2:]
    if command == "containers":
        print_containers(args)
    elif command == "rules":
        yaml.safe_dump(as_rules(args[0]), sys.stdout)
    else:
        lines = list({"compare": lambda: compare(*args), "data": lambda: data(*args),
                      "unresolved": lambda: unresolved(args), "schema": lambda: schema(*args),
                      "metrics": lambda: metrics(args), "reasons": lambda: reasons(args)}[command]())
        print(*lines, sep="\n", end="\n" if lines else "")


main()
