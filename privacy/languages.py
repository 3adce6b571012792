"""Which language a person reads: their choice, else an application's wish, else their browser's.

An application that sends a person here may name languages (`ui_locales`, OpenID Connect Core
s. 3.1.2.1); they hold for its own flow, that is, on every page whose address leads back to it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import parse_qs, urlencode

from flask import Flask, Response, current_app, g, request
from flask_babel import Babel, get_locale
from werkzeug.exceptions import HTTPException

LANGUAGES = ("es", "en")
#: How dates and numbers of a language are written: English as in Europe, the day first.
LOCALES = {"es": "es", "en": "en_GB"}
COOKIE = "placet-language"
COOKIE_SECONDS = 365 * 24 * 3600


def select_language() -> str:
    """Return the language of this request."""
    asked = request.args.get("lang")
    if asked in LANGUAGES:
        g.chosen_language = asked
        return asked
    kept = request.cookies.get(_cookie())
    if kept in LANGUAGES:
        return kept
    return _wished() or request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def best_of(tags: Sequence[str]) -> str | None:
    """Return the first of these language tags that we speak, without its region; None: none."""
    languages = (tag.partition("-")[0].lower() for tag in tags)
    return next((language for language in languages if language in LANGUAGES), None)


def _wished() -> str | None:
    """Return what the application wishes whose request this is, or leads back to (`next`)."""
    wish = request.args.get("ui_locales")
    if wish is None:
        way_back = request.args.get("next") or _posted("next")
        wish = parse_qs(way_back.partition("?")[2]).get("ui_locales", [""])[0]
    return best_of(wish.split())


def _posted(name: str) -> str:
    if request.mimetype != "application/x-www-form-urlencoded":
        return ""
    try:
        return request.form.get(name, "")
    except HTTPException:  # a body that cannot be read says nothing; its view says what is wrong
        return ""


def locale_of(language: str) -> str:
    """Return the locale of pages, dates and numbers for readers of a language.

    Args:
        language: BCP 47; of one that we do not speak, the readers get our first.
    """
    return LOCALES[best_of([language]) or LANGUAGES[0]]


def query_in_any_language(*, without: Collection[str] = ()) -> str:
    """Return the query of the present page without its choice of a language.

    Args:
        without: names of members that are left out too.
    """
    if not request:
        return ""
    left_out = {"lang", *without}
    return urlencode([pair for pair in request.args.items(multi=True) if pair[0] not in left_out])


def page_language() -> str:
    """Return the language of the page or letter being made, without its region."""
    locale = get_locale()
    return str(locale.language) if locale else LANGUAGES[0]


def _keep_choice(response: Response) -> Response:
    chosen = g.get("chosen_language")
    if chosen:
        response.set_cookie(
            _cookie(),
            chosen,
            max_age=COOKIE_SECONDS,
            secure=current_app.config["PLACET_HTTPS"],
            samesite="Lax",
            httponly=True,
        )
    return response


def _cookie() -> str:
    return f"__Host-{COOKIE}" if current_app.config["PLACET_HTTPS"] else COOKIE


def init_languages(app: Flask, time_zone: str) -> None:
    """Attach the language choice; dates show in the controller's time zone."""
    Babel(
        app,
        default_locale=LANGUAGES[0],
        default_timezone=time_zone,
        default_translation_directories="translations",
        locale_selector=lambda: locale_of(select_language()),
    )
    app.after_request(_keep_choice)
