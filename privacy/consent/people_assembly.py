"""Wiring of who speaks for whom and who must not be written to, for the composition root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint

from policies.vocabulary import ConsentAction
from privacy.actor import SYSTEM
from privacy.consent import (
    double_opt_in_pages,
    guardian_desk,
    guardian_pages,
    marketing_pages,
    people_pages,
    representation_pages,
    signal_api,
    signal_pages,
)
from privacy.consent.applications import ApplicationConsents
from privacy.consent.attachments import Attachments
from privacy.consent.double_opt_in import DoubleOptIn
from privacy.consent.double_opt_in_letters import LETTERS_WITHIN
from privacy.consent.exclusions import Exclusions
from privacy.consent.guardian_model import INVITED_WITHIN
from privacy.consent.guardian_source import GuardianSource
from privacy.consent.guardians import Guardians
from privacy.consent.letter_limit import forget_letters
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.marketing import Marketing
from privacy.consent.people_facts import FactsSource
from privacy.consent.representation import DeskWords
from privacy.consent.service import Consents
from privacy.consent.signals import Signals
from privacy.consent.suppression import SuppressionSource
from privacy.keys.sealing import Sealer
from privacy.mail import Postbox
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class People:
    """Everything about who speaks for whom, and who must not be written to."""

    suppression: SuppressionSource
    exclusions: Exclusions
    attachments: Attachments
    guardians: Guardians
    guardianships: GuardianSource
    desk_words: DeskWords
    marketing: Marketing
    signals: Signals
    double_opt_in: DoubleOptIn

    @property
    def sources(
        self,
    ) -> tuple[SuppressionSource, Attachments, GuardianSource, Signals, FactsSource]:
        """What of it holds personal data."""
        return (
            self.suppression,
            self.attachments,
            self.guardianships,
            self.signals,
            FactsSource(),
        )


class Birthdays:
    """The worker's task: notes guardianships and invitations that the clock has ended.

    And forgets to which addresses letters went, once that counts no more.
    """

    def __init__(self, runtime: Runtime, guardians: Guardians) -> None:
        self._runtime = runtime
        self._guardians = guardians
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Do what is due, at most every `EVERY` unless more is left; return how much was done."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        with self._runtime.unit_of_work(SYSTEM) as uow:
            forget_letters(uow, max(INVITED_WITHIN, LETTERS_WITHIN))
        with self._runtime.unit_of_work(SYSTEM) as uow:
            done = self._guardians.note_birthdays(uow)
        if not done:
            self._next = now + EVERY
        return done


def assemble(
    *,
    runtime: Runtime,
    sealer: Sealer,
    subjects: Subjects,
    consents: Consents,
    postbox: Postbox,
    base_url: str,
) -> People:
    """Return the capabilities, wired."""
    attachments, lifecycle = Attachments(sealer, runtime.snapshot), Lifecycle(consents)
    guardians = Guardians(
        consents=consents,
        subjects=subjects,
        attachments=attachments,
        postbox=postbox,
        sealer=sealer,
        revoke=lambda uow, pairs, reason: lifecycle.end_these(
            uow, pairs, ConsentAction.INVALIDATED, reason
        ),
        base_url=base_url,
    )
    return People(
        suppression=SuppressionSource(consents.register),
        exclusions=Exclusions(runtime, subjects.identifiers),
        attachments=attachments,
        guardians=guardians,
        guardianships=GuardianSource(guardians.contact),
        desk_words=DeskWords(consents, attachments, guardians),
        marketing=Marketing(consents, subjects, postbox, base_url),
        signals=Signals(consents),
        double_opt_in=DoubleOptIn(consents, subjects, postbox, base_url),
    )


def blueprints(
    people: People,
    *,
    runtime: Runtime,
    subjects: Subjects,
    consents: Consents,
    applications: ApplicationConsents,
    postbox: Postbox,
    base_url: str,
) -> Sequence[Blueprint]:
    """Return the pages and routes."""
    desk = people_pages.PeopleDesk(runtime, subjects, people.attachments, people.guardians, postbox)
    return (
        people_pages.blueprint(desk),
        guardian_desk.blueprint(desk),
        representation_pages.blueprint(
            runtime, consents, subjects, people.desk_words, postbox, base_url
        ),
        guardian_pages.blueprint(guardian_pages.GuardianPages(runtime, consents, people.guardians)),
        marketing_pages.blueprint(runtime, consents, people.marketing),
        signal_pages.blueprint(runtime, consents, people.signals),
        signal_api.blueprint(runtime, applications, people.signals),
        double_opt_in_pages.blueprint(runtime, consents, people.double_opt_in),
    )
