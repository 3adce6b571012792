"""What the pages say of attributes, in the person's language, and how a day is typed."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from flask_babel import format_date, gettext

from policies.errors import InvalidInput
from policies.vocabulary import Attribute
from privacy.subjects.model import MAX_VALUE_LENGTH

#: HTML's names for what a browser may fill in. Source: WCAG 2.2 s. 1.3.5.
AUTOCOMPLETE: Final = {
    Attribute.GIVEN_NAME: "given-name",
    Attribute.FAMILY_NAME: "family-name",
    Attribute.PHONE: "tel",
    Attribute.POSTAL_ADDRESS: "street-address",
    Attribute.BIRTHDATE: "bday",
}

_TYPED_DAY: Final = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})")
_KEPT_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")


def attribute_name(attribute: str) -> str:
    """Return the name of a profile field."""
    names: dict[str, str] = {
        Attribute.EMAIL: gettext("Correo electrónico"),
        Attribute.GIVEN_NAME: gettext("Nombre"),
        Attribute.FAMILY_NAME: gettext("Apellidos"),
        Attribute.PHONE: gettext("Teléfono"),
        Attribute.POSTAL_ADDRESS: gettext("Dirección postal"),
        Attribute.BIRTHDATE: gettext("Fecha de nacimiento"),
        Attribute.LOCALE: gettext("Idioma"),
    }
    return names[Attribute(attribute)]


def attribute_hint(attribute: str) -> str | None:
    """Return how a field is filled in, where that is not plain."""
    if attribute == Attribute.BIRTHDATE:
        return str(gettext("Por ejemplo 31/05/1990. Si prefieres, basta el año."))
    return None


def age_kept(until: datetime, age: int, now: datetime) -> str:
    """Return what stays of a minor's birthdate that is removed, and what to do if it is wrong."""
    day = format_date(until, "long")
    if until > now:
        return str(
            gettext(
                "Según la fecha que diste, cumples %(age)s años el %(day)s. Aunque la borres, "
                "guardamos ese día: hasta entonces no puedes aceptar nada sin tu madre, tu padre "
                "o quien tenga tu tutela. Si la fecha no es esa, escribe la buena.",
                age=age,
                day=day,
            )
        )
    return str(
        gettext(
            "Según la fecha que diste, cumpliste %(age)s años el %(day)s. Aunque la borres, "
            "guardamos ese día: lo que aceptaste antes no vale. Si la fecha no es esa, escribe "
            "la buena.",
            age=age,
            day=day,
        )
    )


def fault_words(error: InvalidInput, typed: str) -> str:
    """Return what is wrong with a value, and what to do."""
    if not typed.strip():
        return str(gettext("Está vacío. Escribe el dato, o pulsa el otro botón."))
    if error.field == Attribute.BIRTHDATE:
        return str(
            gettext(
                "Escribe una fecha como 31/05/1990, o solo el año. "
                "No puede ser futura ni de hace más de 120 años."
            )
        )
    return str(
        gettext(
            "Escribe como mucho %(most)s caracteres, sin saltos de línea.", most=MAX_VALUE_LENGTH
        )
    )


def typed_value(attribute: Attribute, text: str) -> str:
    """Return a value as it is kept: a day is typed as people here write it, the day first."""
    if attribute is not Attribute.BIRTHDATE:
        return text
    match = _TYPED_DAY.fullmatch(text.strip())
    return f"{match[3]}-{match[2]:0>2}-{match[1]:0>2}" if match else text


def shown_value(attribute: Attribute, value: str) -> str:
    """Return a kept value as people here write it."""
    if attribute is not Attribute.BIRTHDATE:
        return value
    match = _KEPT_DAY.fullmatch(value)
    return f"{match[3]}/{match[2]}/{match[1]}" if match else value
