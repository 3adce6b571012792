"""Issuing and resolving pseudonyms. One mechanism: OIDC `sub`, the id in decisions and webhooks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.errors import NotFound
from privacy.keys.blind_index import IdentifierKind
from privacy.keys.keyed_hash import KeyedHash
from privacy.keys.keyring import Keyring, RootKey
from privacy.pseudonyms import store
from privacy.pseudonyms.model import (
    KEY_VERSION,
    Alias,
    DomainCreated,
    PseudonymAliased,
    PseudonymIssued,
    domain_of,
    pseudonym,
)
from privacy.subjects.model import SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


class Pseudonyms:
    """The pseudonymisation domains of this deployment."""

    def __init__(self, keyring: Keyring, subjects: Subjects) -> None:
        self._keyring = keyring
        self._subjects = subjects
        self._event_macs: dict[str, KeyedHash] = {}

    def ensure_domain(self, uow: UnitOfWork, name: str) -> None:
        """Create the domain where it is missing; joins the caller's transaction."""
        if store.domain_named(uow.session, name) is None:
            uow.session.add(store.DomainRow(name=name, key_version=KEY_VERSION, created_at=uow.now))
            uow.session.flush()
            uow.record(DomainCreated(domain=name))

    def issue(self, uow: UnitOfWork, domain_name: str, subject_id: str) -> str:
        """Return the person's pseudonym in the domain, issuing it at the first call.

        Joins the caller's transaction. The value never changes afterwards.

        Raises:
            NotFound: there is no such domain, or the person was erased.
        """
        value = store.value_in(uow.session, domain_name, subject_id)
        if value is not None:
            return value
        domain = store.domain_named(uow.session, domain_name)
        if domain is None:
            raise NotFound("there is no such pseudonymisation domain")
        # An erasure must not miss it, and a merge may have made an alias of the person meanwhile.
        person = self._subjects.hold_current(uow.session, subject_id)
        if person is not None and person != subject_id:
            return self.issue(uow, domain_name, person)
        value = store.value_for(uow.session, domain.domain_id, subject_id)
        if value is not None:  # by another request, or by a merge, while this one waited
            return value
        sid = self._subjects.sid(uow.session, person) if person else None
        if sid is None:
            raise NotFound("there is no such person")
        key = self._keyring.derive(
            RootKey.PSEUDONYM,
            "domain",
            str(domain.domain_id),
            "hmac-sha256",
            f"v{domain.key_version}",
        )
        value = pseudonym(key, sid, domain_id=domain.domain_id, key_version=domain.key_version)
        row = store.PseudonymRow(
            domain_id=domain.domain_id, value=value, subject_id=subject_id, issued_at=uow.now
        )
        try:
            with uow.savepoint():
                uow.session.add(row)
        except IntegrityError:  # issued by another request at the same moment: the same value
            return value
        uow.record(PseudonymIssued(subject_id=subject_id, domain=domain_name))
        return value

    @staticmethod
    def resolve_many(session: Session, domain_name: str, values: Collection[str]) -> dict[str, str]:
        """As `resolve`, for many: those that name somebody, with whom."""
        return store.subjects_for(
            session, domain_name, [each for each in values if domain_of(each) is not None]
        )

    @staticmethod
    def find(session: Session, domain_name: str, subject_id: str) -> str | None:
        """Return the person's pseudonym in the domain where one was issued; issues none."""
        return store.value_in(session, domain_name, subject_id)

    @staticmethod
    def resolve(session: Session, domain_name: str, value: str) -> str | None:
        """Return the subject whom `value` names in this domain, or None.

        An alias names the person who survived the merge.
        Another domain's pseudonym is None here, like one that never was.
        """
        if domain_of(value) is None:
            return None
        return store.subject_for(session, domain_name, value)

    @staticmethod
    def issued_for(session: Session, value: str) -> str | None:
        """Return the id that a pseudonym of any domain was issued for, merged since or not.

        For the desk alone: an application resolves the pseudonyms of its own domain.
        """
        return store.issued_for(session, value) if domain_of(value) is not None else None

    def of_event(self, domain_name: str, event_id: str) -> str:
        """Return an event's name in the domain, 32 hexadecimal digits.

        The event's own id, told to two applications, would join their pseudonyms of a person.
        """
        mac = self._event_macs.get(domain_name)
        if mac is None:
            key = self._keyring.derive(RootKey.PSEUDONYM, "event", "hmac-sha256", "v1")
            mac = self._event_macs[domain_name] = KeyedHash(key, f"{domain_name}|".encode())
        return mac.hex(event_id.encode())[:32]

    @staticmethod
    def forget(uow: UnitOfWork, subject_id: str) -> None:
        """Delete the person's pseudonyms everywhere; part of a recorded erasure."""
        store.delete_of(uow.session, subject_id)

    def pseudonymise(
        self,
        uow: UnitOfWork,
        domain_name: str,
        people: Sequence[str | tuple[IdentifierKind, str]],
    ) -> list[str]:
        """Return the domain's pseudonym for each person, in order.

        Args:
            uow: the caller's unit of work; committed.
            domain_name: the domain.
            people: each an e-mail address, or a kind and an address or number of it.

        A person we did not know becomes a subject with a blind index alone: the address itself
        is not kept (GDPR Art. 5(1)(c)).

        Raises:
            InvalidInput: an entry is not what it says; names its position. Nothing is changed.
        """
        identifiers = [
            self._subjects.identifiers.read(kind, text, field=f"identifiers.{position}")
            for position, (kind, text) in enumerate(
                (IdentifierKind.EMAIL, each) if isinstance(each, str) else each for each in people
            )
        ]
        values = {}
        # In one order: two lists never wait in a ring.
        for each in sorted(set(identifiers), key=lambda found: (found.kind, found.value)):
            subject_id = self._subjects.by(uow, each, keep=False)
            values[each] = self.issue(uow, domain_name, subject_id)
        uow.commit()
        return [values[each] for each in identifiers]

    @staticmethod
    def on_subjects_merged(uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Keep the survivor's pseudonyms, and let the alias's lead to the survivor.

        Where a domain knew the person only as the alias, that pseudonym is the survivor's from
        now on; where it knew both, it is told. A `sub` never changes.
        """
        survivor = event.subject_id or ""
        own = {row.domain_id: row.value for row in store.rows_of(uow.session, survivor)}
        for row in store.rows_of(uow.session, event.alias_id):
            if row.domain_id not in own:
                row.subject_id = survivor
                continue
            domain = store.hold_domain(uow.session, row.domain_id)
            domain.aliases += 1
            old, new = row.value, own[row.domain_id]
            uow.session.add(
                store.AliasRow(
                    domain_id=domain.domain_id,
                    ordinal=domain.aliases,
                    subject_id=survivor,
                    old=old,
                    new=new,
                    at=uow.now,
                )
            )
            aliased = PseudonymAliased(subject_id=survivor, domain=domain.name)
            uow.record(aliased, {"old": old, "new": new})
        uow.session.flush()

    @staticmethod
    def aliases(session: Session, domain_name: str, *, after: int, limit: int) -> list[Alias]:
        """Return what the domain is told after an ordinal, oldest first."""
        return store.aliases_after(session, domain_name, after, limit)
