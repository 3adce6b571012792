"""The DPO's desk: the queue, one request, and answers that reach the person."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from policies.vocabulary import RightsState, Scope
from privacy.actor import SYSTEM
from privacy.rights.model import RequestClosed
from privacy.rights.store import RequestRow
from privacy.settings import EXAMPLE_REGISTER
from tests.privacy.rights.steps import (
    BRUNO,
    browse_as,
    link_in,
    mailed,
    of_person,
    proved,
    request_id,
    signed_out,
    state_of,
    words,
)
from tests.support.cast import ANA, Person, application, ask, calls_as, give, introduce
from tests.support.forms import csrf_token, submit
from tests.support.sample import PAGES
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

pytestmark = PAGES

NOBODY = "nadie@example.com"


def desk_path(world: World, reference: str) -> str:
    return f"/dpo/requests/{request_id(world, reference)}"


def asked(world: World, mail_server: MailServer, right: str, email: str = ANA, **more: str) -> str:
    """Have a request waiting at the desk, with Bruno sitting there, and return its path."""
    signed_out(world)
    reference = proved(world, mail_server, world.client, right, email=email, **more)
    world.settle()
    mail_server.clear()
    browse_as(world, BRUNO)
    return desk_path(world, reference)


def permitted(world: World, person: Person, purpose: str) -> bool:
    decision = ask(world, person, purpose).json
    assert decision is not None
    return bool(decision["decision"])


def answer(
    world: World, path: str, text: str, kind: str = "fulfil", **more: str
) -> tuple[int, str]:
    done = submit(world.client, path, {"text": text, "answer": kind, **more}, to=f"{path}/answer")
    return done.status_code, done.text


def test_the_desk_is_for_staff_alone(world: World) -> None:
    signed_out(world)
    answered = world.client.get("/dpo", headers={"Accept": "text/html"})
    assert answered.headers["Location"] == "/login?next=%2Fdpo"
    browse_as(world, of_person(introduce(world)))
    assert world.client.get("/dpo").status_code == 403
    assert world.client.get(f"/dpo/requests/{'0' * 32}").status_code == 403
    client = world.client
    token = csrf_token(client.get("/rights/access").text)
    for action in ("answer", "access-link"):
        path = f"/dpo/requests/{'0' * 32}/{action}"
        assert client.post(path, data={"csrf_token": token}).status_code == 403


def test_an_empty_desk_says_what_will_appear(world: World) -> None:
    browse_as(world, BRUNO)
    page = world.client.get("/dpo")
    assert "No hay solicitudes que mostrar" in page.text
    assert "/dpo/consents" in page.text


def test_the_queue_is_sorted_by_the_last_day_and_filtered_by_its_address(
    world: World, mail_server: MailServer
) -> None:
    introduce(world)
    first = proved(world, mail_server, world.client, "erasure")
    world.clock.advance(days=28)
    second = proved(world, mail_server, world.client, "restriction", message="Pido")
    browse_as(world, BRUNO)
    page = world.client.get("/dpo").text
    assert page.index(first) < page.index(second)
    assert "6 días" in page  # 31 March to 6 April
    assert '<option value="open" selected>' in page
    only = world.client.get("/dpo?right=restriction").text
    assert second in only
    assert first not in only
    assert '<option value="restriction" selected>' in only
    assert first in world.client.get(f"/dpo?reference={first.lower()}").text
    world.clock.advance(days=7)
    late = world.client.get("/dpo?overdue=yes").text
    assert first in late
    assert second not in late
    assert "1 día tarde" in late
    assert "No hay solicitudes" in world.client.get("/dpo?state=refused").text
    assert world.client.get("/dpo?right=x&state=y&page=zzz").status_code == 200
    assert world.client.get("/dpo?page=99999999999999999999").status_code == 200


def test_the_request_shows_message_contact_and_both_dates_and_escapes_the_message(
    world: World, mail_server: MailServer
) -> None:
    introduce(world)
    path = asked(world, mail_server, "erasure", message="<script>alert(1)</script>\nGracias")
    page = world.client.get(path).text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    for text in (ANA, "Gracias", "viernes, 3 de abril de 2026", "lunes, 6 de abril de 2026"):
        assert text in page


def test_an_answer_reaches_the_person_by_mail_and_on_their_page(
    world: World, mail_server: MailServer
) -> None:
    ana = introduce(world)
    path = asked(world, mail_server, "restriction", message="Estoy reclamando")
    assert answer(world, path, "Hemos parado.\n\nDelia")[0] == 303
    letter = mailed(world, mail_server)
    assert "Hemos parado." in words(letter)
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(RequestRow)).one()
    assert row.state == "fulfilled"
    assert row.outcome_sealed is not None
    assert b"Hemos parado" not in row.outcome_sealed
    browse_as(world, of_person(ana))
    assert "Hemos parado." in world.client.get(f"/rights/requests/{row.reference}").text
    assert world.verify().ok


def test_a_refusal_gives_reasons_and_names_authority_and_courts(
    world: World, mail_server: MailServer
) -> None:
    path = asked(world, mail_server, "erasure", email=NOBODY)
    assert answer(world, path, "No tenemos datos tuyos.", "refuse")[0] == 303
    text = words(mailed(world, mail_server, NOBODY))
    assert "No tenemos datos tuyos." in text
    assert "Agencia Española de Protección de Datos" in text
    assert "www.aepd.es" in text
    assert "tribunales" in text


def test_an_answer_without_words_is_refused(world: World, mail_server: MailServer) -> None:
    introduce(world)
    path = asked(world, mail_server, "restriction", message="Pido")
    for kind in ("fulfil", "refuse"):
        for text in ("", "  \n ", "x" * 4001):
            status, page = answer(world, path, text, kind)
            assert status == 422
            assert 'id="text-error"' in page
    world.settle()
    assert mail_server.messages == []
    with world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(RequestRow)).one().state == "open"


def test_an_answer_that_is_neither_grant_nor_refusal_is_refused(
    world: World, mail_server: MailServer
) -> None:
    path = asked(world, mail_server, "erasure", email=NOBODY)
    assert answer(world, path, "Hola", "maybe")[0] == 422


def test_a_request_is_answered_once(world: World, mail_server: MailServer) -> None:
    path = asked(world, mail_server, "restriction", email=NOBODY, message="Pido")
    client = world.client
    token = csrf_token(client.get(path).text)
    data = {"text": "Hecho", "answer": "fulfil", "csrf_token": token}
    codes = [client.post(f"{path}/answer", data=data).status_code for _ in range(2)]
    assert codes == [303, 409]
    assert "Responder</h2>" not in client.get(path).text
    world.settle()
    assert len(mail_server.messages) == 1


def test_of_eight_answers_at_once_one_is_sent(world: World, mail_server: MailServer) -> None:
    path = asked(world, mail_server, "restriction", email=NOBODY, message="Pido")
    identity = path.rsplit("/", 1)[1]
    rights, runtime = world.placet.rights, world.placet.runtime
    together = threading.Barrier(8)

    def attempt(number: int) -> bool:
        together.wait()
        state = RightsState.FULFILLED if number % 2 else RightsState.REFUSED
        try:
            with runtime.unit_of_work(BRUNO) as uow:
                rights.answer(uow, identity, state, f"Respuesta {number}")
        except RequestClosed:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1
    world.settle()
    assert len(mail_server.messages) == 1


def test_an_unknown_request_is_not_there(world: World) -> None:
    browse_as(world, BRUNO)
    assert world.client.get(f"/dpo/requests/{'0' * 32}").status_code == 404


def test_an_unproved_request_cannot_be_answered(world: World, mail_server: MailServer) -> None:
    client = world.client
    submit(client, "/rights?right=erasure", {"right": "erasure", "email": ANA}, to="/rights")
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(RequestRow)).one()
    browse_as(world, BRUNO)
    token = csrf_token(client.get(f"/dpo/requests/{row.request_id}").text)
    data = {"text": "Hecho", "answer": "fulfil", "csrf_token": token}
    assert client.post(f"/dpo/requests/{row.request_id}/answer", data=data).status_code == 409


def test_granting_a_rectification_corrects_the_field(world: World, mail_server: MailServer) -> None:
    ana = introduce(world)
    path = asked(world, mail_server, "rectification", attribute="given_name", value="Ana Mria")
    page = world.client.get(path).text
    assert 'value="Ana Mria"' in page
    status, _page = answer(world, path, "Corregido.", attribute="given_name", value="Ana María")
    assert status == 303
    with world.placet.runtime.snapshot() as session:
        found = world.placet.subjects.profile(session, ana.subject_id)
    assert list(found.values()) == ["Ana María"]


def test_granting_a_rectification_without_its_value_keeps_the_answer_typed(
    world: World, mail_server: MailServer
) -> None:
    introduce(world)
    path = asked(world, mail_server, "rectification", attribute="phone", value="600")
    status, page = answer(world, path, "Corregido.", attribute="phone", value="")
    assert status == 422
    assert 'id="value-error"' in page
    assert "Corregido." in page


def test_granting_an_erasure_erases_and_confirms(world: World, mail_server: MailServer) -> None:
    ana = introduce(world)
    calls_as(world, application(scopes=frozenset({Scope.DECISIONS_EVALUATE})))
    give(world, ana)
    path = asked(world, mail_server, "erasure")
    assert answer(world, path, "Hecho, Ana.")[0] == 303
    decision = ask(world, ana).json
    assert decision is not None
    assert decision["context"]["reasons"] == ["unknown-person"]
    letter = mailed(world, mail_server)
    assert "Hecho, Ana." in words(letter)
    assert "3 de marzo de 2029" in words(letter)
    assert "Datos ya suprimidos" in world.client.get(path).text
    assert world.verify().ok


def test_granting_an_objection_ends_the_use_that_staff_named(
    world: World, mail_server: MailServer
) -> None:
    ana = introduce(world)
    calls_as(world, application(scopes=frozenset({Scope.DECISIONS_EVALUATE})))
    give(world, ana, "recommendations", version=1)
    path = asked(world, mail_server, "objection", purpose="loyalty", message="No me perfiléis")
    assert permitted(world, ana, "recommendations")
    assert answer(world, path, "De acuerdo.", purpose="recommendations")[0] == 303
    assert not permitted(world, ana, "recommendations")


@pytest.mark.parametrize(("kind", "afterwards"), [("fulfil", False), ("refuse", True)])
def test_a_weighed_objection_holds_at_once_and_is_lifted_only_by_a_refusal(
    database_url: str,
    instance: Path,
    mail_server: MailServer,
    tmp_path: Path,
    kind: str,
    afterwards: bool,
) -> None:
    register = tmp_path / "register"
    shutil.copytree(EXAMPLE_REGISTER, register)
    purposes = (register / "purposes.toml").read_text(encoding="utf-8")
    head, analytics = purposes.split("[analytics]")
    analytics = analytics.replace('"consent"', '"legitimate-interests"', 1)
    analytics = analytics.replace("validity_months = 24\n", "", 1)
    (register / "purposes.toml").write_text(f"{head}[analytics]{analytics}", encoding="utf-8")
    world = make_world(
        database_url,
        instance,
        PLACET_MAIL_PORT=str(mail_server.port),
        PLACET_REGISTER=str(register),
    )
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.publish(uow)
    ana = introduce(world)
    scopes = frozenset({Scope.DECISIONS_EVALUATE})
    calls_as(world, application(purposes=frozenset({"analytics"}), scopes=scopes))
    assert permitted(world, ana, "analytics")
    path = asked(world, mail_server, "objection", purpose="analytics", message="Mis razones")
    assert not permitted(world, ana, "analytics")
    assert answer(world, path, "Razones.", kind, purpose="analytics")[0] == 303
    assert permitted(world, ana, "analytics") is afterwards
    world.placet.runtime.database.engine.dispose()


def test_staff_send_a_link_to_the_data_that_fulfils_when_it_is_used(
    world: World, mail_server: MailServer
) -> None:
    introduce(world)
    path = asked(world, mail_server, "access")
    world.clock.advance(days=2)
    assert submit(world.client, path, {}, to=f"{path}/access-link").status_code == 303
    link = link_in(mailed(world, mail_server))
    signed_out(world)
    phone = world.client
    assert phone.get(link).status_code == 200
    page = submit(phone, link, {}).headers["Location"]
    reference = page.rsplit("/", 1)[1]
    assert state_of(world, reference) == "open"
    copy = submit(phone, page, {"form": "json"}, to=f"{page}/data")
    assert copy.json is not None
    assert copy.json["data"]["profile"]["emails"] == [ANA]
    assert state_of(world, reference) == "fulfilled"
    assert phone.get(link).status_code == 410


def test_a_request_that_yields_no_data_gets_no_link(world: World, mail_server: MailServer) -> None:
    path = asked(world, mail_server, "access", email=NOBODY)
    client = world.client
    token = csrf_token(client.get(path).text)
    sent = client.post(f"{path}/access-link", data={"csrf_token": token})
    assert sent.status_code == 404
    world.settle()
    assert mail_server.messages == []


def test_every_page_of_the_desk_is_there_in_both_languages(
    world: World, mail_server: MailServer
) -> None:
    path = asked(world, mail_server, "objection", email=NOBODY, purpose="newsletter")
    for address in ("/dpo", path):
        for language in ("es", "en"):
            assert world.client.get(f"{address}?lang={language}").status_code == 200
