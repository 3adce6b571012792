"""Who comes from an outside provider: known, new, or with the address of somebody else's account."""

from pathlib import Path

import pytest

from identity.sessions.model import SignInFailed
from policies.vocabulary import Attribute
from privacy.actor import SYSTEM
from tests.identity.people import (
    ANA,
    BRUNO,
    account_of,
    ask_for_account,
    enrol,
    has_account,
    is_signed_in,
    letter,
    sign_in,
)
from tests.identity.people import register as register_by_password
from tests.identity.sso.house import (
    arrive,
    come_back,
    go,
    heading,
    house,
    identities,
    methods,
    register,
)
from tests.identity.sso.upstreams import PROVIDER
from tests.support.forms import submit
from tests.support.hostile_provider import HostileProvider
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

#: The address in this domain is proven by the provider's word; see `upstreams.ENTRY`.
PROVEN = "ana@example.org"


@pytest.fixture
def world(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> World:
    return house(database_url, instance, mail_server, provider)


def profile(world: World, email: str) -> dict[Attribute, str]:
    with world.placet.runtime.snapshot() as session:
        found = world.placet.subjects.profile(session, account_of(world, email).subject_id)
    return dict(found)


def test_a_newcomer_sees_what_comes_over_proves_the_address_and_is_known_from_then_on(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    provider.info = {
        "email": ANA,
        "email_verified": True,  # and the provider is not authoritative for the domain
        "given_name": "Ana",
        "family_name": "García",  # its entry does not allow this one
        "locale": "es",  # no purpose needs this one
    }
    client = world.client
    assert arrive(client, provider).headers["Location"] == "/register/with"
    page = client.get("/register/with").text
    assert "La otra" in page
    assert f'value="{ANA}"' in page
    assert "Nombre: Ana" in page
    assert "García" not in page
    assert "Idioma:" not in page

    answer = submit(client, "/register/with", {"email": ANA, "attribute-given_name": "yes"})
    assert answer.headers["Location"] == "/register/code"
    assert not has_account(world)
    code = letter(world, mail_server, ANA).code
    assert submit(client, "/register/code", {"code": code}).status_code == 303
    assert is_signed_in(client)
    assert methods(world) == [("fed",)]
    assert profile(world, ANA) == {Attribute.GIVEN_NAME: "Ana"}
    assert [each.provider for each in identities(world)] == [PROVIDER]

    provider.info["email"] = "another@example.net"  # addresses come and go: the subject is the key
    elsewhere = world.client
    answer = arrive(elsewhere, provider)
    assert answer.headers["Location"] == "/login/code"  # a new browser: the risk asks for more
    code = letter(world, mail_server, ANA, 2).code
    assert submit(elsewhere, "/login/code", {"code": code}).status_code == 303
    assert is_signed_in(elsewhere)
    assert identities(world)[0].last_used_at is not None


def test_what_the_person_leaves_out_is_not_kept(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    provider.info = {"email": ANA, "given_name": "Ana"}
    register(world, mail_server, provider)
    assert profile(world, ANA) == {}


def test_an_authoritative_provider_s_word_opens_the_account_at_once_and_ends_what_others_prepared(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    attacker = world.client
    ask_for_account(attacker, PROVEN, "la frase de quien ataca")
    stolen = letter(world, mail_server, PROVEN)

    client = world.client
    assert arrive(client, provider).headers["Location"] == "/register/with"
    page = client.get("/register/with").text
    assert PROVEN in page
    assert 'name="email"' not in page
    # What a form claims makes no difference: the provider's word is about one address.
    answer = submit(client, "/register/with", {"email": BRUNO})
    assert answer.status_code == 303
    assert is_signed_in(client)
    assert has_account(world, PROVEN)
    assert not has_account(world, BRUNO)

    assert submit(attacker, "/register/code", {"code": stolen.code}).status_code == 410
    assert not is_signed_in(attacker)
    assert sign_in(world.client, PROVEN, "la frase de quien ataca").status_code == 422


def test_a_proven_address_signs_in_to_its_account_and_the_second_factor_is_asked_before_the_link(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    own = register_by_password(world, mail_server, PROVEN)
    totp, _codes = enrol(world, own)
    world.clock.advance(minutes=5)

    client = world.client
    assert arrive(client, provider).headers["Location"] == "/login/code"
    assert not is_signed_in(client)
    assert identities(world, PROVEN) == []
    answer = submit(client, "/login/code", {"code": totp.at(world.clock())})
    assert answer.status_code == 303, answer.text
    assert is_signed_in(client)
    assert ("fed", "otp") in methods(world, PROVEN)
    assert [each.provider for each in identities(world, PROVEN)] == [PROVIDER]
    world.settle()
    subjects = [str(message["Subject"]) for message in mail_server.messages_to(PROVEN)]
    assert "Has enlazado otra forma de entrar" in subjects


def test_who_claims_somebody_s_address_learns_nothing_and_gets_nothing(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    register_by_password(world, mail_server, ANA)
    answers: list[object] = []
    for number, email in enumerate([ANA, "nobody@example.com"]):
        provider.sub = f"attacker-{number}"
        provider.info = {"email": email, "email_verified": True}
        client = world.client
        came = arrive(client, provider)
        page = client.get("/register/with").text.replace(email, "ADDRESS")
        sent = submit(client, "/register/with", {"email": email})
        code = client.get("/register/code")
        wrong = submit(client, "/register/code", {"code": "00000000"})
        answers += [came.status, came.headers["Location"], len(page), sent.status]
        answers += [sent.headers["Location"], code.status, len(code.text), wrong.status]
        assert not is_signed_in(client)
        assert client.get("/login/link").headers["Location"] == "/register/with"
    assert answers[:8] == answers[8:]
    assert identities(world, ANA) == []


def test_the_owner_of_an_address_proves_it_signs_in_as_ever_and_confirms(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    register_by_password(world, mail_server, ANA)
    provider.info = {"email": ANA}
    client = world.client
    assert arrive(client, provider).status_code == 303
    submit(client, "/register/with", {"email": ANA})
    code = letter(world, mail_server, ANA, 2).code
    answer = submit(client, "/register/code", {"code": code})
    assert answer.headers["Location"] == "/login/link"
    assert "/login?next=/account/identities/confirm" in client.get("/login/link").text
    assert not is_signed_in(client)

    sign_in(client, ANA, path="/login?next=/account/identities/confirm")
    stranger = world.client  # the same account in another browser: nobody waits there
    sign_in(stranger, ANA)
    assert stranger.get("/account/identities/confirm").status_code == 303
    assert identities(world) == []
    answer = submit(client, "/account/identities/confirm", {})
    assert answer.status_code == 303
    assert [each.provider for each in identities(world)] == [PROVIDER]
    assert client.get("/account/identities/confirm").status_code == 303  # it is used up
    assert methods(world)[0] == ("pwd",)


def test_what_waits_is_confirmed_by_the_account_of_the_address_alone_and_within_ten_minutes(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    register_by_password(world, mail_server, ANA)
    register_by_password(world, mail_server, BRUNO)
    provider.info = {"email": ANA}
    client = world.client
    arrive(client, provider)
    submit(client, "/register/with", {"email": ANA})
    submit(client, "/register/code", {"code": letter(world, mail_server, ANA, 2).code})
    waiting = client.get_cookie("placet-arrival")
    assert waiting is not None

    sign_in(client, BRUNO)
    assert client.get("/account/identities/confirm").headers["Location"] == "/account/identities"
    world.clock.advance(minutes=10)
    sign_in(client, ANA, path="/login?reauth=1")
    client.set_cookie("placet-arrival", waiting.value)
    assert client.get("/account/identities/confirm").headers["Location"] == "/account/identities"
    assert identities(world, ANA) == identities(world, BRUNO) == []


def test_an_address_that_nobody_proved_opens_no_account(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    provider.claims = {"email": PROVEN, "email_verified": False}
    provider.info = {}
    register_by_password(world, mail_server, PROVEN)
    client = world.client
    assert arrive(client, provider).headers["Location"] == "/register/with"
    assert identities(world, PROVEN) == []


def test_a_disabled_account_lets_nobody_in_and_says_so(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    register_by_password(world, mail_server, BRUNO)
    register(world, mail_server, provider)
    failed: list[SignInFailed] = []
    world.placet.runtime.subscribe(SignInFailed, lambda _uow, event: failed.append(event))
    account_id = account_of(world).account_id
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.administration.disable(uow, account_id, "asked for")
    client = world.client
    answer = arrive(client, provider)
    assert answer.status_code == 403
    assert "Tu cuenta está desactivada" in answer.text
    assert [event.factor for event in failed] == ["federated"]


@pytest.mark.parametrize("attack", ["other-browser", "replay", "nobody's"])
def test_an_answer_counts_once_and_in_the_browser_that_went(
    world: World, provider: HostileProvider, attack: str
) -> None:
    attacker, victim = world.client, world.client
    url = go(attacker)
    if attack == "replay":
        answer = provider.authorize(url)
        attacker.get(f"/sso/{PROVIDER}/callback", query_string=answer)
        refused = attacker.get(f"/sso/{PROVIDER}/callback", query_string=answer)
        assert heading(refused) == "Este paso ya no vale"
    else:
        if attack == "other-browser":
            go(victim)  # who is away as well: logging in as the attacker would go unnoticed
        refused = come_back(victim, provider, url)
        assert heading(refused) == "Esto no empezó en este navegador"
        assert not is_signed_in(victim)
    assert refused.status_code == 400
    assert "Volver a iniciar sesión" in refused.text


def test_without_a_provider_there_is_no_button(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> None:
    world = house(database_url, instance, mail_server, provider)
    for page in ("/login", "/register"):
        assert "Continuar con La otra" in world.client.get(page).text
    (instance / "providers.toml").unlink()
    bare = make_world(database_url, instance)
    for page in ("/login", "/register"):
        assert "otro sitio" not in bare.client.get(page).text
    assert bare.client.post(f"/login/with/{PROVIDER}").status_code in {400, 404}


def test_who_has_nothing_but_a_provider_is_sent_there_again_before_a_sensitive_change(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    client = register(world, mail_server, provider)
    assert client.get("/account/passkeys").status_code == 200
    world.clock.advance(minutes=10)
    asked = client.get("/account/passkeys")
    assert asked.status_code == 303
    page = client.get(asked.headers["Location"]).text
    assert "Continuar con La otra" in page
    url = go(client, asked.headers["Location"])
    answer = come_back(client, provider, url)
    assert answer.headers["Location"] == "/account/passkeys"
    assert client.get("/account/passkeys").status_code == 200
