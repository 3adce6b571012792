"""`/v1/rights-requests`: an application files what its person asked, and sees where it stands."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.clock import rfc3339
from privacy.http import InvalidFields, current_actor, parse_json, requires
from privacy.openapi import Operation, documented
from privacy.pseudonyms.service import Pseudonyms
from privacy.rights.model import InvalidRequest, RightsRequest, asked_from
from privacy.rights.schemas import RightsRequestAnswer, RightsRequestBody
from privacy.rights.service import Rights
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, rights: Rights, pseudonyms: Pseudonyms) -> Blueprint:
    """Return the routes of applications."""
    routes = Blueprint("rights_api", __name__)

    @routes.post("/v1/rights-requests")
    @requires(Scope.RIGHTS_WRITE)
    @documented(
        Operation(
            summary="File a person's rights request",
            tag="rights",
            request=RightsRequestBody,
            answers={201: RightsRequestAnswer},
            problems=("invalid-input", "not-found"),
            example={
                "subject": "d1v1_0123456789abcdefghijklmnopqrstuv",
                "right": "objection",
                "purpose": "newsletter",
                "language": "es",
            },
        )
    )
    def file_request() -> Response:
        """File a person's rights request."""
        actor = current_actor()
        body = parse_json(RightsRequestBody())
        subject, language = body.pop("subject"), body.pop("language")
        try:
            with runtime.unit_of_work(actor) as uow:
                subject_id = pseudonyms.resolve(uow.session, actor.domain, subject)
                if subject_id is None:
                    raise NotFound("there is no such person", field="subject")
                made = rights.ask_by_application(
                    uow, subject_id, asked_from(body, language), actor.client_id or ""
                )
        except InvalidRequest as error:
            raise InvalidFields(error.errors) from None
        response = jsonify(_standing(made))
        response.status_code = 201
        response.headers["Location"] = f"/v1/rights-requests/{made.reference}"
        return response

    @routes.get("/v1/rights-requests/<reference>")
    @requires(Scope.RIGHTS_READ)
    @documented(
        Operation(
            summary="See where a request stands that the calling application filed",
            tag="rights",
            answers={200: RightsRequestAnswer},
            problems=("not-found",),
        )
    )
    def read_request(reference: str) -> Response:
        """See where a request stands that the calling application filed."""
        with runtime.snapshot() as session:
            found = rights.referred(session, reference)
        if not found.filed_by or found.filed_by != current_actor().client_id:
            raise NotFound("there is no such request")
        return jsonify(_standing(found))

    return routes


def _standing(request: RightsRequest) -> dict[str, str | None]:
    return {
        "reference": request.reference,
        "right": request.right.value,
        "state": request.state.value,
        "received_at": rfc3339(request.received_at),
        "due_nominal": request.due.nominal.isoformat(),
        "due_effective": request.due.effective.isoformat(),
        "due_at": rfc3339(request.due.ends_at),
        "closed_at": rfc3339(request.closed_at) if request.closed_at else None,
    }
