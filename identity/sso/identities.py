"""The identities that accounts are linked to: finding, linking, unlinking, forgetting.

The key is (issuer, subject there), never an e-mail address.
Source: OIDC Core s. 5.7; OWASP ASVS 5.0 6.8.1, 10.5.2.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.accounts.model import Account, AccountClosed, LinkNotValid
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.origin import Origin
from identity.accounts.service import Accounts
from identity.sso import store
from identity.sso.identity_model import (
    MAX_IDENTITIES,
    Arrival,
    Identity,
    IdentityLinked,
    IdentityTaken,
    IdentityUnlinked,
    LastWayIn,
)
from identity.sso.model import Arrived
from identity.sso.waiting import Arrivals
from policies.errors import Conflict, NotFound
from policies.vocabulary import RetentionClass
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.ids import new_id, secret_digest
from privacy.keys.blind_index import INDEX_BYTES
from privacy.keys.keyring import Keyring, RootKey
from privacy.keys.sealing import Sealer, place
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

#: Tells whether an account has a password or a passkey that opens.
OtherWayIn = Callable[[Session, str], bool]
#: The titles of the providers of the configuration, by id.
Titles = Mapping[str, str]

_PROFILE: Final = RetentionClass.PROFILE


class Identities:
    """The linked identities of this deployment.

    Args:
        keyring: keys the blind index of subjects and sessions of providers.
        sealer: keeps the subject for the person's own copy of their data.
        arrivals: who came from a provider and is not linked yet.
        accounts: the accounts.
        subjects: keep the attributes that a newcomer brings.
        notices: tells the person.
        other_way_in: besides identities.
        titles: of the providers of the configuration; an identity of any other opens nothing.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        sealer: Sealer,
        arrivals: Arrivals,
        accounts: Accounts,
        subjects: Subjects,
        notices: SecurityNotices,
        other_way_in: OtherWayIn,
        titles: Titles,
    ) -> None:
        self._keyring = keyring
        self._sealer = sealer
        self._arrivals = arrivals
        self._accounts = accounts
        self._subjects = subjects
        self._notices = notices
        self._other_way_in = other_way_in
        self._titles = titles

    # ---- finding ----

    def find(self, session: Session, issuer: str, sub: str) -> Identity | None:
        """Return the identity of this key, whoever's."""
        row = store.identity_of(session, issuer, self._index(issuer, sub))
        return _identity(row) if row else None

    @staticmethod
    def of_account(session: Session, account_id: str) -> list[Identity]:
        """Return an account's identities in the order they were linked."""
        return [_identity(row) for row in store.identities_of(session, account_id)]

    def is_way_in(self, session: Session, account_id: str) -> bool:
        """Tell whether the account has an identity of a provider that is still configured."""
        return store.has_identity(session, account_id, self._titles)

    @staticmethod
    def came_by(uow: UnitOfWork, identity: Identity, provider: str) -> None:
        """Note by which entry of the configuration an identity came, should that change; joins."""
        if identity.provider != provider:
            uow.session.get_one(store.IdentityRow, identity.identity_id).provider = provider

    def title(self, provider: str) -> str:
        """Return what people call a provider; its id where it has gone from the configuration."""
        return self._titles.get(provider, provider)

    def session_digest(self, issuer: str, sid: str | None) -> str | None:
        """Return the keyed digest of a session of the provider's; None where there is none."""
        return None if sid is None else self._mac("upstream-session", issuer, sid).hex()

    # ---- linking ----

    def link(self, uow: UnitOfWork, account: Account, arrived: Arrived) -> Identity:
        """Link an identity at the wish of a person who has proven enough for it; commits.

        Raises:
            IdentityTaken: another account has it.
            Conflict: the account has too many.
            NotFound: the account is not active any more.
        """
        self._accounts.lock(uow, account.account_id)
        identity = self._add(uow, account, arrived.provider, arrived.issuer, arrived.sub, "person")
        uow.commit()
        return identity

    def keep(self, uow: UnitOfWork, account: Account, arrival_digest: str) -> Origin:
        """Link a newcomer's arrival to the account just opened, with what it brings; joins.

        Raises:
            LinkNotValid: it was used or has expired, or the identity has an account by now.
        """
        arrival = self._arrivals.claim(uow, arrival_digest)
        try:
            identity = self._add(
                uow, account, arrival.provider, arrival.issuer, arrival.sub, "registration"
            )
        except IdentityTaken:
            raise LinkNotValid("the identity has an account by now") from None
        for attribute, value in arrival.attributes.items():
            self._subjects.rectify(uow, account.subject_id, attribute, value)
        return Origin(identity.identity_id, arrival.upstream_session)

    def settle(self, uow: UnitOfWork, account: Account, origin: Origin) -> Origin:
        """Note the use of a sign-in's identity, linked first where it waited for it; joins.

        Raises:
            LinkNotValid: what waited has expired or belongs to another account.
        """
        if origin.arrival is not None:
            arrival = self._arrivals.claim(uow, origin.arrival)
            if arrival.account_id != account.account_id:
                raise LinkNotValid("it waits for another account")
            identity = self._add_waiting(uow, account, arrival, "proven-address")
            origin = replace(origin, identity_id=identity.identity_id, arrival=None)
        row = uow.session.get(
            store.IdentityRow, origin.identity_id, populate_existing=True
        )  # it may have been unlinked since it was found
        if row is None or row.account_id != account.account_id:
            raise LinkNotValid("the identity was unlinked meanwhile")
        row.last_used_at = uow.now
        return origin

    def confirm(self, uow: UnitOfWork, account: Account, secret: str) -> Identity:
        """Link what waits for this account, since its signed-in person says so; commits.

        Raises:
            LinkNotValid: it was used, has expired, or waits for another account.
        """
        self._accounts.lock(uow, account.account_id)
        arrival = self._arrivals.claim(uow, secret_digest(secret))
        if arrival.account_id != account.account_id:
            raise LinkNotValid("it waits for another account")
        identity = self._add_waiting(uow, account, arrival, "confirmation")
        uow.commit()
        return identity

    def _add_waiting(
        self, uow: UnitOfWork, account: Account, arrival: Arrival, by: str
    ) -> Identity:
        try:
            return self._add(uow, account, arrival.provider, arrival.issuer, arrival.sub, by)
        except (IdentityTaken, Conflict):
            raise LinkNotValid("the identity cannot be linked any more") from None

    def _add(  # an identity has as many parts
        self, uow: UnitOfWork, account: Account, provider: str, issuer: str, sub: str, by: str
    ) -> Identity:
        """Link an identity, once: a second time it is the same; joins."""
        index = self._index(issuer, sub)
        known = store.identity_of(uow.session, issuer, index)
        if known is None:
            if len(store.identities_of(uow.session, account.account_id)) >= MAX_IDENTITIES:
                raise Conflict("an account has at most 20 identities")
            identity_id = new_id(uow.ids)
            row = store.IdentityRow(
                identity_id=identity_id,
                issuer=issuer,
                sub_index=index,
                sub_sealed=self._sealer.seal(
                    uow.session,
                    account.subject_id,
                    _PROFILE,
                    _sub_place(identity_id),
                    sub.encode(),
                    at=uow.now,
                ),
                provider=provider,
                account_id=account.account_id,
                linked_at=uow.now,
            )
            try:
                with uow.savepoint():
                    uow.session.add(row)
            except IntegrityError:  # linked at the same moment, by whomever
                known = store.identity_of(uow.session, issuer, index)
                if known is None:
                    raise
            else:
                self._tell_linked(uow, account, row, by)
                return _identity(row)
        if known.account_id != account.account_id:
            raise IdentityTaken("the identity is another account's")
        return _identity(known)

    def _tell_linked(
        self, uow: UnitOfWork, account: Account, row: store.IdentityRow, by: str
    ) -> None:
        uow.record(
            IdentityLinked(
                subject_id=account.subject_id,
                account_id=account.account_id,
                identity_id=row.identity_id,
                provider=row.provider,
                by=by,
            )
        )
        if by != "registration":  # the account was opened by it just now
            details = {"name": self.title(row.provider)}
            self._notices.tell(uow, account, Notice.IDENTITY_LINKED, details)

    # ---- unlinking ----

    def unlink(self, uow: UnitOfWork, account: Account, identity_id: str) -> Identity:
        """Unlink an identity; what it began ends, and the person is told; commits.

        The account is held, so that of two at once the second sees what the first has left.

        Raises:
            NotFound: the account has no such identity.
            LastWayIn: nothing else would open the account.
        """
        self._accounts.lock(uow, account.account_id)
        row = uow.session.get(store.IdentityRow, identity_id, populate_existing=True)
        if row is None or row.account_id != account.account_id:
            raise NotFound("the account has no such identity")
        identity = _identity(row)
        uow.session.delete(row)
        uow.session.flush()
        if not self._other_way_in(uow.session, account.account_id) and not self.is_way_in(
            uow.session, account.account_id
        ):
            raise LastWayIn("nothing else would open the account")
        uow.record(
            IdentityUnlinked(
                subject_id=account.subject_id,
                account_id=account.account_id,
                identity_id=identity_id,
                provider=identity.provider,
            )
        )
        details = {"name": self.title(identity.provider)}
        self._notices.tell(uow, account, Notice.IDENTITY_UNLINKED, details)
        uow.commit()
        return identity

    def unlink_all(self, uow: UnitOfWork, account: Account) -> None:
        """Unlink every identity, since whoever linked them may not have been the person; joins.

        The mailbox is then the way in, as where a password was voided; and tells nobody.
        """
        for row in store.identities_of(uow.session, account.account_id):
            uow.session.delete(row)
            uow.record(
                IdentityUnlinked(
                    subject_id=account.subject_id,
                    account_id=account.account_id,
                    identity_id=row.identity_id,
                    provider=row.provider,
                )
            )
        uow.session.flush()

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget a closed account's identities: whoever comes by one next is somebody new."""
        store.delete_of(uow.session, event.account_id)

    # ---- for the person ----

    def held_of(self, session: Session, account: Account) -> list[Json]:
        """Return all that is kept of an account's identities. Source: GDPR Art. 15(1)."""
        return [
            {
                "provider": self.title(row.provider),
                "issuer": row.issuer,
                "subject": self._sealer.open(
                    session,
                    account.subject_id,
                    _PROFILE,
                    _sub_place(row.identity_id),
                    row.sub_sealed,
                ).decode(),
                "linked_at": rfc3339(row.linked_at),
                "last_used_at": rfc3339(row.last_used_at) if row.last_used_at else None,
            }
            for row in store.identities_of(session, account.account_id)
        ]

    def _index(self, issuer: str, sub: str) -> bytes:
        return self._mac("upstream-subject", issuer, sub)[:INDEX_BYTES]

    def _mac(self, use: str, issuer: str, value: str) -> bytes:
        key = self._keyring.derive(RootKey.BLIND_INDEX, use, "v1")
        # The length goes first, so that no other pair reads the same.
        text = f"{len(issuer)}:{issuer}{value}".encode()
        return hmac.digest(key, text, hashlib.sha256)


def _sub_place(identity_id: str) -> bytes:
    return place("sso_identity", "sub_sealed", identity_id)


def _identity(row: store.IdentityRow) -> Identity:
    return Identity(
        identity_id=row.identity_id,
        account_id=row.account_id,
        provider=row.provider,
        issuer=row.issuer,
        linked_at=row.linked_at,
        last_used_at=row.last_used_at,
    )
