"""Who is signed in where, and telling applications that it has ended. docs/provider.md.

Source: OpenID Connect Back-Channel Logout 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from urllib.parse import urlencode

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.accounts.model import AccountClosed, AccountDisabled, ClosingBegun
from identity.provider import logout_store, logout_token, tokens
from identity.provider.grant_model import GrantEnded
from identity.provider.id_token_hint import Hint
from identity.provider.logout_model import (
    LOST_AFTER,
    MESSAGES_KEPT,
    SIGN_INS_KEPT,
    LogoutCause,
    LogoutFailed,
    LogoutResult,
    LogoutState,
    LogoutTold,
)
from identity.provider.logout_store import LogoutMessageRow, SignInRow
from identity.provider.model import Client, RevocationReason
from identity.provider.store import ClientRow
from identity.sessions.model import SessionEnded
from identity.sessions.service import Sessions
from privacy.actor import SYSTEM, Actor
from privacy.events import Json
from privacy.ids import new_id
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.outbound import Outbound, OutboundFailed, OutboundRefused
from privacy.outbox import RETRY_WAITS, Outbox
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.model import SubjectErased
from privacy.unit_of_work import Runtime, UnitOfWork

#: The outbox's name for a logout token on its way.
KIND: Final = "backchannel-logout"
#: One slow application keeps letters and the other applications waiting no longer than this.
TIMEOUT_SECONDS: Final = 5.0
#: Whoever kept us waiting so long for no answer is left alone for a while: many messages to an
#: application that is down must not take the worker from the log and from the letters.
SLOW_SECONDS: Final = 1.0
SILENCE: Final = timedelta(minutes=1)
#: Of an answer whose body nobody reads.
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_TRIES: Final = 1 + len(RETRY_WAITS)
SWEEP_EVERY: Final = timedelta(minutes=1)
BATCH: Final = 100

#: Source: Back-Channel Logout 1.0 s. 2.8; some frameworks turn an empty 200 into 204.
_TOLD: Final = frozenset({200, 204})
#: The client understood and says no: another try would be answered alike. Source: s. 2.8.
_NO: Final = 400


class LogoutUntold(OSError):
    """A client did not take a logout token; the message says why and names no address."""


class Logouts:
    """Sign-ins of people to clients, and what clients are told of their end.

    Args:
        runtime: the doors to the database, for sending and tidying.
        issuer: our base address.
        pseudonyms: what clients know people by.
        signing_keys: sign the logout tokens.
        sessions: tells which browser sessions are alive.
        outbox: keeps messages until they are sent.
        outbound: makes the calls.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        issuer: str,
        pseudonyms: Pseudonyms,
        signing_keys: SigningKeys,
        sessions: Sessions,
        outbox: Outbox,
        outbound: Outbound,
    ) -> None:
        self._runtime = runtime
        self._issuer = issuer
        self._pseudonyms = pseudonyms
        self._signing_keys = signing_keys
        self._sessions = sessions
        self._outbox = outbox
        self._outbound = outbound
        self._next_sweep: datetime | None = None
        #: Until when each application that kept us waiting for nothing is left alone.
        self._silent: dict[str, datetime] = {}

    # ---- in ----

    @staticmethod
    def join(uow: UnitOfWork, client: Client, person: Actor) -> str:
        """Note that a person's session goes on into a client, and return its `sid` for it.

        The same session and client have the same `sid` until it ends; two clients cannot tell
        from theirs that they are of one session. Joins the caller's transaction. A session without
        a family (begun before there were any) gets a `sid` that nothing is kept of.
        """
        family, subject_id = person.session_family, person.subject_id
        if family is None or subject_id is None:
            return new_id(uow.ids)
        row = logout_store.sign_in(uow.session, family, client.client_id)
        if row is not None and row.ended_at is not None:  # by the end of a grant
            uow.session.delete(row)
            uow.session.flush()
            row = None
        if row is not None:
            return row.sid
        sid = new_id(uow.ids)
        try:
            with uow.savepoint():
                uow.session.add(
                    SignInRow(
                        sid=sid,
                        session_family=family,
                        client_id=client.client_id,
                        subject_id=subject_id,
                        began_at=uow.now,
                    )
                )
        except IntegrityError:  # another tab was quicker
            row = logout_store.sign_in(uow.session, family, client.client_id)
            return row.sid if row else sid
        return sid

    def means(self, session: Session, hint: Hint, client: Client, person: Actor) -> bool:
        """Tell whether a client's hint means this very session of this very person."""
        if person.subject_id is None or hint.client_id != client.client_id:
            return False
        if self._pseudonyms.find(session, client.sector, person.subject_id) != hint.sub:
            return False
        if hint.sid is None:
            return True
        row = logout_store.sign_in(session, person.session_family or "", client.client_id)
        return row is not None and row.ended_at is None and row.sid == hint.sid

    # ---- out: each joins the transaction of what ends ----

    def on_session_ended(self, uow: UnitOfWork, event: SessionEnded) -> None:
        """Tell the clients of a person's sessions that are not alive any more, each of its own."""
        if event.subject_id is None:
            return
        ended = logout_store.open_sign_ins(
            uow.session,
            subject_id=event.subject_id,
            living_families=self._sessions.living_families(uow.now),
        )
        self._end(uow, ended, event.cause)

    def on_account_shut(
        self, uow: UnitOfWork, event: AccountDisabled | ClosingBegun | AccountClosed
    ) -> None:
        """Tell every client that a person has gone on into, whether or not a session is alive.

        A client may keep the person signed in, or connected, long after our session ended.
        """
        if event.subject_id is None:
            return
        cause = {
            AccountDisabled: LogoutCause.ACCOUNT_DISABLED,
            ClosingBegun: LogoutCause.ACCOUNT_CLOSING,
            AccountClosed: LogoutCause.ACCOUNT_CLOSED,
        }[type(event)]
        left = logout_store.open_sign_ins(uow.session, subject_id=event.subject_id)
        self._end(uow, left, cause.value)
        told = logout_store.clients_ended_at(uow.session, event.subject_id, uow.now)
        for client_id in logout_store.clients_of(uow.session, event.subject_id):
            if client_id not in told:
                self._queue(uow, client_id, event.subject_id, None, cause.value)

    def on_grant_ended(self, uow: UnitOfWork, event: GrantEnded) -> None:
        """Tell one client, for all of a person's sessions there."""
        if event.subject_id is None:
            return
        for row in logout_store.open_sign_ins(
            uow.session, subject_id=event.subject_id, client_id=event.client_id
        ):
            logout_store.end_sign_in(uow.session, row.sid, uow.now)
        cause = LogoutCause.GRANT_ENDED.value
        self._queue(uow, event.client_id, event.subject_id, None, cause)

    @staticmethod
    def forget(uow: UnitOfWork, erased: SubjectErased) -> None:
        """Delete where an erased person was signed in; called in the erasure's transaction."""
        if erased.subject_id is not None:
            logout_store.forget(uow.session, erased.subject_id)

    def _end(self, uow: UnitOfWork, rows: Sequence[SignInRow], cause: str) -> None:
        """End sign-ins with the tokens that hang on them, and tell each one's client."""
        for sid, client_id, subject_id in [(r.sid, r.client_id, r.subject_id) for r in rows]:
            if logout_store.end_sign_in(uow.session, sid, uow.now):
                tokens.revoke_of_sid(uow, sid, RevocationReason.SESSION_ENDED)
                self._queue(uow, client_id, subject_id, sid, cause)

    def _queue(
        self, uow: UnitOfWork, client_id: str, subject_id: str, sid: str | None, cause: str
    ) -> None:
        """Queue a message of its own for a client that wants one and knows the person.

        The pseudonym goes along: it may be gone when the message is sent.
        """
        client = uow.session.get_one(ClientRow, client_id)
        if client.backchannel_logout_uri is None or client.disabled_at is not None:
            return
        sub = self._pseudonyms.find(uow.session, client.sector, subject_id)
        if sub is None:  # no code was exchanged: the client has never heard of the person
            return
        message_id = new_id(uow.ids)
        uow.session.add(
            LogoutMessageRow(
                message_id=message_id,
                client_id=client_id,
                cause=cause,
                state=LogoutState.WAITING.value,
                attempts=0,
                created_at=uow.now,
            )
        )
        self._outbox.put(uow, KIND, {"message_id": message_id, "sub": sub, "sid": sid})

    # ---- the worker's ----

    def send(self, message: Mapping[str, Json]) -> None:
        """Tell a client, with a token made now; the outbox's deliverer.

        Raises:
            LogoutUntold: it was not told, and another try may do better.
        """
        message_id = str(message["message_id"])
        now = self._runtime.clock()
        with self._runtime.snapshot() as session:
            row = session.get(LogoutMessageRow, message_id)
            if row is None or row.state != LogoutState.WAITING:
                return
            client = session.get_one(ClientRow, row.client_id)
            uri = client.backchannel_logout_uri if client.disabled_at is None else None
            token = logout_token.sign(
                self._signing_keys.current(session, KeyUse.OPENID),
                issuer=self._issuer,
                client_id=client.client_id,
                sub=str(message["sub"]),
                sid=str(message["sid"]) if message["sid"] is not None else None,
                jti=new_id(self._runtime.ids),
                now=now,
            )
        if uri is None:
            told, final, result = False, True, "no address"
        elif now < self._silent.get(client.client_id, now):
            told, final, result = False, False, "not tried: no answer a moment ago"
        else:
            told, final, result = self._call(client.client_id, uri, token)
        if not self._note(message_id, result, told=told, final=final):
            raise LogoutUntold(result)

    def run_due(self) -> int:
        """End the sign-ins of sessions that ran out, and delete what is old; a worker's task.

        Returns:
            How many sign-ins ended.
        """
        now = self._runtime.clock()
        if self._next_sweep is not None and now < self._next_sweep:
            return 0
        with self._runtime.unit_of_work(SYSTEM) as uow:
            over = logout_store.open_sign_ins(
                uow.session, living_families=self._sessions.living_families(uow.now), limit=BATCH
            )
            self._end(uow, over, LogoutCause.RAN_OUT.value)
            for row in logout_store.lost_messages(uow.session, uow.now - LOST_AFTER):
                self._settle(uow, row, LogoutState.FAILED)
            logout_store.delete_old(
                uow.session,
                messages_before=uow.now - MESSAGES_KEPT,
                sign_ins_before=uow.now - SIGN_INS_KEPT,
            )
            uow.commit()
        if len(over) < BATCH:
            self._next_sweep = now + SWEEP_EVERY
        return len(over)

    @staticmethod
    def results(session: Session, client_id: str, limit: int = 20) -> list[LogoutResult]:
        """Return what a client was told and what became of it, the newest first."""
        return [
            LogoutResult(
                message_id=row.message_id,
                client_id=row.client_id,
                cause=row.cause,
                state=LogoutState(row.state),
                attempts=row.attempts,
                last_result=row.last_result,
                created_at=row.created_at,
                ended_at=row.ended_at,
            )
            for row in logout_store.messages(session, client_id, limit)
        ]

    def _call(self, client_id: str, uri: str, token: str) -> tuple[bool, bool, str]:
        """Return whether the client was told, whether that is its last word, and it in words."""
        began = monotonic()
        try:
            answer = self._outbound.request(
                "POST",
                uri,
                body=urlencode({"logout_token": token}).encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                timeout_seconds=TIMEOUT_SECONDS,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except OutboundRefused as error:
            return False, False, f"refused: {error}"
        except OutboundFailed as error:
            if monotonic() - began >= SLOW_SECONDS:
                self._silent[client_id] = self._runtime.clock() + SILENCE
            return False, False, str(error)
        return answer.status in _TOLD, answer.status == _NO, str(answer.status)

    def _note(self, message_id: str, result: str, *, told: bool, final: bool) -> bool:
        """Write down what a try yielded; False where there is to be another."""
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = uow.session.get(LogoutMessageRow, message_id, with_for_update=True)
            if row is None or row.state != LogoutState.WAITING:
                return True
            row.attempts += 1
            row.last_result = result[:200]
            if told:
                self._settle(uow, row, LogoutState.TOLD)
            elif final or row.attempts >= MAX_TRIES:
                self._settle(uow, row, LogoutState.FAILED)
            settled = row.state != LogoutState.WAITING
            uow.commit()
        return settled

    @staticmethod
    def _settle(uow: UnitOfWork, row: LogoutMessageRow, state: LogoutState) -> None:
        row.state, row.ended_at = state.value, uow.now
        event = LogoutTold if state is LogoutState.TOLD else LogoutFailed
        uow.record(event(client_id=row.client_id, message_id=row.message_id))
