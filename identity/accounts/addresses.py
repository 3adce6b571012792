"""The addresses and numbers of an account: adding by proof, choosing the first, removing.

What is added but not proven finds nobody and grants nothing. Proving an address under which we
knew somebody without an account claims what was recorded there: two subjects are one person.
Source: GDPR Art. 5(1)(d); OWASP ASVS 5.0 6.5.1 to 6.5.5, 7.5.1; docs/decisions/0005.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Final

import phonenumbers
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.accounts import address_store as store
from identity.accounts import one_time_proof
from identity.accounts.address_model import (
    CODES_PER_NUMBER,
    LINK_LIFETIME,
    NUMBER_WINDOW,
    AddressAlreadyYours,
    AddressTaken,
    Changed,
    LastAddress,
    NoMobileNumber,
)
from identity.accounts.address_undo import AddressUndo
from identity.accounts.mailbox_proof import (
    CODE_LIFETIME,
    MailboxProof,
    code_matches,
    new_proof,
)
from identity.accounts.model import Account, AccountClosed, AccountStatus, LinkNotValid, WrongCode
from identity.accounts.service import Accounts
from policies.errors import TooManyAttempts
from policies.vocabulary import RetentionClass
from privacy.actor import Actor
from privacy.ids import new_id
from privacy.keys.blind_index import IdentifierKind
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.mail import Postbox
from privacy.sms import Texts
from privacy.subjects.identifiers import Identifier, Known
from privacy.subjects.model import SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime, UnitOfWork

CONFIRM: Final = "/account/addresses/confirm"
_REACHED_BY_TEXT: Final = frozenset(
    {
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    }
)


class Addresses:
    """The addresses of this deployment's accounts."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        subjects: Subjects,
        sealer: Sealer,
        postbox: Postbox,
        texts: Texts,
        undo: AddressUndo,
        base_url: str,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._subjects = subjects
        self._sealer = sealer
        self._postbox = postbox
        self._texts = texts
        self._undo = undo
        self._base_url = base_url

    def of(
        self, session: Session, account: Account, kind: IdentifierKind = IdentifierKind.EMAIL
    ) -> list[Known]:
        """Return the account's addresses or numbers; with the first of them the person signs in."""
        return self._subjects.identifiers.of(session, account.subject_id, kind)

    def begin(self, uow: UnitOfWork, account: Account, identifier: Identifier) -> str:
        """Send a code and a link to a new address, and return the proof's id; commits.

        An address that has an account of its own gets a message saying so instead. The proof is
        kept all the same, with a code that nobody has: whoever asks sees no difference.

        Raises:
            AddressAlreadyYours: the account has it.
            NoMobileNumber: text messages do not reach it.
            TooManyAttempts: so many codes went to this number in this hour.
        """
        self._accounts.lock(uow, account.account_id)
        if any(
            known.identifier == identifier
            for known in self.of(uow.session, account, identifier.kind)
        ):
            raise AddressAlreadyYours("the account has it already", field=identifier.kind.value)
        if identifier.kind is IdentifierKind.PHONE:
            self._allow_text(uow, identifier)
        owner = self._subjects.identifiers.find(uow.session, identifier)
        taken = owner not in (None, account.subject_id) and self._has_account(uow.session, owner)
        proof_id = new_id(uow.ids)
        proof = new_proof(uow.ids, proof_id)
        sealed = self._sealer.seal(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _where(proof_id),
            identifier.value.encode(),
            at=uow.now,
        )
        uow.session.add(
            store.AddressProofRow(
                proof_id=proof_id,
                account_id=account.account_id,
                kind=identifier.kind.value,
                value_index=self._subjects.identifiers.index(identifier),
                value_sealed=sealed,
                token_digest=proof.token_digest,
                code_digest=proof.code_digest,
                created_at=uow.now,
                code_expires_at=uow.now + CODE_LIFETIME,
                expires_at=uow.now + LINK_LIFETIME,
            )
        )
        self._send(uow, account, identifier, None if taken else proof)
        uow.commit()
        return proof_id

    def proof_of(self, session: Session, account_id: str, token: str) -> str:
        """Return the id of the proof whose mailed link this is; changes nothing.

        A link works in a session of the account that asked alone: else somebody could have a
        stranger's address, and all that is recorded there, confirmed into their own account.

        Raises:
            LinkNotValid: it was used, has expired, never was, or is of another account.
        """
        now = self._runtime.clock()
        row = one_time_proof.behind_link(session, store.AddressProofRow, token, now)
        if row.account_id != account_id:
            raise LinkNotValid("the link is not valid")
        return row.proof_id

    def prove_by_link(self, actor: Actor, token: str) -> Identifier:
        """Add the address of a mailed link, once, and return it; opens a transaction of its own.

        Raises:
            LinkNotValid: it was used, has expired, never was, or is of another account.
            AddressTaken: it has got an account of its own meanwhile.
        """
        account_id = actor.account_id or ""
        with self._runtime.unit_of_work(actor) as uow:
            return self._complete(uow, self.proof_of(uow.session, account_id, token), account_id)

    def prove_by_code(self, actor: Actor, proof_id: str, code: str) -> Identifier:
        """Add the address of a proof by its code, once, and return it.

        The try is counted first and stands when the code is refused. Opens transactions of its
        own, so call it while none is open.

        Raises:
            LinkNotValid: no try is left, or the code was used, has expired or is of another account.
            WrongCode: a try is used up.
            AddressTaken: it has got an account of its own meanwhile.
        """
        with self._runtime.unit_of_work(actor) as uow:
            if not one_time_proof.count_code_try(
                uow.session, store.AddressProofRow, proof_id, uow.now
            ):
                raise LinkNotValid("no try is left")
            uow.commit()
        with self._runtime.unit_of_work(actor) as uow:
            row = uow.session.get(store.AddressProofRow, proof_id)
            if row is None or row.account_id != actor.account_id:
                raise LinkNotValid("the code is not valid any more")
            if not code_matches(proof_id, code, row.code_digest):
                raise WrongCode
            return self._complete(uow, proof_id, row.account_id)

    def prefer(self, uow: UnitOfWork, account: Account, identifier: Identifier) -> None:
        """Make an address the first: to sign in with, and for letters. Tells the others; commits.

        Raises:
            UnknownSubject: the account has no such address.
        """
        account = self._held(uow, account.account_id)
        before = self._undo.before(uow.session, account)
        self._subjects.identifiers.prefer(uow, account.subject_id, identifier)
        self._undo.tell(uow, account, before, Changed.PREFERRED, identifier)
        uow.commit()

    def remove(self, uow: UnitOfWork, account: Account, identifier: Identifier) -> None:
        """Remove an address or a number, and tell every address, this one too; commits.

        Raises:
            LastAddress: it is the only e-mail address.
            UnknownSubject: the account has no such address.
        """
        account = self._held(uow, account.account_id)
        before = self._undo.before(uow.session, account)
        if before.emails == [identifier.value]:
            raise LastAddress("the last address stays")
        self._subjects.identifiers.remove(uow, account.subject_id, identifier)
        self._undo.tell(uow, account, before, Changed.REMOVED, identifier)
        uow.commit()

    def on_subjects_merged(self, uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Refuse to make one person of two accounts.

        Raises:
            AddressTaken: the one that would become an alias has an account.
        """
        if self._has_account(uow.session, event.alias_id):
            raise AddressTaken("another account has this address; close that one first")

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget what a closed account had to prove and could take back."""
        store.delete_of(uow.session, event.account_id)

    def _has_account(self, session: Session, subject_id: str | None) -> bool:
        account = self._accounts.of_subject(session, subject_id or "")
        return account is not None and account.status is not AccountStatus.CLOSED

    def _held(self, uow: UnitOfWork, account_id: str) -> Account:
        """Hold the person, then the account: in the order in which an erasure does."""
        found = self._accounts.find(uow.session, account_id)
        if found is None or not self._subjects.hold(uow.session, found.subject_id):
            raise LinkNotValid("there is no such account any more")
        return self._accounts.lock(uow, account_id)

    def _allow_text(self, uow: UnitOfWork, identifier: Identifier) -> None:
        number = phonenumbers.parse(identifier.value)
        if phonenumbers.number_type(number) not in _REACHED_BY_TEXT:
            raise NoMobileNumber("text messages do not reach this number", field="phone")
        index = self._subjects.identifiers.index(identifier)
        begun = store.begun_since(uow.session, index, uow.now - NUMBER_WINDOW)
        if len(begun) >= CODES_PER_NUMBER:
            wait = begun[-CODES_PER_NUMBER] + NUMBER_WINDOW - uow.now
            raise TooManyAttempts(
                "too many codes were sent to this number",
                retry_after_seconds=math.ceil(wait.total_seconds()),
            )

    def _send(
        self, uow: UnitOfWork, account: Account, identifier: Identifier, proof: MailboxProof | None
    ) -> None:
        """Send code and link; without a proof, word that the address has an account of its own."""
        code = proof.code if proof else None
        if identifier.kind is IdentifierKind.PHONE:
            self._texts.send(
                uow,
                to=identifier.value,
                text="phone-proof",
                locale=account.language,
                values={"code": code},
            )
        elif proof is None:
            self._postbox.send(
                uow, to=identifier.value, letter="address-taken", locale=account.language
            )
        else:
            self._postbox.send(
                uow,
                to=identifier.value,
                letter="new-address",
                locale=account.language,
                values={"code": code, "action_url": f"{self._base_url}{CONFIRM}/{proof.token}"},
            )

    def _complete(self, uow: UnitOfWork, proof_id: str, account_id: str) -> Identifier:
        account = self._held(uow, account_id)
        if not one_time_proof.claim(uow.session, store.AddressProofRow, proof_id, uow.now):
            raise LinkNotValid("the proof was used or has expired")
        row = uow.session.get_one(store.AddressProofRow, proof_id)
        value = self._sealer.open(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _where(proof_id),
            row.value_sealed,
        ).decode()
        identifier = Identifier(IdentifierKind(row.kind), value)
        before = self._undo.before(uow.session, account)
        self._claim(uow, account.subject_id, identifier)
        self._undo.tell(uow, account, before, Changed.ADDED, identifier)
        uow.commit()
        return identifier

    def _claim(self, uow: UnitOfWork, subject_id: str, identifier: Identifier) -> None:
        """Make a proven address the person's, with whatever was recorded under it."""
        identifiers = self._subjects.identifiers
        if identifiers.find(uow.session, identifier) is None:
            # A shop may record something under it at this moment: then it is claimed below.
            with suppress(IntegrityError), uow.savepoint():
                identifiers.add(uow, subject_id, identifier, keep=True)
        owner = identifiers.find(uow.session, identifier)
        if owner is not None and owner != subject_id:
            self._subjects.merge(uow, subject_id, owner)
        identifiers.keep(uow, identifier)
        identifiers.verify(uow, subject_id, identifier)


def _where(proof_id: str) -> bytes:
    return place("new_address", "value_sealed", proof_id)
