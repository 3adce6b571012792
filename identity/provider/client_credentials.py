"""The client credentials grant: an application in its own name. Source: RFC 6749 s. 4.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant

from identity.provider import tokens
from identity.provider.model import CLIENT_TOKEN_LIFETIME, Client, TokenAnswer, ordered

if TYPE_CHECKING:
    from identity.provider.server import Server


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib is untyped
    """Gives a client a token for the scopes it asks for, or for all it may have."""

    server: Server
    request: Any  # Authlib's, which carries what one step finds to the next

    def create_token_response(self) -> TokenAnswer:
        """Issue the token. Authlib's own writes it to its debug log."""
        client: Client = self.request.client
        asked = self.request.payload.scope
        scope = ordered(frozenset(asked.split(" ")) if asked else client.api_scopes)
        return TokenAnswer(
            access_token=tokens.issue(self.server.uow, client, scope, CLIENT_TOKEN_LIFETIME),
            lifetime=CLIENT_TOKEN_LIFETIME,
            scope=scope,
        )
