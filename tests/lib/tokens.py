#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keys of a cluster, and the tokens of service accounts that it would sign with them. All by openssl(1).

tokens.py key FILE [rsa|p256]            a private key
tokens.py jwks FILE...                   the key set of their public keys, as /openid/v1/jwks has it
tokens.py token FILE [PATCH] [HEADER]    a token. PATCH and HEADER, JSON, are laid over what it has: null deletes

A token is that of pod web in namespace shop, valid for an hour, unless PATCH says otherwise. As a module: the same.
"""
import base64
import hashlib
import hmac
import json
import re
import subprocess
import sys
import time

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "pods.eks.amazonaws.com"


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_key(file, kind="rsa"):
    options = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
               "rsa1024": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
               "p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}[kind]
    openssl("genpkey", "-algorithm", *options, "-out", file)


class Key:
    def __init__(self, file):
        self.file = file
        self.der = openssl("pkey", "-in", file, "-pubout", "-outform", "DER")
        self.kid = encode(hashlib.sha256(self.der).digest())  # as the API server names it
        text = openssl("pkey", "-in", file, "-noout", "-text").decode()
        self.alg = "RS256" if "modulus" in text else "ES256"
        self.exponent = int(re.search(r"publicExponent: (\d+)", text)[1]) if self.alg == "RS256" else 0

    def jwk(self):
        common = {"use": "sig", "kid": self.kid, "alg": self.alg}
        if self.alg == "ES256":
            return {**common, "kty": "EC", "crv": "P-256", "x": encode(self.der[-64:-32]), "y": encode(self.der[-32:])}
        modulus = openssl("rsa", "-in", self.file, "-noout", "-modulus").decode().strip().partition("=")[2]
        return {**common, "kty": "RSA", "n": encode(bytes.fromhex(modulus)),
                "e": encode(self.exponent.to_bytes((self.exponent.bit_length() + 7) // 8, "big"))}

    def sign(self, data):
        signature = openssl("dgst", "-sha256", "-sign", self.file, data=data)
        if self.alg == "RS256":
            return signature
        numbers, at = [], 2
        for _ in range(2):  # SEQUENCE of two INTEGERs
            size = signature[at + 1]
            numbers.append(int.from_bytes(signature[at + 2:at + 2 + size], "big").to_bytes(32, "big"))
            at += 2 + size
        return b"".join(numbers)


def jwks(files):
    return {"keys": [Key(file).jwk() for file in files]}


def patch(base, change):
    for key, value in change.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            patch(base[key], value)
        else:
            base[key] = value
    return base


def token(file, change=None, header=None):
    key, now = Key(file), int(time.time())
    head = patch({"alg": key.alg, "kid": key.kid}, header or {})
    claims = patch({
        "aud": [AUDIENCE], "exp": now + 3600, "iat": now, "nbf": now, "iss": ISSUER,
        "kubernetes.io": {"namespace": "shop", "pod": {"name": "web", "uid": ""},
                          "serviceaccount": {"name": "web", "uid": "0a1b"}},
        "sub": "system:serviceaccount:shop:web"}, change or {})
    text = ".".join(encode(json.dumps(x, separators=(",", ":")).encode()) for x in (head, claims))
    if head["alg"] == "HS256":  # with the public key, which is no secret
        signature = hmac.new(openssl("pkey", "-in", file, "-pubout"), text.encode(), hashlib.sha256).digest()
    else:
        signature = b"" if head["alg"] == "none" else key.sign(text.encode())
    return f"{text}.{encode(signature)}"


def main(command, *args):
    if command == "key":
        make_key(*args)
    elif command == "jwks":
        print(json.dumps(jwks(args)))
    else:
        print(token(args[0], *map(json.loads, args[1:])), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
