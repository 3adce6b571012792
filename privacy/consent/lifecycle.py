"""How consents end without the person's word: by the clock, and by the controller.

A decision denies an expired consent at its end, whether or not anything here has run: the worker
only writes afterwards what the clock did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy.orm import Session

from policies.consent_history import is_yes
from policies.errors import InvalidInput
from policies.vocabulary import ConsentAction, EventTag, RetentionClass, SaidBy
from privacy.batches import Batches
from privacy.consent import lifecycle_store, store
from privacy.consent.model import ConsentEvent, Ending, NothingToWithdraw, Shown, ending
from privacy.consent.recording_store import hold_many
from privacy.consent.service import Consents
from privacy.events import Event
from privacy.ids import new_id
from privacy.unit_of_work import Runtime, UnitOfWork

BATCH: Final = 500
EVERY: Final = timedelta(seconds=15)
MAX_REASON: Final = 500
#: No merge takes so long: one that was at work when an order was given is dated before it.
LONGEST: Final = timedelta(hours=1)
#: What the controller may do to a consent of somebody's.
BY_CONTROLLER: Final = (ConsentAction.REVOKED, ConsentAction.INVALIDATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingOrdered(Event):
    """The controller ordered that many consents end; which ones and why is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_ENDING_ORDERED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    ending_id: str


@dataclass(frozen=True, slots=True)
class Collection:
    """The consents that were given under one notice revision, or one collector's among them.

    Attributes:
        notice: id of the notice.
        version: of its revision.
        recorded_by: the name of the actor who recorded them; None: whoever did.
    """

    notice: str
    version: int
    recorded_by: str | None = None


