"""The traps of Authlib's client, each beside ours: its documented wiring against the same provider.

Traps 1 and 2 are about being a provider. Authlib reads the real clock, so the provider does for it.
"""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from authlib.integrations.base_client.errors import MismatchingStateError, OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from joserfc.errors import InvalidKeyIdError
from werkzeug.test import TestResponse

from identity.sso.model import HANDLE, Refusal, UpstreamRefused
from privacy.actor import ANONYMOUS
from tests.identity.sso.upstreams import PROVIDER, Kernel, bench
from tests.support.hostile_provider import OTHER, Fault, HostileProvider, ec_key, rsa_key

CALLBACK = "/callback"


class Cache(dict[str, str]):
    """As small as Authlib lets a cache be."""

    def set(self, key: str, value: str, _seconds: int) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Documented:
    """An application wired as Authlib's documentation says."""

    def __init__(self, provider: HostileProvider, cache: Cache | None = None) -> None:
        self.provider = provider
        provider.clock = lambda: datetime.now(UTC)
        provider.client_secret = "s3cret"  # Authlib does not encode it as RFC 6749 s. 2.3.1 wants
        self.app = Flask(__name__)
        self.app.config.update(SECRET_KEY="for this test alone", TESTING=True)
        oauth = OAuth(self.app, cache=cache)
        oauth.register(
            "other",
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            server_metadata_url=f"{provider.origin}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
        )

        @self.app.get("/login")
        def login() -> ResponseReturnValue:
            sent: Response = oauth.other.authorize_redirect(f"http://localhost{CALLBACK}")
            return sent

        @self.app.route(CALLBACK, methods=["GET", "POST"])
        def callback() -> ResponseReturnValue:
            token = oauth.other.authorize_access_token()
            return jsonify(token["userinfo"] | dict(oauth.other.userinfo()))

    def away(self, browser: FlaskClient) -> str:
        """Send a browser away and return the callback's query that it comes back with."""
        url = browser.get("/login").location
        return urlencode(self.provider.authorize(url), doseq=True)

    def sign_in(self) -> TestResponse:
        """Go to the provider and come back."""
        browser = self.app.test_client()
        return browser.get(f"{CALLBACK}?{self.away(browser)}")


@pytest.fixture
def documented(provider: HostileProvider, monkeypatch: pytest.MonkeyPatch) -> Documented:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    return Documented(provider)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_trap_3_the_provider_chooses_the_algorithm_and_may_choose_none(
    documented: Documented, kernel: Kernel, provider: HostileProvider
) -> None:
    provider.faults = {Fault.ALG_NONE}
    assert documented.sign_in().get_json()["sub"] == provider.sub
    ours = bench(kernel, provider)
    assert ours.refused(provider.authorize(ours.begin())) is Refusal.ALGORITHM


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.WRONG_USERINFO_SUB, Refusal.USERINFO_SUBJECT),
        (Fault.OTHER_ISS_PARAMETER, Refusal.MIXED_UP),
    ],
)
def test_trap_4_userinfo_s_subject_and_the_answer_s_issuer_are_not_compared(
    documented: Documented,
    kernel: Kernel,
    provider: HostileProvider,
    fault: Fault,
    reason: Refusal,
) -> None:
    provider.faults = {fault}
    assert documented.sign_in().status_code == 200
    ours = bench(kernel, provider)
    assert ours.refused(provider.authorize(ours.begin())) is reason


def test_trap_4_the_discovery_document_s_issuer_is_not_compared(
    documented: Documented, kernel: Kernel, provider: HostileProvider
) -> None:
    """Authlib has no configured issuer: the document's own word is all that tokens are held to."""
    configured, provider.issuer = provider.issuer, OTHER
    assert documented.sign_in().get_json()["iss"] == OTHER
    ours = bench(kernel, provider, other={"issuer": configured})
    with pytest.raises(UpstreamRefused) as refused:
        ours.begin()
    assert refused.value.reason is Refusal.DISCOVERY_WRONG


def test_trap_5_a_token_without_a_kid_is_refused_though_one_key_alone_fits(
    documented: Documented, kernel: Kernel, provider: HostileProvider
) -> None:
    """The installed joserfc takes the only key of a set; a key of another kind beside it is enough."""
    provider.header = {"kid": None}
    provider.published.append(ec_key("ec"))
    with pytest.raises(InvalidKeyIdError):
        documented.sign_in()
    assert bench(kernel, provider).sign_in().sub == provider.sub


def test_trap_6_a_withdrawn_key_goes_on_signing_for_the_life_of_the_process(
    documented: Documented, kernel: Kernel, provider: HostileProvider
) -> None:
    assert documented.sign_in().status_code == 200
    provider.published = [rsa_key("k2")]  # k1 is stolen
    assert documented.sign_in().status_code == 200  # and nothing would ever make it ask again
    assert provider.count("/jwks") == 1
    provider.published = [rsa_key("k1")]
    ours = bench(kernel, provider)
    ours.sign_in()
    provider.published = [rsa_key("k2")]
    kernel.clock.advance(minutes=5)
    assert ours.refused(provider.authorize(ours.begin())) is Refusal.KEY_UNKNOWN


def test_trap_7_an_answer_by_form_comes_without_the_cookie_that_keeps_the_state(
    documented: Documented, kernel: Kernel, provider: HostileProvider
) -> None:
    """A browser sends no SameSite=Lax cookie with another site's form; neither do we here."""
    browser, posting = documented.app.test_client(), documented.app.test_client()
    form = documented.away(browser)
    with pytest.raises(MismatchingStateError):
        posting.post(CALLBACK, data=form, content_type="application/x-www-form-urlencoded")
    ours = bench(kernel, provider, other={"response_mode": "form_post"})
    handle = ours.upstreams.park(PROVIDER, provider.authorize(ours.begin()), actor=ANONYMOUS)
    assert ours.finish({HANDLE: [handle]}).sub == provider.sub


@pytest.mark.parametrize("cache", [None, Cache()], ids=["session", "cache"])
def test_trap_8_another_browser_s_state(
    kernel: Kernel,
    provider: HostileProvider,
    monkeypatch: pytest.MonkeyPatch,
    cache: Cache | None,
) -> None:
    """GHSA-fg6f-75jq-6523 is mended in the pinned version; what is left is that a kept cookie counts
    again: the same answer sends the code a second time."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    documented = Documented(provider, cache)
    browser, stranger = documented.app.test_client(), documented.app.test_client()
    answer = documented.away(browser)
    with pytest.raises(MismatchingStateError):
        stranger.get(f"{CALLBACK}?{answer}")
    kept = browser.get_cookie("session")
    assert kept is not None
    sent = 0
    if cache is None:
        assert browser.get(f"{CALLBACK}?{answer}").status_code == 200
        browser.set_cookie("session", kept.value)
        with pytest.raises(OAuthError, match="invalid_grant"):
            browser.get(f"{CALLBACK}?{answer}")
        sent = 2
    assert provider.count("/token") == sent
    ours = bench(kernel, provider)
    back = provider.authorize(ours.begin())
    owner, ours.browser = ours.browser, "B" * 43
    assert ours.refused(back) is Refusal.OTHER_BROWSER
    ours.browser = owner
    ours.finish(back)
    assert ours.refused(back) is Refusal.STATE_USED
    assert provider.count("/token") == sent + 1
