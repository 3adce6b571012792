"""What administrators do, see and may not do; each act is recorded and told."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.accounts.model import Account, LastAdministrator, OwnAccount
from identity.accounts.trail import trail
from policies.errors import Conflict, DomainError, NotFound
from policies.vocabulary import Role, Scope
from privacy.actor import SYSTEM
from privacy.problems import PROBLEMS
from tests.identity.administration.office import (
    ALMA,
    BRUNO,
    DELIA,
    actor_of,
    browser_of,
    open_account,
    sign_in_for_real,
)
from tests.identity.people import ANA, account_of, is_signed_in, letter, sign_in
from tests.support.cast import Person, application, ask, calls_as, give
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

sqlite_alone = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def alma(world: World) -> Account:
    """The administrator."""
    return open_account(world, ALMA, Role.ADMINISTRATOR)


@pytest.fixture
def ana(world: World) -> Account:
    """Somebody who does not work here."""
    return open_account(world, ANA)


def _act(client: FlaskClient, account: Account, act: str, **typed: str) -> TestResponse:
    return submit(client, f"/admin/accounts/{account.account_id}/{act}", typed)


def _events(world: World, account: Account) -> list[tuple[str, str]]:
    """What the account's trail holds, newest first: tag and who."""
    with world.placet.runtime.snapshot() as session:
        found = trail(world.placet.log, session, account.subject_id, limit=100)
    return [(entry.tag, entry.actor) for entry in found.entries]


@sqlite_alone
def test_an_account_is_found_by_its_exact_address_alone_and_the_look_is_recorded(
    world: World, alma: Account, ana: Account
) -> None:
    client = browser_of(world, alma)
    for part in ("ana@example", "@example.com", "*", "ana"):
        assert submit(client, "/admin", {"email": part}, to="/admin/find").status_code == 422
    missing = submit(client, "/admin", {"email": "nadie@example.com"}, to="/admin/find")
    assert missing.status_code == 404
    assert _looks(world, ana) == []
    found = submit(client, "/admin", {"email": " Ana@Example.com "}, to="/admin/find")
    assert found.headers["Location"] == f"/admin/accounts/{ana.account_id}"
    client.get(found.headers["Location"])  # the view after the search is not a second look
    client.get(found.headers["Location"])
    assert _looks(world, ana) == [f"administrator:{alma.account_id}"]
    world.client.get(found.headers["Location"])  # another browser that knows the address
    assert len(_looks(world, ana)) == 2
    assert ANA not in client.get("/admin").text  # no list of everybody


def _looks(world: World, account: Account) -> list[str]:
    return [who for tag, who in _events(world, account) if tag.endswith(":looked-up")]


@sqlite_alone
def test_the_view_shows_standing_and_trail_but_no_address_profile_or_consent(
    world: World, alma: Account, ana: Account
) -> None:
    person = Person(ana.subject_id, "")
    give(world, person)
    assert sign_in(world.client).status_code == 303
    assert sign_in(world.client, password="equivocada").status_code == 422
    world.settle()
    page = browser_of(world, alma).get(f"/admin/accounts/{ana.account_id}").text
    assert "a…@example.com" in page
    assert ANA not in page
    for word in ("newsletter", "consent:", "profile:", "boletín"):
        assert word not in page.lower()
    assert page.count("Inicio de sesión fallido") == 1
    assert "contraseña · 127.0.0.0/24" in page  # the factor that failed, and from where
    assert "factor-recovery" not in page  # there is none that could be lost


@sqlite_alone
def test_nobody_but_an_administrator_opens_any_page_of_administration(
    world: World, ana: Account
) -> None:
    rules = [rule for rule in world.app.url_map.iter_rules() if rule.rule.startswith("/admin")]
    assert len(rules) >= 9
    for rule in rules:
        view = world.app.view_functions[rule.endpoint]
        assert getattr(view, "required_scope", None) is Scope.ADMINISTRATION, rule
    for role, email in ((Role.STAFF, BRUNO), (Role.DPO, DELIA)):
        client = browser_of(world, open_account(world, email, role))
        assert client.get("/admin").status_code == 403
        assert client.get(f"/admin/accounts/{ana.account_id}").status_code == 403


