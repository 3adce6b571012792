"""A receipt in the form of the Kantara Consent Receipt Specification 1.1.

That form knows a yes and nothing else, so only a consent given or renewed has one: of any other
event it would say the opposite.
"""

from __future__ import annotations

from policies.errors import InvalidInput
from policies.register.model import RecipientRole
from privacy.consent.receipt_facts import NOT_AVAILABLE, ReceiptFacts
from privacy.events import Json

VERSION = "KI-CR-v1.1.0"


def kantara(facts: ReceiptFacts) -> dict[str, Json]:
    """Return the receipt as Kantara's JSON.

    Raises:
        InvalidInput: the event is not a consent given or renewed.

    Source: Kantara Consent Receipt Specification 1.1, s. 4.
    """
    if not facts.is_grant:
        raise InvalidInput(
            "a Kantara receipt can only say that a consent was given", field="format"
        )
    event, controller, description = facts.event, facts.controller, facts.description
    language = event.language
    categories = description.categories if description else ()
    special = [each.title.get(language, each.title["es"]) for each in categories if each.special]
    # Who only works for the controller is no third party (GDPR Art. 4(10)).
    third_parties = ", ".join(
        each.name
        for each in (description.recipients if description else ())
        if each.role is RecipientRole.CONTROLLER
    )
    purpose: dict[str, Json] = {
        "purpose": facts.title,
        "purposeCategory": [description.dpv_purpose if description else NOT_AVAILABLE],
        "consentType": "EXPLICIT",  # the other value, implicit, is no consent (GDPR Art. 4(11))
        "piiCategory": [each.title.get(language, each.title["es"]) for each in categories]
        or [NOT_AVAILABLE],
        "primaryPurpose": False,
        "termination": facts.withdrawal_method,
        "thirdPartyDisclosure": bool(third_parties),
    }
    if third_parties:
        purpose["thirdPartyName"] = third_parties
    return {
        "version": VERSION,
        "jurisdiction": controller.country,
        "consentTimestamp": int(event.at.timestamp()),
        "collectionMethod": event.channel.value,
        "consentReceiptID": facts.record_id,
        "language": language,
        "piiPrincipalId": facts.principal,
        "piiControllers": [
            {
                "piiController": controller.name,
                "onBehalf": False,
                "contact": controller.dpo_name or controller.name,
                "address": {
                    "addressCountry": controller.country,
                    "streetAddress": controller.address,
                },
                "email": controller.privacy_email,
                "phone": "",
                "piiControllerUrl": facts.base_url,
            }
        ],
        "policyUrl": f"{facts.base_url}/notices/{facts.words.notice}/{facts.words.version}",
        "services": [{"service": controller.name, "purposes": [purpose]}],
        "sensitive": bool(special),
        "spiCat": list(special),
    }
