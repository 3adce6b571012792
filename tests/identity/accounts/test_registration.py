"""From the form to the proven address."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from identity.accounts.mailbox_proof import code_matches
from identity.accounts.model import LinkNotValid
from identity.accounts.registration import HasAccount, Opened
from identity.accounts.store import AccountRow, PendingRegistration
from privacy.actor import ANONYMOUS, SYSTEM
from privacy.subjects.store import IdentifierRow, SubjectRow
from tests.identity.people import (
    ANA,
    BRUNO,
    OTHER_PASSWORD,
    PASSWORD,
    account_of,
    ask_for_account,
    has_account,
    is_signed_in,
    letter,
    register,
    sign_in,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

THREADS = 20


def _count(world: World, table: type) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _begin(world: World, email: str = ANA, password: str = PASSWORD) -> str:
    identity = world.placet.identity
    encoded = identity.passwords.choose(password, email=email)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        return identity.registrations.begin(uow, email=email, password_hash=encoded, language="es")


def opened(proven: Opened | HasAccount) -> str:
    """Return the id of the account that a proof opened."""
    assert isinstance(proven, Opened)
    return proven.account.account_id


def test_nobody_is_known_before_the_address_is_proven(
    world: World, mail_server: MailServer
) -> None:
    client = world.client
    answer = ask_for_account(client)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/register/code")
    for table in (AccountRow, SubjectRow, IdentifierRow):
        assert _count(world, table) == 0
    assert not is_signed_in(client)
    assert sign_in(world.client).status_code == 422

    code = letter(world, mail_server, ANA).code
    answer = submit(client, "/register/code", {"code": code})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/privacy")
    for table in (AccountRow, SubjectRow, IdentifierRow):
        assert _count(world, table) == 1
    assert _count(world, PendingRegistration) == 0
    assert is_signed_in(client)
    assert world.verify().ok


def test_looking_at_the_mailed_link_changes_nothing(world: World, mail_server: MailServer) -> None:
    client = world.client
    ask_for_account(client)
    path = letter(world, mail_server, ANA).path
    for browser in (client, world.client):
        for _ in range(3):
            page = browser.get(path)
            assert page.status_code == 200
            assert page.headers["Referrer-Policy"] == "no-referrer"
            assert len(re.findall(r"<main.*<button[^>]*type=\"submit\"", page.text, re.DOTALL)) == 1
            assert browser.head(path).status_code == 200
    assert not has_account(world)
    assert not is_signed_in(client)
    assert _count(world, AccountRow) == 0
    assert submit(client, path, {}).headers["Location"] == "/privacy"
    assert has_account(world)


def test_a_link_works_once(world: World, mail_server: MailServer) -> None:
    client = world.client
    ask_for_account(client)
    path = letter(world, mail_server, ANA).path
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    assert token
    form = {"csrf_token": token[1]}
    assert client.post(path, data=form).status_code == 303
    again = world.client
    assert again.get(path).status_code == 410
    assert _count(world, AccountRow) == 1


def test_a_link_lives_exactly_a_day(world: World, mail_server: MailServer) -> None:
    ask_for_account(world.client)
    path = letter(world, mail_server, ANA).path
    world.clock.advance(hours=24)
    assert world.client.get(path).status_code == 410
    world.clock.now -= timedelta(microseconds=1)
    assert world.client.get(path).status_code == 200


def test_a_code_lives_exactly_ten_minutes(world: World, mail_server: MailServer) -> None:
    client = world.client
    ask_for_account(client)
    code = letter(world, mail_server, ANA).code
    world.clock.advance(minutes=10)
    assert submit(client, "/register/code", {"code": code}).status_code == 410
    world.clock.now -= timedelta(microseconds=1)
    assert submit(client, "/register/code", {"code": code}).status_code == 303


def test_five_wrong_codes_void_the_code_and_spare_the_link(
    world: World, mail_server: MailServer
) -> None:
    client = world.client
    ask_for_account(client)
    found = letter(world, mail_server, ANA)
    wrong = f"{(int(found.code) + 1) % 10**8:08d}"
    for _ in range(5):
        assert submit(client, "/register/code", {"code": wrong}).status_code == 422
    assert submit(client, "/register/code", {"code": found.code}).status_code == 410
    assert not has_account(world)
    assert submit(client, found.path, {}).status_code == 303


def test_a_code_is_bound_to_the_browser_that_asked_for_it(
    world: World, mail_server: MailServer
) -> None:
    ask_for_account(world.client)
    code = letter(world, mail_server, ANA).code
    stranger = world.client
    ask_for_account(stranger, BRUNO)
    assert submit(stranger, "/register/code", {"code": code}).status_code == 422
    assert world.client.get("/register/code").headers["Location"] == "/register"
    assert _count(world, AccountRow) == 0


def test_a_code_may_be_typed_with_spaces(world: World, mail_server: MailServer) -> None:
    client = world.client
    ask_for_account(client)
    code = letter(world, mail_server, ANA).code
    answer = submit(client, "/register/code", {"code": f" {code[:4]} {code[4:6]}-{code[6:]} "})
    assert answer.status_code == 303


def test_known_and_unknown_addresses_get_the_same_answer(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server, ANA)
    known, unknown = world.client, world.client
    answers = []
    for client, email in ((known, ANA), (unknown, BRUNO)):
        answer = ask_for_account(client, email)
        page = client.get("/register/code")
        wrong = [submit(client, "/register/code", {"code": "00000000"}) for _ in range(6)]
        answers.append(
            [
                (a.status_code, _without_token(a.text), a.headers.get("Location"))
                for a in (answer, page, *wrong)
            ]
        )
    assert answers[0] == answers[1]
    told = letter(world, mail_server, ANA, 2)
    assert told.path == "/login"
    assert not re.search(r"\d{8}", told.text)


def _without_token(page: str) -> str:
    return re.sub(r'name="csrf_token"[^>]*value="[^"]+"', "", page)


def test_who_proves_the_address_is_not_given_the_account_that_somebody_else_prepared(
    world: World, mail_server: MailServer
) -> None:
    attacker, ana = world.client, world.client
    ask_for_account(attacker, ANA, OTHER_PASSWORD)
    prepared = letter(world, mail_server, ANA)
    ask_for_account(ana, ANA, PASSWORD)
    own = letter(world, mail_server, ANA, 2)
    assert submit(ana, "/register/code", {"code": own.code}).status_code == 303
    # The attacker's registration has died with every way to it.
    assert submit(attacker, "/register/code", {"code": prepared.code}).status_code == 410
    assert world.client.get(prepared.path).status_code == 410
    assert sign_in(world.client, ANA, OTHER_PASSWORD).status_code == 422
    assert sign_in(world.client, ANA, PASSWORD).status_code == 303


def test_a_careless_press_of_a_strangers_link_opens_nothing(
    world: World, mail_server: MailServer
) -> None:
    ask_for_account(world.client, ANA, OTHER_PASSWORD)  # somebody registers Ana's address
    path = letter(world, mail_server, ANA).path
    ana = world.client
    for guess in ("", PASSWORD):
        assert submit(ana, path, {"password": guess}).status_code == 422
    assert not has_account(world)
    assert not is_signed_in(ana)


def test_a_link_opened_in_another_browser_asks_for_the_password_five_times_at_most(
    world: World, mail_server: MailServer
) -> None:
    ask_for_account(world.client)
    path = letter(world, mail_server, ANA).path
    phone = world.client
    world.clock.advance(hours=1)  # the code's time is over, the link's is not
    for _ in range(4):
        assert submit(phone, path, {"password": OTHER_PASSWORD}).status_code == 422
    assert submit(phone, path, {"password": PASSWORD}).status_code == 303
    assert is_signed_in(phone)

    ask_for_account(world.client, BRUNO)
    path = letter(world, mail_server, BRUNO).path
    for _ in range(5):
        assert submit(phone, path, {"password": OTHER_PASSWORD}).status_code == 422
    assert submit(phone, path, {"password": PASSWORD}).status_code == 410
    assert not has_account(world, BRUNO)


def test_twenty_uses_of_one_code_side_by_side_open_one_account(
    world: World, mail_server: MailServer
) -> None:
    registrations = world.placet.identity.registrations
    registration_id = _begin(world)
    code = letter(world, mail_server, ANA).code
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:  # leave the race the whole way open
        uow.session.execute(sa.update(PendingRegistration).values(code_attempts=-THREADS))
        uow.commit()
    barrier = Barrier(THREADS)

    def prove(_number: int) -> str:
        barrier.wait()
        try:
            return opened(registrations.prove_by_code(ANONYMOUS, registration_id, code))
        except LinkNotValid:
            return "refused"

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(prove, range(THREADS)))
    assert results.count("refused") == THREADS - 1
    assert _count(world, AccountRow) == _count(world, SubjectRow) == 1
    world.settle()
    assert world.verify().ok


def test_twenty_uses_of_one_link_side_by_side_open_one_account(
    world: World, mail_server: MailServer
) -> None:
    registrations = world.placet.identity.registrations
    _begin(world)
    token = letter(world, mail_server, ANA).path.rsplit("/", 1)[1]
    barrier = Barrier(THREADS)

    def prove(_number: int) -> str:
        barrier.wait()
        try:
            return opened(registrations.prove_by_link(ANONYMOUS, token, password=None))
        except LinkNotValid:
            return "refused"

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(prove, range(THREADS)))
    assert results.count("refused") == THREADS - 1
    assert _count(world, AccountRow) == _count(world, SubjectRow) == 1


def test_registrations_of_one_address_proven_side_by_side_open_one_account(
    world: World, mail_server: MailServer
) -> None:
    registrations = world.placet.identity.registrations
    ids = [_begin(world, password=f"{PASSWORD} {number}") for number in range(8)]
    codes = [letter(world, mail_server, ANA, number + 1).code for number in range(8)]
    with world.placet.runtime.snapshot() as session:
        digests = {
            row.registration_id: row.code_digest
            for row in session.scalars(sa.select(PendingRegistration))
        }
    code_of = {
        registration_id: next(c for c in codes if code_matches(registration_id, c, digest))
        for registration_id, digest in digests.items()
    }
    barrier = Barrier(8)

    def prove(registration_id: str) -> str:
        barrier.wait()
        try:
            code = code_of[registration_id]
            return opened(registrations.prove_by_code(ANONYMOUS, registration_id, code))
        except LinkNotValid:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(prove, ids))
    assert results.count("refused") == 7
    assert _count(world, AccountRow) == 1
    assert _count(world, PendingRegistration) == 0


def test_a_person_whom_a_shop_made_known_becomes_the_account_s_person(
    world: World, mail_server: MailServer
) -> None:
    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = placet.subjects.by_email(uow, ANA, keep=False)
        uow.commit()
    client = world.client
    ask_for_account(client, "Ana@Example.com")
    submit(client, "/register/code", {"code": letter(world, mail_server, ANA).code})
    assert account_of(world).subject_id == subject_id
    with placet.runtime.snapshot() as session:
        assert placet.subjects.emails(session, subject_id) == [ANA]


def test_registration_leads_back_to_where_it_was_asked_for(
    world: World, mail_server: MailServer
) -> None:
    client = world.client
    form = {"email": ANA, "password": PASSWORD, "next": "/oauth/authorize?client_id=x"}
    submit(client, "/register", form)
    code = letter(world, mail_server, ANA).code
    answer = submit(client, "/register/code", {"code": code})
    assert answer.headers["Location"] == "/oauth/authorize?client_id=x"


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("nobody", PASSWORD, "email"),
        ("", PASSWORD, "email"),
        (ANA, "mi clave 7", "password"),
        (ANA, "", "password"),
        (ANA, "a" * 40, "password"),
        (ANA, "correct horse battery staple", "password"),
        ("guillermina@example.com", "guillermina1234", "password"),
        (ANA, "x" * 5000, "password"),
    ],
)
def test_a_bad_form_is_shown_again_and_changes_nothing(
    world: World, email: str, password: str, field: str
) -> None:
    answer = ask_for_account(world.client, email, password)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert password not in answer.text or not password
    assert _count(world, PendingRegistration) == 0


def test_the_letter_is_in_the_visitor_s_language(world: World, mail_server: MailServer) -> None:
    client = world.client
    client.get("/register?lang=en")
    ask_for_account(client)
    with world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(PendingRegistration.language)).one() == "en"


def test_a_code_may_be_wrong_without_a_trace_of_the_person(
    world: World, mail_server: MailServer
) -> None:
    """What is refused leaves the address sealed, under no person, until it runs out."""
    client = world.client
    ask_for_account(client)
    submit(client, "/register/code", {"code": "00000000"})
    world.settle()
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(PendingRegistration)).one()
        assert ANA.encode() not in row.email_sealed
        assert row.code_attempts == 1
    world.clock.advance(hours=24)
    assert world.placet.identity.housekeeping.run_due() >= 1
    assert _count(world, PendingRegistration) == 0