@sqlite_alone
def test_a_disabled_account_lets_nobody_in_and_its_consents_go_on_counting(
    world: World, alma: Account, ana: Account, mail_server: MailServer
) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.pseudonyms.ensure_domain(uow, "shop")
        pseudonym = world.placet.pseudonyms.issue(uow, "shop", ana.subject_id)
        uow.commit()
    person = Person(ana.subject_id, pseudonym)
    give(world, person)
    own = world.client
    sign_in(own)
    assert is_signed_in(own)
    client = browser_of(world, alma)
    refused = _act(client, ana, "disable", reason="  ")
    assert (refused.status_code, "Di por qué" in refused.text) == (422, True)
    assert _act(client, ana, "disable", reason="la pide la policía").status_code == 303
    sign_in_for_real(world)
    assert not is_signed_in(own)
    wrong, right = sign_in(world.client, password="equivocada"), sign_in(world.client)
    assert wrong.status_code == 422
    assert "desactivada" not in wrong.text
    assert right.status_code == 403
    assert "desactivada" in right.text
    told = letter(world, mail_server, ANA, len(mail_server.messages_to(ANA)) or 1).text
    assert "desactivado tu cuenta" in told
    assert "policía" not in told
    calls_as(world, application())
    answer = ask(world, person).json
    assert answer is not None
    assert answer["decision"] is True

    client = browser_of(world, alma)
    assert _act(client, ana, "enable", reason="ya está aclarado").status_code == 303
    sign_in_for_real(world)
    assert sign_in(world.client).status_code == 303
    tags = [tag for tag, who in _events(world, ana) if who.startswith("administrator:")]
    assert tags[:1] == ["accounts:account:enabled"]
    assert {"accounts:account:disabled", "sessions:session:ended"} <= set(tags)


@sqlite_alone
def test_sessions_are_ended_one_by_one_or_all_at_once(
    world: World, alma: Account, ana: Account, mail_server: MailServer
) -> None:
    phone, laptop, library = (world.client for _ in range(3))
    for own in (phone, laptop, library):
        sign_in(own)
    with world.placet.runtime.snapshot() as session:
        found = world.placet.identity.sessions.of_account(
            session, ana.account_id, now=world.clock()
        )
    client = browser_of(world, alma)
    one = f"/admin/accounts/{ana.account_id}/end-session?session={found[0].digest}"
    assert submit(client, one, {"session": found[0].digest}).status_code == 303
    assert submit(client, one, {"session": found[0].digest}).status_code == 404
    sign_in_for_real(world)
    assert sum(is_signed_in(own) for own in (phone, laptop, library)) == 2
    assert _act(browser_of(world, alma), ana, "end-sessions").status_code == 303
    sign_in_for_real(world)
    assert not any(is_signed_in(own) for own in (phone, laptop, library))
    ended = [who for tag, who in _events(world, ana) if tag == "sessions:session:ended"]
    assert ended == [f"administrator:{alma.account_id}"] * 2


@sqlite_alone
def test_a_reset_is_the_persons_own_and_the_administrator_sees_no_link(
    world: World, alma: Account, ana: Account, mail_server: MailServer
) -> None:
    answer = _act(browser_of(world, alma), ana, "reset")
    assert answer.status_code == 303
    world.settle()
    letters = [str(each.get_body(("plain",))) for each in mail_server.messages_to(ANA)]
    links = {link for text in letters for link in re.findall(r"/recover/link/\S+", text)}
    assert len(links) == 1
    page = browser_of(world, alma).get(f"/admin/accounts/{ana.account_id}").text
    assert links.pop().rsplit("/", 1)[1] not in page
    assert ("credentials:password:reset-requested", f"administrator:{alma.account_id}") in _events(
        world, ana
    )


