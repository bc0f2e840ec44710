#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API server for tests: strict, and with faults on demand.

kubeapi.py DIR [--address 127.0.0.1] [--port 0] [--host NAME]...

Lists, watches, gets and changes pods, nodes, namespaces, service accounts, config maps, and podcred's own objects by the schemas
in deploy/ (with status, patches of three kinds, strict validation), as the real one does: resourceVersions with a
history that can be compacted, pages, field and label selectors, bookmarks, gzip, TLS, bearer tokens. What a
real one refuses is refused, and so is a query that it would ignore, as that is a mistake of the client.

It writes into DIR: ca.crt, token (of a user with all rights), kubeconfig, and control, a socket that takes
commands as JSON (see Server.command), for example
  curl --unix-socket DIR/control -d '{"put": {"kind": "Pod", ...}}' http://control/
It says "ready URL" when it listens. As a module: Server(dir) has the same commands as methods.
"""
import base64
import bisect
import collections
import contextlib
import copy
import email.utils
import http.server
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake/lib"))
import control  # pylint: disable=wrong-import-position

RESOURCES = {  # name: kind, is it in a namespace
    "pods": ("Pod", True),
    "nodes": ("Node", False),
    "namespaces": ("Namespace", False),
    "serviceaccounts": ("ServiceAccount", True),
    "configmaps": ("ConfigMap", True),
    "podidentityassociations": ("PodIdentityAssociation", True),
    "podidentityrolepolicies": ("PodIdentityRolePolicy", False),
}
KINDS = {kind: name for name, (kind, _) in RESOURCES.items()}
GROUPS = {name: "podcred.io/v1alpha1" for name in ("podidentityassociations", "podidentityrolepolicies")}  # of those that are not in v1
CRDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/kubernetes/components/objects")
FIELDS = {  # what a fieldSelector may name
    "pods": ["metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
             "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"],
    "nodes": ["metadata.name", "spec.unschedulable"],
    "namespaces": ["metadata.name", "status.phase"],
    "serviceaccounts": ["metadata.name", "metadata.namespace"],
    "configmaps": ["metadata.name", "metadata.namespace"],
    "podidentityassociations": ["metadata.name", "metadata.namespace"],
    "podidentityrolepolicies": ["metadata.name"],
}
LIST_QUERY = {"fieldSelector", "labelSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch", "pretty"}
WATCH_QUERY = {"fieldSelector", "labelSelector", "watch", "resourceVersion", "resourceVersionMatch", "timeoutSeconds",
               "allowWatchBookmarks", "limit", "pretty"}
WRITE_QUERY = {"fieldManager", "fieldValidation", "dryRun", "force", "pretty", "propagationPolicy", "gracePeriodSeconds"}
GZIP_FROM = 128 << 10  # a real one compresses longer answers
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
           409: "AlreadyExists", 410: "Expired", 415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests",
           503: "ServiceUnavailable", 504: "Timeout"}


def status(code, message, **more):
    return {"kind": "Status", "apiVersion": "v1", "metadata": more.pop("metadata", {}), "status": "Failure",
            "message": message, "code": code, **({"reason": REASONS[code]} if code in REASONS else {}), **more}


class Refused(Exception):
    """An answer that is a Status."""

    def __init__(self, code, message, headers=None, **more):
        super().__init__(message)
        self.code, self.headers, self.body = code, headers or {}, status(code, message, **more)


def expired(version, floor):
    return status(410, f"too old resource version: {version} ({floor})")


# ---- objects and their history ----


class Store:
    """All versions of all objects, back to the last compaction, and who waits for new ones."""

    def __init__(self):
        self.changed = threading.Condition()
        self.version = 100
        self.floor = 100  # what came before is forgotten
        self.objects = {}  # key (resource, namespace, name): [(version, object or None), ...]
        self.log = []  # (version, key, object before, object after)

    def put(self, obj):
        """Create or replace. What the server fills in is filled in; returns the object."""
        resource = KINDS[obj["kind"]]
        meta = obj.setdefault("metadata", {})
        key = (resource, meta.get("namespace", "") if RESOURCES[resource][1] else "", meta["name"])
        with self.changed:
            before = self.get(key)
            self.version += 1
            meta["resourceVersion"] = str(self.version)
            meta["uid"] = meta.get("uid") or (before or {}).get("metadata", {}).get("uid") or str(uuid.uuid4())
            meta.setdefault("creationTimestamp", "2026-01-02T03:04:05Z")
            if resource in GROUPS:
                same = before and before.get("spec") == obj.get("spec")
                meta["generation"] = (before or {}).get("metadata", {}).get("generation", 0) + (0 if same else 1)
            self.record(key, before, obj)
        return obj

    def delete(self, key):
        with self.changed:
            before = self.get(key)
            if before is None:
                return None
            self.version += 1
            gone = dict(before, metadata=dict(before["metadata"], resourceVersion=str(self.version)))
            self.record(key, gone, None)
        return gone

    def record(self, key, before, after):
        self.objects.setdefault(key, []).append((self.version, after))
        self.log.append((self.version, key, before, after))
        self.changed.notify_all()

    def get(self, key, at=None):
        for version, obj in reversed(self.objects.get(key, [])):
            if at is None or version <= at:
                return obj
        return None

    def snapshot(self, resource, at=None):
        """The objects of a resource as they were, by (namespace, name)."""
        with self.changed:
            found = {key[1:]: self.get(key, at) for key in self.objects if key[0] == resource}
        return {k: obj for k, obj in sorted(found.items()) if obj is not None}

    def compact(self):
        with self.changed:
            self.floor = self.version
            self.log.clear()
            self.objects = {k: v[-1:] for k, v in self.objects.items() if v[-1][1] is not None}

    def restore(self, version):
        """As from a backup: what came later has never happened."""
        with self.changed:
            self.version = version
            self.floor = min(self.floor, version)
            self.log = [entry for entry in self.log if entry[0] <= version]
            self.objects = {k: [v for v in vs if v[0] <= version] for k, vs in self.objects.items()}

    def bump(self, n=1):
        """As if other resources had changed."""
        with self.changed:
            self.version += n
            self.changed.notify_all()


# ---- selectors ----


def field(obj, path):
    for name in path.split("."):
        obj = obj.get(name, {}) if isinstance(obj, dict) else {}
    return "" if obj == {} or obj is None else str(obj).lower() if isinstance(obj, bool) else str(obj)


def field_selector(resource, text):
    terms = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", part)
        if not match:
            raise Refused(400, f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = match.groups()
        if path not in FIELDS[resource]:
            raise Refused(400, f"field label not supported: {path}")
        terms.append((path, operator != "!=", value))
    return lambda obj: all((field(obj, path) == value) == equal for path, equal, value in terms)


def label_selector(text):
    terms = []
    for part in filter(None, re.split(r",(?![^(]*\))", text)):
        match = re.fullmatch(r"\s*(!?)([A-Za-z0-9./_-]+)\s*(?:(==|!=|=)\s*(\S*)|(in|notin)\s*\(([^)]*)\))?\s*", part)
        if not match:
            raise Refused(400, f"unable to parse requirement: {part}")
        no, name, operator, value, group, values = match.groups()
        wanted = [v.strip() for v in values.split(",")] if group else [value]
        terms.append((name, bool(no), operator or group, wanted))

    def matches(labels, name, no, operator, wanted):
        if not operator:
            return (name in labels) != no
        return (labels.get(name) in wanted) != (operator in ("!=", "notin"))

    return lambda obj: all(matches(obj["metadata"].get("labels") or {}, *term) for term in terms)


# ---- one connection ----


class Cut(Exception):
    """The connection ends here, whatever was promised."""


def page_token(version, start):
    return base64.urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start}).encode()).decode().rstrip("=")


def read_page_token(text):
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(token["rv"]), token["start"]
    except (ValueError, KeyError) as error:
        raise Refused(400, f"continue key is not valid: {error}") from None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "kubeapi", ""
    disable_nagle_algorithm = True
    api = None  # the Server
    timeout = 600

    def setup(self):
        self.raw = self.request
        with contextlib.suppress(OSError, ssl.SSLError):
            self.request = self.api.tls.wrap_socket(self.raw, server_side=True, do_handshake_on_connect=False)
            self.request.settimeout(30)
            self.request.do_handshake()
            self.request.settimeout(self.timeout)
        super().setup()
        self.api.connections.add(self.request)

    def finish(self):
        self.api.connections.discard(self.request)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def handle(self):
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            super().handle()

    def log_message(self, *_args):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate((timestamp or time.time()) + self.api.skew, usegmt=True)

    # Any method: the path decides which are allowed.
    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self):
        self.chunked = None
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        try:
            self.route()
        except Refused as refused:
            self.answer(refused.code, refused.body, refused.headers)
        except (Cut, BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    # ---- what is asked for ----

    def route(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
        if any(len(values) > 1 for values in query.values()):
            raise Refused(400, "a query parameter is there twice")
        query = {name: values[0] for name, values in query.items()}
        ask = parse_path(url.path)
        verb = self.verb(ask, query)
        fault = self.api.take_request({"verb": verb, "path": url.path, "query": query, "ask": ask,
                                       "agent": self.headers.get("User-Agent", ""), "method": self.command})
        self.fault_before(fault)
        user = self.authenticate()
        if ask is None:
            return self.token(url.path) or self.discovery(url.path)
        self.authorize(user, verb, ask)
        if ask["resource"] in GROUPS and not self.api.crd:
            raise Refused(404, "the server could not find the requested resource")
        allowed = WATCH_QUERY if verb == "watch" else LIST_QUERY if verb == "list" else WRITE_QUERY
        unknown = set(query) - allowed
        if unknown:
            raise Refused(400, f"unknown query parameter: {', '.join(sorted(unknown))}")
        if verb not in ("create", "update", "patch"):
            return getattr(self, "on_" + verb)(ask, query, fault)
        with self.api.store.changed:  # what is written follows from what was read
            return getattr(self, "on_" + verb)(ask, query, fault)

    def verb(self, ask, query):
        named = ask and ask["name"]
        if self.command == "GET" and not named:
            return "watch" if query.get("watch") in ("1", "true") else "list"
        verbs = {"GET": "get", "PUT": "update", "DELETE": "delete", "PATCH": "patch"} if named else {"POST": "create"}
        if ask and self.command not in verbs:
            raise Refused(405, "the server does not allow this method on the requested resource")
        return verbs.get(self.command, "get")

    def authenticate(self):
        word, _, token = self.headers.get("Authorization", "").partition(" ")
        if word != "Bearer" or token not in self.api.tokens:
            raise Refused(401, "Unauthorized")
        return self.api.tokens[token]

    def authorize(self, user, verb, ask):
        if f"{verb} {ask['resource']}" not in self.api.denied and user not in self.api.denied_users:
            return
        where = f'in the namespace "{ask["namespace"]}"' if ask["namespace"] else "at the cluster scope"
        group = GROUPS.get(ask["resource"], "v1").rpartition("/")[0]
        what = ask["resource"] + (f".{group}" if group else "") + (f' "{ask["name"]}"' if ask["name"] else "")
        raise Refused(403, f'{what} is forbidden: User "{user}" cannot {verb} resource "{ask["resource"]}" '
                           f'in API group "{group}" {where}',
                      details={"kind": ask["resource"]})

    def token(self, path):
        """Whether it was about tokens of service accounts."""
        if path == "/apis/authorization.k8s.io/v1/subjectaccessreviews":
            self.answer(201, self.api.review_access(self.read_json()))
            return True
        if not path.startswith(("/openid/", "/.well-known/", "/apis/authentication.k8s.io/", "/api/v1/namespaces/")):
            return False
        if path == "/openid/v1/jwks" and not re.search(r"application/jwk-set\+json|\*/\*", self.headers.get("Accept", "*/*")):
            self.answer_text(406, "406 Not Acceptable\n", "text/plain; charset=utf-8")
            return True
        body = self.read_json()
        found = self.api.account_tokens().answer(self.command, path, body)
        if found:
            self.answer(*found)
        return found is not None

    def read_json(self):
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(400, f"json parse error: {error}") from None

    def discovery(self, path):
        if self.command != "GET":
            raise Refused(405, "the server does not allow this method on the requested resource")
        found = {
            "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0-fake", "platform": "linux/amd64"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self.group(v) for v in self.api.groups()]},
        }
        for version in ["v1", *self.api.groups()]:
            found[api_root(version)] = {"kind": "APIResourceList", "groupVersion": version, "resources": [
                {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind,
                 "shortNames": self.api.short_names(name),
                 "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]}
                for name, (kind, namespaced) in RESOURCES.items() if GROUPS.get(name, "v1") == version]}
        if path not in found and not path.startswith(("/api/", *(api_root(v) + "/" for v in self.api.groups()))):
            self.answer_text(404, "404 page not found\n", "text/plain; charset=utf-8")
            return
        if path not in found:
            raise Refused(404, "the server could not find the requested resource")
        self.answer(200, found[path])

    @staticmethod
    def group(version):
        names = {"groupVersion": version, "version": version.split("/")[1]}
        return {"name": version.split("/")[0], "versions": [names], "preferredVersion": names}

    # ---- reading ----

    def selected(self, ask, query):
        fields = field_selector(ask["resource"], query.get("fieldSelector", "") if not self.api.ignore_fields else "")
        labels = label_selector(query.get("labelSelector", ""))
        return lambda obj: ((not ask["namespace"] or obj["metadata"].get("namespace") == ask["namespace"])
                            and fields(obj) and labels(obj))

    def on_get(self, ask, _query, _fault):
        obj = self.existing(ask)
        if "as=PartialObjectMetadata" in self.headers.get("Accept", "") and not self.api.whole_objects:
            obj = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
        self.answer(200, obj)

    def existing(self, ask):
        obj = self.api.store.get((ask["resource"], ask["namespace"], ask["name"]))
        if obj is None:
            raise Refused(404, f'{ask["resource"]} "{ask["name"]}" not found',
                          details={"name": ask["name"], "kind": ask["resource"]})
        return obj

    def list_version(self, query, limit):
        """The version to list at; None: now."""
        store = self.api.store
        version = number("resourceVersion", query.get("resourceVersion") or "0")
        match = query.get("resourceVersionMatch")
        if match and ("resourceVersion" not in query or match not in ("Exact", "NotOlderThan")):
            raise Refused(422, "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
        if version > store.version:
            raise Refused(504, f"Too large resource version: {version}, current: {store.version}", {"Retry-After": "1"},
                          details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                                   "retryAfterSeconds": 1})
        # With a limit this is the version exactly, unless it is 0.
        if version and (match == "Exact" or (limit and match != "NotOlderThan")):
            if version < store.floor:
                raise Refused(410, f"The resourceVersion for the provided list is too old.")
            return version
        return None

    def on_list(self, ask, query, fault):
        store = self.api.store
        limit = number("limit", query.get("limit") or "0")
        selected = self.selected(ask, query)
        if query.get("continue"):
            if query.get("resourceVersion"):
                raise Refused(400, "specifying resource version is not allowed when using continue")
            version, start = read_page_token(query["continue"])
            if version < store.floor or self.api.expire_pages:
                raise Refused(410, "The provided continue parameter is too old to display a consistent list result. You can "
                                   "start a new list without the continue parameter.")
        else:
            start = ""
            version = self.list_version(query, limit)
            if query.get("resourceVersion") == "0":
                limit = 0  # from the cache, which has no pages
        if self.api.page and "limit" in query:
            limit = self.api.page
        with store.changed:
            shown = version or store.version
            found = [(f"{space}/{name}", obj) for (space, name), obj in store.snapshot(ask["resource"], version).items()
                     if f"{space}/{name}" > start and selected(obj)]
        meta = {"resourceVersion": str(shown)}
        if limit and len(found) > limit:
            meta["continue"] = page_token(shown, found[limit - 1][0])
            meta["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        self.send_list(RESOURCES[ask["resource"]][0] + "List", meta, [obj for _, obj in found], fault,
                       GROUPS.get(ask["resource"], "v1"))

    def send_list(self, kind, meta, items, fault, version):
        def pieces():
            yield f'{{"kind":"{kind}","apiVersion":"{version}","metadata":{json.dumps(meta)},"items":['
            for i, obj in enumerate(items):
                left_out = () if "/" in version else ("kind", "apiVersion")  # of those of the core alone
                yield ("," if i else "") + self.api.dump({k: v for k, v in obj.items() if k not in left_out})
            yield "]}\n"

        def reordered():
            yield '{\n  "items": [\n'
            for i, obj in enumerate(items):
                yield (" ,\n" if i else "") + json.dumps(obj, indent=2)
            yield (f'\n] ,"metadata" : {json.dumps(meta)},\n"more":{{"a":[1,"]}}"]}}, "apiVersion":"{version}",'
                   f'"kind":"{kind}"}}')

        self.stream(200, reordered() if self.api.odd_lists else pieces(), fault,
                    compress="gzip" in self.headers.get("Accept-Encoding", "") and (
                        self.api.gzip_from == 0 or sum(size_of(obj) for obj in items) >= self.api.gzip_from))

    # ---- watching ----

    def on_watch(self, ask, query, fault):
        store = self.api.store
        if query.get("limit"):
            pass  # is ignored
        if query.get("resourceVersionMatch"):
            raise Refused(422, "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch")
        version = number("resourceVersion", query.get("resourceVersion") or "0", 500)
        timeout = number("timeoutSeconds", query.get("timeoutSeconds") or "1800")
        selected = self.selected(ask, query)
        watch = Watch(ask, selected, query.get("allowWatchBookmarks") in ("1", "true"), version, timeout, fault)
        with store.changed:
            if self.api.stale_watch == "status" and version and version < store.floor:
                raise Refused(410, expired(version, store.floor)["message"])
            if version and version < store.floor:
                watch.queue.append(("ERROR", expired(version, store.floor)))
                watch.over = True
            elif not version:
                watch.queue += [("ADDED", obj) for obj in store.snapshot(ask["resource"]).values() if selected(obj)]
                watch.at = store.version
            self.api.watches.append(watch)
            store.changed.notify_all()
        self.stream(200, watch.lines(self.api), fault)

    # ---- writing ----

    def on_create(self, ask, query, _fault):
        if not ask["namespace"] and RESOURCES[ask["resource"]][1]:
            raise Refused(405, "the server does not allow this method on the requested resource")
        obj = self.read_object(ask, self.read_json(), query)
        if self.api.store.get((ask["resource"], ask["namespace"], obj["metadata"]["name"])):
            raise Refused(409, f'{self.full_name(ask)} "{obj["metadata"]["name"]}" already exists')
        obj["metadata"].pop("uid", None)
        if ask["resource"] in GROUPS:
            obj.pop("status", None)
        self.answer(201, self.api.store.put(obj))

    @staticmethod
    def full_name(ask):
        group = GROUPS.get(ask["resource"], "").partition("/")[0]
        return ask["resource"] + (f".{group}" if group else "")

    def on_update(self, ask, query, _fault):
        before = self.existing(ask)
        self.replace(ask, before, self.read_json(), query)

    def on_patch(self, ask, query, _fault):
        kind, patch = self.headers.get("Content-Type", ""), self.read_json()
        if "strategic" in kind and ask["resource"] in GROUPS:
            raise Refused(415, "the body of the request was in an unknown format - accepted media types include: "
                               "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
        if "apply-patch" in kind:
            return self.apply(ask, query, patch)
        before = self.existing(ask)
        self.replace(ask, before, json_patch(before, patch) if "json-patch" in kind else merge(before, patch), query)
        return None

    def apply(self, ask, query, patch):
        """Without owners of fields: what is there is merged."""
        if not query.get("fieldManager"):
            raise Refused(422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
                          details={"causes": [{"reason": "FieldValueRequired", "message": "Required value", "field": "fieldManager"}]})
        before = self.api.store.get((ask["resource"], ask["namespace"], ask["name"]))
        if before:
            self.replace(ask, before, merge(before, patch), query)
            return
        patch.setdefault("metadata", {}).setdefault("name", ask["name"])
        self.answer(201, self.api.store.put(self.read_object(ask, patch, query)))

    def replace(self, ask, before, obj, query):
        obj = self.read_object(ask, obj, query, whole=True)
        version = obj["metadata"].get("resourceVersion")
        if version and version != before["metadata"]["resourceVersion"]:
            raise Refused(409, "the object has been modified; please apply your changes to the latest version and try again",
                          reason="Conflict")
        if obj["metadata"].setdefault("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]:
            raise Refused(409, "Precondition failed: UID in precondition", reason="Conflict")
        if ask["resource"] in GROUPS:  # each path changes its own half
            kept, other = (obj, before) if ask["subresource"] else (before, obj)
            meta = before["metadata"] if ask["subresource"] else obj["metadata"]
            obj = {**{k: other[k] for k in ("apiVersion", "kind", "spec") if k in other}, "metadata": dict(meta),
                   **({"status": kept["status"]} if "status" in kept else {})}
        self.answer(200, self.api.store.put(obj))

    def on_delete(self, ask, query, _fault):
        """A pod that runs on a node stays until the kubelet, or somebody with force, has ended it."""
        obj = self.existing(ask)
        options = json.loads(self.body) if self.body else {}
        for name, value in (options.get("preconditions") or {}).items():
            if obj["metadata"].get(name) != value:
                raise Refused(409, f'Precondition failed: {name} in precondition: {value}, in object meta: {obj["metadata"].get(name)}',
                              reason="Conflict")
        grace = number("gracePeriodSeconds", query.get("gracePeriodSeconds") or str(options.get("gracePeriodSeconds", 30)))
        runs = ask["resource"] == "pods" and obj.get("spec", {}).get("nodeName")
        if runs:
            stamp = {"deletionTimestamp": "2026-01-02T03:04:05Z", "deletionGracePeriodSeconds": grace}
            obj = self.api.store.put(dict(obj, metadata={**obj["metadata"], **stamp}))
        if not runs or not grace:
            obj = self.api.store.delete((ask["resource"], ask["namespace"], ask["name"]))
        if ask["resource"] in GROUPS:
            obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {
                "name": ask["name"], "group": "podcred.io", "kind": ask["resource"], "uid": obj["metadata"]["uid"]}}
        self.answer(200, obj)

    def read_object(self, ask, obj, query, whole=False):
        """As it will be stored. whole: what it has of the server itself is there already."""
        if not isinstance(obj, dict) or obj.get("kind") != RESOURCES[ask["resource"]][0]:
            raise Refused(400, "the object in the body is of another kind")
        meta = obj.setdefault("metadata", {})
        if ask["namespace"] and meta.setdefault("namespace", ask["namespace"]) != ask["namespace"]:
            raise Refused(400, "the namespace of the provided object does not match the namespace sent on the request")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", meta.get("name", "")):
            raise Refused(422, f'{obj["kind"]} "{meta.get("name", "")}" is invalid: metadata.name: Invalid value')
        if whole and ask["name"] != meta["name"]:
            raise Refused(400, "the name of the object does not match the name on the URL")
        if ask["resource"] in GROUPS:
            obj = self.api.apply_schema(ask["resource"], obj, query.get("fieldValidation") == "Strict")
        return obj

    # ---- answers ----

    def answer_text(self, code, text, kind):
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, code, obj, headers=None):
        body = json.dumps(obj).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def fault_before(self, fault):
        """Those that need no answer to be made."""
        if "pause" in fault:
            self.api.gate.wait()
        if fault.get("reset"):
            self.reset()
        if fault.get("hang"):
            self.api.hang(self)
        if "status" in fault:
            raise Refused(fault["status"], fault.get("message", "made to fail"), fault.get("headers"))
        if "body" in fault or "lines" in fault:
            self.answer_text(fault.get("code", 200), fault.get("body", fault.get("lines")), fault.get("type", "text/html"))
            raise Cut

    def reset(self):
        """With a RST, and without a TLS alert."""
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.request.detach()
        raise Cut

    def stream(self, code, pieces, fault, compress=False):
        """A chunked answer. fault: cut (bytes after which the connection ends), step (bytes at a time)."""
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        packer = zlib.compressobj(wbits=31) if compress else None
        self.api.compressed += compress
        if compress:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        left = fault.get("cut", self.api.cut)
        for piece in pieces:
            data = piece.encode() if isinstance(piece, str) else piece
            if packer:
                data = packer.compress(data)
            left = self.send_chunks(data, left, fault.get("step", self.api.step))
        if packer:
            self.send_chunks(packer.flush(), left, 0)
        self.wfile.write(b"0\r\n\r\n")

    def send_chunks(self, data, left, step):
        if left is not None and len(data) >= left:
            self.send_chunk(data[:left])
            self.request.settimeout(5)
            self.reset() if self.api.rude else None
            raise Cut
        for at in range(0, len(data), step or len(data) or 1):
            self.send_chunk(data[at:at + step] if step else data)
        return None if left is None else left - len(data)

    def send_chunk(self, data):
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


class Watch:
    """A stream of events, and what is to become of it."""

    def __init__(self, ask, selected, bookmarks, version, timeout, fault):
        self.ask, self.selected, self.bookmarks, self.at = ask, selected, bookmarks, version
        self.ends = time.monotonic() + timeout
        self.queue = collections.deque()
        self.mute = bool(fault.get("mute"))  # the connection stays, and nothing comes any more
        self.over = bool(fault.get("end"))  # end it cleanly when the queue is empty
        self.action = None  # "cut", "reset"
        self.held = []  # events for shuffle

    def event(self, entry):
        """What a change is for this watch: one that leaves the selection is deleted from it."""
        version, key, before, after = entry
        was, now = before is not None and self.selected(before), after is not None and self.selected(after)
        if key[0] != self.ask["resource"] or not (was or now):
            return None
        if now:
            return ("MODIFIED" if was else "ADDED", after)
        return ("DELETED", dict(before, metadata=dict(before["metadata"], resourceVersion=str(version))))

    def collect(self, api):
        """New events of the store into the queue. With store.changed held."""
        if self.mute:
            return
        log = api.store.log
        for entry in log[bisect.bisect_right(log, self.at, key=lambda entry: entry[0]):]:
            event = self.event(entry)
            if event:
                self.queue += [event] * (2 if api.duplicate else 1)
        self.at = max(self.at, api.store.version)

    def lines(self, api):
        while True:
            with api.store.changed:
                self.collect(api)
                while not self.queue and not self.action and not self.over and time.monotonic() < self.ends:
                    api.store.changed.wait(min(self.ends - time.monotonic(), 60))
                    self.collect(api)
                events = list(self.queue)
                self.queue.clear()
                if api.hold and not self.over:
                    self.held += events
                    continue
                events = self.held + events
                self.held = []
                api.shuffle(events)
                done = self.over or self.action or time.monotonic() >= self.ends
                if done:
                    api.watches.remove(self)
            for kind, obj in events:
                yield api.dump({"type": kind, "object": obj}) + "\n"
            if self.action:
                if self.action == "half":
                    yield '{"type":"MODIFIED","object":{"kind":"Pod","meta'
                raise Cut
            if done:
                return


def size_of(obj):
    pad = ((obj["metadata"].get("annotations") or {}).get("pad") or "")
    return 500 + len(pad)


def number(name, text, code=400):
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Refused(code, f'{name}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def merge(old, patch):
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merge(new.get(key), value)
    return new


def api_root(version):
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


RULES = {  # what the expressions of the schemas mean
    "!has(self.policy) || (has(self.disableSessionTags) && self.disableSessionTags)":
        lambda spec: "policy" not in spec or spec.get("disableSessionTags"),
    "!has(self.targetRoleArn) || !has(self.durationSeconds) || self.durationSeconds <= 3600":
        lambda spec: "targetRoleArn" not in spec or spec.get("durationSeconds", 0) <= 3600,
    "has(self.namespaces) || has(self.namespaceSelector)":
        lambda spec: "namespaces" in spec or "namespaceSelector" in spec,
}
TYPES = {"object": dict, "string": str, "boolean": bool, "integer": int, "array": list}


def prune(schema, value, where, wrong, unknown):
    """What a structural schema leaves of a value; wrong gets what it has against it, unknown what it does not know."""
    if not isinstance(value, TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        wrong.append((where, f'Invalid value: "{type(value).__name__}": {where} in body must be of type {schema["type"]}'))
        return value
    size = len(value) if hasattr(value, "__len__") else value
    for low, high in (("minLength", "maxLength"), ("minProperties", "maxProperties"), ("minimum", "maximum"), ("minItems", "maxItems")):
        if not schema.get(low, size) <= size <= schema.get(high, size):
            wrong.append((where, f"Invalid value: {size} is not within {low} and {high}"))
    if "pattern" in schema and not re.search(schema["pattern"], value):
        wrong.append((where, f'Invalid value: "{value}": {where} in body should match \'{schema["pattern"]}\''))
    if value not in schema.get("enum", [value]):
        wrong.append((where, f'Unsupported value: "{value}"'))
    if isinstance(value, list):
        return [prune(schema["items"], part, f"{where}[{i}]", wrong, unknown) for i, part in enumerate(value)]
    if not isinstance(value, dict):
        return value
    dot = where + "." if where else ""
    wrong += [(dot + name, "Required value") for name in schema.get("required", []) if name not in value]
    if "additionalProperties" in schema:
        return {name: prune(schema["additionalProperties"], part, dot + name, wrong, unknown) for name, part in value.items()}
    known = schema.get("properties", {})
    unknown += [dot + name for name in value if name not in known]
    return {name: prune(known[name], part, dot + name, wrong, unknown) for name, part in value.items() if name in known}


def json_patch(obj, operations):
    """RFC 6902, as far as it is used: add, replace, remove, test."""
    obj = copy.deepcopy(obj)
    for op in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in op["path"].split("/")[1:]]
        at = obj
        try:
            for part in way:
                at = at[int(part)] if isinstance(at, list) else at[part]
            if isinstance(at, list):
                last = len(at) if last == "-" else int(last)
            if op["op"] == "test" and at[last] != op["value"]:
                raise Refused(422, f'the server rejected our request due to an error in our request: testing value {op["path"]} failed',
                              reason="Invalid")
            if op["op"] in ("remove", "replace"):
                del at[last]
            if op["op"] in ("add", "replace"):
                at.insert(last, op["value"]) if isinstance(at, list) else at.update({last: op["value"]})
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Refused(422, f'the server rejected our request: {op["op"]} operation does not apply: {error}') from None
    return obj


def parse_path(path):
    match = re.fullmatch(r"/(?:api|apis/([a-z.]+))/([a-z0-9]+)(?:/namespaces/([a-z0-9-]+))?/([a-z]+)(?:/([a-z0-9.-]+)(?:/(status))?)?", path)
    if not match:
        return None
    group, version, namespace, resource, name, subresource = match.groups()
    if resource not in RESOURCES or (namespace and not RESOURCES[resource][1]):
        return None
    if GROUPS.get(resource, "v1") != (f"{group}/{version}" if group else version):
        return None
    if subresource and resource != "podidentityassociations":
        return None
    return {"namespace": namespace or "", "resource": resource, "name": name or "", "subresource": subresource or ""}


# ---- the server, and its commands ----


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False
    allow_reuse_address, request_queue_size = True, 512

    def handle_error(self, _request, _client):
        pass


class Server:
    """Starts at once. The settings below count for all requests to come; faults for single ones."""

    def __init__(self, folder, address="127.0.0.1", port=0, hosts=()):
        self.folder, self.address, self.port = folder, address, port
        os.makedirs(folder, exist_ok=True)
        self.store = Store()
        self.tokens = {}  # token: user
        self.denied = set()  # "list pods"
        self.node_claims = True  # in tokens of service accounts, as from Kubernetes 1.30 on
        self.denied_users = set()  # may do nothing
        self.denied_access = []  # of others, in a SubjectAccessReview
        self.skew = 0  # seconds, of Date
        self.gzip_from = GZIP_FROM  # 0: always
        self.odd_lists = False  # other order, other space, unknown members
        self.step = 0  # bytes to send at a time
        self.cut = None  # bytes after which every answer is cut off
        self.rude = False  # what is cut off ends with a RST
        self.duplicate = False  # each event comes twice
        self.hold = False  # events are kept back
        self.reverse = False  # and come last first
        self.stale_watch = "event"  # or "status": how a watch learns that its version has expired
        self.expire_pages = False  # no continue token is good
        self.page = 0  # so many at most, also for lists that a cache would answer
        self.ignore_fields = False  # as a server that knows no fieldSelector
        self.compressed = 0  # answers
        self.crd = True  # the definition of podcred's own objects has been applied
        self.whole_objects = False  # as a server that cannot send metadata alone
        self.faults, self.requests, self.watches, self.connections = [], [], [], set()
        self.gate = threading.Event()
        self.signer = None  # of tokens of service accounts
        self.pads = {}  # large texts, once each
        self.listener = None
        self.new_token("system:serviceaccount:podcred:podcred")
        self.make_certificate([address, *hosts])
        self.back()
        self.write_kubeconfig()

    # ---- what a client needs ----

    def path(self, name):
        return os.path.join(self.folder, name)

    def url(self):
        return f"https://{self.address}:{self.port}"

    def new_token(self, user="system:serviceaccount:podcred:podcred", keep=False):
        """Another one in the file; the ones before are not accepted any more."""
        token = base64.urlsafe_b64encode(os.urandom(24)).decode()
        if not keep:
            self.tokens.clear()
        self.tokens[token] = user
        with open(self.path("token.new"), "w", encoding="ascii") as file:
            file.write(token)
        os.rename(self.path("token.new"), self.path("token"))
        return token

    def make_certificate(self, hosts):
        names = ",".join(("IP:" if re.fullmatch(r"[0-9.]+|.*:.*", host) else "DNS:") + host for host in hosts)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.folder)

        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=kubeapi test CA")
        openssl("req", "-x509", *key, "-keyout", "server.key", "-out", "server.crt", "-days", "30", "-subj", "/CN=kube-apiserver",
                "-CA", "ca.crt", "-CAkey", "ca.key", "-addext", f"subjectAltName={names}",
                "-addext", "basicConstraints=critical,CA:false")
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.path("server.crt"), self.path("server.key"))
        self.tls.set_alpn_protocols(["http/1.1"])

    def write_kubeconfig(self):
        with open(self.path("ca.crt"), "rb") as file:
            authority = base64.b64encode(file.read()).decode()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url(), "certificate-authority-data": authority}}],
            "users": [{"name": "test", "user": {"tokenFile": os.path.abspath(self.path("token"))}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        with open(self.path("kubeconfig"), "w", encoding="ascii") as file:
            json.dump(config, file, indent=1)

    # ---- what podcred adds ----

    def groups(self):
        return sorted(set(GROUPS.values())) if self.crd else []

    @staticmethod
    def definition(resource):
        import yaml  # pylint: disable=import-outside-toplevel
        with open(os.path.join(CRDS, f"{resource}.yaml"), encoding="utf-8") as file:
            return yaml.safe_load(file)["spec"]

    def short_names(self, resource):
        return self.definition(resource)["names"].get("shortNames", []) if resource in GROUPS else []

    def apply_schema(self, resource, obj, strict=False):
        """The object without what its schema does not know. Commands can put what an older schema would have let in."""
        schema = self.definition(resource)["versions"][0]["schema"]["openAPIV3Schema"]
        parts = {name: schema["properties"][name] for name in ("spec", "status") if name in schema["properties"]}
        wrong, unknown = [], []
        pruned = prune(dict(schema, properties=parts), {k: v for k, v in obj.items() if k in ("spec", "status")}, "", wrong, unknown)
        if strict and unknown:
            raise Refused(400, f'{obj["kind"]} in version "v1alpha1" cannot be handled as a {obj["kind"]}: strict decoding error: '
                               + ", ".join(f'unknown field "{name}"' for name in unknown))
        if not wrong:
            wrong += [("spec", f"Invalid value: {rule['message']}") for rule in parts["spec"].get("x-kubernetes-validations", [])
                      if not RULES[rule["rule"]](obj["spec"])]
        if wrong:
            name = obj["metadata"]["name"]
            raise Refused(422, f'{obj["kind"]}.podcred.io "{name}" is invalid: {", ".join(f"{where}: {what}" for where, what in wrong)}',
                          details={"name": name, "group": "podcred.io", "kind": obj["kind"],
                                   "causes": [{"reason": "FieldValueInvalid", "message": what, "field": where} for where, what in wrong]})
        return {**{k: obj[k] for k in ("apiVersion", "kind", "metadata")}, **pruned}

    def review_access(self, review):
        """Everybody may do everything, but for denied_users, and what denied_access has: "alice create pods", as a start."""
        spec = review["spec"]
        attributes = spec["resourceAttributes"]
        line = " ".join([spec["user"], attributes["verb"], attributes["resource"], attributes.get("namespace", "")])
        denied = spec["user"] in self.denied_users or any(line.startswith(text) for text in self.denied_access)
        return dict(review, status={"allowed": not denied, **({"reason": "denied by the test"} if denied else {})})

    # ---- for handlers ----

    def take_request(self, request):
        with self.store.changed:
            self.requests.append(request)
            for fault in self.faults:
                if fault["on"] in ("any", request["verb"]):
                    fault["times"] = fault.get("times", 1) - 1
                    if fault["times"] <= 0:
                        self.faults.remove(fault)
                    return fault
        return {}

    def dump(self, obj):
        return json.dumps(obj, separators=(",", ":"))

    def shuffle(self, events):
        if self.reverse:
            events.reverse()

    def hang(self, handler):
        """Until the client gives up."""
        handler.request.settimeout(None)
        while handler.request.recv(4096):
            pass
        raise Cut

    # ---- tokens of service accounts (tokens.py) ----

    def account_tokens(self):
        with self.store.changed:
            if self.signer is None:
                sys.path.append(os.path.dirname(os.path.abspath(__file__)))
                import tokens  # pylint: disable=import-outside-toplevel
                self.signer = tokens.Tokens(self, Refused)
        return self.signer

    def issuer(self):
        return {"url": "https://kubernetes.default.svc", "jwks": self.account_tokens().issuer.jwks()}

    def rotate_keys(self):
        self.account_tokens().rotate()

    def account_token(self, pod, namespace, audience, seconds=3600):
        """As the kubelet projects it into a pod."""
        obj = self.store.get(("pods", namespace, pod))
        return self.account_tokens().make(namespace, obj["spec"]["serviceAccountName"], pod, obj["metadata"]["uid"], audience, seconds)

    # ---- commands ----

    def set(self, **settings):
        with self.store.changed:
            for name, value in settings.items():
                if not hasattr(self, name) or callable(getattr(self, name)):
                    raise ValueError(f"no setting {name}")
                setattr(self, name, set(value) if name == "denied" else value)
            self.store.changed.notify_all()

    def fault(self, **fault):
        """on: a verb, or any; times: 1. One of: reset, hang, pause, status with message and headers, body with type and
        code, cut, step, mute."""
        with self.store.changed:
            self.faults.append(fault)

    def pod(self, name, namespace="default", node="n1", **more):
        """Create, or replace, a pod as there are many. more: account, labels, annotations, uid, host_network, pad."""
        annotations = dict(more.get("annotations") or {})
        if more.get("pad"):
            annotations["pad"] = self.pads.setdefault(more["pad"], "x" * more["pad"])
        return self.put({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace, "labels": more.get("labels") or {}, "annotations": annotations,
                         **({"uid": more["uid"]} if "uid" in more else {})},
            "spec": {"nodeName": node, "serviceAccountName": more.get("account", "default"),
                     "containers": [{"name": "main", "image": "pause"}],
                     **({"hostNetwork": True} if more.get("host_network") else {})},
            "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]},
        })

    def put(self, obj):
        return self.store.put(copy.copy(obj))

    def copies(self, obj, count):
        """As put, of as many, which have a number behind their names."""
        for number in range(count):
            self.put({**obj, "metadata": {**obj["metadata"], "name": f"{obj['metadata']['name']}{number}"}})

    def delete(self, resource, namespace, name):
        return self.store.delete((resource, namespace, name))

    def compact(self):
        self.store.compact()

    def restore(self, version):
        self.store.restore(version)

    def bookmark(self):
        with self.store.changed:
            for watch in self.watches:
                if watch.bookmarks and not watch.mute:
                    kind = RESOURCES[watch.ask["resource"]][0]
                    watch.collect(self)
                    watch.queue.append(("BOOKMARK", {
                        "kind": kind, "apiVersion": "v1",
                        "metadata": {"resourceVersion": str(self.store.version), "creationTimestamp": None},
                        **({"spec": {"containers": None}, "status": {}} if kind == "Pod" else {})}))
            self.store.changed.notify_all()

    def send(self, kind, obj):
        """An event of one's own, to all watches."""
        with self.store.changed:
            for watch in self.watches:
                watch.queue.append((kind, obj))
            self.store.changed.notify_all()

    def end_watches(self, how="clean"):
        """clean, cut (in between), half (within an event), expired (410 as an event), or mute (half open)."""
        with self.store.changed:
            for watch in self.watches:
                watch.collect(self)
                if how == "expired":
                    watch.queue.append(("ERROR", expired(watch.at, self.store.version)))
                watch.mute = watch.mute or how == "mute"
                watch.over = how in ("clean", "expired")
                watch.action = how if how in ("cut", "half") else None
            self.store.changed.notify_all()

    def away(self):
        """Nobody listens, and all connections are reset."""
        if self.listener:
            self.listener.shutdown()
            self.listener.server_close()
            self.listener = None
        for sock in list(self.connections):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
        with self.store.changed:
            for watch in self.watches:
                watch.action = "cut"
            self.store.changed.notify_all()

    def back(self):
        handler = type("Bound", (Handler,), {"api": self})
        self.listener = Listener((self.address, self.port), handler)
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def state(self):
        with self.store.changed:
            return {
                "version": self.store.version, "watches": len(self.watches), "faults": len(self.faults),
                "requests": [{k: r[k] for k in ("verb", "path", "query", "agent")} for r in self.requests],
                "pods": [f'{o["metadata"]["uid"]} {space}/{name}' for (space, name), o in self.store.snapshot("pods").items()],
            }

    COMMANDS = ("set", "fault", "pod", "put", "copies", "delete", "compact", "restore", "bookmark", "send", "end_watches", "away", "back", "new_token",
                "issuer", "rotate_keys", "account_token", "state")

    def command(self, commands):
        return control.run(self, commands, ("put",))


def main():
    args = collections.defaultdict(list)
    words = sys.argv[2:]
    for name, value in zip(words[::2], words[1::2]):
        args[name].append(value)
    if len(sys.argv) < 2 or len(words) % 2 or set(args) - {"--address", "--port", "--host"}:
        sys.exit(__doc__)
    server = Server(sys.argv[1], (args["--address"] or ["127.0.0.1"])[-1], int((args["--port"] or ["0"])[-1]), args["--host"])
    commands = control.serve(server)
    print("ready", server.url(), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        commands.serve_forever()


if __name__ == "__main__":
    main()
