"""The authorization code grant at the token endpoint. Source: RFC 6749 s. 4.1.3, 4.1.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749.errors import InvalidGrantError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant

from identity.accounts.service import Accounts
from identity.provider import id_token, pkce, store, tokens
from identity.provider.model import PERSON_TOKEN_LIFETIME, Client, TokenAnswer
from policies.errors import NotFound
from privacy.ids import secret_digest

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
        self._hold_account(digest)
        claimed = store.claim_code(uow.session, digest, client.client_id, uow.now)
        if claimed is not None:
            return claimed
        used = store.used_code(uow.session, digest, client.client_id)
        if used is not None:
            raise CodeReplayed(used)
        raise InvalidGrantError("The code is not valid.")

    def _hold_account(self, digest: str) -> None:
        """Let nobody shut the account before the tokens are issued, so that shutting ends them."""
        session = self.server.uow.session
        subject_id = store.subject_of_code(session, digest)
        account = Accounts.of_subject(session, subject_id) if subject_id else None
        if account is None:
            return
        try:
            Accounts.lock(self.server.uow, account.account_id)
        except NotFound:
            raise InvalidGrantError("The person may not sign in at present.") from None

    def create_token_response(self) -> TokenAnswer:
        """Issue the tokens. Authlib's own writes the access token to its debug log.

        Raises:
            InvalidGrantError: the person was erased since the code was issued.
        """
        code: store.CodeRow = self.request.authorization_code
        try:
            sub = self.server.pseudonym(code.subject_id)
        except NotFound:
            raise InvalidGrantError("The person is no longer here.") from None
        access_token = tokens.issue(
            self.server.uow, self.request.client, code.scope, PERSON_TOKEN_LIFETIME, code
        )
        return TokenAnswer(
            access_token=access_token,
            lifetime=PERSON_TOKEN_LIFETIME,
            scope=code.scope,
            id_token=id_token.sign(
                self.server.signing_key(),
                issuer=self.server.issuer,
                sub=sub,
                code=code,
                access_token=access_token,
                now=self.server.uow.now,
            ),
        )