@sqlite_alone
def test_a_role_is_changed_by_somebody_else_and_ends_the_sessions(
    world: World, alma: Account, ana: Account
) -> None:
    own = world.client
    sign_in(own)
    client = browser_of(world, alma)
    assert _act(client, ana, "role").status_code == 422
    assert _act(client, ana, "role", role="staff").status_code == 303
    assert _act(client, ana, "role", role="staff").status_code == 409  # it has it already
    assert _act(client, alma, "role", role="person").status_code == PROBLEMS[OwnAccount.code].status
    sign_in_for_real(world)
    assert not is_signed_in(own)
    assert account_of(world, ANA).role is Role.STAFF
    assert _act(browser_of(world, alma), ana, "role", role="person").status_code == 303
    assert account_of(world, ANA).role is Role.PERSON
    tags = [tag for tag, _who in _events(world, ana)]
    assert tags.count("accounts:role:granted") == tags.count("accounts:role:removed") == 1


@pytest.mark.parametrize("act", ["role", "disable"])
def test_of_two_administrators_who_remove_each_other_one_stays(
    world: World, alma: Account, act: str
) -> None:
    other = open_account(world, BRUNO, Role.ADMINISTRATOR)
    administration = world.placet.administration
    barrier = Barrier(2)

    def remove(pair: tuple[Account, Account]) -> str:
        by, whom = pair
        barrier.wait()
        with world.placet.runtime.unit_of_work(actor_of(by)) as uow:
            try:
                if act == "role":
                    administration.change_role(uow, whom.account_id, Role.PERSON)
                else:
                    administration.disable(uow, whom.account_id, "porque sí")
            except DomainError as error:
                return error.code
        return "done"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(remove, [(alma, other), (other, alma)]))
    assert answers == ["done", LastAdministrator.code]


@sqlite_alone
def test_an_operator_cannot_remove_the_last_administrator_either(
    world: World, alma: Account
) -> None:
    administration = world.placet.administration
    with world.placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(LastAdministrator):
        administration.disable(uow, alma.account_id, "por error")
    assert account_of(world, ALMA).role is Role.ADMINISTRATOR


@sqlite_alone
def test_an_invitation_is_shown_once_and_can_be_taken_back(world: World, alma: Account) -> None:
    client = browser_of(world, alma)
    assert submit(client, "/admin/invite", {"role": "person"}).status_code == 422
    made = submit(client, "/admin/invite", {"role": "dpo"})
    found = re.search(r"/invitation/[\w-]+", made.text)
    assert found
    assert world.client.get(found[0]).status_code == 200
    start = client.get("/admin").text
    assert found[0] not in start
    revoke = re.search(r'"(/admin/invitations/[0-9a-f]{32}/revoke)"', start)
    assert revoke
    assert submit(client, revoke[1], {}).status_code == 303
    assert world.client.get(found[0]).status_code == 410
    assert client.get(revoke[1]).status_code == 404  # it is no open one any more
    with world.placet.runtime.unit_of_work(actor_of(alma)) as uow, pytest.raises(NotFound):
        world.placet.administration.revoke_invitation(uow, revoke[1].split("/")[3])


@sqlite_alone
def test_what_is_not_active_cannot_be_disabled_and_what_is_active_not_enabled(
    world: World, alma: Account, ana: Account
) -> None:
    administration = world.placet.administration
    with world.placet.runtime.unit_of_work(actor_of(alma)) as uow, pytest.raises(Conflict):
        administration.enable(uow, ana.account_id, "nada")
    with world.placet.runtime.unit_of_work(actor_of(alma)) as uow:
        administration.disable(uow, ana.account_id, "algo")
    with world.placet.runtime.unit_of_work(actor_of(alma)) as uow, pytest.raises(Conflict):
        administration.disable(uow, ana.account_id, "otra vez")
    assert _act(browser_of(world, alma), ana, "disable", reason="otra vez").status_code == 409
