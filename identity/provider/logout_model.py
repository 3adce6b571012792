"""What applications are told of the end of a session, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

#: Source: OpenID Connect Back-Channel Logout 1.0 s. 2.4 (at most two minutes).
LOGOUT_TOKEN_LIFETIME: Final = timedelta(minutes=2)
#: What was told is shown to the operator for so long.
MESSAGES_KEPT: Final = timedelta(days=90)
#: A sign-in that has ended names nobody to nobody any more after so long.
SIGN_INS_KEPT: Final = timedelta(days=1)
#: Longer than every wait of the outbox together; a message that is still on its way then is lost.
LOST_AFTER: Final = timedelta(days=3)


class LogoutState(StrEnum):
    """Where a message is."""

    WAITING = "waiting"
    TOLD = "told"
    FAILED = "failed"


class LogoutCause(StrEnum):
    """Why a client is told; the causes of `SessionEnded` stand beside these."""

    RAN_OUT = "ran-out"
    ACCOUNT_DISABLED = "account-disabled"
    ACCOUNT_CLOSING = "account-closing"
    ACCOUNT_CLOSED = "account-closed"
    GRANT_ENDED = "grant-ended"


@dataclass(frozen=True, slots=True)
class LogoutResult:
    """One message to a client and what became of it; it tells nothing of the person.

    Attributes:
        cause: a `LogoutCause`, or that of a `SessionEnded`.
        attempts: how often it was tried.
        last_result: the client's status (`200`), or why there was none (`timeout`,
            `refused: private address`); None before the first try.
        created_at: when the session ended; aware UTC.
        ended_at: when it was told or given up; None while it waits.
    """

    message_id: str
    client_id: str
    cause: str
    state: LogoutState
    attempts: int
    last_result: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutTold(Event):
    """An application took the notice that a session had ended."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_LOGOUT_TOLD
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutFailed(Event):
    """An application could not be told that a session had ended, and will not be."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_LOGOUT_FAILED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str
    message_id: str
