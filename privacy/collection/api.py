"""`/v1/attribute-requests`: an application asks its person for attributes."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, jsonify

from policies.vocabulary import Attribute, Scope
from privacy.clock import rfc3339
from privacy.collection.model import AttributeRequest
from privacy.collection.schemas import AttributeRequestAnswer, AttributeRequestBody
from privacy.collection.service import AttributeRequests
from privacy.events import Json
from privacy.http import current_actor, parse_json, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime

PAGE = "/account/asks"


def blueprint(runtime: Runtime, requests: AttributeRequests, base_url: str) -> Blueprint:
    """Return the routes of applications."""
    routes = Blueprint("collection_api", __name__)

    def standing(request: AttributeRequest, values: Mapping[Attribute, str]) -> dict[str, Json]:
        def field(attribute: Attribute) -> dict[str, Json]:
            return {"value": values[attribute]} if attribute in values else {}

        answered_at = request.answered_at
        return {
            "id": request.request_id,
            "url": f"{base_url}{PAGE}/{request.request_id}",
            "state": request.state(runtime.clock()).value,
            "collection_point": request.collection_point,
            "expires_at": rfc3339(request.expires_at),
            "answered_at": rfc3339(answered_at) if answered_at else None,
            "fields": [
                {
                    "attribute": each.attribute.value,
                    "required": each.required,
                    "answer": each.answer.value if each.answer else None,
                    **field(each.attribute),
                }
                for each in request.fields
            ],
        }

    @routes.post("/v1/attribute-requests")
    @requires(Scope.PROFILE_REQUEST)
    @documented(
        Operation(
            summary="Ask a person for the attributes of a form",
            tag="collection",
            request=AttributeRequestBody,
            answers={201: AttributeRequestAnswer},
            problems=("invalid-input", "not-found", "nothing-to-ask", "asked-enough"),
            example={
                "subject": "d1v1_0123456789abcdefghijklmnopqrstuv",
                "collection_point": "delivery-details",
                "return_to": "https://shop.example/checkout",
            },
        )
    )
    def ask() -> tuple[Response, int, dict[str, str]]:
        """Ask a person for the attributes of a form."""
        body = parse_json(AttributeRequestBody())
        with runtime.unit_of_work(current_actor()) as uow:
            made = requests.make(
                uow,
                pseudonym=body["subject"],
                collection_point=body["collection_point"],
                return_to=body["return_to"],
            )
        address = f"/v1/attribute-requests/{made.request_id}"
        return jsonify(standing(made, {})), 201, {"Location": address}

    @routes.get("/v1/attribute-requests/<request_id>")
    @requires(Scope.PROFILE_REQUEST)
    @documented(
        Operation(
            summary="See what the person answered, and what may be used of it now",
            tag="collection",
            answers={200: AttributeRequestAnswer},
            problems=("not-found",),
        )
    )
    def read(request_id: str) -> Response:
        """See what the person answered, and what may be used of it now."""
        actor = current_actor()
        with runtime.snapshot() as session:
            found = requests.of_application(session, actor, request_id)
            values = requests.values(session, actor, found, runtime.clock())
        return jsonify(standing(found, values))

    return routes
