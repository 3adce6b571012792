"""The end of every way in: the browser is remembered, and a session begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from identity.accounts.client import Client, short_address, short_user_agent
from identity.accounts.model import Account
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.origin import Origin
from identity.credentials.service import Passwords
from identity.risk.devices import Devices
from identity.risk.service import Risk
from identity.sessions.service import Sessions
from policies.assurance import AssuranceLevel, level_of, satisfies
from privacy.unit_of_work import UnitOfWork

#: Links the identity that waits for its person to get in, and notes its use; `identity.sso` does.
SettleOrigin = Callable[[UnitOfWork, Account, Origin], Origin]


@dataclass(frozen=True, slots=True)
class Visit:
    """The browser that asks, as one request shows it.

    Attributes:
        client: its address and its name for itself.
        device_token: of its device cookie, or None.
        session_digest: of the session that it has, which a new one replaces.
    """

    client: Client
    device_token: str | None = field(default=None, repr=False)
    session_digest: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session has begun.

    Attributes:
        account: whose.
        secret: the session's id, for its cookie.
        device_token: the browser's own, for the device cookie.
    """

    account: Account
    secret: str = field(repr=False)
    device_token: str = field(repr=False)


class Arrival:
    """Lets people in who have proved who they are."""

    def __init__(
        self,
        sessions: Sessions,
        devices: Devices,
        risk: Risk,
        notices: SecurityNotices,
        settle_origin: SettleOrigin,
    ) -> None:
        self._settle_origin = settle_origin
        self._sessions = sessions
        self._devices = devices
        self._risk = risk
        self._notices = notices

    def begin(
        self,
        uow: UnitOfWork,
        account: Account,
        methods: Sequence[str],
        visit: Visit,
        *,
        assessment_id: str | None = None,
        trust: bool = False,
        expected: bool = False,
        origin: Origin | None = None,
    ) -> SignedIn:
        """Begin a session, and tell the person where the browser is new; joins the transaction.

        Args:
            uow: the transaction of the sign-in.
            account: whose.
            methods: how it was proved, RFC 8176 values.
            visit: the browser.
            assessment_id: of the sign-in's risk, where it was assessed.
            trust: the person wants no second factor asked in this browser for a while.
            expected: the account was opened in this browser just now, so it is no news.
            origin: where the person came from, if from an outside provider.
        """
        if origin is not None:
            origin = self._settle_origin(uow, account, origin)
        account_id, client = account.account_id, visit.client
        known = self._devices.find(uow.session, account_id, visit.device_token, now=uow.now)
        two_factors = satisfies(level_of(methods), AssuranceLevel.AAL2)
        token, device = self._devices.remember(
            uow,
            account,
            client,
            token=visit.device_token,
            trust=trust,
            by_mail=not two_factors and Passwords.set_by_mail(uow.session, account_id),
        )
        if (known is None or known.is_news) and not expected:
            self._notices.tell(
                uow,
                account,
                Notice.NEW_DEVICE,
                {
                    "device": short_user_agent(client.user_agent),
                    "network": short_address(client.address),
                },
            )
        if assessment_id is not None:
            self._risk.complete(uow, account, assessment_id)
        secret = self._sessions.begin(
            uow,
            account,
            methods,
            client,
            device_id=device.device_id,
            replaces=visit.session_digest,
            origin=origin,
        )
        return SignedIn(account, secret, token)
