"""What the pages of applications say, in the person's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from babel.lists import format_list
from flask_babel import get_locale, gettext

from identity.provider.grant_model import Asking, Grant, Offer, OfferKind
from identity.provider.model import REFRESH_ABSOLUTE, REFRESH_IDLE
from policies.register.model import Register
from policies.vocabulary import Attribute
from privacy.collection.words import attribute_name, shown_value
from privacy.consent import words
from privacy.consent.words import Card, card_of

CONNECTED_DAYS: Final = (REFRESH_IDLE.days, REFRESH_ABSOLUTE.days)


def attribute_names(attributes: Iterable[Attribute]) -> str:
    """Return the names of attributes as a list within a sentence."""
    names = [attribute_name(each) for each in attributes]
    within = [each[:1].lower() + each[1:] for each in names]
    return format_list(within, locale=get_locale() or "es")


def attribute_rows(
    asking: Asking, held: Mapping[Attribute, tuple[str, bool]]
) -> list[tuple[str, str]]:
    """Return each attribute that is asked for with the value that we hold."""
    nothing = gettext("No lo tenemos")
    return [
        (
            attribute_name(each),
            shown_value(each, held[each][0]) if each in held else str(nothing),
        )
        for each in asking.attributes
    ]


def cards(
    register: Register, asking: Asking, kind: OfferKind, now: datetime
) -> list[tuple[Card, Offer]]:
    """Return the purposes of one kind in the words of the privacy centre."""
    return [
        (card, offer)
        for offer in asking.of_kind(kind)
        if (card := card_of(register, offer.purpose, offer.state, now, action_url=""))
    ]


def use_rows(register: Register, grant: Grant, now: datetime) -> list[tuple[Card, str, bool]]:
    """Return each purpose of an application, what it may know for it, and whether it may now."""
    return [
        (card, attribute_names(use.attributes), use.permitted)
        for use in grant.uses
        if (card := card_of(register, use.purpose, use.state, now, action_url=""))
    ]


def connected_words(grant: Grant) -> str:
    """Return whether, and until when, an application acts while the person is away."""
    if grant.connected_until is None:
        return str(gettext("No, solo cuando entras en ella"))
    return str(
        gettext(
            "Sí. Si no se usa, termina el %(date)s",
            date=words.day_words(grant.connected_until),
        )
    )
