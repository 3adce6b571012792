"""Reminding people, by mail and once, that a consent of theirs ends soon.

Only whom the purpose may use right now is written to: nobody erased, blocked, restricted, dead or
objecting, and nobody whose consent ended meanwhile. Nor is a child, of what a guardian decides for
them. Source: AEPD cookie guide (2024) s. 3.2.8; GDPR Art. 8(1).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date

from policies.decision import PurposeRule, decide
from policies.register.model import Purpose
from policies.vocabulary import SaidBy
from privacy.actor import SYSTEM
from privacy.consent import lifecycle_store, store
from privacy.consent.model import StateUnreadable, purpose_rule
from privacy.consent.recording_store import hold_many
from privacy.consent.service import Consents, purposes_by_basis
from privacy.languages import locale_of
from privacy.mail import Postbox
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime, UnitOfWork

BATCH: Final = 200
EVERY: Final = timedelta(hours=1)
LETTER: Final = "consent-ends-soon"


class Reminders:
    """A task of the worker's: the reminders that are due.

    Args:
        runtime: the two doors.
        consents: what people said.
        subjects: where they can be written to.
        postbox: takes the letters.
        base_url: of this deployment.
    """

    def __init__(
        self,
        runtime: Runtime,
        consents: Consents,
        subjects: Subjects,
        postbox: Postbox,
        base_url: str,
    ) -> None:
        self._runtime = runtime
        self._consents = consents
        self._subjects = subjects
        self._postbox = postbox
        self._base_url = base_url
        self._zone = ZoneInfo(consents.register.controller.time_zone)
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Remind whoever is due, at most every `EVERY`; return how many were written to."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        decided, _ = purposes_by_basis(self._consents.register)
        return sum(self._remind_of(purpose) for purpose in decided if purpose.reminder_days)

    def _remind_of(self, purpose: Purpose) -> int:
        rule = purpose_rule(self._consents.register, purpose.id)
        beyond: tuple[datetime, str] | None = None
        sent = 0
        while True:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                page = lifecycle_store.ending_soon(
                    uow.session,
                    purpose.id,
                    after=uow.now,
                    until=uow.now + timedelta(days=purpose.reminder_days),
                    beyond=beyond,
                    limit=BATCH,
                )
                hold_many(uow.session, {subject_id for subject_id, _, _ in page})  # in one order
                for subject_id, event_id, end in page:
                    sent += self._remind(uow, purpose, rule, subject_id, event_id)
                    beyond = (end, subject_id)
                uow.commit()
            if len(page) < BATCH:
                return sent

    def _remind(
        self,
        uow: UnitOfWork,
        purpose: Purpose,
        rule: PurposeRule | None,
        subject_id: str,
        event_id: str,
    ) -> bool:
        """Write to one person, if it is still due once they are held."""
        held = self._subjects.hold(uow.session, subject_id)
        if not held or lifecycle_store.was_reminded(uow.session, event_id):
            return False
        try:
            sighting = self._consents.sighting(uow.session, subject_id, purpose.id, at=uow.now)
        except StateUnreadable:
            return False
        event = store.event_by_id(uow.session, event_id)
        to = self._subjects.proved_email(uow.session, subject_id)
        if (
            event is None
            or event.expires_at is None
            or event.said_by is SaidBy.GUARDIAN
            or sighting.event_id != event_id
            or to is None
            or not decide(rule, sighting.facts, uow.now).permit
        ):
            return False
        language = event.language
        day = format_date(
            event.expires_at.astimezone(self._zone), "long", locale=locale_of(language)
        )
        self._postbox.send(
            uow,
            to=to,
            letter=LETTER,
            locale=language,
            values={
                "purpose": purpose.title.get(language) or purpose.title["es"],
                "until": day,
                "action_url": f"{self._base_url}/privacy#{purpose.id}",
            },
        )
        lifecycle_store.note_reminded(uow.session, event_id, subject_id, uow.now)
        return True
