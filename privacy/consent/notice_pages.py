"""Notices for everybody to read, and what is new in them for whoever signs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import format_date, gettext
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import NotFound
from policies.register.model import NoticeRevision
from policies.vocabulary import ConsentChannel, Scope
from privacy.consent import words
from privacy.consent.acknowledgements import (
    PAGE,
    AccountNoticesShown,
    Acknowledgements,
    Manner,
)
from privacy.consent.model import StaleNotice
from privacy.consent.notice_html import notice_title, render_notice
from privacy.consent.pages import person
from privacy.consent.service import Consents
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

HOME = "/privacy"
MAX_VERSION_DIGITS = 5

#: Returns an address of ours unchanged, and None for every other.
LocalPath = Callable[[str | None], str | None]


def blueprint(
    runtime: Runtime,
    consents: Consents,
    acknowledgements: Acknowledgements,
    local_path: LocalPath,
) -> Blueprint:
    """Return the pages of notices.

    Args:
        runtime: the doors.
        consents: what people said.
        acknowledgements: what they accepted and were told.
        local_path: says which addresses are ours to go on to.
    """
    routes = Blueprint("notice_pages", __name__)
    register = consents.register

    def notice_page(notice_id: str, version: int | None) -> str:
        notice = register.notices.get(notice_id)
        current = notice.current if notice else None
        if notice is None or current is None:
            raise NotFound("there is no such notice")
        shown = current if version is None else register.revision_of(notice_id, version)
        if shown is None:
            raise NotFound("no such version was published")
        language = words.text_language(shown.texts)
        return render_template(
            "profile/notice.html",
            title=notice_title(shown, language),
            language=language,
            revision=shown,
            in_force=shown == current,
            date_words=_date_words(shown),
            notice_html=render_notice(shown.texts[language], below=0),
            versions=[
                (each.version, _date_words(each), each.version == shown.version)
                for each in reversed(notice.revisions)
                if each.published
            ],
        )

    @routes.get("/notices/<notice_id>")
    @requires(Scope.PUBLIC)
    def notice_in_force(notice_id: str) -> str:
        """The exact words that are in force."""
        return notice_page(notice_id, None)

    @routes.get("/notices/<notice_id>/<int:version>")
    @requires(Scope.PUBLIC)
    def notice_version(notice_id: str, version: int) -> str:
        """The exact words of one version, in force or not."""
        return notice_page(notice_id, version)

    @routes.get(PAGE)
    @requires(Scope.SIGNED_IN)
    def news() -> str | BaseResponse:
        """What has changed since the person last looked; from here they go on."""
        target = local_path(request.args.get("next")) or ""
        now = runtime.clock()
        with runtime.snapshot() as session:
            waiting = acknowledgements.outstanding(session, person())
            changed = acknowledgements.changed(session, person(), now)
        if not waiting and not changed:
            return redirect(target or HOME, code=303)
        cards = [
            card
            for purpose, state in changed
            if (
                card := words.card_of(
                    register,
                    purpose,
                    state,
                    now,
                    action_url=url_for(
                        "consent_pages.decide", language=words.notice_language(purpose, register)
                    ),
                )
            )
        ]
        return render_template(
            "profile/news.html",
            notices=[
                (
                    each,
                    notice_title(each.revision, language),
                    language,
                    _html(each.revision, language),
                )
                for each in waiting
                for language in [words.text_language(each.revision.texts)]
            ],
            cards=cards,
            next=target,
            accepted=Manner.ACCEPTED,
        )

    @routes.post(PAGE)
    @requires(Scope.SIGNED_IN)
    def acknowledge() -> BaseResponse:
        """Accept the terms, or say that the privacy information was read."""
        form = request.form
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                acknowledgements.record(
                    uow,
                    person(),
                    form.get("notice", ""),
                    version=_version(form.get("version")) or 0,
                    language=form.get("language", ""),
                    channel=ConsentChannel.WEB,
                )
        except StaleNotice:
            flash(
                gettext("El texto ha cambiado mientras lo leías. Léelo otra vez, por favor."),
                "warning",
            )
        return _again(local_path(form.get("next")))

    @routes.post(f"{PAGE}/later")
    @requires(Scope.SIGNED_IN)
    def put_off() -> BaseResponse:
        """Decide nothing about a purpose's new notice, and be asked no more for it."""
        with runtime.unit_of_work(current_actor()) as uow:
            acknowledgements.put_off(uow, person(), request.form.get("purpose", ""))
        return _again(local_path(request.form.get("next")))

    @routes.app_context_processor
    def values() -> dict[str, object]:
        """What `profile/terms_line.html` shows, on whichever page includes it."""
        return {"account_notices": lambda: _shown_now(acknowledgements)}

    return routes


def shown_by_form(form: Mapping[str, str]) -> AccountNoticesShown | None:
    """Return which notices the fields of `profile/terms_line.html` say that a form showed.

    Whatever is not a version was not shown: then the person is asked at the first sign-in.
    """
    terms, privacy = (_version(form.get(f"{name}_version")) for name in ("terms", "privacy"))
    if terms is None and privacy is None:
        return None
    return AccountNoticesShown(form.get("notices_language", "")[:16], terms, privacy)


def _shown_now(acknowledgements: Acknowledgements) -> dict[str, object] | None:
    """Return what a registration form says of the account's notices; None where there are none."""
    shown = {each.value: revision for each, revision in acknowledgements.in_force().items()}
    if not shown:
        return None
    languages = {words.text_language(revision.texts) for revision in shown.values()}
    language = languages.pop() if len(languages) == 1 else "es"
    return {**shown, "language": language}


def _html(revision: NoticeRevision, language: str) -> Markup:
    return render_notice(revision.texts[language], below=1)


def _date_words(revision: NoticeRevision) -> str:
    return str(format_date(revision.published, "long"))


def _version(text: str | None) -> int | None:
    is_number = text and text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS
    return int(text or "") if is_number else None


def _again(target: str | None) -> BaseResponse:
    """Go back to what else is new; from there whoever has seen everything goes on."""
    return redirect(PAGE + (f"?{urlencode({'next': target})}" if target else ""), code=303)
