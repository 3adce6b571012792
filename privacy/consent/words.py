"""What the pages say of consents, in the person's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from babel import Locale
from flask_babel import format_date, format_datetime, get_locale, gettext, ngettext
from markupsafe import Markup

from policies.register.model import Localized, Purpose, Recipient, Register
from policies.vocabulary import ConsentAction, ConsentChannel, LegalBasis, SaidBy
from privacy.consent.acknowledgements import Manner
from privacy.consent.model import (
    State,
    Status,
    may_object,
    purpose_rule,
    status_of,
)
from privacy.consent.notice_html import render_notice
from privacy.languages import page_language

SOON = timedelta(days=30)
CARD_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Card:
    """One purpose on the person's page, every word ready to show; see `consent_card`."""

    purpose_id: str
    title: str
    summary: str
    categories: list[str]
    recipients: list[str]
    state: str
    state_words: str
    since: str | None
    until_words: str | None
    basis_words: str
    notice_html: Markup
    notice_version: int
    notice_date_words: str
    can_grant: bool
    can_withdraw: bool
    action_url: str
    history_url: str | None
    frequency: str | None = None
    said_words: str | None = None
    receipt_url: str | None = None
    can_renew: bool = False


def _(message: str, **values: object) -> str:
    """The message in the page's language."""
    return str(gettext(message, **values))


def language() -> str:
    """The language of this page."""
    return page_language()


def in_language(texts: Localized) -> str:
    """The text in the page's language, else in Spanish."""
    return texts.get(language()) or texts["es"]


def text_language(texts: Localized) -> str:
    """In which language the page shows a text."""
    return language() if language() in texts else "es"


def day_words(moment: datetime) -> str:
    """`3 de marzo de 2026`, in the controller's time zone."""
    return str(format_date(moment, "long"))


def hour_words(moment: datetime) -> str:
    """Day and hour, with the zone: for what is evidence."""
    return str(format_datetime(moment, "long"))


def title_of(register: Register, purpose_id: str) -> str:
    """The purpose's title; its id where the register no longer has it."""
    purpose = register.purpose(purpose_id)
    return in_language(purpose.title) if purpose else purpose_id


def notice_language(purpose: Purpose, register: Register) -> str:
    """In which language the page shows the purpose's notice."""
    notice = register.notice_of(purpose.id)
    return language() if notice and language() in notice.texts else "es"


def card_of(
    register: Register, purpose: Purpose, state: State, now: datetime, *, action_url: str
) -> Card | None:
    """The purpose's card; None where nothing of it is published yet."""
    notice = register.notice_of(purpose.id)
    if notice is None or notice.published is None:
        return None
    by_consent = purpose.legal_basis is LegalBasis.CONSENT
    status = status_of(state.consent, purpose_rule(register, purpose.id), now)
    shown = _card_state(status, state) if by_consent else _basis_state(state)
    since = state.objected_since or (state.consent.at if state.consent else None)
    asked = by_consent and shown != "given"
    return Card(
        purpose_id=purpose.id,
        title=in_language(purpose.title),
        summary=in_language(purpose.summary),
        categories=[in_language(register.categories[c].title) for c in purpose.data_categories],
        recipients=[recipient_words(register.recipients[r]) for r in purpose.recipients],
        state=shown,
        state_words=_state_words(purpose, state, status),
        since=hour_words(since) if since else None,
        until_words=_until_words(register, purpose, state, status, now),
        basis_words=basis_words(purpose.legal_basis),
        notice_html=render_notice(
            notice.texts[notice_language(purpose, register)], below=CARD_LEVEL
        ),
        notice_version=notice.version,
        notice_date_words=str(format_date(notice.published, "long")),
        can_grant=asked or shown == "objected",
        can_withdraw=shown == "given" or (shown == "basis" and may_object(purpose)),
        action_url=action_url,
        history_url=f"/privacy/history?purpose={purpose.id}" if state.consent else None,
        frequency=in_language(purpose.frequency) if purpose.frequency else None,
        said_words=_said(state),
        receipt_url=f"/privacy/receipts/{state.event_id}" if state.event_id else None,
        can_renew=shown == "given" and ends_soon(state, now),
    )


def _said(state: State) -> str | None:
    """Whose word stands, where it is not the person's own click."""
    if state.consent is None or state.consent.said_by is SaidBy.PERSON:
        return None
    return said_words(state.consent.said_by)


