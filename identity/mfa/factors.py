"""Which factors an account has beside its password, and which of them may go.

A suspended passkey opens nothing and is still asked for: else an alarm about a copied key would
leave the password, or the mailbox that sets it, as all that guards the account. What then stands in
for it is a recovery code or, where there is none, the recovery of lost factors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from identity.mfa import store
from identity.mfa.model import FactorStillNeeded
from policies.assurance import Factor

#: Tells whether an outside provider opens the account; `identity.sso` knows.
HasIdentity = Callable[[Session, str], bool]


class PasswordFacts(Protocol):
    """What second factors need to know of passwords; wired from `identity.credentials`."""

    def changed_at(self, session: Session, account_id: str) -> datetime | None:
        """Return when the password was last set."""
        ...

    def encoded(self, session: Session, account_id: str) -> str | None:
        """Return the stored hash; None where the account has no password."""
        ...

    def long_enough_alone(self, session: Session, account_id: str) -> bool:
        """Tell whether the password is long enough to be the only factor."""
        ...


def factors_of(session: Session, account_id: str) -> frozenset[Factor]:
    """Return the factors of an account but for the password; a suspended passkey is none.

    Recovery codes are a factor only beside another one: they stand in for it.
    """
    found = set()
    if session.get(store.TotpRow, account_id) is not None:
        found.add(Factor.TOTP)
    if store.has_open_passkey(session, account_id):
        found.add(Factor.PASSKEY)
    has_any = bool(found) or has_second_factor(session, account_id)
    if has_any and store.unused_recovery_codes(session, account_id):
        found.add(Factor.RECOVERY_CODE)
    return frozenset(found)


def has_second_factor(session: Session, account_id: str) -> bool:
    """Tell whether the account asks for a factor beside its password; a suspended one too."""
    enrolled = session.get(store.TotpRow, account_id) is not None
    return enrolled or store.has_passkey(session, account_id)


def demand_enough(
    session: Session,
    account_id: str,
    *,
    left: Collection[Factor],
    passwords: PasswordFacts,
    has_identity: HasIdentity,
) -> None:
    """Let a factor go where what is `left` is enough.

    Args:
        session: the caller's transaction, which holds the account.
        account_id: whose.
        left: the factors of `factors_of` that would remain.
        passwords: knows about the account's password.
        has_identity: knows whether an outside provider opens the account.

    Raises:
        FactorStillNeeded: the person could not sign in any more, or only by a password that is
            too short to stand alone. Source: NIST SP 800-63B-4 s. 3.1.1.
    """
    if passwords.encoded(session, account_id) is None:
        if Factor.PASSKEY not in left and not has_identity(session, account_id):
            raise FactorStillNeeded(by_password=False)
    elif not set(left) - {Factor.RECOVERY_CODE} and not passwords.long_enough_alone(
        session, account_id
    ):
        raise FactorStillNeeded(by_password=True)