class Lifecycle:
    """Ends consents."""

    def __init__(self, consents: Consents) -> None:
        self._consents = consents

    # ---- by the clock

    def note_expired(self, uow: UnitOfWork, limit: int = BATCH) -> int:
        """Append what the clock ended, commit, and return how much it was. A worker's use case.

        Each is dated at the end of its term. Whoever was quicker, another worker or the person,
        leaves nothing to do.
        """
        pairs = lifecycle_store.run_out(uow.session, uow.now, limit)
        how = Ending(ConsentAction.EXPIRED, SaidBy.CLOCK, uow.actor.name)
        done = self._end(uow, pairs, how)
        uow.commit()
        return done

    # ---- by the controller

    def end(
        self, uow: UnitOfWork, subject_id: str, purpose: str, action: ConsentAction, reason: str
    ) -> ConsentEvent:
        """End one person's consent, and commit.

        Args:
            uow: the DPO's.
            subject_id: the person.
            purpose: a unit.
            action: `REVOKED`: it ends; `INVALIDATED`: it was never valid.
            reason: for the evidence.

        Raises:
            InvalidInput: no reason is given, or a too long one.
            NotFound: there is no such person.
            NothingToWithdraw: no consent is in force.

        Source: GDPR Art. 5(2), 7; AEPD 3.2.9.
        """
        how = Ending(action, SaidBy.CONTROLLER, uow.actor.name, _read(reason))
        person = self._consents.hold(uow, subject_id)
        if not self._end(uow, [(person, purpose)], how):
            raise NothingToWithdraw("there is no consent in force to end", field="purpose")
        state = store.state_of(uow.session, person, purpose)
        event = store.event_by_id(uow.session, state.event_id or "")
        assert event is not None  # noqa: S101 - just appended
        uow.commit()
        return event

    def end_these(
        self,
        uow: UnitOfWork,
        pairs: Sequence[tuple[str, str]],
        action: ConsentAction,
        reason: str,
    ) -> int:
        """As `end`, for (person, unit) pairs in the caller's transaction; return how many ended.

        Raises:
            InvalidInput: no reason is given, or a too long one.
        """
        how = Ending(action, SaidBy.CONTROLLER, uow.actor.name, _read(reason))
        return self._end(uow, pairs, how)

    @staticmethod
    def count(session: Session, of: Collection, now: datetime) -> tuple[int, int]:
        """Return how many (people, consents in force) a collection is by now."""
        return lifecycle_store.count_given_under(
            session, of.notice, of.version, of.recorded_by, now
        )

    @staticmethod
    def order(uow: UnitOfWork, of: Collection, action: ConsentAction, reason: str) -> str:
        """Order that all consents of a collection end, commit, and return the order's id.

        The worker ends them in batches; what is given after the order is not touched.

        Raises:
            InvalidInput: no reason is given, or a too long one.
            NothingToWithdraw: no consent of it is in force.
        """
        why = _read(reason)
        people, consents = Lifecycle.count(uow.session, of, uow.now)
        if not people:
            raise NothingToWithdraw("there is no consent in force to end", field="notice")
        ending_id = new_id(uow.ids)
        uow.record(
            EndingOrdered(ending_id=ending_id),
            {
                "action": action.value,
                "notice": of.notice,
                "notice_version": of.version,
                "recorded_by": of.recorded_by,
                "reason": why,
                "people": people,
                "consents": consents,
            },
        )
        uow.session.add(
            lifecycle_store.EndingRow(
                ending_id=ending_id,
                action=action.value,
                notice=of.notice,
                version=of.version,
                recorded_by=of.recorded_by,
                reason=why,
                ordered_by=uow.actor.name,
                given_until=uow.now,
                people=people,
                consents=consents,
            )
        )
        uow.commit()
        return ending_id

    def carry_out(self, uow: UnitOfWork, limit: int = BATCH) -> int:
        """Go through the next batch of consents for the oldest order, and commit. A worker's.

        Each consent in force is looked at once, in one order, and the order remembers where it is.
        What a merge brought behind that place meanwhile is looked at in the end.

        Args:
            uow: the worker's.
            limit: at most so many consents are looked at.

        Returns:
            How many were looked at.
        """
        row = lifecycle_store.unfinished(uow.session)
        if row is None:
            return 0
        after = (row.after_subject, row.after_purpose or "") if row.after_subject else None
        page = lifecycle_store.in_force_after(uow.session, after, limit)
        events = [event_id for _, _, event_id in page if event_id]
        pairs = lifecycle_store.given_under(uow.session, row, events)
        how = Ending(ConsentAction(row.action), SaidBy.CONTROLLER, row.ordered_by, row.reason)
        row.done += self._end(uow, pairs, how)
        if len(page) == limit:
            row.after_subject, row.after_purpose, _ = page[-1]
        else:  # after the last page's people are held: a merge of one of them has ended by now
            merged = lifecycle_store.in_force_of_merged(uow.session, row.given_until - LONGEST)
            left = lifecycle_store.given_under(uow.session, row, merged)
            row.done += self._end(uow, left, how)
            row.finished_at = uow.now
        uow.commit()
        return len(page)

    # ---- inside

    def _end(self, uow: UnitOfWork, pairs: Sequence[tuple[str, str]], how: Ending) -> int:
        """End those of the consents that are in force still once their people are held."""
        if not pairs:
            return 0
        held = hold_many(uow.session, {subject_id for subject_id, _ in pairs})
        stood = store.standings(uow.session, [pair for pair in pairs if pair[0] in held])
        said: list[tuple[ConsentEvent, Shown]] = []
        wanted = frozenset(pairs)
        for (subject_id, purpose), word in sorted(stood.items()):
            end, now = word.fact.expires_at, uow.now
            has_ended = end is not None and end <= now
            due = has_ended if how.said_by is SaidBy.CLOCK else True
            if (subject_id, purpose) not in wanted or not is_yes(word.fact.action) or not due:
                continue
            given = store.event_by_id(uow.session, word.event_id)
            if given is None:  # the verification of the log reports it
                continue
            event = ending(
                given,
                how,
                event_id=new_id(uow.ids),
                subject_id=subject_id,
                now=now,
                register_revision=self._consents.register.revision,
            )
            said.append((event, self._consents.words_of(uow.session, given)))
        return len(self._consents.recording.append_many(uow, said))


class Housekeeping(Batches):
    """A task of the worker's: ends what has run out, and what was ordered to end."""

    def __init__(self, runtime: Runtime, lifecycle: Lifecycle) -> None:
        super().__init__(runtime, EVERY, lifecycle.note_expired, lifecycle.carry_out)


def _read(reason: str) -> str:
    """The reason as it is kept.

    Raises:
        InvalidInput: it is empty or too long.
    """
    text = reason.strip()
    if not 0 < len(text) <= MAX_REASON:
        raise InvalidInput(f"a reason of at most {MAX_REASON} characters", field="reason")
    return text
