"""Identity put together: its services. What a lower one needs of a higher one is handed over here.

`app.py` calls this once, then `identity.listening` (who hears whom) and `identity.routes` (pages).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from identity.accounts.address_undo import AddressUndo
from identity.accounts.addresses import Addresses
from identity.accounts.attempts import Attempts
from identity.accounts.closing import Closing
from identity.accounts.model import Account
from identity.accounts.notices import SecurityNotices
from identity.accounts.registration import Registrations
from identity.accounts.service import Accounts
from identity.credentials import blocklist
from identity.credentials.hashing import Hasher
from identity.credentials.lost_factor import KnownSince, LostFactor
from identity.credentials.lost_factor_end import LostFactorEnd
from identity.credentials.lost_factor_letters import LostFactorLetters
from identity.credentials.lost_factor_tasks import LostFactorTasks
from identity.credentials.lost_factor_waiting import LostFactorWaiting
from identity.credentials.range_service import RangeService
from identity.credentials.recovery import Recovery
from identity.credentials.service import NamesOf, Passwords
from identity.mfa.factors import factors_of, has_second_factor
from identity.mfa.lost import LostSecondFactors
from identity.mfa.passkeys import Passkeys
from identity.mfa.recovery_codes import RecoveryCodes
from identity.mfa.relying_party import RelyingParty
from identity.mfa.service import SecondFactor
from identity.risk import assembly as risk_assembly
from identity.risk.assembly import Guard
from identity.risk.devices import Devices
from identity.risk.service import Risk
from identity.sessions.account_data import AccountData
from identity.sessions.arrival import Arrival
from identity.sessions.browser import BrowserSession
from identity.sessions.failures import WrongPasswords
from identity.sessions.first_stops import FirstStop, factor_of_privileged, limit_of, limits
from identity.sessions.housekeeping import Housekeeping
from identity.sessions.passkey_sign_in import PasskeySignIn
from identity.sessions.second_step import SecondStep
from identity.sessions.service import Sessions
from identity.sessions.sign_in import SignIn
from identity.sessions.step_up import StepUp
from identity.sso.identities import Identities
from identity.sso.waiting import Arrivals
from policies.assurance import Factor
from policies.vocabulary import Attribute
from privacy.consent.acknowledgements import Acknowledgements
from privacy.kernel import Kernel
from privacy.keys.blind_index import BlindIndex
from privacy.keys.keyring import RootKey
from privacy.settings import Settings
from privacy.sms import Texts
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
    lost_factor_waiting: LostFactorWaiting
    lost_factor_end: LostFactorEnd
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
    kernel: Kernel,
    *,
    acknowledgements: Acknowledgements,
    provider_titles: Mapping[str, str],
    first_stops: Sequence[FirstStop] = (),
) -> Identity:
    """Wire the services; `identity.listening` lets each hear what it must act on.

    `provider_titles` are what people call the outside providers of the configuration, by id.
    `first_stops` are where else a sign-in may lead first, after our own and in this order.
    """
    settings, register, runtime = kernel.settings, kernel.register, kernel.runtime
    keyring, sealer, log = kernel.keyring, kernel.sealer, kernel.log
    subjects, postbox, outbox = kernel.subjects, kernel.postbox, kernel.outbox
    attempts = Attempts(runtime, keyring)
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

    lost_second_factors = LostSecondFactors(second_factor, passkeys)
    lost_factor_waiting = LostFactorWaiting(
        runtime=runtime, accounts=accounts, passwords=passwords, letters=letters, notices=notices
    )
    lost_factor = LostFactor(
        runtime=runtime,
        accounts=accounts,
        passwords=passwords,
        attempts=attempts,
        outbox=outbox,
        letters=letters,
        notices=notices,
        waiting=lost_factor_waiting,
        second_factors=lost_second_factors,
        known_since=_known_since(devices),
    )
    lost_factor_end = LostFactorEnd(
        runtime=runtime,
        accounts=accounts,
        passwords=passwords,
        attempts=attempts,
        letters=letters,
        notices=notices,
        second_factors=lost_second_factors,
        end_everything=end_everything,
    )

    wrong_passwords = WrongPasswords(runtime, accounts, attempts, outbox)

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
        lost_factor_waiting=lost_factor_waiting,
        lost_factor_end=lost_factor_end,
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