def ends_soon(state: State, now: datetime) -> bool:
    """Whether a consent ends by the clock within a month."""
    return (
        state.consent is not None
        and state.consent.expires_at is not None
        and state.consent.expires_at - now < SOON
    )


def country_words(code: str) -> str:
    """A country's name; the code where Babel knows none."""
    locale = get_locale() or Locale("es")
    return str(locale.territories.get(code, code))


def recipient_words(recipient: Recipient) -> str:
    """Who receives the data, for what, and where."""
    title, country = in_language(recipient.title), country_words(recipient.country)
    return f"{recipient.name} ({title}, {country})"


def _card_state(status: Status, state: State) -> str:
    """How the card of a consent purpose acts; see `consent_card` for the values."""
    if state.objected_since and status is not Status.REFUSED:
        return "withdrawn"
    if status is Status.NOTICE_CHANGED:
        return "none"  # asked anew: both answers stand side by side again
    return status.value


def _basis_state(state: State) -> str:
    return "objected" if state.objected_since else "basis"


def _state_words(purpose: Purpose, state: State, status: Status) -> str:
    if state.objected_since:
        return _("Te opusiste el %(date)s", date=day_words(state.objected_since))
    if purpose.legal_basis is LegalBasis.CONTRACT:
        return _("Parte de tu contrato")
    if purpose.legal_basis is LegalBasis.LEGAL_OBLIGATION:
        return _("Obligatorio por ley")
    if purpose.legal_basis is not LegalBasis.CONSENT:
        return _("Interés legítimo")
    if state.consent is None:
        return _("Aún no has decidido")
    day = day_words(state.consent.at)
    if status is Status.NONE and state.consent.by_minor:
        return _("Lo aceptaste el %(date)s, sin tener edad para hacerlo: no vale", date=day)
    if status is Status.EXPIRED and state.consent.expires_at:
        return _("Caducó el %(date)s", date=day_words(state.consent.expires_at))
    if status is Status.NONE and state.consent.action is ConsentAction.REVOKED:
        return _("La empresa dejó de usarlo el %(date)s", date=day)
    if status is Status.NONE and state.consent.action is ConsentAction.INVALIDATED:
        return _("Anulado el %(date)s: no se pidió como manda la ley", date=day)
    words = {
        Status.GIVEN: _("Aceptado el %(date)s", date=day),
        Status.REFUSED: _("Rechazado el %(date)s", date=day),
        Status.WITHDRAWN: _("Retirado el %(date)s", date=day),
        Status.NOTICE_CHANGED: _("El aviso ha cambiado: decide otra vez"),
    }
    return words.get(status, _("Aún no has decidido"))


def _until_words(
    register: Register, purpose: Purpose, state: State, status: Status, now: datetime
) -> str:
    kept = in_language(register.retention[purpose.retention].reason)
    if status is not Status.GIVEN or state.consent is None or state.consent.expires_at is None:
        return kept
    end = state.consent.expires_at
    left = end - now
    if left < SOON:
        expiry = str(
            ngettext("Caduca en %(num)s día.", "Caduca en %(num)s días.", max(left.days, 1))
        )
    else:
        expiry = _("Caduca el %(date)s.", date=day_words(end))
    return f"{expiry} {kept}"


def basis_words(basis: LegalBasis) -> str:
    """Why a purpose is lawful."""
    words = {
        LegalBasis.CONSENT: _("Porque tú lo decides (RGPD, artículo 6.1.a)"),
        LegalBasis.CONTRACT: _(
            "Hace falta para cumplir el contrato que tienes con nosotros (RGPD, artículo 6.1.b)"
        ),
        LegalBasis.LEGAL_OBLIGATION: _("Nos obliga la ley (RGPD, artículo 6.1.c)"),
        LegalBasis.VITAL_INTERESTS: _("Protege la vida de alguien (RGPD, artículo 6.1.d)"),
        LegalBasis.PUBLIC_TASK: _("Cumple una misión pública (RGPD, artículo 6.1.e)"),
        LegalBasis.LEGITIMATE_INTERESTS: _(
            "Tenemos un interés legítimo, y puedes oponerte (RGPD, artículos 6.1.f y 21)"
        ),
    }
    return words[basis]


