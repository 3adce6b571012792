"""`/dpo/word`: staff write down what somebody told them about a person's consent."""

from __future__ import annotations

from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import Conflict, Forbidden, InvalidInput, NotFound
from policies.vocabulary import ConsentChannel, SaidBy, Scope
from privacy.consent import people_words as words
from privacy.consent.people_looks import note_look
from privacy.consent.people_pages import FORM_BYTES, upload_of
from privacy.consent.representation import CHANNELS, SPEAKERS, DeskWord, DeskWords, Said
from privacy.consent.service import Consents
from privacy.consent.words import title_of
from privacy.desk import DESK_SECTIONS
from privacy.http import current_actor, requires, takes_up_to
from privacy.languages import LANGUAGES, page_language
from privacy.mail import Postbox
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

_LONGEST_NUMBER: Final = 6


def blueprint(
    runtime: Runtime,
    consents: Consents,
    subjects: Subjects,
    desk_words: DeskWords,
    postbox: Postbox,
    base_url: str,
) -> Blueprint:
    """Return the page where a word is written down."""
    routes = Blueprint("desk_words", __name__)
    register = consents.register
    zone = ZoneInfo(register.controller.time_zone)

    @routes.get("/dpo/word")
    @requires(Scope.DESK)
    def whose() -> BaseResponse:
        """Lead to where the person is found first."""
        return redirect(url_for("people_desk.search"), 303)

    @routes.get("/dpo/word/<subject_id>")
    @requires(Scope.DESK)
    def form(subject_id: str) -> str:
        """The form; nothing about what was said is chosen before."""
        return _form(subject_id, {}, [])

    @routes.post("/dpo/word/<subject_id>")
    @takes_up_to(FORM_BYTES)
    @requires(Scope.DESK)
    def write(subject_id: str) -> BaseResponse | tuple[str, int]:
        """Record the word with its evidence, and write to the person, at a proved address."""
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                word = _word(subject_id)
                desk_words.record(uow, word)
                to = subjects.proved_email(uow.session, subject_id)
                if to:
                    title = title_of(register, word.purpose)
                    postbox.send(
                        uow,
                        to=to,
                        letter="word-recorded",
                        locale=word.language if word.language in LANGUAGES else page_language(),
                        values={
                            "action_url": f"{base_url}/privacy",
                            "purpose": title,
                            "said": word.said.value,
                            "said_by": word.said_by.value,
                            "marketing": word.said is Said.OBJECTED
                            and register.purposes[word.purpose].direct_marketing,
                        },
                    )
                uow.commit()
        except (InvalidInput, Conflict, Forbidden) as error:
            return _form(subject_id, dict(request.form), words.faults(error)), words.status(error)
        flash(gettext("Queda anotado, con su prueba."), "success")
        return redirect(url_for("people_desk.person", subject_id=subject_id), 303)

    def _form(subject_id: str, typed: dict[str, str], errors: list[tuple[str | None, str]]) -> str:
        note_look(runtime, subject_id, "word")
        with runtime.snapshot() as session:
            current = subjects.current(session, subject_id)
            found = subjects.standing(session, current)
            if found is None or found.erased:
                raise NotFound("there is no such person")
            emails = subjects.emails(session, current)
        today = runtime.clock().astimezone(zone).date()
        return render_template(
            "people/word.html",
            desk_sections=DESK_SECTIONS,
            subject_id=current,
            emails=emails,
            typed=typed,
            today=today.isoformat(),
            purposes=[("", gettext("Elige una"))]
            + [
                (each, f"{title_of(register, each)} ({_version(each)})")
                for each in register.purposes
            ],
            said=[(each.value, words.said(each)) for each in Said],
            speakers=[(each.value, words.speaker(each)) for each in SPEAKERS],
            ways=[(each.value, words.way(each)) for each in CHANNELS],
            languages=[(each, str(Locale(each).display_name).capitalize()) for each in LANGUAGES],
            wrong={name: text for name, text in errors if name},
            errors=errors,
        )

    def _version(purpose: str) -> str:
        notice = register.notice_of(purpose)
        version = notice.version if notice else 0
        return str(gettext("aviso, versión %(version)s", version=version))

    return routes


def _word(subject_id: str) -> DeskWord:
    """Return the word as the form tells it.

    Raises:
        InvalidInput: names the field that is wrong.
    """
    form = request.form
    try:
        said = Said(form.get("said", ""))
    except ValueError:
        raise InvalidInput("choose one", field="said") from None
    try:
        said_on = date.fromisoformat(form.get("said_on", ""))
    except ValueError:
        raise InvalidInput("a day", field="said_on") from None
    version = form.get("notice_version", "").strip()
    if version and not (version.isascii() and version.isdigit() and len(version) < _LONGEST_NUMBER):
        raise InvalidInput("a number", field="notice_version")
    speaker, channel = form.get("said_by", ""), form.get("channel", "")
    if speaker not in list(SaidBy):
        raise InvalidInput("choose one", field="said_by")
    if channel not in list(ConsentChannel):
        raise InvalidInput("choose one", field="channel")
    return DeskWord(
        subject_id=subject_id,
        purpose=form.get("purpose", ""),
        said=said,
        said_by=SaidBy(speaker),
        channel=ConsentChannel(channel),
        said_on=said_on,
        notice_version=int(version or 0),
        language=form.get("language", ""),
        explicit=form.get("explicit") == "yes",
        note=form.get("note", ""),
        who=form.get("who", ""),
        authority=form.get("authority", ""),
        upload=upload_of(),
    )
