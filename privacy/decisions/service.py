"""Answering one question. The one path from a request to `policies.decision.decide`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from policies.decision import decide
from policies.errors import Forbidden
from policies.vocabulary import DecisionReason
from privacy.actor import Actor
from privacy.consent.model import NOBODY, StateUnreadable, purpose_rule
from privacy.consent.service import Consents
from privacy.decisions.model import (
    APPLICATION,
    PERSON,
    Answer,
    Question,
    denied,
    evidence_id,
)
from privacy.decisions.uses import UseCounter
from privacy.pseudonyms.model import domain_of


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
        register = consents.register
        self._revision = register.revision
        self._rules = {each: purpose_rule(register, each) for each in register.purposes}

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
        if question.subject_type != APPLICATION or question.resource_type != PERSON:
            return self._deny(DecisionReason.UNKNOWN_TYPE, now)
        if question.subject_id != actor.client_id:
            raise Forbidden("an application asks for itself only", field="subject.id")
        if question.action not in self._rules:
            return self._deny(DecisionReason.UNKNOWN_PURPOSE, now)
        if question.action not in actor.purposes:
            return self._deny(DecisionReason.PURPOSE_NOT_OF_APPLICATION, now)
        try:
            sighting = NOBODY
            if domain_of(question.resource_id) is not None:
                sighting = self._consents.sighting(
                    session, question.resource_id, question.action, at=now, domain=actor.domain
                )
        except StateUnreadable:
            return self._deny(DecisionReason.STATE_UNREADABLE, now)
        decision = decide(self._rules[question.action], sighting.facts, now)
        if sighting.subject_id is not None:
            self._uses.count(
                sighting.subject_id, actor.domain, question.action, now, permit=decision.permit
            )
        event = sighting.event_id and self._event_name(actor.domain, sighting.event_id)
        return Answer(
            decision=decision,
            evidence_id=evidence_id(event, self._revision, now),
            subject_id=sighting.subject_id,
        )

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

    def _deny(self, reason: DecisionReason, now: datetime) -> Answer:
        return Answer(
            decision=denied(reason),
            evidence_id=evidence_id(None, self._revision, now),
            subject_id=None,
        )
