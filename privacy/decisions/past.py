"""What was answered at a past moment: the decision as it was then, and the words she had seen.

Computed from the history with the rules of the register that was in force then, so it is the
answer that was given. It is no record of a question: none is kept (`uses`).
Source: GDPR Art. 5(2), 7(1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from policies.decision import Decision, Facts, decide
from policies.vocabulary import DecisionReason
from privacy.clock import rfc3339
from privacy.consent.announcements import MomentLookedUp
from privacy.consent.model import NOBODY, ConsentEvent, Shown, Sighting, StateUnreadable
from privacy.consent.register_log import rules_at
from privacy.consent.service import Consents
from privacy.decisions.model import denied, evidence_id
from privacy.events import Json
from privacy.pseudonyms.model import domain_of
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

#: Stands in an evidence id where no register was in force yet, or its rules were not kept.
NO_REVISION = "-"


@dataclass(frozen=True, slots=True)
class Moment:
    """A decision at a past moment and what it was made from.

    Attributes:
        subject_id: who the person was then; None where nobody was known.
        unit: the purpose.
        at: aware.
        decision: as it was answered then.
        facts: what was known then.
        register_revision: digest of the register in force then; None before the first.
        evidence_id: `<event>:<register revision>:<time>`, the event under its own id.
        event: the consent event behind it, or None.
        shown: the exact words of that event, or None.
        history: what had been recorded about the purpose by then, oldest first.
    """

    subject_id: str | None
    unit: str
    at: datetime
    decision: Decision
    facts: Facts
    register_revision: str | None
    evidence_id: str
    event: ConsentEvent | None
    shown: Shown | None
    history: tuple[ConsentEvent, ...]


def decide_at(
    consents: Consents, session: Session, subject_id: str, unit: str, at: datetime
) -> Moment:
    """Return what was answered about a person and a purpose at a past moment.

    Args:
        consents: what people said.
        session: one snapshot.
        subject_id: any id of the person.
        unit: a purpose of the register of then.
        at: aware; not in the future, of which nothing is known.
    """
    sighting, decision, revision = NOBODY, None, None
    try:
        kept = rules_at(session, at)
        revision, rules = kept or (None, {})
        sighting = consents.sighting_at(session, subject_id, unit, at)
        decision = decide(rules.get(unit), sighting.facts, at)
    except (StateUnreadable, ValueError):
        decision = denied(DecisionReason.STATE_UNREADABLE)
    event = _event(consents, session, sighting)
    history = consents.history(session, sighting.subject_id) if sighting.subject_id else []
    return Moment(
        subject_id=sighting.subject_id,
        unit=unit,
        at=at,
        decision=decision,
        facts=sighting.facts,
        register_revision=revision,
        evidence_id=evidence_id(event.event_id if event else None, revision or NO_REVISION, at),
        event=event,
        shown=consents.words_of(session, event) if event else None,
        history=tuple(
            each for each in history if each.purpose == unit and (each.recorded_at or each.at) <= at
        ),
    )


def _event(consents: Consents, session: Session, sighting: Sighting) -> ConsentEvent | None:
    return consents.event_by_id(session, sighting.event_id) if sighting.event_id else None


class PastDecisions:
    """Past moments for the desk and the command line: finds the person, and records the look-up."""

    def __init__(self, consents: Consents, subjects: Subjects, pseudonyms: Pseudonyms) -> None:
        self._consents = consents
        self._subjects = subjects
        self._pseudonyms = pseudonyms

    def look_up(self, uow: UnitOfWork, person: str, unit: str, at: datetime) -> Moment | None:
        """Return the moment of whom an address or a pseudonym finds, and commit the look-up.

        Args:
            uow: of the desk's; the look-up stands in the log, and who looked.
            person: an e-mail address, or a pseudonym of any application.
            unit: the purpose.
            at: aware.

        Returns:
            None where nobody is found; that somebody looked is recorded all the same, without
            whom they looked for.

        Raises:
            InvalidInput: it is neither a pseudonym nor an address.
        """
        subject_id = self._find(uow, person.strip())
        evidence: dict[str, Json] = {"purpose": unit, "moment": rfc3339(at)}
        if subject_id is None:
            uow.record(MomentLookedUp(), evidence | {"found": False})
            uow.commit()
            return None
        uow.record(MomentLookedUp(subject_id=subject_id), evidence)
        moment = decide_at(self._consents, uow.session, subject_id, unit, at)
        uow.commit()
        return moment

    def _find(self, uow: UnitOfWork, person: str) -> str | None:
        if domain_of(person) is not None:
            return self._pseudonyms.issued_for(uow.session, person)
        return self._subjects.find_by_email(uow.session, person, field="person")
