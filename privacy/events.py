"""What an event is: a frozen dataclass with a closed tag, holding ids only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from policies.vocabulary import EventTag, RetentionClass

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

#: Holder of the keys for what concerns no single person.
DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of everything that happens; recorded in the audit log by `UnitOfWork.record`.

    Attributes:
        tag: its permanent name.
        retention: under which of the person's keys its payload rests, and so when it ends.
        subject_id: the person concerned, or None where the event is about nobody.
    """

    tag: ClassVar[EventTag]
    retention: ClassVar[RetentionClass]
    subject_id: str | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody about whom it changes what decisions read, as far as it changes anything."""
        return (self.subject_id,) if self.subject_id else ()

    @property
    def leaf_purpose(self) -> str | None:
        """The purpose that the log's public leaf names, if any."""
        return getattr(self, "purpose", None)

    @property
    def leaf_erased(self) -> bytes | None:
        """The root over what an erasure erased; None for every other event."""
        return None

    @property
    def leaf_policy_version(self) -> str | None:
        """The register revision that the log's public leaf names, if any."""
        return getattr(self, "register_revision", None)

    def ids(self) -> dict[str, Json]:
        """Return the event's own fields for the sealed payload, without the None ones."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: value
            for name, value in values.items()
            if value is not None and not isinstance(value, bytes)
        }
