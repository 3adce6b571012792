"""A client's public keys for `private_key_jwt`: which JWK sets are kept. Source: RFC 7517."""

from __future__ import annotations

import base64
import json
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

#: Characters of a set: ten RSA keys of 4096 bits fit, with their names.
MAX_JWKS_LENGTH: Final = 16_384
MAX_KEYS: Final = 10
#: Source: NIST SP 800-131A rev. 2 s. 3; beyond the greatest a check takes too long.
RSA_BITS: Final = (2048, 8192)
#: Of RSA, elliptic curves and octet key pairs. Source: RFC 7518 s. 6.2.2, 6.3.2, 6.4.1; RFC 8037.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_ALGORITHMS: Final = {
    "RSA": frozenset({"RS256", "PS256"}),
    "EC": frozenset({"ES256"}),
    "OKP": frozenset({"Ed25519", "EdDSA"}),
}
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}


def public_jwks(text: str) -> str:
    """Return the JWK set of a text in our own form: public keys that are strong enough.

    Raises:
        ValueError: it is none; says why, without a word of the keys themselves.
    """
    if len(text) > MAX_JWKS_LENGTH:
        raise ValueError(f"at most {MAX_JWKS_LENGTH} characters")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
        raise ValueError(f'a JWK set, {{"keys": [...]}}, with 1 to {MAX_KEYS} keys')
    public = [_public(each) for each in keys]
    names = [each.kid for each in public]
    if len(names) > 1 and (None in names or len(set(names)) < len(names)):
        raise ValueError("several keys need a kid each, all different")
    return json.dumps({"keys": [each.as_dict(private=False) for each in public]}, sort_keys=True)


def thumbprints(jwks: str) -> list[str]:
    """Return the names that RFC 7638 gives to the keys of a set which `public_jwks` made."""
    return [import_key(each).thumbprint() for each in json.loads(jwks)["keys"]]


def _public(jwk: object) -> Key:
    if not isinstance(jwk, dict):
        raise ValueError("each key is a JSON object")  # noqa: TRY004 - the one error of this file
    if _PRIVATE & jwk.keys():
        raise ValueError("public keys only: this set holds a private one, which is now burnt")
    if not all(isinstance(jwk.get(name, ""), str) for name in ("kty", "crv", "alg", "use", "kid")):
        raise ValueError("kty, crv, alg, use and kid are text")
    kind = jwk.get("kty")
    if kind not in _ALGORITHMS or jwk.get("crv") != _CURVES.get(str(kind)):
        raise ValueError("RSA, EC with P-256, or OKP with Ed25519")
    if jwk.get("alg", next(iter(_ALGORITHMS[kind]))) not in _ALGORITHMS[kind]:
        allowed = ", ".join(sorted(_ALGORITHMS[kind]))
        raise ValueError(f"alg of such a key is one of {allowed}")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("use is sig")
    least, most = RSA_BITS
    if kind == "RSA" and not least <= _bits(jwk.get("n")) <= most:
        raise ValueError(f"RSA of {least} to {most} bits")
    try:
        return import_key(jwk)
    except (JoseError, ValueError, TypeError):
        raise ValueError("a key that is none") from None


def _bits(modulus: object) -> int:
    if not isinstance(modulus, str):
        return 0
    try:
        return int.from_bytes(base64.urlsafe_b64decode(modulus + "==")).bit_length()
    except ValueError:
        return 0
