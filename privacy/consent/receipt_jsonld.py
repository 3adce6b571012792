"""A receipt as JSON-LD in terms of the Data Privacy Vocabulary 2.3.

The form is that of the DPV guide for ISO/IEC TS 27560: a `dpv:ConsentReceipt` around one
`dpv:ConsentRecord`. The context stands in the document, so whoever reads it fetches nothing, and
nobody learns that a receipt is being read. docs/schema/consent-receipt.shacl.ttl has its shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from policies.register.model import RecipientRole
from policies.vocabulary import SaidBy
from privacy.clock import rfc3339
from privacy.consent.receipt_description import Description, Receiver
from privacy.consent.receipt_facts import (
    DPV_ENTITY,
    DPV_STATUS,
    NOT_AVAILABLE,
    RECEIPT_SCHEMA,
    RECORD_SCHEMA,
    ReceiptFacts,
)
from privacy.events import Json


def _iri(term: str) -> dict[str, Json]:
    return {"@id": term, "@type": "@id"}


_TIME: Final[Json] = "xsd:dateTime"
#: Served at /schema/consent-receipt.context.jsonld too. Own terms are below `urn:placet:receipt:`.
CONTEXT: Final[Mapping[str, Json]] = MappingProxyType(
    {
        "@version": 1.1,
        "dpv": "https://w3id.org/dpv#",
        "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
        "loc": "https://w3id.org/dpv/loc#",
        "dct": "http://purl.org/dc/terms/",
        "schema": "https://schema.org/",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "placet": {"@id": "urn:placet:receipt:", "@prefix": True},
        "dct:conformsTo": _iri("dct:conformsTo"),
        "dct:publisher": _iri("dct:publisher"),
        "dct:created": {"@id": "dct:created", "@type": _TIME},
        "dpv:hasPurpose": _iri("dpv:hasPurpose"),
        "dpv:hasLegalBasis": _iri("dpv:hasLegalBasis"),
        "dpv:hasJurisdiction": _iri("dpv:hasJurisdiction"),
        "dpv:hasLocation": _iri("dpv:hasLocation"),
        "dpv:hasDataController": _iri("dpv:hasDataController"),
        "dpv:hasRecipientThirdParty": _iri("dpv:hasRecipientThirdParty"),
        "dpv:isExercisedAt": _iri("dpv:isExercisedAt"),
        "dpv:isIndicatedBy": _iri("dpv:isIndicatedBy"),
        "dpv:isIndicatedAtTime": {"@id": "dpv:isIndicatedAtTime", "@type": _TIME},
        "placet:recordedAt": {"@id": "placet:recordedAt", "@type": _TIME},
    }
)

#: Rights of everybody whose data rests on consent. Source: GDPR Art. 7(3), 15 to 18, 20, 77.
_RIGHTS: Final = ("A7-3", "A15", "A16", "A17", "A18", "A20", "A77")


def json_ld(facts: ReceiptFacts, jws: str) -> dict[str, Json]:
    """Return the receipt as a JSON-LD document, with its signed form inside.

    Args:
        facts: what it tells.
        jws: the signed claims, compact; only they prove anything.
    """
    return {
        "@context": dict(CONTEXT),
        "@id": f"{facts.base_url}/v1/receipts/{facts.event.event_id}",
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": facts.event.event_id,
        "dct:conformsTo": RECEIPT_SCHEMA,
        "dct:created": rfc3339(facts.at),
        "dct:publisher": _controller_id(facts),
        "dpv:hasRecordOfActivity": _record(facts),
        "placet:signedReceipt": jws,
    }


def _record(facts: ReceiptFacts) -> dict[str, Json]:
    event = facts.event
    return {
        "@id": f"urn:uuid:{facts.record_id}",
        "@type": "dpv:ConsentRecord",
        "dct:identifier": facts.record_id,
        "dct:conformsTo": RECORD_SCHEMA,
        "dpv:hasDataSubject": {
            "@type": "dpv:DataSubject",
            "dpv:hasIdentifier": facts.principal,
        },
        "dpv:hasJurisdiction": f"loc:{facts.controller.country}",
        "dpv:hasEntity": [_controller(facts)],
        "dpv:hasNotice": _notice(facts),
        "dpv:hasProcess": [_process(facts)],
        "dpv:hasConsentStatus": [_status(facts)],
        "placet:registerRevision": event.register_revision,
        "placet:logEntry": event.entry_id,
        "placet:logLeaf": facts.place.leaf.decode(),
        **({"placet:logProof": facts.place.proof} if facts.place.proof else {}),
    }


def _controller_id(facts: ReceiptFacts) -> str:
    return f"{facts.base_url}/#controller"


def _controller(facts: ReceiptFacts) -> dict[str, Json]:
    controller = facts.controller
    return {
        "@id": _controller_id(facts),
        "@type": ["dpv:Organisation", "dpv:DataController"],
        "dpv:hasIdentifier": controller.tax_id,
        "dpv:hasName": controller.name,
        "dpv:hasAddress": controller.address,
        "dpv:hasContact": controller.privacy_email,
        "schema:url": facts.base_url,
    }


def _notice(facts: ReceiptFacts) -> dict[str, Json]:
    words = facts.words
    return {
        "@id": f"{facts.base_url}/notices/{words.notice}/{words.version}",
        "@type": "dpv:ConsentNotice",
        "dct:language": words.language,
        "schema:version": words.version,
        "schema:text": words.text,
        "placet:digest": words.digest,
    }


def _process(facts: ReceiptFacts) -> dict[str, Json]:
    description = facts.description
    recipients = description.recipients if description else ()
    third_parties = [r for r in recipients if r.role is RecipientRole.CONTROLLER]
    process: dict[str, Json] = {
        "@type": "dpv:Process",
        "dct:identifier": facts.event.purpose,
        "dct:title": facts.title,
        "dpv:hasPurpose": description.dpv_purpose if description else NOT_AVAILABLE,
        "dpv:hasLegalBasis": list(facts.legal_bases),
        "dpv:hasPersonalData": _personal_data(facts),
        "dpv:hasDataController": _controller_id(facts),
        # GDPR Art. 4(9): processors are recipients too. The controller is always one.
        "dpv:hasRecipient": [
            {"@id": _controller_id(facts)},
            *(_recipient(facts, each) for each in recipients),
        ],
        "dpv:hasStorageCondition": _storage(facts, description),
        "dpv:hasJurisdiction": f"loc:{facts.controller.country}",
        "dpv:hasConsentControl": {
            "@type": "dpv:WithdrawConsent",
            "dpv:isExercisedAt": facts.withdrawal_method,
        },
        "dpv:hasRight": {
            "@type": ["dpv:DataSubjectRight", *(f"eu-gdpr:{right}" for right in _RIGHTS)],
            "dpv:isExercisedAt": f"{facts.base_url}/rights",
        },
    }
    if third_parties:
        process["dpv:hasRecipientThirdParty"] = [_id_of(facts, each) for each in third_parties]
    if description is not None:
        process |= _asked_for(description, facts.event.language)
    return process


def _asked_for(description: Description, language: str) -> dict[str, Json]:
    """What the register asks about by itself: one channel, one partner; and how often."""
    told: dict[str, Json] = {
        "placet:partOf": description.part_of,
        "placet:channel": description.channel.value if description.channel else None,
        "placet:partner": description.partner.name if description.partner else None,
        "dpv:hasFrequency": _frequency(description, language),
    }
    return {name: value for name, value in told.items() if value is not None}


def _frequency(description: Description, language: str) -> Json:
    words = description.frequency.get(language, description.frequency.get("es"))
    return {"@type": "dpv:Frequency", "dct:description": words} if words else None


def _personal_data(facts: ReceiptFacts) -> Json:
    if facts.description is None:
        return [{"@id": NOT_AVAILABLE}]
    language = facts.event.language
    return [
        {
            "@type": "dpv:SpecialCategoryPersonalData" if each.special else "dpv:PersonalData",
            "dct:identifier": each.id,
            "dct:title": each.title.get(language, each.title["es"]),
        }
        for each in facts.description.categories
    ]


def _id_of(facts: ReceiptFacts, receiver: Receiver) -> str:
    return f"{facts.base_url}/#recipient-{receiver.id}"


def _recipient(facts: ReceiptFacts, receiver: Receiver) -> dict[str, Json]:
    is_processor = receiver.role is RecipientRole.PROCESSOR
    return {
        "@id": _id_of(facts, receiver),
        "@type": ["dpv:DataProcessor"]
        if is_processor
        else ["dpv:ThirdParty", "dpv:DataController"],
        "dpv:hasIdentifier": receiver.id,
        "dpv:hasName": receiver.name,
        "dpv:hasLocation": f"loc:{receiver.country}",
    }


def _storage(facts: ReceiptFacts, description: Description | None) -> list[Json]:
    countries = description.countries if description else (facts.controller.country,)
    return [
        {
            "@type": "dpv:StorageLocation",
            "dpv:hasLocation": [f"loc:{country}" for country in countries],
        },
        {"@type": "dpv:StorageDuration", "dpv:hasDuration": _duration(facts, description)},
    ]


def _duration(facts: ReceiptFacts, description: Description | None) -> dict[str, Json]:
    if description is None:
        return {"@id": NOT_AVAILABLE}
    kept = description.kept
    return {
        "@type": "dpv:TemporalDuration" if kept.months else "dpv:UntilEventDuration",
        "rdf:value": f"P{kept.months}M" if kept.months else kept.starts,
        "dct:description": kept.reason.get(facts.event.language, kept.reason["es"]),
        "placet:from": kept.starts,
    }


def _status(facts: ReceiptFacts) -> dict[str, Json]:
    event = facts.event
    kind = "dpv:ExplicitlyExpressedConsent" if event.explicit else "dpv:ExpressedConsent"
    by_controller = event.said_by in (SaidBy.CONTROLLER, SaidBy.CLOCK)
    return {
        "@type": [DPV_STATUS[event.action], kind],
        "dpv:isIndicatedAtTime": rfc3339(event.at),
        "dpv:isIndicatedBy": _controller_id(facts) if by_controller else DPV_ENTITY[event.said_by],
        "dpv:hasIndicationMethod": event.channel.value,
        "dpv:hasDuration": _validity(facts),
        "placet:saidBy": event.said_by.value,
        "placet:recordedAt": rfc3339(facts.recorded_at),
        **({"placet:attachment": event.attachment} if event.attachment else {}),
    }


def _validity(facts: ReceiptFacts) -> dict[str, Json]:
    expires_at = facts.event.expires_at
    if expires_at is not None:
        return {"@type": "dpv:UntilTimeDuration", "rdf:value": rfc3339(expires_at)}
    return {"@type": "dpv:UntilEventDuration", "rdf:value": "the next event on this purpose"}
