"""The desk's page of past moments: what was permitted then, and which text the person had seen."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask_babel import gettext
from marshmallow import EXCLUDE, Schema, fields, validate

from policies.errors import InvalidInput
from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.consent.notice_html import render_notice
from privacy.consent.register_log import units_ever
from privacy.consent.words import channel_words, hour_words, title_of
from privacy.decisions.past import Moment, PastDecisions
from privacy.decisions.reason_words import reason_words
from privacy.desk import DESK_SECTIONS, action_words
from privacy.http import InvalidFields, current_actor, load, requires
from privacy.unit_of_work import Runtime

HOME = "/dpo/moment"
MAX_PERSON = 320


class MomentForm(Schema):
    """Whom, what and when; day and time are those of the controller's clocks."""

    person = fields.String(required=True, validate=validate.Length(min=1, max=MAX_PERSON))
    purpose = fields.String(required=True, validate=validate.Length(min=1, max=128))
    day = fields.Date(required=True)
    time = fields.Time(required=True)


def blueprint(runtime: Runtime, past: PastDecisions, register: Register) -> Blueprint:
    """Return the page."""
    routes = Blueprint("moment_pages", __name__)
    zone = ZoneInfo(register.controller.time_zone)

    def show(
        typed: dict[str, str],
        moment: Moment | None = None,
        errors: list[tuple[str, str]] | None = None,
    ) -> str:
        with runtime.snapshot() as session:
            units = sorted({*register.purposes, *units_ever(session)})
        shown = moment.shown if moment else None
        return render_template(
            "decisions/moment.html",
            desk_sections=DESK_SECTIONS,
            typed=typed,
            moment=moment,
            errors=errors,
            wrong=dict(errors or []),
            purposes=[
                ("", gettext("Elige una opción")),
                *((each, title_of(register, each)) for each in units),
            ],
            notice_html=render_notice(shown.text, below=3) if shown else None,
            title_of=lambda purpose: title_of(register, purpose),
            reason_words=reason_words,
            action_words=action_words,
            channel_words=channel_words,
            hour_words=hour_words,
        )

    @routes.get(HOME)
    @requires(Scope.DESK)
    def form() -> str:
        """Ask whom, what and when."""
        return show({})

    @routes.post(HOME)
    @requires(Scope.DESK)
    def look_up() -> str | tuple[str, int]:
        """Show what was permitted then; the look-up is recorded."""
        typed = {name: request.form.get(name, "").strip() for name in MomentForm().fields}
        try:
            given = load(MomentForm(unknown=EXCLUDE), typed)
            at = _instant(given["day"], given["time"], zone, runtime.clock())
            with runtime.unit_of_work(current_actor()) as uow:
                moment = past.look_up(uow, given["person"], given["purpose"], at)
        except InvalidFields as refusal:
            errors = [(name, _what_is_wrong(name)) for name, _ in refusal.errors]
            return show(typed, errors=errors), 422
        except InvalidInput:
            return show(typed, errors=[("person", _what_is_wrong("person"))]), 422
        if moment is None:
            missing = gettext("No consta nadie con esa dirección ni con ese seudónimo.")
            return show(typed, errors=[("person", missing)]), 404
        return show(typed, moment)

    return routes


def _instant(day: date, hour: time, zone: ZoneInfo, now: datetime) -> datetime:
    """The instant at which the controller's clocks showed this; the first, where they did twice.

    Raises:
        InvalidFields: it is yet to come.
    """
    at = datetime.combine(day, hour.replace(tzinfo=None), zone)
    if at > now:
        raise InvalidFields([("day", "in the future")])
    return at


def _what_is_wrong(name: str) -> str:
    words: dict[str, Any] = {
        "person": gettext("Falta una dirección de correo o un seudónimo."),
        "purpose": gettext("Falta elegir la finalidad."),
        "day": gettext("Falta un día que no sea futuro."),
        "time": gettext("Falta la hora, por ejemplo 12:00."),
    }
    return str(words[name])
