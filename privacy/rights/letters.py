"""The letters of a rights request. Dates go into them in words of the reader's language."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime

from policies.register.model import Register
from policies.vocabulary import RightsState
from privacy.events import Json
from privacy.mail import Postbox
from privacy.rights.access import authority, text_in
from privacy.rights.erasure import kept
from privacy.rights.model import RightsRequest
from privacy.unit_of_work import UnitOfWork


class Letters:
    """Queues letters in the caller's transaction; without an address there is none."""

    def __init__(self, postbox: Postbox, register: Register, base_url: str) -> None:
        self._postbox = postbox
        self._register = register
        self._base_url = base_url
        self._zone = ZoneInfo(register.controller.time_zone)

    def verify(
        self, uow: UnitOfWork, request: RightsRequest, to: str, *, token: str, code: str
    ) -> None:
        """Ask whoever reads this address whether the request is theirs."""
        self._send(
            uow, request, to, "rights-verify", {"code": code, "action_url": self._link(token)}
        )

    def received(
        self, uow: UnitOfWork, request: RightsRequest, to: str | None, objected: str | None = None
    ) -> None:
        """Confirm the request: its reference, and until when it is answered or what was done.

        An objection to marketing tells of the exclusion systems. Source: LOPDGDD Art. 23.3.
        """
        purpose = self._register.purpose(objected or "")
        values: dict[str, Json] = {
            "action_url": f"{self._base_url}/rights",
            "purpose": text_in(purpose.title, request.language) if purpose else None,
            "marketing": purpose is not None and purpose.direct_marketing,
        }
        self._send(uow, request, to, "rights-received", values)

    def answered(
        self, uow: UnitOfWork, request: RightsRequest, to: str | None, *, text: str
    ) -> None:
        """Send the answer of staff; a refusal names the remedies. Source: GDPR Art. 12(4)."""
        name, url = authority(self._register.controller)
        values: dict[str, Json] = {
            "text": text,
            "refused": request.state is RightsState.REFUSED,
            "authority": name,
            "authority_url": url,
        }
        self._send(uow, request, to, "rights-answered", values)

    def erased(
        self, uow: UnitOfWork, request: RightsRequest, to: str | None, *, text: str = ""
    ) -> None:
        """Confirm an erasure, and say what is kept, why, and until when."""
        left: dict[str, Json] = {
            name.value: self._day(keep.until.astimezone(self._zone).date(), request.language)
            for name, keep in kept(uow.now).items()
        }
        self._send(uow, request, to, "rights-erased", {"text": text, "kept": left})

    def access_link(
        self, uow: UnitOfWork, request: RightsRequest, to: str, *, token: str, until: datetime
    ) -> None:
        """Send the person a link to their data."""
        words = format_datetime(until, "long", tzinfo=self._zone, locale=request.language)
        values: dict[str, Json] = {"action_url": self._link(token), "until": words}
        self._send(uow, request, to, "rights-access-link", values)

    def _send(
        self,
        uow: UnitOfWork,
        request: RightsRequest,
        to: str | None,
        letter: str,
        values: dict[str, Json],
    ) -> None:
        if to is None:
            return
        common: dict[str, Json] = {
            "reference": request.reference,
            "right": request.right.value,
            "state": request.state.value,
            "due": self._day(request.due.effective, request.language),
        }
        self._postbox.send(
            uow, to=to, letter=letter, locale=request.language, values=common | values
        )

    def _link(self, token: str) -> str:
        return f"{self._base_url}/rights/confirm/{token}"

    @staticmethod
    def _day(day: date, language: str) -> str:
        return format_date(day, "long", locale=language)
