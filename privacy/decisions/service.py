"""Answering questions. The one path from a request to `policies.decision.decide`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from policies.asking import may_ask
from policies.decision import Decision, PurposeRule, covered_categories, decide
from policies.errors import Forbidden
from policies.vocabulary import DecisionReason
from privacy.actor import Actor
from privacy.consent.model import NOBODY, Sighting, StateUnreadable, purpose_rule
from privacy.consent.service import Consents
from privacy.consent.sightings import sightings
from privacy.decisions.model import (
    APPLICATION,
    PERSON,
    Answer,
    Permitted,
    Question,
    Refused,
    Semantic,
    denied,
    evidence_id,
)
from privacy.decisions.past import Moment, decide_at
from privacy.decisions.uses import UseCounter
from privacy.pseudonyms.model import domain_of

_FOREIGN: Final = "an application asks for itself only"


class Decisions:
    """The authority that applications ask before they use a person's data."""

    def __init__(
        self, consents: Consents, uses: UseCounter, event_name: Callable[[str, str], str]
    ) -> None:
        """Wire the authority.

        Args:
            consents: what people said.
            uses: counts the answers.
            event_name: from a pseudonymisation domain and an event's id to its name there.
        """
        self._consents = consents
        self._event_name = event_name
        self._uses = uses
        self._register = consents.register
        self._rules = {each: purpose_rule(self._register, each) for each in self._register.purposes}

    @property
    def rules(self) -> Mapping[str, PurposeRule | None]:
        """What is decided by, unit by unit; None for one that is not in force."""
        return self._rules

    @property
    def revision(self) -> str:
        """Digest of the register in force."""
        return self._register.revision

    def event_name(self, domain: str, event_id: str) -> str:
        """Return an event's name in a pseudonymisation domain, 32 hexadecimal digits."""
        return self._event_name(domain, event_id)

    # ---- evaluation

    def evaluate(self, session: Session, actor: Actor, question: Question, now: datetime) -> Answer:
        """Decide, count the use, and write nothing.

        Args:
            session: a snapshot opened after the question arrived, so that no withdrawal answered
                before is missed.
            actor: the caller; the question's subject must be this application.
            question: what is asked.
            now: aware UTC.

        Raises:
            Forbidden: the question names another application.
        """
        unit = self.unit_of(actor, question)
        sighting: Sighting | StateUnreadable = NOBODY
        if not isinstance(unit, DecisionReason) and domain_of(question.resource_id) is not None:
            try:
                sighting = self._consents.sighting(
                    session, question.resource_id, unit, at=now, domain=actor.domain
                )
            except StateUnreadable as error:
                sighting = error
        answer = self.conclude(actor, question, unit, sighting, now)
        self._count(actor, now, (answer,))
        return answer

    def evaluate_many(
        self,
        session: Session,
        actor: Actor,
        questions: Sequence[Question | Refused],
        now: datetime,
        semantic: Semantic = Semantic.EXECUTE_ALL,
    ) -> list[Answer]:
        """As `evaluate` for each, all read in one statement; counts what is answered.

        Args:
            session: as there.
            actor: the caller.
            questions: what is asked; what could not be asked counts as a deny.
            now: aware UTC.
            semantic: where to stop.

        Returns:
            The answers in their order, up to and with the one that stops; one that names another
            application is refused.
        """
        units = [self._asked(actor, each) for each in questions]
        pairs = {
            (question.resource_id, unit)
            for question, unit in zip(questions, units, strict=True)
            if isinstance(question, Question)
            and isinstance(unit, str)
            and not isinstance(unit, DecisionReason)
            and domain_of(question.resource_id) is not None
        }
        found = sightings(session, actor.domain, sorted(pairs), now) if pairs else {}
        answers: list[Answer] = []
        for question, unit in zip(questions, units, strict=True):
            if isinstance(unit, Refused):
                answers.append(_refused(unit))
            elif isinstance(question, Question):
                sighting = found.get((question.resource_id, unit), NOBODY)
                answers.append(self.conclude(actor, question, unit, sighting, now))
            if semantic.stops_at(permit=answers[-1].decision.permit):
                break
        self._count(actor, now, answers)
        return answers

    @staticmethod
    def is_about_a_person(actor: Actor, question: Question) -> bool:
        """Tell whether a question is the caller's own and about a person's data."""
        return (
            question.subject_type == APPLICATION
            and question.subject_id == actor.client_id
            and question.resource_type == PERSON
        )

    def unit_of(self, actor: Actor, question: Question) -> str | DecisionReason:
        """Which unit a question is about, or why it is denied whoever the person is.

        Raises:
            Forbidden: the question names another application.
        """
        if question.subject_type != APPLICATION or question.resource_type != PERSON:
            return DecisionReason.UNKNOWN_TYPE
        if question.subject_id != actor.client_id:
            raise Forbidden(_FOREIGN, field="subject.id")
        units = self._register.units_of(question.action)
        if not units:
            return DecisionReason.UNKNOWN_PURPOSE
        if actor.purposes.isdisjoint(units):
            return DecisionReason.PURPOSE_NOT_OF_APPLICATION
        group = self._register.groups.get(question.action)
        if group is None:
            return units[0]
        option = question.option(group.consent_per)
        unit = f"{group.id}.{option}"
        if option is None or unit not in units:
            return DecisionReason.OPTION_NEEDED
        return unit if unit in actor.purposes else DecisionReason.PURPOSE_NOT_OF_APPLICATION

    def conclude(
        self,
        actor: Actor,
        question: Question,
        unit: str | DecisionReason,
        sighting: Sighting | StateUnreadable,
        now: datetime,
    ) -> Answer:
        """Answer a question from what was read; every path ends here. Counts nothing.

        Args:
            actor: the caller.
            question: what is asked.
            unit: as `unit_of` returned it.
            sighting: of that unit and whom the question names; the error where it was unreadable.
            now: aware UTC.
        """
        if isinstance(unit, DecisionReason):
            return self._deny(unit, now)
        if isinstance(sighting, StateUnreadable):
            return replace(self._deny(DecisionReason.STATE_UNREADABLE, now), unit=unit)
        rule = self._rules[unit]
        facts = sighting.facts
        decision = decide(rule, facts, now)
        may = not decision.permit and may_ask(decision.reasons, facts.consent, now)
        covered: tuple[str, ...] | None = None
        not_covered: tuple[str, ...] = ()
        if rule is not None and question.categories:
            covered = covered_categories(rule, question.categories)
            not_covered = tuple(
                each for each in dict.fromkeys(question.categories) if each not in covered
            )
            if not covered:
                decision, may = _also(decision, DecisionReason.CATEGORY_NOT_COVERED), False
        if unsupported := _unsupported(decision, question.supported_obligations):
            decision = denied(DecisionReason.OBLIGATION_NOT_SUPPORTED)
        event = sighting.event_id and self._event_name(actor.domain, sighting.event_id)
        return Answer(
            decision=decision,
            evidence_id=evidence_id(event, self._register.revision, now),
            subject_id=sighting.subject_id,
            unit=unit,
            covered=covered,
            not_covered=not_covered,
            unsupported=unsupported,
            may_ask=may,
        )

    # ---- search; `search.py` finds people

    def actions(
        self,
        session: Session,
        actor: Actor,
        pseudonym: str,
        now: datetime,
        *,
        asked: Question | None = None,
    ) -> list[Permitted]:
        """Return the units for which the application may use this person's data.

        In the register's order; each that is returned is counted.

        Args:
            session: a snapshot opened after the question arrived.
            actor: the caller.
            pseudonym: the caller's name for the person.
            now: aware UTC.
            asked: the categories wanted and the duties that the caller fulfils; None: not said.
        """
        units = [each for each in self._rules if each in actor.purposes]
        question = asked or Question(APPLICATION, actor.client_id or "", "", PERSON, pseudonym)
        pairs = [(pseudonym, each) for each in units] if domain_of(pseudonym) is not None else []
        found = sightings(session, actor.domain, pairs, now) if pairs else {}
        answers = [
            self.conclude(actor, question, unit, found.get((pseudonym, unit), NOBODY), now)
            for unit in units
        ]
        permitted = [each for each in answers if each.decision.permit]
        self._count(actor, now, permitted)
        return [Permitted(each.unit or "", each.decision.obligations) for each in permitted]

    # ---- for ourselves

    def decide_at(self, session: Session, subject_id: str, unit: str, at: datetime) -> Moment:
        """Return what was answered at a past moment; counts no use.

        Args:
            session: one snapshot.
            subject_id: any id of the person.
            unit: a purpose of the register of then.
            at: aware.
        """
        return decide_at(self._consents, session, subject_id, unit, at)

    def permits(self, session: Session, subject_id: str, purpose: str, at: datetime) -> bool:
        """Tell whether a purpose may use a person's data, for our own pages; counts no use.

        Args:
            session: one snapshot.
            subject_id: the person.
            purpose: id in the register; an unknown one is denied.
            at: aware.
        """
        rule = self._rules.get(purpose)
        try:
            facts = self._consents.facts(session, subject_id, purpose, at=at)
        except StateUnreadable:
            return False
        return decide(rule, facts, at).permit

    def _asked(self, actor: Actor, question: Question | Refused) -> str | DecisionReason | Refused:
        if isinstance(question, Refused):
            return question
        try:
            return self.unit_of(actor, question)
        except Forbidden as error:
            return Refused(403, error.detail)

    def _count(self, actor: Actor, now: datetime, answers: Iterable[Answer]) -> None:
        self._uses.count_many(
            actor.domain,
            now,
            (
                (each.subject_id, each.unit, each.decision.permit)
                for each in answers
                if each.subject_id is not None and each.unit is not None
            ),
        )

    def _deny(self, reason: DecisionReason, now: datetime) -> Answer:
        return Answer(
            decision=denied(reason),
            evidence_id=evidence_id(None, self._register.revision, now),
            subject_id=None,
        )


def _also(decision: Decision, reason: DecisionReason) -> Decision:
    """A deny, for one reason more where it was one already."""
    reasons = () if decision.permit else decision.reasons
    return Decision(permit=False, reasons=(*reasons, reason))


def _unsupported(decision: Decision, supported: frozenset[str] | None) -> tuple[str, ...]:
    """The types of a permit's duties that the caller does not fulfil; none where it did not say."""
    if supported is None:
        return ()
    needed = dict.fromkeys(each.type for each in decision.obligations)
    return tuple(each for each in needed if each not in supported)


def _refused(refused: Refused) -> Answer:
    return Answer(
        decision=Decision(permit=False, reasons=()),
        evidence_id="",
        subject_id=None,
        refused=refused,
    )
