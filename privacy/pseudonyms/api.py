"""`POST /v1/pseudonyms`: an application's own list becomes its own pseudonyms."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from policies.vocabulary import Scope
from privacy.http import current_actor, parse_json, requires
from privacy.openapi import Operation, documented
from privacy.pseudonyms.schemas import PseudonymsAnswer, PseudonymsRequest
from privacy.pseudonyms.service import Pseudonyms
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, pseudonyms: Pseudonyms) -> Blueprint:
    """Return the routes of this capability."""
    routes = Blueprint("pseudonyms_api", __name__)

    @routes.post("/v1/pseudonyms")
    @requires(Scope.PSEUDONYMS_WRITE)
    @documented(
        Operation(
            summary="Turn e-mail addresses into the calling application's pseudonyms",
            tag="pseudonyms",
            request=PseudonymsRequest,
            answers={200: PseudonymsAnswer},
            problems=("invalid-input",),
            example={"identifiers": ["ana@example.com"]},
        )
    )
    def pseudonymise() -> Response:
        """Turn e-mail addresses into the calling application's pseudonyms."""
        actor = current_actor()
        asked = parse_json(PseudonymsRequest())
        with runtime.unit_of_work(actor) as uow:
            values = pseudonyms.pseudonymise(uow, actor.domain, asked["identifiers"])
        return jsonify(pseudonyms=values)

    return routes
