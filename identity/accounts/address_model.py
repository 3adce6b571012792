"""What happens to the addresses of an account, and what may go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.errors import Conflict, InvalidInput
from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.identifiers import Identifier

LINK_LIFETIME: Final = timedelta(hours=1)
"""How long the mailed link of a new address may be used; its code is shorter-lived."""

UNDO_LIFETIME: Final = timedelta(days=7)
"""For so long whoever reads an old address can take a change back. Source: ASVS 5.0 6.3.7."""

CODES_PER_NUMBER: Final = 3
"""So many text messages in an hour go to one number, whoever asks: each costs money."""

NUMBER_WINDOW: Final = timedelta(hours=1)


class Changed(StrEnum):
    """What the old addresses are told."""

    ADDED = "added"
    REMOVED = "removed"
    PREFERRED = "preferred"


class AddressAlreadyYours(InvalidInput):
    """The account has this address already."""


class NoMobileNumber(InvalidInput):
    """Text messages do not reach this number."""


class LastAddress(Conflict):
    """Without it nobody could sign in, and no letter would arrive."""


class AddressTaken(Conflict):
    """Another account has this address: its person must close that account first."""

    code = "address-taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChangeUndone(Event):
    """Whoever reads an old address took the last changes back; every way in is closed.

    What listens ends the sessions, voids the password and unlinks outside identities.
    """

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ADDRESS_CHANGE_UNDONE
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


def masked(identifier: Identifier) -> str:
    """Return enough of an address to recognise one's own: `a•••@example.com`, `•••222`."""
    if identifier.kind is IdentifierKind.PHONE:
        return f"•••{identifier.value[-3:]}"
    local, _, domain = identifier.value.partition("@")
    return f"{local[0]}•••@{domain}"
