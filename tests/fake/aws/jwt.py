# SPDX-License-Identifier: Apache-2.0
"""A service account token, verified by the keys of its issuer."""
import base64
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}


class Bad(Exception):
    """Not a token, or not from this issuer."""


def decode(text):
    if not text or set(text) & set("=+/"):
        raise Bad("not base64url without padding")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise Bad(str(error)) from None


def number(text):
    return int.from_bytes(decode(text), "big")


def public_key(jwk):
    if jwk["kty"] == "RSA":
        return rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
    return ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), CURVES[jwk["crv"]]()).public_key()


def claims_of(token):
    """Not verified."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Bad("not three parts")
    try:
        return json.loads(decode(parts[1]))
    except ValueError as error:
        raise Bad(str(error)) from None


def verify(token, jwks):
    """The claims of a token that a key of jwks has signed. Time and audience are for the caller."""
    head, body, signature = token.split(".")
    header = json.loads(decode(head))
    algorithm = header.get("alg", "")
    keys = [key for key in jwks["keys"] if key.get("kid") == header.get("kid") and key.get("alg", algorithm) == algorithm]
    if algorithm[:2] not in ("RS", "ES") or algorithm[2:] not in HASHES or len(keys) != 1:
        raise Bad(f"no key {header.get('kid')} for {algorithm}")
    key, signed, hashed = public_key(keys[0]), f"{head}.{body}".encode(), HASHES[algorithm[2:]]()
    try:
        if algorithm.startswith("RS"):
            key.verify(decode(signature), signed, padding.PKCS1v15(), hashed)
        else:
            raw = decode(signature)
            half = (key.curve.key_size + 7) // 8
            if len(raw) != 2 * half:
                raise Bad("the signature has another length")
            der = utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
            key.verify(der, signed, ec.ECDSA(hashed))
    except (InvalidSignature, AttributeError):
        raise Bad("the signature is wrong") from None
    return claims_of(token)


# ---- an issuer of one's own ----


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """Makes tokens as the API server does."""

    def __init__(self, url, kid="fake-key-1"):
        self.url, self.kid = url, kid
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self):
        numbers = self.key.public_key().public_numbers()
        return {"keys": [{"use": "sig", "kty": "RSA", "kid": self.kid, "alg": "RS256", "n": encode(numbers.n.to_bytes(256, "big")),
                          "e": encode(numbers.e.to_bytes(3, "big"))}]}

    def token(self, claims):
        header = {"alg": "RS256", "kid": self.kid}
        signed = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
        return signed + "." + encode(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))
