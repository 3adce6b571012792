"""Is this logout token our provider's, for us, of now, and a logout token at all?

Source: OpenID Connect Back-Channel Logout 1.0 s. 2.4, 2.6; OWASP ASVS 5.0 10.5.5.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from identity.sso import signed
from identity.sso.discovery import Discovery
from identity.sso.id_token import demand_subject
from identity.sso.model import (
    CLOCK_SKEW,
    LOGOUT_FRESH_FOR,
    Refusal,
    UpstreamLogout,
    UpstreamProvider,
    UpstreamRefused,
)
from identity.sso.outside import JsonObject

#: The specification recommends it and we demand it: no ID token can then be taken for one, nor one
#: for an ID token. Source: RFC 8725 s. 3.11.
TYPES: Final = frozenset({"logout+jwt"})
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
MAX_ID: Final = 255


def read(
    discovery: Discovery, provider: UpstreamProvider, token: str, *, now: datetime
) -> UpstreamLogout:
    """Return whose session ended; whether the token was seen before is not looked at here.

    Args:
        discovery: finds the provider's keys; never called in a transaction.
        provider: whose token it should be.
        token: the token.
        now: aware UTC.

    Raises:
        UpstreamRefused: the first check that fails.
    """
    claims, _ = signed.read(discovery, provider, token, types=TYPES)
    signed.demand_audience(provider, claims)
    issued = signed.number_of_seconds(claims.get("iat"))
    if issued is None:
        raise UpstreamRefused(Refusal.ISSUED_AT)
    age = timedelta(seconds=now.timestamp() - issued)
    if not -CLOCK_SKEW <= age <= LOGOUT_FRESH_FOR:
        raise UpstreamRefused(Refusal.ISSUED_AT)
    signed.demand_unexpired(claims, now, required=False)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise UpstreamRefused(Refusal.LOGOUT_EVENT)
    if "nonce" in claims:
        raise UpstreamRefused(Refusal.LOGOUT_NONCE)
    jti = name_in(claims, "jti")
    if jti is None:
        raise UpstreamRefused(Refusal.LOGOUT_JTI)
    sub, sid = claims.get("sub"), name_in(claims, "sid")
    if sub is None and sid is None:
        raise UpstreamRefused(Refusal.SUBJECT)
    return UpstreamLogout(
        provider=provider.id,
        issuer=str(claims["iss"]),
        sub=None if sub is None else demand_subject(sub),
        sid=sid,
        jti=jti,
    )


def name_in(claims: JsonObject, name: str) -> str | None:
    """Return a claim that names something, as `sid` and `jti` do; None where it is no such text."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        return None
    return value
