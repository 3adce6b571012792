"""Identity put together: its services, who listens to whom, and its pages.

`app.py` calls this once. What a lower capability needs of a higher one is handed over here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import Blueprint

from identity.accounts import pages as accounts_pages
from identity.accounts.attempts import Attempts
from identity.accounts.model import AccountClosed
from identity.accounts.registration import Registrations
from identity.accounts.service import Accounts
from identity.credentials import pages as credentials_pages
from identity.credentials.hashing import Hasher
from identity.credentials.model import PasswordSet
from identity.credentials.recovery import Recovery
from identity.credentials.service import Passwords
from identity.mfa import pages as mfa_pages
from identity.mfa.model import TotpRemoved
from identity.mfa.service import SecondFactor
from identity.sessions import account_pages
from identity.sessions import pages as sessions_pages
from identity.sessions.account_data import AccountData
from identity.sessions.browser import BrowserSession
from identity.sessions.housekeeping import Housekeeping
from identity.sessions.service import Sessions
from identity.sessions.sign_in import SignIn
from privacy.audit.log import AuditLog
from privacy.keys.blind_index import BlindIndex
from privacy.keys.keyring import Keyring
from privacy.keys.sealing import Sealer
from privacy.mail import Postbox
from privacy.outbox import Outbox
from privacy.settings import Settings
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

PRODUCT = "placet"


@dataclass(frozen=True, slots=True)
class Identity:
    """The services of identity, wired."""

    accounts: Accounts
    registrations: Registrations
    attempts: Attempts
    passwords: Passwords
    recovery: Recovery
    second_factor: SecondFactor
    sessions: Sessions
    sign_in: SignIn
    browser: BrowserSession
    account_data: AccountData
    housekeeping: Housekeeping


def assemble(
    *,
    settings: Settings,
    controller_name: str,
    runtime: Runtime,
    keyring: Keyring,
    sealer: Sealer,
    log: AuditLog,
    subjects: Subjects,
    postbox: Postbox,
    outbox: Outbox,
    attempts: Attempts,
) -> Identity:
    """Wire the services, and let each hear what it must act on in the same transaction."""
    accounts = Accounts(subjects)
    passwords = Passwords(
        Hasher(settings.argon2, runtime.ids),
        accounts,
        postbox,
        context_words=(PRODUCT, *controller_name.split()),
    )
    second_factor = SecondFactor(sealer, accounts, postbox)
    absolute = timedelta(hours=settings.session_absolute_hours)
    sessions = Sessions(idle=timedelta(minutes=settings.session_idle_minutes), absolute=absolute)

    runtime.subscribe(AccountClosed, passwords.on_account_closed)
    runtime.subscribe(AccountClosed, second_factor.on_account_closed)
    runtime.subscribe(AccountClosed, sessions.on_account_closed)
    runtime.subscribe(PasswordSet, sessions.on_password_set)
    runtime.subscribe(TotpRemoved, sessions.on_second_factor_removed)
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
        second_factor=second_factor,
        sessions=sessions,
        sign_in=SignIn(
            runtime=runtime,
            accounts=accounts,
            passwords=passwords,
            second_factor=second_factor,
            attempts=attempts,
            sessions=sessions,
        ),
        browser=BrowserSession(runtime, sessions, second_factor),
        account_data=AccountData(
            clock=runtime.clock,
            log=log,
            subjects=subjects,
            accounts=accounts,
            passwords=passwords,
            second_factor=second_factor,
            sessions=sessions,
            attempts=attempts,
        ),
        housekeeping=Housekeeping(runtime, session_lifetime=absolute),
    )


def blueprints(
    identity: Identity, *, runtime: Runtime, subjects: Subjects, issuer: str
) -> Sequence[Blueprint]:
    """Return the pages of accounts, passwords, second factors and sessions.

    Args:
        identity: the services.
        runtime: the doors to the database.
        subjects: the people.
        issuer: what authenticator applications call this service.
    """
    accounts, passwords = identity.accounts, identity.passwords
    browser, attempts = identity.browser, identity.attempts
    return (
        accounts_pages.blueprint(
            accounts_pages.RegistrationPages(
                runtime, accounts, identity.registrations, attempts, passwords, browser
            )
        ),
        credentials_pages.blueprint(
            credentials_pages.PasswordPages(
                runtime, accounts, passwords, identity.recovery, attempts, browser
            )
        ),
        mfa_pages.blueprint(
            mfa_pages.SecondFactorPages(
                runtime, accounts, identity.second_factor, attempts, browser, issuer=issuer
            )
        ),
        sessions_pages.blueprint(
            sessions_pages.SignInPages(runtime, identity.sign_in, identity.sessions, browser)
        ),
        account_pages.blueprint(
            account_pages.AccountPages(
                runtime, accounts, subjects, passwords, identity.second_factor, identity.sessions
            )
        ),
    )
