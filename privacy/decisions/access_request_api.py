"""`POST /access/v1/request`: an application that was denied asks the person.

Source: AuthZEN access-request profile (draft).
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from policies.vocabulary import Scope
from privacy.clock import rfc3339
from privacy.decisions import parsing
from privacy.decisions.access_request_pages import PAGE
from privacy.decisions.access_requests import AccessRequests
from privacy.decisions.api import EXAMPLE, HEADERS, body
from privacy.decisions.parsing import MalformedEvaluation
from privacy.decisions.rendering import ACCESS_REQUEST
from privacy.decisions.schemas import AccessRequestAnswer, AccessRequestBody
from privacy.http import current_actor, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, requests: AccessRequests, base_url: str) -> Blueprint:
    """Return the application's route."""
    routes = Blueprint("decisions_access_request_api", __name__)

    @routes.post(ACCESS_REQUEST)
    @requires(Scope.DECISIONS_EVALUATE)
    @documented(
        Operation(
            summary="Ask the person for the consent without which the answer was no",
            tag="decisions",
            request=AccessRequestBody,
            answers={201: AccessRequestAnswer},
            problems=(
                "malformed-evaluation",
                "forbidden",
                "invalid-input",
                "not-found",
                "unknown-purpose",
                "purpose-not-of-application",
                "not-requestable",
                "already-asked",
                "too-many-attempts",
            ),
            example={**EXAMPLE, "return_to": "https://shop.example/account"},
            headers=HEADERS,
        )
    )
    def ask() -> tuple[Response, int]:
        """Ask the person for the consent without which the answer was no."""
        asked = body()
        question = parsing.evaluation(asked)
        return_to = asked.get("return_to")
        if return_to is not None and not isinstance(return_to, str):
            raise MalformedEvaluation([("return_to", "is no string")])
        with runtime.unit_of_work(current_actor()) as uow:
            made = requests.make(uow, question, return_to)
        answer = {
            "form_url": f"{base_url}{PAGE}/{made.token}",
            "expires_at": rfc3339(made.request.expires_at),
            "evaluation_id": made.request.evidence_id,
        }
        return jsonify(answer), 201

    return routes
