"""Registration: no account and no person exists until the address is proven.

Several registrations may wait for one address. Proving the address by one of them accepts that
one alone and ends the others, so an account that somebody else prepared under a person's address
never becomes that person's. Source: GDPR Art. 5(1)(c).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from identity.accounts import one_time_proof, store
from identity.accounts.mailbox_proof import CODE_LIFETIME, MAX_CODE_TRIES, new_proof
from identity.accounts.model import (
    REGISTRATION_LIFETIME,
    Account,
    AccountVerified,
    LinkNotValid,
    WrongCredentials,
)
from identity.accounts.origin import Origin
from identity.accounts.service import Accounts
from policies.assurance import METHODS_OF, Factor
from policies.vocabulary import RetentionClass, Role
from privacy.actor import Actor
from privacy.consent.acknowledgements import AccountNoticesShown
from privacy.ids import new_id, secret_digest
from privacy.keys.blind_index import BlindIndex, IdentifierKind, normalise_email
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.mail import Postbox
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime, UnitOfWork

#: Makes a registered password hash the account's; `identity.credentials` has it.
KeepPassword = Callable[[UnitOfWork, Account, str], None]
#: Makes a registered passkey the account's; `identity.mfa` has it.
KeepPasskey = Callable[[UnitOfWork, Account, bytes], None]
#: Links what waits of an outside provider to a new account; `identity.sso` has it.
KeepIdentity = Callable[[UnitOfWork, Account, str], Origin]
#: Lets it wait for an existing account's person to sign in and to confirm; likewise.
OfferIdentity = Callable[[UnitOfWork, Account, str], None]
#: Records which notices of the account the person was shown; `privacy.consent` has it.
RecordNotices = Callable[[UnitOfWork, str, AccountNoticesShown], None]
#: Tells whether a password is the one of a hash; slow on purpose.
PasswordMatches = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A registration whose address is not proven yet.

    Attributes:
        registration_id: names it.
        by_password: whether a password was chosen; else a passkey was made.
    """

    registration_id: str
    by_password: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """An account was opened.

    Attributes:
        account: the account.
        methods: how its person is known in the browser that began, RFC 8176 values.
        origin: the outside provider that the person came from, if any.
    """

    account: Account
    methods: tuple[str, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class HasAccount:
    """The address that was proven has an account: its person signs in and links the identity.

    Attributes:
        account_id: of the account.
    """

    account_id: str


class Registrations:
    """Registrations from the form to the proven address."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        subjects: Subjects,
        sealer: Sealer,
        blind_index: BlindIndex,
        postbox: Postbox,
        keep_password: KeepPassword,
        password_matches: PasswordMatches,
        keep_passkey: KeepPasskey,
        keep_identity: KeepIdentity,
        offer_identity: OfferIdentity,
        record_notices: RecordNotices,
        base_url: str,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._subjects = subjects
        self._sealer = sealer
        self._blind_index = blind_index
        self._postbox = postbox
        self._keep_password = keep_password
        self._password_matches = password_matches
        self._keep_passkey = keep_passkey
        self._keep_identity = keep_identity
        self._offer_identity = offer_identity
        self._record_notices = record_notices
        self._base_url = base_url

    def begin(
        self,
        uow: UnitOfWork,
        *,
        email: str,
        password_hash: str | None = None,
        passkey: bytes | None = None,
        arrival: str | None = None,
        language: str,
        invitation: str | None = None,
        shown: AccountNoticesShown | None = None,
    ) -> str:
        """Keep a registration, mail its link and code, and return its id; commits.

        An address that has an account gets a letter saying so instead. Its registration is kept
        all the same, with a code that nobody has: whoever asks sees no difference. Who comes from
        an outside provider gets a code that proves the address there too, since the identity may
        be linked to that account.

        Args:
            uow: the unit of work.
            email: the address, as typed.
            password_hash: of the chosen password; made before the transaction began.
            passkey: instead of a password, what `identity.mfa` keeps of a verified one.
            arrival: instead of either, names what waits of an outside provider.
            language: of the letter and the account.
            invitation: the token of the invitation that brings a role, if any.
            shown: the notices of the account that stood on the form; evidence once the account
                opens.

        Raises:
            InvalidInput: it is not an address.
            LinkNotValid: the invitation is not valid.
        """
        address = normalise_email(email)
        if invitation is not None:
            self._accounts.invited_role(uow.session, invitation, now=uow.now)
        known = self._accounts.at_address(uow.session, address) is not None
        registration_id = new_id(uow.ids)
        proof = new_proof(uow.ids, registration_id)
        sealed = self._sealer.seal(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _email_place(registration_id),
            address.encode(),
            at=uow.now,
        )
        passkey_sealed = passkey and self._sealer.seal(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _passkey_place(registration_id),
            passkey,
            at=uow.now,
        )
        uow.session.add(
            store.PendingRegistration(
                registration_id=registration_id,
                email_index=self._blind_index.of(IdentifierKind.EMAIL, address),
                email_sealed=sealed,
                password_hash=password_hash,
                passkey_sealed=passkey_sealed,
                arrival=arrival,
                token_digest=proof.token_digest,
                code_digest=proof.code_digest,
                language=language,
                invitation_digest=secret_digest(invitation) if invitation else None,
                terms_version=shown.terms_version if shown else None,
                privacy_version=shown.privacy_version if shown else None,
                notices_language=shown.language if shown else None,
                created_at=uow.now,
                code_expires_at=uow.now + CODE_LIFETIME,
                expires_at=uow.now + REGISTRATION_LIFETIME,
            )
        )
        if known and arrival is not None:
            self._postbox.send(
                uow,
                to=address,
                letter="identity-proof",
                locale=language,
                values={"code": proof.code},
            )
        elif known:
            self._postbox.send(
                uow,
                to=address,
                letter="account-exists",
                locale=language,
                values={"action_url": f"{self._base_url}/login"},
            )
        else:
            self._postbox.send(
                uow,
                to=address,
                letter="registration",
                locale=language,
                values={
                    "code": proof.code,
                    "action_url": f"{self._base_url}/register/confirm/{proof.token}",
                },
            )
        uow.commit()
        return registration_id

    def open_proven(
        self,
        uow: UnitOfWork,
        *,
        email: str,
        arrival: str,
        language: str,
        shown: AccountNoticesShown | None = None,
    ) -> Opened | HasAccount:
        """Open an account at an address that an authoritative provider has proven; commits.

        What anybody prepared under the address ends, as where a mailed code proves it.

        Args:
            uow: the unit of work.
            email: the address.
            arrival: names what waits of the provider.
            language: of the account.
            shown: the notices of the account that stood on the form.
        """
        address = normalise_email(email)
        email_index = self._blind_index.of(IdentifierKind.EMAIL, address)
        store.lock_pendings(uow.session, email_index)
        result = self._open_by_identity(
            uow, address, arrival, by="provider", language=language, shown=shown
        )
        store.delete_pendings(uow.session, email_index)
        uow.commit()
        return result

    def registration_of(self, session: Session, token: str) -> Waiting:
        """Return the registration whose mailed link this is; changes nothing.

        Raises:
            LinkNotValid: it was used, has expired or never was.
        """
        now = self._runtime.clock()
        row = one_time_proof.behind_link(session, store.PendingRegistration, token, now)
        return Waiting(row.registration_id, by_password=row.password_hash is not None)

    def prove_by_link(
        self, actor: Actor, token: str, *, password: str | None
    ) -> Opened | HasAccount:
        """Open the account of a mailed link, once.

        A link says that somebody reads the mailbox, not that the same person chose the password:
        an attacker may have registered the address and hope for one careless press of a button.
        So a browser that did not begin the registration must give the password too, and cannot
        prove one with a passkey at all. Tries count like those of the code. Opens transactions of its own, so call it while none is open.

        Args:
            actor: who asks.
            token: of the link.
            password: None where this browser began the registration.

        Raises:
            LinkNotValid: it was used, has expired, the tries are used up, or it belongs to another
                browser and there is no password.
            WrongCredentials: the password is not the one; a few more tries are left.
        """
        with self._runtime.snapshot() as session:
            registration_id = self.registration_of(session, token).registration_id
            row = session.get_one(store.PendingRegistration, registration_id)
            password_hash = row.password_hash
        if password is not None:
            if password_hash is None:
                raise LinkNotValid("the link works in the browser that began alone")
            with self._runtime.unit_of_work(actor) as uow:
                if not store.count_password_try(
                    uow.session, registration_id, MAX_CODE_TRIES, uow.now
                ):
                    raise LinkNotValid("no try is left")
                uow.commit()
            if not self._password_matches(password_hash, password):
                raise WrongCredentials
        with self._runtime.unit_of_work(actor) as uow:
            opened = self._prove(uow, registration_id, by="link")
            uow.commit()
        return opened

    def prove_by_code(self, actor: Actor, registration_id: str, code: str) -> Opened | HasAccount:
        """Open the account of a registration by its mailed code, once.

        The try is counted first and stands when the code is refused. Opens transactions of its
        own, so call it while none is open.

        Raises:
            LinkNotValid: no try is left, or the code was used or has expired.
            WrongCode: a try is used up.
        """
        one_time_proof.try_code(
            self._runtime, actor, store.PendingRegistration, registration_id, code
        )
        with self._runtime.unit_of_work(actor) as uow:
            opened = self._prove(uow, registration_id, by="code")
            uow.commit()
        return opened

    def _prove(self, uow: UnitOfWork, registration_id: str, *, by: str) -> Opened | HasAccount:
        first = uow.session.get(store.PendingRegistration, registration_id)
        if first is None:
            raise LinkNotValid("the registration is not valid any more")
        waiting = store.lock_pendings(uow.session, first.email_index)
        if not one_time_proof.claim(
            uow.session, store.PendingRegistration, registration_id, uow.now
        ):
            raise LinkNotValid("the registration is not valid any more")
        row = next(row for row in waiting if row.registration_id == registration_id)
        address = self._sealer.open(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _email_place(registration_id),
            row.email_sealed,
        ).decode()
        shown = None
        if row.notices_language is not None:
            shown = AccountNoticesShown(
                row.notices_language, row.terms_version, row.privacy_version
            )
        if row.arrival is not None:
            result = self._open_by_identity(
                uow, address, row.arrival, by=by, language=row.language, shown=shown
            )
            store.delete_pendings(uow.session, row.email_index)
            return result
        role, invitation_id = Role.PERSON, None
        if row.invitation_digest is not None:
            role, invitation_id = self._accounts.claim_invitation(uow, row.invitation_digest)
        account = self._open(uow, address, role=role, by=by, language=row.language, shown=shown)
        if invitation_id is not None:
            self._accounts.grant_role(uow, account, invitation_id)
        factor = self._keep_factor(uow, account, row)
        store.delete_pendings(uow.session, row.email_index)
        return Opened(account, tuple(sorted(METHODS_OF[factor])))

    def _open(
        self,
        uow: UnitOfWork,
        address: str,
        *,
        role: Role,
        by: str,
        language: str,
        shown: AccountNoticesShown | None,
    ) -> Account:
        """Open the account of a proven address."""
        subject_id = self._subjects.by_email(uow, address, keep=True)
        account = self._accounts.open(uow, subject_id, role=role, language=language)
        self._subjects.verify_email(uow, subject_id, address)
        uow.record(AccountVerified(subject_id=subject_id, account_id=account.account_id, by=by))
        if shown is not None:
            self._record_notices(uow, subject_id, shown)
        return account

    def _open_by_identity(
        self,
        uow: UnitOfWork,
        address: str,
        arrival: str,
        *,
        by: str,
        language: str,
        shown: AccountNoticesShown | None,
    ) -> Opened | HasAccount:
        """Open the account of who comes from an outside provider; an existing one is not touched."""
        known = self._accounts.at_address(uow.session, address)
        if known is not None:
            self._offer_identity(uow, known, arrival)
            return HasAccount(known.account_id)
        account = self._open(uow, address, role=Role.PERSON, by=by, language=language, shown=shown)
        origin = self._keep_identity(uow, account, arrival)
        return Opened(account, tuple(sorted(METHODS_OF[Factor.FEDERATED])), origin)

    def _keep_factor(
        self, uow: UnitOfWork, account: Account, row: store.PendingRegistration
    ) -> Factor:
        """Make the chosen password or passkey the account's, and tell which it is."""
        if row.password_hash is not None:
            self._keep_password(uow, account, row.password_hash)
            return Factor.PASSWORD
        kept = self._sealer.open(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _passkey_place(row.registration_id),
            row.passkey_sealed or b"",
        )
        self._keep_passkey(uow, account, kept)
        return Factor.PASSKEY


def _email_place(registration_id: str) -> bytes:
    return place("pending_registration", "email_sealed", registration_id)


def _passkey_place(registration_id: str) -> bytes:
    return place("pending_registration", "passkey_sealed", registration_id)
