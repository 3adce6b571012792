"""An ID token of ours that a client sends back to say whom it means.

It may have expired: it names a person and proves nothing else. A token that is signed by our keys and
is no ID token (an access token, a logout token) says so in `typ` and is refused.

Source: OIDC Core s. 3.1.2.1; RP-Initiated Logout 1.0 s. 2, 4; RFC 8725 s. 3.11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from authlib.oauth2.rfc6749.errors import InvalidRequestError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from privacy.keys.signing import ALGORITHM, KeyUse

MAX_LENGTH: Final = 4000


class InvalidHint(ValueError):
    """What came is not an ID token of ours; the message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What an ID token of ours says.

    Attributes:
        client_id: whom it was made for.
        sub: the person's pseudonym for that client.
        sid: the sign-in's name for that client; None where the token tells none.
    """

    client_id: str
    sub: str
    sid: str | None


def read(token: str, keys: Sequence[Mapping[str, Any]], *, issuer: str) -> Hint:
    """Return what an ID token of ours says.

    Args:
        token: in compact form.
        keys: the public JWKs that sign or signed our ID tokens.
        issuer: our base address.

    Raises:
        InvalidHint: it is none.
    """
    if len(token) > MAX_LENGTH or not token.isascii():
        raise InvalidHint("not an ID token")
    try:
        known = KeySet.import_key_set(cast("KeySetSerialization", {"keys": list(keys)}))
        found = jwt.decode(token, known, [ALGORITHM[KeyUse.OPENID]])
    except (JoseError, ValueError):
        raise InvalidHint("not signed by us") from None
    claims = found.claims
    client_id, sub, sid = claims.get("aud"), claims.get("sub"), claims.get("sid")
    if found.header.get("typ") != "JWT" or not isinstance(client_id, str):
        raise InvalidHint("not an ID token")
    if claims.get("iss") != issuer or not isinstance(sub, str):
        raise InvalidHint("not an ID token of this issuer")
    return Hint(client_id, sub, sid if isinstance(sid, str) else None)


def sub_of(hint: str, keys: Sequence[Mapping[str, Any]], *, issuer: str, client_id: str) -> str:
    """Return whom an ID token is about, as its client knows them.

    Args:
        hint: the token.
        keys: the public JWKs that sign or signed our ID tokens.
        issuer: our base address.
        client_id: the client that the token must be for.

    Raises:
        InvalidRequestError: it is not an ID token of ours for this client.
    """
    refusal = InvalidRequestError("The 'id_token_hint' is no ID token of ours for this client.")
    try:
        found = read(hint, keys, issuer=issuer)
    except InvalidHint:
        raise refusal from None
    if found.client_id != client_id:
        raise refusal
    return found.sub
