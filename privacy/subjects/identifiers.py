"""What finds a person: e-mail addresses and telephone numbers, by blind index.

Every function joins the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from policies.vocabulary import RetentionClass
from privacy.ids import new_id
from privacy.keys.blind_index import (
    INDEX_VERSION,
    BlindIndex,
    IdentifierKind,
    normalise_email,
    normalise_phone,
)
from privacy.keys.sealing import Sealer, place
from privacy.subjects import store
from privacy.subjects.fact_store import FactKind, note
from privacy.subjects.model import (
    IdentifierAdded,
    IdentifierPreferred,
    IdentifierRemoved,
    IdentifierVerified,
    UnknownSubject,
)
from privacy.unit_of_work import UnitOfWork

PROFILE = RetentionClass.PROFILE


@dataclass(frozen=True, slots=True)
class Identifier:
    """An address or a number in its canonical form; `Identifiers.read` makes one."""

    kind: IdentifierKind
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """An identifier that we hold of a person.

    Attributes:
        identifier: what it is.
        verified_at: when the person proved it theirs, aware UTC; None: somebody only said so.
    """

    identifier: Identifier
    verified_at: datetime | None


class Identifiers:
    """The identifiers of this deployment's people.

    Args:
        sealer: keeps the values that somebody needs to write to.
        blind_index: finds a row by its value.
        region: ISO 3166-1 alpha-2; where a telephone number without a country code lies.
    """

    def __init__(self, sealer: Sealer, blind_index: BlindIndex, *, region: str) -> None:
        self._sealer = sealer
        self._blind_index = blind_index
        self._region = region

    def read(self, kind: IdentifierKind, text: str, *, field: str | None = None) -> Identifier:
        """Return what was typed in its canonical form.

        Raises:
            InvalidInput: it is not an address, or not a number; `field` is named.
        """
        name = field or kind.value
        if kind is IdentifierKind.EMAIL:
            return Identifier(kind, normalise_email(text, field=name))
        return Identifier(kind, normalise_phone(text, self._region, field=name))

    def index(self, identifier: Identifier) -> bytes:
        """Return the blind index, 16 bytes, by which it is found without being kept."""
        return self._blind_index.of(identifier.kind, identifier.value)

    def find(self, session: Session, identifier: Identifier) -> str | None:
        """Return the subject id whom this finds, or None."""
        row = self._row(session, identifier)
        return row.subject_id if row else None

    def add(self, uow: UnitOfWork, subject_id: str, identifier: Identifier, *, keep: bool) -> None:
        """Let the person be found by it; the caller records why.

        Args:
            uow: the caller's unit of work.
            subject_id: the person, held.
            identifier: new to this deployment.
            keep: store the value itself, sealed; without it only the blind index is kept.

        Raises:
            IntegrityError: it finds somebody already; call it within a savepoint.
        """
        self._keep_first(uow, subject_id, identifier.kind)
        identifier_id = new_id(uow.ids)
        uow.session.add(
            store.IdentifierRow(
                identifier_id=identifier_id,
                subject_id=subject_id,
                kind=identifier.kind.value,
                index_version=INDEX_VERSION,
                blind_index=self.index(identifier),
                sealed=self._seal(uow, subject_id, identifier_id, identifier.value)
                if keep
                else None,
                created_at=uow.now,
            )
        )
        uow.session.flush()

    def keep(self, uow: UnitOfWork, identifier: Identifier) -> None:
        """Keep the value, where until now the person was found by its blind index alone."""
        row = self._row(uow.session, identifier)
        if row is None or row.sealed is not None or not store.hold(uow.session, row.subject_id):
            return
        row.sealed = self._seal(uow, row.subject_id, row.identifier_id, identifier.value)
        uow.record(IdentifierAdded(subject_id=row.subject_id, kind=row.kind))

    def verify(self, uow: UnitOfWork, subject_id: str, identifier: Identifier) -> None:
        """Note that the person proved this theirs.

        Raises:
            UnknownSubject: it finds nobody, or somebody else.
        """
        self._note_verified(uow, self._own(uow, subject_id, identifier))

    def verify_by_id(self, uow: UnitOfWork, subject_id: str, identifier_id: str) -> bool:
        """As `verify`, of one whose value nobody keeps; False: it is not this person's."""
        held = store.hold(uow.session, subject_id)
        row = uow.session.get(store.IdentifierRow, identifier_id, populate_existing=True)
        if not held or row is None or row.subject_id != subject_id:
            return False
        self._note_verified(uow, row)
        return True

    def id_of(self, session: Session, identifier: Identifier) -> str | None:
        """Return the id under which it stands, or None where it finds nobody."""
        row = self._row(session, identifier)
        return row.identifier_id if row else None

    def is_proved(self, session: Session, subject_id: str, identifier: Identifier | None) -> bool:
        """Tell whether the person proved this theirs; of None, whether they proved any."""
        if identifier is None:
            return _any_verified(session, subject_id)
        row = self._row(session, identifier)
        return row is not None and row.subject_id == subject_id and row.verified_at is not None

    def prefer(self, uow: UnitOfWork, subject_id: str, identifier: Identifier) -> None:
        """Make it the first of its kind: with which the person signs in and gets letters.

        Raises:
            UnknownSubject: it finds nobody, or somebody else.
        """
        row = self._own(uow, subject_id, identifier)
        for other in store.identifiers_of(uow.session, subject_id):
            if other.kind == row.kind:
                other.preferred_at = None
        row.preferred_at = uow.now
        uow.record(IdentifierPreferred(subject_id=subject_id, kind=row.kind))

    def remove(self, uow: UnitOfWork, subject_id: str, identifier: Identifier) -> None:
        """Let it find the person no more; whoever proves it next is somebody new.

        Raises:
            UnknownSubject: it finds nobody, or somebody else.
        """
        row = self._own(uow, subject_id, identifier)
        uow.session.delete(row)
        uow.session.flush()
        entry_id = uow.record(IdentifierRemoved(subject_id=subject_id, kind=identifier.kind.value))
        if row.verified_at is not None and not _any_verified(uow.session, subject_id):
            note(uow, subject_id, FactKind.VERIFIED, False, entry_id=entry_id)

    def of(
        self, session: Session, subject_id: str, kind: IdentifierKind = IdentifierKind.EMAIL
    ) -> list[Known]:
        """Return what is kept of one kind: the preferred one first, then the oldest."""
        rows = [
            row
            for row in store.identifiers_of(session, subject_id)
            if row.kind == kind.value and row.sealed is not None
        ]
        rows.sort(key=lambda row: row.preferred_at is None)
        return [Known(Identifier(kind, self._open(session, row)), row.verified_at) for row in rows]

    def move(self, uow: UnitOfWork, *, source: str, target: str) -> None:
        """Let what finds one person find another; the target's preferred ones stay preferred.

        Part of a recorded merge, which holds both.
        """
        for kind in IdentifierKind:
            self._keep_first(uow, target, kind)
        if _any_verified(uow.session, source) and not _any_verified(uow.session, target):
            note(uow, target, FactKind.VERIFIED, True)
        for row in store.identifiers_of(uow.session, source):
            value = None if row.sealed is None else self._open(uow.session, row)
            row.subject_id, row.preferred_at = target, None
            note(uow, source, FactKind.MOVED, True, into=row.identifier_id)
            if value is not None:
                row.sealed = self._seal(uow, target, row.identifier_id, value)
        uow.session.flush()

    @staticmethod
    def _keep_first(uow: UnitOfWork, subject_id: str, kind: IdentifierKind) -> None:
        """Let the one that is the first of its kind stay so, whatever comes beside it."""
        rows = [
            row
            for row in store.identifiers_of(uow.session, subject_id)
            if row.kind == kind.value and row.sealed is not None
        ]
        if rows and all(row.preferred_at is None for row in rows):
            rows[0].preferred_at = uow.now

    @staticmethod
    def _note_verified(uow: UnitOfWork, row: store.IdentifierRow) -> None:
        if row.verified_at is not None:
            return
        was = _any_verified(uow.session, row.subject_id)
        row.verified_at = uow.now
        entry_id = uow.record(IdentifierVerified(subject_id=row.subject_id, kind=row.kind))
        if not was:
            note(uow, row.subject_id, FactKind.VERIFIED, True, entry_id=entry_id)

    def _own(self, uow: UnitOfWork, subject_id: str, identifier: Identifier) -> store.IdentifierRow:
        held = store.hold(uow.session, subject_id)
        row = self._row(uow.session, identifier)
        if not held or row is None or row.subject_id != subject_id:
            raise UnknownSubject("the address is not this person's")
        return row

    def _row(self, session: Session, identifier: Identifier) -> store.IdentifierRow | None:
        return store.identifier_by_index(
            session, identifier.kind.value, INDEX_VERSION, self.index(identifier)
        )

    def _open(self, session: Session, row: store.IdentifierRow) -> str:
        where = place("subject_identifier", "sealed", row.identifier_id)
        return self._sealer.open(
            session, row.subject_id, PROFILE, where, row.sealed or b""
        ).decode()

    def _seal(self, uow: UnitOfWork, subject_id: str, identifier_id: str, value: str) -> bytes:
        where = place("subject_identifier", "sealed", identifier_id)
        return self._sealer.seal(
            uow.session, subject_id, PROFILE, where, value.encode(), at=uow.now
        )


def _any_verified(session: Session, subject_id: str) -> bool:
    """Tell whether the person proved any address or number theirs."""
    return any(row.verified_at is not None for row in store.identifiers_of(session, subject_id))
