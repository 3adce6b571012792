"""Everything that happened with a person's consents and objections, page by page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flask import Blueprint, render_template, request, url_for
from flask_babel import gettext
from markupsafe import Markup
from sqlalchemy.orm import Session

from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.consent import receipt_words, words
from privacy.consent.acknowledgements import Acknowledgement, Acknowledgements
from privacy.consent.model import ConsentEvent
from privacy.consent.notice_html import notice_title
from privacy.consent.pages import person
from privacy.consent.service import Consents
from privacy.http import requires
from privacy.subjects.fact_store import FactKind, FactRow, facts_of
from privacy.subjects.store import all_ids
from privacy.unit_of_work import Runtime

PAGE_SIZE = 25


class Kind(StrEnum):
    """What the history can be narrowed to."""

    CONSENT = "consent"
    OBJECTION = "objection"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened.

    Attributes:
        purpose: the purpose's id; None where it is of no one purpose.
        what: in one line.
        detail: how, with what to look at.
    """

    at: datetime
    kind: Kind
    purpose: str | None
    what: str
    detail: Markup


def blueprint(runtime: Runtime, consents: Consents) -> Blueprint:
    """Return the page."""
    routes = Blueprint("consent_history_pages", __name__)
    register = consents.register

    @routes.get("/privacy/history")
    @requires(Scope.SIGNED_IN)
    def history() -> str:
        """Everything that happened, newest first, narrowed as the address says."""
        with runtime.snapshot() as session:
            lines = lines_of(session, consents, person())
            states = consents.current(session, person())
        kind, purpose = request.args.get("kind", ""), request.args.get("purpose", "")
        found = [
            line
            for line in lines
            if kind in ("", line.kind.value) and purpose in ("", line.purpose)
        ]
        pages = max(1, -(-len(found) // PAGE_SIZE))
        page = page_number(request.args.get("page"), pages)

        def page_url(number: int) -> str:
            return url_for(".history", page=number, kind=kind or None, purpose=purpose or None)

        named = dict.fromkeys(line.purpose for line in lines if line.purpose)
        return render_template(
            "consent/history.html",
            entries=[
                (words.hour_words(line.at), line.what, line.detail)
                for line in found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
            ],
            is_empty=not lines,
            total=len(found),
            page=page,
            pages=pages,
            url_for_page=page_url,
            kinds=[("", gettext("Todo")), *kind_words()],
            kind=kind,
            purposes=[
                ("", gettext("Todo")),
                *((each, words.title_of(register, each)) for each in named),
            ],
            purpose=purpose,
            objections=[
                (words.title_of(register, state.purpose), words.hour_words(state.objected_since))
                for state in states.values()
                if state.objected_since
            ],
        )

    return routes


def kind_words() -> list[tuple[str, str]]:
    """The kinds, with their words."""
    return [
        (Kind.CONSENT.value, gettext("Consentimientos")),
        (Kind.OBJECTION.value, gettext("Oposiciones")),
        (Kind.NOTICE.value, gettext("Condiciones e información")),
    ]


def page_number(text: str | None, pages: int) -> int:
    """Return which page an address asks for; the nearest where there is no such page."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < len("1" * 7)
    return max(1, min(int(text or "1") if is_number else 1, pages))


def lines_of(session: Session, consents: Consents, subject_id: str) -> list[Line]:
    """Return everything that happened with a person's consents, newest first."""
    lines: list[Line] = [
        *(said(consents.register, event) for event in consents.history(session, subject_id)),
        *besides(session, consents.register, subject_id),
    ]
    # Oldest first where two happened at the same instant, hence reversed.
    return sorted(lines, key=lambda line: line.at)[::-1]


def besides(session: Session, register: Register, subject_id: str) -> list[Line]:
    """Return what happened without a consent event, oldest first."""
    ids = list(session.scalars(all_ids(subject_id)))
    made = Acknowledgements.of_person(session, subject_id)
    lines = [
        *_objected(register, facts_of(session, ids)),
        *(_acknowledged(register, each) for each in made),
    ]
    return sorted(lines, key=lambda line: line.at)


def said(register: Register, event: ConsentEvent) -> Line:
    """Return the line of a consent event."""
    title = words.title_of(register, event.purpose)
    how = gettext(
        "%(channel)s, con la versión %(version)s del aviso",
        channel=words.channel_words(event.channel),
        version=event.notice_version,
    )
    if event.carries:
        how = gettext("Al unir tus direcciones en una cuenta sigue valiendo lo que ya dijiste")
    elif receipt_words.note(event):
        how = f"{how}. {receipt_words.note(event)}".rstrip(".")
    detail = Markup(
        '{}. <a class="nowrap" href="{}">{}<span class="visually-hidden">: {}</span></a>'
    ).format(
        how,
        url_for("consent_receipts.receipt", event_id=event.event_id),
        gettext("Ver el recibo"),
        title,
    )
    return Line(event.at, Kind.CONSENT, event.purpose, receipt_words.what(event, title), detail)


def _objected(register: Register, facts: Iterable[FactRow]) -> Iterable[Line]:
    for fact in facts:
        if fact.kind == FactKind.OBJECTED and fact.purpose is not None:
            title = words.title_of(register, fact.purpose)
            what = (
                gettext("Te opusiste: %(title)s", title=title)
                if fact.on
                else gettext("Dejaste de oponerte: %(title)s", title=title)
            )
            yield Line(fact.at, Kind.OBJECTION, fact.purpose, what, Markup())


def _acknowledged(register: Register, made: Acknowledgement) -> Line:
    revision = register.revision_of(made.notice, made.version)
    name = notice_title(revision, made.language) if revision else made.notice
    detail = Markup('<a href="{}">{}<span class="visually-hidden">: {}</span></a>').format(
        url_for("notice_pages.notice_version", notice_id=made.notice, version=made.version),
        gettext("Leer la versión %(version)s", version=made.version),
        name,
    )
    what = words.acknowledged_words(made.manner, name)
    return Line(made.at, Kind.NOTICE, None, what, detail)
