"""`/access/v1/…`: one question, many, and the metadata; `search_api` has the searches.

Source: AuthZEN Authorization API 1.0.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from flask import Blueprint, Response, jsonify, request
from sqlalchemy.orm import Session

from policies.decision import ObligationType
from policies.vocabulary import Scope
from privacy.decisions import parsing
from privacy.decisions.evidence import DecisionEvidence
from privacy.decisions.model import Answer, Question
from privacy.decisions.parsing import MalformedEvaluation
from privacy.decisions.rendering import ACCESS_REQUEST, ACTION_SEARCH, RESOURCE_SEARCH, context_of
from privacy.decisions.schemas import (
    EvaluationAnswer,
    EvaluationRequest,
    EvaluationsAnswer,
    EvaluationsRequest,
    Metadata,
)
from privacy.decisions.service import Decisions
from privacy.events import Json
from privacy.http import confirm_actor, current_actor, requires, takes_up_to
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime

ROOT: Final = "/access/v1/"
EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
METADATA: Final = "/.well-known/authzen-configuration"
REQUEST_ID: Final = "X-Request-ID"
#: Source: AuthZEN access-request profile (draft).
CAN_ASK: Final = "urn:openid:authzen:capability:access-request"
#: A batch of the largest size, each item written out in full.
BATCH_BYTES: Final = 2 * 1024 * 1024

#: Characters of a request's id, at most.
LONGEST_REQUEST_ID: Final = 1024
#: What comes back byte for byte through every server and proxy. Source: RFC 9110 s. 5.5.
_REQUEST_ID = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]{0,1022}[\x21-\x7e])?")
_WRONG_REQUEST_ID: Final = f"is no text of at most {LONGEST_REQUEST_ID} visible ASCII characters"
EXAMPLE: Final[dict[str, Json]] = {
    "subject": {"type": "application", "id": "shop"},
    "action": {"name": "recommendations"},
    "resource": {"type": "person", "id": "d1v1_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
}
HEADERS: Final = {
    REQUEST_ID: f"Comes back in the answer: at most {LONGEST_REQUEST_ID} visible ASCII characters."
}


def refuse_request_id() -> None:
    """Refuse an id that could not come back as it came: an answer must name its request.

    Source: AuthZEN Authorization API 1.0 s. 10.1.3 (request identification).

    Raises:
        MalformedEvaluation: it is too long, or holds more than visible ASCII.
    """
    given = request.headers.get(REQUEST_ID)
    if given and request.path.startswith(ROOT) and not is_request_id(given):
        raise MalformedEvaluation([(REQUEST_ID, _WRONG_REQUEST_ID)])


def echo_request_id(response: Response) -> Response:
    """Say which request this answers, whatever the answer, where the caller gave it an id."""
    given = request.headers.get(REQUEST_ID)
    if given is not None and request.path.startswith((ROOT, METADATA)) and is_request_id(given):
        response.headers[REQUEST_ID] = given
    return response


def is_request_id(given: str) -> bool:
    """Tell whether an id of a request can be sent back as it came."""
    return _REQUEST_ID.fullmatch(given) is not None


def body() -> parsing.Json:
    """Return the JSON object of the request, whose caller still counts now that it has arrived.

    Raises:
        MalformedEvaluation: another media type, or no JSON object.
        Unauthenticated, InsufficientScope: the token ended, or lost the scope, meanwhile.
    """
    if request.mimetype != "application/json":
        raise MalformedEvaluation([("(body)", "send Content-Type: application/json")])
    sent = request.get_data(cache=False)
    confirm_actor(Scope.DECISIONS_EVALUATE)
    return parsing.read_json(sent)


def blueprint(
    runtime: Runtime,
    decisions: Decisions,
    evidence: DecisionEvidence,
    base_url: str,
) -> Blueprint:
    """Return the routes of this capability.

    Args:
        runtime: the doors.
        decisions: decides.
        evidence: signs answers.
        base_url: of this deployment.
    """
    routes = Blueprint("decisions_api", __name__)
    routes.before_app_request(refuse_request_id)
    routes.after_app_request(echo_request_id)

    def sent(session: Session, question: object, answer: Answer, now: datetime) -> dict[str, Json]:
        context = context_of(answer, base_url, now)
        if isinstance(question, Question) and question.want_jws and answer.refused is None:
            context["evidence"] = evidence.sign(session, question, answer, context, now)
        return {"decision": answer.decision.permit, "context": context}

    def one(question: Question) -> Response:
        with runtime.snapshot() as session:
            now = runtime.clock()
            answer = decisions.evaluate(session, current_actor(), question, now)
            return jsonify(sent(session, question, answer, now))

    @routes.post(EVALUATION)
    @requires(Scope.DECISIONS_EVALUATE)
    @documented(
        Operation(
            summary="May this application use this person's data for this purpose, now?",
            tag="decisions",
            request=EvaluationRequest,
            answers={200: EvaluationAnswer},
            problems=("malformed-evaluation", "forbidden"),
            example=EXAMPLE,
            headers=HEADERS,
        )
    )
    def evaluate() -> Response:
        """May this application use this person's data for this purpose, now?"""
        return one(parsing.evaluation(body()))

    @routes.post(EVALUATIONS)
    @takes_up_to(BATCH_BYTES)
    @requires(Scope.DECISIONS_EVALUATE)
    @documented(
        Operation(
            summary="The same for up to 1,000 people and purposes at once",
            tag="decisions",
            request=EvaluationsRequest,
            answers={200: EvaluationsAnswer},
            problems=("malformed-evaluation", "forbidden"),
            example={
                "subject": EXAMPLE["subject"],
                "resource": EXAMPLE["resource"],
                "evaluations": [
                    {"action": {"name": "recommendations"}},
                    {"action": {"name": "newsletter"}},
                ],
                "options": {"evaluations_semantic": "execute_all"},
            },
            headers=HEADERS,
        )
    )
    def evaluate_many() -> Response:
        """The same for up to 1,000 people and purposes at once."""
        asked = parsing.evaluations(body())
        if isinstance(asked, Question):
            return one(asked)
        with runtime.snapshot() as session:
            now = runtime.clock()
            answers = decisions.evaluate_many(
                session, current_actor(), asked.questions, now, asked.semantic
            )
            evaluations: list[Json] = [
                sent(session, question, answer, now)
                for question, answer in zip(asked.questions, answers, strict=False)
            ]
        return jsonify(evaluations=evaluations)

    @routes.get(METADATA)
    @requires(Scope.PUBLIC)
    @documented(
        Operation(
            summary="Where the policy decision point is, and what it can",
            tag="decisions",
            answers={200: Metadata},
        )
    )
    def metadata() -> Response:
        """Where the policy decision point is, and what it can."""
        duties = [each.value for each in ObligationType]
        return jsonify(
            policy_decision_point=base_url,
            access_evaluation_endpoint=f"{base_url}{EVALUATION}",
            access_evaluations_endpoint=f"{base_url}{EVALUATIONS}",
            search_resource_endpoint=f"{base_url}{RESOURCE_SEARCH}",
            search_action_endpoint=f"{base_url}{ACTION_SEARCH}",
            access_request_endpoint=f"{base_url}{ACCESS_REQUEST}",
            capabilities=[CAN_ASK],
            supported_obligations=duties,
            obligations_supported=duties,
        )

    return routes
