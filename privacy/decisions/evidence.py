"""The answer as a signed statement that the application keeps: verified offline, computed again.

It holds what was asked and answered and the evidence id, which names the consent event, the register
and the instant; from those `Decisions.decide_at` computes the answer again. Of the person it says
nothing that the answer did not say. docs/decisions-api.md describes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from joserfc import jws
from sqlalchemy.orm import Session

from privacy.decisions.model import Answer, Question
from privacy.events import Json
from privacy.keys.signing import KeyUse, SigningKeys

TYP: Final = "decision+jwt"


class DecisionEvidence:
    """Signs answers, with the key of receipts."""

    def __init__(self, signing_keys: SigningKeys, base_url: str) -> None:
        self._signing_keys = signing_keys
        self._base_url = base_url

    def sign(
        self,
        session: Session,
        question: Question,
        answer: Answer,
        context: Mapping[str, Json],
        now: datetime,
    ) -> str:
        """Return a JWS in compact form of what was asked and answered.

        Args:
            session: one snapshot.
            question: what was asked.
            answer: the answer.
            context: the answer's, as it is sent.
            now: aware UTC; when it was given.
        """
        key = self._signing_keys.current(session, KeyUse.RECEIPT)
        kept = {name: value for name, value in context.items() if name != "access_request"}
        claims: dict[str, Json] = {
            "iss": self._base_url,
            "aud": question.subject_id,
            "iat": int(now.timestamp()),
            "evidence_id": answer.evidence_id,
            "unit": answer.unit,
            "request": _asked(question),
            "response": {"decision": answer.decision.permit, "context": kept},
        }
        header = {"alg": "Ed25519", "typ": TYP, "kid": key.kid}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return jws.serialize_compact(header, payload, key, algorithms=["Ed25519"])


def _asked(question: Question) -> dict[str, Json]:
    action: dict[str, Json] = {"name": question.action}
    options: dict[str, Json] = {
        name: value
        for name, value in (("channel", question.channel), ("partner", question.partner))
        if value is not None
    }
    if options:
        action["properties"] = options
    resource: dict[str, Json] = {"type": question.resource_type, "id": question.resource_id}
    if question.categories is not None:
        resource["properties"] = {"categories": [*question.categories]}
    asked: dict[str, Json] = {
        "subject": {"type": question.subject_type, "id": question.subject_id},
        "action": action,
        "resource": resource,
    }
    if question.supported_obligations is not None:
        supported: list[Json] = [*sorted(question.supported_obligations)]
        asked["context"] = {"supported_obligations": supported}
    return asked
