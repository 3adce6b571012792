"""What becomes of somebody who has come from an outside provider.

The provider's word is one factor, whatever it says of its own methods: the account's second factor
is asked for, and the risk is assessed, as after a right password. An address opens an existing
account only where the operator calls the provider authoritative for it; else it must be proven by
a mailed code, and the person signs in the usual way before the identity is linked.
Source: OWASP ASVS 5.0 6.8.1, 10.5.2; NIST SP 800-63C-4 s. 3.7 (linking); GDPR Art. 5(1)(c).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from identity.accounts.model import Account, AccountIsDisabled, AccountStatus, LinkNotValid
from identity.accounts.origin import Origin
from identity.accounts.service import Accounts
from identity.sessions.arrival import SignedIn, Visit
from identity.sessions.failures import record_failure
from identity.sessions.sign_in import SignIn, Waiting
from identity.sso.identities import Identities
from identity.sso.identity_model import Identity
from identity.sso.model import Arrived, Refusal, UpstreamRefused, UpstreamSignInRefused
from identity.sso.waiting import Arrivals
from policies.assurance import METHODS_OF, Factor
from policies.errors import InvalidInput, NotFound
from policies.register.model import Register
from policies.vocabulary import Attribute
from privacy.actor import Actor
from privacy.collection.model import purposes_wanting
from privacy.ids import secret_digest
from privacy.keys.blind_index import IdentifierKind, normalise_email
from privacy.subjects.model import clean_value
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime, UnitOfWork

BY_PROVIDER: Final = tuple(sorted(METHODS_OF[Factor.FEDERATED]))
#: Accounts that are looked for; what each may do then differs.
_OPEN: Final = (AccountStatus.ACTIVE, AccountStatus.CLOSING, AccountStatus.DISABLED)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """No account knows who came; the page that opens one follows.

    Attributes:
        secret: names who waits, for the browser's cookie.
    """

    secret: str = field(repr=False)


class Reception:
    """Receives who has come from a provider."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        register: Register,
        accounts: Accounts,
        subjects: Subjects,
        identities: Identities,
        arrivals: Arrivals,
        sign_in: SignIn,
    ) -> None:
        self._runtime = runtime
        self._register = register
        self._zone = ZoneInfo(register.controller.time_zone)
        self._accounts = accounts
        self._subjects = subjects
        self._identities = identities
        self._arrivals = arrivals
        self._sign_in = sign_in

    def sign_in(
        self, actor: Actor, arrived: Arrived, visit: Visit
    ) -> SignedIn | Waiting | Newcomer:
        """Let somebody in, say what must follow, or keep a newcomer until the form is filled in.

        Args:
            actor: who asks, usually nobody known.
            arrived: who came back from the provider, verified.
            visit: the browser.

        Raises:
            AccountIsDisabled: the company has disabled the account.
            LinkNotValid: the account was closed at this very moment.
            TooManyAttempts: too many codes were mailed.
        """
        email = _address(arrived)
        held: Account | None = None
        try:
            with self._runtime.unit_of_work(actor) as uow:
                upstream_session = self._identities.session_digest(arrived.issuer, arrived.sid)
                identity = self._identities.find(uow.session, arrived.issuer, arrived.sub)
                held = self._account(uow.session, identity, arrived, email)
                if held is None:
                    secret = self._arrivals.receive(
                        uow,
                        arrived,
                        email=email,
                        attributes=self._needed(arrived, uow.now.astimezone(self._zone).date()),
                        upstream_session=upstream_session,
                    )
                    uow.commit()
                    return Newcomer(secret)
                account = self._lock(uow, held)
                if identity is not None:
                    self._identities.came_by(uow, identity, arrived.provider)
                    origin = Origin(
                        identity.identity_id,
                        upstream_session,
                        authenticated_at=arrived.authenticated_at,
                    )
                else:
                    secret = self._arrivals.receive(
                        uow,
                        arrived,
                        email=email,
                        attributes={},
                        upstream_session=upstream_session,
                        account=account,
                    )
                    origin = Origin(None, upstream_session, arrival=secret_digest(secret))
                result = self._sign_in.go_on(
                    uow,
                    account,
                    self._accounts.email_of(uow.session, account),
                    visit,
                    methods=BY_PROVIDER,
                    alone=True,
                    origin=origin,
                )
                uow.commit()
                return result
        except AccountIsDisabled as error:
            if held is not None:
                record_failure(
                    self._runtime, actor, held, "federated", visit.client, reason=error.code
                )
            raise

    def link(self, actor: Actor, arrived: Arrived) -> Identity:
        """Link who came to the account whose person went, in the same session.

        Args:
            actor: who is signed in; the caller has seen that it is the session that began.
            arrived: who came back from the provider, verified.

        Raises:
            UpstreamRefused: somebody else had gone.
            IdentityTaken: another account has it.
            Conflict: the account has too many.
        """
        with self._runtime.unit_of_work(actor) as uow:
            account = self._accounts.find(uow.session, actor.account_id or "")
            if account is None or arrived.account_id != account.account_id:
                self.refuse(uow, arrived.provider, Refusal.OTHER_BROWSER)
                raise UpstreamRefused(Refusal.OTHER_BROWSER)
            return self._identities.link(uow, account, arrived)

    @staticmethod
    def refuse(uow: UnitOfWork, provider: str, reason: Refusal) -> None:
        """Write down that an answer was not taken; commits."""
        uow.record(UpstreamSignInRefused(provider=provider, reason=reason.value))
        uow.commit()

    def _account(
        self, session: Session, identity: Identity | None, arrived: Arrived, email: str | None
    ) -> Account | None:
        """Return the account of an identity or, where the address is as good as proven, of that."""
        if identity is not None:
            return self._accounts.find(session, identity.account_id)
        if email is None or not arrived.address_proven:
            return None
        account = self._accounts.at_address(session, email)
        if account is None:
            return None
        # Somebody may have said of a person that an address is theirs; only the proven ones count.
        known = self._subjects.identifiers.of(session, account.subject_id, IdentifierKind.EMAIL)
        proven = any(each.identifier.value == email and each.verified_at for each in known)
        return account if proven else None

    def _lock(self, uow: UnitOfWork, found: Account) -> Account:
        try:
            account = self._accounts.lock(uow, found.account_id, *_OPEN)
        except NotFound:
            raise LinkNotValid("the account was closed at this very moment") from None
        if account.status is AccountStatus.DISABLED:
            raise AccountIsDisabled("the account was disabled")
        return account

    def _needed(self, arrived: Arrived, today: date) -> Mapping[Attribute, str]:
        """Return what of the told some purpose needs and can be kept; the rest is dropped."""
        needed: dict[Attribute, str] = {}
        for attribute, value in arrived.attributes.items():
            if attribute is Attribute.EMAIL or not purposes_wanting(self._register, attribute):
                continue
            try:
                needed[attribute] = clean_value(attribute, value, today)
            except InvalidInput:
                continue
        return needed


def _address(arrived: Arrived) -> str | None:
    """Return the told address in its canonical form; None where it is none."""
    try:
        return normalise_email(arrived.email) if arrived.email else None
    except InvalidInput:
        return None
