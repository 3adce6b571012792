"""Authlib's authorization server over one unit of work: its grants join our one transaction.

Its documented wiring commits the token in `save_token` before the code is deleted, so that two
requests at once get two tokens for one code. Here nothing is saved but in the caller's unit of
work, and the code is claimed in it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, cast

from authlib.oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from joserfc.jwk import Key

from identity.provider import access_token, discovery, id_token, resource, store, tokens
from identity.provider.authorization_code import AuthorizationCode
from identity.provider.client_credentials import ClientCredentials
from identity.provider.model import (
    OPENID,
    Client,
    SignIn,
    TokenAnswer,
    TokenFormat,
    TokensRefreshed,
)
from identity.provider.refresh import Refresh
from identity.provider.refresh_store import FamilyRow
from identity.provider.store import CodeRow
from identity.provider.tokens import NewToken
from policies.errors import NotFound
from privacy.ids import secret_digest
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.pseudonyms.service import Pseudonyms
from privacy.unit_of_work import UnitOfWork


class Grant(Protocol):
    """A grant at the token endpoint, as Authlib runs one."""

    def validate_token_request(self) -> None:
        """Refuse what may not be answered."""
        ...

    def create_token_response(self) -> TokenAnswer:
        """Return the tokens."""
        ...


class TokenRequest(OAuth2Request):  # type: ignore[misc]  # Authlib is untyped
    """A token request as Authlib's grants read it: the body's members, each at most once."""

    def __init__(self, uri: str, form: Mapping[str, str]) -> None:
        super().__init__("POST", uri)
        self.payload = BasicOAuth2Payload(dict(form))

    @property
    def form(self) -> Mapping[str, str]:
        """The body's members."""
        return cast("Mapping[str, str]", self.payload.data)


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """What the grants need of the deployment, for one request of one authenticated client.

    Attributes:
        uow: where everything they do happens.
        issuer: our base address.
        refresh_key: of which the secrets are made that a refresh token yields.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        client: Client,
        issuer: str,
        pseudonyms: Pseudonyms,
        signing_keys: SigningKeys,
        refresh_key: bytes,
    ) -> None:
        super().__init__()
        self.uow = uow
        self.issuer = issuer
        self.refresh_key = refresh_key
        self._client = client
        self._pseudonyms = pseudonyms
        self._signing_keys = signing_keys
        self._key: Key | None = None
        self.register_grant(AuthorizationCode)
        self.register_grant(Refresh)
        self.register_grant(ClientCredentials)

    def answer(self, form: Mapping[str, str]) -> TokenAnswer:
        """Run the grant that the request names; the caller commits.

        Raises:
            OAuth2Error: the request is refused.
        """
        if "grant_type" not in form:
            raise InvalidRequestError("Missing 'grant_type'.")
        request = TokenRequest(self.issuer + discovery.TOKEN, form)
        grant = cast("Grant", self.get_token_grant(request))
        grant.validate_token_request()
        return grant.create_token_response()

    def authenticate_client(self, *_args: object) -> Client:
        """Return the client; it was authenticated before the transaction began."""
        return self._client

    def validate_requested_scope(self, scope: str | None) -> None:
        """Refuse a scope beyond the client's own.

        Raises:
            InvalidScopeError: the client may not have it.
        """
        if scope and not frozenset(scope.split(" ")) <= self._client.api_scopes:
            raise InvalidScopeError("The client may not ask for this scope.")

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody: what happens is told by events."""

    def hold_account(self, subject_id: str) -> None:
        """As `tokens.hold_person`.

        Raises:
            InvalidGrantError: it is shut, or the person was erased.
        """
        try:
            tokens.hold_person(self.uow, subject_id)
        except NotFound:
            raise InvalidGrantError("The person may not sign in at present.") from None

    def audience(self, form: Mapping[str, str]) -> str | None:
        """Return which resource server the client's own token is for; None: us.

        Raises:
            OAuth2Error: `invalid_target`.
        """
        return resource.audience(form.get("resource"), issuer=self.issuer, client=self._client)

    def granted_audience(self, form: Mapping[str, str], granted: str | None) -> str | None:
        """Return which resource server a person's token is for, as was granted; None: us.

        Raises:
            OAuth2Error: `invalid_target`.
        """
        return resource.granted_audience(
            form.get("resource"), granted, issuer=self.issuer, client=self._client
        )

    def issue(self, new: NewToken, seed: bytes, *, again: bool = False) -> str:
        """Return an access token in the client's format and let it count; the same for the same.

        Args:
            new: what it is going to stand for.
            seed: 32 bytes that nobody can guess.
            again: it was issued before, and its answer may have been lost.
        """
        if self._client.token_format is TokenFormat.JWT:
            secret = access_token.signed(
                self._signing_key(),
                seed,
                issuer=self.issuer,
                audience=new.audience,
                client_id=self._client.client_id,
                sub=new.sub,
                scope=new.scope,
                sign_in=new.sign_in,
                issued_at=new.issued_at,
                expires_at=new.expires_at,
            )
        else:
            secret = access_token.opaque(seed)
        if again and store.token(self.uow.session, secret_digest(secret)) is not None:
            return secret
        if again:  # the signing key has changed meanwhile
            self.uow.record(
                TokensRefreshed(
                    subject_id=new.subject_id, client_id=self._client.client_id, scope=new.scope
                )
            )
        tokens.keep(self.uow.session, self._client.client_id, secret, new)
        return secret

    def answer_for_person(
        self,
        granted: CodeRow | FamilyRow,
        *,
        scope: str,
        audience: str | None,
        seed: bytes,
        issued_at: datetime,
        expires_at: datetime,
        family_id: str | None,
        refresh_token: str | None,
        nonce: str | None = None,
        again: bool = False,
    ) -> TokenAnswer:
        """Issue what the client gets of a person.

        Args:
            granted: what it comes of: the code, or the family of refresh tokens.
            scope: of the access token.
            audience: of the access token.
            seed: 32 bytes that nobody can guess, for the access token.
            issued_at: now, or when the very same was issued first; aware UTC.
            expires_at: of the access token; aware UTC.
            family_id: of the refresh token, where there is one.
            refresh_token: handed out with it.
            nonce: of the authorization request, for the first ID token alone.
            again: the very same was issued before.

        Raises:
            InvalidGrantError: the person was erased.
        """
        try:
            sub = self._pseudonyms.issue(self.uow, self._client.sector, granted.subject_id)
        except NotFound:
            raise InvalidGrantError("The person is no longer here.") from None
        sign_in = SignIn(granted.auth_time, tuple(granted.methods.split()), granted.sid)
        secret = self.issue(
            NewToken(
                sub=sub,
                scope=scope,
                issued_at=issued_at,
                expires_at=expires_at,
                audience=audience,
                subject_id=granted.subject_id,
                sign_in=sign_in,
                claims=granted.claims,
                code_digest=granted.code_digest,
                family_id=family_id,
            ),
            seed,
            again=again,
        )
        told = None
        if OPENID in scope.split():
            told = id_token.sign(
                self._signing_key(),
                issuer=self.issuer,
                client_id=self._client.client_id,
                sub=sub,
                sign_in=sign_in,
                access_token=secret,
                issued_at=issued_at,
                nonce=nonce,
            )
        return TokenAnswer(
            access_token=secret,
            lifetime=expires_at - self.uow.now,
            scope=scope,
            id_token=told,
            refresh_token=refresh_token,
        )

    def _signing_key(self) -> Key:
        if self._key is None:
            self._key = self._signing_keys.current(self.uow.session, KeyUse.OPENID)
        return self._key
