"""All that an application needs to know of Placet: who signs in, and whether a purpose is allowed.

Sign-in is OpenID Connect (authorization code with PKCE); the question is AuthZEN 1.0.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.flask_client.apps import FlaskOAuth2App
from flask import Flask, request
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

#: The person waits for the page: better a neutral one now than a personal one late.
TIMEOUT_SECONDS = 3
#: A token this close to its end is not used any more.
TOKEN_MARGIN_SECONDS = 30
ID_TOKEN_ALGORITHMS = ["RS256"]


class SignInFailed(Exception):
    """Nobody was signed in; the message is for the shop's log, never for the page."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What Placet answered to "may I use this person's data for this purpose, now?".

    Attributes:
        purpose: what was asked about.
        permit: whether to go ahead; without an answer it is False.
        reasons: Placet's reason codes, or one of our own where there was no answer.
        valid_until: when the permit would end by the clock (RFC 3339); no licence to keep it.
        evidence_id: names the facts behind the answer.
    """

    purpose: str
    permit: bool
    reasons: tuple[str, ...]
    valid_until: str | None = None
    evidence_id: str | None = None


class _OpenIdApp(FlaskOAuth2App):  # type: ignore[misc]  # authlib has no types
    """Authlib's client, without its trust in what the discovery document says of itself."""

    def load_server_metadata(self) -> dict[str, Any]:
        """Return the discovery document; refuse another issuer's, and allow one algorithm only.

        Authlib would take the allowed algorithms, `none` among them, from the document.
        Source: OpenID Connect Discovery 1.0 s. 4.3; RFC 8725 s. 3.1.
        """
        metadata: dict[str, Any] = super().load_server_metadata()
        issuer = self._server_metadata_url.removesuffix("/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            self.server_metadata.pop("_loaded_at", None)
            raise OAuthError("invalid_issuer", "the discovery document is another issuer's")
        metadata["id_token_signing_alg_values_supported"] = ID_TOKEN_ALGORITHMS
        return metadata


class SignIn:
    """Signs people in through Placet; all the shop learns is a pseudonym made for it alone."""

    def __init__(self, app: Flask, issuer: str, client_id: str, client_secret: str) -> None:
        self._issuer = issuer
        self._app = OAuth(app).register(
            "placet",
            client_cls=_OpenIdApp,
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid",
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT_SECONDS,
            },
        )

    def begin(self, redirect_uri: str) -> Response:
        """Send the browser to Placet; state, nonce and verifier stay in the signed cookie.

        Raises:
            SignInFailed: Placet does not answer.
        """
        try:
            response: Response = self._app.authorize_redirect(redirect_uri)
        except (OAuthError, requests.RequestException) as error:
            raise SignInFailed(str(error)) from error
        return response

    def finish(self) -> str:
        """Return the `sub` of whoever comes back from Placet with this request.

        Raises:
            SignInFailed: the answer is not for this browser, not from our issuer, or not true.
        """
        # Which issuer answered: RFC 9207. Authlib does not look.
        if request.args.get("iss") != self._issuer:
            raise SignInFailed("the answer names another issuer, or none")
        try:
            token: dict[str, Any] = self._app.authorize_access_token()
        except (OAuthError, JoseError, requests.RequestException, ValueError) as error:
            raise SignInFailed(f"{type(error).__name__}: {error}") from error
        claims = token.get("userinfo")  # the ID token's claims, checked
        if not claims or not claims.get("sub"):
            raise SignInFailed("there was no ID token")
        return str(claims["sub"])


class Decisions:
    """Asks Placet, each time anew: a permit is never kept, since it can end at any moment."""

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._lock = threading.Lock()
        self._token = ""
        self._token_ends = 0.0

    def ask(self, person: str, purpose: str) -> Decision:
        """Return whether this person's data may be used for `purpose` now.

        Whatever goes wrong is a denial: no answer is no permission.

        Args:
            person: the person's `sub`, the shop's own pseudonym for them.
            purpose: a purpose of the company's register.
        """
        try:
            answer = self._evaluate(person, purpose)
            if answer.status_code == requests.codes.unauthorized:  # the token was revoked
                self._forget_token()
                answer = self._evaluate(person, purpose)
            answer.raise_for_status()
            body = answer.json()
            context = body.get("context") or {}
            return Decision(
                purpose=purpose,
                permit=body["decision"] is True,
                reasons=tuple(str(reason) for reason in context.get("reasons") or ()),
                valid_until=context.get("valid_until"),
                evidence_id=context.get("evidence_id"),
            )
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError):
            return Decision(purpose, permit=False, reasons=("no-answer",))

    def _evaluate(self, person: str, purpose: str) -> requests.Response:
        return requests.post(
            f"{self._issuer}/access/v1/evaluation",
            json={
                "subject": {"type": "application", "id": self._client_id},
                "action": {"name": purpose},
                "resource": {"type": "person", "id": person},
            },
            headers={"Authorization": f"Bearer {self._access_token()}"},
            timeout=TIMEOUT_SECONDS,
        )

    def _access_token(self) -> str:
        """Return an access token of the shop's own. Source: RFC 6749 s. 4.4."""
        with self._lock:
            if time.monotonic() >= self._token_ends:
                answer = requests.post(
                    f"{self._issuer}/oauth/token",
                    data={"grant_type": "client_credentials", "scope": "decisions:evaluate"},
                    auth=(self._client_id, self._client_secret),
                    timeout=TIMEOUT_SECONDS,
                )
                answer.raise_for_status()
                body = answer.json()
                self._token = str(body["access_token"])
                lifetime = float(body.get("expires_in", 0))
                self._token_ends = time.monotonic() + lifetime - TOKEN_MARGIN_SECONDS
            return self._token

    def _forget_token(self) -> None:
        with self._lock:
            self._token_ends = 0.0
