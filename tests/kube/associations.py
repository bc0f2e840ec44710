#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API of associations as an aggregated API of a real API server, by kubectl proxy: unmodified AWS clients.

associations.py PODCRED CLIENTS     as TAP; CLIENTS: a virtual environment with the AWS CLI and boto3

etcd, kube-apiserver and kubectl are those that "make test-cluster" has built, in $CLUSTER_CACHE. Everything runs on 127.0.0.1;
the Service of the APIService is an ExternalName, as there is no network of Services here.
"""
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import real  # noqa: E402 pylint: disable=wrong-import-position

OBJECTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/kubernetes/components/objects")
ALICE, BOB = "alice-token", "bob-token"
ROLE = "arn:aws:iam::111122223333:role/app"
CONFIG = "credentials: {cluster: {name: demo, arn: 'arn:aws:eks:eu-west-1:111122223333:cluster/demo'}}\n"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
BOTO = """
import boto3, botocore, sys
from botocore.config import Config
eks = boto3.client("eks", endpoint_url=sys.argv[1], region_name="eu-west-1",
                   config=Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1}))
made = eks.create_pod_identity_association(clusterName="demo", namespace="shop", serviceAccount="boto", roleArn=sys.argv[2])["association"]
pages = eks.get_paginator("list_pod_identity_associations").paginate(clusterName="demo", PaginationConfig={"PageSize": 1})
print(sorted(a["serviceAccount"] for page in pages for a in page["associations"]), made["createdAt"].year > 2000)
try:
    eks.create_pod_identity_association(clusterName="demo", namespace="shop", serviceAccount="boto", roleArn=sys.argv[2])
except eks.exceptions.ResourceInUseException as error:
    print(made["associationId"] in str(error))
eks.delete_pod_identity_association(clusterName="demo", associationId=made["associationId"])
"""


class Bed:
    """API server, control, and a proxy for each of two users."""

    def __init__(self, folder, programs, podcred, clients):
        self.folder, self.programs, self.podcred, self.clients = folder, programs, podcred, clients
        self.real = real.Real(folder, programs)
        with open(self.real.path("tokens.csv"), "a", encoding="ascii") as file:
            file.write(f"{ALICE},alice,4\n{BOB},bob,5\n")
        self.certificates()
        path = self.real.path
        self.api = self.real.start(
            "one", f"--requestheader-client-ca-file={path('front.crt')}", "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-", f"--proxy-client-cert-file={path('proxy.crt')}",
            f"--proxy-client-key-file={path('proxy.key')}")
        self.control, self.health = real.free_port(), real.free_port()
        self.said = ""  # by the CLI, of its last error

    def certificates(self):
        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.folder)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
        leaf = ["-addext", "basicConstraints=critical,CA:false"]
        openssl("req", "-x509", *key, "-keyout", "front.key", "-out", "front.crt", "-subj", "/CN=front")
        openssl("req", "-x509", *key, "-keyout", "proxy.key", "-out", "proxy.crt", "-subj", "/CN=front-proxy", "-CA", "front.crt",
                "-CAkey", "front.key", "-addext", "extendedKeyUsage=clientAuth", *leaf)
        openssl("req", "-x509", *key, "-keyout", "control.key", "-out", "control.crt", "-subj", "/CN=control", "-CA", "ca.crt",
                "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:podcred-control.podcred.svc,DNS:localhost", *leaf)

    def ask(self, path, method="POST", body=None):
        code, answer = self.api.ask(path, method, body)
        assert code in (200, 201), answer
        return answer

    def install(self):
        for name in ("podcred", "shop"):
            self.ask("/api/v1/namespaces", body={"metadata": {"name": name}})
        for name in ("podidentityassociations", "podidentityrolepolicies"):
            done = subprocess.run([os.path.join(self.programs, "kubectl"), f"--kubeconfig={self.real.kubeconfig('one', real.ADMIN)}", "apply",
                                   "-f", os.path.join(OBJECTS, name + ".yaml")], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        real.wait_for("the kinds", lambda: self.api.ask("/apis/podcred.io/v1alpha1/podidentityrolepolicies")[0] == 200)
        self.ask("/apis/podcred.io/v1alpha1/podidentityrolepolicies", body={
            "apiVersion": "podcred.io/v1alpha1", "kind": "PodIdentityRolePolicy", "metadata": {"name": "shop"},
            "spec": {"namespaces": ["shop"], "roleArns": ["arn:aws:iam::111122223333:role/*"]}})
        self.role("api", ["alice", "bob"], [{"apiGroups": ["eks.podcred.io"], "verbs": ["get", "list", "create", "delete"],
                                             "resources": ["clusters", "clusters/pod-identity-associations", "clusters/addons",
                                                           "cluster-versions", "tags/demo"]}])
        self.role("writes", ["alice"], [{"apiGroups": ["podcred.io"], "resources": ["podidentityassociations"], "verbs": ["*"]}])
        self.role("control", ["podcred"], [
            {"apiGroups": ["podcred.io"], "resources": ["podidentityassociations", "podidentityassociations/status", "podidentityrolepolicies"],
             "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
            {"apiGroups": [""], "resources": ["serviceaccounts", "namespaces", "configmaps"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}])
        self.ask("/api/v1/namespaces/podcred/services", body={
            "metadata": {"name": "podcred-control"}, "spec": {"type": "ExternalName", "externalName": "localhost"}})
        with open(self.real.path("ca.crt"), "rb") as file:
            bundle = base64.b64encode(file.read()).decode()
        self.ask("/apis/apiregistration.k8s.io/v1/apiservices", body={
            "metadata": {"name": "v1.eks.podcred.io"},
            "spec": {"group": "eks.podcred.io", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10, "caBundle": bundle,
                     "service": {"namespace": "podcred", "name": "podcred-control", "port": self.control}}})

    def role(self, name, users, rules):
        self.ask(f"{RBAC}/clusterroles", body={"metadata": {"name": name}, "rules": rules})
        self.ask(f"{RBAC}/clusterrolebindings", body={
            "metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user} for user in users]})

    def start(self):
        path = self.real.path("config.yaml")
        with open(path, "w", encoding="ascii") as file:
            file.write(CONFIG)
        self.run("control", [self.podcred, "control", f"--config={path}", f"--listen=127.0.0.1:{self.control}",
                             f"--health=127.0.0.1:{self.health}", f"--certificate={self.real.path('control.crt')}",
                             f"--key={self.real.path('control.key')}", f"--kubeconfig={self.real.kubeconfig('one', real.PODCRED)}"])

        def available():
            found = self.api.ask("/apis/apiregistration.k8s.io/v1/apiservices/v1.eks.podcred.io")[1]
            return any(c["type"] == "Available" and c["status"] == "True" for c in found.get("status", {}).get("conditions", []))

        def ready():
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{self.health}/readyz").status == 200
            return False

        real.wait_for("the APIService", available)
        real.wait_for("podcred control", ready)

    def run(self, name, command):
        with open(self.real.path(name + ".log"), "ab") as log:
            self.real.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, preexec_fn=real.end_with_us)

    def log(self, name):
        with open(self.real.path(name + ".log"), encoding="utf8", errors="replace") as file:
            return file.read()

    def proxy(self, token):
        """kubectl proxy as that user: its URL."""
        self.run("proxy-" + token, [os.path.join(self.programs, "kubectl"), f"--kubeconfig={self.real.kubeconfig('one', token)}", "proxy", "--port=0"])
        real.wait_for("kubectl proxy", lambda: "Starting to serve on" in self.log("proxy-" + token))
        return "http://" + re.search(r"serve on (\S+)", self.log("proxy-" + token)).group(1) + "/apis/eks.podcred.io/v1"

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": self.folder, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
                "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}

    def aws(self, url, operation, *args):
        """Its answer, or its error's name."""
        done = subprocess.run([os.path.join(self.clients, "bin/aws"), "eks", operation, "--no-sign-request", "--endpoint-url", url, "--output", "json",
                               *args], check=False, capture_output=True, text=True, env=self.environment())
        if done.returncode:
            self.said = done.stderr
            found = re.search(r"An error occurred \((\w+)\)", done.stderr)
            return found.group(1) if found else done.stderr
        return json.loads(done.stdout or "{}")


