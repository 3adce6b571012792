"""`/v1/signals`: an application tells what a person's browser said to it."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Response, jsonify
from marshmallow import Schema, fields, validate

from policies.vocabulary import Scope
from privacy.consent.applications import ApplicationConsents
from privacy.consent.schemas import MAX_PSEUDONYM, TrueOrFalse
from privacy.consent.signals import Signals
from privacy.http import current_actor, parse_json, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime


class SignalRequest(Schema):
    """What a person's browser said."""

    subject = fields.String(
        required=True,
        validate=validate.Length(min=1, max=MAX_PSEUDONYM),
        metadata={"description": "The calling application's pseudonym for the person."},
    )
    gpc = TrueOrFalse(
        required=True,
        metadata={"description": "Whether the request carried `Sec-GPC: 1`, and nothing else."},
    )


class SignalAnswer(Schema):
    """What it did."""

    subject = fields.String(required=True)
    gpc = fields.Boolean(required=True)
    changed = fields.Boolean(
        required=True,
        metadata={"description": "False: the same as before, and nothing was written."},
    )
    objected = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "Of the calling application's purposes, those to which the person "
            "objects by it from now on."
        },
    )


_REQUEST: Final = SignalRequest()


def blueprint(runtime: Runtime, applications: ApplicationConsents, signals: Signals) -> Blueprint:
    """Return the route of this capability."""
    routes = Blueprint("signal_api", __name__)

    @routes.post("/v1/signals")
    @requires(Scope.CONSENTS_WRITE)
    @documented(
        Operation(
            summary="Tell whether a person's browser sends Global Privacy Control",
            tag="consent",
            request=SignalRequest,
            answers={200: SignalAnswer},
            problems=("invalid-input", "not-found", "too-many-attempts"),
            example={"subject": "d1v1_DW3-6MD__Yrq4PgferThdg4TTE9r38Hs", "gpc": True},
        )
    )
    def signal() -> Response:
        """Tell whether a person's browser sends Global Privacy Control."""
        told: dict[str, Any] = parse_json(_REQUEST)
        actor = current_actor()
        source = actor.client_id or ""
        with runtime.snapshot() as session:
            subject_id = applications.subject(session, actor, told["subject"])
            is_same = signals.is_on(session, subject_id, source) == told["gpc"]
        objected: list[str] = []
        if not is_same:
            with runtime.unit_of_work(actor) as uow:
                change = signals.note(uow, subject_id, source, on=told["gpc"])
                uow.commit()
            is_same = not change.changed
            objected = [unit for unit in change.objected if unit in actor.purposes]
        return jsonify(
            subject=told["subject"], gpc=told["gpc"], changed=not is_same, objected=objected
        )

    return routes
