"""The cookies of people who go to an outside provider and come back.

They are not the session's: signing in begins that one anew, and these must outlive it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import request
from werkzeug.wrappers import Response

from identity.accounts.model import REGISTRATION_LIFETIME
from identity.sso.model import ATTEMPT_LIFETIME, COOKIE

#: Names who waits in this browser to be linked.
ARRIVAL: Final = "placet-arrival"
MAX_TOKEN: Final = 64


class Cookies:
    """Reads and writes them.

    Args:
        https: whether they may be `__Host-` ones.
    """

    def __init__(self, *, https: bool) -> None:
        self._https = https

    def away(self) -> str | None:
        """Return the browser's half of what it went to providers with, or None."""
        return request.cookies.get(self._name(COOKIE))

    def keep_away(self, response: Response, value: str) -> None:
        """Keep it while somebody may be away."""
        self._set(response, COOKIE, value, ATTEMPT_LIFETIME)

    def arrival(self) -> str:
        """Return the secret that names who waits in this browser; empty where nobody does."""
        secret = request.cookies.get(self._name(ARRIVAL), "")
        return secret if len(secret) <= MAX_TOKEN and secret.isascii() else ""

    def keep_arrival(self, response: Response, secret: str) -> None:
        """Keep it as long as a registration's mailed link may be used."""
        self._set(response, ARRIVAL, secret, REGISTRATION_LIFETIME)

    def forget_arrival(self, response: Response) -> None:
        """Delete it: nobody waits any more."""
        self._set(response, ARRIVAL, "", timedelta())

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self._https else name

    def _set(self, response: Response, name: str, value: str, lifetime: timedelta) -> None:
        response.set_cookie(
            self._name(name),
            value,
            max_age=lifetime,
            path="/",
            secure=self._https,
            httponly=True,
            samesite="Lax",
        )
