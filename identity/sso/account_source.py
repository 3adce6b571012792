"""The linked identities as personal data, for the rights to access and to erasure."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from identity.accounts.service import Accounts
from identity.sso import store
from identity.sso.identities import Identities
from privacy.events import Json
from privacy.unit_of_work import UnitOfWork


class IdentityData:
    """A source of personal data, as `privacy.rights` asks for one."""

    name = "identities"

    def __init__(self, accounts: Accounts, identities: Identities) -> None:
        self._accounts = accounts
        self._identities = identities

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return by which outside providers the person signs in. Source: GDPR Art. 15(1), (3)."""
        account = self._accounts.of_subject(session, subject_id)
        held = self._identities.held_of(session, account) if account else []
        return {"identities": held}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Forget them, whatever became of the account; joins. Source: GDPR Art. 17(1)."""
        account = self._accounts.of_subject(uow.session, subject_id)
        if account is not None:
            store.delete_of(uow.session, account.account_id)
