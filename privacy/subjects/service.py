"""Creating, finding, describing, correcting and erasing a subject.

Every function joins the caller's transaction: a subject never changes for its own sake but
because of a consent, a registration or a right exercised, whose use case commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.minors import minor_until, read_birthdate
from policies.vocabulary import Attribute, RetentionClass
from privacy.ids import new_id
from privacy.keys.blind_index import BlindIndex, IdentifierKind
from privacy.keys.sealing import KeyDestroyed, Sealer, place
from privacy.subjects import standing, store
from privacy.subjects.fact_store import FactKind, note
from privacy.subjects.identifiers import Identifier, Identifiers
from privacy.subjects.merging import Merging
from privacy.subjects.model import (
    Change,
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
    """The people of this deployment.

    Args:
        sealer: keeps what they tell of themselves.
        blind_index: finds them.
        region: ISO 3166-1 alpha-2; where a telephone number without a country code lies.
        age_of_consent: years; from this age on a person consents alone.
        time_zone: the controller's, IANA; birthdays begin there.
    """

    def __init__(
        self,
        sealer: Sealer,
        blind_index: BlindIndex,
        *,
        region: str,
        age_of_consent: int,
        time_zone: str,
    ) -> None:
        self._sealer = sealer
        self.identifiers = Identifiers(sealer, blind_index, region=region)
        self._merging = Merging(sealer, self.identifiers)
        self._age_of_consent = age_of_consent
        self._zone = ZoneInfo(time_zone)

    def find_by_email(self, session: Session, address: str, *, field: str = "email") -> str | None:
        """Return the subject id whom this address finds, or None.

        Raises:
            InvalidInput: it is not an address.
        """
        identifiers = self.identifiers
        return identifiers.find(
            session, identifiers.read(IdentifierKind.EMAIL, address, field=field)
        )

    def by_email(self, uow: UnitOfWork, address: str, *, keep: bool, field: str = "email") -> str:
        """Return the subject id for this address, creating the subject where there is none.

        Args:
            uow: the caller's unit of work.
            address: an e-mail address.
            keep: store the address itself, sealed; without it only the blind index is kept.
            field: the input's member that an error names.
        """
        identifier = self.identifiers.read(IdentifierKind.EMAIL, address, field=field)
        return self.by(uow, identifier, keep=keep)

    def by(self, uow: UnitOfWork, identifier: Identifier, *, keep: bool) -> str:
        """As `by_email`, for an address or a telephone number."""
        found = self.identifiers.find(uow.session, identifier)
        if found is not None:
            if keep:
                self.identifiers.keep(uow, identifier)
            return found
        try:
            with uow.savepoint():
                return self._create(uow, identifier, keep=keep)
        except IntegrityError:  # somebody created the same person at the same moment
            found = self.identifiers.find(uow.session, identifier)
            if found is None:
                raise
            return found

    def verify_email(self, uow: UnitOfWork, subject_id: str, address: str) -> None:
        """Note that the person proved this address theirs."""
        identifier = self.identifiers.read(IdentifierKind.EMAIL, address)
        self.identifiers.verify(uow, subject_id, identifier)

    def merge(self, uow: UnitOfWork, survivor: str, other: str) -> None:
        """Make `other` an alias of `survivor`: two subjects are one person. See `Merging.merge`.

        Raises:
            UnknownSubject: one of them is not there, was erased, or is an alias already.
        """
        self._merging.merge(uow, survivor, other)

    #: Death and restriction; see `privacy.subjects.standing`.
    mark_deceased = staticmethod(standing.mark_deceased)
    correct_death = staticmethod(standing.correct_death)
    restrict = staticmethod(standing.restrict)
    announce_lifting = staticmethod(standing.announce_lifting)
    lift_restriction = staticmethod(standing.lift_restriction)

    @staticmethod
    def hold_current(session: Session, subject_id: str) -> str | None:
        """Hold the person whom an id names by now, and return their id; None: there is none."""
        return store.hold_current(session, subject_id)

    @staticmethod
    def current(session: Session, subject_id: str) -> str:
        """Return the id of the person whom an id names by now: itself, or who it was merged into."""
        return store.current(session, subject_id)

    @staticmethod
    def ids(session: Session, subject_id: str) -> list[str]:
        """Return every id that the person's data stands under: theirs first, then the aliases'."""
        person = store.current(session, subject_id)
        return [person, *(row.subject_id for row in store.aliases_of(session, person))]

    @staticmethod
    def standing(session: Session, subject_id: str) -> Subject | None:
        """Return the person's standing, or None where there is no such person."""
        row = session.get(store.SubjectRow, subject_id)
        if row is None:
            return None
        return Subject(
            subject_id=row.subject_id,
            created_at=row.created_at,
            restricted=row.restricted_at is not None or row.leaving_at is not None,
            blocked=row.blocked_at is not None,
            erased=row.erased_at is not None,
            deceased=row.deceased_at is not None,
            restricted_at=row.restricted_at,
            lift_told_at=row.lift_told_at,
        )

    def emails(self, session: Session, subject_id: str) -> list[str]:
        """Return the addresses we hold of this person, the preferred one first, then the oldest."""
        person = store.current(session, subject_id)
        return [known.identifier.value for known in self.identifiers.of(session, person)]

    def proved_email(self, session: Session, subject_id: str) -> str | None:
        """Return the preferred address of those that the person proved theirs, or None."""
        person = store.current(session, subject_id)
        known = self.identifiers.of(session, person)
        return next((each.identifier.value for each in known if each.verified_at), None)

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
        today = uow.now.astimezone(self._zone).date()
        after = None if value is None else clean_value(attribute, value, today)
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
        if attribute is Attribute.BIRTHDATE:
            self._note_age(uow, subject_id, after)
        uow.record(
            ProfileRectified(subject_id=subject_id, attribute=attribute.value),
            {"before": before, "after": after},
        )
        return change

    @staticmethod
    def minor_until(session: Session, subject_id: str) -> datetime | None:
        """Return from when on the person consents alone; None: never a minor that we know of."""
        row = session.get(store.SubjectRow, subject_id)
        return row.minor_until if row else None

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
        row.sid_sealed = row.minor_until = None
        row.erased_at = uow.now
        self._sealer.destroy(uow.session, subject_id, PROFILE)
        entry_id = uow.record(SubjectErased(subject_id=subject_id))
        note(uow, subject_id, FactKind.ERASED, True, entry_id=entry_id)

    @staticmethod
    def set_leaving(uow: UnitOfWork, subject_id: str, *, leaving: bool) -> None:
        """Stop every use of a person who is to be erased after a grace, or allow it again.

        Joins the transaction of the caller, who records why.
        """
        row = uow.session.get_one(store.SubjectRow, subject_id)
        row.leaving_at = uow.now if leaving else None
        note(uow, subject_id, FactKind.LEAVING, leaving)

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

    def _note_age(self, uow: UnitOfWork, subject_id: str, birthdate: str | None) -> None:
        """Keep, beside the sealed birthdate, until when the person is or was a minor, if at all.

        Decisions read it without opening the profile. It outlives the birthdate, or a minor would
        be of age by deleting it; a correction moves it. Of whom we first knew of age nothing is
        kept.
        """
        if birthdate is None:
            return
        born = read_birthdate(birthdate, uow.now.astimezone(self._zone).date())
        until = minor_until(born, self._age_of_consent, self._zone)
        row = uow.session.get_one(store.SubjectRow, subject_id)
        known = (row, *store.aliases_of(uow.session, subject_id))
        first = min(each.created_at for each in known)
        known_until = until if until > first else None
        if row.minor_until != known_until:
            row.minor_until = known_until
            is_known = known_until is not None
            note(uow, subject_id, FactKind.MINOR, is_known, value_at=known_until)

    def _create(self, uow: UnitOfWork, identifier: Identifier, *, keep: bool) -> str:
        subject_id = new_id(uow.ids)
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
        self.identifiers.add(uow, subject_id, identifier, keep=keep)
        uow.record(SubjectCreated(subject_id=subject_id))
        return subject_id
