"""The authorization endpoint: who may be sent where, with what, and when a person must sign in."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from werkzeug.test import TestResponse

from privacy.actor import SYSTEM
from tests.identity.provider.relying_party import (
    CALLBACK,
    CHALLENGE,
    RelyingParty,
    query_of,
    register,
    sign_in,
    sign_out,
)
from tests.support.sample import PAGES
from tests.support.world import World

pytestmark = PAGES


def error_of(response: TestResponse) -> str:
    """Return the error that was sent to the client, with all that must be beside it."""
    assert response.status_code == 303, response.text
    assert response.location.startswith(CALLBACK + "?")
    answer = query_of(response.location)
    assert answer["state"] == "xyz"
    assert answer["iss"] == "http://localhost:8000"
    assert "code" not in answer
    return answer["error"]


def codes(world: World) -> int:
    """Return how many codes were ever issued."""
    with world.placet.runtime.snapshot() as session:
        found = session.connection().exec_driver_sql("SELECT count(*) FROM oauth_code")
        return int(found.scalar_one())


NOWHERE: list[dict[str, str | None]] = [
    {"client_id": None},
    {"client_id": ""},
    {"client_id": "0" * 32},
    {"client_id": "not an id\0\"'"},
    {"redirect_uri": None},
    {"redirect_uri": ""},
    {"redirect_uri": CALLBACK + "/"},
    {"redirect_uri": CALLBACK + "?x=1"},
    {"redirect_uri": CALLBACK.upper()},
    {"redirect_uri": "https://shop.example/callback/../callback"},
    {"redirect_uri": "https://shop.example:443/callback"},
    {"redirect_uri": "https://shop.example.evil.example/callback"},
    {"redirect_uri": 'https://evil.example/"><script>é'},
    {"redirect_uri": "javascript:alert(1)"},
]


def test_a_wrong_client_or_address_shows_a_page_and_redirects_nowhere(
    world: World, shop: RelyingParty, ana: str
) -> None:
    for change in NOWHERE:
        response = shop.authorize(**change)
        assert response.status_code == 400, change
        assert "Location" not in response.headers, change
        assert "Refresh" not in response.headers, change
        assert "No le hemos dicho nada sobre ti." in response.text, change
        assert "evil.example" not in response.text, change
    assert codes(world) == 0


def test_a_repeated_client_or_address_shows_a_page(shop: RelyingParty, ana: str) -> None:
    for name in ("client_id", "redirect_uri"):
        request = shop.request()
        query = urlencode([*request.items(), (name, request[name])])
        assert shop.browser.get(f"/oauth/authorize?{query}").status_code == 400


def test_a_disabled_client_sends_nobody_anywhere(
    world: World, shop: RelyingParty, ana: str
) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.disable(uow, shop.client.client_id)
    assert shop.authorize().status_code == 400


FAULTS: list[tuple[dict[str, str | None], str]] = [
    ({"response_type": None}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": 'code "é'}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"scope": None}, "invalid_scope"),
    ({"scope": "decisions:evaluate"}, "invalid_scope"),
    ({"scope": "openid consents:write"}, "invalid_scope"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "dance"}, "invalid_request"),
    ({"prompt": "consent none"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "soon"}, "invalid_request"),
    ({"nonce": "n" * 513}, "invalid_request"),
    ({"nonce": "a\0b"}, "invalid_request"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"request_uri": "https://shop.example/r"}, "request_uri_not_supported"),
    ({"registration": "{}"}, "registration_not_supported"),
]


def test_every_other_fault_goes_back_to_the_client_with_state_and_issuer(
    world: World, shop: RelyingParty, ana: str
) -> None:
    for change, error in FAULTS:
        assert error_of(shop.authorize(**change)) == error, change
    assert codes(world) == 0


UNPROTECTED: list[dict[str, str | None]] = [
    {"code_challenge": None, "code_challenge_method": None},
    {"code_challenge": None},
    {"code_challenge_method": None},
    {"code_challenge_method": "plain"},
    {"code_challenge_method": "s256"},
    {"code_challenge": CHALLENGE + "\n"},
    {"code_challenge": CHALLENGE[:-1]},
    {"code_challenge": CHALLENGE + "A"},
    {"code_challenge": CHALLENGE[:-1] + "="},
]


def test_no_code_is_issued_without_a_challenge_by_s256(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """Authlib's `CodeChallenge(required=True)` issues a code for the first four."""
    for change in UNPROTECTED:
        assert error_of(shop.authorize(**change)) == "invalid_request", change
    sign_out(world)  # and nobody is made to sign in for such a request
    for change in UNPROTECTED:
        assert error_of(shop.authorize(**change)) == "invalid_request", change
    assert codes(world) == 0


