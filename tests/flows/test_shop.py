"""The example shop trusts nobody: not what a provider says of itself, not a missing answer."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.flows.shop import shop, shop_address

CLIENT = {"client_id": "5" * 32, "client_secret": "the shop's secret at this provider"}
PERSON = "a-pseudonym"
PRODUCT = "/productos/picual"
SENT = "an ID token was sent"

Claims = dict[str, Any]
Signer = Callable[[Claims], str]


@dataclass
class Provider:
    """A provider that says whatever a test wants; the shop cannot tell it from Placet.

    Attributes:
        issuer: its address.
        called: its own name in the discovery document.
        answers_as: the `iss` it puts into its answers.
        claims: what its ID tokens say beside or instead of the truth; None takes a claim away.
        sign: how it signs them; None sends no ID token.
        evaluation: status and body of the answer to a check.
        refuse_tokens: how many access tokens are refused before one is taken.
        requests: the paths it was asked for.
    """

    issuer: str = ""
    called: str = ""
    answers_as: str | None = ""
    claims: Claims = field(default_factory=dict)
    sign: Signer | None = None
    evaluation: tuple[int, bytes] = (200, b'{"decision": false}')
    refuse_tokens: int = 0
    requests: list[str] = field(default_factory=list)
    nonce: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))

    def honest(self) -> None:
        """Tell the truth from now on."""
        self.answers_as, self.claims, self.sign = self.called, {}, self.rs256
        self.evaluation, self.refuse_tokens = (200, b'{"decision": false}'), 0

    def rs256(self, claims: Claims) -> str:
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.called,
            "authorization_endpoint": f"{self.issuer}/oauth/authorize",
            "token_endpoint": f"{self.issuer}/oauth/token",
            "jwks_uri": f"{self.issuer}/oauth/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    def token(self, form: dict[str, list[str]]) -> dict[str, Any]:
        body: dict[str, Any] = {"access_token": "t", "token_type": "Bearer", "expires_in": 3600}
        if form["grant_type"] == ["authorization_code"] and self.sign:
            now = int(time.time())
            claims = {
                "iss": self.called,
                "sub": PERSON,
                "aud": CLIENT["client_id"],
                "iat": now,
                "exp": now + 300,
                "nonce": self.nonce,
            } | self.claims
            kept = {name: value for name, value in claims.items() if value is not None}
            body["id_token"] = self.sign(kept)
            self.requests.append(SENT)
        return body

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.requests.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(self.discovery()).encode()
        if path == "/oauth/jwks":
            return 200, json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()
        if path == "/oauth/token":
            return 200, json.dumps(self.token(parse_qs(body.decode()))).encode()
        if path == "/access/v1/evaluation":
            if self.refuse_tokens:
                self.refuse_tokens -= 1
                return 401, b"{}"
            return self.evaluation
        return 404, b"{}"


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = provider.answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _reply  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            """Say nothing."""

    return Handler


@pytest.fixture(scope="module")
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        provider.issuer = provider.called = f"http://localhost:{server.server_port}"
        yield provider
        server.shutdown()


@pytest.fixture(scope="module")
def shop_url(running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = shop_address()
    with shop(url, running_provider.issuer, CLIENT, tmp_path_factory.mktemp("shop")):
        yield url


@pytest.fixture
def provider(running_provider: Provider) -> Provider:
    running_provider.honest()
    running_provider.requests.clear()
    return running_provider


@dataclass
class Browser:
    """A browser without a screen."""

    shop: str
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **query: str) -> requests.Response:
        address = f"{self.shop}{path}" + (f"?{urlencode(query)}" if query else "")
        return self.session.get(address, allow_redirects=False, timeout=20)

    def begin(self, provider: Provider) -> str:
        """Go to the provider; return the state to come back with."""
        sent = parse_qs(urlsplit(self.get("/entrar", next=PRODUCT).headers["Location"]).query)
        assert sent["code_challenge_method"] == ["S256"]
        assert sent["redirect_uri"] == [f"{self.shop}/callback"]
        provider.nonce = sent["nonce"][0]
        return sent["state"][0]

    def come_back(self, provider: Provider, state: str) -> requests.Response:
        iss = {} if provider.answers_as is None else {"iss": provider.answers_as}
        return self.get("/callback", code="c", state=state, **iss)

    def sign_in(self, provider: Provider) -> requests.Response:
        return self.come_back(provider, self.begin(provider))

    def is_signed_in(self) -> bool:
        return "Salir" in self.get("/").text


@pytest.fixture
def browser_at(shop_url: str) -> Browser:
    return Browser(shop_url)


def test_who_comes_back_from_an_honest_provider_is_signed_in_where_they_were(
    provider: Provider, browser_at: Browser
) -> None:
    arrived = browser_at.sign_in(provider)
    assert (arrived.status_code, arrived.headers["Location"]) == (303, PRODUCT)
    assert browser_at.is_signed_in()
    cookie = arrived.headers["Set-Cookie"]
    assert cookie.startswith("olivar=")  # Placet's is another one, on the same host
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def _unsigned(claims: Claims) -> str:
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b""]).decode()


def _by_the_secret(claims: Claims) -> str:
    return jwt.encode(
        {"alg": "HS256", "kid": "one"}, claims, OctKey.import_key(CLIENT["client_secret"].ljust(32))
    )


def _by_another_key(claims: Claims) -> str:
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, stranger)


@pytest.mark.parametrize(
    "sign",
    [_unsigned, _by_the_secret, _by_another_key, None],
    ids=["by nobody", "by the secret", "by another key", "no token"],
)
def test_an_id_token_that_is_not_signed_as_agreed_signs_nobody_in(
    provider: Provider, browser_at: Browser, sign: Signer | None
) -> None:
    provider.sign = sign
    assert browser_at.sign_in(provider).status_code == 502
    assert (SENT in provider.requests) == (sign is not None)
    assert not browser_at.is_signed_in()


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another client"},
        {"iss": "https://evil.example"},
        {"exp": 1_700_000_000},
        {"sub": None},
        {"sub": ""},
    ],
    ids=str,
)
def test_an_id_token_that_says_something_untrue_signs_nobody_in(
    provider: Provider, browser_at: Browser, claims: Claims
) -> None:
    provider.claims = claims
    assert browser_at.sign_in(provider).status_code == 502
    assert SENT in provider.requests
    assert not browser_at.is_signed_in()


@pytest.mark.parametrize("iss", [None, "https://evil.example"])
def test_an_answer_of_another_issuer_is_refused_before_its_code_is_used(
    provider: Provider, browser_at: Browser, iss: str | None
) -> None:
    provider.answers_as = iss
    assert browser_at.sign_in(provider).status_code == 502
    assert "/oauth/token" not in provider.requests
    assert not browser_at.is_signed_in()


def test_an_answer_that_belongs_to_another_browser_is_refused(
    provider: Provider, browser_at: Browser, shop_url: str
) -> None:
    state = Browser(shop_url).begin(provider)
    assert browser_at.come_back(provider, state).status_code == 502
    assert not browser_at.is_signed_in()


def test_an_answer_works_once(provider: Provider, browser_at: Browser) -> None:
    state = browser_at.begin(provider)
    assert browser_at.come_back(provider, state).status_code == 303
    assert browser_at.come_back(provider, state).status_code == 502


def test_a_discovery_document_of_another_issuer_is_refused(
    provider: Provider, tmp_path: Path
) -> None:
    url = shop_address()
    provider.called = "https://evil.example"
    try:
        with shop(url, provider.issuer, CLIENT, tmp_path):
            assert Browser(url).get("/entrar").status_code == 502
    finally:
        provider.called = provider.issuer


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil", "/x"])
def test_after_sign_in_nobody_is_sent_out_of_the_shop(
    provider: Provider, browser_at: Browser, elsewhere: str
) -> None:
    sent = parse_qs(urlsplit(browser_at.get("/entrar", next=elsewhere).headers["Location"]).query)
    provider.nonce = sent["nonce"][0]
    assert browser_at.come_back(provider, sent["state"][0]).headers["Location"] == "/"


PERMIT = b'{"decision": true, "context": {"reasons": ["consent-given"]}}'


@pytest.fixture
def customer(provider: Provider, browser_at: Browser) -> Browser:
    """A browser that is signed in at the shop."""
    assert browser_at.sign_in(provider).status_code == 303
    provider.requests.clear()
    return browser_at


def _is_personalised(customer: Browser) -> bool:
    page = customer.get(PRODUCT)
    assert page.status_code == 200
    assert "Aceite picual" in page.text
    assert ('data-personalised="yes"' in page.text) != ('data-personalised="no"' in page.text)
    return "Elegido para ti" in page.text


def test_a_permit_is_asked_for_each_time_and_never_kept(
    provider: Provider, customer: Browser
) -> None:
    provider.evaluation = (200, PERMIT)
    assert _is_personalised(customer)
    assert _is_personalised(customer)
    provider.evaluation = (200, b'{"decision": false, "context": {"reasons": ["objected"]}}')
    assert not _is_personalised(customer)
    assert "objected" in customer.get(PRODUCT).text
    assert provider.requests.count("/access/v1/evaluation") == 4 * 2  # two purposes a page
    assert provider.requests.count("/oauth/token") <= 1  # an access token, though, is kept


def test_a_revoked_access_token_is_replaced_once(provider: Provider, customer: Browser) -> None:
    provider.evaluation, provider.refuse_tokens = (200, PERMIT), 1
    assert _is_personalised(customer)
    assert provider.requests.count("/oauth/token") >= 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, PERMIT),
        (403, PERMIT),
        (200, b"not json"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"decision": "true"}'),
        (200, b'{"decision": 1}'),
        (200, b'{"decision": true, "context": []}'[:20]),
        (200, b'{"decision": true, "context": {"reasons": 5}}'),
    ],
)
def test_whatever_is_not_a_clear_permit_is_a_denial_and_the_page_works(
    provider: Provider, customer: Browser, status: int, body: bytes
) -> None:
    provider.evaluation = (status, body)
    assert not _is_personalised(customer)


def test_a_provider_that_refuses_every_token_gets_two_tries_and_no_more(
    provider: Provider, customer: Browser
) -> None:
    provider.refuse_tokens = 1000
    assert not _is_personalised(customer)
    assert provider.requests.count("/access/v1/evaluation") == 2 * 2


def test_without_placet_the_shop_still_sells_to_everybody_alike(tmp_path: Path) -> None:
    url = shop_address()
    with shop(url, shop_address(), CLIENT, tmp_path):
        stranger = Browser(url)
        assert stranger.get("/").status_code == 200
        assert stranger.get(PRODUCT).status_code == 200
        assert stranger.get("/entrar").status_code == 502


def test_a_forged_purchase_or_sign_out_changes_nothing(
    provider: Provider, customer: Browser
) -> None:
    for path in (f"{PRODUCT}/comprar", "/salir"):
        forged = customer.session.post(f"{customer.shop}{path}", allow_redirects=False, timeout=20)
        assert forged.status_code == 400
    assert customer.is_signed_in()
