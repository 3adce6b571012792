"""Proving the address so that a new browser may try an attacked account's password.

After a hundred vain tries by strangers an account answers known devices alone. Whoever reads its
mail makes their browser one of them; nothing else follows from it: the password is still asked,
and a second factor too. Source: NIST SP 800-63B-4 s. 3.2.2; OWASP ASVS 5.0 6.3.1, 6.3.8, 6.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts import one_time_proof
from identity.accounts.client import Client
from identity.accounts.mailbox_proof import CODE_LIFETIME, new_proof
from identity.accounts.model import AccountStatus, LinkNotValid
from identity.accounts.service import Accounts
from identity.risk import store
from identity.risk.devices import Devices
from identity.risk.model import PROOF_LIFETIME, AddressProofRequested, AddressProved
from policies.errors import NotFound
from privacy.actor import SYSTEM, Actor
from privacy.events import Json
from privacy.ids import new_id
from privacy.keys.blind_index import normalise_email
from privacy.mail import Postbox
from privacy.outbox import Outbox
from privacy.unit_of_work import Runtime, UnitOfWork

#: An account that is closing lets its person in, to take it back.
_OPEN: Final = (AccountStatus.ACTIVE, AccountStatus.CLOSING)

#: The outbox's rows that ask the worker to look for the account.
KIND: Final = "address-proof"


class AddressProofs:
    """Address proofs from the form to the known device."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        devices: Devices,
        postbox: Postbox,
        outbox: Outbox,
        base_url: str,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._devices = devices
        self._postbox = postbox
        self._outbox = outbox
        self._base_url = base_url

    def begin(self, uow: UnitOfWork, email: str) -> str:
        """Keep a proof whose code nobody has yet, and return its id; commits.

        Whether there is an account is looked at by the worker, in `answer`: so that neither the
        work nor the time of this answer tells. Source: OWASP ASVS 5.0 6.3.8.

        Raises:
            InvalidInput: it is not an address.
        """
        address = normalise_email(email)
        proof_id = new_id(uow.ids)
        proof = new_proof(uow.ids, proof_id)
        uow.session.add(
            store.AddressProofRow(
                proof_id=proof_id,
                account_id=None,
                token_digest=proof.token_digest,
                code_digest=proof.code_digest,
                code_expires_at=uow.now + CODE_LIFETIME,
                expires_at=uow.now + PROOF_LIFETIME,
            )
        )
        self._outbox.put(uow, KIND, {"proof_id": proof_id, "email": address})
        uow.commit()
        return proof_id

    def answer(self, message: Mapping[str, Json]) -> None:
        """Mail a link and a code where the address has an account; the outbox's deliverer.

        A second delivery finds the proof answered and does nothing.
        """
        proof_id, address = str(message["proof_id"]), str(message["email"])
        with self._runtime.unit_of_work(SYSTEM) as uow:
            account = self._accounts.signing_in(uow.session, address)
            if account is None or account.status not in _OPEN:
                return
            proof = new_proof(uow.ids, proof_id)
            if not one_time_proof.answer(
                uow.session, store.AddressProofRow, proof_id, account.account_id, proof
            ):
                return
            uow.record(
                AddressProofRequested(subject_id=account.subject_id, account_id=account.account_id)
            )
            self._postbox.send(
                uow,
                to=address,
                letter="address-proof",
                locale=account.language,
                values={
                    "code": proof.code,
                    "action_url": f"{self._base_url}/login/prove/link/{proof.token}",
                },
            )
            uow.commit()

    def proof_of(self, session: Session, token: str) -> str:
        """Return the id of the proof whose mailed link this is; changes nothing.

        Raises:
            LinkNotValid: it was used, has expired or never was.
        """
        now = self._runtime.clock()
        return one_time_proof.behind_link(session, store.AddressProofRow, token, now).proof_id

    def by_link(self, actor: Actor, token: str, client: Client, device_token: str | None) -> str:
        """Make this browser a known device by the mailed link, once; return its device token.

        Raises:
            LinkNotValid: the link was used, has expired or never was.
        """
        with self._runtime.snapshot() as session:
            proof_id = self.proof_of(session, token)
        return self._remember(actor, proof_id, client, device_token)

    def by_code(
        self, actor: Actor, proof_id: str, code: str, client: Client, device_token: str | None
    ) -> str:
        """Make this browser a known device by the mailed code, once; return its device token.

        Each try is counted before it is looked at.

        Raises:
            LinkNotValid: no try is left, or the code was used or has expired.
            WrongCode: a try is used up.
        """
        one_time_proof.try_code(self._runtime, actor, store.AddressProofRow, proof_id, code)
        return self._remember(actor, proof_id, client, device_token)

    def _remember(
        self, actor: Actor, proof_id: str, client: Client, device_token: str | None
    ) -> str:
        with self._runtime.unit_of_work(actor) as uow:
            row = uow.session.get(store.AddressProofRow, proof_id)
            if row is None or not one_time_proof.claim(
                uow.session, store.AddressProofRow, proof_id, uow.now
            ):
                raise LinkNotValid("the proof is not valid any more")
            try:
                account = self._accounts.lock(uow, row.account_id or "", *_OPEN)
            except NotFound:
                raise LinkNotValid("the account lets nobody in") from None
            token, device = self._devices.remember(
                uow, account, client, token=device_token, trust=False, signed_in=False
            )
            uow.record(
                AddressProved(
                    subject_id=account.subject_id,
                    account_id=account.account_id,
                    device_id=device.device_id,
                ),
                {"device": device.name, "network": device.network},
            )
            uow.commit()
        return token
