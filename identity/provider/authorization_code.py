"""The authorization code grant at the token endpoint. Source: RFC 6749 s. 4.1.3, 4.1.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749.errors import InvalidGrantError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant

from identity.provider import pkce, store
from identity.provider.model import (
    OFFLINE_ACCESS,
    PERSON_TOKEN_LIFETIME,
    Client,
    GrantType,
    TokenAnswer,
    TokensIssued,
)
from identity.provider.refresh import begin_family
from privacy.ids import TOKEN_BYTES, secret_digest

if TYPE_CHECKING:
    from identity.provider.server import Server


class CodeReplayed(InvalidGrantError):  # type: ignore[misc]  # Authlib is untyped
    """A code came a second time: whoever has it, what it yielded must end.

    Attributes:
        code: the code that was used before.
    """

    def __init__(self, code: store.CodeRow) -> None:
        super().__init__("The code was used before.")
        self.code = code


class AuthorizationCode(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib is untyped
    """Turns a code into tokens, once."""

    server: Server
    request: Any  # Authlib's, which carries what one step finds to the next

    def validate_token_request(self) -> None:
        """Refuse a code that is not this client's, not for this address or not with this proof.

        Raises:
            OAuth2Error: the request is refused.
        """
        super().validate_token_request()
        pkce.check_verifier(
            self.request.authorization_code.code_challenge, self.request.form.get("code_verifier")
        )

    def query_authorization_code(self, code: str, client: Client) -> store.CodeRow:
        """Claim the code. A refusal after this rolls the claim back with everything else.

        Raises:
            CodeReplayed: it was used before.
            InvalidGrantError: there is no such code for this client, its time has run out, or
                the person's account was shut since.
        """
        uow, digest = self.server.uow, secret_digest(code)
        subject_id = store.subject_of_code(uow.session, digest)
        if subject_id is not None:
            self.server.hold_account(subject_id)
        claimed = store.claim_code(uow.session, digest, client.client_id, uow.now)
        if claimed is not None:
            return claimed
        used = store.used_code(uow.session, digest, client.client_id)
        if used is not None:
            raise CodeReplayed(used)
        raise InvalidGrantError("The code is not valid.")

    def create_token_response(self) -> TokenAnswer:
        """Issue the tokens. Authlib's own writes the access token to its debug log.

        Raises:
            InvalidGrantError: the person was erased since the code was issued.
            OAuth2Error: they are asked for another resource server than the code was.
        """
        code: store.CodeRow = self.request.authorization_code
        client: Client = self.request.client
        uow = self.server.uow
        audience = self.server.granted_audience(self.request.form, code.audience)
        family_id = refresh_token = None
        if OFFLINE_ACCESS in code.scope.split() and client.check_grant_type(
            GrantType.REFRESH_TOKEN
        ):
            family, refresh_token = begin_family(uow, code)
            family_id = family.family_id
        uow.record(
            TokensIssued(subject_id=code.subject_id, client_id=client.client_id, scope=code.scope)
        )
        return self.server.answer_for_person(
            code,
            scope=code.scope,
            audience=audience,
            seed=uow.ids.random_bytes(TOKEN_BYTES),
            issued_at=uow.now,
            expires_at=uow.now + PERSON_TOKEN_LIFETIME,
            family_id=family_id,
            refresh_token=refresh_token,
            nonce=code.nonce,
        )
