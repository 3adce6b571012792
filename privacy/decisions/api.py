"""`POST /access/v1/evaluation` and its metadata. Source: AuthZEN Authorization API 1.0."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, current_app, jsonify, request

from policies.vocabulary import Scope
from privacy.clock import rfc3339
from privacy.decisions.model import Answer, Question
from privacy.decisions.schemas import EvaluationAnswer, EvaluationRequest, Metadata
from privacy.decisions.service import Decisions
from privacy.events import Json
from privacy.http import InvalidFields, current_actor, load, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime

EVALUATION: Final = "/access/v1/evaluation"
REQUEST_ID: Final = "X-Request-ID"
#: An answer may not be remembered: a withdrawal holds from its own answer on.
CACHE_SECONDS: Final = 0

_REQUEST: Final = EvaluationRequest()


class MalformedEvaluation(InvalidFields):
    """The request is not an access evaluation: AuthZEN answers 400 to all of it."""

    code = "malformed-evaluation"


def blueprint(runtime: Runtime, decisions: Decisions, base_url: str) -> Blueprint:
    """Return the routes of this capability."""
    routes = Blueprint("decisions_api", __name__)

    @routes.after_request
    def echo_request_id(response: Response) -> Response:
        """Say which request this answers, where the caller gave it an id."""
        given = request.headers.get(REQUEST_ID)
        if given is not None:
            response.headers[REQUEST_ID] = given
        return response

    @routes.post(EVALUATION)
    @requires(Scope.DECISIONS_EVALUATE)
    @documented(
        Operation(
            summary="May this application use this person's data for this purpose, now?",
            tag="decisions",
            request=EvaluationRequest,
            answers={200: EvaluationAnswer},
            problems=("malformed-evaluation", "forbidden"),
            example={
                "subject": {"type": "application", "id": "shop"},
                "action": {"name": "recommendations"},
                "resource": {"type": "person", "id": "d1v1_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
            },
            headers={REQUEST_ID: "Comes back in the answer."},
        )
    )
    def evaluate() -> Response:
        """May this application use this person's data for this purpose, now?"""
        question = _parse()
        with runtime.snapshot() as session:
            answer = decisions.evaluate(session, current_actor(), question, runtime.clock())
        return jsonify(_rendered(answer))

    @routes.get("/.well-known/authzen-configuration")
    @requires(Scope.PUBLIC)
    @documented(
        Operation(
            summary="Where the policy decision point is",
            tag="decisions",
            answers={200: Metadata},
        )
    )
    def metadata() -> Response:
        """Where the policy decision point is."""
        return jsonify(
            policy_decision_point=base_url,
            access_evaluation_endpoint=f"{base_url}{EVALUATION}",
        )

    return routes


def _parse() -> Question:
    """Return what is asked.

    Raises:
        MalformedEvaluation: another media type, no JSON, or members missing or of another type.
    """
    if request.mimetype != "application/json":
        raise MalformedEvaluation([("(body)", "send Content-Type: application/json")])
    try:
        body = current_app.json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError):
        raise MalformedEvaluation([("(body)", "is not one JSON value in UTF-8")]) from None
    try:
        question: Question = load(_REQUEST, body)
    except InvalidFields as error:
        raise MalformedEvaluation(error.errors) from None
    return question


def _rendered(answer: Answer) -> dict[str, Json]:
    decision = answer.decision
    return {
        "decision": decision.permit,
        "context": {
            "reasons": [reason.value for reason in decision.reasons],
            "obligations": [
                {"id": each.id, "type": each.type, "properties": dict(each.properties)}
                for each in decision.obligations
            ],
            "valid_until": rfc3339(decision.valid_until) if decision.valid_until else None,
            "cache_seconds": CACHE_SECONDS,
            "evidence_id": answer.evidence_id,
        },
    }
