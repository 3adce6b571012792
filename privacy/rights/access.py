"""The answer to an access request: the person's data, and what the law says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from policies.register.model import Controller, Localized, Purpose, Recipient, Register
from privacy.clock import rfc3339
from privacy.events import Json

FORMAT = "placet-access-1"
FALLBACK_LANGUAGE = "es"

#: Whom to complain to where the person is not content. Source: GDPR Art. 77; LOPDGDD Art. 63.
AUTHORITIES: Mapping[str, tuple[str, str]] = {
    "ES": ("Agencia Española de Protección de Datos", "https://www.aepd.es"),
}
#: Where a country of ours is not listed: the European board's list of all authorities.
OTHER_AUTHORITY = (
    "European Data Protection Board: national authorities",
    "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en",
)


def authority(controller: Controller) -> tuple[str, str]:
    """Return (name, address) of the supervisory authority of the controller's country."""
    return AUTHORITIES.get(controller.country, OTHER_AUTHORITY)


def text_in(texts: Localized, language: str) -> str:
    """Return a text in the language, or in Spanish, which is always there."""
    return texts.get(language) or texts.get(FALLBACK_LANGUAGE, "")


def compose(
    *,
    register: Register,
    reference: str,
    data: Mapping[str, Json],
    language: str,
    at: datetime,
) -> dict[str, Json]:
    """Return the whole answer as JSON.

    Args:
        register: what the company declares.
        reference: of the request that is answered.
        data: what each source holds, by its name.
        language: of the texts of the register.
        at: aware; when it is made.

    Source: GDPR Art. 15(1)(a) to (h), 15(2), 15(3); LOPDGDD Art. 13.
    """
    name, url = authority(register.controller)
    purposes = register.purposes.values()
    return {
        "format": FORMAT,
        "reference": reference,
        "generated_at": rfc3339(at),
        "language": language,
        "controller": _controller(register.controller),
        "data": dict(data),
        "processing": {
            "purposes": [_purpose(register, each, language) for each in purposes],
            "rights": [
                "rectification",
                "erasure",
                "restriction",
                "objection",
                "portability",
                "withdraw-consent",
            ],
            "complaint": {"authority": name, "url": url},
            "source": ["the-person", "applications-of-the-controller"],
            "solely_automated_decisions": [each.id for each in purposes if each.solely_automated],
            "profiling": [each.id for each in purposes if each.profiling],
            "register_revision": register.revision,
        },
    }


def _controller(controller: Controller) -> dict[str, Json]:
    return {
        "name": controller.name,
        "tax_id": controller.tax_id,
        "address": controller.address,
        "email": controller.privacy_email,
        "dpo_name": controller.dpo_name,
        "dpo_email": controller.dpo_email,
    }


def _purpose(register: Register, purpose: Purpose, language: str) -> dict[str, Json]:
    rule = register.retention[purpose.retention]
    categories = [register.categories[each] for each in purpose.data_categories]
    return {
        "id": purpose.id,
        "title": text_in(purpose.title, language),
        "summary": text_in(purpose.summary, language),
        "legal_basis": purpose.legal_basis.value,
        "categories": [text_in(each.title, language) for each in categories],
        "recipients": [
            _recipient(register.recipients[each], language) for each in purpose.recipients
        ],
        "retention": {
            "months": rule.period,
            "from": rule.starts.value,
            "reason": text_in(rule.reason, language),
            "article": rule.article,
        },
    }


def _recipient(recipient: Recipient, language: str) -> dict[str, Json]:
    return {
        "name": recipient.name,
        "role": recipient.role.value,
        "country": recipient.country,
        "description": text_in(recipient.description, language),
        "safeguards": text_in(recipient.safeguards, language) or None,
    }
