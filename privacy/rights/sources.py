"""Who holds personal data, and how each hands it over and lets go of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from sqlalchemy.orm import Session

from privacy.clock import rfc3339
from privacy.events import Json
from privacy.keys.blind_index import IdentifierKind
from privacy.pseudonyms import store as pseudonyms_store
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


class PersonalDataSource(Protocol):
    """A system that holds personal data, our own capabilities and identity alike.

    Attributes:
        name: the member of the access answer that holds what `collect` returns.
    """

    name: str

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return everything that is held about the person. Source: GDPR Art. 15(1), (3)."""
        ...

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Delete what no law keeps; joins the caller's transaction. Source: GDPR Art. 17(1)."""
        ...


class Sources:
    """Every source of this deployment, in the order in which a person reads them.

    The first is the profile: it is erased last, as its key opens what the others may still read.
    """

    def __init__(self, sources: Sequence[PersonalDataSource]) -> None:
        names = [source.name for source in sources]
        if len(set(names)) != len(names):
            raise ValueError("two sources have the same name")
        self._sources = tuple(sources)

    def __iter__(self) -> Iterator[PersonalDataSource]:
        return iter(self._sources)

    def collect(self, session: Session, subject_id: str) -> dict[str, Json]:
        """Return what each source holds about the person, by its name."""
        return {source.name: dict(source.collect(session, subject_id)) for source in self._sources}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Let every source erase, the profile last; joins the caller's transaction."""
        for source in reversed(self._sources):
            source.erase(uow, subject_id)


class ProfileSource:
    """What finds a person, what they told us of themselves, and their pseudonyms."""

    name = "profile"

    def __init__(self, subjects: Subjects, pseudonyms: Pseudonyms) -> None:
        self._subjects = subjects
        self._pseudonyms = pseudonyms

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return addresses, profile fields, and which applications know the person as whom."""
        found = (
            self._subjects.standing(session, each)
            for each in self._subjects.ids(session, subject_id)
        )
        known_since = min((rfc3339(each.created_at) for each in found if each), default=None)
        numbers = self._subjects.identifiers.of(session, subject_id, IdentifierKind.PHONE)
        profile = self._subjects.profile(session, subject_id)
        minor_until = self._subjects.minor_until(session, subject_id)
        return {
            "known_since": known_since,
            **({"minor_until": rfc3339(minor_until)} if minor_until else {}),
            "emails": list(self._subjects.emails(session, subject_id)),
            "phones": [number.identifier.value for number in numbers],
            "attributes": {field.value: value for field, value in profile.items()},
            "pseudonyms": [
                {"application": domain, "pseudonym": value, "since": rfc3339(at)}
                for domain, value, at in pseudonyms_store.of_subject(session, subject_id)
            ],
        }

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Delete pseudonyms, identifiers and profile, and destroy the profile's key."""
        self._pseudonyms.forget(uow, subject_id)
        self._subjects.erase(uow, subject_id)
