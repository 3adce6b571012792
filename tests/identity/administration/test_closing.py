"""Closing one's account: all ends at once, the erasure follows after the grace, or the way back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from identity.accounts.closing import ClosingTask
from identity.accounts.model import (
    CLOSING_GRACE,
    Account,
    AccountStatus,
    LastAdministrator,
    LinkNotValid,
)
from policies.vocabulary import Right, RightsState, Role
from privacy.actor import ANONYMOUS, SYSTEM
from tests.identity.administration.office import ALMA, actor_of, browser_of, open_account
from tests.identity.people import ANA, is_signed_in, letter, register, sign_in
from tests.support.cast import Person, application, ask, calls_as, give
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

sqlite_alone = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ONE_TICK = timedelta(microseconds=1)


@pytest.fixture
def ana(world: World) -> Account:
    """Whose account it is."""
    return open_account(world, ANA)


def _close(world: World, account: Account) -> None:
    with world.placet.runtime.unit_of_work(actor_of(account)) as uow:
        world.placet.identity.closing.begin(uow, account)


def _work(world: World) -> int:
    """Do what the worker does, once."""
    placet = world.placet
    erase = placet.rights.erase_at_end_of_grace
    return ClosingTask(placet.runtime, placet.identity.closing, erase).run_due()


def _status(world: World, account: Account) -> AccountStatus:
    with world.placet.runtime.snapshot() as session:
        found = world.placet.identity.accounts.find(session, account.account_id)
    assert found is not None
    return found.status


def _of_shop(world: World, account: Account) -> Person:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.pseudonyms.ensure_domain(uow, "shop")
        pseudonym = world.placet.pseudonyms.issue(uow, "shop", account.subject_id)
        uow.commit()
    calls_as(world, application())
    return Person(account.subject_id, pseudonym)


def _answer(world: World, person: Person) -> tuple[bool, list[str]]:
    answer = ask(world, person).json
    assert answer is not None
    return answer["decision"], answer["context"]["reasons"]


@sqlite_alone
def test_closing_says_what_ends_and_ends_it_at_once(
    world: World, ana: Account, mail_server: MailServer
) -> None:
    phone = world.client
    sign_in(phone)
    person = _of_shop(world, ana)
    give(world, person)
    assert _answer(world, person) == (True, ["consent-given"])
    client = browser_of(world, ana)
    page = client.get("/account/close").text
    for words in ("14 días", "17 de marzo de 2026", "prueba de lo que aceptaste", "art. 17.3"):
        assert words in page, words
    assert submit(client, "/account/close", {}).headers["Location"] == "/login"
    assert _status(world, ana) is AccountStatus.CLOSING
    assert _answer(world, person) == (False, ["restricted"])
    world.app.extensions["placet.session"] = world.placet.identity.browser.authenticate
    assert not is_signed_in(phone)
    told = letter(world, mail_server, ANA).text
    assert "17 de marzo de 2026" in told


@sqlite_alone
def test_the_mailed_link_opens_the_account_again_once_and_looking_at_it_changes_nothing(
    world: World, ana: Account, mail_server: MailServer
) -> None:
    person = _of_shop(world, ana)
    give(world, person)
    _close(world, ana)
    path = letter(world, mail_server, ANA).path
    for _look in range(2):
        assert world.client.get(path).status_code == 200
        assert world.client.head(path).status_code == 200
    assert _status(world, ana) is AccountStatus.CLOSING
    reader = world.client
    assert submit(reader, path, {}).headers["Location"] == "/login"
    assert _status(world, ana) is AccountStatus.ACTIVE
    assert _answer(world, person) == (True, ["consent-given"])
    assert not is_signed_in(reader)  # the link proves a mailbox and signs nobody in
    assert world.client.get(path).status_code == 410
    world.clock.advance(days=30)
    assert _work(world) == 0


@sqlite_alone
def test_signing_in_during_the_grace_shows_the_way_back_alone(world: World, ana: Account) -> None:
    _close(world, ana)
    client = world.client
    assert sign_in(client).headers["Location"] == "/account/closing"
    for path in ("/account", "/privacy", "/account/close", "/oauth/authorize?client_id=x"):
        assert client.get(path).headers["Location"] == "/account/closing", path
    answer = submit(client, "/account/closing", {})
    assert answer.headers["Location"] == "/account"
    assert is_signed_in(client)
    assert _status(world, ana) is AccountStatus.ACTIVE


@sqlite_alone
def test_a_session_of_the_grace_is_free_once_the_link_took_the_closing_back(
    world: World, ana: Account, mail_server: MailServer
) -> None:
    _close(world, ana)
    link = letter(world, mail_server, ANA).path
    client = world.client
    sign_in(client)
    submit(world.client, link, {})
    assert client.get("/account/closing").headers["Location"] == "/account"
    assert is_signed_in(client)


@sqlite_alone
def test_the_grace_ends_at_its_very_instant_with_a_fulfilled_erasure_and_a_free_address(
    world: World, ana: Account, mail_server: MailServer
) -> None:
    give(world, _of_shop(world, ana))
    _close(world, ana)
    undo = letter(world, mail_server, ANA).path
    world.clock.now += CLOSING_GRACE - ONE_TICK
    assert _work(world) == 0
    assert world.client.get(undo).status_code == 200
    world.clock.now += ONE_TICK
    assert world.client.get(undo).status_code == 410
    assert _work(world) == 1
    assert _work(world) == 0
    assert _status(world, ana) is AccountStatus.CLOSED
    with world.placet.runtime.snapshot() as session:
        request = world.placet.rights.of_subject(session, ana.subject_id)[0]
        assert world.placet.subjects.find_by_email(session, ANA) is None
    assert (request.right, request.state) == (Right.ERASURE, RightsState.FULFILLED)
    assert "están borrados" in letter(world, mail_server, ANA, 2).text
    assert world.verify().ok
    register(world, mail_server)  # somebody new, with nothing of before
    with world.placet.runtime.snapshot() as session:
        assert world.placet.subjects.find_by_email(session, ANA) != ana.subject_id


@sqlite_alone
def test_the_address_stays_taken_during_the_grace(
    world: World, ana: Account, mail_server: MailServer
) -> None:
    _close(world, ana)
    answer = submit(world.client, "/register", {"email": ANA, "password": "otra frase muy larga"})
    assert answer.status_code == 303
    assert letter(world, mail_server, ANA, 2).path == "/login"


@sqlite_alone
def test_whoever_asks_for_erasure_meanwhile_does_not_wait(world: World, ana: Account) -> None:
    _close(world, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    world.clock.now += CLOSING_GRACE
    assert _work(world) == 0
    assert _status(world, ana) is AccountStatus.CLOSED


@sqlite_alone
def test_the_last_administrator_does_not_close_the_account(world: World) -> None:
    alma = open_account(world, ALMA, Role.ADMINISTRATOR)
    client = browser_of(world, alma)
    answer = submit(client, "/account/close", {})
    assert answer.status_code == 409
    assert "única persona que administra" in answer.text
    with (
        world.placet.runtime.unit_of_work(actor_of(alma)) as uow,
        pytest.raises(LastAdministrator),
    ):
        world.placet.identity.closing.begin(uow, alma)


def test_coming_back_and_the_worker_at_the_same_moment_one_wins(
    world: World, ana: Account, mail_server: MailServer, database_url: str, instance: Path
) -> None:
    """Two processes whose clocks differ by a moment: for one the grace lasts, for the other not."""
    _close(world, ana)
    token = letter(world, mail_server, ANA).path.rsplit("/", 1)[1]
    late = make_world(database_url, instance, seed="late")
    world.clock.now += CLOSING_GRACE - ONE_TICK
    late.clock.now += CLOSING_GRACE
    barrier = Barrier(2)

    def undo() -> bool:
        barrier.wait()
        with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
            try:
                world.placet.identity.closing.undo_by_link(uow, token)
            except LinkNotValid:
                return False
        return True

    def erase() -> bool:
        barrier.wait()
        return _work(late) == 1

    with ThreadPoolExecutor(2) as pool:
        undone, erased = (each.result() for each in (pool.submit(undo), pool.submit(erase)))
    assert undone != erased
    expected = AccountStatus.ACTIVE if undone else AccountStatus.CLOSED
    assert _status(world, ana) is expected
    with world.placet.runtime.snapshot() as session:
        standing = world.placet.subjects.standing(session, ana.subject_id)
    assert standing is not None
    assert (standing.erased, standing.restricted) == (erased, erased)
