"""What a receipt tells, before it takes one of its forms: claims, JSON-LD, Kantara."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from policies.register.model import Controller
from policies.vocabulary import ConsentAction, LegalBasis, SaidBy
from privacy.consent.model import IN_FORCE, ConsentEvent, Shown
from privacy.consent.receipt_description import Description
from privacy.events import Json

#: Source: W3C DPV, guide "Consent records and receipts with ISO/IEC TS 27560".
RECEIPT_SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
RECORD_SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
PENDING: Final = "pending"
LOGGED: Final = "logged"
#: What stands where the register never described a purpose that it no longer has.
NOT_AVAILABLE: Final = "dpv:NotAvailable"

DPV_STATUS: Final[Mapping[ConsentAction, str]] = MappingProxyType(
    {
        ConsentAction.REQUESTED: "dpv:ConsentRequested",
        ConsentAction.GIVEN: "dpv:ConsentGiven",
        ConsentAction.REFUSED: "dpv:ConsentRefused",
        ConsentAction.WITHDRAWN: "dpv:ConsentWithdrawn",
        ConsentAction.RENEWED: "dpv:RenewedConsentGiven",
        ConsentAction.EXPIRED: "dpv:ConsentExpired",
        ConsentAction.REVOKED: "dpv:ConsentRevoked",
        ConsentAction.INVALIDATED: "dpv:ConsentInvalidated",
    }
)
GDPR_BASIS: Final[Mapping[LegalBasis, str]] = MappingProxyType(
    {
        LegalBasis.CONSENT: "eu-gdpr:A6-1-a",
        LegalBasis.CONTRACT: "eu-gdpr:A6-1-b",
        LegalBasis.LEGAL_OBLIGATION: "eu-gdpr:A6-1-c",
        LegalBasis.VITAL_INTERESTS: "eu-gdpr:A6-1-d",
        LegalBasis.PUBLIC_TASK: "eu-gdpr:A6-1-e",
        LegalBasis.LEGITIMATE_INTERESTS: "eu-gdpr:A6-1-f",
    }
)
EXPLICIT_CONSENT: Final = "eu-gdpr:A9-2-a"

#: Who exercised the event. What staff write down and what is imported is the person's word.
DPV_ENTITY: Final[Mapping[SaidBy, str]] = MappingProxyType(
    {
        SaidBy.PERSON: "dpv:DataSubject",
        SaidBy.GUARDIAN: "dpv:GuardianOfDataSubject",
        SaidBy.REPRESENTATIVE: "dpv:LegalAgent",
        SaidBy.STAFF: "dpv:DataSubject",
        SaidBy.IMPORT: "dpv:DataSubject",
        SaidBy.CONTROLLER: "dpv:DataController",
        SaidBy.CLOCK: "dpv:DataController",
    }
)


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
class ReceiptFacts:
    """Everything that a receipt tells of one event.

    Attributes:
        event: the event.
        words: the exact words that it is pinned to.
        controller: who answers for the data.
        description: the purpose as the register described it at the event; None where no revision
            that we kept describes it.
        place: where the log holds it.
        person: the asking application's pseudonym; None in the person's own copy.
        base_url: the deployment's.
        at: when this copy is issued; aware UTC.
    """

    event: ConsentEvent
    words: Shown
    controller: Controller
    description: Description | None
    place: LogPlace
    person: str | None
    base_url: str
    at: datetime

    @property
    def principal(self) -> str:
        """How the receipt names the person.

        In her own copy by the same name in each receipt, which no application has and from which
        nobody gets back to her; we can compute it again.
        """
        if self.person is not None:
            return self.person
        return hashlib.sha256(f"receipt|{self.event.subject_id}".encode()).hexdigest()[:32]

    @property
    def is_own_copy(self) -> bool:
        """Whether the person asks, and not an application."""
        return self.person is None

    @property
    def record_id(self) -> str:
        """The event's id as a UUID. Source: ISO/IEC TS 27560 (`record_id`); RFC 9562."""
        return str(UUID(hex=self.event.event_id))

    @property
    def is_grant(self) -> bool:
        """Whether the event is a yes."""
        return self.event.action in IN_FORCE

    @property
    def recorded_at(self) -> datetime:
        """When it was written down; aware UTC."""
        return self.event.recorded_at or self.event.at

    @property
    def withdrawal_method(self) -> str:
        """Where the person takes it back."""
        return f"{self.base_url}/privacy#{self.event.purpose}"

    @property
    def legal_bases(self) -> tuple[str, ...]:
        """DPV terms of the legal basis, and of the condition of GDPR Art. 9(2) where one is needed."""
        basis = self.description.legal_basis if self.description else LegalBasis.CONSENT
        is_special = self.description is not None and self.description.is_special
        return (GDPR_BASIS[basis], *([EXPLICIT_CONSENT] if is_special else ()))

    @property
    def title(self) -> str:
        """The purpose's title in the language of the notice; its id where nothing was kept."""
        if self.description is None:
            return self.event.purpose
        title = self.description.title
        return title.get(self.event.language, title["es"])
