"""Proof Key for Code Exchange, S256 alone. Source: RFC 7636; RFC 9700 s. 2.1.1, 4.8.

Authlib's own extension lets a request without a challenge, and the method `plain`, pass the
authorization endpoint; these two functions take its place.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError

METHOD: Final = "S256"
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def challenge_of(parameters: Mapping[str, str], *, required: bool) -> str | None:
    """Return the challenge of an authorization request, or None where none is needed or sent.

    Raises:
        InvalidRequestError: it is missing and required, malformed, or not S256. A missing method
            means `plain` and is refused like it.
    """
    challenge = parameters.get("code_challenge")
    method = parameters.get("code_challenge_method")
    if challenge is None:
        if required or method is not None:
            raise InvalidRequestError("Missing 'code_challenge' (PKCE).")
        return None
    if method != METHOD:
        raise InvalidRequestError("The 'code_challenge_method' must be S256.")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequestError("The 'code_challenge' is not a SHA-256 in base64url.")
    return challenge


def check_verifier(challenge: str | None, verifier: str | None) -> None:
    """Let a token request pass whose verifier answers the challenge that came with the code.

    Raises:
        InvalidRequestError: there is a verifier and was no challenge (a downgrade), or the other
            way round, or it is malformed.
        InvalidGrantError: it does not answer the challenge.
    """
    if challenge is None:
        if verifier is not None:
            raise InvalidRequestError("A 'code_verifier' without a 'code_challenge'.")
        return
    if verifier is None:
        raise InvalidRequestError("Missing 'code_verifier'.")
    if not _VERIFIER.fullmatch(verifier):
        raise InvalidRequestError("Malformed 'code_verifier'.")
    answer = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest())
    if not hmac.compare_digest(answer.rstrip(b"="), challenge.encode("ascii")):
        raise InvalidGrantError("The 'code_verifier' does not match.")
