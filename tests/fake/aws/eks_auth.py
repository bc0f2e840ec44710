# SPDX-License-Identifier: Apache-2.0
"""EKS Auth: AssumeRoleForPodIdentity."""
import json
import re
import urllib.parse
import uuid

import jwt
import shapes
import signature
import world as worlds
from refused import Refused

ACTION = "AssumeRoleForPodIdentity"
AUDIENCE = "pods.eks.amazonaws.com"


class EksAuth:
    name = "eks-auth"

    def __init__(self, world):
        self.world = world
        self.model = shapes.load("eks-auth/2023-11-26")
        self.verifier = signature.Verifier("eks-auth", world.region, "json")

    def answer(self, request, call):
        try:
            result = self.run(request, call)
            return 200, {}, ("application/json", json.dumps(result).encode())
        except Refused as refused:
            call["error"] = refused.code
            return refused.status, refused.headers, self.write_error(request, refused, call)

    def write_error(self, _request, refused, _call):
        refused.headers["x-amzn-ErrorType"] = refused.code + ":http://internal.amazon.com/coral/com.amazonaws.eks.auth/"
        return "application/json", json.dumps({"message": refused.message}).encode()

    def request_headers(self, call):
        return {"x-amzn-RequestId": call["id"]}

    def run(self, request, call):
        match = re.fullmatch(r"/clusters/([^/?]*)/assume-role-for-pod-identity", request.target)
        if request.method != "POST" or not match:
            raise Refused("UnknownOperationException", f"{request.method} {request.target[:60]} is no operation", 404)
        call["action"] = ACTION
        call["cluster"] = urllib.parse.unquote(match[1])
        caller = self.verifier.verify(request.signed(), self.world.now(), self.world.principals)
        call["caller"], call["accessKeyId"] = caller.arn, caller.key
        asked = self.parameters(request, call)
        return self.assume(caller, asked, call)

    def parameters(self, request, call):
        kind = (request.header("content-type") or "").partition(";")[0].strip()
        if kind not in ("application/json", "application/x-amz-json-1.1"):
            raise Refused("InvalidRequestException", f"Content-Type is '{kind[:60]}'")
        try:
            body = json.loads(request.body, object_pairs_hook=once)
        except ValueError as error:
            raise Refused("SerializationException", f"the body is no JSON object: {error}") from None
        if not isinstance(body, dict) or "clusterName" in body:
            raise Refused("SerializationException", "the body is no JSON object of members")
        token = body.get("token")
        call["parameters"] = dict(body, **({"token": worlds.digest(token)} if isinstance(token, str) else {}))
        checker = shapes.Checker()
        asked = dict(body, clusterName=call["cluster"])
        checker.check(self.model.operation_model(ACTION).input_shape, asked)
        checker.refuse("InvalidParameterException")
        return asked

    def assume(self, caller, asked, call):
        cluster = self.world.clusters.get(asked["clusterName"])
        if not self.world.may(caller, "eks-auth:" + ACTION):
            raise Refused("AccessDeniedException", f"User: {caller.arn} is not authorized to perform: eks-auth:{ACTION} on resource: "
                                                   f"{self.cluster_arn(asked['clusterName'])}")
        if cluster is None:
            raise Refused("ResourceNotFoundException", f"No cluster found for name: {asked['clusterName']}.", 404)
        claims = self.identity(asked["token"], cluster)
        pod = claims["kubernetes.io"]
        namespace, account = pod["namespace"], pod["serviceaccount"]["name"]
        call["subject"] = claims["sub"]
        association = cluster["associations"].get((namespace, account))
        if association is None:
            raise Refused("ResourceNotFoundException", f"No association found for namespace {namespace} and service account {account}", 404)
        tags = {} if association.get("disable_session_tags") else {
            "eks-cluster-arn": self.cluster_arn(asked["clusterName"]), "eks-cluster-name": asked["clusterName"],
            "kubernetes-namespace": namespace, "kubernetes-service-account": account,
            "kubernetes-pod-name": pod["pod"]["name"], "kubernetes-pod-uid": pod["pod"]["uid"]}
        name = f"eks-{asked['clusterName']}-{pod['pod']['name']}"[:64 - 37] + "-" + str(uuid.uuid4())
        return self.result(asked, association, name, tags, (namespace, account), call)

    def result(self, asked, association, name, tags, subject, call):
        arn, seconds = association["role"], 21600
        context = {"service": AUDIENCE, "tags": tags, "session_name": name}
        actions = ["sts:AssumeRole"] + (["sts:TagSession"] if tags else [])
        role = self.world.role(arn)
        if role is None or not all(self.world.trusts(role, action, context) for action in actions):
            raise Refused("AccessDeniedException", "Unauthorized Exception! EKS does not have permissions to assume the associated role.")
        if association.get("target_role"):
            arn, seconds = association["target_role"], 3540
        session = self.world.add_session(arn, name, self.world.seconds(seconds), tags=tags, transitive=set(tags))
        call.update(issued=session.key, expires=self.world.expiration_text(session), tags=tags, transitive=sorted(tags), roleArn=arn,
                    sessionName=name)
        expiration = int(session.expires) if self.world.expiration is None else self.world.expiration
        return {
            "subject": {"namespace": subject[0], "serviceAccount": subject[1]}, "audience": AUDIENCE,
            "podIdentityAssociation": {
                "associationArn": f"{self.cluster_arn(asked['clusterName']).replace(':cluster/', ':podidentityassociation/')}"
                                  f"/{association['id']}",
                "associationId": association["id"]},
            "assumedRoleUser": {"arn": session.arn, "assumeRoleId": session.id},
            "credentials": {"accessKeyId": session.key, "secretAccessKey": session.secret, "sessionToken": session.token,
                            "expiration": expiration}}

    def cluster_arn(self, name):
        return f"arn:{worlds.partition(self.world.region)}:eks:{self.world.region}:{self.world.account}:cluster/{name}"

    def identity(self, token, cluster):
        self.world.keep_secret(token)
        try:
            claims = jwt.verify(token, self.world.issuers[cluster["issuer"]]["jwks"])
            pod = claims["kubernetes.io"]
            complete = pod["pod"]["uid"] and pod["pod"]["name"] and pod["serviceaccount"]["name"] and pod["namespace"]
        except (jwt.Bad, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused("InvalidTokenException", f"The token provided cannot be verified: {error}") from None
        if not complete or claims.get("iss") != cluster["issuer"] or AUDIENCE not in worlds.as_list(claims.get("aud")):
            raise Refused("InvalidTokenException", "The issuer or the audience in the token is invalid")
        if claims.get("exp", 0) <= self.world.now():
            raise Refused("ExpiredTokenException", "The token included in the request is expired")
        return claims


def once(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a member is there twice")
    return dict(pairs)
