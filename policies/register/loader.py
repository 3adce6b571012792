"""Reads a register from its folder. `docs/register.md` tells what stands in which file."""

from __future__ import annotations

import dataclasses
import re
import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from policies.minors import AGE_WITHOUT_A_LAW, AGES_OF_CONSENT
from policies.register import files, lock, units
from policies.register.digests import register_digest
from policies.register.entries import (
    ACCOUNT_ENTRY,
    CATEGORIES_FILE,
    COLLECTION_POINTS_FILE,
    CONTROLLER_ENTRY,
    CONTROLLER_FILE,
    PURPOSES_FILE,
    RECIPIENTS_FILE,
    RETENTION_FILE,
    SECURITY_ENTRY,
    Known,
    refer,
)
from policies.register.model import (
    DEFAULT_ADDRESS_DAYS,
    MAX_ADDRESS_DAYS,
    AccountNotices,
    CollectionPoint,
    Controller,
    DataCategory,
    Field,
    Group,
    Recipient,
    RecipientRole,
    Register,
    RetentionRule,
    RetentionStart,
    Security,
)
from policies.register.notices import NOTICES_FOLDER, read_notices
from policies.register.problems import Problem, RegisterError
from policies.register.purposes import MAX_MONTHS, attribute_named, read_purpose
from policies.register.table import IDENTIFIER, Table, did_you_mean, shown
from policies.vocabulary import Attribute

__all__ = ["Problem", "RegisterError", "load"]

_ENTRY_FILES = (
    CONTROLLER_FILE,
    CATEGORIES_FILE,
    RETENTION_FILE,
    RECIPIENTS_FILE,
    PURPOSES_FILE,
    COLLECTION_POINTS_FILE,
)
_KNOWN_FILES = (*_ENTRY_FILES, lock.LOCK_FILE)

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_COUNTRY = re.compile(r"[A-Z]{2}")
_REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

#: What a form may ask for. A language is chosen and an address is proven: neither is asked for.
ASKABLE = tuple(each for each in Attribute if each not in {Attribute.LOCALE, Attribute.EMAIL})

Entry = TypeVar("Entry")


def load(path: Path) -> Register:
    """The register that stands in a folder.

    Raises:
        RegisterError: with every problem of every file; nothing else is raised for a bad folder.
    """
    problems: list[Problem] = []
    _refuse_unknown_files(path, problems)
    documents = {file: files.document(path, file, problems) for file in _ENTRY_FILES}
    tables = {file: _tables(file, documents[file], problems) for file in _ENTRY_FILES}
    notices = read_notices(path, problems)
    known: Known = {**documents, NOTICES_FOLDER: notices}

    categories = _read(tables[CATEGORIES_FILE], _category)
    retention = _read(tables[RETENTION_FILE], _retention_rule)
    recipients = _read(tables[RECIPIENTS_FILE], _recipient)
    declared = _read(
        tables[PURPOSES_FILE], lambda name, table: read_purpose(name, table, known, recipients)
    )
    purposes, groups = units.expanded(declared, recipients)
    named = None if documents[PURPOSES_FILE] is None else {*declared, *purposes}
    nameable: Known = {**known, PURPOSES_FILE: named}
    points = _read(
        tables[COLLECTION_POINTS_FILE],
        lambda name, table: _collection_point(name, table, nameable, groups),
    )
    asked = {name: _in_units(point, groups) for name, point in points.items()}
    controller = _controller(tables[CONTROLLER_FILE], problems)
    account = _account_notices(tables[CONTROLLER_FILE].get(ACCOUNT_ENTRY), known)
    security = _security(tables[CONTROLLER_FILE].get(SECURITY_ENTRY))
    if problems or controller is None or notices is None:
        raise RegisterError(sorted(problems, key=lambda each: each.file))
    return Register(
        controller=controller,
        purposes=purposes,
        categories=categories,
        recipients=recipients,
        retention=retention,
        notices=notices,
        collection_points=MappingProxyType(asked),
        revision=register_digest(
            controller,
            declared,
            categories,
            recipients,
            retention,
            notices,
            points,
            account,
            security,
        ),
        account=account,
        security=security,
        groups=groups,
    )


def _refuse_unknown_files(path: Path, problems: list[Problem]) -> None:
    """A document under a wrong name would be overlooked in silence."""
    try:
        present = files.names(path)
    except (OSError, ValueError):
        return  # that each file is missing is told by whoever reads it
    for name in present:
        if name.endswith(".toml") and name not in _KNOWN_FILES:
            message = f"is not a file that is known here{did_you_mean(name, _KNOWN_FILES)}"
            problems.append(Problem(shown(name), "", "", message))


def _tables(
    file: str, document: Mapping[str, object] | None, problems: list[Problem]
) -> dict[str, Table]:
    """The entries of a file by id."""
    tables = {}
    for name, values in (document or {}).items():
        if not IDENTIFIER.fullmatch(name):
            message = "is not an id: small letters and digits, parted by - or _, 64 at most"
            if "." in name:
                message += "; a dot parts a purpose from its channel or partner"
        elif not isinstance(values, dict):
            message = "must be a table"
        else:
            tables[name] = Table(problems, file, name, values)
            continue
        problems.append(Problem(file, shown(name), "", message))
    if document is not None and not document:
        problems.append(Problem(file, "", "", "has no entry"))
    return tables


def _read(tables: Mapping[str, Table], read: Callable[[str, Table], Entry]) -> Mapping[str, Entry]:
    entries = {}
    for name, table in tables.items():
        entries[name] = read(name, table)
        table.close()
    return MappingProxyType(entries)


