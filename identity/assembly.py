"""Identity put together: its services, who listens to whom, and its pages.

`app.py` calls this once. What a lower capability needs of a higher one is handed over here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, session, url_for
from sqlalchemy.orm import Session

from identity.accounts import address_pages, closing_pages
from identity.accounts import pages as accounts_pages
from identity.accounts.address_model import AddressChangeUndone
from identity.accounts.address_undo import AddressUndo
from identity.accounts.addresses import Addresses
from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.closing import Closing
from identity.accounts.model import Account, AccountClosed, AccountDisabled, ClosingBegun
from identity.accounts.notices import SecurityNotices
from identity.accounts.registration import Registrations
from identity.accounts.service import Accounts
from identity.credentials import blocklist, lost_factor_pages
from identity.credentials import pages as credentials_pages
from identity.credentials.hashing import Hasher
from identity.credentials.lost_factor import KnownSince, LostFactor
from identity.credentials.lost_factor_letters import LostFactorLetters
from identity.credentials.lost_factor_tasks import LostFactorTasks
from identity.credentials.model import PasswordSet
from identity.credentials.range_service import RangeService
from identity.credentials.recovery import Recovery
from identity.credentials.service import NamesOf, Passwords
from identity.mfa import pages as mfa_pages
from identity.mfa import passkey_pages, security_pages
from identity.mfa.factors import factors_of, has_second_factor
from identity.mfa.lost import LostSecondFactors
from identity.mfa.model import PasskeyRemoved, RecoveryCodesReplaced, TotpEnrolled, TotpRemoved
from identity.mfa.passkeys import Passkeys
from identity.mfa.recovery_codes import RecoveryCodes
from identity.mfa.relying_party import RelyingParty
from identity.mfa.service import SecondFactor
from identity.risk import assembly as risk_assembly
from identity.risk.assembly import Guard
from identity.risk.devices import Devices
from identity.risk.model import DeviceRevoked
from identity.risk.service import Risk
from identity.sessions import account_pages, device_pages, step_up_pages
from identity.sessions import pages as sessions_pages
from identity.sessions.account_data import AccountData
from identity.sessions.arrival import Arrival
from identity.sessions.browser import BrowserSession
from identity.sessions.failures import WrongPasswords
from identity.sessions.first_stops import FirstStop, factor_of_privileged, limit_of, limits
from identity.sessions.housekeeping import Housekeeping
from identity.sessions.model import SignInFailed, SignInSucceeded, SteppedUp
from identity.sessions.passkey_sign_in import PasskeySignIn
from identity.sessions.second_step import SecondStep
from identity.sessions.service import Sessions
from identity.sessions.sign_in import SignIn
from identity.sessions.step_up import StepUp
from identity.sso.identities import Identities
from identity.sso.identity_model import IdentityUnlinked
from identity.sso.waiting import Arrivals
from policies.assurance import Factor
from policies.register.model import Register
from policies.vocabulary import Attribute
from privacy.audit.log import AuditLog
from privacy.consent.acknowledgements import Acknowledgements
from privacy.http import current_actor
from privacy.keys.blind_index import BlindIndex
from privacy.keys.keyring import Keyring, RootKey
from privacy.keys.sealing import Sealer
from privacy.mail import Postbox
from privacy.outbox import Outbox
from privacy.settings import Settings
from privacy.sms import Texts
from privacy.subjects.model import SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime, UnitOfWork

PRODUCT = "placet"


@dataclass(frozen=True, slots=True)
class Identity:
    """The services of identity, wired."""

    accounts: Accounts
    registrations: Registrations
    attempts: Attempts
    passwords: Passwords
    recovery: Recovery
    lost_factor: LostFactor
    lost_factor_tasks: LostFactorTasks
    second_factor: SecondFactor
    passkeys: Passkeys
    recovery_codes: RecoveryCodes
    sessions: Sessions
    wrong_passwords: WrongPasswords
    sign_in: SignIn
    second_step: SecondStep
    passkey_sign_in: PasskeySignIn
    step_up: StepUp
    devices: Devices
    risk: Risk
    guard: Guard
    notices: SecurityNotices
    browser: BrowserSession
    closing: Closing
    addresses: Addresses
    address_undo: AddressUndo
    account_data: AccountData
    identities: Identities
    arrivals: Arrivals
    housekeeping: Housekeeping


def assemble(
    *,
    settings: Settings,
    register: Register,
    runtime: Runtime,
    keyring: Keyring,
    sealer: Sealer,
    log: AuditLog,
    subjects: Subjects,
    postbox: Postbox,
    outbox: Outbox,
    attempts: Attempts,
    acknowledgements: Acknowledgements,
    provider_titles: Mapping[str, str],
    first_stops: Sequence[FirstStop] = (),
) -> Identity:
    """Wire the services, and let each hear what it must act on in the same transaction.

    `provider_titles` are what people call the outside providers of the configuration, by id.
    `first_stops` are where else a sign-in may lead first, after our own and in this order.
    """
    controller_name = register.controller.name
    accounts = Accounts(subjects)
    notices = SecurityNotices(postbox, accounts)
    passwords = Passwords(
        Hasher(settings.argon2, runtime.ids),
        accounts,
        notices,
        context_words=(PRODUCT, *controller_name.split()),
        blocked=blocklist.load(settings.password_blocklist),
        leaked=_range_service(settings, runtime),
        has_second_factor=has_second_factor,
        names_of=_names_of(subjects),
    )
    recovery_codes = RecoveryCodes(accounts, notices)

    def other_way_in(session: Session, account_id: str) -> bool:
        has_password = passwords.encoded(session, account_id) is not None
        return has_password or Factor.PASSKEY in factors_of(session, account_id)

    arrivals = Arrivals(sealer)
    identities = Identities(
        keyring=keyring,
        sealer=sealer,
        arrivals=arrivals,
        accounts=accounts,
        subjects=subjects,
        notices=notices,
        other_way_in=other_way_in,
        titles=provider_titles,
    )
    second_factor = SecondFactor(
        sealer, accounts, notices, passwords, recovery_codes, identities.is_way_in
    )
    passkeys = Passkeys(
        relying_party=RelyingParty(settings.base_url, controller_name),
        accounts=accounts,
        sealer=sealer,
        notices=notices,
        passwords=passwords,
        recovery_codes=recovery_codes,
        has_identity=identities.is_way_in,
    )
    absolute = timedelta(hours=settings.session_absolute_hours)
    sessions = Sessions(
        idle=timedelta(minutes=settings.session_idle_minutes), absolute=absolute, limit_of=limit_of
    )
    guard = risk_assembly.assemble(
        runtime=runtime,
        sealer=sealer,
        log=log,
        accounts=accounts,
        attempts=attempts,
        notices=notices,
        postbox=postbox,
        outbox=outbox,
        base_url=settings.base_url,
        city_database=settings.city_database,
        time_zone=register.controller.time_zone,
        address_days=register.security.address_days,
    )
    devices, risk = guard.devices, guard.risk
    arrival = Arrival(sessions, devices, risk, notices, identities.settle)
    second_step = SecondStep(
        runtime=runtime,
        accounts=accounts,
        factors_of=factors_of,
        second_factor=second_factor,
        recovery_codes=recovery_codes,
        passkeys=passkeys,
        attempts=attempts,
        devices=devices,
        arrival=arrival,
        notices=notices,
    )
    step_up = StepUp(
        runtime=runtime,
        accounts=accounts,
        passwords=passwords,
        factors_of=factors_of,
        second_factor=second_factor,
        passkeys=passkeys,
        attempts=attempts,
        devices=devices,
        sessions=sessions,
        second_step=second_step,
        has_identity=identities.is_way_in,
        demo=settings.demo,
    )

    letters = LostFactorLetters(
        postbox,
        accounts,
        key=keyring.derive(RootKey.COOKIE, "factor-recovery"),
        base_url=settings.base_url,
        time_zone=register.controller.time_zone,
    )

    def end_everything(uow: UnitOfWork, account: Account) -> None:
        sessions.end_all(uow, account, "factor-recovery")
        devices.revoke_all(uow, account)

    lost_factor = LostFactor(
        runtime=runtime,
        accounts=accounts,
        passwords=passwords,
        attempts=attempts,
        outbox=outbox,
        letters=letters,
        notices=notices,
        second_factors=LostSecondFactors(second_factor, passkeys),
        known_since=_known_since(devices),
        end_everything=end_everything,
    )

    wrong_passwords = WrongPasswords(runtime, accounts, attempts, outbox)

    def on_factor_shown(uow: UnitOfWork, event: SignInSucceeded | SteppedUp) -> None:
        if isinstance(event, SignInSucceeded) and not event.two_factors:
            return
        if isinstance(event, SteppedUp) and event.factor == Factor.PASSWORD:
            return
        lost_factor.on_factor_shown(uow, event.account_id)

    def on_codes_replaced(uow: UnitOfWork, event: TotpEnrolled | RecoveryCodesReplaced) -> None:
        """Begin to count anew: what was guessed at is no more. Source: NIST SP 800-63B-4 3.2.2."""
        known = [device.device_id for device in devices.of_account(uow.session, event.account_id)]
        for whose in (event.account_id, *known):
            attempts.forget(uow, attempts.of_account(AttemptKind.OTP, whose))

    address_undo = AddressUndo(
        accounts=accounts,
        subjects=subjects,
        sealer=sealer,
        postbox=postbox,
        notices=notices,
        base_url=settings.base_url,
    )
    addresses = Addresses(
        runtime=runtime,
        accounts=accounts,
        subjects=subjects,
        sealer=sealer,
        postbox=postbox,
        texts=Texts(outbox),
        undo=address_undo,
        base_url=settings.base_url,
    )

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
    runtime.subscribe(SignInFailed, guard.suspicion.on_sign_in_failed)
    return Identity(
        accounts=accounts,
        registrations=Registrations(
            runtime=runtime,
            accounts=accounts,
            subjects=subjects,
            sealer=sealer,
            blind_index=BlindIndex(keyring),
            postbox=postbox,
            keep_password=passwords.keep,
            password_matches=passwords.matches,
            keep_passkey=passkeys.keep,
            keep_identity=identities.keep,
            offer_identity=arrivals.offer,
            record_notices=acknowledgements.record_at_opening,
            base_url=settings.base_url,
        ),
        attempts=attempts,
        passwords=passwords,
        recovery=Recovery(
            runtime=runtime,
            accounts=accounts,
            passwords=passwords,
            attempts=attempts,
            postbox=postbox,
            outbox=outbox,
            base_url=settings.base_url,
        ),
        lost_factor=lost_factor,
        lost_factor_tasks=LostFactorTasks(runtime, accounts, letters),
        second_factor=second_factor,
        passkeys=passkeys,
        recovery_codes=recovery_codes,
        sessions=sessions,
        wrong_passwords=wrong_passwords,
        sign_in=SignIn(
            runtime=runtime,
            accounts=accounts,
            passwords=passwords,
            has_second_factor=has_second_factor,
            attempts=attempts,
            devices=devices,
            risk=risk,
            arrival=arrival,
            postbox=postbox,
            wrong_passwords=wrong_passwords,
        ),
        second_step=second_step,
        passkey_sign_in=PasskeySignIn(
            runtime=runtime,
            accounts=accounts,
            passkeys=passkeys,
            attempts=attempts,
            devices=devices,
            risk=risk,
            arrival=arrival,
        ),
        step_up=step_up,
        devices=devices,
        risk=risk,
        guard=guard,
        notices=notices,
        browser=BrowserSession(
            runtime=runtime,
            sessions=sessions,
            arrival=arrival,
            step_up=step_up,
            first_stops=(
                limits(runtime),
                factor_of_privileged(runtime, second_factor, factors_of, demo=settings.demo),
                *first_stops,
            ),
            https=settings.https,
            demo=settings.demo,
        ),
        closing=Closing(
            accounts=accounts,
            subjects=subjects,
            postbox=postbox,
            base_url=settings.base_url,
            time_zone=register.controller.time_zone,
        ),
        addresses=addresses,
        address_undo=address_undo,
        identities=identities,
        arrivals=arrivals,
        account_data=AccountData(
            clock=runtime.clock,
            log=log,
            subjects=subjects,
            accounts=accounts,
            passwords=passwords,
            second_factor=second_factor,
            passkeys=passkeys,
            sessions=sessions,
            attempts=attempts,
            devices=devices,
            risk=risk,
        ),
        housekeeping=Housekeeping(runtime, session_lifetime=absolute),
    )


def _range_service(settings: Settings, runtime: Runtime) -> Container[str]:
    url = settings.password_range_url
    return RangeService(url, runtime.clock) if url else ()


def _recovery_begins(runtime: Runtime, recovery: Recovery) -> address_pages.BeginRecovery:
    def begin(address: str) -> str:
        with runtime.unit_of_work(current_actor()) as uow:
            session[credentials_pages.RECOVERY] = recovery.begin(uow, address)
        return url_for("credentials_pages.show_code")

    return begin


def _known_since(devices: Devices) -> KnownSince:
    def since(
        session: Session, account_id: str, token: str | None, now: datetime
    ) -> datetime | None:
        found = devices.find(session, account_id, token, now=now)
        return found.signed_in_since if found else None

    return since


def _names_of(subjects: Subjects) -> NamesOf:
    def names(session: Session, subject_id: str) -> list[str]:
        profile = subjects.profile(session, subject_id)
        wanted = (Attribute.GIVEN_NAME, Attribute.FAMILY_NAME)
        return [word for name in wanted for word in profile.get(name, "").split()]

    return names


def blueprints(
    identity: Identity,
    *,
    runtime: Runtime,
    subjects: Subjects,
    issuer: str,
    time_zone: str,
    texts_are_sent: bool,
    hint_of: Callable[[str], str],
) -> Sequence[Blueprint]:
    """Return the pages of accounts, passwords, second factors and sessions.

    Args:
        identity: the services.
        runtime: the doors to the database.
        subjects: the people.
        issuer: what authenticator applications call this service.
        time_zone: of the controller, for dates in words.
        texts_are_sent: whether there is a gateway for text messages.
        hint_of: what the sign-in page is filled in with, given where the person comes back to.
    """
    accounts, passwords = identity.accounts, identity.passwords
    browser, attempts = identity.browser, identity.attempts
    return (
        accounts_pages.blueprint(
            accounts_pages.RegistrationPages(
                runtime,
                accounts,
                identity.registrations,
                attempts,
                passwords,
                identity.passkeys,
                browser,
            )
        ),
        credentials_pages.blueprint(
            credentials_pages.PasswordPages(
                runtime, accounts, passwords, identity.recovery, attempts, browser
            )
        ),
        lost_factor_pages.blueprint(
            lost_factor_pages.LostFactorPages(
                runtime,
                accounts,
                identity.lost_factor,
                attempts,
                browser,
                time_zone=time_zone,
            )
        ),
        mfa_pages.blueprint(
            mfa_pages.SecondFactorPages(
                runtime, accounts, identity.second_factor, browser, issuer=issuer
            )
        ),
        passkey_pages.blueprint(
            passkey_pages.PasskeyPages(runtime, accounts, identity.passkeys, browser)
        ),
        security_pages.blueprint(
            security_pages.SecurityPages(
                runtime,
                accounts,
                passwords,
                identity.second_factor,
                identity.passkeys,
                identity.recovery_codes,
            )
        ),
        address_pages.blueprint(
            address_pages.AddressPages(
                runtime=runtime,
                accounts=accounts,
                subjects=subjects,
                addresses=identity.addresses,
                undo=identity.address_undo,
                attempts=attempts,
                begin_recovery=_recovery_begins(runtime, identity.recovery),
                texts_are_sent=texts_are_sent,
            )
        ),
        closing_pages.blueprint(
            closing_pages.ClosingPages(runtime, accounts, identity.closing, browser)
        ),
        sessions_pages.blueprint(
            sessions_pages.SignInPages(
                runtime=runtime,
                sign_in=identity.sign_in,
                second_step=identity.second_step,
                passkey_sign_in=identity.passkey_sign_in,
                sessions=identity.sessions,
                browser=browser,
                hint_of=hint_of,
            ),
            browser,
        ),
        step_up_pages.blueprint(step_up_pages.StepUpPages(identity.step_up, browser)),
        device_pages.blueprint(
            device_pages.DevicePages(runtime, accounts, identity.devices, browser)
        ),
        risk_assembly.blueprint(
            identity.guard, runtime=runtime, attempts=attempts, browser=browser
        ),
        account_pages.blueprint(
            account_pages.AccountPages(
                runtime, accounts, subjects, passwords, identity.second_factor, identity.sessions
            )
        ),
    )
