"""Which language a person reads: their choice, else their browser's, else Spanish."""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request
from flask_babel import Babel, get_locale

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
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def locale_of(language: str) -> str:
    """Return the locale that formats dates and numbers for readers of a language."""
    return LOCALES.get(language, language)


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
