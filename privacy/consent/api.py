"""`/v1/consents` and `/v1/purposes`: consent for applications."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flask import Blueprint, Response, jsonify, url_for

from policies.register.model import Purpose, Register
from policies.vocabulary import LegalBasis, Scope
from privacy.clock import rfc3339
from privacy.consent.applications import ApplicationConsents, Word
from privacy.consent.model import State, purpose_rule, status_of
from privacy.consent.receipts import PENDING
from privacy.consent.schemas import (
    ConsentAnswer,
    ConsentRequest,
    ConsentsAnswer,
    ConsentsQuery,
    PurposesAnswer,
)
from privacy.consent.service import Consents
from privacy.events import Json
from privacy.http import current_actor, parse_json, parse_query, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime

_REQUEST: Final = ConsentRequest()


def blueprint(
    runtime: Runtime,
    consents: Consents,
    applications: ApplicationConsents,
) -> Blueprint:
    """Return the routes of this capability."""
    routes = Blueprint("consent_api", __name__)
    register = consents.register

    @routes.post("/v1/consents")
    @requires(Scope.CONSENTS_WRITE)
    @documented(
        Operation(
            summary="Record that a person gave, refused or withdrew a consent",
            tag="consent",
            request=ConsentRequest,
            answers={201: ConsentAnswer},
            problems=(
                "invalid-input",
                "unknown-purpose",
                "not-by-consent",
                "purpose-not-of-application",
                "unknown-language",
                "stale-notice",
                "guardian-needed",
                "deceased-person",
                "nothing-to-withdraw",
                "not-found",
            ),
            example={
                "subject": {"email": "ana@example.com"},
                "purpose": "newsletter",
                "notice_version": 2,
                "language": "es",
                "channel": "store",
            },
        )
    )
    def record() -> tuple[Response, int, dict[str, str]]:
        """Record that a person gave, refused or withdrew a consent."""
        word: Word = parse_json(_REQUEST)
        with runtime.unit_of_work(current_actor()) as uow:
            done = applications.record(uow, word)
        address = url_for("consent_receipt_api.receipt", event_id=done.event.event_id)
        told: dict[str, Json] = {
            "event_id": done.event.event_id,
            "entry_id": done.event.entry_id,
            "subject": done.pseudonym,
            "receipt": address,
            "log": PENDING,
        }
        if done.to_confirm:
            told["pending"] = "confirmation"
        return jsonify(told), 201, {"Location": address}

    @routes.get("/v1/consents")
    @requires(Scope.CONSENTS_READ)
    @documented(
        Operation(
            summary="How the application's consent purposes stand with one person",
            tag="consent",
            query=ConsentsQuery,
            answers={200: ConsentsAnswer},
            problems=("invalid-input", "not-found"),
        )
    )
    def current() -> Response:
        """How the application's consent purposes stand with one person."""
        pseudonym: str = parse_query(ConsentsQuery())["subject"]
        with runtime.snapshot() as session:
            states = applications.states(session, current_actor(), pseudonym)
        now = runtime.clock()
        decided = [
            _state(register, state, now)
            for state in states.values()
            if register.purposes[state.purpose].legal_basis is LegalBasis.CONSENT
        ]
        return jsonify(subject=pseudonym, consents=decided)

    @routes.get("/v1/purposes")
    @requires(Scope.PURPOSES_READ)
    @documented(
        Operation(
            summary="The application's purposes with the notices to show",
            tag="consent",
            answers={200: PurposesAnswer},
        )
    )
    def purposes() -> Response:
        """The application's purposes with the notices to show."""
        mine = applications.purposes(current_actor())
        described = [_purpose(register, purpose) for purpose in mine]
        return jsonify(register_revision=register.revision, purposes=described)

    return routes


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None


def _state(register: Register, state: State, now: datetime) -> dict[str, Json]:
    consent = state.consent
    return {
        "purpose": state.purpose,
        "status": status_of(consent, purpose_rule(register, state.purpose), now).value,
        "since": _time(consent.at) if consent else None,
        "expires_at": _time(consent.expires_at) if consent else None,
        "notice_version": consent.notice_version if consent else None,
        "explicit": bool(consent and consent.explicit),
        "objected_since": _time(state.objected_since),
        "event_id": state.event_id,
    }


def _purpose(register: Register, purpose: Purpose) -> dict[str, Json]:
    notice = register.notice_of(purpose.id)
    described: Json = None
    if notice and notice.published:
        described = {
            "id": notice.notice,
            "version": notice.version,
            "digest": notice.digest,
            "published": notice.published.isoformat(),
            "texts": dict(notice.texts),
        }
    by_consent = purpose.legal_basis is LegalBasis.CONSENT
    return {
        "id": purpose.id,
        "title": dict(purpose.title),
        "summary": dict(purpose.summary),
        "legal_basis": purpose.legal_basis.value,
        "explicit": purpose.explicit,
        "validity_months": purpose.validity_months if by_consent else None,
        "notice": described,
    }
