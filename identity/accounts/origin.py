"""Where somebody comes from who is known by an outside provider's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in or a registration began, if at an outside provider; `identity.sso` fills it.

    Attributes:
        identity_id: the linked identity; None while it is still to be linked.
        upstream_session: keyed digest of the provider's own session; None where it named none.
        arrival: names what is linked once the person is in; None where nothing is.
        authenticated_at: when the person proved themselves there, where the provider says so; its
            word is about that moment, which may be long ago.
    """

    identity_id: str | None
    upstream_session: str | None = None
    arrival: str | None = None
    authenticated_at: datetime | None = None
