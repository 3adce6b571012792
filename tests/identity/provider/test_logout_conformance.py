"""Each case of OpenID's RP-initiated and back-channel logout plans, under its name; and more."""

from pathlib import Path
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from werkzeug.test import TestResponse

from identity.provider.logout_pages import CONFIRM
from identity.provider.logout_token import TYPE
from privacy.actor import SYSTEM
from privacy.keys.signing import KeyUse
from tests.identity.administration.office import BRUNO, open_account
from tests.identity.people import ANA, is_signed_in
from tests.identity.provider.listener import (
    ALLOWED,
    Entered,
    Listener,
    Signed,
    begin,
    enter,
)
from tests.identity.provider.relying_party import (
    CALLBACK,
    RelyingParty,
    query_of,
    register,
)
from tests.support.forms import csrf_token, forms, hidden_fields
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
BACK, BACK_WITH_QUERY = "https://shop.example/out", "https://shop.example/out?from=placet"
LOGOUT = "/oauth/logout"


@pytest.fixture
def world(database_url: str, instance: Path, mail_server: MailServer) -> World:
    return make_world(database_url, instance, PLACET_MAIL_PORT=str(mail_server.port), **ALLOWED)


@pytest.fixture
def party(world: World, listener: Listener) -> RelyingParty:
    return register(
        world,
        post_logout_redirect_uris=(BACK, BACK_WITH_QUERY),
        backchannel_logout_uri=listener.uri,
    )


@pytest.fixture
def ana(world: World) -> Signed:
    return begin(world, open_account(world, ANA, password=None))


@pytest.fixture
def entered(world: World, party: RelyingParty, ana: Signed) -> Entered:
    return enter(world, party, ana)


def _ask(who: Signed, **parameters: str) -> TestResponse:
    return who.browser.get(f"{LOGOUT}?{urlencode(parameters)}")


def _confirm(who: Signed, page: TestResponse) -> TestResponse:
    """Press the button of the page that asks."""
    [form] = [form for form in forms(page.text) if f'action="{CONFIRM}"' in form]
    hidden = hidden_fields(form) | {"csrf_token": csrf_token(page.text)}
    return who.browser.post(CONFIRM, data=hidden)


def _asks(page: TestResponse) -> bool:
    return page.status_code == 200 and f'action="{CONFIRM}"' in page.text


def _refuses(page: TestResponse) -> bool:
    """Tell whether the page says that nobody is sent on, and leads nowhere."""
    return (
        page.status_code == 400
        and "Location" not in page.headers
        and "Refresh" not in page.headers
        and "no te devolveremos" in page.text
        and "shop.example" not in page.text.partition("<main")[2].partition("</main>")[0]
    )


# ---- RP-initiated logout OP ----


def test_discovery_end_session_endpoint(world: World) -> None:
    document = world.client.get("/.well-known/openid-configuration").get_json()
    assert document["end_session_endpoint"] == "http://localhost:8000/oauth/logout"


def test_rp_initiated_logout(
    world: World, ana: Signed, entered: Entered, listener: Listener, party: RelyingParty
) -> None:
    """A hint that means this session is worth a question: out at once, and back with state."""
    world.clock.advance(minutes=30)  # the ID token has expired, and still says who is meant
    assert is_signed_in(ana.browser)
    answer = _ask(
        ana, id_token_hint=entered.id_token, post_logout_redirect_uri=BACK, state="a b&c=ñ"
    )
    assert answer.status_code == 303
    assert answer.location.startswith(f"{BACK}?")
    assert query_of(answer.location) == {"state": "a b&c=ñ"}
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert not is_signed_in(ana.browser)
    world.settle()
    assert [claims["sid"] for claims in listener.claims(party)] == [entered.sid]


