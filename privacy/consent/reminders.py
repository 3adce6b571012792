"""Reminding people, by mail and once, that a consent of theirs ends soon.

One letter tells of all that are due: whoever said yes to ten things at once gets no ten letters.
Only whom the purpose may use right now is written to: nobody erased, blocked, restricted, dead or
objecting, and nobody whose consent ended meanwhile. Nor is a child, of what a guardian decides for
them. Source: AEPD cookie guide (2024) s. 3.2.8; GDPR Art. 8(1).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date

from policies.decision import decide
from policies.register.model import Purpose
from policies.vocabulary import SaidBy
from privacy.actor import SYSTEM
from privacy.consent import lifecycle_store, store
from privacy.consent.model import ConsentEvent, State, StateUnreadable, purpose_rule
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
        decided, _ = purposes_by_basis(consents.register)
        self._reminding = [purpose for purpose in decided if purpose.reminder_days]

    def run_due(self) -> int:
        """Remind whoever is due, at most every `EVERY`; return how many were written to."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        return sum(self._remind_of(purpose) for purpose in self._reminding)

    def _remind_of(self, purpose: Purpose) -> int:
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
                for subject_id, _event_id, end in page:
                    sent += self._remind(uow, purpose, subject_id)
                    beyond = (end, subject_id)
                uow.commit()
            if len(page) < BATCH:
                return sent

    def _remind(self, uow: UnitOfWork, purpose: Purpose, subject_id: str) -> bool:
        """Write to one person, if it is still due once they are held, of all that is due by now."""
        if not self._subjects.hold(uow.session, subject_id):
            return False
        to = self._subjects.proved_email(uow.session, subject_id)
        try:
            states = store.states_of(uow.session, subject_id)
        except ValueError:  # the verification of the log reports it
            return False
        first = self._due(uow, subject_id, purpose, states.get(purpose.id))
        if first is None or to is None:
            return False
        others = [
            event
            for each in self._reminding
            if each is not purpose
            and (event := self._due(uow, subject_id, each, states.get(each.id))) is not None
        ]
        language = first.language
        self._postbox.send(
            uow,
            to=to,
            letter=LETTER,
            locale=language,
            values={
                "purpose": self._title(first, language),
                "until": self._day(first, language),
                "others": [
                    {"title": self._title(each, language), "until": self._day(each, language)}
                    for each in others
                ],
                "action_url": f"{self._base_url}/privacy#{purpose.id}",
            },
        )
        for event in (first, *others):
            lifecycle_store.note_reminded(uow.session, event.event_id, subject_id, uow.now)
        return True

    def _due(
        self, uow: UnitOfWork, subject_id: str, purpose: Purpose, state: State | None
    ) -> ConsentEvent | None:
        """Return the consent in force of which a held person is to be reminded by now, or None."""
        event = store.event_by_id(uow.session, state.event_id or "") if state else None
        if state is None or event is None or event.expires_at is None:
            return None
        is_soon = uow.now < event.expires_at <= uow.now + timedelta(days=purpose.reminder_days)
        if (
            not is_soon
            or event.said_by is SaidBy.GUARDIAN
            or lifecycle_store.was_reminded(uow.session, event.event_id)
        ):
            return None
        rule = purpose_rule(self._consents.register, purpose.id)
        try:
            sighting = self._consents.sighting(uow.session, subject_id, purpose.id, at=uow.now)
        except StateUnreadable:
            return None
        is_used = sighting.event_id == event.event_id
        return event if is_used and decide(rule, sighting.facts, uow.now).permit else None

    def _title(self, event: ConsentEvent, language: str) -> str:
        title = self._consents.register.purposes[event.purpose].title
        return title.get(language) or title["es"]

    def _day(self, event: ConsentEvent, language: str) -> str:
        assert event.expires_at is not None  # noqa: S101 - it is due
        end = event.expires_at.astimezone(self._zone)
        return format_date(end, "long", locale=locale_of(language))
