"""Reads one purpose from its table."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping

from policies.decision import ObligationRule, ObligationType
from policies.register import units
from policies.register.entries import (
    CATEGORIES_FILE,
    RECIPIENTS_FILE,
    RETENTION_FILE,
    Known,
    refer,
)
from policies.register.model import (
    MAX_CONSENT_MONTHS,
    ConsentPer,
    Purpose,
    Recipient,
    RecipientRole,
)
from policies.register.notices import NOTICES_FOLDER
from policies.register.table import Table, did_you_mean, shown
from policies.vocabulary import Attribute, ContactChannel, LegalBasis

MAX_MONTHS = 1200
MAX_REMINDER_DAYS = 90
_SHORTEST_MONTH = 28

_DPV_PURPOSE = re.compile(r"dpv:[A-Z][A-Za-z]+|https?://[^\s<>\"]+")


def read_purpose(
    name: str, table: Table, known: Known, recipients: Mapping[str, Recipient]
) -> Purpose:
    """The purpose as it is declared, with its partners among its recipients."""
    purpose = Purpose(
        id=name,
        title=table.localized("title"),
        summary=table.localized("summary"),
        legal_basis=table.choice("legal_basis", LegalBasis),
        data_categories=table.identifiers("data_categories", at_least=1),
        recipients=table.identifiers("recipients"),
        retention=table.text("retention"),
        notice=table.text("notice"),
        validity_months=table.number("validity_months", 1, MAX_MONTHS, MAX_CONSENT_MONTHS),
        direct_marketing=table.flag("direct_marketing"),
        profiling=table.flag("profiling"),
        explicit=table.flag("explicit"),
        solely_automated=table.flag("solely_automated"),
        special_aim=table.flag("special_aim"),
        dpv_purpose=table.text("dpv_purpose", _DPV_PURPOSE, "a DPV term such as dpv:Marketing"),
        attributes=_attributes(table),
        channels=_channels(table),
        partners=table.identifiers("partners"),
        consent_per=_consent_per(table),
        frequency=table.localized("frequency", optional=True) or None,
        double_opt_in=table.flag("double_opt_in"),
        reminder_days=table.number("reminder_days", 0, MAX_REMINDER_DAYS, 0),
        obligations=_obligations(table, known),
    )
    gpc = table.optional_flag("gpc")
    _asked_apart(table, purpose)
    _by_consent_alone(table, purpose)
    if gpc and not _open_to_objection(purpose):
        table.note("gpc", "is for purposes that a person can object to")
    for index, each in enumerate(purpose.partners):
        partner = recipients.get(each)
        if partner is not None and partner.role is not RecipientRole.CONTROLLER:
            message = f"{shown(each)} is a processor: a partner uses the data on its own account"
            table.note(f"partners[{index}]", message)
        if each in purpose.recipients:
            table.note(f"partners[{index}]", f"{shown(each)} stands among the recipients, too")
    refer(table, "partners", purpose.partners, RECIPIENTS_FILE, known)
    refer(table, "data_categories", purpose.data_categories, CATEGORIES_FILE, known)
    refer(table, "recipients", purpose.recipients, RECIPIENTS_FILE, known)
    refer(table, "retention", purpose.retention, RETENTION_FILE, known)
    refer(table, "notice", purpose.notice, NOTICES_FOLDER, known)
    return dataclasses.replace(
        purpose,
        recipients=(*purpose.recipients, *purpose.partners),
        gpc=units.default_gpc(purpose, recipients) if gpc is None else gpc,
    )


def _consent_per(table: Table) -> ConsentPer:
    if "consent_per" not in table:
        return ConsentPer.PURPOSE
    return table.choice("consent_per", ConsentPer)


def _asked_apart(table: Table, purpose: Purpose) -> None:
    per = purpose.consent_per
    if per is ConsentPer.PURPOSE:
        return
    if purpose.legal_basis is not LegalBasis.CONSENT:
        table.note("consent_per", "is for purposes that rest on consent")
    options = [each.value for each in purpose.channels]
    if per is ConsentPer.PARTNER:
        options = [*purpose.partners]
    if not options:
        table.note("consent_per", f"asks for each {per.value}, and {per.value}s names none")
    for each in options:
        if len(units.unit_id(purpose.id, each)) > units.MAX_ID:
            message = (
                f"makes with {shown(each)} an id longer than {units.MAX_ID}: shorten one of them"
            )
            table.note("consent_per", message)


def _by_consent_alone(table: Table, purpose: Purpose) -> None:
    if purpose.legal_basis is not LegalBasis.CONSENT:
        for key, used in (
            ("double_opt_in", purpose.double_opt_in),
            ("reminder_days", purpose.reminder_days),
        ):
            if used:
                table.note(key, "is for purposes that rest on consent")
    if purpose.reminder_days >= _SHORTEST_MONTH * purpose.validity_months:
        table.note("reminder_days", "is as long as the consent itself")


def _open_to_objection(purpose: Purpose) -> bool:
    return purpose.direct_marketing or purpose.legal_basis in (
        LegalBasis.CONSENT,
        LegalBasis.LEGITIMATE_INTERESTS,
        LegalBasis.PUBLIC_TASK,
    )


def _channels(table: Table) -> tuple[ContactChannel, ...]:
    names = [each.value for each in ContactChannel]
    channels: list[ContactChannel] = []
    for index, name in enumerate(table.identifiers("channels")):
        if name in names:
            channels.append(ContactChannel(name))
        elif name:
            near = did_you_mean(name, names)
            message = f"{shown(name)} is not one of {', '.join(names)}{near}"
            table.note(f"channels[{index}]", message)
    return tuple(channels)


def _obligations(table: Table, known: Known) -> tuple[ObligationRule, ...]:
    if "obligations" not in table:
        return ()
    rules: list[ObligationRule] = []
    for each in table.tables("obligations"):
        rule = ObligationRule(each.choice("type", ObligationType), each.identifiers("categories"))
        each.close()
        refer(each, "categories", rule.categories, CATEGORIES_FILE, known)
        if (rule.type is ObligationType.MASK) != bool(rule.categories):
            each.note("categories", "stand with mask, and with mask alone")
        if any(rule.type is other.type for other in rules):
            each.note("type", f"{shown(rule.type.value)} stands there twice")
        rules.append(rule)
    return tuple(rules)


def _attributes(table: Table) -> tuple[Attribute, ...]:
    names = table.identifiers("attributes")
    return tuple(
        attribute
        for index, name in enumerate(names)
        if (attribute := attribute_named(table, f"attributes[{index}]", name, tuple(Attribute)))
    )


def attribute_named(
    table: Table, key: str, name: str, among: Collection[Attribute]
) -> Attribute | None:
    """The profile field of that name; None, and a problem, where it is not among them."""
    names = [each.value for each in among]
    if name in names:
        return Attribute(name)
    if name:
        near = did_you_mean(name, names)
        table.note(key, f"{shown(name)} is not one of {', '.join(names)}{near}")
    return None
