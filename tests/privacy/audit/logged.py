"""Events for tests of the log on a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from policies.vocabulary import EventTag, RetentionClass
from privacy.actor import SYSTEM
from privacy.audit.sequencer import Sequencer
from privacy.events import Event
from tests.support.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(Event):
    """Stands for whatever happens to a person."""

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SIGN_IN_SUCCEEDED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """Stands for what names a purpose and a register revision."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CODE_ISSUED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    purpose: str
    register_revision: str


PEOPLE = ("a" * 32, "b" * 32, "c" * 32)


def record(world: World, count: int, *, people: tuple[str, ...] = PEOPLE) -> list[str]:
    """Record `count` mixed events in one transaction and return their entry ids in order."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        entry_ids = []
        for number in range(count):
            person = people[number % len(people)]
            if number % 2:
                event: Event = SignedIn(subject_id=person, number=number)
            else:
                event = Released(
                    subject_id=person, purpose="newsletter", register_revision="r" * 64
                )
            entry_ids.append(uow.record(event, {"number": number, "text": "¿Sí? Sí."}))
        uow.commit()
    return entry_ids


def drain(sequencer: Sequencer, limit: int) -> None:
    """Place everything that waits, `limit` entries a checkpoint."""
    while sequencer.run_once(limit):
        pass
