"""A software authenticator: makes what a browser would send, right or wrong as a test wants it.

Written from the specification and from no relying party's code. Source: WebAuthn L3 s. 6.1, 6.5.
"""

import base64
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN = "http://localhost:8000"
RP_ID = "localhost"

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

#: COSE algorithm by name.
ALGORITHMS = {"ES256": -7, "EdDSA": -8, "RS256": -257}

_numbers = itertools.count(1)


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "===")


@dataclass
class Says:
    """What the authenticator and the browser say of a ceremony; the defaults are honest."""

    type: str | None = None
    origin: str = ORIGIN
    rp_id: str = RP_ID
    up: bool = True
    uv: bool = True
    be: bool = False
    bs: bool = False
    count: int | None = None
    challenge: bytes | None = None
    handle: bytes | None = None
    no_handle: bool = False
    client: dict[str, Any] = field(default_factory=dict)


@dataclass
class Authenticator:
    """One passkey, made by `create` and shown by `get`."""

    algorithm: str = "ES256"
    credential_id: bytes = b""
    handle: bytes = b""
    count: int = 0
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)
    rsa_bits: int = 2048
    key: Key | None = None

    def __post_init__(self) -> None:
        self.credential_id = self.credential_id or hashlib.sha256(b"%d" % next(_numbers)).digest()
        if self.algorithm == "ES256":
            self.key = ec.generate_private_key(self.curve)
        elif self.algorithm == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
        elif self.algorithm == "RS256":
            self.key = rsa.generate_private_key(65537, self.rsa_bits)

    def create(self, options: str, says: Says | None = None) -> str:
        """Answer `navigator.credentials.create`."""
        says, asked = says or Says(), json.loads(options)
        self.handle = unb64(asked["user"]["id"])
        client = _client(says, "webauthn.create", asked["challenge"])
        attested = (
            bytes(16)
            + len(self.credential_id).to_bytes(2, "big")
            + self.credential_id
            + cbor2.dumps(self.cose())
        )
        data = self._data(says, attested)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._json(
            clientDataJSON=client, attestationObject=attestation, transports=["internal", "hybrid"]
        )

    def get(self, options: str, says: Says | None = None) -> str:
        """Answer `navigator.credentials.get`."""
        says, asked = says or Says(), json.loads(options)
        client = _client(says, "webauthn.get", asked["challenge"])
        data = self._data(says, b"")
        signed = data + hashlib.sha256(client).digest()
        handle = None if says.no_handle else b64(says.handle or self.handle)
        return self._json(
            clientDataJSON=client,
            authenticatorData=data,
            signature=self._sign(signed),
            userHandle=handle,
        )

    def cose(self) -> dict[int, object]:
        """Return the public key. Source: RFC 9053 s. 7.1, RFC 8230 s. 4."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            point = self.key.public_key().public_numbers()
            size = (self.key.curve.key_size + 7) // 8
            curve = {"secp256r1": 1, "secp384r1": 2}[self.key.curve.name]
            x, y = (each.to_bytes(size, "big") for each in (point.x, point.y))
            return {1: 2, 3: -7, -1: curve, -2: x, -3: y}
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return {1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()}
        assert self.key is not None
        numbers = self.key.public_key().public_numbers()
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        return {1: 3, 3: -257, -1: modulus, -2: numbers.e.to_bytes(3, "big")}

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(data, ec.ECDSA(SHA256()))
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(data)
        assert self.key is not None
        return self.key.sign(data, padding.PKCS1v15(), SHA256())

    def _data(self, says: Says, attested: bytes) -> bytes:
        if says.count is None and self.count:
            self.count += 1
        count = self.count if says.count is None else says.count
        bits = ((says.up, 0), (says.uv, 2), (says.be, 3), (says.bs, 4), (bool(attested), 6))
        flags = sum(1 << bit for on, bit in bits if on)
        return (
            hashlib.sha256(says.rp_id.encode()).digest()
            + bytes([flags])
            + count.to_bytes(4, "big")
            + attested
        )

    def _json(self, **response: Any) -> str:
        written = {
            name: b64(value) if isinstance(value, bytes) else value
            for name, value in response.items()
        }
        own = b64(self.credential_id)
        return json.dumps({"id": own, "rawId": own, "type": "public-key", "response": written})


def _client(says: Says, kind: str, challenge: str) -> bytes:
    """Return clientDataJSON. Source: WebAuthn L3 s. 5.8.1."""
    data = {
        "type": says.type or kind,
        "challenge": challenge if says.challenge is None else b64(says.challenge),
        "origin": says.origin,
        "crossOrigin": False,
    }
    return json.dumps(data | says.client).encode()
