"""What a receipt's page says, in the person's language."""

from __future__ import annotations

from flask_babel import gettext

from policies.vocabulary import ConsentAction, ContactChannel, LegalBasis, SaidBy
from privacy.consent import words
from privacy.consent.model import ConsentEvent
from privacy.consent.receipt_description import Description, Receiver
from privacy.consent.receipt_facts import ReceiptFacts


def _(message: str, **values: object) -> str:
    """The message in the page's language."""
    return str(gettext(message, **values))


def rows(facts: ReceiptFacts) -> list[tuple[str, str]]:
    """The facts of a receipt, as (name, value)."""
    event, description = facts.event, facts.description
    title = words.in_language(description.title) if description else event.purpose
    told = [
        (_("Para qué"), title),
        (_("Qué pasó"), what(event, title)),
        (_("Quién lo dijo"), words.said_words(event.said_by)),
        (_("Cuándo"), words.hour_words(event.at)),
    ]
    if facts.recorded_at != event.at:
        told.append((_("Cuándo lo anotamos"), words.hour_words(facts.recorded_at)))
    told.append((_("Cómo"), words.channel_words(event.channel)))
    if event.expires_at:
        told.append((_("Hasta cuándo vale"), words.hour_words(event.expires_at)))
    if description is not None:
        told += _described(description)
    told.append(
        (
            _("Aviso"),
            _(
                "%(notice)s, versión %(version)s (%(language)s)",
                notice=event.notice,
                version=event.notice_version,
                language=event.language,
            ),
        )
    )
    return told


def what(event: ConsentEvent, title: str) -> str:
    """What happened, in one line."""
    by_another = event.said_by in (SaidBy.GUARDIAN, SaidBy.REPRESENTATIVE)
    tell = words.for_another_words if by_another else words.event_words
    return tell(event.action, title)


def note(event: ConsentEvent) -> str | None:
    """What the person should know of a word that is not her own click; None where it is."""
    if event.action is ConsentAction.REVOKED:
        return _("No lo retiraste tú: la empresa decidió dejar de usar este consentimiento.")
    if event.action is ConsentAction.INVALIDATED:
        return _("La empresa anuló este consentimiento porque no se pidió como manda la ley.")
    return {
        SaidBy.GUARDIAN: _(
            "Lo dijo por ti quien tiene tu patria potestad o tu tutela, porque no tenías edad para "
            "decirlo a solas. Vale hasta que la tengas; retirarlo puedes siempre."
        ),
        SaidBy.REPRESENTATIVE: _("Lo dijo quien te representa. Retirarlo puedes siempre."),
        SaidBy.STAFF: _(
            "Lo anotó una persona de la empresa porque se lo dijiste tú. Si no es así, retíralo en "
            "tu privacidad o escríbenos."
        ),
        SaidBy.IMPORT: _(
            "Lo dijiste antes de que usáramos este registro, y lo trajimos de donde estaba. Si no "
            "es así, retíralo en tu privacidad o escríbenos."
        ),
    }.get(event.said_by)


def contact_words(channel: ContactChannel) -> str:
    """By which way the person is reached."""
    return {
        ContactChannel.EMAIL: _("Por correo electrónico"),
        ContactChannel.PHONE: _("Por teléfono"),
        ContactChannel.POST: _("Por correo postal"),
        ContactChannel.PUSH: _("Con avisos en el móvil"),
    }[channel]


def receiver_words(name: str, country: str) -> str:
    """Who receives the data, and where."""
    return f"{name} ({words.country_words(country)})"


def _described(description: Description) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    if description.channels:
        ways = ", ".join(contact_words(each) for each in description.channels)
        told.append((_("Por qué vías"), ways))
    if description.partner:
        told.append((_("Con qué empresa"), _receiver(description.partner)))
    if description.frequency:
        told.append((_("Cada cuánto"), words.in_language(description.frequency)))
    categories = ", ".join(words.in_language(each.title) for each in description.categories)
    receivers = "; ".join(_receiver(each) for each in description.recipients)
    return [
        *told,
        (_("Qué datos"), categories or _("Ninguno")),
        (_("Quién los recibe"), receivers or _("Nadie más")),
        (_("Cuánto se guardan"), words.in_language(description.kept.reason)),
        (_("Por qué es lícito"), words.basis_words(LegalBasis(description.legal_basis))),
    ]


def _receiver(receiver: Receiver) -> str:
    return receiver_words(receiver.name, receiver.country)
