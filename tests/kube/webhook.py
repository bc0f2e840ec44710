#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The admission webhook of podcred control with a real API server: what is registered is what deploy/ has, with the rights that
deploy/ gives, but for the address, as there is no network of Services here.

webhook.py PODCRED     as TAP

etcd, kube-apiserver and kubectl are those that "make test-cluster" has built, in $CLUSTER_CACHE. They run on 127.0.0.1.
"""
import base64
import contextlib
import datetime
import http.client
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import real  # noqa: E402 pylint: disable=wrong-import-position

HERE = os.path.dirname(os.path.abspath(__file__))
COMPONENTS = os.path.join(HERE, "../../deploy/kubernetes/components")
CONTROL = "control-token"
HOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/podcred"
SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1.eks.podcred.io"
SECRET = "/api/v1/namespaces/podcred/secrets/podcred-control-certificates"
URI = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}
FOLDER = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
FILE = {"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "value": FOLDER + "/eks-pod-identity-token"}
DAY = datetime.timedelta(days=1)


def pod(name, account="web", **spec):
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name},
            "spec": {"serviceAccountName": account, "containers": [{"name": "c", "image": "pause"}], **spec}}


def env_of(made, kind="containers", number=0):
    return made["spec"][kind][number].get("env", [])


# ---- the parts ----


class Replica:
    def __init__(self, program, folder, name, kubeconfig):
        self.port, self.health = real.free_port(), real.free_port()
        config = os.path.join(folder, "config.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write("credentials: {cluster: {name: demo, arn: 'arn:aws:eks:eu-west-1:111122223333:cluster/demo'}}\n")
        self.log = os.path.join(folder, name + ".log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [program, "control", f"--config={config}", f"--listen=127.0.0.1:{self.port}", f"--health=127.0.0.1:{self.health}",
                 "--certificates=podcred/podcred-control-certificates", "--server-name=localhost", f"--kubeconfig={kubeconfig}"],
                stdout=log, stderr=log, start_new_session=True, preexec_fn=real.end_with_us)

    def lines(self):
        with open(self.log, encoding="utf8", errors="replace") as log:
            return log.read()

    def probe(self, path):
        if self.process.poll() is not None:
            raise AssertionError("control ended: " + self.lines()[-2000:])
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.health, timeout=real.PATIENCE)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        return 0, ""

    def ready(self):
        return self.probe("/readyz")[0] == 200

    def count(self, result):
        for line in self.probe("/metrics")[1].splitlines():
            if line.startswith(f'podcred_control_reviews_total{{result="{result}"}}'):
                return int(float(line.split()[-1]))
        return 0

    def certificate(self, authority):
        """What it serves, to a client that trusts the authority and nobody else; None: that one refuses it."""
        context = ssl.create_default_context(cadata=authority)
        try:
            with context.wrap_socket(real.socket.create_connection(("127.0.0.1", self.port)), server_hostname="localhost") as sock:
                return ssl.DER_cert_to_PEM_cert(sock.getpeercert(True))
        except (ssl.SSLError, OSError):
            return None

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.process.wait(real.PATIENCE)


class Bed:
    """The API server with what is installed."""

    def __init__(self, api, kubectl, kubeconfig):
        self.api, self.kubectl_program, self.kubeconfig = api, kubectl, kubeconfig

    def kubectl(self, *args, text=None):
        return subprocess.run([self.kubectl_program, f"--kubeconfig={self.kubeconfig}", *args], input=text, check=False,
                              capture_output=True, text=True, timeout=real.PATIENCE)

    def apply(self, *paths):
        for path in paths:
            done = self.kubectl("apply", "-f", path)
            assert done.returncode == 0, done.stderr

    def create(self, obj, query=""):
        return self.api.ask(f"/api/v1/namespaces/default/pods{query}", "POST", obj)

    def made(self, obj):
        code, made = self.create(obj)
        assert code == 201, made
        return made

    def install(self, port):
        assert self.api.ask("/api/v1/namespaces", "POST", {"metadata": {"name": "podcred"}})[0] == 201
        self.apply(*(os.path.join(COMPONENTS, "objects", n + ".yaml") for n in ("podidentityassociations", "podidentityrolepolicies")),
                   os.path.join(COMPONENTS, "control/rbac.yaml"), os.path.join(COMPONENTS, "control/registration.yaml"))
        self.point(port)

    def point(self, port):
        """The webhook is at a port of this machine."""
        change = [{"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"url": f"https://localhost:{port}/mutate"}}]
        code, answer = self.api.ask(HOOK, "PATCH", change, kind="application/json-patch+json")
        assert code == 200, answer

    def bundles(self):
        hook = self.api.ask(HOOK)[1]["webhooks"][0]["clientConfig"].get("caBundle", "")
        service = self.api.ask(SERVICE)[1]["spec"].get("caBundle", "")
        return [base64.b64decode(b).decode() for b in (hook, service)]

    def secret(self):
        code, secret = self.api.ask(SECRET)
        return {k: base64.b64decode(v).decode() for k, v in secret["data"].items()} if code == 200 else {}

    def injects(self):
        """Whether a pod that is made now gets the variables; it is not made."""
        return URI in env_of(self.create(pod("try"), "?dryRun=All")[1])


def in_force(bed, replicas):
    """All trust what all serve, and it is what the Secret has."""
    secret = bed.secret()
    if not secret or any(b != secret["ca.crt"] for b in bed.bundles()):
        return False
    served = [r.certificate(secret["ca.crt"]) for r in replicas]
    return all(s and s.strip() == secret["tls.crt"].strip() for s in served)


# ---- pods ----


def injection(tap, bed):
    with tap.check("a pod of the service account gets the variables, and its token"):
        made = bed.made(pod("plain"))
        assert env_of(made) == [URI, FILE], made["spec"]
        assert made["metadata"]["labels"] == {"eks.amazonaws.com/pod-identity": "enabled"}, made["metadata"]
        volume = made["spec"]["volumes"][-1]
        assert volume["name"] == "eks-pod-identity-token" and volume["projected"]["sources"] == [
            {"serviceAccountToken": {"audience": "pods.eks.amazonaws.com", "expirationSeconds": 86400, "path": "eks-pod-identity-token"}}], volume
        mount = made["spec"]["containers"][0]["volumeMounts"][-1]
        assert mount["mountPath"] == FOLDER and mount["readOnly"], mount
    with tap.check("kubectl creates one with a name that is made up, and a sidecar stays one"):
        obj = pod("x", initContainers=[{"name": "side", "image": "pause", "restartPolicy": "Always", "env": [{"name": "A", "value": "1"}]}])
        obj["metadata"] = {"generateName": "web-"}
        done = bed.kubectl("create", "-f", "-", "-o", "json", text=json.dumps(obj))
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        side = made["spec"]["initContainers"][0]
        assert side["restartPolicy"] == "Always" and side["env"] == [{"name": "A", "value": "1"}, URI, FILE], side
    with tap.check("a pod of another service account does not"):
        assert not env_of(bed.made(pod("other", account="other")))
    with tap.check("nor one that does not want to, nor one for Windows, nor what is in kube-system"):
        unwilling = pod("unwilling")
        unwilling["metadata"]["labels"] = {"eks.amazonaws.com/skip-pod-identity-webhook": ""}
        assert not env_of(bed.made(unwilling))
        assert not env_of(bed.made(pod("windows", os={"name": "windows"})))
        code, made = bed.api.ask("/api/v1/namespaces/kube-system/pods", "POST", pod("system"))
        assert code == 201 and not env_of(made), made
    with tap.check("nor a single container that the pod names"):
        some = pod("some", containers=[{"name": "a", "image": "pause"}, {"name": "b", "image": "pause"}])
        some["metadata"]["annotations"] = {"eks.amazonaws.com/skip-containers": "a"}
        made = bed.made(some)
        assert not env_of(made) and env_of(made, number=1) == [URI, FILE], made["spec"]
    with tap.check("IRSA's variables are respected, and kubectl says so"):
        obj = pod("irsa", containers=[{"name": "c", "image": "pause", "env": [
            {"name": "AWS_ROLE_ARN", "value": "r"}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/t"}]}])
        done = bed.kubectl("create", "-f", "-", text=json.dumps(obj))
        assert done.returncode == 0 and "Warning: container c has IRSA's variables" in done.stderr, done.stderr
    with tap.check("that no policy allows the role is said, and no longer when one does"):
        done = bed.kubectl("create", "-f", "-", text=json.dumps(pod("denied")))
        assert done.returncode == 0 and "Warning: the association gives no credentials" in done.stderr, done.stderr
        code, answer = bed.api.ask("/apis/podcred.io/v1alpha1/podidentityrolepolicies", "POST", {
            "apiVersion": "podcred.io/v1alpha1", "kind": "PodIdentityRolePolicy", "metadata": {"name": "web"},
            "spec": {"namespaces": ["default"], "roleArns": ["arn:aws:iam::111122223333:role/web"]}})
        assert code == 201, answer
        real.wait_for("the policy is known", lambda: not bed.kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(pod("try"))).stderr)
    with tap.check("a pod that has been changed already is made as it is"):
        made = bed.made(pod("first"))
        again = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "second", "labels": made["metadata"]["labels"]}, "spec": made["spec"]}
        assert bed.made(again)["spec"]["containers"] == made["spec"]["containers"]


def some_pod(dice, number):
    """Often one that the API server takes, sometimes not."""
    def some(*values):
        return dice.choice(values)

    def some_env():
        return {"name": some("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", URI["name"], FILE["name"], "AWS_REGION", "X"),
                "value": some("", "x", URI["value"])}

    def some_mount():
        return {"name": "v", "mountPath": some("/v", FOLDER, FOLDER + "/", "/w")}

    def some_container(name):
        c = {"name": name, "image": "pause"}
        if dice.random() < .6:
            c["env"] = some(None, [], [some_env() for _ in range(dice.randrange(4))])
        if dice.random() < .6:
            c["volumeMounts"] = some(None, [], [some_mount() for _ in range(dice.randrange(3))])
        if dice.random() < .1:
            c["env"] = [{"name": some("", "1=", "X"), "valueFrom": some(None, {}, {"fieldRef": {"fieldPath": "metadata.name"}})}]
        if dice.random() < .05:
            c["volumeMounts"] = [{"name": "none", "mountPath": ""}]
        return c

    obj = pod(f"odd-{number}", containers=[some_container(n) for n in some(["a"], ["a", "b"], ["b", "a", "c"], ["a"], ["a", "a"], [""], [])])
    spec = obj["spec"]
    if dice.random() < .4:
        spec["initContainers"] = some(None, [some_container("i")])
    spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    if dice.random() < .3:
        spec["volumes"] = some(None, [], [{"name": "eks-pod-identity-token", "emptyDir": {}}],
                               [{"name": "eks-pod-identity-token"}, {"name": "v", "emptyDir": {}}])
    if dice.random() < .3:
        spec["hostNetwork"] = True
    if dice.random() < .3:
        obj["metadata"]["labels"] = some(None, {}, {"eks.amazonaws.com/pod-identity": "x"})
    if dice.random() < .3:
        obj["metadata"]["annotations"] = some(None, {}, {"eks.amazonaws.com/token-expiration": some("", "x", "600", "-1", "99999999999999999999")},
                                              {"kubernetes.io/config.mirror": "x"}, {"eks.amazonaws.com/skip-containers": ",,a"})
    return obj


def odd_pods(tap, bed):
    dice, codes = random.Random(18), {}
    with tap.check("of 200 odd pods each is taken or refused as it is without the webhook"):
        for number in range(200):
            obj = some_pod(dice, number)
            plain = json.loads(json.dumps(obj))
            plain["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), "eks.amazonaws.com/skip-pod-identity-webhook": ""}
            code, answer = bed.create(obj, "?dryRun=All")
            without, _ = bed.create(plain, "?dryRun=All")
            assert code == without, (code, without, json.dumps(obj), answer)
            codes[code] = codes.get(code, 0) + 1
        assert codes.get(201, 0) > 30 and len(codes) > 1 and not codes.get(500), codes


def nobody_waits_for_it(tap, bed, replica):
    with tap.check("a webhook that answers late does not keep a pod from being made, without the variables"):
        replica.process.send_signal(signal.SIGSTOP)
        assert not env_of(bed.made(pod("late")))
        replica.process.send_signal(signal.SIGCONT)
        real.wait_for("it answers again", bed.injects)
    with tap.check("nor one that is not there"):
        bed.point(real.free_port())
        assert not env_of(bed.made(pod("away")))
        bed.point(replica.port)
        real.wait_for("it answers again, with an authority that was written again", bed.injects)


# ---- certificates ----


def issue(name, issuer=None, begin=0, end=0, names=()):
    """begin, end: in days from now."""
    now = datetime.datetime.utcnow()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(now + begin * DAY)
            .not_valid_after(now + end * DAY).add_extension(x509.BasicConstraints(not issuer, None), True))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    return made.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(pair):
    return (pair[0].public_bytes(serialization.Encoding.PEM).decode(),
            pair[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode())


def plant(bed, authorities, server):
    data = {"ca.crt": "".join(pem(a)[0] for a in authorities), "ca.key": pem(authorities[0])[1], "tls.crt": pem(server)[0], "tls.key": pem(server)[1]}
    change = {"data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}
    code, answer = bed.api.ask(SECRET, "PATCH", change, kind="application/merge-patch+json")
    assert code == 200, answer
    return data


def certificates(tap, bed, replicas):
    names = ["localhost", "localhost.cluster.local"]
    with tap.check("what somebody overwrites comes back, in the registration and in the APIService"):
        before = bed.bundles()
        other = pem(issue("other", end=9))[0]
        value = base64.b64encode(other.encode()).decode()
        bed.api.ask(HOOK, "PATCH", [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": value}], kind="application/json-patch+json")
        bed.api.ask(SERVICE, "PATCH", {"spec": {"caBundle": value}}, kind="application/merge-patch+json")
        assert other in bed.bundles()
        real.wait_for("the authority is written again", lambda: bed.bundles() == before)
    with tap.check("an authority that ends soon: the next one is trusted first, and the old certificate stays"):
        old = issue("old", begin=-80, end=20)
        data = plant(bed, [old], issue("podcred", old, begin=-1, end=15, names=names))
        real.wait_for("two authorities", lambda: bed.secret()["ca.crt"].count("BEGIN") == 2)
        real.wait_for("all have it", lambda: in_force(bed, replicas))
        assert bed.secret()["tls.crt"] == data["tls.crt"] and data["ca.crt"] in bed.secret()["ca.crt"]
        real.wait_for("the API server accepts it", bed.injects)
    with tap.check("then there is a new certificate, by the new one, which clients of both accept"):
        new = issue("new", begin=-1, end=99)
        data = plant(bed, [new, old], issue("podcred", old, begin=-1, end=15, names=names))
        real.wait_for("a new certificate", lambda: bed.secret()["tls.crt"] != data["tls.crt"])
        real.wait_for("all have it", lambda: in_force(bed, replicas))
        assert all(r.certificate(pem(new)[0]) for r in replicas) and not any(r.certificate(pem(old)[0]) for r in replicas)
        assert bed.secret()["ca.crt"] == data["ca.crt"]
        real.wait_for("the API server accepts it", bed.injects)
    with tap.check("the old one goes last"):
        data = plant(bed, [new, old], issue("podcred", new, begin=-1, end=15, names=names))
        real.wait_for("one authority", lambda: bed.secret()["ca.crt"] == pem(new)[0])
        real.wait_for("all have it", lambda: in_force(bed, replicas))
        assert bed.secret()["tls.crt"] == data["tls.crt"]
        real.wait_for("the API server accepts it", bed.injects)
    with tap.check("a Secret that is gone is made again, and all agree on it"):
        assert bed.api.ask(SECRET, "DELETE")[0] == 200
        real.wait_for("a Secret", bed.secret)
        real.wait_for("all have it", lambda: in_force(bed, replicas))
        real.wait_for("the API server accepts it", bed.injects)


def rights(tap, bed):
    with tap.check("with these rights it has no more than it needs: no pods, no other Secret, no other registration"):
        for path in ("/api/v1/pods", "/api/v1/namespaces/podcred/secrets", "/api/v1/namespaces/podcred/secrets/other",
                     "/api/v1/namespaces/kube-system/secrets/podcred-control-certificates", "/api/v1/nodes",
                     "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
                     "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/other"):
            assert bed.api.ask(path, token=CONTROL)[0] == 403, path


def run(tap, program, server, admin, programs):
    kubeconfig = server.kubeconfig("one", real.ADMIN)
    bed = Bed(admin, os.path.join(programs, "kubectl"), kubeconfig)
    first, second = (Replica(program, server.folder, n, server.kubeconfig("one", CONTROL)) for n in ("first", "second"))
    replicas = [first, second]
    try:
        with tap.check("what deploy/ has is installed while two replicas start"):
            bed.install(first.port)
        with tap.check("both are ready, with one certificate of one authority, which all have been told"):
            real.wait_for("both are ready", lambda: first.ready() and second.ready())
            real.wait_for("all have it", lambda: in_force(bed, replicas))
        code, answer = admin.ask("/apis/podcred.io/v1alpha1/namespaces/default/podidentityassociations", "POST", {
            "apiVersion": "podcred.io/v1alpha1", "kind": "PodIdentityAssociation", "metadata": {"name": "web"},
            "spec": {"roleArn": "arn:aws:iam::111122223333:role/web"}})
        assert code == 201, answer
        with tap.check("an association counts for pods that are made after it"):
            real.wait_for("it is known", bed.injects)
        injection(tap, bed)
        odd_pods(tap, bed)
        rights(tap, bed)
        nobody_waits_for_it(tap, bed, first)
        certificates(tap, bed, replicas)
        with tap.check("it has counted, and ends when it is told to"):
            assert first.count("injected") > 10 and not first.count("failed"), first.probe("/metrics")[1]
            assert first.end() == 0 and second.end() == 0
    finally:
        for replica in replicas:
            if replica.process.poll() is None:
                replica.end()
        if tap.failed:
            print("".join(f"# {line}\n" for r in replicas for line in r.lines().splitlines()[-15:]), end="")


def main():
    tap = real.Tap()
    programs = real.find_programs()
    if not programs:
        print("ok 1 - the webhook of a real API server # SKIP none was built; make test-cluster builds one\n1..1")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="webhook-")
    server = None
    try:
        server = real.Real(folder, programs)
        with open(server.path("tokens.csv"), "a", encoding="ascii") as file:
            file.write(f"{CONTROL},system:serviceaccount:podcred:podcred-control,9\n")
        run(tap, sys.argv[1], server, server.start("one"), programs)
    finally:
        if server:
            server.close()
        shutil.rmtree(folder)
    tap.done()


if __name__ == "__main__":
    main()
