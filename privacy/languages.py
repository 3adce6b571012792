"""Which language a person reads: their choice, else their browser's, else Spanish."""

from __future__ import annotations

from flask import Flask, Response, g, request
from flask_babel import Babel

LANGUAGES = ("es", "en")
COOKIE = "placet-language"
COOKIE_SECONDS = 365 * 24 * 3600


def select_language() -> str:
    """Return the language of this request."""
    asked = request.args.get("lang")
    if asked in LANGUAGES:
        g.chosen_language = asked
        return asked
    kept = request.cookies.get(COOKIE)
    if kept in LANGUAGES:
        return kept
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def _keep_choice(response: Response) -> Response:
    chosen = g.get("chosen_language")
    if chosen:
        response.set_cookie(COOKIE, chosen, max_age=COOKIE_SECONDS, samesite="Lax", httponly=True)
    return response


def init_languages(app: Flask, time_zone: str) -> None:
    """Attach the language choice; dates show in the controller's time zone."""
    Babel(
        app,
        default_locale=LANGUAGES[0],
        default_timezone=time_zone,
        default_translation_directories="translations",
        locale_selector=select_language,
    )
    app.after_request(_keep_choice)
