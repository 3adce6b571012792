"""What is new in the account's notices, as the first stop of whoever signs in."""

from __future__ import annotations

from identity.accounts.model import Account
from policies.vocabulary import Role
from privacy.consent.acknowledgements import Acknowledgements
from privacy.unit_of_work import Runtime


class NoticesStop:
    """Tells whether a person must first be shown a notice.

    Who works here accepts no terms of a customer's account.
    """

    def __init__(self, runtime: Runtime, acknowledgements: Acknowledgements) -> None:
        self._runtime = runtime
        self._acknowledgements = acknowledgements

    def first_stop(self, account: Account) -> str | None:
        """Return the page of what is new, or None."""
        if account.role is not Role.PERSON:
            return None
        with self._runtime.snapshot() as session:
            return self._acknowledgements.first_stop(
                session, account.subject_id, self._runtime.clock()
            )
