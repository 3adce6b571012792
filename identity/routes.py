"""The pages of accounts, passwords, second factors, devices and sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, session, url_for

from identity.accounts import address_pages, closing_pages
from identity.accounts import pages as accounts_pages
from identity.assembly import Identity
from identity.credentials import lost_factor_pages
from identity.credentials import pages as credentials_pages
from identity.credentials.recovery import Recovery
from identity.mfa import pages as mfa_pages
from identity.mfa import passkey_pages, security_pages
from identity.risk import assembly as risk_assembly
from identity.sessions import account_pages, device_pages, step_up_pages
from identity.sessions import pages as sessions_pages
from privacy.http import current_actor
from privacy.kernel import Kernel
from privacy.unit_of_work import Runtime


def blueprints(
    kernel: Kernel, identity: Identity, *, hint_of: Callable[[str], str]
) -> Sequence[Blueprint]:
    """Return the pages of accounts, passwords, second factors and sessions.

    Args:
        kernel: what they stand on.
        identity: the services.
        hint_of: what the sign-in page is filled in with, given where the person comes back to.
    """
    runtime, subjects, settings = kernel.runtime, kernel.subjects, kernel.settings
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
                identity.lost_factor_waiting,
                identity.lost_factor_end,
                attempts,
                browser,
                time_zone=kernel.time_zone,
            )
        ),
        mfa_pages.blueprint(
            mfa_pages.SecondFactorPages(
                runtime,
                accounts,
                identity.second_factor,
                browser,
                issuer=kernel.register.controller.name,
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
                texts_are_sent=settings.demo or bool(settings.sms.url),
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


def _recovery_begins(runtime: Runtime, recovery: Recovery) -> address_pages.BeginRecovery:
    def begin(address: str) -> str:
        with runtime.unit_of_work(current_actor()) as uow:
            session[credentials_pages.RECOVERY] = recovery.begin(uow, address)
        return url_for("credentials_pages.show_code")

    return begin
