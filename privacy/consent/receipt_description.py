"""What the register says of a purpose, as a receipt tells it; kept with each revision.

A receipt describes what was agreed, so it takes the description of the register that was in force
at the event, whatever became of the purpose since. Source: GDPR Art. 7(1).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from policies.register.model import (
    ConsentPer,
    Controller,
    Localized,
    Purpose,
    RecipientRole,
    Register,
)
from policies.vocabulary import ContactChannel, LegalBasis


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of data; `special`: of those of GDPR Art. 9(1)."""

    id: str
    title: Localized
    special: bool


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody outside the company who receives the data. Source: GDPR Art. 13(1)(e), (f).

    Attributes:
        country: ISO 3166-1 alpha-2, where the data is received.
    """

    id: str
    name: str
    role: RecipientRole
    country: str
    title: Localized


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long the data is kept; months 0: until the event `starts` itself."""

    rule: str
    months: int
    starts: str
    reason: Localized
    article: str


@dataclass(frozen=True, slots=True)
class Description:
    """One purpose in one revision of the register.

    Attributes:
        purpose: its id; of one channel or partner, `<declared>.<option>`.
        legal_basis: why it is lawful.
        dpv_purpose: the W3C Data Privacy Vocabulary term, or an IRI.
        frequency: how often it happens, in words; empty where the register does not say.
        part_of: the declared purpose whose one channel or partner this is; None: it is whole.
        option: which channel or partner.
        channel: how the person is reached, where it is asked by channel; None otherwise.
        channels: by which ways people are reached for it.
    """

    controller: Controller
    purpose: str
    title: Localized
    legal_basis: LegalBasis
    dpv_purpose: str
    categories: tuple[Category, ...]
    recipients: tuple[Receiver, ...]
    kept: Kept
    frequency: Localized
    part_of: str | None
    option: str | None
    channel: ContactChannel | None
    channels: tuple[ContactChannel, ...]

    @property
    def is_special(self) -> bool:
        """Whether it uses data of GDPR Art. 9(1)."""
        return any(category.special for category in self.categories)

    @property
    def partner(self) -> Receiver | None:
        """The one partner it is about, where the register asks by partner."""
        if self.option is None or self.channel is not None:
            return None
        return next((each for each in self.recipients if each.id == self.option), None)

    @property
    def countries(self) -> tuple[str, ...]:
        """Where the data is stored: the controller's country and those of its processors."""
        processors = [r.country for r in self.recipients if r.role is RecipientRole.PROCESSOR]
        return tuple(dict.fromkeys([self.controller.country, *processors]))


def describe(register: Register, purpose: Purpose) -> Description:
    """Return what the register says of one of its purposes."""
    rule = register.retention[purpose.retention]
    group = register.groups.get(purpose.part_of or "")
    is_channel = group is not None and group.consent_per is ConsentPer.CHANNEL
    return Description(
        controller=register.controller,
        purpose=purpose.id,
        title=dict(purpose.title),
        legal_basis=purpose.legal_basis,
        dpv_purpose=purpose.dpv_purpose,
        categories=tuple(
            Category(each.id, dict(each.title), each.special)
            for each in (register.categories[name] for name in purpose.data_categories)
        ),
        recipients=tuple(
            Receiver(each.id, each.name, each.role, each.country, dict(each.title))
            for each in (register.recipients[name] for name in purpose.recipients)
        ),
        kept=Kept(rule.id, rule.period, rule.starts.value, dict(rule.reason), rule.article),
        frequency=dict(purpose.frequency or {}),
        part_of=purpose.part_of,
        option=purpose.option,
        channel=ContactChannel(purpose.option) if purpose.option and is_channel else None,
        channels=purpose.channels,
    )


def dump(description: Description) -> str:
    """Return a description as it is kept."""
    return json.dumps(dataclasses.asdict(description), ensure_ascii=False, sort_keys=True)


def load(text: str) -> Description:
    """Return a description that was kept.

    Raises:
        ValueError, KeyError, TypeError: the text holds what was never written.
    """
    held: dict[str, Any] = json.loads(text)
    return Description(
        **held
        | {
            "controller": Controller(**held["controller"]),
            "legal_basis": LegalBasis(held["legal_basis"]),
            "categories": tuple(Category(**each) for each in held["categories"]),
            "recipients": tuple(
                Receiver(**each | {"role": RecipientRole(each["role"])})
                for each in held["recipients"]
            ),
            "kept": Kept(**held["kept"]),
            "channel": ContactChannel(held["channel"]) if held["channel"] else None,
            "channels": tuple(ContactChannel(each) for each in held["channels"]),
        }
    )