def event_words(action: ConsentAction, title: str) -> str:
    """What happened, in one line, whoever did it."""
    return {
        ConsentAction.REQUESTED: _("Te preguntamos: %(title)s", title=title),
        ConsentAction.GIVEN: _("Aceptaste: %(title)s", title=title),
        ConsentAction.REFUSED: _("Rechazaste: %(title)s", title=title),
        ConsentAction.WITHDRAWN: _("Retiraste: %(title)s", title=title),
        ConsentAction.RENEWED: _("Renovaste: %(title)s", title=title),
        ConsentAction.EXPIRED: _("Caducó: %(title)s", title=title),
        ConsentAction.REVOKED: _("La empresa dejó de usarlo: %(title)s", title=title),
        ConsentAction.INVALIDATED: _("Se anuló porque no era válido: %(title)s", title=title),
    }[action]


def for_another_words(action: ConsentAction, title: str) -> str:
    """What happened, in one line, where somebody else said it for the person."""
    words = {
        ConsentAction.GIVEN: _("Aceptado por ti: %(title)s", title=title),
        ConsentAction.REFUSED: _("Rechazado por ti: %(title)s", title=title),
        ConsentAction.WITHDRAWN: _("Retirado por ti: %(title)s", title=title),
        ConsentAction.RENEWED: _("Renovado por ti: %(title)s", title=title),
    }
    return words.get(action) or event_words(action, title)


def said_words(said_by: SaidBy) -> str:
    """Whose word an event is."""
    return {
        SaidBy.PERSON: _("Tú"),
        SaidBy.GUARDIAN: _("Quien tiene tu patria potestad o tu tutela"),
        SaidBy.REPRESENTATIVE: _("Quien te representa"),
        SaidBy.STAFF: _("Tú, y lo anotó una persona de la empresa"),
        SaidBy.IMPORT: _("Tú, en un sistema anterior"),
        SaidBy.CONTROLLER: _("La empresa"),
        SaidBy.CLOCK: _("Nadie: se cumplió el plazo"),
    }[said_by]


def acknowledged_words(manner: Manner, title: str) -> str:
    """What the person did with a notice of the account, in one line."""
    return {
        Manner.ACCEPTED: _("Aceptaste: %(title)s", title=title),
        Manner.INFORMED: _("Leíste: %(title)s", title=title),
    }[manner]


def guardian_words(register: Register) -> str:
    """Why somebody so young cannot accept alone, and whom to ask."""
    return _(
        "Tienes menos de %(age)s años, así que tu madre, tu padre o quien tenga tu tutela "
        "tiene que aceptarlo por ti. Invita a esa persona desde tu centro de privacidad, en «Quién decide por ti». "
        "Decir que no, o retirar lo que se aceptó, puedes hacerlo siempre tú.",
        age=register.controller.age_of_consent,
    )


def exclusion_words() -> str:
    """How to get no marketing from anybody. Source: LOPDGDD Art. 23.3."""
    return _(
        "Si no quieres publicidad de ninguna empresa, existe además la Lista Robinson. La Agencia "
        "Española de Protección de Datos publica los sistemas de exclusión que hay, en "
        "www.aepd.es."
    )


def channel_words(channel: ConsentChannel) -> str:
    """By which way it reached us."""
    return {
        ConsentChannel.WEB: _("En la web"),
        ConsentChannel.API: _("En una aplicación de la empresa"),
        ConsentChannel.APP: _("En la aplicación móvil"),
        ConsentChannel.PHONE: _("Por teléfono"),
        ConsentChannel.STORE: _("En la tienda"),
        ConsentChannel.POST: _("Por correo postal"),
        ConsentChannel.IMPORT: _("Traído de un sistema anterior"),
        ConsentChannel.BROWSER_SIGNAL: _("Con la señal de tu navegador"),
    }[channel]


def done_words(action: str, title: str) -> str:
    """What a form has just changed."""
    return {
        "grant": _("Has aceptado: %(title)s.", title=title),
        "refuse": _("Has rechazado: %(title)s.", title=title),
        "withdraw": _("Has retirado tu consentimiento: %(title)s.", title=title),
        "object": _("Te has opuesto: %(title)s.", title=title),
        "lift-objection": _("Ya no te opones: %(title)s.", title=title),
        "renew": _("Has renovado tu consentimiento: %(title)s.", title=title),
    }[action]
