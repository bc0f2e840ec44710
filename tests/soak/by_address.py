#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whose request is it, by its source address: what kube2iam does, for comparison.

by_address.py KUBECONFIG ADDRESS PORT NODE

A list and a watch of the node's pods keep an index by status.podIP, without those that have ended (phase Succeeded or
Failed). A pod that is being deleted stays in it, as it may need credentials to its end. Each request is answered with the
pod that the index has for the address that it comes from. An address without a pod is looked up again for up to two seconds;
one with several is refused. It says "ready" when it has a list and listens.
"""
import base64
import http.client
import http.server
import json
import ssl
import sys
import threading
import time
import urllib.parse

BACKOFF_S, BACKOFF_MOST_S, GIVE_UP_S = 0.05, 1, 2


class Index:
    """Pods by address, as the API server tells of them."""

    def __init__(self, kubeconfig, node):
        with open(kubeconfig, encoding="utf-8") as file:
            config = json.load(file)
        cluster = config["clusters"][0]["cluster"]
        self.url = urllib.parse.urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with open(config["users"][0]["user"]["tokenFile"], encoding="ascii") as file:
            self.headers = {"Authorization": "Bearer " + file.read().strip()}
        self.query = {"fieldSelector": "spec.nodeName=" + node}
        self.lock = threading.Lock()
        self.address_of, self.pods = {}, {}  # by (namespace, name); by address: {(namespace, name): pod}
        self.listed = threading.Event()

    def get(self, **query):
        connection = http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.tls)
        connection.request("GET", "/api/v1/pods?" + urllib.parse.urlencode({**self.query, **query}), headers=self.headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {answer.read()!r}")
        return answer

    def drop(self, key):
        address = self.address_of.pop(key, None)
        if address:
            del self.pods[address][key]

    def take(self, kind, pod):
        meta, status = pod["metadata"], pod["status"]
        key = meta["namespace"], meta["name"]
        with self.lock:
            self.drop(key)
            address = status.get("podIP")
            if kind != "DELETED" and address and status.get("phase") not in ("Succeeded", "Failed"):
                self.address_of[key] = address
                self.pods.setdefault(address, {})[key] = pod

    def follow(self):
        while True:
            pods = json.load(self.get())
            with self.lock:
                self.address_of, self.pods = {}, {}
            for pod in pods["items"]:
                self.take("ADDED", pod)
            self.listed.set()
            for line in self.get(watch="1", resourceVersion=pods["metadata"]["resourceVersion"]):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    break
                self.take(event["type"], event["object"])

    def find(self, address):
        """The pod, or why there is none."""
        until, pause = time.monotonic() + GIVE_UP_S, BACKOFF_S
        while True:
            with self.lock:
                found = list(self.pods.get(address, {}).values())
            if len(found) == 1:
                return found[0], None
            if found:
                return None, f"{len(found)} pods with the address {address}"
            if time.monotonic() + pause > until:
                return None, f"no pod with the address {address}"
            time.sleep(pause)
            pause = min(pause * 1.5, BACKOFF_MOST_S)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        pod, why = self.server.index.find(self.client_address[0])
        body = why if pod is None else json.dumps({
            "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"], "account": pod["spec"]["serviceAccountName"]})
        try:
            self.send_response(404 if pod is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())
        except OSError:
            pass  # the pod has ended

    def log_message(self, *_args):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024


def main():
    kubeconfig, address, port, node = sys.argv[1:]
    index = Index(kubeconfig, node)
    threading.Thread(target=index.follow, daemon=True).start()
    index.listed.wait()
    server = Server((address, int(port)), Handler)
    server.index = index
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