def _controller(tables: Mapping[str, Table], problems: list[Problem]) -> Controller | None:
    for name, other in tables.items():
        if name not in (CONTROLLER_ENTRY, ACCOUNT_ENTRY, SECURITY_ENTRY):
            near = did_you_mean(name, (CONTROLLER_ENTRY, ACCOUNT_ENTRY, SECURITY_ENTRY))
            other.note("", f"is not known here{near}")
    table = tables.get(CONTROLLER_ENTRY)
    if table is None:
        problems.append(Problem(CONTROLLER_FILE, CONTROLLER_ENTRY, "", "is missing"))
        return None
    country = table.text("country", _COUNTRY, "a country code such as ES")
    controller = Controller(
        name=table.text("name"),
        tax_id=table.text("tax_id"),
        address=table.text("address"),
        email=table.text("email", _EMAIL, "an e-mail address"),
        privacy_email=table.text("privacy_email", _EMAIL, "an e-mail address"),
        dpo_name=table.optional_text("dpo_name"),
        dpo_email=table.optional_text("dpo_email", _EMAIL, "an e-mail address"),
        country=country,
        region=table.text("region", _REGION, "a region code such as ES-MD"),
        time_zone=table.text("time_zone"),
        age_of_consent=table.number(
            "age_of_consent", 13, 16, AGES_OF_CONSENT.get(country, AGE_WITHOUT_A_LAW)
        ),
    )
    table.close()
    if (controller.dpo_name is None) != (controller.dpo_email is None):
        table.note("dpo_name", "and dpo_email stand together or not at all")
    if controller.region[:2] != controller.country:
        table.note("region", "does not lie in the country")
    if controller.time_zone and not _is_time_zone(controller.time_zone):
        table.note("time_zone", f"{shown(controller.time_zone)} is not one such as Europe/Madrid")
    return controller


def _account_notices(table: Table | None, known: Known) -> AccountNotices:
    if table is None:
        return AccountNotices()
    account = AccountNotices(
        terms=table.optional_text("terms"), privacy=table.optional_text("privacy")
    )
    table.close()
    for key, notice in (("terms", account.terms), ("privacy", account.privacy)):
        refer(table, key, notice or "", NOTICES_FOLDER, known)
    return account


def _security(table: Table | None) -> Security:
    if table is None:
        return Security()
    days = table.number("address_days", 0, MAX_ADDRESS_DAYS, DEFAULT_ADDRESS_DAYS)
    table.close()
    return Security(address_days=days)


def _is_time_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; malformed; a folder of the database
        return False
    return True


def _category(name: str, table: Table) -> DataCategory:
    return DataCategory(id=name, title=table.localized("title"), special=table.flag("special"))


def _retention_rule(name: str, table: Table) -> RetentionRule:
    return RetentionRule(
        id=name,
        period=table.number("period", 0, MAX_MONTHS),
        starts=table.choice("starts", RetentionStart),
        reason=table.localized("reason"),
        article=table.text("article"),
    )


def _recipient(name: str, table: Table) -> Recipient:
    return Recipient(
        id=name,
        name=table.text("name"),
        role=table.choice("role", RecipientRole),
        country=table.text("country", _COUNTRY, "a country code such as ES"),
        title=table.localized("title"),
        description=table.localized("description"),
        safeguards=table.localized("safeguards", optional=True),
    )


def _in_units(point: CollectionPoint, groups: Mapping[str, Group]) -> CollectionPoint:
    """The same place, with the units of its groups."""
    return dataclasses.replace(
        point,
        purposes=_units(point.purposes, groups),
        required_purposes=_units(point.required_purposes, groups),
    )


def _units(names: tuple[str, ...], groups: Mapping[str, Group]) -> tuple[str, ...]:
    """The purposes that names stand for, each once."""
    each = (unit for name in names for unit in (groups[name].units if name in groups else (name,)))
    return tuple(dict.fromkeys(each))


def _collection_point(
    name: str, table: Table, known: Known, groups: Mapping[str, Group]
) -> CollectionPoint:
    point = CollectionPoint(
        id=name,
        title=table.localized("title"),
        purposes=table.identifiers("purposes", at_least=1),
        fields=tuple(_field(each, known) for each in table.tables("fields")),
        required_purposes=table.identifiers("required_purposes"),
    )
    refer(table, "purposes", point.purposes, PURPOSES_FILE, known)
    for index, each in enumerate(point.purposes):
        group = each.rpartition(".")[0]
        if group and group in point.purposes:
            table.note(f"purposes[{index}]", f"{shown(each)} is a part of {shown(group)}")
    for index, each in enumerate(point.required_purposes):
        if each not in point.purposes:
            table.note(f"required_purposes[{index}]", f"{shown(each)} is not among its purposes")
        elif "." in each or each in groups:
            table.note(f"required_purposes[{index}]", f"{shown(each)} is asked for by itself")
    names = [each.name for each in point.fields]
    for index, each in enumerate(names):
        if each and each in names[:index]:
            table.note(f"fields[{index}].name", f"{shown(each)} stands there twice")
    filled = [each.attribute for each in point.fields]
    for index, attribute in enumerate(filled):
        if attribute and attribute in filled[:index]:
            table.note(f"fields[{index}].attribute", f"{attribute} stands there twice")
    return point


def _field(table: Table, known: Known) -> Field:
    attribute = table.optional_text("attribute")
    field = Field(
        name=table.text("name", _FIELD_NAME, "a field's name such as first_name"),
        category=table.text("category"),
        required=table.flag("required"),
        attribute=None
        if attribute is None
        else attribute_named(table, "attribute", attribute, ASKABLE),
    )
    table.close()
    refer(table, "category", field.category, CATEGORIES_FILE, known)
    return field
