"""`/v1/pseudonyms`: an application's own list becomes its own pseudonyms, and their aliases."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from policies.vocabulary import Scope
from privacy.clock import rfc3339
from privacy.http import current_actor, parse_json, parse_query, requires
from privacy.openapi import Operation, documented
from privacy.pseudonyms.schemas import (
    MAX_ALIASES,
    AliasesAnswer,
    AliasesQuery,
    PseudonymsAnswer,
    PseudonymsRequest,
)
from privacy.pseudonyms.service import Pseudonyms
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, pseudonyms: Pseudonyms) -> Blueprint:
    """Return the routes of this capability."""
    routes = Blueprint("pseudonyms_api", __name__)

    @routes.post("/v1/pseudonyms")
    @requires(Scope.PSEUDONYMS_WRITE)
    @documented(
        Operation(
            summary="Turn addresses and numbers into the calling application's pseudonyms",
            tag="pseudonyms",
            request=PseudonymsRequest,
            answers={200: PseudonymsAnswer},
            problems=("invalid-input",),
            example={"identifiers": ["ana@example.com", {"phone": "+34600111222"}]},
        )
    )
    def pseudonymise() -> Response:
        """Turn addresses and numbers into the calling application's pseudonyms."""
        actor = current_actor()
        asked = parse_json(PseudonymsRequest())
        with runtime.unit_of_work(actor) as uow:
            values = pseudonyms.pseudonymise(uow, actor.domain, asked["identifiers"])
        return jsonify(pseudonyms=values)

    @routes.get("/v1/pseudonyms/aliases")
    @requires(Scope.PSEUDONYMS_READ)
    @documented(
        Operation(
            summary="Which of the application's pseudonyms turned out to name one person",
            tag="pseudonyms",
            query=AliasesQuery,
            answers={200: AliasesAnswer},
            problems=("invalid-input",),
        )
    )
    def aliases() -> Response:
        """Which of the application's pseudonyms turned out to name one person."""
        after: int = parse_query(AliasesQuery())["after"]
        with runtime.snapshot() as session:
            found = pseudonyms.aliases(
                session, current_actor().domain, after=after, limit=MAX_ALIASES
            )
        return jsonify(
            aliases=[{"old": a.old, "new": a.new, "at": rfc3339(a.at)} for a in found],
            next=found[-1].ordinal if found else after,
        )

    return routes