def test_a_client_let_in_without_pkce_may_leave_it_out_but_not_weaken_it(
    world: World, ana: str
) -> None:
    old = register(world, require_pkce=False)
    without: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    answer = old.exchange(old.code(**without), code_verifier=None)
    assert answer.status_code == 200
    assert error_of(old.authorize(code_challenge_method="plain")) == "invalid_request"
    assert error_of(old.authorize(code_challenge_method=None)) == "invalid_request"
    assert error_of(old.authorize(code_challenge=None)) == "invalid_request"


def test_a_repeated_parameter_is_refused_and_an_ambiguous_state_is_not_sent(
    shop: RelyingParty, ana: str
) -> None:
    request = shop.request()
    twice = urlencode([*request.items(), ("scope", "openid")])
    assert error_of(shop.browser.get(f"/oauth/authorize?{twice}")) == "invalid_request"
    states = urlencode([*request.items(), ("state", "other")])
    answer = query_of(shop.browser.get(f"/oauth/authorize?{states}").location)
    assert answer["error"] == "invalid_request"
    assert "state" not in answer


def test_unknown_parameters_and_unknown_scopes_are_left_out(shop: RelyingParty, ana: str) -> None:
    answer = shop.tokens(scope="openid groups shoe_size", display="popup", x="1")
    assert answer["scope"] == "openid"


def test_an_allowed_scope_is_granted_beside_openid(world: World, ana: str) -> None:
    shop = register(world, scopes=("openid", "consents:write", "decisions:evaluate"))
    assert shop.tokens(scope="openid consents:write")["scope"] == "consents:write openid"


def test_what_an_application_does_in_its_own_name_no_person_grants(
    shop: RelyingParty, ana: str
) -> None:
    assert shop.tokens(scope="openid decisions:evaluate pseudonyms:write")["scope"] == "openid"


def test_a_state_comes_back_as_it_was_sent(shop: RelyingParty, ana: str) -> None:
    state = "a b&c=d%20é\r\nX-Evil: 1"
    response = shop.authorize(state=state)
    assert query_of(response.location)["state"] == state
    assert "X-Evil" not in response.headers


def next_of(response: TestResponse) -> tuple[str, dict[str, str]]:
    """Return where the person comes back to after signing in, and the other parameters."""
    assert response.status_code == 303
    parts = urlsplit(response.location)
    assert (parts.netloc, parts.path) == ("", "/login")
    query = query_of(response.location)
    address = query.pop("next")
    assert address.startswith("/oauth/authorize?")
    return address, query


def arrived(response: TestResponse) -> dict[str, str]:
    """Return what the page after our own sign-in form takes to the client."""
    assert response.status_code == 200, response.text
    prefix, _, address = response.headers["Refresh"].partition(";url=")
    assert prefix == "0"
    assert address.startswith(CALLBACK + "?")
    assert address.replace("&", "&amp;") in response.text
    return query_of(address)


def test_who_is_not_signed_in_signs_in_first_and_comes_back_to_the_same_request(
    world: World, shop: RelyingParty, ana: str
) -> None:
    sign_out(world)
    address, others = next_of(shop.authorize())
    assert others == {}
    world.clock.advance(minutes=2)
    sign_in(world, ana)
    answer = arrived(shop.browser.get(address))
    assert (answer["state"], answer["iss"]) == ("xyz", "http://localhost:8000")
    assert shop.exchange(answer["code"]).status_code == 200


