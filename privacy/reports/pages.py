"""The DPO's desk: consent events, their evidence, and exports of exactly what is shown."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import gettext
from marshmallow import EXCLUDE, Schema
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import Conflict, InvalidInput
from policies.register.model import Register
from policies.vocabulary import ConsentAction, ConsentChannel, Scope
from privacy.consent.notice_html import render_notice
from privacy.consent.people_looks import note_look
from privacy.consent.words import channel_words, hour_words, title_of
from privacy.desk import DESK_SECTIONS, action_words
from privacy.http import InvalidFields, current_actor, load, requires
from privacy.reports.download import download
from privacy.reports.model import ExportForm, Filters
from privacy.reports.schemas import FiltersQuery, PageQuery
from privacy.reports.service import ConsentReports
from privacy.unit_of_work import Runtime

HOME = "/dpo/consents"
TONES = {ConsentAction.GIVEN: "on", ConsentAction.RENEWED: "on"}


def blueprint(runtime: Runtime, reports: ConsentReports, register: Register) -> Blueprint:
    """Return the pages of the desk about consents."""
    routes = Blueprint("reports_pages", __name__)

    def show(
        filters: Filters,
        place: dict[str, Any],
        errors: list[tuple[str, str]] | None = None,
        typed: dict[str, str] | None = None,
    ) -> str:
        with runtime.snapshot() as session:
            page = None if errors else reports.page(session, filters, **place)
        return render_template(
            "reports/consents.html",
            desk_sections=DESK_SECTIONS,
            page=page,
            chosen=typed if typed is not None else filters.to_query(),
            filters=filters.to_query(),
            purposes=[("", gettext("Todas"))]
            + [(each, title_of(register, each)) for each in register.purposes],
            actions=[("", gettext("Todas"))]
            + [(each.value, action_words(each)) for each in ConsentAction],
            channels=[("", gettext("Todos"))]
            + [(each.value, channel_words(each)) for each in ConsentChannel],
            errors=errors,
            wrong=dict(errors or []),
            action_words=action_words,
            channel_words=channel_words,
            hour_words=hour_words,
            title_of=lambda purpose: title_of(register, purpose),
            tone=lambda action: TONES.get(action, "off"),
            address=lambda **more: _address(filters, **more),
        )

    @routes.get(HOME)
    @requires(Scope.DESK)
    def table() -> str | tuple[str, int]:
        """Show the events that the filters let through."""
        given = {name: value for name, value in request.args.items() if value}
        try:
            filters, place = load(PageQuery(unknown=EXCLUDE), given)
        except InvalidFields as refusal:
            errors = [(name, gettext("Este filtro no es válido.")) for name, _ in refusal.errors]
            return show(Filters(), {}, errors, given), 422
        if filters.person:
            note_look(runtime, filters.person, "consents")
        return show(filters, place)

    @routes.post(f"{HOME}/person")
    @requires(Scope.DESK)
    def find_person() -> BaseResponse | tuple[str, int]:
        """Turn a typed e-mail address into a filter that does not show it."""
        filters = _filters_of_form(FiltersQuery())
        email = request.form.get("email", "").strip()
        try:
            with runtime.snapshot() as session:
                person = reports.person_of(session, email)
        except InvalidInput:
            error = ("email", gettext("No es una dirección de correo válida."))
            return show(filters, {}, [error], filters.to_query() | {"email": email}), 422
        note_look(runtime, person, "consents")
        if person is None:
            flash(gettext("No consta nadie con esa dirección de correo."), "info")
            return redirect(_address(filters), code=303)
        return redirect(_address(filters, person=person), code=303)

    @routes.post(f"{HOME}/export")
    @requires(Scope.DESK)
    def export() -> Response | BaseResponse:
        """Hand out exactly what the filters show, as evidence (JSON) or to read (CSV)."""
        filters = _filters_of_form(FiltersQuery())
        form = ExportForm.CSV if request.form.get("form") == "csv" else ExportForm.JSON
        try:
            response = download(runtime, reports, current_actor(), filters, form)
        except Conflict:
            flash(
                gettext(
                    "Todavía no hay ninguna firma del registro. No se ha exportado nada; "
                    "se puede volver a intentar en unos segundos."
                ),
                "warning",
            )
            return redirect(_address(filters), code=303)
        day = runtime.clock().date().isoformat()
        response.headers["Content-Disposition"] = (
            f'attachment; filename="consentimientos-{day}.{form.value}"'
        )
        return response

    @routes.get(f"{HOME}/<event_id>")
    @requires(Scope.DESK)
    def detail(event_id: str) -> str:
        """Show one event with the exact words and its proof."""
        with runtime.snapshot() as session:
            found = reports.detail(session, event_id)
        note_look(runtime, found.event.subject_id, "consent")
        return render_template(
            "reports/consent.html",
            desk_sections=DESK_SECTIONS,
            found=found,
            event=found.event,
            title=title_of(register, found.event.purpose),
            action_words=action_words,
            channel_words=channel_words,
            hour_words=hour_words,
            tone=TONES.get(found.event.action, "off"),
            notice_html=None if found.text is None else render_notice(found.text, below=2),
        )

    return routes


def _filters_of_form(schema: Schema) -> Filters:
    given = {
        name: value
        for name, value in request.form.items()
        if value and name not in ("csrf_token", "form", "email")
    }
    filters: Filters = load(schema, given)
    return filters


def _address(filters: Filters, **more: object) -> str:
    """The table's address with these filters; a further member that is None is left out."""
    members: dict[str, object] = {**filters.to_query(), **more}
    query = urlencode({name: value for name, value in members.items() if value is not None})
    return f"{HOME}?{query}" if query else HOME
