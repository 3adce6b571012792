"""Answering authorization requests, handing out and ending tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from identity.accounts.address_model import AddressChangeUndone
from identity.accounts.model import AccountDisabled, ClosingBegun
from identity.credentials.model import FactorRecoveryCompleted, PasswordSet
from identity.provider import refresh, refresh_store, store, tokens
from identity.provider.authorization import AuthorizationRequest
from identity.provider.authorization_code import CodeReplayed
from identity.provider.model import (
    CODE_LIFETIME,
    Client,
    CodeIssued,
    RevocationReason,
    Token,
    TokenAnswer,
    ordered,
)
from identity.provider.refresh import RefreshReused
from identity.provider.refresh_store import FamilyRow
from identity.provider.server import Server
from privacy.actor import Actor
from privacy.ids import new_token, secret_digest
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.model import SubjectErased
from privacy.unit_of_work import UnitOfWork


class Provider:
    """The OpenID Provider's use cases."""

    def __init__(
        self, issuer: str, pseudonyms: Pseudonyms, signing_keys: SigningKeys, refresh_key: bytes
    ) -> None:
        self.issuer = issuer
        self._pseudonyms = pseudonyms
        self._signing_keys = signing_keys
        self._refresh_key = refresh_key

    @staticmethod
    def authorize(
        uow: UnitOfWork, asked: AuthorizationRequest, person: Actor, *, sid: str | None = None
    ) -> str:
        """Return an authorization code for a request that `authorization.read` accepted.

        Args:
            uow: the caller's unit of work.
            asked: the request.
            person: who is signed in.
            sid: the browser session's name for this client; tokens carry it.

        Raises:
            ValueError: nobody is signed in.
        """
        if person.subject_id is None or person.authenticated_at is None:
            raise ValueError("a code needs a person who has signed in")
        code = new_token(uow.ids)
        uow.session.add(
            store.CodeRow(
                code_digest=secret_digest(code),
                client_id=asked.client.client_id,
                subject_id=person.subject_id,
                redirect_uri=asked.redirect_uri,
                scope=asked.scope,
                nonce=asked.nonce,
                code_challenge=asked.code_challenge,
                auth_time=person.authenticated_at,
                methods=" ".join(person.methods),
                session_id=person.session_id,
                sid=sid,
                audience=asked.audience,
                claims=ordered(asked.claims.userinfo),
                issued_at=uow.now,
                expires_at=uow.now + CODE_LIFETIME,
            )
        )
        uow.record(CodeIssued(subject_id=person.subject_id, client_id=asked.client.client_id))
        uow.commit()
        return code

    def exchange(self, uow: UnitOfWork, client: Client, form: Mapping[str, str]) -> TokenAnswer:
        """Return the tokens that an authenticated client asks for at the token endpoint.

        Raises:
            OAuth2Error: the request is refused, and nothing is changed, save that a code which
                comes a second time ends what it yielded (RFC 6749 s. 4.1.2), and a refresh token
                its family (RFC 9700 s. 4.14.2).
        """
        server = Server(
            uow, client, self.issuer, self._pseudonyms, self._signing_keys, self._refresh_key
        )
        try:
            answer = server.answer(form)
        except CodeReplayed as replayed:
            if tokens.revoke_of_code(uow, replayed.code):
                uow.commit()
            raise
        except RefreshReused as reused:
            tokens.revoke_of_family(uow, reused.family, RevocationReason.REFRESH_REUSED)
            uow.commit()
            raise
        uow.commit()
        return answer

    @staticmethod
    def revoke(uow: UnitOfWork, client: Client, secret: str) -> None:
        """End one of the client's own tokens; anything else is left alone, without a word."""
        if tokens.revoke(uow, client, secret) or refresh.revoke(uow, client, secret):
            uow.commit()

    def subject_of(self, session: Session, token: Token) -> str | None:
        """Return the `sub` of a token's person for its client; None for a client's own token."""
        if token.subject_id is None:
            return None
        return self.sub(session, token.client, token.subject_id)

    def sub(self, session: Session, client: Client, subject_id: str) -> str | None:
        """Return a person's `sub` for a client where it has one; None also for the erased.

        Who was merged answers by the survivor's.
        """
        return self._pseudonyms.find(session, client.sector, subject_id)

    @staticmethod
    def person_of(session: Session, client: Client, sub: str) -> str | None:
        """Return the subject whom a client knows by this `sub`; None where there is none."""
        return Pseudonyms.resolve(session, client.sector, sub)

    def public_keys(self, session: Session) -> Sequence[Mapping[str, object]]:
        """Return the JWKs by which our ID tokens are verified."""
        return self._signing_keys.public(session, KeyUse.OPENID)

    def own_keys(self, session: Session) -> Sequence[Mapping[str, object]]:
        """Return the JWKs by which we know again ID tokens of ours, however old (hints)."""
        return self._signing_keys.own(session, KeyUse.OPENID)

    @staticmethod
    def on_account_shut(uow: UnitOfWork, event: AccountDisabled | ClosingBegun) -> None:
        """End a person's codes and tokens; called in the transaction that shuts the account."""
        if event.subject_id is not None:
            tokens.revoke_of_subject(uow, event.subject_id)

    @staticmethod
    def on_access_recovered(
        uow: UnitOfWork, event: PasswordSet | FactorRecoveryCompleted | AddressChangeUndone
    ) -> None:
        """End a person's codes and tokens where the sessions end too; called in its transaction.

        Source: OWASP ASVS 5.0 7.4.3.
        """
        kept = isinstance(event, PasswordSet) and event.sessions_kept
        if event.subject_id is not None and not kept:
            tokens.revoke_of_subject(uow, event.subject_id, RevocationReason.ACCESS_RECOVERED)

    @staticmethod
    def forget(uow: UnitOfWork, erased: SubjectErased) -> None:
        """Delete an erased person's codes and tokens; called in the erasure's transaction."""
        if erased.subject_id is not None:
            refresh_store.forget(uow.session, FamilyRow.subject_id == erased.subject_id)
            store.forget(uow.session, erased.subject_id)
