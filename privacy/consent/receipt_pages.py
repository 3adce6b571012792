"""A person's receipts: to read, to print, to download signed."""

from __future__ import annotations

import json

from flask import Blueprint, Response, render_template

from policies.vocabulary import Scope
from privacy.consent import words
from privacy.consent.model import ConsentEvent
from privacy.consent.notice_html import render_notice
from privacy.consent.pages import person
from privacy.consent.receipts import Receipt, Receipts
from privacy.consent.service import Consents
from privacy.http import requires
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, consents: Consents, receipts: Receipts) -> Blueprint:
    """Return the pages of receipts."""
    routes = Blueprint("consent_receipts", __name__)
    register = consents.register

    def issue(event_id: str) -> tuple[ConsentEvent, Receipt, str]:
        with runtime.snapshot() as session:
            event = consents.event_of(session, person(), event_id)
            shown = consents.words_of(session, event)
            issued = receipts.issue(session, event, shown, person=None, at=runtime.clock())
        return event, issued, shown.text

    @routes.get("/privacy/receipts/<string(length=32):event_id>")
    @requires(Scope.SIGNED_IN)
    def receipt(event_id: str) -> str:
        """A receipt to read, print and download."""
        event, issued, text = issue(event_id)
        title = words.title_of(register, event.purpose)
        return render_template(
            "consent/receipt.html",
            event=event,
            rows=words.receipt_rows(event, title),
            log=issued.log,
            notice_html=render_notice(text, below=2),
            controller=register.controller,
        )

    @routes.get("/privacy/receipts/<string(length=32):event_id>.json")
    @requires(Scope.SIGNED_IN)
    def receipt_json(event_id: str) -> Response:
        """What the receipt says, for programs."""
        _event, issued, _text = issue(event_id)
        body = json.dumps(issued.claims, ensure_ascii=False, indent=2)
        return _download(body, "application/json", f"{event_id}.json")

    @routes.get("/privacy/receipts/<string(length=32):event_id>.jws")
    @requires(Scope.SIGNED_IN)
    def receipt_jws(event_id: str) -> Response:
        """The signed receipt. Source: RFC 7515 s. 9.2.1 (media type)."""
        _event, issued, _text = issue(event_id)
        return _download(issued.jws, "application/jose", f"{event_id}.jws")

    return routes


def _download(body: str, media_type: str, name: str) -> Response:
    response = Response(body, mimetype=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="placet-{name}"'
    return response
