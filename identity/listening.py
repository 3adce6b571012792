"""Who hears whom within identity, so that an effect upwards is part of the same transaction."""

from __future__ import annotations

from identity.accounts.address_model import AddressChangeUndone
from identity.accounts.attempts import AttemptKind
from identity.accounts.model import AccountClosed, AccountDisabled, ClosingBegun
from identity.assembly import Identity
from identity.credentials.model import PasswordSet
from identity.mfa.model import PasskeyRemoved, RecoveryCodesReplaced, TotpEnrolled, TotpRemoved
from identity.risk.model import DeviceRevoked
from identity.sessions.model import SignInFailed, SignInSucceeded, SteppedUp
from identity.sso.identity_model import IdentityUnlinked
from policies.assurance import Factor
from privacy.subjects.model import SubjectsMerged
from privacy.unit_of_work import Runtime, UnitOfWork


def listen(runtime: Runtime, identity: Identity) -> None:
    """Let each service hear what it must act on, in this order."""
    accounts, passwords, attempts = identity.accounts, identity.passwords, identity.attempts
    sessions, devices, identities = identity.sessions, identity.devices, identity.identities
    addresses, second_factor = identity.addresses, identity.second_factor

    def on_factor_shown(uow: UnitOfWork, event: SignInSucceeded | SteppedUp) -> None:
        if isinstance(event, SignInSucceeded) and not event.two_factors:
            return
        if isinstance(event, SteppedUp) and event.factor == Factor.PASSWORD:
            return
        identity.lost_factor_waiting.on_factor_shown(uow, event.account_id)

    def on_codes_replaced(uow: UnitOfWork, event: TotpEnrolled | RecoveryCodesReplaced) -> None:
        """Begin to count anew: what was guessed at is no more. Source: NIST SP 800-63B-4 3.2.2."""
        known = [device.device_id for device in devices.of_account(uow.session, event.account_id)]
        for whose in (event.account_id, *known):
            attempts.forget(uow, attempts.of_account(AttemptKind.OTP, whose))

    def on_address_change_undone(uow: UnitOfWork, event: AddressChangeUndone) -> None:
        account = accounts.find(uow.session, event.account_id)
        if account is not None:
            passwords.void(uow, account)
            identities.unlink_all(uow, account)
            sessions.end_all(uow, account, "address-change-undone")
            devices.revoke_all(uow, account)

    def on_identity_unlinked(uow: UnitOfWork, event: IdentityUnlinked) -> None:
        sessions.end_of_origin(uow, identity_id=event.identity_id, cause="identity-unlinked")

    runtime.subscribe(IdentityUnlinked, on_identity_unlinked)
    runtime.subscribe(AccountClosed, identities.on_account_closed)
    runtime.subscribe(AddressChangeUndone, on_address_change_undone)
    runtime.subscribe(SubjectsMerged, addresses.on_subjects_merged)
    runtime.subscribe(AccountClosed, addresses.on_account_closed)
    runtime.subscribe(SignInSucceeded, on_factor_shown)
    runtime.subscribe(SteppedUp, on_factor_shown)
    runtime.subscribe(AccountClosed, passwords.on_account_closed)
    runtime.subscribe(AccountClosed, second_factor.on_account_closed)
    runtime.subscribe(AccountClosed, sessions.on_account_closed)
    runtime.subscribe(PasswordSet, sessions.on_password_set)
    runtime.subscribe(TotpEnrolled, on_codes_replaced)
    runtime.subscribe(RecoveryCodesReplaced, on_codes_replaced)
    runtime.subscribe(TotpRemoved, sessions.on_factor_removed)
    runtime.subscribe(PasskeyRemoved, sessions.on_factor_removed)
    runtime.subscribe(AccountDisabled, sessions.on_account_disabled)
    runtime.subscribe(AccountDisabled, devices.on_account_shut)
    runtime.subscribe(ClosingBegun, sessions.on_closing_begun)
    runtime.subscribe(ClosingBegun, devices.on_account_shut)
    runtime.subscribe(DeviceRevoked, sessions.on_device_revoked)
    runtime.subscribe(PasswordSet, devices.on_password_set)
    runtime.subscribe(SignInFailed, identity.guard.suspicion.on_sign_in_failed)
