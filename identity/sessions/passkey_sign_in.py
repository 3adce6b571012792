"""Signing in with a passkey alone: it verifies the person, and so is two factors in one.

Nobody says who they are before they show it, so there is nothing to tell known from unknown.
Source: W3C WebAuthn L3 s. 5.8.2, 14.6.2; NIST SP 800-63B-4 s. 2.2.1.
"""

from __future__ import annotations

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.service import Accounts
from identity.mfa.model import Ceremony, CeremonyKind
from identity.mfa.passkeys import Passkeys
from identity.risk.devices import Devices
from identity.risk.service import Risk
from identity.sessions.arrival import Arrival, SignedIn, Visit
from identity.sessions.second_step import MAY_SIGN_IN
from privacy.actor import Actor
from privacy.unit_of_work import Runtime


class PasskeySignIn:
    """The way through the door that is a passkey."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passkeys: Passkeys,
        attempts: Attempts,
        devices: Devices,
        risk: Risk,
        arrival: Arrival,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passkeys = passkeys
        self._attempts = attempts
        self._devices = devices
        self._risk = risk
        self._arrival = arrival

    def begin(self, actor: Actor) -> Ceremony:
        """Begin to ask for any passkey of this site; the same for everybody."""
        with self._runtime.unit_of_work(actor) as uow:
            return self._passkeys.begin_assertion(uow, None, purpose=CeremonyKind.SIGN_IN)

    def finish(self, actor: Actor, ceremony_id: str, response: str, visit: Visit) -> SignedIn:
        """Look at the passkey that was shown.

        The risk is assessed and the person is told of a new browser as ever; but there is no
        stronger proof that could still be asked for.

        Raises:
            TooManyAttempts: from this network.
            CeremonyEnded: it was used or has expired.
            PasskeyRefused: it is not registered here, or its account lets nobody in.
            PasskeySuspended: it may have been copied.
        """
        of_network = self._attempts.of_network(AttemptKind.ADDRESS, visit.client.address)
        self._attempts.begin(of_network)
        with self._runtime.unit_of_work(actor) as uow:
            shown = self._passkeys.accept(uow, ceremony_id, response, account=None)
            account = self._accounts.lock(uow, shown.account_id, *MAY_SIGN_IN)
            self._attempts.succeeded(uow, of_network)
            device = self._devices.find(
                uow.session, account.account_id, visit.device_token, now=uow.now
            )
            assessment = self._risk.assess(
                uow,
                account=account,
                client=visit.client,
                methods=shown.methods,
                device=device,
                breached_password=False,
            )
            signed_in = self._arrival.begin(
                uow, account, shown.methods, visit, assessment_id=assessment.assessment_id
            )
            uow.commit()
        return signed_in
