"""Linking one more provider, taking one away, and what becomes of them with the account."""

import threading
from pathlib import Path
from typing import Any

import pytest

from identity.sso.account_source import IdentityData
from identity.sso.identity_model import IdentityLinked, IdentityTaken, IdentityUnlinked, LastWayIn
from identity.sso.model import Arrived
from privacy.actor import SYSTEM
from tests.identity.people import (
    ANA,
    BRUNO,
    account_of,
    has_account,
    is_signed_in,
    letter,
    sign_in,
)
from tests.identity.people import register as register_by_password
from tests.identity.sso.house import arrive, come_back, go, house, identities, register
from tests.identity.sso.upstreams import PROVIDER
from tests.support.forms import submit
from tests.support.hostile_provider import HostileProvider
from tests.support.smtp import MailServer
from tests.support.world import World

PAGE = "/account/identities"
sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def world(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> World:
    return house(database_url, instance, mail_server, provider)


@sqlite
def test_a_signed_in_person_links_a_provider_and_takes_it_away_again(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    happened: list[object] = []
    for event in (IdentityLinked, IdentityUnlinked):
        world.placet.runtime.subscribe(event, lambda _uow, told: happened.append(type(told)))
    client = register_by_password(world, mail_server)
    assert PAGE in client.get("/account").text
    assert arrive(client, provider, PAGE).headers["Location"] == PAGE
    assert "La otra" in client.get(PAGE).text
    (linked,) = identities(world)

    other = world.client
    came = arrive(other, provider)
    assert came.headers["Location"] == "/login/code"
    submit(other, "/login/code", {"code": letter(world, mail_server, ANA, 3).code})
    assert is_signed_in(other)

    assert (
        submit(
            client, f"{PAGE}/{linked.identity_id}", {}, to=f"{PAGE}/{linked.identity_id}/unlink"
        ).headers["Location"]
        == PAGE
    )
    assert identities(world) == []
    assert not is_signed_in(other)
    assert is_signed_in(client)
    assert arrive(world.client, provider).headers["Location"] == "/register/with"
    assert happened == [IdentityLinked, IdentityUnlinked]
    world.settle()
    subjects = [str(message["Subject"]) for message in mail_server.messages_to(ANA)]
    assert "Has enlazado otra forma de entrar" in subjects
    assert "Has quitado una forma de entrar" in subjects


@sqlite
def test_linking_and_unlinking_ask_for_a_fresh_proof(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    client = register(world, mail_server, provider)
    (own,) = identities(world)
    page = client.get(PAGE).text
    world.clock.advance(minutes=10)
    for path in (f"{PAGE}/link/{PROVIDER}", f"{PAGE}/{own.identity_id}/unlink"):
        token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
        answer = client.post(path, data={"csrf_token": token})
        assert answer.headers["Location"].startswith("/login/again?"), answer.text
    assert identities(world) == [own]


@sqlite
def test_a_link_ends_in_the_session_that_began_it(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    attacker = register_by_password(world, mail_server, BRUNO)
    url = go(attacker, PAGE)
    victim = register_by_password(world, mail_server, ANA)
    assert come_back(victim, provider, url).status_code == 400  # swapped browser

    url = go(victim, PAGE)
    sign_in(
        victim, BRUNO, path="/login?reauth=1"
    )  # somebody else's session in the same browser by now
    assert come_back(victim, provider, url).status_code == 400
    assert identities(world, ANA) == identities(world, BRUNO) == []


@sqlite
def test_an_identity_opens_one_account(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    register(world, mail_server, provider)
    other = register_by_password(world, mail_server, BRUNO)
    arrive(other, provider, PAGE)
    assert "ya abre otra cuenta" in other.get(PAGE).text
    placet = world.placet
    arrived = Arrived(provider=PROVIDER, issuer=provider.issuer, sub=provider.sub)
    with placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(IdentityTaken):
        placet.identity.identities.link(uow, account_of(world, BRUNO), arrived)
    assert identities(world, BRUNO) == []
    assert len(identities(world, ANA)) == 1


@sqlite
def test_the_last_way_in_stays_until_there_is_another(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    client = register(world, mail_server, provider)
    (own,) = identities(world)
    path = f"{PAGE}/{own.identity_id}"
    answer = submit(client, path, {}, to=f"{path}/unlink")
    assert answer.status_code == 409
    assert "Añade antes una contraseña" in answer.text
    assert identities(world) == [own]

    recovery = world.client  # a lost password works alike where there never was one
    submit(recovery, "/recover", {"email": ANA})
    code = letter(world, mail_server, ANA, 2).code
    submit(recovery, "/recover/code", {"code": code, "password": "otra frase, todavía más larga"})
    sign_in(client, ANA, "otra frase, todavía más larga", known=False)
    assert submit(client, path, {}, to=f"{path}/unlink").status_code == 303
    assert identities(world) == []


def test_of_two_that_go_at_once_one_stays(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    register(world, mail_server, provider)
    account, placet = account_of(world), world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        second = Arrived(provider=PROVIDER, issuer=provider.issuer, sub="second")
        placet.identity.identities.link(uow, account, second)
    both = identities(world)
    refused: list[LastWayIn] = []
    start = threading.Barrier(2)

    def unlink(identity_id: str) -> None:
        start.wait()
        try:
            with placet.runtime.unit_of_work(SYSTEM) as uow:
                placet.identity.identities.unlink(uow, account, identity_id)
        except LastWayIn as error:
            refused.append(error)

    threads = [threading.Thread(target=unlink, args=(each.identity_id,)) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert len(identities(world)) == 1


@sqlite
def test_the_person_gets_them_with_their_data_and_an_erasure_frees_the_key(
    world: World, mail_server: MailServer, provider: HostileProvider, instance: Path
) -> None:
    register(world, mail_server, provider)
    account, placet = account_of(world), world.placet
    with placet.runtime.snapshot() as session:
        source = IdentityData(placet.identity.accounts, placet.identity.identities)
        held: Any = source.collect(session, account.subject_id)
    (told,) = held["identities"]
    assert told["subject"] == provider.sub
    assert told["issuer"] == provider.issuer
    # None of it can be read where it rests.
    for file in instance.glob("placet.sqlite3*"):
        assert provider.sub.encode() not in file.read_bytes()

    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.eraser.erase(uow, account.subject_id)
        uow.commit()
    assert not has_account(world)
    assert arrive(world.client, provider).headers["Location"] == "/register/with"