def by_cli(tap, bed, alice, bob):
    one = ["--cluster-name", "demo"]
    where = [*one, "--namespace", "shop", "--service-account", "web", "--role-arn", ROLE]
    with tap.check("the AWS CLI makes an association, which is an object"):
        made = bed.aws(alice, "create-pod-identity-association", *where, "--tags", "team=a b")
        assert not isinstance(made, str), bed.said
        made = made["association"]
        obj = bed.api.ask("/apis/podcred.io/v1alpha1/namespaces/shop/podidentityassociations/web")[1]
        assert obj["spec"] == {"roleArn": ROLE, "tags": {"team": "a b"}} and made["serviceAccount"] == "web", (obj, made)
    which = [*one, "--association-id", made["associationId"]]
    with tap.check("it is described and listed"):
        assert bed.aws(alice, "describe-pod-identity-association", *which)["association"] == made
        listed = bed.aws(alice, "list-pod-identity-associations", *one)["associations"]
        assert [a["associationId"] for a in listed] == [made["associationId"]], listed
    with tap.check("a second one is refused"):
        assert bed.aws(alice, "create-pod-identity-association", *where) == "ResourceInUseException"
    with tap.check("it is updated, and a member taken away"):
        done = bed.aws(alice, "update-pod-identity-association", *which, "--target-role-arn", ROLE + "2", "--disable-session-tags")["association"]
        assert done["targetRoleArn"] == ROLE + "2" and done["disableSessionTags"] and done["modifiedAt"] > made["modifiedAt"], done
        done = bed.aws(alice, "update-pod-identity-association", *which, "--target-role-arn", "")["association"]
        assert "targetRoleArn" not in done, done
    with tap.check("its tags are changed, by a path that the API server has decoded"):
        resource = ["--resource-arn", made["associationArn"]]
        assert bed.aws(alice, "tag-resource", *resource, "--tags", '{"a/b": "c=d", "e": "f"}') == {}, bed.said
        assert bed.aws(alice, "untag-resource", *resource, "--tag-keys", "team", "e") == {}, bed.said
        tags = bed.aws(alice, "list-tags-for-resource", *resource)
        assert tags == {"tags": {"a/b": "c=d"}}, (tags, bed.said)
    with tap.check("who may use the API, and not the objects, may nothing"):
        assert bed.aws(bob, "describe-pod-identity-association", *which) == "AccessDeniedException"
        assert bed.aws(bob, "list-pod-identity-associations", *one) == "AccessDeniedException"
        assert bed.aws(bob, "delete-pod-identity-association", *which) == "AccessDeniedException"
    with tap.check("a role that no policy allows, and a cluster that is not this one"):
        other = [*one, "--namespace", "shop", "--service-account", "x", "--role-arn", "arn:aws:iam::999922223333:role/app"]
        assert bed.aws(alice, "create-pod-identity-association", *other) == "InvalidParameterException"
        assert bed.aws(alice, "list-pod-identity-associations", "--cluster-name", "other") == "ResourceNotFoundException"
    with tap.check("what tools look at first"):
        cluster = bed.aws(alice, "describe-cluster", "--name", "demo")["cluster"]
        version = bed.api.ask("/version")[1]
        assert cluster["status"] == "ACTIVE" and cluster["version"] == f"{version['major']}.{version['minor']}", (cluster, version)
        with open(bed.real.path("ca.crt"), "rb") as authority:
            assert base64.b64decode(cluster["certificateAuthority"]["data"]) == authority.read(), cluster
        versions = bed.aws(alice, "describe-cluster-versions")["clusterVersions"]
        assert [v["clusterVersion"] for v in versions] == [cluster["version"]], versions
        addon = bed.aws(alice, "describe-addon", *one, "--addon-name", "eks-pod-identity-agent")
        assert addon["addon"]["status"] == "ACTIVE", addon
        assert bed.aws(alice, "describe-addon", *one, "--addon-name", "vpc-cni") == "ResourceNotFoundException"
    with tap.check("the status of the object"):
        def ready():
            status = bed.api.ask("/apis/podcred.io/v1alpha1/namespaces/shop/podidentityassociations/web")[1].get("status", {})
            return status.get("associationId") == made["associationId"] and {"Ready": "True", "RoleAllowed": "True", "Shadowed": "False"} == {
                c["type"]: c["status"] for c in status["conditions"]}
        real.wait_for("the status", ready)
    with tap.check("it is deleted, once"):
        assert bed.aws(alice, "delete-pod-identity-association", *which)["association"]["associationId"] == made["associationId"]
        assert bed.aws(alice, "delete-pod-identity-association", *which) == "ResourceNotFoundException"
        assert bed.api.ask("/apis/podcred.io/v1alpha1/namespaces/shop/podidentityassociations/web")[0] == 404


