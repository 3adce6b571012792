"""Issuing and resolving pseudonyms. One mechanism: OIDC `sub`, the id in decisions and webhooks."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.errors import NotFound
from privacy.keys.blind_index import normalise_email
from privacy.keys.keyring import Keyring, RootKey
from privacy.pseudonyms import store
from privacy.pseudonyms.model import (
    KEY_VERSION,
    DomainCreated,
    PseudonymIssued,
    domain_of,
    pseudonym,
)
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


class Pseudonyms:
    """The pseudonymisation domains of this deployment."""

    def __init__(self, keyring: Keyring, subjects: Subjects) -> None:
        self._keyring = keyring
        self._subjects = subjects

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
        domain = store.domain_named(uow.session, domain_name)
        if domain is None:
            raise NotFound("there is no such pseudonymisation domain")
        value = store.value_for(uow.session, domain.domain_id, subject_id)
        if value is not None:
            return value
        held = self._subjects.hold(uow.session, subject_id)  # an erasure must not miss it
        sid = self._subjects.sid(uow.session, subject_id) if held else None
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
    def find(session: Session, domain_name: str, subject_id: str) -> str | None:
        """Return the person's pseudonym in the domain where one was issued; issues none."""
        domain = store.domain_named(session, domain_name)
        return store.value_for(session, domain.domain_id, subject_id) if domain else None

    @staticmethod
    def resolve(session: Session, domain_name: str, value: str) -> str | None:
        """Return the subject whom `value` names in this domain, or None.

        Another domain's pseudonym is None here, like one that never was.
        """
        if domain_of(value) is None:
            return None
        return store.subject_for(session, domain_name, value)

    def of_event(self, domain_name: str, event_id: str) -> str:
        """Return an event's name in the domain, 32 hexadecimal digits.

        The event's own id, told to two applications, would join their pseudonyms of a person.
        """
        key = self._keyring.derive(RootKey.PSEUDONYM, "event", "hmac-sha256", "v1")
        return hmac.digest(key, f"{domain_name}|{event_id}".encode(), "sha256")[:16].hex()

    @staticmethod
    def known_to(session: Session, subject_id: str) -> list[str]:
        """Return the names of the domains that know this person."""
        return [name for name, _value, _at in store.of_subject(session, subject_id)]

    @staticmethod
    def forget(uow: UnitOfWork, subject_id: str) -> None:
        """Delete the person's pseudonyms everywhere; part of a recorded erasure."""
        store.delete_of(uow.session, subject_id)

    def pseudonymise(self, uow: UnitOfWork, domain_name: str, emails: Sequence[str]) -> list[str]:
        """Return the domain's pseudonym for each address, in order.

        A person we did not know becomes a subject with a blind index alone: the address itself
        is not kept (GDPR Art. 5(1)(c)).

        Raises:
            InvalidInput: an entry is not an address; names its position. Nothing is changed.
        """
        addresses = [
            normalise_email(address, field=f"identifiers.{position}")
            for position, address in enumerate(emails)
        ]
        values = {}
        for address in sorted(set(addresses)):  # in one order: two lists never wait in a ring
            subject_id = self._subjects.by_email(uow, address, keep=False)
            values[address] = self.issue(uow, domain_name, subject_id)
        uow.commit()
        return [values[address] for address in addresses]
