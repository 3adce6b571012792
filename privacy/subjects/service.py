"""Creating, finding, describing, correcting and erasing a subject.

Every function joins the caller's transaction: a subject never changes for its own sake but
because of a consent, a registration or a right exercised, whose use case commits.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.vocabulary import RetentionClass
from privacy.ids import new_id
from privacy.keys.blind_index import INDEX_VERSION, BlindIndex, IdentifierKind, normalise_email
from privacy.keys.sealing import KeyDestroyed, Sealer, place
from privacy.subjects import store
from privacy.subjects.model import (
    Attribute,
    Change,
    IdentifierAdded,
    IdentifierVerified,
    ProfileRectified,
    Subject,
    SubjectCreated,
    SubjectErased,
    UnknownSubject,
    clean_value,
)
from privacy.unit_of_work import UnitOfWork

SID_BYTES = 16
PROFILE = RetentionClass.PROFILE


class Subjects:
    """The people of this deployment."""

    def __init__(self, sealer: Sealer, blind_index: BlindIndex) -> None:
        self._sealer = sealer
        self._blind_index = blind_index

    def find_by_email(self, session: Session, address: str, *, field: str = "email") -> str | None:
        """Return the subject id whom this address finds, or None.

        Raises:
            InvalidInput: it is not an address.
        """
        row = self._identifier(session, normalise_email(address, field=field))
        return row.subject_id if row else None

    def by_email(self, uow: UnitOfWork, address: str, *, keep: bool, field: str = "email") -> str:
        """Return the subject id for this address, creating the subject where there is none.

        Args:
            uow: the caller's unit of work.
            address: an e-mail address.
            keep: store the address itself, sealed; without it only the blind index is kept.
            field: the input's member that an error names.
        """
        address = normalise_email(address, field=field)
        row = self._identifier(uow.session, address)
        if row is not None:
            if keep and row.sealed is None and store.hold(uow.session, row.subject_id):
                row.sealed = self._seal_identifier(uow, row.subject_id, row.identifier_id, address)
                uow.record(IdentifierAdded(subject_id=row.subject_id, kind=row.kind))
            return row.subject_id
        try:
            with uow.savepoint():
                return self._create(uow, address, keep=keep)
        except IntegrityError:  # somebody created the same person at the same moment
            row = self._identifier(uow.session, address)
            if row is None:
                raise
            return row.subject_id

    def verify_email(self, uow: UnitOfWork, subject_id: str, address: str) -> None:
        """Note that the person proved this address theirs."""
        row = self._identifier(uow.session, normalise_email(address))
        known = row is not None and row.subject_id == subject_id
        if row is None or not known or not store.hold(uow.session, subject_id):
            raise UnknownSubject("the address is not this person's")
        if row.verified_at is None:
            row.verified_at = uow.now
            uow.record(IdentifierVerified(subject_id=subject_id, kind=row.kind))

    @staticmethod
    def standing(session: Session, subject_id: str) -> Subject | None:
        """Return the person's standing, or None where there is no such person."""
        row = session.get(store.SubjectRow, subject_id)
        if row is None:
            return None
        return Subject(
            subject_id=row.subject_id,
            created_at=row.created_at,
            restricted=row.restricted_at is not None,
            blocked=row.blocked_at is not None,
            erased=row.erased_at is not None,
        )

    def emails(self, session: Session, subject_id: str) -> list[str]:
        """Return the addresses we hold of this person, oldest first."""
        return [
            self._sealer.open(
                session,
                subject_id,
                PROFILE,
                place("subject_identifier", "sealed", row.identifier_id),
                row.sealed,
            ).decode()
            for row in store.identifiers_of(session, subject_id)
            if row.sealed is not None
        ]

    def profile(self, session: Session, subject_id: str) -> Mapping[Attribute, str]:
        """Return the profile fields that the person has given."""
        return {
            Attribute(row.name): self._sealer.open(
                session,
                subject_id,
                PROFILE,
                place("subject_attribute", row.name, subject_id),
                row.sealed,
            ).decode()
            for row in store.attributes_of(session, subject_id)
        }

    def rectify(
        self, uow: UnitOfWork, subject_id: str, attribute: Attribute, value: str | None
    ) -> Change:
        """Correct, add or (with None) remove a profile field and return before and after.

        Raises:
            UnknownSubject: there is no such person, or the person was erased.
            InvalidInput: the value cannot be kept.

        Source: GDPR Art. 16; LOPDGDD Art. 14.
        """
        if not store.hold(uow.session, subject_id):
            raise UnknownSubject("there is no such person")
        before = self.profile(uow.session, subject_id).get(attribute)
        after = None if value is None else clean_value(attribute, value)
        change = Change(attribute=attribute, before=before, after=after)
        if before == after:
            return change
        row = uow.session.get(store.AttributeRow, (subject_id, attribute.value))
        if after is None:
            if row is not None:
                uow.session.delete(row)
        else:
            sealed = self._sealer.seal(
                uow.session,
                subject_id,
                PROFILE,
                place("subject_attribute", attribute.value, subject_id),
                after.encode(),
                at=uow.now,
            )
            if row is None:
                row = store.AttributeRow(subject_id=subject_id, name=attribute.value)
                uow.session.add(row)
            row.sealed = sealed
            row.changed_at = uow.now
        uow.record(
            ProfileRectified(subject_id=subject_id, attribute=attribute.value),
            {"before": before, "after": after},
        )
        return change

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Delete the person's identifiers and profile and destroy the profile key.

        The row itself stays, empty, so that what the law keeps has a holder. The audit log's own
        payloads are the caller's to erase. Source: GDPR Art. 17(1); LOPDGDD Art. 15.

        Raises:
            UnknownSubject: there is no such person, or the person was erased before.
        """
        row = uow.session.get(store.SubjectRow, subject_id)
        if row is None or row.erased_at is not None:
            raise UnknownSubject("there is no such person")
        store.delete_profile(uow.session, subject_id)
        row.sid_sealed = None
        row.erased_at = uow.now
        self._sealer.destroy(uow.session, subject_id, PROFILE)
        uow.record(SubjectErased(subject_id=subject_id))

    @staticmethod
    def hold(session: Session, subject_id: str) -> bool:
        """Let nobody erase the person until the transaction ends; False: there is none."""
        return store.hold(session, subject_id)

    def sid(self, session: Session, subject_id: str) -> bytes | None:
        """Return the secret that pseudonyms are computed over, or None once erased."""
        row = session.get(store.SubjectRow, subject_id)
        if row is None or row.sid_sealed is None:
            return None
        try:
            return self._sealer.open(
                session, subject_id, PROFILE, place("subject", "sid", subject_id), row.sid_sealed
            )
        except KeyDestroyed:
            return None

    def _identifier(self, session: Session, normalised: str) -> store.IdentifierRow | None:
        index = self._blind_index.of(IdentifierKind.EMAIL, normalised)
        return store.identifier_by_index(session, IdentifierKind.EMAIL, INDEX_VERSION, index)

    def _create(self, uow: UnitOfWork, normalised: str, *, keep: bool) -> str:
        subject_id, identifier_id = new_id(uow.ids), new_id(uow.ids)
        sid_sealed = self._sealer.seal(
            uow.session,
            subject_id,
            PROFILE,
            place("subject", "sid", subject_id),
            uow.ids.random_bytes(SID_BYTES),
            at=uow.now,
        )
        uow.session.add(
            store.SubjectRow(subject_id=subject_id, sid_sealed=sid_sealed, created_at=uow.now)
        )
        uow.session.flush()
        uow.session.add(
            store.IdentifierRow(
                identifier_id=identifier_id,
                subject_id=subject_id,
                kind=IdentifierKind.EMAIL.value,
                index_version=INDEX_VERSION,
                blind_index=self._blind_index.of(IdentifierKind.EMAIL, normalised),
                sealed=self._seal_identifier(uow, subject_id, identifier_id, normalised)
                if keep
                else None,
                created_at=uow.now,
            )
        )
        uow.session.flush()
        uow.record(SubjectCreated(subject_id=subject_id))
        return subject_id

    def _seal_identifier(
        self, uow: UnitOfWork, subject_id: str, identifier_id: str, normalised: str
    ) -> bytes:
        return self._sealer.seal(
            uow.session,
            subject_id,
            PROFILE,
            place("subject_identifier", "sealed", identifier_id),
            normalised.encode(),
            at=uow.now,
        )
