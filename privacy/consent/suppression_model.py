"""What the audit log says of suppression and exclusion lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionAdded(Event):
    """Every address of a person is suppressed for a marketing purpose, or for all of them (`*`).

    Source: LOPDGDD Art. 15.2, 23.
    """

    tag: ClassVar[EventTag] = EventTag.CONSENT_SUPPRESSION_ADDED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    purpose: str

    @property
    def leaf_purpose(self) -> str | None:
        """The purpose; none where it is about all of them, which is no name of one."""
        return self.purpose if self.purpose != "*" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionEnded(Event):
    """The person expressly wants the purpose again, be it in spite of an objection to all.

    Source: LOPDGDD Art. 23.4.
    """

    tag: ClassVar[EventTag] = EventTag.CONSENT_SUPPRESSION_ENDED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionListImported(Event):
    """An exclusion list holds other addresses from now on; none where it was dropped.

    Attributes:
        list_name: which one.
        addresses: how many it holds.
        source_digest: SHA-256 in hex of the file; None where it was dropped.
    """

    tag: ClassVar[EventTag] = EventTag.CONSENT_EXCLUSION_LIST_IMPORTED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    list_name: str
    addresses: int
    source_digest: str | None = None
