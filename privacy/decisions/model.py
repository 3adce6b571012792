"""What is asked and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from policies.decision import Decision, Obligation
from policies.register.model import ConsentPer
from policies.vocabulary import DecisionReason
from privacy.clock import rfc3339

APPLICATION: Final = "application"
PERSON: Final = "person"
#: Stands in an evidence id where no consent event is behind the answer.
NO_EVENT: Final = "-"


class Semantic(StrEnum):
    """How far a batch is answered. Source: AuthZEN Authorization API 1.0 s. 7.1.2."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def stops_at(self, *, permit: bool) -> bool:
        """Tell whether nothing is answered after such an answer."""
        return self is (Semantic.PERMIT_ON_FIRST_PERMIT if permit else Semantic.DENY_ON_FIRST_DENY)


@dataclass(frozen=True, slots=True)
class Question:
    """One access evaluation. Source: AuthZEN Authorization API 1.0 s. 5, 6.

    Attributes:
        subject_type: who asks; `application`.
        subject_id: its client id.
        action: the purpose, a unit of it, or the declared name of its units.
        resource_type: whose data; `person`.
        resource_id: the application's pseudonym for the person.
        channel: which of the units, where the purpose is asked for channel by channel.
        partner: which of them, where it is partner by partner.
        categories: ids of the data categories wanted; None: not said.
        supported_obligations: types of duty that the caller fulfils; None: not said.
        want_jws: the caller wants the answer signed, to keep.
    """

    subject_type: str
    subject_id: str
    action: str
    resource_type: str
    resource_id: str
    channel: str | None = None
    partner: str | None = None
    categories: tuple[str, ...] | None = None
    supported_obligations: frozenset[str] | None = None
    want_jws: bool = False

    def option(self, consent_per: ConsentPer) -> str | None:
        """Which unit of a group is asked about; None: not said."""
        return self.channel if consent_per is ConsentPer.CHANNEL else self.partner


@dataclass(frozen=True, slots=True)
class Refused:
    """One question of a batch that could not be asked; the others are answered.

    Attributes:
        status: what it would have been answered with alone, as an HTTP status.
        message: what is wrong.
    """

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision and what it was made from.

    Attributes:
        evidence_id: `<consent event or ->:<register revision>:<time>`, from which the answer can be
            computed again; the event under this application's name for it.
        subject_id: whom it is about; None where nobody is known by that name.
        unit: the purpose that was decided about; None where the question led to none.
        covered: of the data categories that were asked about, those that the purpose covers; None
            where none was named.
        not_covered: the others.
        unsupported: types of duty for whose sake the permit was denied.
        may_ask: the person may be asked, which could change it.
        refused: why the question was not decided; it counts as a deny.
    """

    decision: Decision
    evidence_id: str
    subject_id: str | None
    unit: str | None = None
    covered: tuple[str, ...] | None = None
    not_covered: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    may_ask: bool = False
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Permitted:
    """One result of a search for purposes.

    Attributes:
        name: the unit.
        obligations: the duties that go with the permit.
    """

    name: str
    obligations: tuple[Obligation, ...] = ()


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Some of those whose data a purpose may use.

    Attributes:
        people: the duties that go with each permit, by pseudonym and in the order of those; there may
            be none while more follow.
        last: the pseudonym after which the next page begins; None at the end.
    """

    people: Mapping[str, tuple[Obligation, ...]]
    last: str | None


class Outcome(StrEnum):
    """What was answered, as uses are counted."""

    PERMIT = "permit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Use:
    """How often an application asked about a person and a purpose in one day.

    Attributes:
        domain: the application's pseudonymisation domain.
        day: in the controller's time zone.
    """

    domain: str
    purpose: str
    day: date
    outcome: Outcome
    count: int


def denied(reason: DecisionReason) -> Decision:
    """A deny for one reason."""
    return Decision(permit=False, reasons=(reason,))


def evidence_id(event: str | None, register_revision: str, at: datetime) -> str:
    """What an answer is computed again from: the event's name, the register and the instant."""
    return f"{event or NO_EVENT}:{register_revision}:{rfc3339(at)}"
