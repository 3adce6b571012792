"""Reading what people said: what holds now, what was said, what held at a past moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.decision import Facts
from policies.errors import NotFound
from policies.register.model import Register
from privacy.consent import past, store
from privacy.consent.model import (
    NOBODY,
    ConsentEvent,
    Shown,
    Sighting,
    State,
    StateUnreadable,
    is_id,
)
from privacy.subjects.store import current

COLLECT_PAGE = 1_000


class ConsentReading:
    """What people said about the purposes of this deployment's register, to be read."""

    def __init__(self, register: Register) -> None:
        self._register = register

    @property
    def register(self) -> Register:
        """The register in force."""
        return self._register

    def current(self, session: Session, subject_id: str) -> Mapping[str, State]:
        """Return the person's state for each purpose of the register, in its order."""
        said = store.states_of(session, subject_id)
        objected = {o.purpose: o.since for o in store.objections_of(session, subject_id)}
        return {
            purpose: replace(
                said.get(purpose, State(purpose=purpose)), objected_since=objected.get(purpose)
            )
            for purpose in self._register.purposes
        }

    @staticmethod
    def is_minor(session: Session, subject_id: str, at: datetime) -> bool:
        """Tell whether a parent or guardian must consent for the person, as far as we know."""
        return store.is_minor(session, subject_id, at)

    @staticmethod
    def history(session: Session, subject_id: str) -> list[ConsentEvent]:
        """Return everything the person said, oldest first."""
        events: list[ConsentEvent] = []
        wanted = store.EventFilter(subject_id=subject_id)
        while True:
            after = events[-1].ordinal if events else None
            page = store.select_events(session, wanted, after_ordinal=after, limit=COLLECT_PAGE)
            events += page
            if len(page) < COLLECT_PAGE:
                return events

    @staticmethod
    def event_by_id(session: Session, event_id: str) -> ConsentEvent | None:
        """Return the event of this id, whosesoever it is."""
        return store.event_by_id(session, event_id) if is_id(event_id) else None

    def event_of(self, session: Session, subject_id: str, event_id: str) -> ConsentEvent:
        """Return an event of this person.

        Raises:
            NotFound: there is none of that id, or it is somebody else's.
        """
        event = self.event_by_id(session, event_id)
        if event is None or current(session, event.subject_id) != subject_id:
            raise NotFound("there is no such consent event")
        return event

    @staticmethod
    def words_of(session: Session, event: ConsentEvent) -> Shown:
        """Return the exact words that the event is pinned to."""
        return store.shown_in(session, event.notice, event.notice_version, event.language)

    def facts(
        self,
        session: Session,
        subject_id: str,
        purpose_id: str,
        *,
        at: datetime,
        domain: str | None = None,
    ) -> Facts:
        """Return what a decision needs to know, in one indexed read.

        Args:
            session: one snapshot.
            subject_id: the person; with `domain`, the person's pseudonym there.
            purpose_id: the purpose.
            at: aware; the instant asked about, at which a minor may have come of age.
            domain: whose pseudonym names the person; None: the subject id itself does.

        Raises:
            StateUnreadable: the state could not be read whole; the caller denies.
        """
        return self.sighting(session, subject_id, purpose_id, at=at, domain=domain).facts

    @staticmethod
    def facts_at(
        session: Session,
        subject_id: str,
        unit: str,
        at: datetime,
        known_at: datetime | None = None,
    ) -> Facts:
        """Return what was known of a person and a unit at a past moment.

        Args:
            session: one snapshot.
            subject_id: any id of the person.
            unit: a purpose of the register of then.
            at: aware; the moment.
            known_at: aware; None: what was known at that very moment.

        Raises:
            StateUnreadable: the history could not be read whole.
        """
        return ConsentReading.sighting_at(session, subject_id, unit, at, known_at).facts

    @staticmethod
    def sighting_at(
        session: Session,
        subject_id: str,
        unit: str,
        at: datetime,
        known_at: datetime | None = None,
    ) -> Sighting:
        """As `facts_at`, with who it was then and the consent event behind it.

        Raises:
            StateUnreadable: the history could not be read whole.
        """
        try:
            return past.sighting_at(session, subject_id, unit, at, known_at)
        except (TypeError, ValueError, sa.exc.DBAPIError) as error:
            raise StateUnreadable(type(error).__name__) from error

    @staticmethod
    def sighting(
        session: Session, name: str, purpose_id: str, *, at: datetime, domain: str | None = None
    ) -> Sighting:
        """As `facts`, with whom it is about and the consent event behind it.

        Raises:
            StateUnreadable: the state could not be read whole; the caller denies.
        """
        try:
            if domain is None:
                found = store.sighting_of_subject(session, name, purpose_id, at)
            else:
                found = store.sighting_of_pseudonym(session, domain, name, purpose_id, at)
        except (TypeError, ValueError, sa.exc.DBAPIError) as error:
            raise StateUnreadable(type(error).__name__) from error
        return found or NOBODY