def by_others(tap, bed, alice):
    for name in ("one", "two"):
        bed.ask("/apis/podcred.io/v1alpha1/namespaces/shop/podidentityassociations", body={
            "apiVersion": "podcred.io/v1alpha1", "kind": "PodIdentityAssociation", "metadata": {"name": name}, "spec": {"roleArn": ROLE}})
    with tap.check("boto3, with pages of one"):
        done = subprocess.run([os.path.join(bed.clients, "bin/python"), "-c", BOTO, alice, ROLE], check=False, capture_output=True, text=True,
                              env=bed.environment())
        assert done.stdout == "['boto', 'one', 'two'] True\nTrue\n", done.stdout + done.stderr
    with tap.check("without a user the API server lets nobody through, and control nobody who comes by itself"):
        code, answer = bed.api.ask("/apis/eks.podcred.io/v1/clusters/demo", token="none")
        assert code == 401, answer
        request = urllib.request.Request(f"https://localhost:{bed.control}/clusters/demo", headers={"X-Remote-User": "admin"})
        context = real.ssl.create_default_context(cafile=bed.real.path("ca.crt"))
        try:
            urllib.request.urlopen(request, context=context)
            raise AssertionError("answered")
        except urllib.error.HTTPError as error:
            assert error.code == 403 and error.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException", error
    with tap.check("kubectl sees an API that is there"):
        code, answer = bed.api.ask("/apis/eks.podcred.io/v1")
        assert code == 200 and answer["groupVersion"] == "eks.podcred.io/v1", answer


def main():
    tap = real.Tap()
    programs = real.find_programs()
    if not programs:
        print("ok 1 - an aggregated API # SKIP no API server was built; make test-cluster builds one\n1..1")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="podcred-associations-")
    bed = None
    try:
        bed = Bed(folder, programs, *sys.argv[1:])
        bed.install()
        bed.start()
        alice, bob = bed.proxy(ALICE), bed.proxy(BOB)
        by_cli(tap, bed, alice, bob)
        by_others(tap, bed, alice)
        if tap.failed:
            print("# " + "\n# ".join(bed.log("control").splitlines()[-30:]))
    finally:
        if bed:
            bed.real.close()
        shutil.rmtree(folder)
    tap.done()


if __name__ == "__main__":
    main()
