"""Where a person goes next: only ever a place of ours, and a page that says how long to wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, redirect, render_template, request
from flask_babel import format_timedelta, gettext
from werkzeug.wrappers import Response as BaseResponse

from identity.accounts.attempts import AddressProofNeeded
from policies.errors import TooManyAttempts

MAX_LENGTH: Final = 8192


def local_path(value: str | None) -> str | None:
    """Return `value` if it is a path of this site, with its query, else None.

    It begins with one slash, and holds nothing that a browser would read as the beginning of
    another host: no second slash, backslash, space or control character.
    Source: OWASP ASVS 5.0 3.7.2; CWE-601.
    """
    if not value or len(value) > MAX_LENGTH:
        return None
    if not value.startswith("/") or value.startswith("//") or "\\" in value:
        return None
    return value if value.isascii() and value.isprintable() and " " not in value else None


def onward(stop: str | None, target: str) -> str | None:
    """Return a first stop that remembers where the person was going; None where there is none."""
    if stop is None or not target:
        return stop
    return f"{stop}?{urlencode({'next': target})}"


def show_wait(error: TooManyAttempts) -> Response:
    """Answer 429 and say when to try again. Source: RFC 6585 s. 4."""
    minutes, seconds = divmod(error.retry_after_seconds, 60)
    wait = timedelta(minutes=minutes + bool(seconds)) if minutes else timedelta(seconds=seconds)
    words = format_timedelta(wait, threshold=1.5)
    page = render_template(
        "error.html",
        status=429,
        advice=gettext("Vuelve a probar dentro de %(wait)s.", wait=words),
        actions=[
            (gettext("Volver a iniciar sesión"), "/login"),
            (gettext("He olvidado la contraseña"), "/recover"),
        ],
    )
    response = current_app.make_response((page, 429))
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def lead_to_proof(_error: AddressProofNeeded) -> BaseResponse:
    """Lead a new browser to prove the address, and from there back to where it was going."""
    target = local_path(request.form.get("next"))
    query = f"?{urlencode({'next': target})}" if target else ""
    return redirect(f"/login/prove{query}", code=303)


def slow_down(routes: Blueprint) -> None:
    """Let the pages of a blueprint answer too many attempts with what to do instead."""
    routes.register_error_handler(TooManyAttempts, show_wait)
    routes.register_error_handler(AddressProofNeeded, lead_to_proof)
