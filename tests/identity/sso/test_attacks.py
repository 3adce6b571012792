"""What somebody tries who has an account at a provider, a page of their own, or your open browser."""

from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from identity.accounts.address_model import AddressChangeUndone
from identity.sso.configuration import read
from privacy.actor import SYSTEM
from privacy.settings import SettingsError
from tests.identity.people import ANA, PASSWORD, account_of, make_known, prove_again, sign_in
from tests.identity.people import register as register_by_password
from tests.identity.sso.house import arrive, come_back, go, house, identities, register
from tests.identity.sso.upstreams import ENTRY, FILE, PROVIDER, Bench, Kernel, bench
from tests.support.forms import submit
from tests.support.hostile_provider import HostileProvider
from tests.support.smtp import MailServer
from tests.support.world import World

sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
CALLBACK, LOGOUT = f"/sso/{PROVIDER}/callback", f"/sso/{PROVIDER}/logout"


@pytest.fixture
def world(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> World:
    return house(database_url, instance, mail_server, provider)


@sqlite
def test_who_sits_at_an_open_browser_changes_nothing_by_a_provider_that_asks_nobody(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    client = register_by_password(world, mail_server, ANA)
    arrive(client, provider, "/account/identities")
    world.clock.advance(minutes=10)
    come_back(client, provider, go(client, "/login?reauth=1"))
    assert client.get("/account").status_code == 200  # in a new session
    for page in ("/account/passkeys", "/account/password"):
        asked = client.get(page).headers["Location"]
        assert asked.startswith("/login/again?")
        assert "Continuar con La otra" not in client.get(asked).text
    assert prove_again(client, "/account/passkeys", PASSWORD).status_code == 303
    assert client.get("/account/passkeys").status_code == 200


@sqlite
def test_a_provider_s_word_is_as_old_as_the_proof_that_it_rests_on(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    client = register(world, mail_server, provider)
    provider.claims = {"auth_time": int(world.clock().timestamp())}
    world.clock.advance(minutes=10)
    page = client.get("/account/passkeys").headers["Location"]
    url = go(client, page)
    assert "max_age=60" in url
    come_back(client, provider, url)  # which asked nobody
    assert client.get("/account/passkeys").status_code == 303
    provider.claims = {"auth_time": int(world.clock().timestamp())}
    come_back(client, provider, go(client, page))
    assert client.get("/account/passkeys").status_code == 200
    for odd in (-1, 1e300, 2**70, "now", True, None, 0):
        provider.claims = {"auth_time": odd}
        assert arrive(client, provider, "/login?reauth=1").headers["Location"] == "/privacy"


@sqlite
def test_a_session_that_opens_one_page_alone_may_be_replaced_by_a_provider_s(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    client = register_by_password(world, mail_server, ANA)
    arrive(client, provider, "/account/identities")
    account, placet = account_of(world), world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.identity.closing.begin(uow, account)
    sign_in(client, ANA)  # which opens the way back alone
    make_known(client, ANA)
    arrive(client, provider, "/login?reauth=1")
    with placet.runtime.snapshot() as session:
        found = placet.identity.sessions.of_account(session, account.account_id, now=world.clock())
    assert [each.methods for each in found] == [("fed",)]


@sqlite
def test_an_address_change_taken_back_ends_what_was_linked_meanwhile(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    attacker = register_by_password(world, mail_server, ANA)
    arrive(attacker, provider, "/account/identities")
    assert len(identities(world)) == 1
    account = account_of(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.record(
            AddressChangeUndone(subject_id=account.subject_id, account_id=account.account_id)
        )
        uow.commit()
    assert identities(world) == []
    assert arrive(world.client, provider).headers["Location"] == "/register/with"


@sqlite
def test_a_stranger_fills_neither_tables_nor_the_log_and_shuts_no_other_network_out(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    register(world, mail_server, provider)
    known = world.client
    make_known(known, ANA)
    for _ in range(16):  # whoever gets in is not counted, neither going nor coming back
        assert arrive(known, provider, "/login?reauth=1").headers["Location"] == "/privacy"

    client = world.client
    refused: dict[str, list[int]] = {"callback": [], "form": [], "logout": []}
    for _ in range(12):
        refused["callback"].append(client.get(f"{CALLBACK}?state=x&code=y").status_code)
        refused["form"].append(client.post(CALLBACK, data={"state": "x"}).status_code)
        refused["logout"].append(client.post(LOGOUT, data={"logout_token": "a.b.c"}).status_code)
    assert refused["callback"][0] == refused["logout"][0] == 400
    assert refused["callback"][-1] == refused["logout"][-1] == 429
    assert sum(status == 400 for status in refused["callback"] + refused["logout"]) == 20
    assert submit(client, "/login", {}, to=f"/login/with/{PROVIDER}").status_code == 429
    parked = client.post(CALLBACK, data={"state": "x"})
    waits = client.get(parked.headers["Location"])
    assert waits.status_code == 429
    assert int(waits.headers["Retry-After"]) > 0

    abroad = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
    answer = client.get(f"{CALLBACK}?state=x&code=y", **abroad)
    assert answer.status_code == 400


@sqlite
def test_a_form_from_elsewhere_begins_no_session_in_the_person_s_browser(world: World) -> None:
    """A new cookie would take the place of the person's own, which did not come along."""
    sent = world.client
    for path, data in [
        (CALLBACK, {"state": "x"}),
        (CALLBACK, {"state": "\0"}),
        ("/sso/nobody/callback", {"state": "x"}),
        (LOGOUT, {"logout_token": "x"}),
        ("/sso/nobody/logout", {"logout_token": "x"}),
    ]:
        answer = sent.post(path, data=data, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code in {303, 400, 404}, path
        assert "Set-Cookie" not in answer.headers, path


@sqlite
def test_nothing_that_a_browser_sends_is_an_error_of_ours(world: World) -> None:
    client = world.client
    odd = ["", "x" * 9000, "%ED%A0%80", "%FF", "%F0%9F%98%80", "%0D%0Aa:b", "..%2F", "[]"]

    def fine(answer: TestResponse) -> None:
        assert answer.status_code < 500 or "No podemos fiarnos" in answer.text, answer.text

    for number, value in enumerate(odd):
        # Each from a network of its own: it is the values that are looked at here.
        client.environ_base["REMOTE_ADDR"] = f"203.0.113.{number}"
        client.set_cookie("placet-sso", value[:3000])
        client.set_cookie("placet-arrival", value[:3000])
        fine(client.get(f"{CALLBACK}?state={value}&code={value}&answer={value}&iss={value}"))
        fine(client.post(CALLBACK, data=f"state={value}&user={value}"))
        fine(client.post(LOGOUT, data=f"logout_token={value}"))
        fine(client.get("/register/with"))
        fine(client.get("/login/link"))
        fine(client.get(f"/sso/{PROVIDER}/refused/{value or 'x'}"))
        fine(client.get(f"/sso/{value or 'x'}/callback"))


# ---- what a provider says


def test_a_provider_s_word_on_an_address_beyond_ascii_proves_nothing(
    upstream: Bench, provider: HostileProvider
) -> None:
    """`ſara@` is a mailbox of its own there, and folds to `sara@` here."""
    provider.info = {"email": "ſara@example.org", "email_verified": True}
    arrived = upstream.sign_in()
    assert arrived.email_verified
    assert not arrived.address_proven


@pytest.mark.parametrize(
    "issuer",
    ["https://accounts.google.com", "https://login.microsoftonline.com/common/v2.0"],
)
def test_a_provider_whose_word_has_limits_is_not_configured_as_any_other(issuer: str) -> None:
    entry = {**ENTRY, "issuer": issuer, "client_id": "placet", "client_secret": "secret"}
    with pytest.raises(SettingsError, match=r"\[other\] kind: must be (google|microsoft)"):
        read(PROVIDER, entry, FILE)


def test_a_session_without_a_proper_name_has_none(
    upstream: Bench, provider: HostileProvider
) -> None:
    for name in ("\ud800", "a\0", "s" * 256, 7, ["s"]):
        provider.claims = {"sid": name}
        assert upstream.sign_in().sid is None


def test_a_strange_key_is_no_key_and_no_error(kernel: Kernel, provider: HostileProvider) -> None:
    for members in ({"kty": ["RSA"]}, {"issuer": "{tenantid}"}):
        here = bench(kernel, provider)
        provider.key_members = members  # type: ignore[assignment]  # the provider's fault
        assert here.refused(provider.authorize(here.begin())) in {"key-unknown", "issuer"}
