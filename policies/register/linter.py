"""Holds a register against the law, before anybody is asked for anything."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.minors import AGES_OF_CONSENT
from policies.register import wording
from policies.register.entries import (
    ACCOUNT_ENTRY,
    COLLECTION_POINTS_FILE,
    CONTROLLER_ENTRY,
    CONTROLLER_FILE,
    PURPOSES_FILE,
    RECIPIENTS_FILE,
    SECURITY_ENTRY,
)
from policies.register.model import (
    LONG_ADDRESS_DAYS,
    MAX_CONSENT_MONTHS,
    ConsentPer,
    Purpose,
    Register,
)
from policies.register.problems import Finding, Level
from policies.vocabulary import Attribute, LegalBasis

__all__ = ["Finding", "lint"]

_EEA_CODES = (
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
)
EEA = frozenset(_EEA_CODES.split())
"""ISO 3166-1 codes of the European Economic Area, where the GDPR applies of itself."""

AGE_OF_CONSENT_SPAIN = 14
"""Source: LOPDGDD Art. 7(1)."""

_AGE = re.compile(r"birth|\bdob\b|(^|[^a-z])age($|[^a-z])|edad|nacimiento", re.IGNORECASE)


def lint(register: Register) -> tuple[Finding, ...]:
    """Everything in a register that the law objects to, errors first, then by file."""
    rules = (
        _age_of_consent,
        _data_minimisation,
        _attributes_needed,
        _ages_told,
        _account_notices,
        _address_days,
        _required_consent,
        _consent_duration,
        _special_aim,
        _special_categories,
        _retention,
        _recipients,
        _partners,
        _transfers,
        wording.languages,
        wording.bundled_terms,
        wording.first_layer,
        wording.withdrawal_told,
        wording.profiling_told,
        wording.drafts,
        wording.unchanged,
    )
    findings = dict.fromkeys(each for rule in rules for each in rule(register))
    return tuple(sorted(findings, key=lambda each: (each.level, each.file)))


def _age_of_consent(register: Register) -> Iterator[Finding]:
    controller = register.controller
    if controller.country == "ES" and controller.age_of_consent != AGE_OF_CONSENT_SPAIN:
        yield Finding(
            "error",
            CONTROLLER_FILE,
            CONTROLLER_ENTRY,
            "age_of_consent",
            f"is {controller.age_of_consent}; in Spain it is {AGE_OF_CONSENT_SPAIN}",
            "GDPR Art. 8(1); LOPDGDD Art. 7(1)",
        )
        return
    usual = AGES_OF_CONSENT.get(controller.country)
    if usual is not None and controller.age_of_consent != usual:
        yield Finding(
            "warning",
            CONTROLLER_FILE,
            CONTROLLER_ENTRY,
            "age_of_consent",
            f"is {controller.age_of_consent}; in {controller.country} we know of {usual}",
            "GDPR Art. 8(1)",
        )


def _data_minimisation(register: Register) -> Iterator[Finding]:
    for point in register.collection_points.values():
        needed = {
            category
            for each in point.purposes
            if (purpose := register.purpose(each))
            for category in purpose.data_categories
        }
        for index, field in enumerate(point.fields):
            if field.category not in needed:
                yield Finding(
                    "error",
                    COLLECTION_POINTS_FILE,
                    point.id,
                    f"fields[{index}]",
                    f"asks for {field.name}, and no purpose here needs {field.category}",
                    "GDPR Art. 5(1)(c), 25",
                )


def _attributes_needed(register: Register) -> Iterator[Finding]:
    for point in register.collection_points.values():
        needed = {
            attribute
            for each in point.purposes
            if (purpose := register.purpose(each))
            for attribute in purpose.attributes
        }
        for index, field in enumerate(point.fields):
            if field.attribute is None or field.attribute in needed:
                continue
            is_age = field.attribute is Attribute.BIRTHDATE
            yield Finding(
                "error",
                COLLECTION_POINTS_FILE,
                point.id,
                f"fields[{index}].attribute",
                "asks how old people are, and no purpose here needs it"
                if is_age
                else f"asks for {field.attribute}, and no purpose here needs it",
                "GDPR Art. 5(1)(c), 8(2)" if is_age else "GDPR Art. 5(1)(c), 25(2)",
            )


def _ages_told(register: Register) -> Iterator[Finding]:
    """An age under another name would pass by the rule above."""
    for point in register.collection_points.values():
        for index, field in enumerate(point.fields):
            if field.attribute is None and _AGE.search(field.name.replace("_", " ")):
                yield Finding(
                    "warning",
                    COLLECTION_POINTS_FILE,
                    point.id,
                    f"fields[{index}].attribute",
                    f"{field.name} seems to ask how old people are: say birthdate if it does",
                    "GDPR Art. 5(1)(c), 8(2)",
                )


def _account_notices(register: Register) -> Iterator[Finding]:
    terms, privacy = register.account.terms, register.account.privacy
    if terms is None:
        return
    bundled = [p for p in _consent_purposes(register) if p.notice == terms]
    for purpose in bundled:
        yield _on_purpose(
            purpose, "notice", "is the account's terms: part the two", "GDPR Art. 7(2)"
        )
    if terms == privacy:
        yield Finding(
            "error",
            CONTROLLER_FILE,
            ACCOUNT_ENTRY,
            "privacy",
            "is the same text as the terms: what is told is not what is accepted",
            "GDPR Art. 7(2), 12(1)",
        )


def _address_days(register: Register) -> Iterator[Finding]:
    days = register.security.address_days
    if days > LONG_ADDRESS_DAYS:
        yield Finding(
            "warning",
            CONTROLLER_FILE,
            SECURITY_ENTRY,
            "address_days",
            f"is {days}: keep network addresses over {LONG_ADDRESS_DAYS} days only for a reason",
            "GDPR Art. 5(1)(e); CNIL deliberation 2021-122",
        )


def _required_consent(register: Register) -> Iterator[Finding]:
    for point in register.collection_points.values():
        for index, each in enumerate(point.required_purposes):
            purpose = register.purpose(each)
            if purpose and purpose.legal_basis is LegalBasis.CONSENT:
                yield Finding(
                    "error",
                    COLLECTION_POINTS_FILE,
                    point.id,
                    f"required_purposes[{index}]",
                    f"makes consent to {each} a condition: a forced consent is none",
                    "GDPR Art. 7(4); LOPDGDD Art. 6(3)",
                )


def _consent_duration(register: Register) -> Iterator[Finding]:
    for purpose in _consent_purposes(register):
        if purpose.validity_months > MAX_CONSENT_MONTHS:
            yield _on_purpose(
                purpose,
                "validity_months",
                f"is {purpose.validity_months}; a consent is asked again after {MAX_CONSENT_MONTHS}",
                "AEPD cookie guide 3.2.8",
            )


def _special_aim(register: Register) -> Iterator[Finding]:
    for purpose in _consent_purposes(register):
        if purpose.special_aim:
            yield _on_purpose(
                purpose,
                "special_aim",
                "consent alone cannot allow what mainly aims to identify ideology, union membership, "
                "religion, sexual orientation, beliefs or origin",
                "LOPDGDD Art. 9(1)",
            )


def _special_categories(register: Register) -> Iterator[Finding]:
    for purpose in register.purposes.values():
        special = [
            each
            for each in purpose.data_categories
            if (category := register.categories.get(each)) and category.special
        ]
        if special and purpose.legal_basis is not LegalBasis.CONSENT:
            yield _on_purpose(
                purpose,
                "data_categories",
                f"uses {', '.join(special)} without consent: make sure of a condition of Art. 9(2)",
                "GDPR Art. 9(2)",
                "warning",
            )
        elif special and not purpose.explicit:
            yield _on_purpose(
                purpose,
                "explicit",
                f"must be true: {', '.join(special)} needs an explicit consent",
                "GDPR Art. 9(2)(a)",
            )


def _retention(register: Register) -> Iterator[Finding]:
    for purpose in register.purposes.values():
        if purpose.retention not in register.retention:
            yield _on_purpose(
                purpose, "retention", "does not say how long data is kept", "GDPR Art. 13(2)(a)"
            )


def _recipients(register: Register) -> Iterator[Finding]:
    for purpose in register.purposes.values():
        if not purpose.recipients:
            yield _on_purpose(
                purpose,
                "recipients",
                "names nobody: make sure that nobody outside the company receives this data",
                "GDPR Art. 13(1)(e)",
                "warning",
            )


def _partners(register: Register) -> Iterator[Finding]:
    for purpose in _consent_purposes(register):
        if len(purpose.partners) > 1 and purpose.consent_per is not ConsentPer.PARTNER:
            yield _on_purpose(
                purpose,
                "consent_per",
                f"leaves no choice among {', '.join(purpose.partners)}: ask for each partner",
                "GDPR Art. 4(11), recital 32",
                "warning",
            )


def _transfers(register: Register) -> Iterator[Finding]:
    for recipient in register.recipients.values():
        if recipient.country not in EEA and not recipient.safeguards:
            yield Finding(
                "error",
                RECIPIENTS_FILE,
                recipient.id,
                "safeguards",
                f"must say what protects the data in {recipient.country}: an adequacy decision, "
                "standard clauses, binding rules",
                "GDPR Art. 13(1)(f), 44 to 46",
            )


def _consent_purposes(register: Register) -> list[Purpose]:
    return [p for p in register.purposes.values() if p.legal_basis is LegalBasis.CONSENT]


def _on_purpose(
    purpose: Purpose, field: str, message: str, article: str, level: Level = "error"
) -> Finding:
    # What is wrong with a unit is wrong with what was declared.
    entry = purpose.part_of or purpose.id
    return Finding(level, PURPOSES_FILE, entry, field, message, article)
