"""Adding clients, answering authorization requests, handing out and ending tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from identity.accounts.address_model import AddressChangeUndone
from identity.accounts.model import AccountDisabled, ClosingBegun
from identity.credentials.model import FactorRecoveryCompleted, PasswordSet
from identity.provider import store, tokens
from identity.provider.authorization import AuthorizationRequest
from identity.provider.authorization_code import CodeReplayed
from identity.provider.client_authentication import is_client_id
from identity.provider.model import (
    API_SCOPES,
    CODE_LIFETIME,
    KNOWN_SCOPES,
    MAX_NAME_LENGTH,
    OPENID,
    Client,
    ClientAdded,
    ClientAuthMethod,
    ClientDisabled,
    ClientSecretRotated,
    CodeIssued,
    GrantType,
    RevocationReason,
    Token,
    TokenAnswer,
    ordered,
    redirect_uri_fault,
)
from identity.provider.server import Server
from policies.errors import InvalidInput, NotFound
from policies.register.model import Register
from privacy.actor import Actor
from privacy.clock import rfc3339
from privacy.ids import new_id, new_token, secret_digest
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.model import SubjectErased
from privacy.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What an operator decides of a client; `Client` tells what each member means.

    Attributes:
        sector: empty for the usual case, a sector of the client's own.
    """

    name: str
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    scopes: Collection[str] = ()
    purposes: Collection[str] = ()
    sector: str = ""
    require_pkce: bool = True


class Clients:
    """The applications that may use this provider."""

    def __init__(self, register: Register, pseudonyms: Pseudonyms) -> None:
        self._register = register
        self._pseudonyms = pseudonyms

    def add(self, uow: UnitOfWork, settings: ClientSettings) -> tuple[Client, str]:
        """Add a client and return it with its secret, which is shown this once.

        It may sign people in where it has redirect URIs, and act in its own name where it has
        scopes of the JSON API.

        Raises:
            InvalidInput: a setting is wrong; names it.
        """
        self._check(settings)
        client_id, secret = new_id(uow.ids), new_token(uow.ids)
        scopes = frozenset(settings.scopes)
        grants = {
            GrantType.AUTHORIZATION_CODE: bool(settings.redirect_uris),
            GrantType.CLIENT_CREDENTIALS: bool(scopes & API_SCOPES),
        }
        row = store.ClientRow(
            client_id=client_id,
            name=settings.name.strip(),
            redirect_uris=" ".join(settings.redirect_uris),
            post_logout_redirect_uris=" ".join(settings.post_logout_redirect_uris),
            grant_types=ordered([grant.value for grant, wanted in grants.items() if wanted]),
            scopes=ordered(scopes),
            purposes=ordered(frozenset(settings.purposes)),
            sector=settings.sector or client_id,
            require_pkce=settings.require_pkce,
            auth_methods=ordered([method.value for method in ClientAuthMethod]),
            created_at=uow.now,
        )
        uow.session.add(row)
        uow.session.flush()
        self._add_secret(uow, client_id, secret)
        self._pseudonyms.ensure_domain(uow, row.sector)
        uow.record(
            ClientAdded(client_id=client_id),
            {
                "name": row.name,
                "redirect_uris": list(settings.redirect_uris),
                "post_logout_redirect_uris": list(settings.post_logout_redirect_uris),
                "scopes": row.scopes,
                "purposes": row.purposes,
                "sector": row.sector,
                "require_pkce": row.require_pkce,
            },
        )
        uow.commit()
        return store.client_from(row), secret

    def rotate_secret(self, uow: UnitOfWork, client_id: str, overlap: timedelta) -> str:
        """Return a new secret; the present ones are valid for `overlap` longer, at most.

        Raises:
            NotFound: there is no such client.
        """
        row = self._row(uow.session, client_id)
        secret = new_token(uow.ids)
        store.retire_secrets(uow.session, row.client_id, uow.now + overlap)
        self._add_secret(uow, row.client_id, secret)
        uow.record(
            ClientSecretRotated(client_id=row.client_id, old_until=rfc3339(uow.now + overlap))
        )
        uow.commit()
        return secret

    def disable(self, uow: UnitOfWork, client_id: str) -> None:
        """Refuse a client and all of its tokens from now on.

        Raises:
            NotFound: there is no such client.
        """
        row = self._row(uow.session, client_id)
        if row.disabled_at is None:
            row.disabled_at = uow.now
            uow.record(ClientDisabled(client_id=row.client_id))
        uow.commit()

    @staticmethod
    def find(session: Session, client_id: str, *, at: datetime) -> Client | None:
        """Return the client with the secrets that are valid at this instant, or None."""
        row = session.get(store.ClientRow, client_id)
        if row is None:
            return None
        return store.client_from(row, store.valid_secrets(session, client_id, at))

    @staticmethod
    def all(session: Session) -> list[Client]:
        """Return every client, oldest first, without secrets."""
        return [store.client_from(row) for row in store.clients(session)]

    @staticmethod
    def _row(session: Session, client_id: str) -> store.ClientRow:
        row = session.get(store.ClientRow, client_id) if is_client_id(client_id) else None
        if row is None:
            raise NotFound("there is no such client")
        return row

    @staticmethod
    def _add_secret(uow: UnitOfWork, client_id: str, secret: str) -> None:
        uow.session.add(
            store.ClientSecretRow(
                secret_digest=secret_digest(secret), client_id=client_id, created_at=uow.now
            )
        )

    def _check(self, settings: ClientSettings) -> None:
        name = settings.name.strip()
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise InvalidInput(f"1 to {MAX_NAME_LENGTH} printable characters", field="name")
        for field, uris in (
            ("redirect_uris", settings.redirect_uris),
            ("post_logout_redirect_uris", settings.post_logout_redirect_uris),
        ):
            for uri in uris:
                fault = redirect_uri_fault(uri)
                if fault is not None:
                    raise InvalidInput(f"{uri}: {fault}", field=field)
        unknown_scopes = frozenset(settings.scopes) - KNOWN_SCOPES
        if unknown_scopes:
            known = ", ".join(sorted(KNOWN_SCOPES))
            raise InvalidInput(
                f"unknown: {ordered(unknown_scopes)}; there are {known}", field="scopes"
            )
        if (OPENID in settings.scopes) != bool(settings.redirect_uris):
            raise InvalidInput(
                "openid needs a redirect URI, and a redirect URI openid", field="scopes"
            )
        unknown_purposes = frozenset(settings.purposes) - frozenset(self._register.purposes)
        if unknown_purposes:
            raise InvalidInput(
                f"not in the register: {ordered(unknown_purposes)}", field="purposes"
            )


