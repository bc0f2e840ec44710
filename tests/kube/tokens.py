# SPDX-License-Identifier: Apache-2.0
"""What an API server does with tokens of service accounts: it makes them, judges them, and publishes its keys.

With python3-cryptography, which kubeapi.py needs for nothing else.
"""
import importlib.util
import os
import re
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ISSUER = "https://kubernetes.default.svc"
TOKEN = r"/api/v1/namespaces/([a-z0-9-]+)/serviceaccounts/([a-z0-9.-]+)/token"
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
DISCOVERY, JWKS = "/.well-known/openid-configuration", "/openid/v1/jwks"

spec = importlib.util.spec_from_file_location("podcred_fake_jwt", os.path.join(HERE, "../fake/aws/jwt.py"))
jwt = importlib.util.module_from_spec(spec)
spec.loader.exec_module(jwt)


class Tokens:
    def __init__(self, api, refused):
        self.api, self.refused = api, refused
        self.issuer = jwt.Issuer(ISSUER, kid="kubeapi-key-1")

    def rotate(self):
        """Another key signs, at once; the one before is gone."""
        number = int(self.issuer.kid.rpartition("-")[2]) + 1
        self.issuer = jwt.Issuer(ISSUER, kid=f"kubeapi-key-{number}")

    def make(self, namespace, account, pod, uid, audience, seconds):
        now = int(time.time())
        account_uid = self.api.store.get(("serviceaccounts", namespace, account))["metadata"]["uid"]
        return self.issuer.token({
            "aud": [audience], "exp": now + seconds, "iat": now, "nbf": now, "iss": ISSUER,
            "kubernetes.io": {"namespace": namespace, "pod": {"name": pod, "uid": uid},
                              "serviceaccount": {"name": account, "uid": account_uid}, **self.node_claim(namespace, pod)},
            "sub": f"system:serviceaccount:{namespace}:{account}"})

    def node_claim(self, namespace, pod):
        """Where the pod is, as Kubernetes says it from 1.30 on; a pod's node object may not be there yet."""
        name = self.api.store.get(("pods", namespace, pod))["spec"].get("nodeName")
        node = self.api.store.get(("nodes", "", name))
        if not self.api.node_claims or not name:
            return {}
        return {"node": {"name": name, **({"uid": node["metadata"]["uid"]} if node else {})}}

    # ---- requests: (status, object), or None when the path is another's ----

    def answer(self, method, path, body):
        match = re.fullmatch(TOKEN, path)
        if match and method == "POST":
            return self.on_token(*match.groups(), body)
        if path == REVIEW and method == "POST":
            return self.on_review(body)
        if path in (DISCOVERY, JWKS) and method == "GET":
            self.allowed("get jwks")
            return 200, self.issuer.jwks() if path == JWKS else {
                "issuer": ISSUER, "jwks_uri": self.api.url() + JWKS, "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}
        return None

    def allowed(self, what):
        if what in self.api.denied:
            raise self.refused(403, f'User "podcred" cannot {what}')

    def on_token(self, namespace, account, body):
        self.allowed("create serviceaccounts/token")
        wanted = body.get("spec", {})
        if body.get("kind") != "TokenRequest" or body.get("apiVersion") != "authentication.k8s.io/v1":
            raise self.refused(400, "the object in the body is of another kind")
        if not isinstance(wanted.get("expirationSeconds"), int) or wanted["expirationSeconds"] < 600:
            raise self.refused(422, "spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes")
        if self.api.store.get(("serviceaccounts", namespace, account)) is None:
            raise self.refused(404, f'serviceaccounts "{account}" not found')
        bound = wanted.get("boundObjectRef", {})
        pod = self.api.store.get(("pods", namespace, bound.get("name")))
        if bound.get("kind") != "Pod" or bound.get("apiVersion") != "v1" or pod is None:
            raise self.refused(404, f'pods "{bound.get("name")}" not found')
        if pod["metadata"]["uid"] != bound.get("uid"):
            raise self.refused(409, "the UID in the bound object reference does not match the UID in record")
        if pod["spec"]["serviceAccountName"] != account:
            raise self.refused(400, "cannot bind token for serviceaccount to pod running with different serviceaccount name")
        seconds = wanted["expirationSeconds"]
        token = self.make(namespace, account, bound["name"], bound["uid"], wanted["audiences"][0], seconds)
        return 201, dict(body, status={"token": token, "expirationTimestamp":
                                       time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))})

    def on_review(self, body):
        self.allowed("create tokenreviews")
        wanted = body.get("spec", {})
        try:
            claims = jwt.verify(wanted["token"], self.issuer.jwks())
        except (jwt.Bad, ValueError) as error:
            return 201, dict(body, status={"user": {}, "error": str(error)})
        audiences = [a for a in claims["aud"] if a in wanted.get("audiences", claims["aud"])]
        names = claims["kubernetes.io"]
        pod = self.api.store.get(("pods", names["namespace"], names["pod"]["name"]))
        if not audiences or claims["exp"] < time.time() or pod is None or pod["metadata"]["uid"] != names["pod"]["uid"]:
            return 201, dict(body, status={"user": {}, "error": "the token is not valid any more, or not for that audience"})
        return 201, dict(body, status={"authenticated": True, "audiences": audiences, "user": {
            "username": claims["sub"], "uid": names["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts", f'system:serviceaccounts:{names["namespace"]}', "system:authenticated"],
            "extra": {f"authentication.kubernetes.io/{what}-{key}": [names[what][key]]
                      for what in ("pod", "node") for key in names.get(what, {})}}})
