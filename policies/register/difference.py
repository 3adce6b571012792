"""How two registers differ, entry by entry and field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from policies.register import canonical
from policies.register.model import Notice, Register

#: The parts of a register that are compared entry by entry, in this order.
PARTS: Final = (
    "purposes",
    "groups",
    "notices",
    "recipients",
    "categories",
    "retention",
    "collection_points",
)


class ChangeKind(StrEnum):
    """What became of an entry."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an entry before and after, in the types that JSON knows."""

    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not the same in both.

    Attributes:
        part: one of `PARTS`, or "controller", "account", "security".
        entry: its id; empty for a part that is one entry.
        fields: what changed in it; empty for one that was added or removed.
    """

    part: str
    entry: str
    kind: ChangeKind
    fields: tuple[FieldChange, ...] = ()


def as_published(register: Register, today: date) -> Register:
    """The register as it would be in force if its drafts were published today."""
    notices = {
        notice.id: Notice(
            notice.id,
            tuple(
                each if each.published else dataclasses.replace(each, published=today)
                for each in notice.revisions
            ),
        )
        for notice in register.notices.values()
    }
    return dataclasses.replace(register, notices=MappingProxyType(notices))


def differences(old: Register, new: Register) -> tuple[Difference, ...]:
    """Everything in which two registers differ, in the order of `PARTS`, then the controller's."""
    found = [each for part in PARTS for each in _part(part, getattr(old, part), getattr(new, part))]
    for part in ("controller", "account", "security"):
        before, after = getattr(old, part), getattr(new, part)
        if before != after:
            fields = tuple(_fields(_members(before), _members(after)))
            found.append(Difference(part, "", ChangeKind.CHANGED, fields))
    return tuple(found)


def _part(part: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Difference]:
    for entry in dict.fromkeys((*old, *new)):
        if entry not in new:
            yield Difference(part, entry, ChangeKind.REMOVED)
        elif entry not in old:
            yield Difference(part, entry, ChangeKind.ADDED)
        elif fields := tuple(_fields(_members(old[entry]), _members(new[entry]))):
            yield Difference(part, entry, ChangeKind.CHANGED, fields)


def _fields(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[FieldChange]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield FieldChange(name, before.get(name), after.get(name))


def _members(entry: object) -> dict[str, object]:
    """An entry's members as JSON has them; of a notice, what tells who is asked again."""
    if isinstance(entry, Notice):
        current = entry.current
        return {
            "version": current.version if current else None,
            "last_material_version": entry.last_material_version(),
            "digest": current.digest if current else None,
        }
    if not dataclasses.is_dataclass(entry):
        msg = f"no entry of a register: {type(entry).__name__}"
        raise TypeError(msg)
    return {
        each.name: canonical.plain(getattr(entry, each.name)) for each in dataclasses.fields(entry)
    }
