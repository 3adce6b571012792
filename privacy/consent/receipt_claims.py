"""A receipt as claims: what is signed. Sections and names after ISO/IEC TS 27560.

docs/schema/consent-receipt.schema.json says the same for programs, docs/consent.md for people.
"""

from __future__ import annotations

from privacy.clock import rfc3339
from privacy.consent.receipt_description import Description
from privacy.consent.receipt_facts import (
    DPV_ENTITY,
    DPV_STATUS,
    EXPLICIT_CONSENT,
    NOT_AVAILABLE,
    RECEIPT_SCHEMA,
    ReceiptFacts,
)
from privacy.events import Json


def claims(facts: ReceiptFacts) -> dict[str, Json]:
    """Return what a receipt says."""
    event, words = facts.event, facts.words
    return {
        "iss": facts.base_url,
        "iat": int(facts.at.timestamp()),
        "jti": event.event_id,
        "schema_version": RECEIPT_SCHEMA,
        "receipt_id": event.event_id,
        "record_id": facts.record_id,
        "pii_principal_id": facts.principal,
        "notice": {
            "id": words.notice,
            "version": words.version,
            "digest": words.digest,
            "language": words.language,
            "text": words.text,
        },
        "processing": [_processing(facts)],
        "parties": [_controller(facts)],
        "events": [_event(facts)],
        "register_revision": event.register_revision,
        "entry_id": event.entry_id,
        "log": facts.place.to_json(),
    }


def _event(facts: ReceiptFacts) -> dict[str, Json]:
    event = facts.event
    until = rfc3339(event.expires_at) if event.expires_at else None
    told: dict[str, Json] = {
        "event_time": rfc3339(event.at),
        "recorded_time": rfc3339(facts.recorded_at),
        "validity_duration": {"from": rfc3339(event.at), "until": until},
        "valid_until": until,
        "event_type": "explicit" if event.explicit else "regular",
        "event_state": DPV_STATUS[event.action],
        "action": event.action.value,
        "channel": event.channel.value,
        "said_by": event.said_by.value,
        "entity_id": DPV_ENTITY[event.said_by],
    }
    # The other events' ids are the person's alone: told to two applications, they would join
    # their pseudonyms of a person.
    later: dict[str, Json] = {"attachment": event.attachment}
    if facts.is_own_copy:
        later |= {"follows": event.follows, "carries": event.carries}
    return told | {name: value for name, value in later.items() if value is not None}


def _processing(facts: ReceiptFacts) -> dict[str, Json]:
    description = facts.description
    basis, *conditions = facts.legal_bases
    told: dict[str, Json] = {
        "purpose": facts.event.purpose,
        "title": facts.title,
        "lawful_basis": basis,
        "pii_controllers": [facts.controller.tax_id],
        "collection_method": facts.event.channel.value,
        "withdrawal_method": facts.withdrawal_method,
        "privacy_rights": f"{facts.base_url}/rights",
        "jurisdiction": facts.controller.country,
    }
    if conditions:
        told["special_category_condition"] = EXPLICIT_CONSENT
    if description is None:
        return told | {
            "purpose_type": NOT_AVAILABLE,
            "pii_type": [NOT_AVAILABLE],
            "storage_locations": [facts.controller.country],
            "retention_period": NOT_AVAILABLE,
            "recipient_third_parties": NOT_AVAILABLE,
        }
    return told | _described(description, facts.event.language)


def _described(description: Description, language: str) -> dict[str, Json]:
    kept = description.kept
    told: dict[str, Json] = {
        "purpose_type": description.dpv_purpose,
        "pii_type": [category.id for category in description.categories],
        "pii_information": [
            {
                "id": category.id,
                "title": category.title.get(language, category.title["es"]),
                "special": category.special,
            }
            for category in description.categories
        ],
        "storage_locations": list(description.countries),
        "retention_period": {
            "rule": kept.rule,
            "months": kept.months,
            "from": kept.starts,
            "reason": kept.reason.get(language, kept.reason["es"]),
            "article": kept.article,
        },
        "recipient_third_parties": [
            {
                "id": receiver.id,
                "name": receiver.name,
                "role": receiver.role.value,
                "country": receiver.country,
            }
            for receiver in description.recipients
        ],
    }
    later: dict[str, Json] = {
        "part_of": description.part_of,
        "channel": description.channel.value if description.channel else None,
        "contact_channels": [each.value for each in description.channels] or None,
        "partner": description.partner.name if description.partner else None,
        "frequency": description.frequency.get(language, description.frequency.get("es")),
    }
    return told | {name: value for name, value in later.items() if value is not None}


def _controller(facts: ReceiptFacts) -> dict[str, Json]:
    controller = facts.controller
    return {
        "role": "dpv:DataController",
        "type": "dpv:Organisation",
        "id": controller.tax_id,
        "name": controller.name,
        "address": controller.address,
        "contact": controller.privacy_email,
        "dpo": controller.dpo_email,
    }
