"""Passkeys: registering them, signing in with them, and what the person does with them later.

Each ceremony answers one challenge, once: it is used up by one conditional UPDATE in the
transaction of what it buys. Source: W3C WebAuthn L3 s. 7, 13.4.3.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final, NoReturn

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.accounts.model import Account, AccountStatus
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.mfa import ceremonies, store
from identity.mfa.factors import HasIdentity, PasswordFacts, demand_enough, factors_of
from identity.mfa.model import (
    CHALLENGE_BYTES,
    HANDLE_BYTES,
    MAX_NAME,
    MAX_PASSKEYS,
    Asserted,
    Ceremony,
    CeremonyEnded,
    CeremonyKind,
    Passkey,
    PasskeyAdded,
    PasskeyConfirmed,
    PasskeyFlagged,
    PasskeyRefused,
    PasskeyRemoved,
    PasskeyRenamed,
    PasskeySuspended,
)
from identity.mfa.newcomers import packed, unpacked
from identity.mfa.recovery_codes import RecoveryCodes
from identity.mfa.relying_party import NewCredential, RelyingParty
from policies.assurance import METHODS_OF, Factor
from policies.errors import Conflict, InvalidInput, NotFound
from policies.vocabulary import RetentionClass
from privacy.ids import new_id
from privacy.keys.sealing import Sealer, place
from privacy.unit_of_work import UnitOfWork

TRAIL: Final = RetentionClass.SECURITY_TRAIL
METHODS: Final = tuple(sorted(METHODS_OF[Factor.PASSKEY]))

#: An account that is closing lets its person in, to take it back.
_MAY_SIGN_IN: Final = (AccountStatus.ACTIVE, AccountStatus.CLOSING)


class Passkeys:
    """The passkeys of this deployment's accounts."""

    def __init__(
        self,
        *,
        relying_party: RelyingParty,
        accounts: Accounts,
        sealer: Sealer,
        notices: SecurityNotices,
        passwords: PasswordFacts,
        recovery_codes: RecoveryCodes,
        has_identity: HasIdentity,
    ) -> None:
        self._relying_party = relying_party
        self._accounts = accounts
        self._sealer = sealer
        self._notices = notices
        self._passwords = passwords
        self._recovery_codes = recovery_codes
        self._has_identity = has_identity

    # ---- registering ----

    def begin_registration(self, uow: UnitOfWork, account: Account, email: str) -> Ceremony:
        """Begin to add a passkey to an account; commits.

        Args:
            uow: the unit of work.
            account: whose.
            email: what the authenticator shows of the account.
        """
        known = store.passkeys_of(uow.session, account.account_id)
        if len(known) >= MAX_PASSKEYS:
            raise Conflict("an account has at most 20 passkeys")
        row = uow.session.get(store.UserHandleRow, account.account_id)
        handle = row.user_handle if row else uow.ids.random_bytes(HANDLE_BYTES)
        return self._begin_creation(uow, account, email, handle, known)

    def begin_for_newcomer(self, uow: UnitOfWork, email: str) -> Ceremony:
        """Begin to register with a passkey alone, whoever has the address; commits."""
        return self._begin_creation(uow, None, email, uow.ids.random_bytes(HANDLE_BYTES), ())

    def register(
        self, uow: UnitOfWork, account: Account, ceremony_id: str, response: str, name: str
    ) -> tuple[Passkey, list[str]]:
        """Add the passkey that the browser made, and tell the person; commits.

        Returns:
            The passkey, and recovery codes to be shown this once where the account had none.

        Raises:
            CeremonyEnded: it was used, has expired, or was begun for another account.
            PasskeyRefused: the response is not one that we can accept.
            InvalidInput: the name is empty, too long or not text.
            Conflict: the passkey is registered already, or the account has too many.
        """
        name = checked_name(name)
        ceremony = ceremonies.waiting(uow, ceremony_id, account, CeremonyKind.REGISTRATION)
        made = self._relying_party.verify_creation(response, challenge=ceremony.challenge)
        self._accounts.lock(uow, account.account_id)
        if len(store.passkeys_of(uow.session, account.account_id)) >= MAX_PASSKEYS:
            raise Conflict("an account has at most 20 passkeys")
        ceremonies.claim(uow, ceremony_id)
        row = self._add(uow, account, made, ceremony.user_handle or b"", name)
        self._notices.tell(uow, account, Notice.PASSKEY_ADDED, {"name": name})
        codes = self._recovery_codes.ensure(uow, account)
        passkey = self._passkey(uow.session, account, row)
        uow.commit()
        return passkey, codes

    def verify_newcomer(self, uow: UnitOfWork, ceremony_id: str, response: str, name: str) -> bytes:
        """Return what to keep of a newcomer's passkey until the address is proven; joins.

        Raises:
            CeremonyEnded: it was used, has expired, or is another account's.
            PasskeyRefused: the response is not one that we can accept.
            InvalidInput: the name is empty, too long or not text.
        """
        ceremony = ceremonies.waiting(uow, ceremony_id, None, CeremonyKind.REGISTRATION)
        made = self._relying_party.verify_creation(response, challenge=ceremony.challenge)
        ceremonies.claim(uow, ceremony_id)
        return packed(made, ceremony.user_handle or b"", checked_name(name))

    def keep(self, uow: UnitOfWork, account: Account, kept: bytes) -> None:
        """Give a new account the passkey of `verify_newcomer`; joins the transaction.

        Raises:
            Conflict: the passkey was registered elsewhere meanwhile.
        """
        made, handle, name = unpacked(kept)
        self._add(uow, account, made, handle, name)

    # ---- showing ----

    def begin_assertion(
        self, uow: UnitOfWork, account: Account | None, *, purpose: CeremonyKind
    ) -> Ceremony:
        """Begin to ask for a passkey; commits.

        Args:
            uow: the unit of work.
            account: whose passkeys are asked for; None for whoever signs in with any.
            purpose: `SIGN_IN` or `STEP_UP`.
        """
        rows = store.passkeys_of(uow.session, account.account_id) if account else ()
        challenge = uow.ids.random_bytes(CHALLENGE_BYTES)
        options = self._relying_party.request_options(
            challenge=challenge, allowed=[_named(row) for row in rows if row.flagged_at is None]
        )
        return ceremonies.begin(uow, options, challenge, purpose, account)

    def accept(
        self, uow: UnitOfWork, ceremony_id: str, response: str, *, account: Account | None
    ) -> Asserted:
        """Accept a passkey that was shown, once; joins the transaction.

        The caller records what it buys. One case does not join: where the passkey's counter went
        backwards, whatever the caller changed is undone, and the alarm alone is committed before
        the refusal is raised.

        Args:
            uow: the unit of work.
            ceremony_id: from the cookie.
            response: JSON, as the browser sent it.
            account: as `begin_assertion` was given it; the passkey must be this account's.

        Raises:
            CeremonyEnded: it was used, has expired, or was begun for another account.
            PasskeyRefused: the response is not a living account's passkey for this challenge.
            PasskeySuspended: the passkey may have been copied.

        Source: WebAuthn L3 s. 7.2, 6.1.1.
        """
        kinds = CeremonyKind.SIGN_IN, CeremonyKind.STEP_UP
        ceremony = ceremonies.waiting(uow, ceremony_id, account, *kinds)
        credential_id, handle = self._relying_party.credential_of(response)
        found = store.passkey_of_credential(uow.session, credential_id)
        if found is None or (account is not None and found.account_id != account.account_id):
            raise PasskeyRefused("this passkey is not registered here, or not for this account")
        owner, row = self._lock(uow, found)
        shown = self._relying_party.verify_assertion(
            response, challenge=ceremony.challenge, public_key=row.public_key
        )
        self._demand_handle(uow.session, owner, handle, needed=account is None)
        if shown.backup_eligible != row.backup_eligible:
            raise PasskeyRefused("the passkey says another thing of its backups than before")
        if row.flagged_at is not None:
            raise PasskeySuspended("the passkey is suspended")
        if (shown.sign_count or row.sign_count) and shown.sign_count <= row.sign_count:
            self._flag(uow, owner, row.passkey_id, ceremony_id, shown.sign_count)
        ceremonies.claim(uow, ceremony_id)
        row.sign_count, row.backed_up = shown.sign_count, shown.backed_up
        row.last_used_at = uow.now
        return Asserted(owner.account_id, row.passkey_id, METHODS)

    # ---- looking after ----

    def of_account(self, session: Session, account_id: str) -> list[Passkey]:
        """Return an account's passkeys, suspended ones too, in the order they were added."""
        account = self._accounts.find(session, account_id)
        if account is None:
            return []
        return [
            self._passkey(session, account, row) for row in store.passkeys_of(session, account_id)
        ]

    def rename(self, uow: UnitOfWork, account: Account, passkey_id: str, name: str) -> None:
        """Give a passkey another name; commits.

        Raises:
            NotFound: the account has no such passkey.
            InvalidInput: the name is empty, too long or not text.
        """
        name = checked_name(name)
        row = self._own(uow, account, passkey_id)
        row.name_sealed = self._sealed_name(uow, account, passkey_id, name)
        uow.record(
            PasskeyRenamed(
                subject_id=account.subject_id,
                account_id=account.account_id,
                passkey_id=passkey_id,
            )
        )
        uow.commit()

    def confirm(self, uow: UnitOfWork, account: Account, passkey_id: str) -> None:
        """Let a suspended passkey open again, since the person says it is theirs alone; commits.

        Raises:
            NotFound: the account has no such passkey.
            Conflict: it is not suspended.
        """
        row = self._own(uow, account, passkey_id)
        if row.flagged_at is None:
            raise Conflict("the passkey is not suspended")
        row.sign_count = row.flagged_count or 0
        row.flagged_at = row.flagged_count = None
        uow.record(
            PasskeyConfirmed(
                subject_id=account.subject_id,
                account_id=account.account_id,
                passkey_id=passkey_id,
            )
        )
        uow.commit()

    def remove(self, uow: UnitOfWork, account: Account, passkey_id: str) -> None:
        """Remove a passkey; the other sessions end and the person is told; commits.

        Raises:
            NotFound: the account has no such passkey.
            FactorStillNeeded: the account would have no way in, or too weak a one.
        """
        row = self._own(uow, account, passkey_id)
        name = self._passkey(uow.session, account, row).name
        self._take(uow, account, row)
        left = factors_of(uow.session, account.account_id)
        demand_enough(
            uow.session,
            account.account_id,
            left=left,
            passwords=self._passwords,
            has_identity=self._has_identity,
        )
        if not left:
            store.delete_recovery_codes(uow.session, account.account_id)
        self._notices.tell(uow, account, Notice.PASSKEY_REMOVED, {"name": name})
        uow.commit()

    def remove_all(self, uow: UnitOfWork, account: Account) -> None:
        """Remove every passkey after a recovery of lost factors; joins, and tells nobody."""
        for row in store.passkeys_of(uow.session, account.account_id):
            self._take(uow, account, row)

    # ---- within ----

    def _take(self, uow: UnitOfWork, account: Account, row: store.PasskeyRow) -> None:
        uow.session.delete(row)
        uow.session.flush()
        uow.record(
            PasskeyRemoved(
                subject_id=account.subject_id,
                account_id=account.account_id,
                passkey_id=row.passkey_id,
            )
        )

    def _begin_creation(
        self,
        uow: UnitOfWork,
        account: Account | None,
        email: str,
        handle: bytes,
        known: Sequence[store.PasskeyRow],
    ) -> Ceremony:
        challenge = uow.ids.random_bytes(CHALLENGE_BYTES)
        options = self._relying_party.creation_options(
            challenge=challenge, handle=handle, label=email, known=[_named(row) for row in known]
        )
        return ceremonies.begin(uow, options, challenge, CeremonyKind.REGISTRATION, account, handle)

    def _add(
        self, uow: UnitOfWork, account: Account, made: NewCredential, handle: bytes, name: str
    ) -> store.PasskeyRow:
        user = uow.session.get(store.UserHandleRow, account.account_id)
        if user is None:
            uow.session.add(store.UserHandleRow(account_id=account.account_id, user_handle=handle))
        elif not hmac.compare_digest(user.user_handle, handle):
            raise CeremonyEnded("another passkey was added meanwhile; begin again")
        passkey_id = new_id(uow.ids)
        row = store.PasskeyRow(
            passkey_id=passkey_id,
            account_id=account.account_id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            name_sealed=self._sealed_name(uow, account, passkey_id, name),
            aaguid=made.aaguid,
            transports=" ".join(made.transports),
            backup_eligible=made.backup_eligible,
            backed_up=made.backed_up,
            created_at=uow.now,
        )
        try:
            with uow.session.begin_nested():
                uow.session.add(row)
        except IntegrityError:
            raise Conflict("this passkey is registered already") from None
        uow.record(
            PasskeyAdded(
                subject_id=account.subject_id,
                account_id=account.account_id,
                passkey_id=passkey_id,
            ),
            {"synced": made.backed_up, "may_be_synced": made.backup_eligible},
        )
        return row

    def _lock(self, uow: UnitOfWork, found: store.PasskeyRow) -> tuple[Account, store.PasskeyRow]:
        """Return the passkey and its account, held until the commit: the account comes first."""
        try:
            owner = self._accounts.lock(uow, found.account_id, *_MAY_SIGN_IN)
        except NotFound:
            raise PasskeyRefused("the account lets nobody in") from None
        row = store.lock_passkey(uow.session, found.passkey_id, found.account_id)
        if row is None:
            raise PasskeyRefused("the passkey was removed meanwhile")
        return owner, row

    @staticmethod
    def _demand_handle(
        session: Session, owner: Account, handle: bytes | None, *, needed: bool
    ) -> None:
        """Demand that the passkey names the account that has it. Source: L3 s. 7.2 step 6."""
        if handle is None and not needed:
            return
        user = session.get_one(store.UserHandleRow, owner.account_id)
        if handle is None or not hmac.compare_digest(user.user_handle, handle):
            raise PasskeyRefused("the passkey was made for another account")

    def _flag(
        self, uow: UnitOfWork, owner: Account, passkey_id: str, ceremony_id: str, count: int
    ) -> NoReturn:
        uow.session.rollback()  # nothing of what the caller hoped to buy
        uow.session.info.clear()
        self._accounts.lock(uow, owner.account_id, *_MAY_SIGN_IN)
        row = store.lock_passkey(uow.session, passkey_id, owner.account_id)
        ceremonies.claim(uow, ceremony_id)
        if row is not None and row.flagged_at is None:
            row.flagged_at, row.flagged_count = uow.now, count
            name = self._passkey(uow.session, owner, row).name
            uow.record(
                PasskeyFlagged(
                    subject_id=owner.subject_id, account_id=owner.account_id, passkey_id=passkey_id
                ),
                {"counted_before": row.sign_count, "counts_now": count},
            )
            self._notices.tell(uow, owner, Notice.PASSKEY_FLAGGED, {"name": name})
        uow.commit()
        raise PasskeySuspended("the passkey's counter went backwards")

    def _own(self, uow: UnitOfWork, account: Account, passkey_id: str) -> store.PasskeyRow:
        self._accounts.lock(uow, account.account_id)
        row = store.lock_passkey(uow.session, passkey_id, account.account_id)
        if row is None:
            raise NotFound("the account has no such passkey")
        return row

    def _sealed_name(self, uow: UnitOfWork, account: Account, passkey_id: str, name: str) -> bytes:
        where = place("passkey", "name_sealed", passkey_id)
        return self._sealer.seal(
            uow.session, account.subject_id, TRAIL, where, name.encode(), at=uow.now
        )

    def _passkey(self, session: Session, account: Account, row: store.PasskeyRow) -> Passkey:
        where = place("passkey", "name_sealed", row.passkey_id)
        name = self._sealer.open(session, account.subject_id, TRAIL, where, row.name_sealed)
        return Passkey(
            passkey_id=row.passkey_id,
            name=name.decode(),
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            synced=row.backed_up,
            flagged_at=row.flagged_at,
        )


def checked_name(name: str) -> str:
    """Return a passkey's name as it is kept.

    Raises:
        InvalidInput: it is empty, longer than 60 characters, or has signs that are not shown.
    """
    plain = " ".join(name.split())
    if not plain or len(plain) > MAX_NAME or not plain.isprintable():
        raise InvalidInput("a name has 1 to 60 printable characters", field="name")
    return plain


def _named(row: store.PasskeyRow) -> tuple[bytes, tuple[str, ...]]:
    return row.credential_id, tuple(row.transports.split())
