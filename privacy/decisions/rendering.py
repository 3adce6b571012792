"""An answer as AuthZEN's JSON: the same bytes on every path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from policies.decision import Obligation
from privacy.clock import rfc3339
from privacy.decisions.model import Answer, Permitted
from privacy.events import Json

#: An answer may not be remembered: a withdrawal holds from its own answer on.
CACHE_SECONDS: Final = 0
#: For so long an application that was denied may still ask the person because of it.
MAY_ASK_FOR: Final = timedelta(hours=1)
RESOURCE_SEARCH: Final = "/access/v1/search/resource"
ACTION_SEARCH: Final = "/access/v1/search/action"
ACCESS_REQUEST: Final = "/access/v1/request"


def context_of(answer: Answer, base_url: str, now: datetime) -> dict[str, Json]:
    """The context of an answer, without its signed copy.

    Args:
        answer: the answer.
        base_url: of this deployment.
        now: aware UTC; when it was given.
    """
    decision = answer.decision
    if answer.refused is not None:
        error: Json = {"status": answer.refused.status, "message": answer.refused.message}
        return {"error": error}
    context: dict[str, Json] = {
        "reasons": [reason.value for reason in decision.reasons],
        "obligations": _obligations(decision.obligations),
        "valid_until": rfc3339(decision.valid_until) if decision.valid_until else None,
        "cache_seconds": CACHE_SECONDS,
        "evidence_id": answer.evidence_id,
    }
    if answer.covered is not None:
        covered: Json = {"covered": [*answer.covered], "not_covered": [*answer.not_covered]}
        context["categories"] = covered
    if answer.unsupported:
        context["unsupported_obligations"] = [*answer.unsupported]
    if answer.may_ask:
        ask: Json = {
            "endpoint": f"{base_url}{ACCESS_REQUEST}",
            "expires_at": rfc3339(now + MAY_ASK_FOR),
        }
        context["access_request"] = ask
    return context


def found(permitted: Permitted, entity: Mapping[str, Json]) -> dict[str, Json]:
    """One result of a search; its duties are as binding as those of a permit."""
    if not permitted.obligations:
        return {**entity}
    context: Json = {"obligations": _obligations(permitted.obligations)}
    return {**entity, "context": context}


def _obligations(obligations: Iterable[Obligation]) -> list[Json]:
    return [
        {"id": each.id, "type": each.type, "properties": dict(each.properties)}
        for each in obligations
    ]
