"""The client credentials grant: an application in its own name. Source: RFC 6749 s. 4.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant

from identity.provider.model import (
    CLIENT_TOKEN_LIFETIME,
    Client,
    TokenAnswer,
    TokensIssued,
    ordered,
)
from identity.provider.tokens import NewToken
from privacy.ids import TOKEN_BYTES

if TYPE_CHECKING:
    from identity.provider.server import Server


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib is untyped
    """Gives a client a token for the scopes it asks for, or for all it may have."""

    server: Server
    request: Any  # Authlib's, which carries what one step finds to the next

    def create_token_response(self) -> TokenAnswer:
        """Issue the token. Authlib's own writes it to its debug log.

        Raises:
            OAuth2Error: `invalid_target`, it may not have tokens for this resource server.
        """
        client: Client = self.request.client
        uow = self.server.uow
        asked = self.request.payload.scope
        scope = ordered(frozenset(asked.split(" ")) if asked else client.api_scopes)
        new = NewToken(
            sub=client.client_id,
            scope=scope,
            issued_at=uow.now,
            expires_at=uow.now + CLIENT_TOKEN_LIFETIME,
            audience=self.server.audience(self.request.form),
        )
        uow.record(TokensIssued(subject_id=None, client_id=client.client_id, scope=scope))
        return TokenAnswer(
            access_token=self.server.issue(new, uow.ids.random_bytes(TOKEN_BYTES)),
            lifetime=CLIENT_TOKEN_LIFETIME,
            scope=scope,
        )
