"""The public form: asking without an account, proving the address, following the request."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from policies.errors import DomainError
from policies.vocabulary import Right, Scope
from privacy.actor import ANONYMOUS
from privacy.audit import store as audit_store
from privacy.rights.housekeeping import Housekeeping
from privacy.rights.store import AttemptRow, RequestRow
from tests.privacy.rights.steps import (
    ask_by_form,
    browse_as,
    code_in,
    link_in,
    mailed,
    of_person,
    proved,
    reference_in,
    state_of,
    words,
)
from tests.support.cast import ANA, application, ask, calls_as, give, introduce
from tests.support.forms import csrf_token, forms, submit
from tests.support.smtp import MailServer
from tests.support.world import World


def row_of(world: World) -> RequestRow:
    with world.placet.runtime.snapshot() as session:
        return session.scalars(sa.select(RequestRow)).one()


def entries(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(audit_store.Entry)) or 0


def test_the_form_asks_for_no_identity_document(world: World) -> None:
    page = world.client.get("/rights?right=access").text
    assert 'type="file"' not in page
    form = forms(page)[-1]
    assert set(re.findall(r'name="(\w+)"', form)) == {"csrf_token", "right", "email", "message"}


def test_every_right_is_offered_and_none_is_chosen(world: World) -> None:
    page = world.client.get("/rights").text
    assert re.findall(r'name="right" value="([^"]+)"', page) == [each.value for each in Right]
    assert "checked" not in page


def test_going_on_without_a_choice_says_what_is_missing(world: World) -> None:
    answer = world.client.get("/rights?ask=yes")
    assert answer.status_code == 422
    assert '<a href="#right">Elige qué quieres pedir.</a>' in answer.text


def test_every_right_can_be_asked_by_the_form(world: World, mail_server: MailServer) -> None:
    more = {"attribute": "given_name", "value": "Ana", "purpose": "newsletter", "message": "Pido"}
    for right in Right:
        email = f"{right.value}@example.com"
        reference = proved(world, mail_server, world.client, right.value, email=email, **more)
        assert state_of(world, reference) == "open"


def test_a_known_and_an_unknown_address_get_the_same_answer(
    world: World, mail_server: MailServer
) -> None:
    introduce(world)
    known, unknown = world.client, world.client
    answers = [
        ask_by_form(known, "access", ANA),
        ask_by_form(unknown, "access", "nadie@example.com"),
    ]
    assert {(a.status_code, a.headers["Location"]) for a in answers} == {(303, "/rights/code")}
    pages = {client.get("/rights/code").text.split("csrf_token")[0] for client in (known, unknown)}
    assert len(pages) == 1
    world.settle()
    assert len(mail_server.messages_to(ANA)) == len(mail_server.messages_to("nadie@example.com"))


def test_opening_the_mailed_link_changes_nothing(world: World, mail_server: MailServer) -> None:
    client = world.client
    ask_by_form(client, "access")
    path = link_in(mailed(world, mail_server))
    before = entries(world)
    assert client.get(path).status_code == 200
    assert client.head(path).status_code == 200
    assert row_of(world).state == "unverified"
    assert entries(world) == before


def test_the_link_works_once_and_from_another_browser(
    world: World, mail_server: MailServer
) -> None:
    introduce(world)
    ask_by_form(world.client, "access")
    path, phone = link_in(mailed(world, mail_server)), world.client
    reference = reference_in(submit(phone, path, {}))
    assert phone.get(f"/rights/requests/{reference}").status_code == 200
    used = phone.get(path, headers={"Accept": "text/html"})
    assert used.status_code == 410
    assert "Este enlace ya no sirve" in used.text
    token = csrf_token(phone.get("/rights?right=access").text)
    again = phone.post(path, data={"csrf_token": token})
    assert again.status_code == 410


def test_the_code_works_once_and_ends_the_link(world: World, mail_server: MailServer) -> None:
    introduce(world)
    client = world.client
    ask_by_form(client, "access")
    letter = mailed(world, mail_server)
    code = code_in(letter)
    typed = f" {code[:4]}-{code[4:]} "
    token = csrf_token(client.get("/rights/code").text)
    answers = [
        client.post("/rights/code", data={"code": typed, "csrf_token": token}) for _ in range(2)
    ]
    assert state_of(world, reference_in(answers[0])) == "open"
    assert answers[1].status_code == 410
    assert client.get(link_in(letter)).status_code == 410


def test_a_code_is_of_no_use_in_another_browser(world: World, mail_server: MailServer) -> None:
    ask_by_form(world.client, "access")
    code = code_in(mailed(world, mail_server))
    other = world.client
    token = csrf_token(other.get("/rights?right=access").text)
    answer = other.post("/rights/code", data={"code": code, "csrf_token": token})
    assert answer.status_code == 410
    assert row_of(world).state == "unverified"


def test_after_five_codes_even_the_right_one_is_not_looked_at_but_the_link_works(
    world: World, mail_server: MailServer
) -> None:
    client = world.client
    ask_by_form(client, "access")
    letter = mailed(world, mail_server)
    wrong = "00000000" if code_in(letter) != "00000000" else "11111111"
    for _ in range(5):
        answer = submit(client, "/rights/code", {"code": wrong})
        assert answer.status_code == 422
        assert "field-error" in answer.text
    assert submit(client, "/rights/code", {"code": code_in(letter)}).status_code == 429
    assert row_of(world).state == "unverified"
    assert submit(client, link_in(letter), {}).status_code == 303


def test_a_code_lives_ten_minutes_and_a_link_a_day(world: World, mail_server: MailServer) -> None:
    client = world.client
    ask_by_form(client, "access")
    letter = mailed(world, mail_server)
    world.clock.advance(minutes=10)
    assert submit(client, "/rights/code", {"code": code_in(letter)}).status_code == 410
    world.clock.advance(hours=23, minutes=49, seconds=59)
    assert client.get(link_in(letter)).status_code == 200
    world.clock.advance(seconds=1)
    assert client.get(link_in(letter)).status_code == 410


def test_of_twenty_proofs_at_once_one_counts(world: World, mail_server: MailServer) -> None:
    introduce(world)
    client = world.client
    ask_by_form(client, "access")
    letter = mailed(world, mail_server)
    token = link_in(letter).rsplit("/", 1)[1]
    identity, code = row_of(world).request_id, code_in(letter)
    rights, runtime = world.placet.rights, world.placet.runtime
    together = threading.Barrier(20)

    def attempt(number: int) -> bool:
        together.wait()
        try:
            with runtime.unit_of_work(ANONYMOUS) as uow:
                if number % 5 == 0:
                    rights.prove_by_code(uow, identity, code)
                else:
                    rights.prove_by_link(uow, token)
        except DomainError:
            return False
        return True

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(attempt, range(20))) == 1
    world.settle()
    assert len(mail_server.messages_to(ANA)) == 2  # the proof, and one confirmation
    assert world.verify().ok


def test_an_unproved_request_is_forgotten_after_a_day(
    world: World, mail_server: MailServer
) -> None:
    ask_by_form(world.client, "access", message="secreto")
    world.clock.advance(hours=24)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        assert world.placet.rights.expire_unproved(uow) == 1
    row = row_of(world)
    assert row.state == "expired"
    assert (row.contact_sealed, row.message_sealed, row.token_digest) == (None, None, None)
    world.settle()
    assert world.verify().ok


def test_the_month_runs_from_receipt_not_from_proof(world: World, mail_server: MailServer) -> None:
    world.clock.now = datetime(2026, 1, 31, 22, 0, tzinfo=UTC)
    client = world.client
    ask_by_form(client, "access")
    path = link_in(mailed(world, mail_server))
    world.clock.advance(hours=20)
    mail_server.clear()
    reference = reference_in(submit(client, path, {}))
    row = row_of(world)
    assert row.due_nominal.isoformat() == "2026-02-28"
    assert row.due_effective.isoformat() == "2026-03-02"
    assert row.due_at == datetime(2026, 3, 2, 23, 0, tzinfo=UTC)  # midnight in Madrid
    letter = mailed(world, mail_server)
    assert reference in str(letter["Subject"])
    assert "2 de marzo de 2026" in words(letter)


def test_a_known_person_takes_their_data_for_a_day_in_the_browser_that_proved(
    world: World, mail_server: MailServer
) -> None:
    ana, client = introduce(world), world.client
    give(world, ana)
    reference = proved(world, mail_server, client, "access")
    page = f"/rights/requests/{reference}"
    data = submit(client, page, {"form": "json"}, to=f"{page}/data")
    assert data.json is not None
    assert data.json["data"]["profile"]["emails"] == [ANA]
    assert state_of(world, reference) == "fulfilled"
    assert world.client.get(page).status_code == 404
    world.clock.advance(hours=24)
    assert client.get(page).status_code == 404


def test_an_unknown_persons_request_is_open_for_staff_and_yields_no_data(
    world: World, mail_server: MailServer
) -> None:
    client = world.client
    reference = proved(world, mail_server, client, "access", email="nadie@example.com")
    assert row_of(world).subject_id is None
    page = client.get(f"/rights/requests/{reference}")
    assert "/data" not in page.text
    token = csrf_token(client.get("/rights?right=access").text)
    answer = client.post(f"/rights/requests/{reference}/data", data={"csrf_token": token})
    assert answer.status_code == 404
    assert state_of(world, reference) == "open"


def test_a_proved_objection_shows_in_the_next_decision(
    world: World, mail_server: MailServer
) -> None:
    ana = introduce(world)
    give(world, ana)
    calls_as(world, application(scopes=frozenset({Scope.DECISIONS_EVALUATE})))
    client = world.client
    ask_by_form(client, "objection", purpose="newsletter")
    path = link_in(mailed(world, mail_server))
    before = ask(world, ana).json
    assert before is not None
    assert before["decision"] is True
    reference = reference_in(submit(client, path, {}))
    answer = ask(world, ana).json
    assert answer is not None
    assert answer["decision"] is False
    assert "objected" in answer["context"]["reasons"]
    assert state_of(world, reference) == "fulfilled"
    mail_server.clear()
    world.settle()
    page = client.get(f"/rights/requests/{reference}").text
    assert "Lista Robinson" in page


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("right", "typed", "field"),
    [
        ("access", {"email": "nadie"}, "email"),
        ("access", {"message": "x" * 4001}, "message"),
        ("rectification", {"attribute": "", "value": "Luisa"}, "attribute"),
        ("rectification", {"attribute": "given_name", "value": "x" * 201}, "value"),
        ("rectification", {"attribute": "given_name", "value": " "}, "value"),
        ("objection", {"purpose": "nothing"}, "purpose"),
        ("restriction", {"message": "  "}, "message"),
    ],
)
def test_a_wrong_field_is_named_and_what_was_typed_is_kept(
    world: World, right: str, typed: dict[str, str], field: str
) -> None:
    values = {"email": ANA, "message": "hola", **typed}
    answer = submit(
        world.client, f"/rights?right={right}", {"right": right, **values}, to="/rights"
    )
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert f'href="#{field}"' in answer.text
    kept = [value for value in values.values() if value.strip() and value != "nothing"]
    assert [value for value in kept if value not in answer.text] == []
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(RequestRow)) == 0


def test_a_right_that_is_none_leads_back_to_the_choice(world: World) -> None:
    answer = submit(
        world.client, "/rights?right=access", {"right": "x", "email": ANA}, to="/rights"
    )
    assert answer.status_code == 422
    assert "¿Qué quieres pedir?" in answer.text


def test_one_mailbox_gets_three_letters_an_hour_and_the_table_names_nobody(
    world: World, mail_server: MailServer
) -> None:
    codes = [ask_by_form(world.client, "access").status_code for _ in range(4)]
    assert codes == [303, 303, 303, 429]
    world.settle()
    assert len(mail_server.messages_to(ANA)) == 3
    with world.placet.runtime.snapshot() as session:
        keys = [row.key for row in session.scalars(sa.select(AttemptRow))]
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
    world.clock.advance(hours=1)
    assert ask_by_form(world.client, "access").status_code == 303


def test_one_network_asks_twenty_times_an_hour(world: World) -> None:
    codes = [
        ask_by_form(world.client, "access", f"ana{number}@example.com").status_code
        for number in range(21)
    ]
    assert codes == [303] * 20 + [429]


def test_somebody_elses_reference_is_not_there(world: World, mail_server: MailServer) -> None:
    ana, carla = introduce(world), introduce(world, "carla@example.com")
    reference = proved(world, mail_server, world.client, "access")
    browse_as(world, of_person(carla))
    stranger: FlaskClient = world.client
    assert stranger.get(f"/rights/requests/{reference}").status_code == 404
    assert stranger.get("/rights/requests/D-2026-999999").status_code == 404
    token = csrf_token(stranger.get("/rights/access").text)
    taken = stranger.post(f"/rights/requests/{reference}/data", data={"csrf_token": token})
    assert taken.status_code == 404
    browse_as(world, of_person(ana))
    assert world.client.get(f"/rights/requests/{reference}").status_code == 200


def test_the_worker_looks_once_a_minute_and_again_while_there_is_work(world: World) -> None:
    placet = world.placet
    task = Housekeeping(placet.runtime, placet.rights, placet.eraser)
    assert task.run_due() == 0
    ask_by_form(world.client, "access")
    world.clock.advance(hours=24)
    assert task.run_due() == 1
    assert row_of(world).state == "expired"
    assert task.run_due() == 0
    with placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(AttemptRow)).all() != []
    world.clock.advance(days=1, hours=1)
    assert task.run_due() == 0
    with placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(AttemptRow)).all() == []