def test_an_error_after_our_own_sign_in_form_also_leaves_its_navigation(
    world: World, shop: RelyingParty, ana: str
) -> None:
    sign_out(world)
    address, _ = next_of(shop.authorize())
    sign_in(world, None)  # an account that stands for no person
    assert arrived(shop.browser.get(address))["error"] == "access_denied"


def test_prompt_none_shows_no_page(world: World, shop: RelyingParty, ana: str) -> None:
    assert "code" in query_of(shop.authorize(prompt="none").location)
    world.clock.advance(seconds=61)
    assert error_of(shop.authorize(prompt="none", max_age="60")) == "login_required"
    sign_out(world)
    assert error_of(shop.authorize(prompt="none")) == "login_required"


def test_prompt_login_asks_even_who_is_signed_in_and_only_once(
    world: World, shop: RelyingParty, ana: str
) -> None:
    world.clock.advance(seconds=5)
    address, others = next_of(shop.authorize(prompt="login"))
    assert others == {"reauth": "1"}
    # Coming back without having proved anything changes nothing.
    world.clock.advance(seconds=5)
    assert next_of(shop.browser.get(address))[1] == {"reauth": "1"}
    sign_in(world, ana)
    code = arrived(shop.browser.get(address))["code"]
    claims = shop.read_id_token(shop.exchange(code).get_json()["id_token"]).claims
    assert claims["auth_time"] == int(world.clock.now.timestamp())
    # The next request asks anew, and so does this one, later.
    world.clock.advance(seconds=5)
    next_of(shop.authorize(prompt="login"))
    world.clock.advance(minutes=10)
    next_of(shop.browser.get(address))


def test_a_proof_for_one_request_does_not_count_for_another(
    world: World, shop: RelyingParty, ana: str
) -> None:
    world.clock.advance(seconds=5)
    address, _ = next_of(shop.authorize(prompt="login"))
    world.clock.advance(seconds=5)
    sign_in(world, ana)
    query = parse_qs(urlsplit(address).query)
    other = {**query, "nonce": ["n-2"]}
    forged = {**query, "placet_done": [query["placet_done"][0][:-2] + "AA"]}
    for tampered in (other, forged):
        next_of(shop.browser.get("/oauth/authorize?" + urlencode(tampered, doseq=True)))
    arrived(shop.browser.get(address))


def test_max_age_asks_whose_sign_in_is_older(world: World, shop: RelyingParty, ana: str) -> None:
    world.clock.advance(seconds=60)
    assert "code" in query_of(shop.authorize(max_age="60").location)
    assert "code" in query_of(shop.authorize(max_age="10000").location)
    world.clock.advance(milliseconds=1)
    next_of(shop.authorize(max_age="60"))


def test_max_age_of_nought_can_be_met(world: World, shop: RelyingParty, ana: str) -> None:
    world.clock.advance(seconds=1)
    address, _ = next_of(shop.authorize(max_age="0"))
    sign_in(world, ana, authenticated_at=world.clock.now + timedelta(seconds=2))
    world.clock.advance(seconds=3)
    assert "code" in arrived(shop.browser.get(address))


def test_a_form_from_another_site_becomes_the_same_request_by_get(
    world: World, shop: RelyingParty, ana: str
) -> None:
    shop.meet(ana)
    response = shop.browser.post("/oauth/authorize", data=shop.request())
    assert response.status_code == 303
    assert codes(world) == 0
    assert response.location.startswith("/oauth/authorize?")
    assert query_of(response.location) == shop.request()
    assert "code" in query_of(shop.browser.get(response.location).location)


def test_a_form_that_is_too_long_shows_a_page(shop: RelyingParty, ana: str) -> None:
    response = shop.browser.post("/oauth/authorize", data=shop.request(state="s" * 8000))
    assert response.status_code == 400


def test_other_forms_still_need_their_token(world: World, shop: RelyingParty) -> None:
    """The exception for other sites' forms is for the authorization endpoint alone."""
    endings: Any = ("/", "/x", "x")
    for ending in endings:
        response = world.client.post("/oauth/authorize" + ending, data=shop.request())
        assert response.status_code in {400, 404}
