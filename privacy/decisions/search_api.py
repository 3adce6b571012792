"""`/access/v1/search/…`: whose data for a purpose, which purposes for a person.

Source: AuthZEN Authorization API 1.0 s. 8.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, jsonify

from policies.vocabulary import Scope
from privacy.decisions import parsing
from privacy.decisions.api import EXAMPLE, HEADERS, body
from privacy.decisions.model import PERSON
from privacy.decisions.rendering import ACTION_SEARCH, RESOURCE_SEARCH, found
from privacy.decisions.schemas import (
    ActionSearchAnswer,
    ActionSearchRequest,
    ResourceSearchAnswer,
    ResourceSearchRequest,
)
from privacy.decisions.search_page import PeoplePages
from privacy.decisions.service import Decisions
from privacy.events import Json
from privacy.http import current_actor, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, decisions: Decisions, pages: PeoplePages) -> Blueprint:
    """Return the routes of searches.

    Args:
        runtime: the doors.
        decisions: decides.
        pages: answers searches for people.
    """
    routes = Blueprint("decisions_search_api", __name__)

    @routes.post(RESOURCE_SEARCH)
    @requires(Scope.DECISIONS_EVALUATE)
    @documented(
        Operation(
            summary="Whose data may this application use for this purpose, now?",
            tag="decisions",
            request=ResourceSearchRequest,
            answers={200: ResourceSearchAnswer},
            problems=("malformed-evaluation",),
            example={
                "subject": EXAMPLE["subject"],
                "action": {"name": "newsletter"},
                "resource": {"type": PERSON},
                "page": {"limit": 100},
            },
            headers=HEADERS,
        )
    )
    def search_people() -> Response:
        """Whose data may this application use for this purpose, now?"""
        page = pages.page(current_actor(), parsing.resource_search(body()), runtime.clock())
        return Response(page, mimetype="application/json")

    @routes.post(ACTION_SEARCH)
    @requires(Scope.DECISIONS_EVALUATE)
    @documented(
        Operation(
            summary="For which purposes may this application use this person's data, now?",
            tag="decisions",
            request=ActionSearchRequest,
            answers={200: ActionSearchAnswer},
            problems=("malformed-evaluation",),
            example={name: EXAMPLE[name] for name in ("subject", "resource")},
            headers=HEADERS,
        )
    )
    def search_actions() -> Response:
        """For which purposes may this application use this person's data, now?"""
        actor, question = current_actor(), parsing.action_search(body()).question
        if not decisions.is_about_a_person(actor, question):
            return _actions([])
        with runtime.snapshot() as session:
            permitted = decisions.actions(
                session, actor, question.resource_id, runtime.clock(), asked=question
            )
        return _actions([found(each, {"name": each.name}) for each in permitted])

    return routes


def _actions(results: list[dict[str, Json]]) -> Response:
    page: Mapping[str, Json] = {"next_token": "", "count": len(results)}
    return jsonify(results=results, page=page)
