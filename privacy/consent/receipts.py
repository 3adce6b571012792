"""The person's signed copy of a consent event, with the proof that the log holds it.

`receipt_claims` says what is signed, `receipt_jsonld` and `receipt_kantara` the same for other
readers; docs/consent.md describes it, docs/verify_receipt.py verifies one offline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from joserfc import jws
from sqlalchemy.orm import Session

from policies.register.model import Register
from privacy.audit import store as audit
from privacy.audit.inclusion import Inclusions
from privacy.consent.model import ConsentEvent, Shown
from privacy.consent.receipt_claims import claims
from privacy.consent.receipt_description import Description, describe
from privacy.consent.receipt_facts import LOGGED, PENDING, LogPlace, ReceiptFacts
from privacy.consent.receipt_jsonld import json_ld
from privacy.consent.receipt_kantara import kantara
from privacy.consent.receipt_store import kept_description
from privacy.events import Json
from privacy.keys.signing import KeyUse, SigningKeys

__all__ = ["LOGGED", "PENDING", "TYP", "LogPlace", "Receipt", "Receipts", "log_place"]

TYP: Final = "consent-receipt+jwt"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt: what it tells, what it claims, and the signed form of that."""

    facts: ReceiptFacts
    claims: Mapping[str, Json]
    jws: str

    @property
    def log(self) -> LogPlace:
        """Where the log holds the event."""
        return self.facts.place

    def json_ld(self) -> dict[str, Json]:
        """The receipt as JSON-LD in terms of the Data Privacy Vocabulary."""
        return json_ld(self.facts, self.jws)

    def kantara(self) -> dict[str, Json]:
        """The receipt in Kantara's form 1.1.

        Raises:
            InvalidInput: the event is not a consent given or renewed.
        """
        return kantara(self.facts)


def log_place(session: Session, entry_id: str, inclusions: Inclusions | None = None) -> LogPlace:
    """Where the log holds an entry now.

    Args:
        session: one snapshot.
        entry_id: the entry.
        inclusions: of the same snapshot, where many receipts are issued at once.

    Raises:
        LookupError: there is no such entry.
    """
    entry = next(audit.entries(session, [entry_id]), None)
    if entry is None:
        raise LookupError(entry_id)
    inclusions = inclusions or Inclusions(session)
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
        inclusions: Inclusions | None = None,
    ) -> Receipt:
        """Return the signed receipt of an event as of now.

        Args:
            session: one snapshot.
            event: the event.
            words: the exact words that it is pinned to.
            person: the asking application's pseudonym; None where the person asks.
            at: now; the receipt's date of issue.
            inclusions: of the same snapshot, where many receipts are issued at once.
        """
        description = self._description(session, event)
        facts = ReceiptFacts(
            event=event,
            words=words,
            controller=description.controller if description else self._register.controller,
            description=description,
            place=log_place(session, event.entry_id, inclusions),
            person=person,
            base_url=self._base_url,
            at=at,
        )
        claimed = claims(facts)
        return Receipt(facts=facts, claims=claimed, jws=self._signed(session, claimed))

    def keys(self, session: Session) -> dict[str, object]:
        """Return the public keys of receipts, as a JWK set. Source: RFC 7517 s. 5."""
        return {"keys": self._signing_keys.public(session, KeyUse.RECEIPT)}

    def _signed(self, session: Session, claimed: Mapping[str, Json]) -> str:
        key = self._signing_keys.current(session, KeyUse.RECEIPT)
        header = {"alg": "Ed25519", "typ": TYP, "kid": key.kid}
        payload = json.dumps(claimed, ensure_ascii=False, separators=(",", ":")).encode()
        return jws.serialize_compact(header, payload, key, algorithms=["Ed25519"])

    def _description(self, session: Session, event: ConsentEvent) -> Description | None:
        """What the register said of the purpose at the event; else what it says today."""
        kept = kept_description(session, event.register_revision, event.purpose)
        purpose = self._register.purpose(event.purpose)
        if kept is not None or purpose is None:
            return kept
        return describe(self._register, purpose)