def test_rp_initiated_logout_by_post(ana: Signed, entered: Entered) -> None:
    """Another site's form comes without our cookie; as a GET it comes with it."""
    form = {"id_token_hint": entered.id_token, "post_logout_redirect_uri": BACK, "state": "s"}
    moved = ana.browser.post(LOGOUT, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert moved.status_code == 303
    assert moved.location.startswith(f"{LOGOUT}?")
    assert is_signed_in(ana.browser)
    assert ana.browser.get(moved.location).location == f"{BACK}?state=s"
    assert not is_signed_in(ana.browser)


#: None of these is registered, however near it comes.
BAD_URIS = (
    *("https://evil.example/", f"{BACK}/", f"{BACK}#x", f"{BACK}@evil.example", f" {BACK}"),
    *(BACK.upper(), BACK.replace("https", "http"), f"{BACK}%2f", "//evil.example", CALLBACK),
    *("javascript:alert(1)", "https://shop.example.evil.example/out", f"{BACK}\r\nX: y"),
    *(f"{BACK}\0", "https://shop.example\\@evil.example/out", f"{BACK} {BACK_WITH_QUERY}"),
)


def test_bad_logout_redirect_uri(ana: Signed, entered: Entered, party: RelyingParty) -> None:
    for uri in BAD_URIS:
        for by in ({"id_token_hint": entered.id_token}, {"client_id": party.client.client_id}, {}):
            page = _ask(ana, post_logout_redirect_uri=uri, state="s", **by)
            assert _refuses(page), (uri, page.text)
    assert _refuses(_ask(ana, post_logout_redirect_uri=BACK))  # registered, and nobody says by whom
    assert is_signed_in(ana.browser)
    done = _confirm(ana, page)
    assert (done.status_code, "Refresh" in done.headers) == (200, False)
    assert not is_signed_in(ana.browser)


def test_modified_id_token_hint(ana: Signed, entered: Entered) -> None:
    head, payload, signature = entered.id_token.split(".")
    changed = payload[:-4] + ("AAAA" if payload[-4:] != "AAAA" else "BBBB")
    hints = (
        f"{head}.{changed}.{signature}",
        f"{head}.{payload}.{signature[:-6]}AAAAAA",
        f"{head}.{payload}.",
    )
    for hint in hints:
        assert _refuses(_ask(ana, id_token_hint=hint, post_logout_redirect_uri=BACK))
    assert is_signed_in(ana.browser)


def test_bad_id_token_hint(ana: Signed, party: RelyingParty) -> None:
    to = {"client_id": party.client.client_id, "post_logout_redirect_uri": BACK}
    for hint in ("x", "a.b.c", "é", ".", "..", "a" * 7000, "eyJhbGciOiJub25lIn0.e30."):
        assert _refuses(_ask(ana, id_token_hint=hint, **to)), hint
    assert is_signed_in(ana.browser)


def test_no_id_token_hint(ana: Signed, entered: Entered, party: RelyingParty) -> None:
    page = _ask(ana, client_id=party.client.client_id, post_logout_redirect_uri=BACK, state="s")
    assert _asks(page)
    assert party.client.name in page.text
    assert is_signed_in(ana.browser)
    done = _confirm(ana, page)
    # A page that goes on by itself: a redirect after our form would be stopped by its policy.
    assert (done.status_code, done.headers["Refresh"]) == (200, f"0;url={BACK}?state=s")
    assert done.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert not is_signed_in(ana.browser)


def test_no_params(ana: Signed, entered: Entered) -> None:
    page = _ask(ana)
    assert _asks(page)
    assert is_signed_in(ana.browser)
    done = _confirm(ana, page)
    assert "Has salido" in done.text
    assert "Refresh" not in done.headers
    assert not is_signed_in(ana.browser)


def test_no_post_logout_redirect_uri(ana: Signed, entered: Entered, party: RelyingParty) -> None:
    done = _ask(ana, id_token_hint=entered.id_token, state="s")
    assert done.status_code == 200
    assert "Has salido" in done.text
    assert party.client.name in done.text
    assert not is_signed_in(ana.browser)


def test_no_state(ana: Signed, entered: Entered) -> None:
    answer = _ask(ana, id_token_hint=entered.id_token, post_logout_redirect_uri=BACK)
    assert answer.location == BACK


def test_only_state(ana: Signed, entered: Entered) -> None:
    page = _ask(ana, state="only-state")
    assert _asks(page)
    assert "Refresh" not in _confirm(ana, page).headers
    assert not is_signed_in(ana.browser)


def test_query_added_to_logout_redirect_uri(ana: Signed, entered: Entered) -> None:
    """An address with a query is another address; one that was registered with it keeps it."""
    hint = entered.id_token
    assert _refuses(_ask(ana, id_token_hint=hint, post_logout_redirect_uri=f"{BACK}?foo=bar"))
    answer = _ask(ana, id_token_hint=hint, post_logout_redirect_uri=BACK_WITH_QUERY, state="s")
    assert answer.location == f"{BACK_WITH_QUERY}&state=s"


# ---- back-channel OP ----


def test_discovery_back_channel(world: World) -> None:
    document = world.client.get("/.well-known/openid-configuration").get_json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


def test_back_channel_rp_initiated_logout(
    world: World, ana: Signed, party: RelyingParty, listener: Listener
) -> None:
    """The whole way: in by the code flow, out by the hint, told with the `sid` of the ID token."""
    party.meet(ana.account.subject_id)
    answer = ana.browser.get("/oauth/authorize?" + urlencode(party.request()))
    tokens = party.exchange(query_of(answer.location)["code"]).get_json()
    told = party.read_id_token(tokens["id_token"]).claims
    assert party.userinfo(tokens["access_token"]).status_code == 200
    out = _ask(ana, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BACK)
    assert out.location == BACK
    assert party.userinfo(tokens["access_token"]).status_code == 401
    world.settle()
    [claims] = listener.claims(party)
    assert (claims["sub"], claims["sid"]) == (told["sub"], told["sid"])


# ---- what else a request may bring ----


def _other_hints(world: World, entered: Entered, party: RelyingParty) -> dict[str, str]:
    placet = world.placet
    with placet.runtime.snapshot() as session:
        key = placet.signing_keys.current(session, KeyUse.OPENID)
        receipts = placet.signing_keys.current(session, KeyUse.RECEIPT)
    claims = dict(party.read_id_token(entered.id_token).claims)
    header = {"alg": "RS256", "kid": key.kid, "typ": "JWT"}
    return {
        "an access token": jwt.encode(header | {"typ": "at+jwt"}, claims, key, ["RS256"]),
        "a logout token": jwt.encode(header | {"typ": TYPE}, claims, key, ["RS256"]),
        "another issuer": jwt.encode(
            header, claims | {"iss": "https://evil.example"}, key, ["RS256"]
        ),
        "another audience": jwt.encode(header, claims | {"aud": "0" * 32}, key, ["RS256"]),
        "two audiences": jwt.encode(
            header, claims | {"aud": [party.client.client_id, "x"]}, key, ["RS256"]
        ),
        "another key": jwt.encode(
            {"alg": "Ed25519", "kid": receipts.kid, "typ": "JWT"}, claims, receipts, ["Ed25519"]
        ),
        "no sub": jwt.encode(
            header, {k: v for k, v in claims.items() if k != "sub"}, key, ["RS256"]
        ),
    }


def test_a_token_of_ours_that_is_no_id_token_of_this_client_is_no_hint(
    world: World, ana: Signed, entered: Entered, party: RelyingParty
) -> None:
    for kind, hint in _other_hints(world, entered, party).items():
        page = _ask(ana, id_token_hint=hint, post_logout_redirect_uri=BACK)
        assert _refuses(page), kind
    assert is_signed_in(ana.browser)


def test_the_hint_of_one_client_does_not_speak_for_another(
    world: World, ana: Signed, entered: Entered
) -> None:
    other = register(world, name="Otra", post_logout_redirect_uris=("https://other.example/",))
    for parameters in (
        {"client_id": other.client.client_id, "post_logout_redirect_uri": BACK},
        {"client_id": other.client.client_id},
        {"post_logout_redirect_uri": "https://other.example/"},
    ):
        assert _refuses(_ask(ana, id_token_hint=entered.id_token, **parameters))
    assert is_signed_in(ana.browser)


def test_a_hint_that_means_another_session_or_person_is_asked_about(
    world: World, ana: Signed, entered: Entered, party: RelyingParty
) -> None:
    """Or a page with an old ID token of its own could sign out whoever comes by."""
    phone = begin(world, ana.account)
    bruno = begin(world, open_account(world, BRUNO, password=None))
    enter(world, party, bruno)
    for who in (phone, bruno):
        page = _ask(who, id_token_hint=entered.id_token, post_logout_redirect_uri=BACK)
        assert _asks(page)
        assert is_signed_in(who.browser)
    assert _confirm(bruno, page).headers["Refresh"] == f"0;url={BACK}"
    assert is_signed_in(ana.browser)


def test_whoever_is_not_signed_in_goes_on_alike_and_is_told_so_otherwise(
    world: World, entered: Entered, party: RelyingParty
) -> None:
    nobody = world.client
    to = {"post_logout_redirect_uri": BACK, "state": "s"}
    for by in ({"id_token_hint": entered.id_token}, {"client_id": party.client.client_id}):
        answer = nobody.get(f"{LOGOUT}?{urlencode(by | to)}")
        assert (answer.status_code, answer.location) == (303, f"{BACK}?state=s")
    assert "Has salido" in nobody.get(LOGOUT).text
    bad = nobody.get(f"{LOGOUT}?{urlencode(to)}")
    assert _refuses(bad)
    assert CONFIRM not in bad.text


def test_an_unknown_a_disabled_and_a_repeated_client_get_the_page(
    world: World, ana: Signed, party: RelyingParty
) -> None:
    own = party.client.client_id
    for query in (
        "client_id=" + "0" * 32,
        "client_id=x%00y",
        f"client_id={own}&client_id={own}",
        f"client_id={own}&state=a&state=b",
    ):
        assert _refuses(ana.browser.get(f"{LOGOUT}?{query}")), query
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.disable(uow, own)
    assert _refuses(_ask(ana, client_id=own, post_logout_redirect_uri=BACK))
    assert is_signed_in(ana.browser)


def test_our_own_form_needs_its_token_and_checks_anew_where_it_leads(
    ana: Signed, entered: Entered, party: RelyingParty
) -> None:
    own = {"client_id": party.client.client_id, "post_logout_redirect_uri": BACK}
    assert ana.browser.post(CONFIRM, data=own).status_code == 400
    page = _ask(ana, **own)
    token = {"csrf_token": csrf_token(page.text)}
    strange = ana.browser.post(CONFIRM, data=own | token, headers={"Sec-Fetch-Site": "cross-site"})
    assert strange.status_code == 400
    assert is_signed_in(ana.browser)
    changed = ana.browser.post(
        CONFIRM, data=own | token | {"post_logout_redirect_uri": "https://evil.example/"}
    )
    assert "Has salido" in changed.text
    assert "evil.example" not in changed.text + str(changed.headers)
    assert not is_signed_in(ana.browser)


def test_a_request_that_is_too_long_stays_here(ana: Signed) -> None:
    assert _refuses(ana.browser.post(LOGOUT, data={"state": "a" * 9000}))
