"""Telling every old address of a change, and taking it back by the link in that letter.

Whoever reads an address that the account had before can undo what was done to the addresses since,
for a week: the addresses are again those of before, every way back of a later change is void, and
the sessions and the password are the sign-in's no more. Every address is told, those that go too.
Source: OWASP ASVS 5.0 6.3.7, 7.5.1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts import address_store as store
from identity.accounts import one_time_proof
from identity.accounts.address_model import UNDO_LIFETIME, AddressChangeUndone, Changed, masked
from identity.accounts.model import Account, AccountStatus, LinkNotValid
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from policies.errors import NotFound
from policies.vocabulary import RetentionClass
from privacy.clock import rfc3339
from privacy.ids import new_id, new_token, secret_digest
from privacy.keys.blind_index import IdentifierKind
from privacy.keys.sealing import KeyDestroyed, Sealer, place
from privacy.mail import Postbox
from privacy.subjects.identifiers import Identifier, Known
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

LETTER: Final = "address-changed"
PROFILE: Final = RetentionClass.PROFILE
UNDO: Final = "/addresses/undo"


@dataclass(frozen=True, slots=True)
class Before:
    """An account's addresses and numbers at one moment, the preferred ones first."""

    known: Sequence[Known]

    @property
    def emails(self) -> list[str]:
        """The e-mail addresses."""
        return [
            each.identifier.value
            for each in self.known
            if each.identifier.kind is IdentifierKind.EMAIL
        ]


class AddressUndo:
    """The ways back of this deployment."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        subjects: Subjects,
        sealer: Sealer,
        postbox: Postbox,
        notices: SecurityNotices,
        base_url: str,
    ) -> None:
        self._accounts = accounts
        self._subjects = subjects
        self._sealer = sealer
        self._postbox = postbox
        self._notices = notices
        self._base_url = base_url

    def before(self, session: Session, account: Account) -> Before:
        """Return what the account's addresses are now, before they change."""
        identifiers = self._subjects.identifiers
        return Before(
            [
                known
                for kind in IdentifierKind
                for known in identifiers.of(session, account.subject_id, kind)
            ]
        )

    def tell(
        self,
        uow: UnitOfWork,
        account: Account,
        before: Before,
        changed: Changed,
        identifier: Identifier,
    ) -> None:
        """Mail every address of before how to take the change back; joins the transaction."""
        plain = json.dumps(
            [
                {
                    "kind": known.identifier.kind.value,
                    "value": known.identifier.value,
                    "verified_at": known.verified_at and known.verified_at.isoformat(),
                }
                for known in before.known
            ]
        ).encode()
        for address in before.emails:
            undo_id, token = new_id(uow.ids), new_token(uow.ids)
            sealed = self._sealer.seal(
                uow.session, account.subject_id, PROFILE, _where(undo_id), plain, at=uow.now
            )
            uow.session.add(
                store.AddressUndoRow(
                    undo_id=undo_id,
                    account_id=account.account_id,
                    before_sealed=sealed,
                    token_digest=secret_digest(token),
                    created_at=uow.now,
                    expires_at=uow.now + UNDO_LIFETIME,
                )
            )
            self._postbox.send(
                uow,
                to=address,
                letter=LETTER,
                locale=account.language,
                values={
                    "added": changed is Changed.ADDED,
                    "removed": changed is Changed.REMOVED,
                    "address": masked(identifier),
                    "at": rfc3339(uow.now),
                    "action_url": f"{self._base_url}{UNDO}/{token}",
                },
            )

    @staticmethod
    def behind_link(session: Session, token: str, *, now: datetime) -> str:
        """Return the id of the way back of a mailed link; changes nothing.

        Raises:
            LinkNotValid: it was used, is void, has expired or never was.
        """
        return one_time_proof.behind_link(session, store.AddressUndoRow, token, now).undo_id

    def undo(self, uow: UnitOfWork, token: str) -> str:
        """Take back what was done to the addresses since, once, and return the first; commits.

        An address of before that somebody else has proved meanwhile stays theirs.

        Raises:
            LinkNotValid: it was used, is void, has expired or never was, or nothing can be taken
                back any more.
        """
        undo_id = self.behind_link(uow.session, token, now=uow.now)
        row = uow.session.get_one(store.AddressUndoRow, undo_id)
        account = self._held(uow, row.account_id)
        if not one_time_proof.claim(uow.session, store.AddressUndoRow, undo_id, uow.now):
            raise LinkNotValid("the link was used at this moment")
        store.void_undos_since(uow.session, account.account_id, row.created_at, uow.now)
        store.delete_proofs(uow.session, account.account_id)
        gone = self.before(uow.session, account).emails
        first = self._restore(uow, account, self._opened(uow, account, row))
        self._notices.tell(uow, account, Notice.ADDRESS_CHANGED, also=gone)
        uow.record(
            AddressChangeUndone(subject_id=account.subject_id, account_id=account.account_id)
        )
        uow.commit()
        return first

    def _held(self, uow: UnitOfWork, account_id: str) -> Account:
        found = self._accounts.find(uow.session, account_id)
        if found is None or not self._subjects.hold(uow.session, found.subject_id):
            raise LinkNotValid("there is no such account any more")
        try:
            return self._accounts.lock(uow, account_id, AccountStatus.ACTIVE, AccountStatus.CLOSING)
        except NotFound:
            raise LinkNotValid("the account lets nobody in") from None

    def _opened(self, uow: UnitOfWork, account: Account, row: store.AddressUndoRow) -> list[Known]:
        try:
            plain = self._sealer.open(
                uow.session, account.subject_id, PROFILE, _where(row.undo_id), row.before_sealed
            )
        except KeyDestroyed:
            raise LinkNotValid("the person was erased") from None
        return [
            Known(
                Identifier(IdentifierKind(each["kind"]), each["value"]),
                each["verified_at"] and datetime.fromisoformat(each["verified_at"]),
            )
            for each in json.loads(plain)
        ]

    def _restore(self, uow: UnitOfWork, account: Account, wanted: Sequence[Known]) -> str:
        """Make the addresses those that were; return the e-mail address that is the first now.

        It is the one that was, unless it is so new that it may be what is being taken back: the
        letters of a later change have the addresses of an earlier one in them.
        """
        identifiers, subject_id = self._subjects.identifiers, account.subject_id
        own = []
        for known in wanted:
            holder = identifiers.find(uow.session, known.identifier)
            if holder is None:
                identifiers.add(uow, subject_id, known.identifier, keep=True)
                identifiers.verify(uow, subject_id, known.identifier)
            if holder in (None, subject_id):
                own.append(known)
        emails = [each for each in own if each.identifier.kind is IdentifierKind.EMAIL]
        if not emails:
            raise LinkNotValid("no address of before is left")
        first = _longest_settled(emails, uow.now)
        kept = [each.identifier for each in own]
        for known in self.before(uow.session, account).known:
            if known.identifier not in kept:
                identifiers.remove(uow, subject_id, known.identifier)
        identifiers.prefer(uow, subject_id, first)
        return first.value


def _longest_settled(emails: Sequence[Known], now: datetime) -> Identifier:
    """Return the first address that no letter can take back any more, or else the oldest."""

    def proved_at(known: Known) -> datetime:
        return known.verified_at or now

    settled = [each for each in emails if now - proved_at(each) >= UNDO_LIFETIME]
    return (settled[0] if settled else min(emails, key=proved_at)).identifier


def _where(undo_id: str) -> bytes:
    return place("address_undo", "before_sealed", undo_id)
