"""A person's receipts: to read, to print, to download in each form."""

from __future__ import annotations

import json

from flask import Blueprint, Response, render_template

from policies.vocabulary import SaidBy, Scope
from privacy.consent import receipt_words
from privacy.consent.notice_html import render_notice
from privacy.consent.pages import person
from privacy.consent.receipts import Receipt, Receipts
from privacy.consent.service import Consents
from privacy.events import Json
from privacy.http import requires
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, consents: Consents, receipts: Receipts) -> Blueprint:
    """Return the pages of receipts."""
    routes = Blueprint("consent_receipts", __name__)

    def issue(event_id: str) -> Receipt:
        with runtime.snapshot() as session:
            event = consents.event_of(session, person(), event_id)
            words = consents.words_of(session, event)
            return receipts.issue(session, event, words, person=None, at=runtime.clock())

    @routes.get("/privacy/receipts/<string(length=32):event_id>")
    @requires(Scope.SIGNED_IN)
    def receipt(event_id: str) -> str:
        """A receipt to read, print and download."""
        issued = issue(event_id)
        facts = issued.facts
        return render_template(
            "consent/receipt.html",
            event=facts.event,
            rows=receipt_words.rows(facts),
            note=receipt_words.note(facts.event),
            seen=facts.event.said_by is SaidBy.PERSON,
            log=issued.log,
            notice_html=render_notice(facts.words.text, below=2),
            controller=facts.controller,
            is_grant=facts.is_grant,
        )

    @routes.get("/privacy/receipts/<string(length=32):event_id>.json")
    @requires(Scope.SIGNED_IN)
    def receipt_json(event_id: str) -> Response:
        """What the receipt says, for programs."""
        claims: Json = dict(issue(event_id).claims)
        return _download(pretty(claims), "application/json", f"{event_id}.json")

    @routes.get("/privacy/receipts/<string(length=32):event_id>.jws")
    @requires(Scope.SIGNED_IN)
    def receipt_jws(event_id: str) -> Response:
        """The signed receipt. Source: RFC 7515 s. 9.2.1 (media type)."""
        return _download(issue(event_id).jws, "application/jose", f"{event_id}.jws")

    @routes.get("/privacy/receipts/<string(length=32):event_id>.jsonld")
    @requires(Scope.SIGNED_IN)
    def receipt_jsonld(event_id: str) -> Response:
        """The receipt in terms of the Data Privacy Vocabulary."""
        document = pretty(issue(event_id).json_ld())
        return _download(document, "application/ld+json", f"{event_id}.jsonld")

    @routes.get("/privacy/receipts/<string(length=32):event_id>.kantara.json")
    @requires(Scope.SIGNED_IN)
    def receipt_kantara(event_id: str) -> Response:
        """The receipt in Kantara's form, of a consent given or renewed."""
        document = pretty(issue(event_id).kantara())
        return _download(document, "application/json", f"{event_id}.kantara.json")

    return routes


def pretty(document: Json) -> str:
    """Return JSON that a person can read too."""
    return json.dumps(document, ensure_ascii=False, indent=2)


def _download(body: str, media_type: str, name: str) -> Response:
    response = Response(body, mimetype=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="placet-{name}"'
    return response
