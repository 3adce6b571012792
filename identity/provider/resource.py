"""Which resource server an access token is for: the parameter `resource`. Source: RFC 8707."""

from __future__ import annotations

from authlib.oauth2.rfc6749.errors import OAuth2Error

from identity.provider.model import Client


def audience(asked: str | None, *, issuer: str, client: Client) -> str | None:
    """Return the audience that a request names; None: us, named or not.

    Raises:
        OAuth2Error: `invalid_target`, the client may not have tokens for it.
    """
    if asked is None or asked == issuer:
        return None
    if asked not in client.audiences:
        raise invalid_target()
    return asked


def granted_audience(
    asked: str | None, granted: str | None, *, issuer: str, client: Client
) -> str | None:
    """Return the audience of a token that comes of an earlier grant, which has exactly one.

    Args:
        asked: what the token request names; None: nothing, and it stays as granted.
        granted: what the authorization request was granted; None: us.
        issuer: our base address.
        client: who asks; what it may no longer have, it does not get by an old grant.

    Raises:
        OAuth2Error: `invalid_target`, it asks for another one. Source: RFC 8707 s. 2.2.
    """
    if granted is not None and granted not in client.audiences:
        raise invalid_target()
    if asked is not None and asked != (granted or issuer):
        raise invalid_target()
    return granted


def invalid_target() -> OAuth2Error:
    """Return the refusal of a resource. Source: RFC 8707 s. 2."""
    return OAuth2Error(error="invalid_target", description="Not for this resource.")
