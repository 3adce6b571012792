"""`/v1/receipts`: signed copies of what an application recorded, in the form that it reads."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, current_app, jsonify, request
from marshmallow import Schema, fields, validate

from policies.vocabulary import Scope
from privacy.consent.applications import ApplicationConsents
from privacy.consent.receipts import Receipt, Receipts
from privacy.consent.schemas import KeysAnswer, ReceiptAnswer
from privacy.consent.service import Consents
from privacy.events import Json
from privacy.http import current_actor, parse_query, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime

JSON: Final = "application/json"
#: A JWS in compact form with claims. Source: RFC 7519 s. 10.3.1.
SIGNED: Final = "application/jwt"
LINKED: Final = "application/ld+json"
KANTARA: Final = "kantara"


class ReceiptQuery(Schema):
    """Which form, where `Accept` cannot say it."""

    format = fields.String(
        load_default=None,
        validate=validate.OneOf((KANTARA,)),
        metadata={
            "description": "`kantara`: as Kantara Consent Receipt 1.1, of a consent given or "
            "renewed alone. Without it the media type in `Accept` decides."
        },
    )


def blueprint(
    runtime: Runtime,
    consents: Consents,
    applications: ApplicationConsents,
    receipts: Receipts,
) -> Blueprint:
    """Return the routes of receipts."""
    routes = Blueprint("consent_receipt_api", __name__)

    @routes.get("/v1/receipts/keys")
    @requires(Scope.PUBLIC)
    @documented(
        Operation(
            summary="The public keys that verify receipts",
            tag="consent",
            answers={200: KeysAnswer},
        )
    )
    def keys() -> Response:
        """The public keys that verify receipts."""
        with runtime.snapshot() as session:
            return jsonify(receipts.keys(session))

    @routes.get("/v1/receipts/<event_id>")
    @requires(Scope.CONSENTS_READ)
    @documented(
        Operation(
            summary="The signed receipt of a consent event",
            tag="consent",
            query=ReceiptQuery,
            answers={200: ReceiptAnswer},
            other_media_types=(SIGNED, LINKED),
            problems=("not-found",),
        )
    )
    def receipt(event_id: str) -> Response:
        """The signed receipt of a consent event."""
        wanted: str | None = parse_query(ReceiptQuery())["format"]
        with runtime.snapshot() as session:
            found = applications.event(session, current_actor(), event_id)
            issued = receipts.issue(
                session,
                found.event,
                consents.words_of(session, found.event),
                person=found.pseudonym,
                at=runtime.clock(),
            )
        if wanted == KANTARA:
            return jsonify(issued.kantara())
        return _negotiated(issued)

    return routes


def linked(document: Json) -> Response:
    """Return a document as JSON-LD."""
    return Response(current_app.json.dumps(document), mimetype=LINKED)


def _negotiated(issued: Receipt) -> Response:
    media_type = request.accept_mimetypes.best_match((JSON, SIGNED, LINKED), JSON)
    if media_type == SIGNED:
        response = Response(issued.jws, mimetype=SIGNED)
    elif media_type == LINKED:
        response = linked(issued.json_ld())
    else:
        event = issued.facts.event
        response = jsonify(
            event_id=event.event_id,
            entry_id=event.entry_id,
            log=issued.log.to_json(),
            claims=dict(issued.claims),
            jws=issued.jws,
        )
    response.vary.add("Accept")
    return response
