"""What the pages say of a purpose that is asked for by channel or by partner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext

from policies.register.model import ConsentPer, Group, Purpose, Register
from policies.vocabulary import ContactChannel
from privacy.consent import words
from privacy.consent.model import State
from privacy.consent.receipt_words import contact_words
from privacy.consent.words import Card

#: The states in which a person has a yes in force that she can take back.
_GIVEN = "given"
#: Those in which both answers stand side by side.
_ASKED = "none"


def _(message: str, **values: object) -> str:
    """The message in the page's language."""
    return str(gettext(message, **values))


@dataclass(frozen=True, slots=True)
class Unit:
    """One channel or partner of a group: its card, and what it is called within the group."""

    card: Card
    label: str


@dataclass(frozen=True, slots=True)
class GroupCard:
    """A declared purpose with its units, every word ready to show; see `consent/group.html`.

    Attributes:
        recipients: who receives the data whatever the person chooses.
        shared: the card of its first unit, for what all of them share.
        answers: what the buttons for all of them do, in order; two of them weigh the same.
    """

    group_id: str
    title: str
    summary: str
    intro: str
    recipients: tuple[str, ...]
    state_words: str
    shared: Card
    units: tuple[Unit, ...]
    answers: tuple[str, ...]
    action_url: str


def cards(
    register: Register,
    purposes: Iterable[Purpose],
    states: Mapping[str, State],
    now: datetime,
    *,
    addresses: Callable[[str], tuple[str, str]],
) -> list[Card | GroupCard]:
    """One card for each declared purpose of these that has a published notice, in their order.

    Args:
        register: in force.
        purposes: with all units of a group, or none.
        states: the person's, of each of them.
        now: aware.
        addresses: from the language of a notice to where the form of one purpose goes, and that of
            a whole group.
    """
    by_name = {purpose.part_of or purpose.id: purpose for purpose in purposes}
    made: list[Card | GroupCard | None] = []
    for name, purpose in by_name.items():
        action_url, all_url = addresses(words.notice_language(purpose, register))
        group = register.groups.get(name)
        made.append(
            group_card(
                register, group, states, now, action_url=action_url, group_action_url=all_url
            )
            if group
            else words.card_of(register, purpose, states[name], now, action_url=action_url)
        )
    return [each for each in made if each]


def group_card(
    register: Register,
    group: Group,
    states: Mapping[str, State],
    now: datetime,
    *,
    action_url: str,
    group_action_url: str,
) -> GroupCard | None:
    """The group's card; None where nothing of it is published yet."""
    purposes = [register.purposes[unit] for unit in group.units]
    made = [
        (purpose, words.card_of(register, purpose, states[purpose.id], now, action_url=action_url))
        for purpose in purposes
    ]
    units = tuple(Unit(card, _label(register, purpose)) for purpose, card in made if card)
    if not units:
        return None
    return GroupCard(
        group_id=group.id,
        title=words.in_language(group.title),
        summary=words.in_language(group.summary),
        intro=_intro(group),
        recipients=_common(register, purposes[0], group),
        state_words=_state_words(units),
        shared=units[0].card,
        units=units,
        answers=_answers(purposes, units),
        action_url=group_action_url,
    )


def _common(register: Register, purpose: Purpose, group: Group) -> tuple[str, ...]:
    apart = purpose.partners if group.consent_per is ConsentPer.PARTNER else ()
    return tuple(
        words.recipient_words(register.recipients[each])
        for each in purpose.recipients
        if each not in apart
    )


def _intro(group: Group) -> str:
    if group.consent_per is ConsentPer.CHANNEL:
        return _("Decide por qué vías. Cada una es una decisión aparte.")
    return _("Decide con qué empresas. Cada una es una decisión aparte.")


def _state_words(units: tuple[Unit, ...]) -> str:
    given = sum(unit.card.state == _GIVEN for unit in units)
    if not given and any(unit.card.state == _ASKED for unit in units):
        return _("Aún no has decidido")
    return _("Aceptado: %(given)s de %(all)s", given=given, all=len(units))


def _label(register: Register, purpose: Purpose) -> str:
    group = register.groups[purpose.part_of or ""]
    if group.consent_per is ConsentPer.CHANNEL and purpose.option:
        return contact_words(ContactChannel(purpose.option))
    partner = register.recipients.get(purpose.option or "")
    return words.recipient_words(partner) if partner else words.in_language(purpose.title)


def _answers(purposes: list[Purpose], units: tuple[Unit, ...]) -> tuple[str, ...]:
    """What can be said of all at once: never what needs an express statement for each.

    Source: GDPR Art. 4(11), 9(2)(a).
    """
    states = {unit.card.state for unit in units}
    if states == {_GIVEN}:
        return ("withdraw",)
    if any(purpose.explicit for purpose in purposes):
        return ()
    if states & {_GIVEN, _ASKED}:
        return ("grant", "refuse")
    return ("grant",)
