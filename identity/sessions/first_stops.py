"""Where a person must go before anything else, in order; each stop is a page that explains itself.

A `limit` holds until it is done, whatever page the person asks for; a stop is where a sign-in
leads, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts.closing import STOP as CLOSING
from identity.accounts.model import PRIVILEGED, Account, AccountStatus
from identity.credentials.service import Passwords
from identity.mfa.service import SecondFactor
from identity.sessions.sign_in import SECOND_FACTORS, FactorsOf
from policies.assurance import Factor
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime

#: Returns the page that an account's person sees first, or None.
FirstStop = Callable[[Account], str | None]

PASSWORD: Final = "/account/password"  # noqa: S105 - a path
PASSKEYS: Final = "/account/passkeys"
TOTP: Final = "/account/totp"


def limit_of(session: Session, account: Account) -> str | None:
    """Return the one page that an account's sessions open for now, or None.

    Source: OWASP ASVS 5.0 6.2.12 (a password found to be leaked); 7.4.2 (an account that closes).
    """
    if account.status is AccountStatus.CLOSING:
        return CLOSING
    return PASSWORD if Passwords.must_change(session, account.account_id) else None


def limits(runtime: Runtime) -> FirstStop:
    """Return the stop that `limit_of` makes."""

    def stop(account: Account) -> str | None:
        with runtime.snapshot() as session:
            return limit_of(session, account)

    return stop


def factor_of_privileged(
    runtime: Runtime, second_factor: SecondFactor, factors_of: FactorsOf, *, demo: bool
) -> FirstStop:
    """Return the stop of who sees other people's data and cannot prove enough for it yet.

    That takes a passkey. In a demo an authenticator application is enough, and its secret is made
    ready here. Source: NIST SP 800-63B-4 s. 2.2.2.
    """

    def stop(account: Account) -> str | None:
        if account.role not in PRIVILEGED:
            return None
        with runtime.snapshot() as session:
            factors = factors_of(session, account.account_id)
        if demo:
            if factors & SECOND_FACTORS:
                return None
            with runtime.unit_of_work(SYSTEM) as uow:
                second_factor.begin(uow, account)
            return TOTP
        return None if Factor.PASSKEY in factors else PASSKEYS

    return stop
