"""What an authorization request has led the person through already, in one signed parameter.

A request that cannot be answered yet leads away (to sign in, to prove more, to choose an account,
to agree) and comes back with the same parameters and one mark of ours beside them. Nothing is kept
on the server. A mark counts for ten minutes, for the very request it was made for, and:

- `LOGIN` and `STEP_UP` say when we asked this browser, no more. They are made before anything was
  proved; what answers is a proof of the session that is younger. In another browser, whose person
  may just have signed in for something else, they count for nothing.
- `SELECT`, `CONSENT` and `REFUSED` say what the person answered on a page of ours. They are made from
  the person's own form and count in that session and for that account alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from flask import Response, after_this_request, g, request
from itsdangerous import BadSignature, URLSafeSerializer

from identity.provider.authorization import Parameters, is_pushed
from privacy.actor import Actor
from privacy.clock import Clock
from privacy.http import current_actor
from privacy.ids import Ids, new_id

#: The parameter that carries the marks.
MARKER: Final = "placet_done"
#: Of the browser that is on its way, until it is closed.
COOKIE: Final = "placet-way"
#: How long a mark counts.
WINDOW: Final = timedelta(minutes=10)
#: What our own pages may add to an address; no part of the request.
_OURS: Final = frozenset({MARKER, "lang"})
_PUSHED: Final = frozenset({"client_id", "request_uri"})


class Detour(StrEnum):
    """Where a request led the person before it is answered, or what they said there."""

    LOGIN = "login"
    STEP_UP = "step-up"
    SELECT = "select"
    CONSENT = "consent"
    REFUSED = "refused"


#: Made before the person proved anything, and often in another session than the one that follows.
_ASKED: Final = frozenset({Detour.LOGIN, Detour.STEP_UP})


class Detours:
    """Makes and reads the marks.

    Args:
        key: signs them; for this use alone.
        clock: gives the present instant, aware UTC.
        browser: tells a browser from every other, whoever is signed in there.
        person: whose session the present request comes from.
    """

    def __init__(
        self,
        key: bytes,
        clock: Clock,
        browser: Callable[[], str],
        person: Callable[[], Actor] = current_actor,
    ) -> None:
        self._signer = URLSafeSerializer(
            key, salt="placet.authorize", signer_kwargs={"digest_method": hashlib.sha256}
        )
        self._clock = clock
        self._browser = browser
        self._person = person

    def away(self, parameters: Parameters, detour: Detour, now: datetime) -> dict[str, list[str]]:
        """Return the query to come back with: the request, with this mark beside those it has.

        Args:
            parameters: of the present address.
            detour: where the person goes, or what they answered there.
            now: aware UTC.
        """
        marks = {
            kind.value: [moment.isoformat(), self._whose(kind)]
            for kind, moment in self.done(parameters).items()
        }
        marks[detour.value] = [now.isoformat(), self._whose(detour)]
        request = own(parameters)
        return {**request, MARKER: [self._signer.dumps([_fingerprint(request), marks])]}

    def done(self, parameters: Parameters) -> Mapping[Detour, datetime]:
        """Return the marks that count for this request in this session, and when each was made."""
        try:
            fingerprint, marks = self._signer.loads("".join(parameters.get(MARKER, ())))
        except BadSignature:
            return {}
        if fingerprint != _fingerprint(own(parameters)):
            return {}
        now = self._clock()
        return {
            Detour(kind): moment
            for kind, (text, whose) in marks.items()
            if now - (moment := datetime.fromisoformat(text)) < WINDOW
            and whose == self._whose(Detour(kind))
        }

    def _whose(self, detour: Detour) -> str:
        """Return what binds a question to its browser, an answer to its session and account."""
        if detour in _ASKED:
            return hashlib.sha256(self._browser().encode()).hexdigest()[:32]
        person = self._person()
        session = person.session_family or person.session_id or ""
        return hashlib.sha256(f"{session}|{person.account_id}".encode()).hexdigest()[:32]


class WayCookie:
    """What tells a browser on its way from every other one: chance, in a cookie of its own.

    The session's own cookie begins anew where the person signs in.
    """

    def __init__(self, ids: Ids, *, https: bool) -> None:
        self._ids = ids
        self._https = https
        self._name = f"__Host-{COOKIE}" if https else COOKIE

    def __call__(self) -> str:
        """Return what the present browser has; one that has nothing gets it with this answer."""
        kept = request.cookies.get(self._name) or g.get("way_cookie")
        if kept:
            return str(kept)
        g.way_cookie = made = new_id(self._ids)
        after_this_request(lambda response: self._keep(response, made))
        return made

    def _keep(self, response: Response, value: str) -> Response:
        response.set_cookie(
            self._name, value, path="/", secure=self._https, httponly=True, samesite="Lax"
        )
        return response


def own(parameters: Parameters) -> dict[str, list[str]]:
    """Return the request as the client sent it; of a pushed one only what counts (RFC 9126 s. 4)."""
    pushed = is_pushed(parameters)
    return {
        name: list(values)
        for name, values in parameters.items()
        if (name in _PUSHED if pushed else name not in _OURS)
    }


def _fingerprint(request: Mapping[str, Sequence[str]]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
