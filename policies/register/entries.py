"""Where each kind of entry stands, and how one entry names another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from policies.register.table import Table, did_you_mean, shown

CONTROLLER_FILE = "register.toml"
CONTROLLER_ENTRY = "controller"
ACCOUNT_ENTRY = "account"
SECURITY_ENTRY = "security"
PURPOSES_FILE = "purposes.toml"
RECIPIENTS_FILE = "recipients.toml"
CATEGORIES_FILE = "categories.toml"
RETENTION_FILE = "retention.toml"
COLLECTION_POINTS_FILE = "collection_points.toml"

Known: TypeAlias = Mapping[str, Collection[str] | None]
"""The ids in each file; None for a file that cannot be read."""


def refer(
    table: Table,
    key: str,
    names: str | tuple[str, ...],
    target: str,
    known: Known,
) -> None:
    """Refuse names that the target does not have; silent where the target cannot be read."""
    targets = known[target]
    if targets is None:
        return
    for index, name in enumerate((names,) if isinstance(names, str) else names):
        if name and name not in targets:
            place = key if isinstance(names, str) else f"{key}[{index}]"
            table.note(place, f"{shown(name)} is not in {target}{did_you_mean(name, targets)}")
