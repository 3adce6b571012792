"""The person's signed copy of a consent event, with the proof that the log holds it.

Claims follow the sections of ISO/IEC TS 27560 in terms of the W3C Data Privacy Vocabulary 2.3;
docs/consent.md describes each and how to verify one with `cryptography` alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from joserfc import jws
from sqlalchemy.orm import Session

from policies.register.model import Purpose, Register
from policies.vocabulary import ConsentAction, LegalBasis
from privacy.audit import store as audit
from privacy.audit.inclusion import Inclusions
from privacy.clock import rfc3339
from privacy.consent.model import ConsentEvent, Shown
from privacy.events import Json
from privacy.keys.signing import KeyUse, SigningKeys

TYP: Final = "consent-receipt+jwt"
SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
PENDING: Final = "pending"
LOGGED: Final = "logged"

_DPV_STATUS: Final[Mapping[ConsentAction, str]] = {
    ConsentAction.REQUESTED: "dpv:ConsentRequested",
    ConsentAction.GIVEN: "dpv:ConsentGiven",
    ConsentAction.REFUSED: "dpv:ConsentRefused",
    ConsentAction.WITHDRAWN: "dpv:ConsentWithdrawn",
    ConsentAction.RENEWED: "dpv:RenewedConsentGiven",
    ConsentAction.EXPIRED: "dpv:ConsentExpired",
    ConsentAction.REVOKED: "dpv:ConsentRevoked",
    ConsentAction.INVALIDATED: "dpv:ConsentInvalidated",
}
_GDPR_BASIS: Final[Mapping[LegalBasis, str]] = {
    LegalBasis.CONSENT: "eu-gdpr:A6-1-a",
    LegalBasis.CONTRACT: "eu-gdpr:A6-1-b",
    LegalBasis.LEGAL_OBLIGATION: "eu-gdpr:A6-1-c",
    LegalBasis.VITAL_INTERESTS: "eu-gdpr:A6-1-d",
    LegalBasis.PUBLIC_TASK: "eu-gdpr:A6-1-e",
    LegalBasis.LEGITIMATE_INTERESTS: "eu-gdpr:A6-1-f",
}


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where the log holds an entry, and the proof that anybody can check offline.

    Attributes:
        index: the entry's number; None while it waits for the worker, a few seconds.
        leaf: the leaf's exact bytes.
        proof: C2SP tlog-proof with the signed checkpoint; None while it waits.
    """

    index: int | None
    leaf: bytes
    proof: str | None

    @property
    def status(self) -> str:
        """`pending` or `logged`."""
        return PENDING if self.proof is None else LOGGED

    def to_json(self) -> dict[str, Json]:
        """The place as the receipt tells it."""
        return {
            "status": self.status,
            "index": self.index,
            "leaf": self.leaf.decode(),
            "proof": self.proof,
        }


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt: what it claims, the place in the log, and the signed form of both."""

    claims: Mapping[str, Json]
    log: LogPlace
    jws: str


def log_place(session: Session, entry_id: str) -> LogPlace:
    """Where the log holds an entry now.

    Raises:
        LookupError: there is no such entry.
    """
    entry = next(audit.entries(session, [entry_id]), None)
    if entry is None:
        raise LookupError(entry_id)
    inclusions = Inclusions(session)
    placed = inclusions.find(entry_id)
    if placed is None:
        return LogPlace(index=None, leaf=entry.leaf, proof=None)
    proof = inclusions.tlog_proof(placed)
    return LogPlace(index=placed.index, leaf=placed.leaf, proof=proof)


class Receipts:
    """Writes and signs receipts."""

    def __init__(self, register: Register, signing_keys: SigningKeys, base_url: str) -> None:
        self._register = register
        self._signing_keys = signing_keys
        self._base_url = base_url

    def issue(
        self,
        session: Session,
        event: ConsentEvent,
        words: Shown,
        *,
        person: str | None,
        at: datetime,
    ) -> Receipt:
        """Return the signed receipt of an event as of now.

        Args:
            session: one snapshot.
            event: the event.
            words: the exact words that it is pinned to.
            person: the asking application's pseudonym; None where the person asks.
            at: now; the receipt's date of issue.
        """
        place = log_place(session, event.entry_id)
        claims = self._claims(event, words, place, person, at)
        key = self._signing_keys.current(session, KeyUse.RECEIPT)
        header = {"alg": "Ed25519", "typ": TYP, "kid": key.kid}
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
        signed = jws.serialize_compact(header, payload, key, algorithms=["Ed25519"])
        return Receipt(claims=claims, log=place, jws=signed)

    def keys(self, session: Session) -> dict[str, object]:
        """Return the public keys of receipts, as a JWK set. Source: RFC 7517 s. 5."""
        return {"keys": self._signing_keys.public(session, KeyUse.RECEIPT)}

    def _claims(
        self,
        event: ConsentEvent,
        words: Shown,
        place: LogPlace,
        person: str | None,
        at: datetime,
    ) -> dict[str, Json]:
        claims: dict[str, Json] = {
            "iss": self._base_url,
            "iat": int(at.timestamp()),
            "jti": event.event_id,
            "schema_version": SCHEMA,
            "receipt_id": event.event_id,
            "record_id": event.event_id,
            "pii_principal_id": person,
            "notice": {
                "id": words.notice,
                "version": words.version,
                "digest": words.digest,
                "language": words.language,
                "text": words.text,
            },
            "processing": [self._processing(event)],
            "parties": [self._controller()],
            "events": [
                {
                    "event_time": rfc3339(event.at),
                    "event_type": "explicit" if event.explicit else "regular",
                    "event_state": _DPV_STATUS[event.action],
                    "action": event.action.value,
                    "valid_until": rfc3339(event.expires_at) if event.expires_at else None,
                    "channel": event.channel.value,
                    "entity_id": "pii_principal",
                }
            ],
            "register_revision": event.register_revision,
            "entry_id": event.entry_id,
            "log": place.to_json(),
        }
        if person is None:
            del claims["pii_principal_id"]
        return claims

    def _processing(self, event: ConsentEvent) -> dict[str, Json]:
        """The purpose as the register describes it today; the notice's text is what was agreed."""
        described: dict[str, Json] = {
            "purpose": event.purpose,
            "withdrawal_method": f"{self._base_url}/privacy#{event.purpose}",
            "privacy_rights": f"{self._base_url}/rights",
            "jurisdiction": self._register.controller.country,
        }
        purpose = self._register.purpose(event.purpose)
        if purpose is not None:
            described |= self._description(purpose, event.language)
        return described

    def _description(self, purpose: Purpose, language: str) -> dict[str, Json]:
        register = self._register
        title = purpose.title
        return {
            "title": title.get(language, title["es"]),
            "purpose_type": purpose.dpv_purpose,
            "lawful_basis": _GDPR_BASIS[purpose.legal_basis],
            "pii_type": list(purpose.data_categories),
            "recipient_third_parties": [
                {"id": each, "name": register.recipients[each].name} for each in purpose.recipients
            ],
            "retention_period": {
                "rule": purpose.retention,
                "months": register.retention[purpose.retention].period,
                "from": register.retention[purpose.retention].starts.value,
            },
        }

    def _controller(self) -> dict[str, Json]:
        controller = self._register.controller
        return {
            "role": "dpv:DataController",
            "id": controller.tax_id,
            "name": controller.name,
            "address": controller.address,
            "contact": controller.privacy_email,
            "dpo": controller.dpo_email,
        }
