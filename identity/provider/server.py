"""Authlib's authorization server over one unit of work: its grants join our one transaction.

Its documented wiring commits the token in `save_token` before the code is deleted, so that two
requests at once get two tokens for one code. Here nothing is saved but in the caller's unit of
work, and the code is claimed in it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from authlib.oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from joserfc.jwk import Key

from identity.provider.authorization_code import AuthorizationCode
from identity.provider.client_credentials import ClientCredentials
from identity.provider.model import Client, TokenAnswer
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
    """

    def __init__(
        self,
        uow: UnitOfWork,
        client: Client,
        issuer: str,
        pseudonyms: Pseudonyms,
        signing_keys: SigningKeys,
    ) -> None:
        super().__init__()
        self.uow = uow
        self.issuer = issuer
        self._client = client
        self._pseudonyms = pseudonyms
        self._signing_keys = signing_keys
        self.register_grant(AuthorizationCode)
        self.register_grant(ClientCredentials)

    def answer(self, form: Mapping[str, str]) -> TokenAnswer:
        """Run the grant that the request names; the caller commits.

        Raises:
            OAuth2Error: the request is refused.
        """
        if "grant_type" not in form:
            raise InvalidRequestError("Missing 'grant_type'.")
        request = TokenRequest(f"{self.issuer}/oauth/token", form)
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

    def pseudonym(self, subject_id: str) -> str:
        """Return the person's `sub` for the client.

        Raises:
            NotFound: the person was erased.
        """
        return self._pseudonyms.issue(self.uow, self._client.sector, subject_id)

    def signing_key(self) -> Key:
        """Return the private key for ID tokens."""
        return self._signing_keys.current(self.uow.session, KeyUse.OPENID)