class Provider:
    """The OpenID Provider's use cases."""

    def __init__(self, issuer: str, pseudonyms: Pseudonyms, signing_keys: SigningKeys) -> None:
        self.issuer = issuer
        self._pseudonyms = pseudonyms
        self._signing_keys = signing_keys

    @staticmethod
    def authorize(uow: UnitOfWork, asked: AuthorizationRequest, person: Actor) -> str:
        """Return an authorization code for a request that `authorization.read` accepted.

        Args:
            uow: the caller's unit of work.
            asked: the request.
            person: who is signed in.

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
                comes a second time ends what it yielded (RFC 6749 s. 4.1.2).
        """
        server = Server(uow, client, self.issuer, self._pseudonyms, self._signing_keys)
        try:
            answer = server.answer(form)
        except CodeReplayed as replayed:
            if tokens.revoke_of_code(uow, replayed.code):
                uow.commit()
            raise
        uow.commit()
        return answer

    @staticmethod
    def revoke(uow: UnitOfWork, client: Client, secret: str) -> None:
        """End one of the client's own tokens; anything else is left alone, without a word."""
        if tokens.revoke(uow, client, secret):
            uow.commit()

    def subject_of(self, session: Session, token: Token) -> str | None:
        """Return the `sub` of a token's person for its client; None for a client's own token."""
        if token.subject_id is None:
            return None
        return self._pseudonyms.find(session, token.client.sector, token.subject_id)

    def public_keys(self, session: Session) -> Sequence[Mapping[str, object]]:
        """Return the JWKs by which our ID tokens are verified."""
        return self._signing_keys.public(session, KeyUse.OPENID)

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
            store.forget(uow.session, erased.subject_id)
